-- Nobody but the owner has any right on these tables: services reach them through the functions below alone.
-- Every key is wrapped by the master key, which this database never sees.

create table keyring.data_key (
    subject uuid not null,
    case_id uuid not null,
    grp text not null,
    kid uuid unique,
    wrapped bytea,
    expires timestamptz,
    destroyed_at timestamptz,
    primary key (subject, case_id, grp),
    -- A destroyed key leaves its row as a tombstone; one destroyed before it was made has no kid either.
    check ((wrapped is null) = (destroyed_at is not null)),
    check (wrapped is null or kid is not null)
) with (
    -- An update leaves the old row, with the wrapped key, on its page until it is vacuumed: do not wait for many.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1
);
create index data_key_expires on keyring.data_key (expires) where wrapped is not null and expires is not null;

-- Which subject a case belongs to is pseudonymous and stays; which customer a subject is goes with the keys.
create table keyring.subject_case (
    case_id uuid primary key,
    subject uuid not null
);
create index subject_case_subject on keyring.subject_case (subject);

create table keyring.match (
    digest bytea primary key,
    subject uuid not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1);
create index match_subject on keyring.match (subject);

create table keyring.erased_subject (
    subject uuid primary key,
    erased_at timestamptz not null
);

create table keyring.secret (
    name text primary key,
    wrapped bytea not null
);


-- Makers hold this lock together, destroyers alone: no key and no case can slip in beside a destruction that
-- has already looked, and a destruction never meets a maker's rows in another order.
create function keyring.lock_to_make() returns void language sql as
$$ select pg_advisory_xact_lock_shared(hashtextextended('keyring', 0)) $$;

create function keyring.lock_to_destroy() returns void language sql as
$$ select pg_advisory_xact_lock(hashtextextended('keyring', 0)) $$;


