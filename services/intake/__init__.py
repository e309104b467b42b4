"""Stimulation and acceptance (Stimulierung, Annahme): complaints are received, registered and first classified here."""
