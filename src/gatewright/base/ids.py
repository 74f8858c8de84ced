"""Row ids as people and protocols see them: a prefix that names the kind, then 13 characters of base 32."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple([first + second for first in _ALPHABET for second in _ALPHABET])  # 10 bits at once
_VALUES: Final = {char: value for value, char in enumerate(_ALPHABET)}
_LENGTH: Final = 13  # 13 x 5 bits hold 63
_LIMIT: Final = 1 << 63

TENANT, USER, ACCOUNT, MEMBERSHIP, API, ROLE = "tn", "us", "ac", "mb", "ap", "ro"
CLIENT, GRANT, AUTHORIZATION, SESSION, KEY, SECRET, SCOPE, AUDIT = "cl", "gr", "az", "se", "ke", "cs", "sc", "au"
INSTALL, EVENT, WEBHOOK_SECRET = "in", "ev", "ws"
PREFIXES: Final = frozenset(
    {TENANT, USER, ACCOUNT, MEMBERSHIP, API, ROLE, CLIENT, GRANT, AUTHORIZATION, SESSION, KEY, SECRET, SCOPE, AUDIT}
    | {INSTALL, EVENT, WEBHOOK_SECRET}
)


def show(prefix: str, number: int) -> str:
    """Return an id's text, such as `us_01h2v5c8n4k7e`; texts of one kind sort as their numbers do."""
    pairs = _PAIRS
    high = f"{_ALPHABET[number >> 60]}{pairs[number >> 50 & 1023]}{pairs[number >> 40 & 1023]}{pairs[number >> 30 & 1023]}"
    return f"{prefix}_{high}{pairs[number >> 20 & 1023]}{pairs[number >> 10 & 1023]}{pairs[number & 1023]}"


# The same users, accounts and authorizations are named for as long as their tokens are used.
show_again: Final = lru_cache(maxsize=8192)(show)


def read(prefix: str, text: str) -> int | None:
    """Return the number of an id's text, or None when the text is no id of that kind. 0 is nobody's: in statements it is everybody."""
    if len(text) != len(prefix) + 1 + _LENGTH or not text.startswith(prefix + "_"):
        return None
    number = 0
    for char in text[len(prefix) + 1 :]:
        value = _VALUES.get(char)
        if value is None:
            return None
        number = number << 5 | value
    return number if 0 < number < _LIMIT else None


def shown(text: str) -> bool:
    """Tell whether a text has the form of an id of ours, of whatever kind."""
    return len(text) == _LENGTH + 3 and text[2] == "_" and text[:2] in PREFIXES and text[3:].isalnum()


def reserved(client_id: str) -> bool:
    """Tell whether a client id begins like one of our ids, so that a `sub` could be taken for both (RFC 9700 §4.15)."""
    return client_id[:3].rstrip("_") in PREFIXES and client_id[2:3] == "_"
