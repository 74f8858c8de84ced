"""Keeps secrets out of what is written down for people: by the name of a field and by the look of a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gatewright.base.digest import Kind
from gatewright.base.secret import Secret

MASK: Final = "(hidden)"
LONGEST: Final = 8192

# The last word of a field's name says what the field holds: `client_secret` holds a secret, `secret_id` an id.
_SECRET_WORDS: Final = frozenset(
    ["assertion", "code", "cookie", "digest", "jwt", "nonce", "passphrase", "password", "pepper", "secret", "seed", "state", "token"],
).union(["verifier"])
_SECRET_NAMES: Final = frozenset(
    ["authorization_header", "id_token_hint", "key_bytes", "login_hint", "passwords", "private_jwk", "private_key", "root_key"],
).union(["secrets", "tokens", "wrapped"])

# Our own secrets by their prefix, a JWS or JWE by its first two parts, and whatever follows a scheme of HTTP authentication.
_OURS: Final = "|".join(sorted(re.escape(kind.value) for kind in Kind))
_LOOKS_SECRET: Final = re.compile(
    rf"""(?: (?<![A-Za-z0-9]) gw[a-z]_ [A-Za-z0-9_-]{{6,}}
        | (?: {_OURS} ) [A-Za-z0-9_-]{{6,}}
        | whsec_ [A-Za-z0-9+/=]{{6,}}
        | eyJ [A-Za-z0-9_-]{{4,}} \. [A-Za-z0-9_-]* (?: \. [A-Za-z0-9_-]* )*
        | -----BEGIN\ [A-Z0-9 ]*PRIVATE\ KEY-----
        | \$argon2[a-z]{{1,2}}\$ [^\s"']+
        | \b (?: basic | bearer | dpop ) \s+ [A-Za-z0-9._~+/=-]{{6,}}
        | \b (?: access_token | assertion | client_assertion | client_secret | code | code_verifier | id_token | id_token_hint | password
               | refresh_token | subject_token | token | user_code ) (?: ["']? \s* [=:] \s* ["']? ) [^\s&"',;)}}]+
    )""",
    re.VERBOSE | re.IGNORECASE,
)


def names_secret(name: str) -> bool:
    """Tell whether a field of this name would hold a secret."""
    plain = name.lower().replace("-", "_")
    return plain in _SECRET_NAMES or plain.rsplit("_", 1)[-1] in _SECRET_WORDS


def mask(text: str) -> str:
    """Return text in which everything that looks like a secret is hidden."""
    return _LOOKS_SECRET.sub(MASK, text)


def masked(value: object) -> object:
    """Return a value made of JSON's kinds alone in which nothing looks like a secret.

    What is of another kind becomes its text; a text is cut where it gets too long to be read.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret | bytes | bytearray | memoryview):
        return MASK
    if isinstance(value, Mapping):
        return {str(name): MASK if names_secret(str(name)) else masked(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(part) for part in value]
    return mask(str(value)[:LONGEST])
