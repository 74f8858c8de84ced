"""The host of an address that we are asked to call: one rule for the door where it is written and the one where it is called."""

from __future__ import annotations

import re
from typing import Final

LOOPBACK: Final = frozenset(["127.0.0.1", "::1", "localhost"])
NO_HOST: Final = "the address has no host name that could be looked up: up to 253 characters, labels of 1 to 63 between the dots"
_LONGEST: Final = 253
# What a name server knows; every other spelling of a host or an address is somebody's trick.
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_LONGEST_LABEL: Final = 63


def is_host(text: str) -> bool:
    """Tell whether a name, in small letters, or an address without brackets can be looked up at all (RFC 1035 §2.3.4)."""
    labels = text.split(".") if ":" not in text else ()
    return len(text) <= _LONGEST and _HOST.fullmatch(text) is not None and all(0 < len(label) <= _LONGEST_LABEL for label in labels)
