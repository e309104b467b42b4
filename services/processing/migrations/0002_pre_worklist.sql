-- The worklist: one row a case; those of others stay out of sight until somebody adopts them.

create table worklist (
  case_id     uuid    primary key,
  case_number text,
  received_on date,
  ours        boolean not null,
  stage       text    not null,
  urgency     text,
  owner       text,
  started     boolean not null,
  unit        text,
  acknowledgement_due   timestamptz,   -- while the clock runs
  acknowledgement_level bigint,        -- once it was started
  final_answer_due      timestamptz,
  final_answer_level    bigint,
  next_due    timestamptz,
  escalation_level      bigint not null,
  reopened    bigint  not null
);
create index worklist_open on worklist (coalesce(next_due, 'infinity'), case_id) where ours and stage <> 'closed';
create index worklist_owner on worklist (owner, coalesce(next_due, 'infinity'), case_id) where ours and stage <> 'closed';
create index worklist_closed on worklist (coalesce(next_due, 'infinity'), case_id) where ours and stage = 'closed';
