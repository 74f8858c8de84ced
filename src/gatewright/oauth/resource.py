"""Which API is a token for? One access token is for one, so that no API can use it at another (RFC 8707, RFC 9700 §2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from gatewright.oauth.catalogue import OPENID_API, UNTIL_REVOKED, Api, Catalogue, Scope, said
from gatewright.oauth.client import Client
from gatewright.oauth.decision import printable
from gatewright.oauth.errors import InvalidTarget
from gatewright.oauth.handle import LONGEST
from gatewright.oauth.issuer import Policy

_NAMED: Final = 5


class Target(Struct, frozen=True):
    """What one access token is for: an API, or None for the issuer's own userinfo, and the scopes that fit there."""

    api: Api | None
    scopes: tuple[Scope, ...]

    @property
    def scope(self) -> str:
        """The scopes as the `scope` parameter has them (RFC 6749 §3.3)."""
        return said(self.scopes)

    @property
    def ids(self) -> frozenset[int]:
        """The ids of the scopes."""
        return frozenset([scope.id for scope in self.scopes])

    @property
    def reach(self) -> str:
        """Those scopes that are not tied to one account; an account-bound route lets no other pass without an account."""
        return said([scope for scope in self.scopes if scope.reach == "tenant"])

    def lifetime(self, policy: Policy) -> int:
        """Return for how many seconds an access token lives; the opaque ones for a day at most (`decisions` §3)."""
        if self.api is None:
            return policy.openid_token_lifetime
        seconds = self.api.token_lifetime
        if self.api.token_format == "jwt":
            return seconds
        return LONGEST if seconds == UNTIL_REVOKED else min(seconds, LONGEST)


def pick(asked: tuple[str, ...], approved: Iterable[str], granted: tuple[Scope, ...], catalogue: Catalogue, client: Client) -> Target:
    """Return what a token is for.

    `asked` are the `resource` parameters of the token request, `approved` those of the authorization (none: any API whose scopes
    were granted), `granted` the scopes of today's decision.

    Raises:
        InvalidTarget: the resource is unknown or beyond the grant, or several are possible and none was named (RFC 8707 §2.2).
    """
    within = frozenset(approved)
    if asked:
        return _narrowed(_asked_for(asked, within, granted, catalogue), granted)
    numbers = dict.fromkeys([scope.api for scope in granted if scope.api != OPENID_API])
    if len(numbers) == 1 and not within:
        # The usual case: nothing to choose.
        return Target(catalogue.apis[next(iter(numbers))], granted)
    choices = [catalogue.apis[number] for number in numbers if not within or catalogue.apis[number].audience in within]
    if not choices:
        # OpenID scopes alone, for a resource that was asked for by name.
        known = [catalogue.apis_by_audience.get(audience) for audience in sorted(within)]
        choices = [api for api in known if api is not None and not api.disabled]
    if not choices:
        return Target(None, granted)
    if len(choices) > 1 and client.settings.audience != "first":
        named = ", ".join([printable(api.audience) for api in choices[:_NAMED]])
        raise InvalidTarget(f"the scopes belong to several APIs and a token is for one: name it in the parameter 'resource' ({named})")
    return _narrowed(choices[0], granted)


def _asked_for(asked: tuple[str, ...], within: frozenset[str], granted: tuple[Scope, ...], catalogue: Catalogue) -> Api:
    if len(set(asked)) > 1:
        raise InvalidTarget("an access token is for one API: name one 'resource' in each request")
    api = catalogue.api_named(asked[0])
    if api is None or api.disabled:
        raise InvalidTarget("the resource is no API that is known here")
    if within and api.audience not in within:
        raise InvalidTarget("the resource is not among those that were approved")
    if not within and all(scope.api != api.id for scope in granted):
        raise InvalidTarget("no scope of that resource was granted")
    return api


def _narrowed(api: Api, granted: tuple[Scope, ...]) -> Target:
    """Return an API with those granted scopes that are its own or OpenID's."""
    kept = tuple([scope for scope in granted if scope.api in (api.id, OPENID_API)])
    if not kept:
        raise InvalidTarget("no scope of that resource was granted")
    return Target(api, kept)
