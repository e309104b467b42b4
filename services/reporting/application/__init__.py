"""What reporting does with the log: judge its records as every reader does, and verify the ledger against it."""
