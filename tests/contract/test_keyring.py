"""One suite for every keyring, in memory and in PostgreSQL; then what only the database promises."""

import asyncio
import itertools
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from shared.runtime.clock import Clock
from shared.runtime.ids import fresh_id
from shared.runtime.keyring import (
    GROUPS,
    DataKey,
    Destroyed,
    KeyName,
    Keyring,
    MemoryKeyring,
    PostgresKeyring,
    WrongMasterKey,
    open_keyring,
)
from shared.runtime.keyring.__main__ import main
from shared.runtime.keyring.migrations import AlteredMigration, migrate

MASTER = bytes(range(32))
SERVICES = ("intake", "processing", "reporting", "reaction", "controlling")
LATER = datetime(2030, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Database:
    """A migrated keyring on the tests' server, with a login of each service."""

    superuser: str
    owner: str
    services: dict[str, str]


@pytest.fixture(scope="module")
def database(admin_dsn: str) -> Iterator[Database]:
    label = f"test_keyring_{secrets.token_hex(4)}"
    made, database = asyncio.run(_create(admin_dsn, label))
    yield database
    asyncio.run(_drop(admin_dsn, label, made))


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    if request.param == "memory":
        return None
    database: Database = request.getfixturevalue("database")
    return database.services["intake"]


@pytest_asyncio.fixture
async def keyring(dsn: str | None) -> AsyncIterator[Keyring]:
    if dsn is None:
        yield MemoryKeyring(clock=ticking())
    else:
        async with _open(dsn) as opened:
            yield opened


def some_name(group: str = "contact") -> KeyName:
    return KeyName(fresh_id(), fresh_id(), group)


def some_customer() -> str:
    return f"customer {fresh_id()}"


async def made(keyring: Keyring, name: KeyName) -> DataKey:
    key = (await keyring.keys_for([name]))[name]
    assert key is not None
    return key


def ticking() -> Clock:
    """A clock that is a second later each time it is read."""
    seconds = itertools.count()
    return lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))


@asynccontextmanager
async def _open(dsn: str) -> AsyncIterator[PostgresKeyring]:
    keyring = await open_keyring(dsn, MASTER, "test")
    try:
        yield keyring
    finally:
        await keyring.close()


async def _create(admin_dsn: str, label: str) -> tuple[list[str], Database]:
    """A database whose owner is no superuser, and logins with the services' roles; the roles made."""
    admin = await asyncpg.connect(admin_dsn)
    made = []
    for service in SERVICES:
        if not await admin.fetchval("select 1 from pg_roles where rolname = $1", f"keyring_{service}"):
            await admin.execute(f"create role keyring_{service}")
            made.append(f"keyring_{service}")
        await admin.execute(f"create role {label}_{service} login password 'test' in role keyring_{service}")
    await admin.execute(f"create role {label}_owner login password 'test'")
    await admin.execute(f"create database {label} owner {label}_owner")
    await admin.close()
    owner = _dsn(admin_dsn, label, f"{label}_owner:test")
    assert await migrate(owner) == ["0001_pre_keyring.sql"]
    services = {service: _dsn(admin_dsn, label, f"{label}_{service}:test") for service in SERVICES}
    logins = [f"{label}_owner", *(f"{label}_{service}" for service in SERVICES)]
    return [*logins, *made], Database(_dsn(admin_dsn, label), owner, services)


async def _drop(admin_dsn: str, label: str, roles: list[str]) -> None:
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute(f"drop database {label} with (force)")
    for role in roles:
        await admin.execute(f"drop role {role}")
    await admin.close()


def _dsn(admin_dsn: str, database: str, login: str | None = None) -> str:
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{login}@{host}" if login else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))


