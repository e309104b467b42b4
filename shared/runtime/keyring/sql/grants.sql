-- Applied at every migration, because a service's role may be made after the tables. Roles that do not exist are left out.
do
$$
declare
    service name;
begin
    execute format('revoke all on database %I from public', current_database());
    revoke all on schema keyring from public;
    revoke all on all functions in schema keyring from public;

    for service in
        select rolname from pg_catalog.pg_roles where rolname in (
            'keyring_intake', 'keyring_processing', 'keyring_reporting', 'keyring_reaction', 'keyring_controlling'
        )
    loop
        execute format('grant connect on database %I to %I', current_database(), service);
        execute format('grant usage on schema keyring to %I', service);
        execute format(
            'grant execute on function keyring.obtain, keyring.by_kid, keyring.purpose_secret to %I', service
        );
        if service = 'keyring_intake' then
            execute format(
                'grant execute on function keyring.match_secret, keyring.subjects_for, keyring.search, '
                'keyring.cases_of, keyring.destroy, keyring.redestroy, keyring.destroy_due to %I',
                service
            );
        end if;
    end loop;
end
$$;