-- One row per name, in the order of the names: the key that stands now, null where it was destroyed.
-- The caller sends a candidate for every name, so that missing keys are made in the same round trip.
-- Rows are inserted in the order of the primary key: two callers with the same names wait, they do not deadlock.
create function keyring.obtain(
    p_subjects uuid[], p_cases uuid[], p_groups text[], p_kids uuid[], p_wrapped bytea[], p_until timestamptz
) returns table (kid uuid, wrapped bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as
$$
begin
    perform keyring.lock_to_make();
    insert into keyring.data_key (subject, case_id, grp, kid, wrapped, expires)
    select c.subject, c.case_id, c.grp, c.kid, c.wrapped, p_until
    from unnest(p_subjects, p_cases, p_groups, p_kids, p_wrapped) as c (subject, case_id, grp, kid, wrapped)
    where not exists (select from keyring.erased_subject e where e.subject = c.subject)
    order by c.subject, c.case_id, c.grp
    on conflict on constraint data_key_pkey do nothing;

    return query
    select k.kid, k.wrapped
    from unnest(p_subjects, p_cases, p_groups) with ordinality as n (subject, case_id, grp, place)
    left join keyring.data_key k on k.subject = n.subject and k.case_id = n.case_id and k.grp = n.grp
    order by n.place;
end
$$;

create function keyring.by_kid(p_kids uuid[]) returns table (kid uuid, wrapped bytea)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as
$$
begin
    return query
    select k.kid, k.wrapped from keyring.data_key k where k.kid = any (p_kids) and k.wrapped is not null;
end
$$;

create function keyring.keep_secret(p_name text, p_wrapped bytea) returns bytea
language plpgsql as
$$
begin
    insert into keyring.secret (name, wrapped) values (p_name, p_wrapped) on conflict do nothing;
    return (select s.wrapped from keyring.secret s where s.name = p_name);
end
$$;

create function keyring.purpose_secret(p_name text, p_wrapped bytea) returns bytea
language sql security definer set search_path = pg_catalog, pg_temp as
$$ select keyring.keep_secret('purpose/' || p_name, p_wrapped) $$;

-- A name of its own, so that the services that may not search cannot compute what is searched for either.
create function keyring.match_secret(p_wrapped bytea) returns bytea
language sql security definer set search_path = pg_catalog, pg_temp as
$$ select keyring.keep_secret('match', p_wrapped) $$;


create function keyring.known_cases(p_subject uuid) returns setof uuid language sql stable as
$$
    select k.case_id from keyring.data_key k where k.subject = p_subject
    union
    select s.case_id from keyring.subject_case s where s.subject = p_subject
$$;

create function keyring.cases_of(p_subject uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as
$$ select keyring.known_cases(p_subject) $$;

create function keyring.search(p_digest bytea) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as
$$ select m.subject from keyring.match m where m.digest = p_digest $$;

-- p_candidates holds for each case the subject that it gets unless its digest is known already.
create function keyring.subjects_for(p_cases uuid[], p_digests bytea[], p_candidates uuid[])
returns table (case_id uuid, subject uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as
$$
begin
    perform keyring.lock_to_make();
    insert into keyring.match (digest, subject)
    select distinct on (c.digest) c.digest, c.candidate
    from unnest(p_cases, p_digests, p_candidates) as c (case_id, digest, candidate)
    where c.digest is not null and not exists (select from keyring.subject_case s where s.case_id = c.case_id)
    order by c.digest
    on conflict do nothing;

    insert into keyring.subject_case (case_id, subject)
    select c.case_id, coalesce(m.subject, c.candidate)
    from unnest(p_cases, p_digests, p_candidates) as c (case_id, digest, candidate)
    left join keyring.match m on m.digest = c.digest
    order by c.case_id
    on conflict do nothing;

    return query select s.case_id, s.subject from keyring.subject_case s where s.case_id = any (p_cases);
end
$$;


-- Null cases: all that are known. Null groups: p_every and whatever else the subject has keys for.
-- A subject of whose cases nothing in p_personal is left is erased entirely: nobody finds it by its digest any more.
create function keyring.destroy(
    p_subject uuid, p_cases uuid[], p_groups text[], p_every text[], p_personal text[]
) returns table (kids uuid[], destroyed_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp as
$$
declare
    at timestamptz;
    scope uuid[];
    wanted text[];
    known uuid[];
begin
    perform keyring.lock_to_destroy();
    at := clock_timestamp();
    scope := coalesce(p_cases, array(select keyring.known_cases(p_subject)));
    wanted := coalesce(
        p_groups, p_every || array(select distinct k.grp from keyring.data_key k where k.subject = p_subject)
    );

    insert into keyring.data_key as k (subject, case_id, grp, destroyed_at)
    select distinct p_subject, c, g, at from unnest(scope) c, unnest(wanted) g
    on conflict on constraint data_key_pkey
    do update set wrapped = null, destroyed_at = at where k.wrapped is not null;

    known := array(select keyring.known_cases(p_subject));
    if (p_cases is null and p_groups is null) or (
        known <> '{}' and not exists (
            select from unnest(known) c, unnest(p_personal) g where not exists (
                select from keyring.data_key k
                where k.subject = p_subject and k.case_id = c and k.grp = g and k.wrapped is null
            )
        )
    ) then
        insert into keyring.erased_subject (subject, erased_at) values (p_subject, at) on conflict do nothing;
        delete from keyring.match m where m.subject = p_subject;
    end if;

    return query
    select
        coalesce(array_agg(k.kid) filter (where k.kid is not null), '{}'),
        coalesce(
            max(k.destroyed_at),
            (select e.erased_at from keyring.erased_subject e where e.subject = p_subject),
            at
        )
    from keyring.data_key k
    where k.subject = p_subject and k.case_id = any (scope) and k.grp = any (wanted);
end
$$;

-- The kids tell nothing of names that were erased without a key, so a subject of whom no key is left counts as erased.
create function keyring.redestroy(p_kids uuid[]) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as
$$
declare
    subjects uuid[];
begin
    perform keyring.lock_to_destroy();
    with gone as (
        update keyring.data_key k set wrapped = null, destroyed_at = clock_timestamp()
        where k.kid = any (p_kids) and k.wrapped is not null
        returning k.subject
    )
    select coalesce(array_agg(gone.subject), '{}') into subjects from gone;

    delete from keyring.match m
    where m.subject = any (subjects)
    and not exists (select from keyring.data_key k where k.subject = m.subject and k.wrapped is not null);
    return cardinality(subjects);
end
$$;

create function keyring.destroy_due(p_now timestamptz) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as
$$
declare
    gone bigint;
begin
    perform keyring.lock_to_destroy();
    update keyring.data_key k set wrapped = null, destroyed_at = clock_timestamp()
    where k.expires <= p_now and k.wrapped is not null;
    get diagnostics gone = row_count;
    return gone;
end
$$;
