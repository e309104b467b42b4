"""Kafka, PostgreSQL, the development issuer and the services on one machine, without containers."""

from redress.stack.stack import Stack

__all__ = ["Stack"]
