"""Handling (Bearbeitung): who answers for a complaint, which deadlines run, how it comes to rest and wakes again."""
