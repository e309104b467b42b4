"""A file in the columns of the CFPB's export, made up: for machines that do not have the published one."""

import csv
import random
from datetime import date, timedelta
from pathlib import Path

HEADER = (
    "Date received", "Product", "Sub-product", "Issue", "Sub-issue", "Consumer complaint narrative",
    "Company public response", "Company", "State", "ZIP code", "Tags", "Consumer consent provided?", "Submitted via",
    "Date sent to company", "Company response to consumer", "Timely response?", "Consumer disputed?", "Complaint ID",
)  # fmt: skip
PRODUCTS = (
    ("Debt collection", "Medical", "Communication tactics"),
    ("Mortgage", "Conventional fixed mortgage", "Loan servicing, payments, escrow account"),
    ("Credit card", "", "Billing disputes"),
    ("Bank account or service", "Checking account", "Deposits and withdrawals"),
)
RESPONSES = (
    "Closed with explanation",
    "Closed with monetary relief",
    "Closed with non-monetary relief",
    "Closed",
    "In progress",
)
CHANNELS = ("Web", "Phone", "Postal mail", "Referral")
FIRST_DAY = date(2016, 9, 1)


def write(path: Path, rows: int = 300, seed: int = 7) -> Path:
    """Writes the file; the same seed gives the same bytes. Every seventh answered complaint is disputed."""
    chance = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            writer.writerow(_row(chance, number))
    return path


def _row(chance: random.Random, number: int) -> tuple[str, ...]:
    product, sub_product, issue = chance.choice(PRODUCTS)
    received = FIRST_DAY + timedelta(days=chance.randrange(28))
    sent = received + timedelta(days=chance.randrange(3))
    response = chance.choice(RESPONSES)
    disputed = "" if response == "In progress" else ("Yes" if number % 7 == 0 else "No")
    timely = "No" if number % 31 == 0 else "Yes"
    return (
        f"{received:%m/%d/%Y}", product, sub_product, issue, "", "", "", "Made-up Savings", "OH", "450XX", "",
        "Consent not provided", chance.choice(CHANNELS), f"{sent:%m/%d/%Y}", response, timely, disputed,
        str(9_000_000 + number),
    )  # fmt: skip
