"""What handling shows of its cases."""
