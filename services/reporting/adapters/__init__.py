"""Reporting's ledger in PostgreSQL, its reader of whole topics, and its API."""
