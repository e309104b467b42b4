-- What every service keeps of the log. All of it but outbox and sent can be read again from the topics.

create table cases (
  id       uuid primary key,
  log      smallint not null,           -- which topic its events stand in: the index in store.LOGS
  version  int   not null,              -- events held, own and foreign; reading an own event back does not raise it
  own      int   not null,              -- last own sequence appended
  gate     int[] not null,              -- last sequence accepted from the log, per publisher; written by the receiver alone
  forks    int   not null default 0,    -- forked records that nobody has acknowledged; written by the receiver alone
  parked   text                         -- why nothing is folded or decided any more; accepting and storing go on
) with (fillfactor = 70);               -- both writers change unindexed columns only: heap-only updates
create index cases_parked on cases (id) where parked is not null or forks > 0;

create table events (                   -- exact bytes, own and foreign; insert-only by grant
  case_id   uuid     not null,
  publisher smallint not null,
  sequence  int      not null,
  id        uuid     not null,
  command   uuid,                       -- of own events: looked up among the events of its case, so it needs no index
  body      bytea    not null,
  primary key (case_id, publisher, sequence, id)  -- id: an own event and one of the log that contradicts it are both kept
);

create table case_log (                 -- the accepted order of each case; insert-only by grant
  case_id   uuid     not null,
  n         int      not null,          -- 1, 2, 3 .. = sum(gate) after it
  publisher smallint not null,
  sequence  int      not null,
  id        uuid     not null,
  part      smallint not null,
  off       bigint   not null,          -- where its record stands; a released event's is smaller than its predecessor's
  primary key (case_id, n)
);

create table outbox (
  id       bigint generated always as identity primary key,
  topic    text not null,               -- suffix below the installation's prefix
  case_id  uuid not null,
  sequence int  not null,               -- 0: a notice that belongs to no case; its bytes stand here
  body     bytea,
  at       timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table sent (                     -- acknowledged by the broker, not yet read back
  log smallint not null, part smallint not null, off bigint not null,
  case_id uuid not null, sequence int not null, id uuid not null,
  primary key (log, part, off)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table marks (                    -- cases whose owed rows are older than their version; written under the case's lock only
  case_id uuid primary key
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table owed (                     -- an index over owed(case); workers decide against the state, never against the row
  case_id uuid        not null,
  what    text        not null,
  cause   text        not null,
  due     timestamptz not null,                 -- business time
  state   text        not null default 'due',   -- due | idle (refused or nothing to do in this version) | stuck (an error, again and again)
  leased  timestamptz not null default '-infinity',  -- real time
  tries   int         not null default 0,
  error   text,                                 -- the kind of error, never its text: that may hold personal data
  primary key (case_id, what, cause)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index owed_due on owed (due) where state = 'due';

create table kept (                     -- records outside the accepted order, whole
  case_id uuid not null, publisher smallint not null, sequence int not null, id uuid not null,
  why  text     not null,               -- held: waits for a missing one | fork | settled: a fork acknowledged | withheld: own, contradicted
  log  smallint not null, part smallint not null, off bigint not null,
  body bytea    not null,
  primary key (case_id, publisher, sequence, log, part, off)
);

create table aside (                    -- records without a readable place in any case
  topic text not null, part smallint not null, off bigint not null,
  why text not null, key bytea, body bytea, since timestamptz not null default now(),
  primary key (topic, part, off)
);

create table fingerprints (             -- what was asked under a command id, for seven days
  command uuid primary key,
  body    bytea not null,
  at      timestamptz not null default now()
);
create index fingerprints_at on fingerprints (at);

create table positions (
  topic text not null, part smallint not null, next bigint not null, epoch bigint not null,
  updated timestamptz not null default now(),
  last timestamptz,                     -- when the last record below next was written
  primary key (topic, part)
);

create table parked_projections (       -- a case that a projection could not fold: its rows stand still there
  projection text not null, case_id uuid not null, error text not null, since timestamptz not null default now(),
  primary key (projection, case_id)
);

create table case_access (              -- who may see a case; joined by visible_to in every query
  case_id    uuid primary key,
  entity     text    not null,
  unit       text,
  restricted boolean not null,
  people     jsonb   not null           -- ids of those who work on it
);

-- Appends to one case in one round trip. Answers null when done, 'conflict', 'forked', or why the case is parked.
create function append_case(c uuid, topic_no smallint, topic_name text, expected int, publishers int, me smallint, cmd uuid,
                            sequences int[], ids uuid[], bodies bytea[], fingerprint bytea, past_forks boolean)
returns text language plpgsql as $$
declare stands record;
begin
  if expected = 0 then
    insert into cases (id, log, version, own, gate)
    values (c, topic_no, cardinality(ids), cardinality(ids), array_fill(0, array[publishers])) on conflict do nothing;
  else
    update cases set version = version + cardinality(ids), own = own + cardinality(ids)
    where id = c and version = expected and parked is null and (forks = 0 or past_forks);
  end if;
  if not found then
    select parked, forks into stands from cases where id = c;
    return coalesce(stands.parked, case when stands.forks > 0 and not past_forks then 'forked' else 'conflict' end);
  end if;
  insert into events select c, me, e.sequence, e.id, cmd, e.body from unnest(sequences, ids, bodies) e (sequence, id, body);
  insert into outbox (topic, case_id, sequence) select topic_name, c, s from unnest(sequences) s;
  insert into marks values (c) on conflict do nothing;
  if fingerprint is not null then
    insert into fingerprints (command, body) values (cmd, fingerprint) on conflict do nothing;
  end if;
  return null;
end $$;
