"""What an e-mail address and a profile may be."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

from gatewright.oauth.claims import OWNERS

_LONGEST: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
_LONGEST_LOCAL: Final = 64
# What the record itself says, and is not written a second time into its profile.
_OF_THE_RECORD: Final = frozenset({"name", "email", "email_verified", "updated_at"})
_ADDRESS_PARTS: Final = frozenset({"formatted", "street_address", "locality", "region", "postal_code", "country"})


def email_key(email: str) -> str:
    """Return what an e-mail address is found by: nobody signs up twice by writing it in capitals."""
    return unicodedata.normalize("NFC", email.strip()).casefold()


def email_fault(email: str) -> str | None:
    """Return why a text is no e-mail address, or None; whether it is somebody's only a message to it proves."""
    local, at, host = email.rpartition("@")
    if not at or not local or "." not in host or "@" in local:
        return "an e-mail address is expected"
    if len(email) > _LONGEST or len(local) > _LONGEST_LOCAL:
        return "the e-mail address is too long"
    if any(char.isspace() or not char.isprintable() or char in '<>(),;:\\"' for char in email):
        return "an e-mail address holds no spaces, brackets or quotation marks"
    return None


def profile_faults(profile: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the claims of a profile that are none, each with why (OpenID Connect Core §5.1)."""
    found = []
    for name, value in profile.items():
        if name not in OWNERS or name in _OF_THE_RECORD:
            found.append((name, "this is no standard claim that a profile holds"))
        elif name == "address":
            if not isinstance(value, Mapping) or not all(part in _ADDRESS_PARTS and isinstance(text, str) for part, text in value.items()):
                found.append((name, f"a table of texts with the keys {', '.join(sorted(_ADDRESS_PARTS))} is expected"))
        elif not isinstance(value, bool if name.endswith("_verified") else str):
            found.append((name, "true or false is expected" if name.endswith("_verified") else "a text is expected"))
    return found


def profile_claims() -> list[str]:
    """Return the names that a profile may hold."""
    return sorted(set(OWNERS) - _OF_THE_RECORD)
