"""The category scheme that is shipped: consumers' problems in general, and those with financial services in detail."""

from collections.abc import Iterator

from shared.schemas.intake import Category, CategorySchemePublished

SCHEME_NAME = "categories"

_TREE: dict[tuple[str, str, str], dict[str, tuple[str, str]]] = {
    ("goods", "Ware", "Goods"): {
        "defect": ("Mangel oder Ausfall", "Defect or failure"),
        "not-as-described": ("Nicht wie beschrieben", "Not as described"),
        "wrong-item": ("Falscher Artikel", "Wrong item"),
        "incomplete": ("Unvollständig", "Incomplete"),
        "warranty-refused": ("Gewährleistung abgelehnt", "Warranty refused"),
    },
    ("delivery", "Lieferung", "Delivery"): {
        "late": ("Verspätet", "Late"),
        "not-delivered": ("Nicht geliefert", "Not delivered"),
        "damaged": ("Beschädigt angekommen", "Damaged on arrival"),
    },
    ("service", "Dienstleistung", "Service"): {
        "poor-quality": ("Schlechte Ausführung", "Poor quality"),
        "not-performed": ("Nicht erbracht", "Not performed"),
        "appointment-missed": ("Termin nicht eingehalten", "Appointment missed"),
    },
    ("billing", "Rechnung und Preis", "Billing and price"): {
        "wrong-amount": ("Falscher Betrag", "Wrong amount"),
        "unexpected-fee": ("Unerwartete Gebühr", "Unexpected fee"),
        "refund-missing": ("Erstattung fehlt", "Refund missing"),
        "payment-processing": ("Zahlung nicht verbucht", "Payment not processed"),
    },
    ("contract", "Vertrag", "Contract"): {
        "terms": ("Vertragsbedingungen", "Terms"),
        "change-unwanted": ("Ungewollte Änderung", "Unwanted change"),
        "cancellation-refused": ("Kündigung nicht anerkannt", "Cancellation refused"),
        "advertising": ("Irreführende Werbung", "Misleading advertising"),
    },
    ("contact", "Erreichbarkeit und Auskunft", "Reachability and information"): {
        "not-reachable": ("Nicht erreichbar", "Not reachable"),
        "no-answer": ("Keine Antwort", "No answer"),
        "wrong-information": ("Falsche Auskunft", "Wrong information"),
    },
    ("staff", "Verhalten von Mitarbeitern", "Conduct of staff"): {
        "unfriendly": ("Unfreundlich", "Unfriendly"),
        "incompetent": ("Fachlich mangelhaft", "Incompetent"),
        "improper": ("Unzulässiges Verhalten", "Improper conduct"),
    },
    ("privacy", "Datenschutz", "Data protection"): {
        "data-wrong": ("Falsche Daten", "Wrong data"),
        "data-disclosed": ("Unbefugte Weitergabe", "Unauthorised disclosure"),
        "unwanted-contact": ("Ungewollte Kontaktaufnahme", "Unwanted contact"),
    },
    ("safety", "Sicherheit und Gesundheit", "Safety and health"): {
        "injury": ("Verletzung oder Erkrankung", "Injury or illness"),
        "hazard": ("Gefährdung", "Hazard"),
    },
    ("finance", "Finanzdienstleistungen", "Financial services"): {
        "account": ("Konto eröffnen, führen, schließen", "Opening, managing, closing an account"),
        "transactions": ("Ein- und Auszahlungen, Überweisungen", "Deposits, withdrawals, transfers"),
        "card-use": ("Karten benutzen", "Using a card"),
        "fees-and-interest": ("Gebühren und Zinsen", "Fees and interest"),
        "billing-dispute": ("Strittige Abrechnung", "Billing dispute"),
        "application": ("Antrag und Bewilligung", "Application and decision"),
        "loan-servicing": ("Kreditverwaltung und Tilgung", "Loan servicing and repayment"),
        "repayment-difficulty": ("Zahlungsschwierigkeiten", "Difficulty in repaying"),
        "credit-report": ("Falsche Bonitätsauskunft", "Incorrect credit report"),
        "credit-report-inquiry": ("Umgang mit Bonitätsauskünften", "Handling of credit reports"),
        "debt-not-owed": ("Forderung besteht nicht", "Debt not owed"),
        "debt-verification": ("Forderung nicht nachgewiesen", "Debt not verified"),
        "collection-conduct": ("Methoden der Eintreibung", "Conduct in collecting"),
        "fraud": ("Betrug und Identitätsdiebstahl", "Fraud and identity theft"),
        "marketing": ("Werbung, Prämien, Zusatzverträge", "Advertising, rewards, add-ons"),
        "other": ("Sonstige Finanzdienstleistung", "Other financial service"),
    },
    ("other", "Sonstiges", "Other"): {},
}


def category_scheme() -> CategorySchemePublished:
    """The scheme that is in force until the company publishes its own."""
    return CategorySchemePublished(name=SCHEME_NAME, version="1", categories=list(_categories()))


def _categories() -> Iterator[Category]:
    for (root, german, english), children in _TREE.items():
        yield Category(path=[root], german=german, english=english)
        for code, names in children.items():
            yield Category(path=[root, code], german=names[0], english=names[1])
