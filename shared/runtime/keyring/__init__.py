"""Data keys apart from the log: destroying one erases what it sealed, everywhere at once."""

from shared.runtime.keyring.memory import MemoryKeyring
from shared.runtime.keyring.port import GROUPS, REJECTED, DataKey, Destroyed, Destruction, KeyName, Keyring
from shared.runtime.keyring.postgres import PostgresKeyring, open_keyring
from shared.runtime.keyring.wrapping import WrongMasterKey

__all__ = [
    "GROUPS",
    "REJECTED",
    "DataKey",
    "Destroyed",
    "Destruction",
    "KeyName",
    "Keyring",
    "MemoryKeyring",
    "PostgresKeyring",
    "WrongMasterKey",
    "open_keyring",
]
