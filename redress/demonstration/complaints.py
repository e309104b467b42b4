"""What the demonstration's customers complain about, in German and English."""

from collections.abc import Iterator
from typing import Any

CATEGORIES = (
    "goods/defect",
    "service/poor-quality",
    "billing/wrong-amount",
    "safety/hazard",
    "contact/wrong-information",
    "contract/change-unwanted",
    "delivery/late",
    "service/not-performed",
    "contract/cancellation-refused",
    "contact/wrong-information",
    "billing/unexpected-fee",
    "contact/not-reachable",
)
"""Of the complaints below, in their order."""

SAID: tuple[tuple[str, str, str, str, str, list[str], int], ...] = (
    # language, channel, product, narrative, who, wish, annoyance
    ("de", "phone", "Kaffeemaschine", "Die Maschine leckt seit dem ersten Tag. Ich habe dreimal angerufen und warte "
     "noch immer auf den Rückruf.", "Brigitte Öztürk", ["repair", "apology"], 5),
    ("en", "e-mail", "broadband", "The line drops every evening around eight. Two technicians came and neither "
     "wrote anything down.", "Owen Llewellyn", ["refund", "explanation"], 4),
    ("de", "letter", "Stromtarif", "Die Abschlagszahlung wurde ohne Ankündigung verdoppelt. Bitte erklären Sie mir "
     "die Rechnung.", "Jürgen Weiß", ["explanation", "price-cut"], 3),
    ("en", "web-form", "kettle", "The handle came off while pouring. Nobody was hurt, but somebody will be.",
     "Aoife Brennan", ["replacement", "information"], 4),
    ("de", "in-person", "Bankkonto", "Am Schalter hieß es, das Formular gebe es nicht mehr. Online gibt es das.",
     "Käthe Müller-Groß", ["apology"], 2),
    ("en", "phone", "broadband", "I was promised a fixed price for two years and it went up after ten months.",
     "Fatima El-Amin", ["price-cut"], 4),
    ("de", "e-mail", "Waschmaschine", "Lieferung am falschen Tag, ich war umsonst zu Hause. Das war ein Urlaubstag.",
     "Sören Ångström", ["damages"], 5),
    ("en", "chat", "travel insurance", "The claim form rejects my surname because of the apostrophe.",
     "Siobhán O'Dowd", ["redo"], 3),
    ("de", "web-form", "Zeitschriften-Abo", "Gekündigt im März, im Mai wieder abgebucht.", "Paweł Nowak",
     ["refund"], 4),
    ("en", "letter", "hearing aid", "Your shop would not give me the manual in large print.", "Edith Marlowe",
     ["information", "apology"], 2),
    ("de", "app", "Mietwagen", "Für einen Kratzer belastet, der bei der Übergabe schon da war. Fotos habe ich.",
     "Zoë Schäfer", ["refund"], 5),
    ("en", "in-person", "bank account", "The branch closed at noon without a notice on the door.", "Tom Ashby",
     ["nothing"], 2),
)  # fmt: skip

POSTED: tuple[tuple[str, str, str, str], ...] = (
    # language, product, narrative, who: these come from the web shop through Kafka
    ("de", "Kopfhörer", "Der linke Kanal ist nach zwei Wochen stumm.", "Änne Kowalski"),
    ("en", "garden chair", "Two legs of different length. The chair, not mine.", "Percy Waugh"),
    ("de", "Gutschein", "Der Code wird an der Kasse nicht angenommen.", "Mehmet Yılmaz"),
)


def by_http() -> Iterator[dict[str, Any]]:
    """Bodies for POST /v1/complaints, without a moment: they happen now."""
    for number, (said, category) in enumerate(zip(SAID, CATEGORIES, strict=True), 1):
        language, channel, product, narrative, who, wish, annoyance = said
        yield {
            "language": language,
            "channel": channel,
            "product": product,
            "category": category.split("/"),
            "narrative": narrative,
            "name": who,
            "email": f"customer-{number}@example.org",
            "customer_number": f"K-{1000 + number}",
            "wish": wish,
            "annoyance": annoyance,
            "severity": 3,
            "unit": "customer-care",
        }


def by_kafka(run: str) -> Iterator[dict[str, Any]]:
    """CloudEvents for complaints.inbound; run keeps the references of one demonstration apart from the next one's."""
    for number, (language, product, narrative, who) in enumerate(POSTED, 1):
        yield {
            "specversion": "1.0",
            "id": f"{run}-{number}",
            "source": "web-shop",
            "subject": f"order-{run}-{number}",
            "type": "upstream.complaint.v1",
            "data": {
                "language": language,
                "channel": "web-form",
                "product": product,
                "narrative": narrative,
                "name": who,
                "email": f"shopper-{number}@example.org",
                "wish": ["replacement"],
                "unit": "customer-care",
            },
        }
