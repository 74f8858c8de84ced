"""What a grant type is asked, and what it answers: this authorization, these scopes, these limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gatewright.oauth import places
from gatewright.oauth.catalogue import OPENID_API, Catalogue
from gatewright.oauth.decision import refusal
from gatewright.oauth.errors import InvalidScope
from gatewright.oauth.handle import ALL, room
from gatewright.oauth.resource import Target, pick

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewright.oauth.ask import Ask
    from gatewright.oauth.authorization import Redeemable, Standing
    from gatewright.oauth.client import Client
    from gatewright.oauth.ports import World
    from gatewright.oauth.report_only import Breach


@dataclass(frozen=True, slots=True)
class Call:
    """A token request of an authenticated client that may use the grant type."""

    ask: Ask
    client: Client
    breaches: list[Breach] = field(default_factory=list)
    """What passes only because its rule is tried out; counted when the call was answered."""


class Approval(Struct, frozen=True, kw_only=True):
    """What may be made now. After it, there is only signing: whatever can refuse has had its say.

    `named` are the narrower scopes of an opaque token. `refresh` is the row and the generation of the refresh token that goes along.
    `not_after` is a limit on the access token's life; `standing_token` the access token itself, where it lives until revoked.
    `install` is what an app became by it, `declined` what its user said no to.
    """

    standing: Standing
    client: Client
    target: Target
    named: bytes = ALL
    refresh: tuple[Redeemable, int] | None = None
    not_after: int | None = None
    nonce: str | None = None
    standing_token: str | None = None
    install: int = 0
    declined: tuple[str, ...] = ()


class GrantType(Protocol):
    """A module of this package that is a grant type."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """The `grant_type` of its requests."""

    async def approve(self, call: Call, world: World) -> Approval:
        """Say what the request may have, or raise the refusal."""


def aim(names: tuple[str, ...] | None, standing: Standing, call: Call, catalogue: Catalogue, *, whole: bool = False) -> Target:
    """Return what a token of an authorization is for, by the decision of today. With `whole`, a client that wants all or nothing
    gets no less than these names, which are all that it was granted where none are given.

    Raises:
        InvalidScope: nothing is left of it, or too little (at this endpoint whoever's doing it is, RFC 6749 §5.2).
        InvalidTarget: which API is meant is unclear or impossible.
    """
    decision = standing.today(names, catalogue, call.client)
    asked: Iterable[str] = ()
    if whole and call.client.all_or_nothing:
        asked = catalogue.names(standing.ceiling) if names is None else names
    error = refusal(decision, call.client, asked)
    if error is not None:
        raise InvalidScope(error.description, why=error.why)
    return pick(call.ask.params.resources, standing.resources.split(), decision.granted, catalogue, call.client)


def narrowing(names: tuple[str, ...], standing: Standing, target: Target, catalogue: Catalogue) -> bytes:
    """Return what keeps an opaque token to less than its row has at the API.

    Raises:
        InvalidScope: the API has had so many scopes that no token is long enough to say which of them are meant.
    """
    api = target.api
    if api is not None and api.token_format == "jwt":
        return ALL
    here = (OPENID_API, OPENID_API if api is None else api.id)
    known = catalogue.scopes
    for number in standing.ceiling:
        scope = known.get(number)
        if scope is not None and scope.api in here and scope.name not in names:
            named = places.write(target.scopes, room())
            if named is None:
                raise InvalidScope("an opaque token cannot name so many of this API's scopes: ask for fewer, or for all that were granted")
            return named
    return ALL
