-- The ledger: every record of the log as it came. Both tables are insert-only by grant; TRUNCATE is the owner's alone.

create table ledger (
  topic     text     collate "C" not null,
  part      smallint not null,
  off       bigint   not null,
  key       bytea,                               -- exact bytes, as are headers and body
  headers   bytea    not null,                   -- names and values, each framed by its length (domain/framing.py)
  verdict   text     not null,                   -- the gate's word: accepted | duplicate | held | fork | aside; never changed
  body      bytea,
  stamped   timestamptz,                         -- when it was published, by the broker's record
  witnessed timestamptz not null default now(),  -- since when the ledger bears witness to it
  primary key (topic, part, off)
);

create table chain (                             -- what was accepted, in accepted order, case by case
  topic   text     collate "C" not null,
  case_id uuid     not null,
  n       int      not null,                     -- 1, 2, 3 ..
  part    smallint not null,
  off     bigint   not null,                     -- where its record stands in the ledger
  hash    bytea    not null,                     -- SHA-256(hash of n - 1 || body); of n = 0: SHA-256('redress/' || topic || '/' || case)
  primary key (topic, case_id, n)
);
create index chain_place on chain (topic, part, off);  -- not unique: the witness must never be stopped by what it finds
