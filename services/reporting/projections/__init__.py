"""What reporting shows of all cases."""
