"""The root key of a deployment: read, made, and the one from which every other secret key is derived."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gatewright.base.digest import b64, unb64
from gatewright.base.moment import Dice

SIZE: Final = 32
VARIABLE: Final = "GATEWRIGHT_KEY"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFault(Exception):
    """The root key is missing, unreadable, or not this store's; the text says what to do."""


class RootKey:
    """Thirty-two random bytes that never leave this object; what leaves it is derived."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != SIZE:
            raise KeyFault(f"the root key has {len(raw)} bytes, not {SIZE}")
        self._raw = raw

    def derive(self, purpose: str, *, tenant: int = 0, period: int = 0) -> bytes:
        """Return the 32-byte key for a purpose, tenant and period (HKDF-Expand, RFC 5869 §2.3: the root is random already)."""
        info = f"gw1|{purpose}|{tenant}|{period}".encode()
        return HKDFExpand(algorithm=SHA256(), length=SIZE, info=info).derive(self._raw)

    @property
    def fingerprint(self) -> str:
        """What tells this key from another without telling anything of it."""
        return b64(self.derive("fingerprint"))

    def __repr__(self) -> str:
        return "RootKey(hidden)"

    __str__ = __repr__


def read_root_key(file: Path | None, variable: str | None) -> RootKey:
    """Return the root key from its file, or from the value of GATEWRIGHT_KEY where no file is named.

    Raises:
        KeyFault: there is neither, or it is no key, or others may read the file.
    """
    if file is not None:
        return _parse(_private_text(file), f"the key file {file}")
    if variable:
        return _parse(variable, VARIABLE)
    raise KeyFault(f"there is no root key: name its file in the setting 'key_file' or put it into {VARIABLE}; `gatewright init` makes one")


def make_key_file(file: Path, dice: Dice) -> RootKey:
    """Make a key file that only its owner can read, and return its key.

    Raises:
        KeyFault: there is such a file already, or it cannot be made.
    """
    raw = dice.bytes(SIZE)
    try:
        # O_EXCL: a key that exists is worth more than the one that would replace it.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFault(f"the key file {file} exists already; it is never overwritten") from None
    except OSError as fault:
        raise KeyFault(f"the key file {file} cannot be made: {fault.strerror}") from fault
    with os.fdopen(handle, "w", encoding="ascii") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(b64(raw) + "\n")
        out.flush()
        # What is sealed with this key outlives a power cut, so the key must.
        os.fsync(out.fileno())
    return RootKey(raw)


def _private_text(file: Path) -> str:
    try:
        with file.open("rb") as source:
            mode = os.fstat(source.fileno()).st_mode
            if mode & _OTHERS:
                raise KeyFault(f"the key file {file} can be read or written by others than its owner: run `chmod 600 {file}`")
            return source.read(4 * SIZE).decode("ascii", "replace")
    except FileNotFoundError:
        raise KeyFault(
            f"the key file {file} does not exist; `gatewright init` makes one for a new store, an old store needs its own"
        ) from None
    except OSError as fault:
        raise KeyFault(f"the key file {file} cannot be read: {fault.strerror}") from fault


def _parse(text: str, where: str) -> RootKey:
    raw = unb64(text.strip())
    if raw is None or len(raw) != SIZE:
        raise KeyFault(f"{where} holds no root key: {SIZE} bytes in base64url without padding, 43 characters, are expected")
    return RootKey(raw)
