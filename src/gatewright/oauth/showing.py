"""A name and a password that a program shows at the token endpoint, and the use of what weakens security."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from gatewright.base.secret import Secret
from gatewright.oauth.issuer import Issuer

PASSWORD_GRANT: Final = "password_grant"
OUT_OF_BAND: Final = "out_of_band"


class Showing(Struct, frozen=True, kw_only=True):
    """What a client was given by somebody. `people` tells whether it may be a person's; a service user's it may be always."""

    issuer: Issuer
    client: int
    username: str
    password: Secret
    people: bool
    address: str


class Shown(Struct, frozen=True):
    """Who showed the right password."""

    person: int
    epoch: int
    kind: Literal["person", "service"]


class Weakness(Struct, frozen=True):
    """The use of a weakness (`docs/house/vocabulary.md`), for the audit log and the list of who still needs it."""

    name: Literal["password_grant", "out_of_band"]
    address: str
