"""The master key: it closes and opens the keys that the database keeps, and is never in there itself."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime.keyring.port import KEY_BYTES

NONCE_BYTES = 12


class WrongMasterKey(RuntimeError):
    """A wrapped key does not open: another master key closed it, or somebody altered or moved it."""


class MasterKey:
    """AES-256-GCM with the key's own name as additional data, so that no wrapped key passes for another.

    A random nonce allows four thousand million wraps under one master key.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the master key has {len(key)} bytes instead of {KEY_BYTES}")
        self._cipher = AESGCM(key)

    def wrap(self, name: str, key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, name.encode())

    def wrap_fresh(self, name: str) -> bytes:
        """A new random key, wrapped; it is read back only if it is the one that was kept."""
        return self.wrap(name, os.urandom(KEY_BYTES))

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name.encode())
        except InvalidTag:
            raise WrongMasterKey(f"{name} does not open under this master key") from None