class TestKeys:
    async def test_a_name_has_one_key_for_ever(self, keyring: Keyring) -> None:
        name = some_name()
        first = (await keyring.keys_for([name]))[name]
        again = (await keyring.keys_for([name]))[name]
        assert first is not None
        assert len(first.key) == 32
        assert again == first

    async def test_many_names_are_answered_at_once_each_with_its_own_key(self, keyring: Keyring) -> None:
        known = some_name()
        before = await keyring.keys_for([known])
        names = [known, *(some_name() for _ in range(50)), known]
        keys = await keyring.keys_for(names)
        assert set(keys) == set(names)
        assert keys[known] == before[known]
        assert len({key.kid for key in keys.values() if key}) == 51
        assert len({key.key for key in keys.values() if key}) == 51

    async def test_subject_case_and_group_each_have_keys_of_their_own(self, keyring: Keyring) -> None:
        name = some_name()
        others = [
            KeyName(fresh_id(), name.case, name.group),
            KeyName(name.subject, fresh_id(), name.group),
            KeyName(name.subject, name.case, "narrative"),
        ]
        keys = await keyring.keys_for([name, *others])
        assert len({key.kid for key in keys.values() if key}) == 4

    async def test_nothing_asked_is_nothing_answered(self, keyring: Keyring) -> None:
        assert not await keyring.keys_for([])
        assert not await keyring.keys_by_kid([])
        assert not await keyring.subjects_for({})

    async def test_a_key_is_found_by_its_kid(self, keyring: Keyring) -> None:
        key = await made(keyring, some_name())
        other = await made(keyring, some_name())
        assert await keyring.keys_by_kid([key.kid, other.kid]) == {key.kid: key, other.kid: other}

    async def test_an_unknown_or_nonsensical_kid_is_absent(self, keyring: Keyring) -> None:
        key = await made(keyring, some_name())
        spelled_otherwise = key.kid.upper().replace("-", "")
        assert set(await keyring.keys_by_kid([str(fresh_id()), "", "no kid", key.kid])) == {key.kid}
        assert spelled_otherwise not in await keyring.keys_by_kid([spelled_otherwise])

    async def test_writers_that_race_for_a_name_get_the_same_key(self, keyring: Keyring) -> None:
        names = [some_name() for _ in range(20)]
        answers = await asyncio.gather(
            *(keyring.keys_for(names if turn % 2 else names[::-1]) for turn in range(8))
        )
        assert all(answer == answers[0] for answer in answers)

    async def test_no_key_shows_itself_when_printed(self, keyring: Keyring) -> None:
        key = await made(keyring, some_name())
        assert repr(key.key) not in repr(key)
        assert "key=" not in repr(key)


