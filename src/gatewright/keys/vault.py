"""Seals what is answered once and may be asked for again: the root key is half of the key, the caller has the other half."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from gatewright.base.digest import b64, hmac_sha256, unb64
from gatewright.keys.root import KeyFault, RootKey
from gatewright.keys.sealer import NONCE

_PURPOSE: Final = "repeated answers"


class AnswerVault:
    """The `Vault` of `management.perform`."""

    __slots__ = ("_root",)

    def __init__(self, root: RootKey) -> None:
        self._root = root

    def mac(self, tenant: int, message: bytes) -> str:
        """Return a digest that nobody without the root key can make, so that no guess at what was sent is checked against it."""
        return b64(hmac_sha256(self._root.derive(_PURPOSE, tenant=tenant), b"request\0" + message))

    def seal(self, tenant: int, name: str, half: str, plain: bytes, *, nonce: bytes) -> str:
        """Return the text to be kept under a name (AES-256-GCM-SIV); `nonce` is 12 random bytes."""
        return b64(nonce + self._cipher(tenant, half).encrypt(nonce, plain, name.encode()))

    def unseal(self, tenant: int, name: str, half: str, sealed: str) -> bytes:
        """Return what was sealed.

        Raises:
            KeyFault: another root key sealed it, for another name, or with another half.
        """
        raw = unb64(sealed)
        try:
            if raw is not None and len(raw) >= NONCE:
                return self._cipher(tenant, half).decrypt(raw[:NONCE], raw[NONCE:], name.encode())
        except InvalidTag:
            pass
        raise KeyFault("a kept answer does not open with this root key")

    def _cipher(self, tenant: int, half: str) -> AESGCMSIV:
        return AESGCMSIV(hmac_sha256(self._root.derive(_PURPOSE, tenant=tenant), b"answer\0" + half.encode()))
