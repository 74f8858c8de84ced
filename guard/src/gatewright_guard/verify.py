"""Access tokens in the form of a JWT (RFC 9068 §4), and what they say. Pure: keys and time are handed in."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from gatewright_guard.jose import KeySet, verify
from gatewright_guard.refused import Cause, Refused

LEEWAY: Final = 10
"""Seconds by which the clocks of issuer and API may differ."""

_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_NEEDED: Final = ("exp", "iat", "jti")


class Claims(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Who calls, by which app, for which account, with which scopes: what an API gets to know of an accepted token."""

    sub: str
    client_id: str
    scopes: frozenset[str]
    iss: str
    aud: tuple[str, ...]
    exp: int | None
    """Epoch seconds; None only for an introspected token that lives until it is revoked."""
    iat: int | None
    jti: str | None
    account_id: str | None
    account: str | None
    """The account's slug, as it stands in the API's addresses."""
    authorization_id: str | None
    reach: frozenset[str]
    """The scopes that are not tied to one account."""
    confirmation: Mapping[str, object] | None
    """What the token is bound to, so that it is no bearer token: its `cnf` (RFC 7800 §3.1)."""
    members: Mapping[str, object]
    """Everything the token says, as it says it."""

    @property
    def bound(self) -> bool:
        """Whether the token is bound to a key or certificate, so that it is no bearer token."""
        return self.confirmation is not None

    @property
    def roles(self) -> frozenset[str]:
        """The roles that the server names, if it names any (RFC 9068 §2.2.3.1)."""
        named = self.members.get("roles")
        return frozenset(name for name in named if isinstance(name, str)) if isinstance(named, list | tuple) else _EMPTY

    @property
    def acr(self) -> str | None:
        """How the user was authenticated (OpenID Connect Core §2), if the token says it."""
        named = self.members.get("acr")
        return named if isinstance(named, str) else None

    @property
    def auth_time(self) -> int | None:
        """When the user was authenticated, in epoch seconds, if the token says it."""
        named = self.members.get("auth_time")
        return int(named) if isinstance(named, int | float) and not isinstance(named, bool) else None

    @property
    def extra(self) -> dict[str, object]:
        """The members that have no field here."""
        return {name: value for name, value in self.members.items() if name not in _KNOWN}


class _Wire(msgspec.Struct, frozen=True):
    """The members that we read, in the types that RFC 7519 §4.1, RFC 8693 §4.3 and RFC 9068 §2.2 give them."""

    iss: str
    sub: str
    client_id: str
    aud: str | tuple[str, ...]
    exp: int | float | None = None
    iat: int | float | None = None
    nbf: int | float | None = None
    jti: str | None = None
    scope: str = ""
    account_id: str | None = None
    account: str | None = None
    gw_az: str | None = None
    gw_reach: str = ""
    cnf: dict[str, object] | None = None


_KNOWN: Final = frozenset(_Wire.__struct_fields__)


def verify_access_token(
    token: str, keys: KeySet, *, issuer: str | AbstractSet[str], audience: str, now: float, leeway: int = LEEWAY
) -> Claims:
    """What an access token says, after everything that RFC 9068 §4 has an API check; `now` is in epoch seconds."""
    verified = verify(token, keys)
    # RFC 9068 §4: without this an ID token or a client's assertion would do as an access token.
    if str(verified.header.typ).lower() not in _TYPES:
        raise Refused(Cause.TYPE_WRONG, "the token is signed, but is no access token")
    payload = verified.payload
    if any(payload.get(name) is None for name in _NEEDED):
        raise Refused(Cause.CLAIM_MALFORMED, "the token lacks exp, iat or jti")
    return read_claims(payload, issuer=issuer, audience=audience, now=now, leeway=leeway)


def read_claims(
    members: Mapping[str, object], *, issuer: str | AbstractSet[str], audience: str, now: float, leeway: int = LEEWAY
) -> Claims:
    """What an authentic token or an introspection reply says, if it is this issuer's, for this API and of this time."""
    try:
        wire = msgspec.convert(members, _Wire)
    except msgspec.ValidationError as fault:
        raise Refused(Cause.CLAIM_MALFORMED, f"a claim is missing or of another type: {fault}") from fault
    if not (wire.iss == issuer if isinstance(issuer, str) else wire.iss in issuer):
        raise Refused(Cause.ISSUER_WRONG, "the token is another issuer's")
    aud = (wire.aud,) if isinstance(wire.aud, str) else wire.aud
    if audience not in aud:
        raise Refused(Cause.AUDIENCE_WRONG, "the token is for another API")
    if not wire.sub or not wire.client_id:
        raise Refused(Cause.CLAIM_MALFORMED, "the token names no subject or no client")
    _in_time(wire, now, leeway)
    return _claims(wire, aud, members)


def _in_time(wire: _Wire, now: float, leeway: int) -> None:
    # RFC 7519 §4.1.4: on or after this time it is over.
    if wire.exp is not None and now >= wire.exp + leeway:
        raise Refused(Cause.TOKEN_EXPIRED, "the token's time is over")
    if max(wire.nbf or 0, wire.iat or 0) > now + leeway:
        raise Refused(Cause.TOKEN_EARLY, "the token is not good yet")


def _claims(wire: _Wire, aud: tuple[str, ...], members: Mapping[str, object]) -> Claims:
    return Claims(
        sub=wire.sub,
        client_id=wire.client_id,
        scopes=scope_set(wire.scope),
        iss=wire.iss,
        aud=aud,
        exp=None if wire.exp is None else int(wire.exp),
        iat=None if wire.iat is None else int(wire.iat),
        jti=wire.jti,
        account_id=wire.account_id,
        account=wire.account,
        authorization_id=wire.gw_az,
        reach=scope_set(wire.gw_reach),
        confirmation=wire.cnf,
        members=members,
    )


def scope_set(text: str) -> frozenset[str]:
    """A scope value as the set that it stands for (RFC 6749 §3.3)."""
    return frozenset(text.split(" ")) - _NOTHING if text else _EMPTY


_EMPTY: Final[frozenset[str]] = frozenset()
_NOTHING: Final = frozenset({""})
