"""Reporting, information use and audit: the ledger, the replay of a case, verification, the register."""
