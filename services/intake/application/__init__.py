"""What acceptance does for a command besides deciding it."""
