-- The register of complaints: one row a case, with the columns of domain 6.4 that are known so far.

create table register (
  case_id          uuid primary key,
  case_number      text,
  received_on      date,
  month            text,
  recorded_at      timestamptz,
  channel          text,
  subject_id       uuid,
  product          text,
  sub_product      text,
  category         text,
  origin           text,
  source_system    text,
  source_reference text,
  owner_unit       text,
  owner            text,
  owner_started    boolean not null,
  stage            text    not null,
  outcome          text,
  closing_reason   text,
  closed_at        timestamptz,
  reopened         bigint  not null,
  acknowledgement_due   timestamptz,
  acknowledgement_level bigint not null,
  final_answer_due      timestamptz,
  final_answer_level    bigint not null,
  escalation_level      bigint not null,
  source_timely    boolean,
  disputed         boolean not null
);
create index register_page on register (received_on, case_id);
create index register_number on register (case_number);  -- not unique: a doubled number must be seen, not stop the log
create index register_source on register (source_system, source_reference) where source_reference is not null;
