create table number_reservations (        -- drawn before the complaint is appended, so that no two cases get one number
  case_id uuid primary key,
  number  text not null unique
);

create table case_numbers (               -- projection: the number of every case
  case_id     uuid primary key,
  case_number text not null
);
create index case_numbers_number on case_numbers (case_number);

create table erased_keys (                -- projection: the keys that the log names as destroyed
  case_id uuid primary key,
  kids    jsonb not null
);
