"""What auditors decide about a case."""
