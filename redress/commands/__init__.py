"""Subcommands, one subject a module; each offers `register(app)`, which the command line calls."""
