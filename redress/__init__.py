"""The command line of Redress and its stack on one machine."""
