"""The records of tenants and their domains."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from gatewright.oauth.issuer import PathPreset, Policy

HOLD: Final = 90 * 86_400  # seconds for which a released domain goes to no other tenant

HexColor = Annotated[str, Meta(pattern=r"^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z", extra={"form": 'a colour such as "#0b6e4f" is expected'})]
WebAddress = Annotated[str, Meta(pattern=r"^https?://[^\s\"'<>\\]+\Z", max_length=2000, extra={"form": "a web address is expected"})]
LogoName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(?:svg|png|jpe?g|webp|ico)\Z",
        extra={"form": "the name of an image file is expected, without a folder"},
    ),
]


class Look(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a tenant's pages look: a colour, a logo's file name, and the addresses of its terms and privacy notice."""

    color: HexColor | None = None
    logo: LogoName | None = None
    terms: WebAddress | None = None
    privacy: WebAddress | None = None


class TenantRow(Struct, frozen=True):
    """A tenant as it is stored; `paths` is a list joined by spaces, `brand` and `policy` are JSON documents."""

    id: int
    slug: str
    name: str
    paths: str
    brand: str
    policy: str
    created_at: int
    disabled_at: int | None

    @property
    def look(self) -> Look:
        """How its pages look."""
        return msgspec.json.decode(self.brand, type=Look)

    @property
    def rules(self) -> Policy:
        """Its policy."""
        return msgspec.json.decode(self.policy, type=Policy)

    @property
    def presets(self) -> tuple[PathPreset, ...]:
        """The path presets on which it answers."""
        return msgspec.convert(self.paths.split(), tuple[PathPreset, ...])


DomainKind = Literal["issuer", "api"]


class DomainRow(Struct, frozen=True):
    """A domain as it is stored: `position` 0 is the one that links lead to, `look` a JSON document, "" for the tenant's own.

    What is of the kind `api` serves the tenant's API and issues nothing.
    """

    id: int
    tenant: int
    origin: str
    host: str
    position: int
    kind: DomainKind
    name: str
    look: str

    @property
    def own_look(self) -> Look:
        """What of its look is its own."""
        return msgspec.json.decode(self.look, type=Look) if self.look else Look()


class ReleasedRow(Struct, frozen=True):
    """A domain that a tenant gave up."""

    host: str
    tenant: int
    origin: str
    released_at: int

    @property
    def held_until(self) -> int:
        """When it may go to anybody; until then only its former tenant may have it (`security-rules` 39)."""
        return self.released_at + HOLD

    def kept_from(self, tenant: int, now: int) -> bool:
        """Tell whether a tenant may not have it yet."""
        return self.tenant != tenant and now < self.held_until
