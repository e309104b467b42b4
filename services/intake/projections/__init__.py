"""What acceptance reads of its own log: case numbers, and the keys that must stay destroyed."""