class TestDestruction:
    async def test_a_destroyed_key_is_never_made_again(self, keyring: Keyring) -> None:
        name = some_name()
        key = await made(keyring, name)
        destruction = await keyring.destroy(name.subject, [name.case], [name.group])
        assert destruction.kids == {key.kid}
        assert await keyring.keys_for([name]) == {name: None}
        assert await keyring.keys_by_kid([key.kid]) == {}

    async def test_a_repeat_answers_the_same_kids_and_moment(self, keyring: Keyring) -> None:
        name = some_name()
        await made(keyring, name)
        first = await keyring.destroy(name.subject, [name.case], None)
        assert await keyring.destroy(name.subject, [name.case], None) == first
        everything = await keyring.destroy(name.subject, None, None)
        assert await keyring.destroy(name.subject, None, None) == everything

    async def test_a_group_without_a_key_is_destroyed_too(self, keyring: Keyring) -> None:
        subject, case = fresh_id(), fresh_id()
        destruction = await keyring.destroy(subject, [case], None)
        assert destruction.kids == frozenset()
        names = [KeyName(subject, case, group) for group in GROUPS]
        assert await keyring.keys_for(names) == dict.fromkeys(names)
        assert await keyring.destroy(subject, [case], None) == destruction

    async def test_other_groups_cases_and_subjects_keep_their_keys(self, keyring: Keyring) -> None:
        name = some_name()
        others = [
            KeyName(name.subject, name.case, "narrative"),
            KeyName(name.subject, fresh_id(), name.group),
            KeyName(fresh_id(), name.case, name.group),
        ]
        before = await keyring.keys_for([name, *others])
        await keyring.destroy(name.subject, [name.case], [name.group])
        assert await keyring.keys_for([name, *others]) == {**before, name: None}

    async def test_a_group_is_destroyed_in_every_known_case(self, keyring: Keyring) -> None:
        keyless, keyed = fresh_id(), fresh_id()
        subject = (await keyring.subjects_for({keyless: f"no. {keyless}"}))[keyless]
        contact, narrative = (KeyName(subject, keyed, group) for group in ("contact", "narrative"))
        keys = await keyring.keys_for([contact, narrative])
        destruction = await keyring.destroy(subject, None, ["contact"])
        assert destruction.kids == {key.kid for name, key in keys.items() if name == contact and key}
        late = KeyName(subject, keyless, "contact")
        assert await keyring.keys_for([contact, narrative, late]) == {**keys, contact: None, late: None}

    async def test_a_group_that_this_build_does_not_know_is_destroyed_with_the_rest(
        self, keyring: Keyring
    ) -> None:
        name = KeyName(fresh_id(), fresh_id(), "of a later build")
        key = await made(keyring, name)
        assert (await keyring.destroy(name.subject, None, None)).kids == {key.kid}
        assert await keyring.keys_for([name]) == {name: None}

    async def test_a_later_larger_destruction_is_as_old_as_its_youngest_part(self, keyring: Keyring) -> None:
        subject, cases = fresh_id(), [fresh_id(), fresh_id()]
        keys = await keyring.keys_for([KeyName(subject, case, "contact") for case in cases])
        first = await keyring.destroy(subject, cases[:1], None)
        whole = await keyring.destroy(subject, None, None)
        assert whole.kids == {key.kid for key in keys.values() if key}
        assert whole.at > first.at
        assert await keyring.destroy(subject, cases[:1], None) == first

    async def test_no_key_is_made_for_an_unknown_case_of_a_subject_that_was_erased_entirely(
        self, keyring: Keyring
    ) -> None:
        subject = fresh_id()
        erased = await keyring.destroy(subject, None, None)
        late = KeyName(subject, fresh_id(), "contact")
        assert await keyring.keys_for([late]) == {late: None}
        assert await keyring.destroy(subject, None, None) == erased

    async def test_naming_no_case_or_no_group_destroys_nothing(self, keyring: Keyring) -> None:
        name = some_name()
        before = await keyring.keys_for([name])
        assert (await keyring.destroy(name.subject, [], None)).kids == frozenset()
        assert (await keyring.destroy(name.subject, None, [])).kids == frozenset()
        assert await keyring.keys_for([name]) == before

    async def test_a_key_that_races_with_its_destruction_does_not_survive(self, keyring: Keyring) -> None:
        subject, case = fresh_id(), fresh_id()
        names = [KeyName(subject, case, group) for group in GROUPS]
        makers = asyncio.gather(*(keyring.keys_for(names) for _ in range(8)))
        _, answers = await asyncio.gather(keyring.destroy(subject, None, None), makers)
        kids = {key.kid for answer in answers for key in answer.values() if key}
        assert await keyring.keys_by_kid(kids) == {}
        assert await keyring.keys_for(names) == dict.fromkeys(names)

    async def test_what_a_restore_brought_back_is_destroyed_again_by_kid(self, keyring: Keyring) -> None:
        name, other = some_name(), some_name()
        key, kept = await made(keyring, name), await made(keyring, other)
        assert await keyring.redestroy([key.kid, str(fresh_id()), "no kid"]) == 1
        assert await keyring.redestroy([key.kid]) == 0
        assert await keyring.keys_for([name]) == {name: None}
        assert await keyring.keys_by_kid([key.kid, kept.kid]) == {kept.kid: kept}


