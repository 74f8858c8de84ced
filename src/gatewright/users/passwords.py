"""Passwords: what may be one, and the argon2id digest that is kept of it (RFC 9106)."""

from __future__ import annotations

import unicodedata
from typing import Final

from argon2 import extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type, hash_secret, verify_secret

from gatewright.users.rules import email_key

TIME_COST: Final = 2
MEMORY_KIB: Final = 19_456
PARALLELISM: Final = 1
SALT_BYTES: Final = 16
LONGEST: Final = 1024  # bytes of UTF-8
SHORTEST: Final = 8  # characters of one that is set (NIST SP 800-63B-3 §5.1.1.2, OWASP ASVS 5.0 6.2.1)
RULE: Final = f"At least {SHORTEST} characters, and not the user's own e-mail address."

_HASH_BYTES: Final = 32

# The digest of nothing anybody knows: where there is no user, or no password, checking against it costs what checking costs.
STAND_IN: Final = "$argon2id$v=19$m=19456,t=2,p=1$c3RhbmQtaW4gc2FsdCEhIQ$bttiD/N/bqbJfRStKif9f/VLGeYlddPTXdRTZ/WUFQc"
_NOTHING: Final = b"\0"


def password_fault(password: str) -> str | None:
    """Return why a text can be no password, or None."""
    if not password:
        return "a password is expected"
    if "\0" in password:
        return "a password holds no NUL character"
    try:
        length = len(_bytes(password))
    except UnicodeEncodeError:
        return "a password holds whole characters"
    return f"a password has at most {LONGEST} bytes" if length > LONGEST else None


def new_password_fault(password: str, email: str = "") -> str | None:
    """Return why a text cannot become the password of the user with this e-mail address, or None. What is kept already goes on."""
    wrong = password_fault(password)
    if wrong is not None:
        return wrong
    if len(_normal(password)) < SHORTEST:
        return f"a password has at least {SHORTEST} characters"
    address = email_key(email)
    # The first thing that anybody tries (NIST SP 800-63B-3 §5.1.1.2: context-specific words).
    if address and email_key(password) in (address, address.rpartition("@")[0]):
        return "a password is not the user's own e-mail address, nor what stands before its @"
    return None


def digest_of(password: str, salt: bytes) -> str:
    """Return the digest to be kept of a password; `salt` is 16 random bytes.

    Raises:
        ValueError: it can be no password.
    """
    wrong = password_fault(password)
    if wrong is not None:
        raise ValueError(wrong)
    return hash_secret(_bytes(password), salt, TIME_COST, MEMORY_KIB, PARALLELISM, _HASH_BYTES, Type.ID).decode()


def fits(digest: str | None, password: str) -> bool:
    """Tell whether a password belongs to a digest. No answer is quicker than the other, also where there is no digest."""
    usable = password_fault(password) is None
    kept = digest if usable and digest else STAND_IN
    try:
        verify_secret(kept.encode(), _bytes(password) if usable else _NOTHING, Type.ID)
    except (Argon2Error, InvalidHashError):
        return False
    return kept != STAND_IN


def outdated(digest: str) -> bool:
    """Tell whether a digest was made with other parameters than one made today would be."""
    try:
        made = extract_parameters(digest)
    except InvalidHashError:
        return True
    return (made.type, made.time_cost, made.memory_cost, made.parallelism) != (Type.ID, TIME_COST, MEMORY_KIB, PARALLELISM)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _bytes(password: str) -> bytes:
    return _normal(password).encode()
