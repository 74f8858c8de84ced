"""Seals the handles that opaque access tokens are, wraps what must be read again, and keys digests. All keys come from the root key."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from gatewright.base.digest import b64, hmac_sha256, unb64
from gatewright.keys.root import KeyFault, RootKey
from gatewright.oauth.handle import Handles

DAY: Final = 86400
NONCE: Final = 12
_DAY_BYTES: Final = 2  # days since 1970 fit until 2149
_OVERHEAD: Final = _DAY_BYTES + NONCE + 16
# A token lives for 24 h at most and its end is told for 24 h more (`decisions` §2), so the key of the day before yesterday may
# still be asked for; tomorrow's, because another node's clock may already be there.
_OLDEST: Final = 2
_MAX_CIPHERS: Final = 8192

_Lock = tuple[AESGCMSIV, bytes, bytes]


class RootSealer:
    """The `Sealer` port. Every node that has the root key has the key of every day, so none must be handed around."""

    __slots__ = ("_ciphers", "_macs", "_root", "handles")

    def __init__(self, root: RootKey) -> None:
        self._root = root
        self.handles: Final = Handles()
        self._ciphers: dict[tuple[int, str, int], _Lock] = {}
        self._macs: dict[tuple[str, int], bytes] = {}
        _cipher(root.derive("self-test"))

    def seal(self, tenant: int, issuer: str, plain: bytes, *, now: int, nonce: bytes) -> bytes:
        """Return key id, nonce and ciphertext under the key of the day (AES-256-GCM-SIV, RFC 8452)."""
        cipher, bound, day = self._lock(tenant, issuer, now // DAY)
        return day + nonce + cipher.encrypt(nonce, plain, bound)

    def unseal(self, tenant: int, issuer: str, sealed: bytes, *, now: int, days: int = _OLDEST) -> bytes | None:
        """Return what was sealed for this tenant and issuer, or None when it was not, or on a day more than `days` ago."""
        if len(sealed) < _OVERHEAD:
            return None
        day = int.from_bytes(sealed[:_DAY_BYTES], "big")
        if not -1 <= now // DAY - day <= days:
            return None
        cipher, bound, _ = self._lock(tenant, issuer, day)
        try:
            return cipher.decrypt(sealed[_DAY_BYTES : _DAY_BYTES + NONCE], sealed[_DAY_BYTES + NONCE :], bound)
        except InvalidTag:
            return None

    def mac(self, purpose: str, tenant: int, message: bytes) -> bytes:
        """Return HMAC-SHA256 under the tenant's key for a purpose."""
        key = self._macs.get((purpose, tenant))
        if key is None:
            if len(self._macs) >= _MAX_CIPHERS:
                self._macs.clear()
            key = self._macs[purpose, tenant] = self._root.derive(f"mac {purpose}", tenant=tenant)
        return hmac_sha256(key, message)

    def _lock(self, tenant: int, issuer: str, day: int) -> _Lock:
        found = self._ciphers.get((tenant, issuer, day))
        if found is None:
            # An issuer is one of the tenant's own domains and a day one of few, so a stranger cannot fill this.
            if len(self._ciphers) >= _MAX_CIPHERS:
                self._ciphers.clear()
            bound = f"gw1|access|{tenant}|{issuer}|{day}".encode()
            found = (_cipher(self._root.derive("access", tenant=tenant, period=day)), bound, day.to_bytes(_DAY_BYTES, "big"))
            self._ciphers[tenant, issuer, day] = found
        return found


class Wrapper:
    """Encrypts what must be read again (private keys, secrets shown again), each bound to its purpose, tenant and own name."""

    __slots__ = ("_root",)

    def __init__(self, root: RootKey) -> None:
        self._root = root

    def wrap(self, purpose: str, tenant: int, name: str, plain: bytes, *, nonce: bytes) -> str:
        """Return the text to be stored (AES-256-GCM-SIV); `nonce` is 12 random bytes."""
        return b64(nonce + _cipher(self._root.derive(purpose, tenant=tenant)).encrypt(nonce, plain, _named(purpose, tenant, name)))

    def unwrap(self, purpose: str, tenant: int, name: str, wrapped: str) -> bytes:
        """Return what was wrapped.

        Raises:
            KeyFault: it was wrapped by another root key, for another name, or was changed.
        """
        raw = unb64(wrapped)
        try:
            if raw is not None and len(raw) >= NONCE:
                cipher = _cipher(self._root.derive(purpose, tenant=tenant))
                return cipher.decrypt(raw[:NONCE], raw[NONCE:], _named(purpose, tenant, name))
        except InvalidTag:
            pass
        raise KeyFault(f"a {purpose} in the store does not open with this root key")


def _named(purpose: str, tenant: int, name: str) -> bytes:
    return f"gw1|{purpose}|{tenant}|{name}".encode()


def _cipher(key: bytes) -> AESGCMSIV:
    try:
        return AESGCMSIV(key)
    except UnsupportedAlgorithm as fault:
        raise KeyFault("the installed cryptography library has no AES-GCM-SIV: it must be built with OpenSSL 3.2 or newer") from fault