class TestExpiry:
    async def test_a_key_with_an_expiry_ends_when_it_is_due_and_not_before(self, keyring: Keyring) -> None:
        name = some_name("rejected")
        key = await keyring.key_until(name, LATER)
        await keyring.destroy_due(LATER - MOMENT)
        assert await keyring.keys_by_kid([key.kid]) == {key.kid: key}
        assert await keyring.destroy_due(LATER) == 1
        assert await keyring.destroy_due(LATER) == 0
        assert await keyring.keys_by_kid([key.kid]) == {}

    async def test_asking_again_neither_prolongs_a_key_nor_shortens_it(self, keyring: Keyring) -> None:
        name = some_name("rejected")
        key = await keyring.key_until(name, LATER)
        assert await keyring.key_until(name, LATER + timedelta(days=90)) == key
        assert await keyring.key_until(name, LATER - timedelta(days=90)) == key
        assert await keyring.destroy_due(LATER - MOMENT) == 0
        assert await keyring.destroy_due(LATER) == 1

    async def test_an_expired_key_is_never_made_again(self, keyring: Keyring) -> None:
        name = some_name("rejected")
        await keyring.key_until(name, LATER)
        await keyring.destroy_due(LATER)
        with pytest.raises(Destroyed):
            await keyring.key_until(name, LATER)

    async def test_a_key_without_an_expiry_is_never_due(self, keyring: Keyring) -> None:
        key = await made(keyring, some_name())
        await keyring.destroy_due(datetime(9999, 1, 1, tzinfo=UTC))
        assert key.kid in await keyring.keys_by_kid([key.kid])


class TestSubjects:
    async def test_equal_match_texts_are_the_same_subject(self, keyring: Keyring) -> None:
        customer = some_customer()
        here, there, elsewhere = fresh_id(), fresh_id(), fresh_id()
        subjects = await keyring.subjects_for({here: customer, there: customer, elsewhere: some_customer()})
        assert subjects[here] == subjects[there] != subjects[elsewhere]
        later = fresh_id()
        assert await keyring.subjects_for({later: customer}) == {later: subjects[here]}
        assert await keyring.search(customer) == subjects[here]
        assert await keyring.cases_of(subjects[here]) == {here, there, later}

    async def test_a_case_of_nobody_known_is_a_subject_of_its_own_that_can_be_derived_again(
        self, keyring: Keyring
    ) -> None:
        first, second = fresh_id(), fresh_id()
        subjects = await keyring.subjects_for({first: None, second: None})
        assert subjects[first] != subjects[second]
        assert await MemoryKeyring().subjects_for({first: None}) == {first: subjects[first]}

    async def test_a_case_keeps_its_subject_whatever_is_said_later(self, keyring: Keyring) -> None:
        case, customer = fresh_id(), some_customer()
        first = await keyring.subjects_for({case: None})
        assert await keyring.subjects_for({case: customer}) == first
        assert await keyring.search(customer) is None

    async def test_callers_that_race_for_a_customer_get_the_same_subject(self, keyring: Keyring) -> None:
        customers = [some_customer() for _ in range(10)]
        batches = [{fresh_id(): customer for customer in customers[::turn]} for turn in (1, -1, 1, -1)]
        answers = await asyncio.gather(*map(keyring.subjects_for, batches))
        found = {
            (customer, answer[case])
            for batch, answer in zip(batches, answers, strict=True)
            for case, customer in batch.items()
        }
        assert len(found) == len(customers)

    async def test_an_unknown_customer_is_not_found(self, keyring: Keyring) -> None:
        assert await keyring.search(some_customer()) is None

    async def test_an_unknown_subject_has_no_cases(self, keyring: Keyring) -> None:
        assert await keyring.cases_of(fresh_id()) == set()

    async def test_a_subject_erased_entirely_is_found_no_more_and_the_customer_starts_anew(
        self, keyring: Keyring
    ) -> None:
        customer, case, later = some_customer(), fresh_id(), fresh_id()
        subject = (await keyring.subjects_for({case: customer}))[case]
        await keyring.destroy(subject, None, None)
        assert await keyring.search(customer) is None
        assert (await keyring.subjects_for({later: customer}))[later] != subject
        assert await keyring.cases_of(subject) == {case}
        assert await keyring.subjects_for({case: customer}) == {case: subject}

    async def test_a_subject_is_found_until_the_last_group_of_its_last_case_is_erased(
        self, keyring: Keyring
    ) -> None:
        customer, cases = some_customer(), [fresh_id(), fresh_id()]
        subject = (await keyring.subjects_for(dict.fromkeys(cases, customer)))[cases[0]]
        await keyring.destroy(subject, cases[:1], None)
        await keyring.destroy(subject, cases[1:], ["contact", "narrative", "correspondence"])
        assert await keyring.search(customer) == subject
        await keyring.destroy(subject, cases[1:], ["payment"])
        assert await keyring.search(customer) is None

    async def test_a_subject_is_found_no_more_once_all_restored_keys_are_gone(self, keyring: Keyring) -> None:
        customer, case = some_customer(), fresh_id()
        subject = (await keyring.subjects_for({case: customer}))[case]
        contact, narrative = [
            await made(keyring, KeyName(subject, case, group)) for group in ("contact", "narrative")
        ]
        await keyring.redestroy([contact.kid])
        assert await keyring.search(customer) == subject
        await keyring.redestroy([contact.kid, narrative.kid])
        assert await keyring.search(customer) is None


