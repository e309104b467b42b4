"""The front door's words, in German and English, and the page made of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.runtime.auth import Role

HERE = Path(__file__).parent / "templates"
LANGUAGES = ("de", "en")


@dataclass(frozen=True, slots=True)
class Words:
    """A text in both languages."""

    de: str
    en: str

    def in_(self, language: str) -> str:
        return self.de if language == "de" else self.en


SERVICES: Mapping[str, Words] = {
    "intake": Words("Stimulierung und Annahme", "Stimulation and acceptance"),
    "processing": Words("Bearbeitung", "Handling"),
    "reaction": Words("Reaktion", "Reaction"),
    "controlling": Words("Auswertung und Controlling", "Evaluation and controlling"),
    "reporting": Words("Reporting und Revision", "Reporting and audit"),
}

ROLES: Mapping[Role, tuple[Words, Words]] = {
    Role.CUS: (
        Words(Role.CUS.german, "Complainant"),
        Words("beschwert sich und verfolgt den eigenen Fall", "complains and follows their own case"),
    ),
    Role.CON: (
        Words(Role.CON.german, "Contact employee"),
        Words(
            "nimmt Beschwerden auf, löst sie im Erstkontakt, eskaliert",
            "takes complaints, settles them at first contact, escalates",
        ),
    ),
    Role.INT: (
        Words(Role.INT.german, "Intake agent"),
        Words(
            "erfasst, berichtigt, klassifiziert, führt zusammen, weist zu",
            "registers, corrects, classifies, merges, assigns",
        ),
    ),
    Role.OWN: (
        Words(Role.OWN.german, "Complaint owner"),
        Words(
            "bearbeitet die eigenen Fälle, entscheidet, schließt und öffnet sie wieder",
            "handles their own cases, decides, closes and reopens them",
        ),
    ),
    Role.LEAD: (
        Words(Role.LEAD.german, "Team lead"),
        Words(
            "weist im Team zu, genehmigt, übernimmt Eskalationen der Stufe 1",
            "assigns within the team, approves, takes escalations of level 1",
        ),
    ),
    Role.CM: (
        Words(Role.CM.german, "Complaint manager"),
        Words(
            "verantwortet den ganzen Prozess, Regeln, Fristen und Maßnahmen",
            "answers for the whole process, its rules, deadlines and measures",
        ),
    ),
    Role.EXE: (
        Words(Role.EXE.german, "Senior management"),
        Words(
            "liest alles, genehmigt Regeln und Maßnahmen, Eskalation der Stufe 3",
            "reads all, approves rules and measures, escalations of level 3",
        ),
    ),
    Role.APR: (
        Words(Role.APR.german, "Approver"),
        Words(
            "genehmigt, was andere vorschlagen (Vier-Augen-Prinzip)",
            "approves what others propose (four eyes)",
        ),
    ),
    Role.FIN: (
        Words(Role.FIN.german, "Finance"),
        Words("zahlt aus und bestätigt Zahlungen", "pays and confirms payments"),
    ),
    Role.QM: (
        Words(Role.QM.german, "Quality manager"),
        Words(
            "liest Auswertungen, findet Ursachen, führt Maßnahmen",
            "reads evaluations, finds causes, runs measures",
        ),
    ),
    Role.CTL: (
        Words(Role.CTL.german, "Controller"),
        Words(
            "liest Kennzahlen, setzt Ziele und Kostenparameter",
            "reads indicators, sets targets and cost parameters",
        ),
    ),
    Role.AUD: (
        Words(Role.AUD.german, "Auditor"),
        Words(
            "liest alles, spielt Fälle nach, prüft und exportiert",
            "reads all, replays cases, verifies and exports",
        ),
    ),
    Role.DPO: (
        Words(Role.DPO.german, "Data protection officer"),
        Words("löscht, sperrt und gibt Auskunft", "erases, holds and gives access"),
    ),
    Role.UPS: (
        Words(Role.UPS.german, "Upstream system"),
        Words(
            "liefert Beschwerden und spätere Tatsachen ein",
            "posts complaints and later facts about them",
        ),
    ),
    Role.OPS: (
        Words(Role.OPS.german, "Operator"),
        Words(
            "sieht Zustand und geparkte Fälle, gibt sie frei; keine personenbezogenen Daten",
            "sees health and parked cases, releases them; no personal data",
        ),
    ),
}

TEXTS: Mapping[str, Words] = {
    "title": Words("Redress: Eingang", "Redress: front door"),
    "other": Words("English", "Deutsch"),
    "skip": Words("Zum Inhalt", "Skip to content"),
    "development": Words(
        "Anmeldung zum Entwickeln: Auf diesem Rechner darf jeder jede Rolle annehmen.",
        "Sign-in for development: on this machine everybody may take every role.",
    ),
    "services": Words("Dienste", "Services"),
    "phase": Words("Phase", "Phase"),
    "address": Words("Adresse", "Address"),
    "description": Words("Beschreibung der Schnittstelle", "Description of the interface"),
    "roles": Words("Rollen", "Roles"),
    "code": Words("Kürzel", "Code"),
    "role": Words("Rolle", "Role"),
    "may": Words("darf", "may"),
    "fetch": Words("Token holen", "Get a token"),
    "fetch_as": Words("Token holen als", "Get a token as"),
    "token": Words("So erhält man ein Token", "How to get a token"),
    "by_command": Words("Auf der Kommandozeile:", "On the command line:"),
    "by_http": Words("Über HTTP:", "By HTTP:"),
    "more": Words(
        "Weitere Felder: role (mehrfach), sub, entity und unit (mehrfach). Ein Token gilt eine Stunde.",
        "More fields: role (repeatable), sub, entity and unit (repeatable). A token is good for one hour.",
    ),
}

_templates = Environment(
    loader=FileSystemLoader(HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def language_of(wanted: str | None, accepted: str) -> str:
    """The language asked for by name, else the better one of Accept-Language, else English."""
    if wanted in LANGUAGES:
        return wanted
    weights = {language: 0.0 for language in LANGUAGES}
    for part in accepted.split(","):
        tag, _, quality = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(quality))
    return "de" if weights["de"] > weights["en"] else "en"


def _weight(quality: str) -> float:
    found = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", quality)
    return float(found[1]) if found else 1.0


def front_door(language: str, issuer: str, addresses: Mapping[str, str]) -> str:
    """The page as HTML."""
    return _templates.get_template("front_door.html").render(
        language=language,
        other="en" if language == "de" else "de",
        issuer=issuer,
        text={name: words.in_(language) for name, words in TEXTS.items()},
        services=[
            (name, SERVICES[name].in_(language), url) for name, url in addresses.items() if name in SERVICES
        ],
        roles=[(role, name.in_(language), may.in_(language)) for role, (name, may) in ROLES.items()],
    )


def stylesheet() -> str:
    """The page's own stylesheet: the content policy allows none inside the page."""
    return (HERE / "front_door.css").read_text(encoding="utf-8")
