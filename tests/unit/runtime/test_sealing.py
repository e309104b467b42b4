"""Sealing: what is sealed opens in its place and nowhere else, and only while its key lives."""

import string
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic_core import PydanticSerializationError

from shared.runtime.ids import fresh_id
from shared.runtime.keyring import DataKey, KeyName, MemoryKeyring
from shared.runtime.sealing import Sealer, Unopenable, kept_in, seal_text, sealed_fields
from shared.schemas.base import Actor, Event, Part, Recorded
from shared.schemas.intake import CategorySchemePublished, ComplaintRegistered, ProblemItem
from shared.schemas.privacy import (
    Clear,
    ContactIfAny,
    DataGroup,
    Kept,
    Narrative,
    Plain,
    Privacy,
    PrivacyClass,
    Sealed,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
texts = st.text(max_size=200)


class Note(Part):
    """A part that holds its own kind."""

    author: ContactIfAny = None
    text: Narrative
    replies: list["Note"] = []


class Told(Event):
    """Every shape in which an event can hold classed text."""

    type: ClassVar[str] = "intake.told.v1"
    number: Plain[int]
    email: ContactIfAny = None
    remarks: Annotated[
        list[Clear | Sealed],
        Privacy(PrivacyClass.PERSONAL, DataGroup.CORRESPONDENCE, "complainant"),
    ] = []
    first: Note | None = None
    pair: tuple[Note, Note] | None = None


notes = st.recursive(
    st.builds(Note, author=st.none() | st.builds(Clear, text=texts), text=st.builds(Clear, text=texts)),
    lambda inner: st.builds(Note, text=st.builds(Clear, text=texts), replies=st.lists(inner, max_size=3)),
    max_leaves=5,
)
told = st.builds(
    Told,
    number=st.integers(),
    email=st.none() | st.builds(Clear, text=texts),
    remarks=st.lists(st.builds(Clear, text=texts), max_size=3),
    first=st.none() | notes,
    pair=st.none() | st.tuples(notes, notes),
)


class CountingKeyring(MemoryKeyring):
    """Counts how often it was asked, and for how much."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def keys_for(self, names: Collection[KeyName]) -> Mapping[KeyName, DataKey | None]:
        self.asked.append(len(names))
        return await super().keys_for(names)

    async def keys_by_kid(self, kids: Collection[str]) -> Mapping[str, DataKey]:
        self.asked.append(len(kids))
        return await super().keys_by_kid(kids)


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


class SlowKeyring(MemoryKeyring):
    """Every answer about names takes its time."""

    def __init__(self, clock: HandClock, delay: timedelta) -> None:
        super().__init__()
        self._hand, self._delay = clock, delay

    async def keys_for(self, names: Collection[KeyName]) -> Mapping[KeyName, DataKey | None]:
        answer = await super().keys_for(names)
        self._hand.move(self._delay)
        return answer


class TestSealing:
    @given(told)
    async def test_what_was_sealed_is_read_back_from_its_event_and_path(self, event: Told) -> None:
        sealer, place = Sealer(MemoryKeyring()), some_place()
        kept = await sealed_at(sealer, place, event)
        read = await sealer.unseal(list(kept.values()))
        assert dict(zip(kept, read, strict=True)) == clear_texts(event)

    @given(told)
    async def test_a_sealed_event_is_a_valid_event_that_is_written_and_read_unchanged(
        self, event: Told
    ) -> None:
        [sealed] = await Sealer(MemoryKeyring()).seal([(*some_place(), event)])
        assert isinstance(sealed, Told)
        assert Told.model_validate_json(sealed.model_dump_json()) == sealed
        assert Told.model_validate(sealed.model_dump()) == sealed
        assert sealed.number == event.number

    @given(told.filter(lambda event: bool(clear_texts(event))))
    async def test_the_event_that_was_decided_stays_as_it_was(self, event: Told) -> None:
        before = event.model_copy(deep=True)
        await Sealer(MemoryKeyring()).seal([(*some_place(), event)])
        assert event == before
        with pytest.raises(PydanticSerializationError, match="must be sealed"):
            event.model_dump_json()

    @given(texts, st.uuids())
    async def test_under_another_event_id_it_does_not_open(self, text: str, other: UUID) -> None:
        sealer, kept = await sealed_mail(text)
        with pytest.raises(Unopenable):
            await sealer.unseal([replace(kept, event=other)])

    @given(texts, st.text(string.ascii_lowercase + string.digits + ".", max_size=20))
    async def test_under_another_path_it_does_not_open(self, text: str, path: str) -> None:
        assume(path != "email")
        sealer, kept = await sealed_mail(text)
        with pytest.raises(Unopenable):
            await sealer.unseal([replace(kept, path=path)])

    @given(texts)
    async def test_another_cases_key_does_not_open_it(self, text: str) -> None:
        sealer, (event, subject, case) = Sealer(MemoryKeyring()), some_place()
        mine = (await sealed_at(sealer, (event, subject, case), mail(text)))["email"]
        other = (await sealed_at(sealer, (event, subject, fresh_id()), mail(text)))["email"]
        assert mine.value.kid != other.value.kid
        with pytest.raises(Unopenable):
            await sealer.unseal([altered(mine, kid=other.value.kid)])

    @given(texts, st.data())
    async def test_any_altered_byte_is_found(self, text: str, data: st.DataObject) -> None:
        sealer, kept = await sealed_mail(text)
        field = data.draw(st.sampled_from(["nonce", "ct"]))
        shown: str = getattr(kept.value, field)
        place = data.draw(st.integers(0, len(shown) - 1))
        letter = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_"))
        changed = shown[:place] + letter + shown[place + 1 :]
        assume(decoded(changed) != decoded(shown))
        with pytest.raises(Unopenable):
            await sealer.unseal([altered(kept, **{field: changed})])

    @given(st.text(max_size=30), st.text(max_size=30))
    async def test_a_nonsensical_sealed_value_is_refused_by_name(self, nonce: str, ct: str) -> None:
        sealer, kept = await sealed_mail("text")
        with pytest.raises(Unopenable, match=f"email of event {kept.event}"):
            await sealer.unseal([altered(kept, nonce=nonce, ct=ct)])

    async def test_equal_texts_are_not_seen_to_be_equal(self) -> None:
        event = Told(number=1, remarks=[Clear(text="same")] * 50)
        kept = await sealed_at(Sealer(MemoryKeyring()), some_place(), event)
        values = [one.value for one in kept.values()]
        assert len({value.nonce for value in values}) == 50
        assert len({value.ct for value in values}) == 50

    async def test_nonces_and_texts_are_written_without_padding(self) -> None:
        _, kept = await sealed_mail("ab")
        assert len(kept.value.nonce) == 16
        assert "=" not in kept.value.nonce + kept.value.ct
        assert len(decoded(kept.value.ct)) == 2 + 16

    async def test_each_group_has_a_key_of_its_own(self) -> None:
        reply = Note(text=Clear(text="u"))
        event = Told(
            number=1,
            email=Clear(text="e"),
            remarks=[Clear(text="r")],
            first=Note(author=Clear(text="a"), text=Clear(text="t"), replies=[reply]),
        )
        kept = await sealed_at(Sealer(MemoryKeyring()), some_place(), event)
        kids = {path: one.value.kid for path, one in kept.items()}
        assert kids["email"] == kids["first.author"]
        assert kids["first.text"] == kids["first.replies.0.text"]
        assert len({kids["email"], kids["remarks.0"], kids["first.text"]}) == 3

    async def test_the_problems_of_a_complaint_are_sealed_by_their_place(self) -> None:
        items = [ProblemItem(number=n, primary=n == 1, narrative=Clear(text=f"{n}")) for n in (1, 2)]
        event = ComplaintRegistered(items=items, wish=[])
        [sealed] = await Sealer(MemoryKeyring()).seal([(*some_place(), event)])
        assert [path for path, _ in sealed_fields(sealed)] == ["items.0.narrative", "items.1.narrative"]

    async def test_what_is_sealed_already_stays_so(self) -> None:
        sealer, place = Sealer(MemoryKeyring()), some_place()
        once = await sealer.seal([(*place, mail("text"))])
        assert await sealer.seal([(*place, event) for event in once]) == once

    async def test_an_event_without_personal_text_is_passed_on_as_it_is(self) -> None:
        keyring = CountingKeyring()
        events = [CategorySchemePublished(name="n", version="1", categories=[]), Told(number=1)]
        passed = await Sealer(keyring).seal([(*some_place(), event) for event in events])
        assert all(one is event for one, event in zip(passed, events, strict=True))
        assert keyring.asked == []

    async def test_personal_text_without_a_data_group_is_a_fault_of_the_event_class(self) -> None:
        class Careless(Event):
            type: ClassVar[str] = "intake.careless.v1"
            name: Plain[Clear | Sealed]

        with pytest.raises(TypeError, match=r"Careless\.name"):
            await Sealer(MemoryKeyring()).seal([(*some_place(), Careless(name=Clear(text="")))])

    async def test_a_text_that_is_no_events_field_is_sealed_under_a_key_at_hand(self) -> None:
        keyring, record = MemoryKeyring(), fresh_id()
        key = await keyring.key_until(KeyName(record, record, "rejected"), NOON)
        kept = Kept(record, "content", seal_text(key, record, "content", "raw {"))
        assert await Sealer(keyring).unseal([kept]) == ["raw {"]
        await keyring.destroy_due(NOON)
        assert await Sealer(keyring).unseal([kept]) == [None]


class TestErasure:
    async def test_after_destruction_nothing_opens_and_new_text_is_written_as_erased(self) -> None:
        keyring, place = MemoryKeyring(), some_place()
        before = (await sealed_at(Sealer(keyring), place, mail("text")))["email"]
        await keyring.destroy(place[1], None, None)
        sealer = Sealer(keyring)
        after = (await sealed_at(sealer, place, mail("more")))["email"]
        assert after.value == Sealed(v=0, kid="", nonce="", ct="")
        assert await sealer.unseal([before, after]) == [None, None]

    async def test_only_the_erased_group_is_lost(self) -> None:
        keyring, place = MemoryKeyring(), some_place()
        event = Told(number=1, email=Clear(text="e"), remarks=[Clear(text="r")])
        kept = await sealed_at(Sealer(keyring), place, event)
        await keyring.destroy(place[1], [place[2]], ["contact"])
        assert await Sealer(keyring).unseal([kept["email"], kept["remarks.0"]]) == [None, "r"]


class TestRememberedKeys:
    async def test_a_whole_batch_asks_the_keyring_once(self) -> None:
        keyring = CountingKeyring()
        batch = [(*some_place(), mail("text")) for _ in range(100)]
        sealed = await Sealer(keyring).seal([*batch, *batch])
        assert keyring.asked == [100]
        kept = [kept_in(recorded(one[0], event))["email"] for one, event in zip(batch, sealed, strict=False)]
        assert await Sealer(keyring).unseal(kept) == ["text"] * 100
        assert keyring.asked == [100, 100]

    async def test_a_key_is_asked_for_again_after_a_minute_of_real_time_and_not_before(self) -> None:
        keyring, clock, place = CountingKeyring(), HandClock(), some_place()
        sealer = Sealer(keyring, clock)
        await sealed_at(sealer, place, mail("text"))
        clock.move(timedelta(seconds=59))
        kept = await sealed_at(sealer, place, mail("text"))
        await sealer.unseal([kept["email"]])
        assert keyring.asked == [1]
        clock.move(timedelta(seconds=1))
        await sealer.unseal([kept["email"]])
        await sealed_at(sealer, place, mail("text"))
        assert keyring.asked == [1, 1, 1]

    async def test_use_does_not_prolong_how_long_a_key_is_remembered(self) -> None:
        keyring, clock, place = MemoryKeyring(), HandClock(), some_place()
        sealer = Sealer(keyring, clock)
        kept = (await sealed_at(sealer, place, mail("text")))["email"]
        await keyring.destroy(place[1], None, None)
        for _ in range(3):
            assert await sealer.unseal([kept]) == ["text"]
            clock.move(timedelta(seconds=20))
        assert await sealer.unseal([kept]) == [None]
        assert (await sealed_at(sealer, place, mail("text")))["email"].value.v == 0

    async def test_a_key_is_as_old_as_the_question_that_fetched_it(self) -> None:
        clock, place = HandClock(), some_place()
        keyring = SlowKeyring(clock, timedelta(seconds=50))
        sealer = Sealer(keyring, clock)
        kept = (await sealed_at(sealer, place, mail("text")))["email"]
        await keyring.destroy(place[1], None, None)
        clock.move(timedelta(seconds=10))
        assert await sealer.unseal([kept]) == [None]

    async def test_a_clock_that_is_set_back_prolongs_nothing(self) -> None:
        keyring, clock, place = MemoryKeyring(), HandClock(), some_place()
        sealer = Sealer(keyring, clock)
        kept = (await sealed_at(sealer, place, mail("text")))["email"]
        await keyring.destroy(place[1], None, None)
        clock.move(timedelta(seconds=-1))
        assert await sealer.unseal([kept]) == [None]

    async def test_a_sealer_that_forgets_asks_at_once(self) -> None:
        keyring, place = MemoryKeyring(), some_place()
        sealer = Sealer(keyring)
        kept = (await sealed_at(sealer, place, mail("text")))["email"]
        await keyring.destroy(place[1], None, None)
        await sealer.forget()
        assert await sealer.unseal([kept]) == [None]
        assert (await sealed_at(sealer, place, mail("text")))["email"].value.v == 0

    async def test_more_keys_than_are_remembered_are_sealed_and_read_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.runtime.sealing.MOST_KEYS_KEPT", 3)
        keyring = CountingKeyring()
        sealer = Sealer(keyring)
        batch = [(*some_place(), mail(f"{n}")) for n in range(10)]
        sealed = await sealer.seal(batch)
        kept = [kept_in(recorded(one[0], event))["email"] for one, event in zip(batch, sealed, strict=True)]
        assert await sealer.unseal(kept) == [f"{n}" for n in range(10)]
        assert keyring.asked == [10, 7]


def some_place() -> tuple[UUID, UUID, UUID]:
    """Event id, subject, case."""
    return fresh_id(), fresh_id(), fresh_id()


def mail(text: str) -> Told:
    return Told(number=1, email=Clear(text=text))


async def sealed_at(sealer: Sealer, place: tuple[UUID, UUID, UUID], event: Event) -> dict[str, Kept]:
    [sealed] = await sealer.seal([(*place, event)])
    return kept_in(recorded(place[0], sealed))


async def sealed_mail(text: str) -> tuple[Sealer, Kept]:
    sealer = Sealer(MemoryKeyring())
    return sealer, (await sealed_at(sealer, some_place(), mail(text)))["email"]


def altered(kept: Kept, **changes: str) -> Kept:
    return replace(kept, value=kept.value.model_copy(update=changes))


def clear_texts(event: Told) -> dict[str, str]:
    """Path and text of all that an event says in clear, found another way than the sealer does."""
    found = {"email": event.email, **{f"remarks.{n}": one for n, one in enumerate(event.remarks)}}
    tops = {"first": event.first, **{f"pair.{n}": one for n, one in enumerate(event.pair or ())}}
    queue = [(path, note) for path, note in tops.items() if note]
    for path, note in queue:
        found |= {f"{path}.author": note.author, f"{path}.text": note.text}
        queue.extend((f"{path}.replies.{n}", reply) for n, reply in enumerate(note.replies))
    return {path: value.text for path, value in found.items() if isinstance(value, Clear)}


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def recorded(id: UUID, event: Event) -> Recorded:
    return Recorded(
        id=id,
        subject=fresh_id(),
        type=event.type,
        publisher=event.publisher(),
        sequence=1,
        time=NOON,
        occurred_at=NOON,
        actor=Actor("a", "clerk", "human"),
        command=fresh_id(),
        correlation=fresh_id(),
        causation=None,
        seen="",
        policy_version=None,
        traceparent=None,
        event=event,
    )