class TestSecrets:
    async def test_a_secret_is_made_once_for_each_purpose(self, keyring: Keyring) -> None:
        content = await keyring.secret("content")
        assert len(content) == 32
        assert await keyring.secret("content") == content
        assert await keyring.secret("status-link") != content


class TestDatabase:
    async def test_every_service_reads_what_another_made(self, database: Database) -> None:
        name = some_name()
        for service in SERVICES:
            async with _open(database.services[service]) as opened:
                key = await made(opened, name)
                assert await opened.keys_by_kid([key.kid]) == {key.kid: key}
                secret = await opened.secret("status-link")
        async with _open(database.services["intake"]) as intake:
            assert await intake.keys_for([name]) == {name: key}
            assert await intake.secret("status-link") == secret

    @pytest.mark.parametrize("service", [service for service in SERVICES if service != "intake"])
    async def test_only_intake_destroys_searches_and_links(self, database: Database, service: str) -> None:
        async with _open(database.services[service]) as opened:
            for forbidden in (
                opened.destroy(fresh_id(), None, None),
                opened.redestroy([]),
                opened.destroy_due(LATER),
                opened.cases_of(fresh_id()),
                opened.search(some_customer()),
                opened.subjects_for({fresh_id(): None}),
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await forbidden

    @pytest.mark.parametrize("service", SERVICES)
    async def test_no_service_touches_a_table_or_makes_one(self, database: Database, service: str) -> None:
        connection = await asyncpg.connect(database.services[service])
        try:
            tables = await connection.fetch("select tablename from pg_tables where schemaname = 'keyring'")
            assert {row[0] for row in tables} >= {"data_key", "match", "subject_case", "secret"}
            for (table,) in tables:
                for statement in ("select * from", "delete from", "truncate"):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(f"{statement} keyring.{table}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("create table keyring.own (id int)")
            for inner in ("lock_to_destroy()", "keep_secret('match', '')", f"known_cases('{fresh_id()}')"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"select keyring.{inner}")
        finally:
            await connection.close()

    async def test_no_key_secret_or_match_text_lies_in_the_database(self, database: Database) -> None:
        customer = some_customer()
        async with _open(database.services["intake"]) as opened:
            key = await made(opened, some_name())
            secret = await opened.secret("content")
            await opened.subjects_for({fresh_id(): customer})
        connection = await asyncpg.connect(database.superuser)
        try:
            tables = await connection.fetch("select tablename from pg_tables where schemaname = 'keyring'")
            kept = "".join(
                [str(await connection.fetch(f"select t::text from keyring.{table} t")) for (table,) in tables]
            )
        finally:
            await connection.close()
        assert key.kid in kept
        assert customer.encode().hex() not in kept
        assert customer not in kept
        for hidden in (key.key, secret, MASTER):
            assert hidden.hex() not in kept

    async def test_destruction_waits_for_a_key_that_is_being_made_and_destroys_it(
        self, database: Database
    ) -> None:
        subject, kid = fresh_id(), fresh_id()
        maker = await asyncpg.connect(database.services["processing"])
        watcher = await asyncpg.connect(database.superuser)
        try:
            async with _open(database.services["intake"]) as opened:
                async with maker.transaction():
                    await maker.execute(
                        "select keyring.obtain($1, $2, '{contact}', $3, $4, null)",
                        [subject],
                        [fresh_id()],
                        [kid],
                        [b"wrapped"],
                    )
                    destruction = asyncio.create_task(opened.destroy(subject, None, None))
                    while not destruction.done() and not await watcher.fetchval(
                        "select count(*) from pg_locks where locktype = 'advisory' and not granted"
                        " and database = (select oid from pg_database where datname = current_database())"
                    ):
                        continue
                assert (await destruction).kids == {str(kid)}
        finally:
            await maker.close()
            await watcher.close()

    async def test_another_master_key_is_refused_when_the_keyring_is_opened(self, database: Database) -> None:
        async with _open(database.services["intake"]):
            pass
        with pytest.raises(WrongMasterKey):
            await open_keyring(database.services["intake"], os.urandom(32), "test")

    async def test_a_master_key_of_another_length_is_refused(self, database: Database) -> None:
        with pytest.raises(ValueError, match="16 bytes instead of 32"):
            await open_keyring(database.services["intake"], os.urandom(16), "test")

    async def test_wrapped_keys_that_were_exchanged_do_not_open(self, database: Database) -> None:
        async with _open(database.services["intake"]) as opened:
            one, other = await made(opened, some_name()), await made(opened, some_name())
            connection = await asyncpg.connect(database.superuser)
            await connection.execute(
                "update keyring.data_key set wrapped = (select wrapped from keyring.data_key where kid = $2)"
                " where kid = $1",
                one.kid,
                other.kid,
            )
            await connection.close()
            with pytest.raises(WrongMasterKey, match=one.kid):
                await opened.keys_by_kid([one.kid])

    async def test_migrating_again_changes_nothing_and_an_altered_file_is_refused(
        self, database: Database
    ) -> None:
        async with _open(database.services["intake"]) as opened:
            key = await made(opened, some_name())
            assert await migrate(database.owner) == []
            assert await opened.keys_by_kid([key.kid]) == {key.kid: key}
        connection = await asyncpg.connect(database.owner)
        try:
            right = await connection.fetchval("select sha256 from keyring.migration")
            await connection.execute("update keyring.migration set sha256 = 'another'")
            with pytest.raises(AlteredMigration):
                await migrate(database.owner)
            await connection.execute("update keyring.migration set sha256 = $1", right)
        finally:
            await connection.close()


class TestCommand:
    def test_migrate_says_that_the_keyring_is_up_to_date(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("KEYRING_DSN_OWNER", database.owner)
        assert main(["migrate"]) == 0
        assert capsys.readouterr().out == "keyring: up to date\n"

    def test_wrong_use_is_told_apart_and_explained(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("KEYRING_DSN_OWNER", raising=False)
        assert main(["migrate"]) == 2
        assert "KEYRING_DSN_OWNER" in capsys.readouterr().err
