"""What happened, in one sentence per event type, in German and English; personal text is never part of it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from shared.schemas import intake, processing, reporting
from shared.schemas.base import Event


class Sentence(NamedTuple):
    german: str
    english: str


def sentence(event: Event) -> Sentence:
    """The event told; a type that has no sentence yet is named."""
    tell = SENTENCES.get(type(event))
    return tell(event) if tell else Sentence(f"Ereignis {event.type}", f"Event {event.type}")


def _received(event: Any) -> Sentence:
    number, channel = event.case_number, event.channel.value
    kept = event.origin.value == "history"
    return Sentence(
        f"Beschwerde {number} angenommen ({channel}{', als Historie geführt' if kept else ''})",
        f"Complaint {number} was received ({channel}{', kept as history' if kept else ''})",
    )


def _registered(event: Any) -> Sentence:
    what, gaps = event.product or "–", ", ".join(event.gaps)
    return Sentence(
        f"Beschwerde erfasst: {what}{f', es fehlt: {gaps}' if gaps else ''}",
        f"The complaint was registered: {what}{f', missing: {gaps}' if gaps else ''}",
    )


def _classified(event: Any) -> Sentence:
    path, urgency = " / ".join(event.category), event.urgency.value
    scheme = event.scheme_version
    return Sentence(
        f"Problem {event.item} klassifiziert: {path}, Dringlichkeit {urgency} (Schema {scheme})",
        f"Problem {event.item} was classified: {path}, urgency {urgency} (scheme {scheme})",
    )


def _told(event: Any) -> Sentence:
    word = f' ("{event.label}")' if event.label else ""
    german = {
        "forwarded": "weitergeleitet",
        "answered": "beantwortet",
        "closed": "abgeschlossen",
        "disputed": "angefochten",
    }
    return Sentence(
        f"{event.source_system} meldet: dort {german[event.kind.value]}{word}",
        f"{event.source_system} says: {event.kind.value} over there{word}",
    )


def _corrected(event: Any) -> Sentence:
    names = ", ".join(event.fields)
    return Sentence(
        f"Daten berichtigt: {names} ({event.reason})", f"Data were corrected: {names} ({event.reason})"
    )


def _erasure_ordered(event: Any) -> Sentence:
    groups = ", ".join(group.value for group in event.groups)
    return Sentence(
        f"Löschung angeordnet: {groups} ({event.basis.value})",
        f"Erasure was ordered: {groups} ({event.basis.value})",
    )


def _erased(event: Any) -> Sentence:
    groups = ", ".join(group.value for group in event.groups)
    return Sentence(
        f"Personenbezogene Daten gelöscht: {groups}; {len(event.kids)} Schlüssel vernichtet",
        f"Personal data were erased: {groups}; {len(event.kids)} keys destroyed",
    )


def _assigned(event: Any) -> Sentence:
    unit = f" ({event.unit})" if event.unit else ""
    return Sentence(f"{event.owner}{unit} zugewiesen", f"Assigned to {event.owner}{unit}")


def _declined(event: Any) -> Sentence:
    reason = event.reason.value
    return Sentence(f"{event.owner} lehnt ab: {reason}", f"{event.owner} declined: {reason}")


def _started(event: Any) -> Sentence:
    return Sentence(f"{event.owner} hat die Bearbeitung begonnen", f"{event.owner} started handling")


def _adopted(event: Any) -> Sentence:
    return Sentence(
        f"{event.owner} übernimmt den Fall in eigene Bearbeitung",
        f"{event.owner} takes the case into our own hands",
    )


def _clock_started(event: Any) -> Sentence:
    clock, due = event.clock.value, event.due.isoformat()
    days, version = event.target, event.calendar_version
    return Sentence(
        f"Frist {clock} läuft bis {due} ({days} Arbeitstage, Kalender {version})",
        f"Clock {clock} runs until {due} ({days} business days, calendar {version})",
    )


def _reminded(event: Any) -> Sentence:
    owner = event.owner or "–"
    clock = event.clock.value
    return Sentence(f"{owner} an Frist {clock} erinnert", f"{owner} was reminded of clock {clock}")


def _escalated(event: Any) -> Sentence:
    clock, level = event.clock.value, event.level
    return Sentence(
        f"Frist {clock} überschritten: eskaliert auf Stufe {level}",
        f"Clock {clock} ran out: escalated to level {level}",
    )


def _settled(event: Any) -> Sentence:
    return Sentence(f"Einwand geprüft: {event.finding}", f"Objection was looked into: {event.finding}")


def _closed(event: Any) -> Sentence:
    outcome = f", {event.outcome}" if event.outcome else ""
    return Sentence(
        f"Fall abgeschlossen: {event.reason.value}{outcome}",
        f"The case was closed: {event.reason.value}{outcome}",
    )


def _reopened(event: Any) -> Sentence:
    return Sentence(
        f"Fall zum {event.number}. Mal wiedereröffnet: {event.reason.value}",
        f"The case was reopened (number {event.number}): {event.reason.value}",
    )


def _fork_acknowledged(event: Any) -> Sentence:
    places = ", ".join(f"{fork.partition}:{fork.offset}" for fork in event.forks)
    return Sentence(
        f"Doppelte Folgenummer zur Kenntnis genommen ({places}): {event.finding}",
        f"Doubled sequence was acknowledged ({places}): {event.finding}",
    )


SENTENCES: Mapping[type[Event], Callable[[Any], Sentence]] = {
    intake.ComplaintReceived: _received,
    intake.ComplaintRegistered: _registered,
    intake.ComplaintClassified: _classified,
    intake.UpstreamFactReceived: _told,
    intake.ComplaintDataCorrected: _corrected,
    intake.ErasureOrdered: _erasure_ordered,
    intake.PersonalDataErased: _erased,
    processing.ComplaintAssigned: _assigned,
    processing.AssignmentDeclined: _declined,
    processing.HandlingStarted: _started,
    processing.CaseAdopted: _adopted,
    processing.ClockStarted: _clock_started,
    processing.ReminderSent: _reminded,
    processing.ComplaintEscalated: _escalated,
    processing.ObjectionSettled: _settled,
    processing.ComplaintClosed: _closed,
    processing.ComplaintReopened: _reopened,
    reporting.ForkAcknowledged: _fork_acknowledged,
}
