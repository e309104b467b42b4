"""Measures the heart of Redress beside its floors: what the same hardware does with the same bytes and no logic."""
