"""The standard claims: which scope owns which, what the `claims` parameter asks for, and what a client is told of a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from gatewright.base import ids
from gatewright.oauth.authorization import Standing
from gatewright.oauth.catalogue import ADDRESS, EMAIL, PHONE, PROFILE, ids_of
from gatewright.oauth.client import Client
from gatewright.oauth.decision import printable
from gatewright.oauth.errors import InvalidRequest

# OpenID Connect Core §5.1, §5.4.
_NAMES: Final = ("name", "family_name", "given_name", "middle_name", "nickname", "preferred_username")
_PROFILE: Final = (*_NAMES, "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at")
_EMAIL: Final = ("email", "email_verified")
_PHONE: Final = ("phone_number", "phone_number_verified")
OWNERS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_PROFILE, PROFILE),
    **dict.fromkeys(_EMAIL, EMAIL),
    "address": ADDRESS,
    **dict.fromkeys(_PHONE, PHONE),
}
"""Claim → the scope that owns it."""

SUPPORTED: Final = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "sid", *OWNERS, "account", "account_id")
# A password over a protected connection: an absolute URI, as Core §2 wishes an acr to be, and one that other providers know.
ACR_PASSWORD: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
_LIMIT: Final = 4096  # characters of a `claims` parameter: every claim we know, asked for twice, takes half of them


class Wanted(Struct, frozen=True):
    """What is said of one requested claim (OpenID Connect Core §5.5.1)."""

    essential: bool = False
    value: object = None
    values: tuple[object, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The values asked for, as far as they are texts, best first."""
        return tuple(value for value in (self.value, *self.values) if isinstance(value, str))


class ClaimsRequest(Struct, frozen=True):
    """A `claims` parameter (OpenID Connect Core §5.5); members that we do not know are left out, as it asks."""

    userinfo: dict[str, Wanted | None] = {}
    id_token: dict[str, Wanted | None] = {}

    @property
    def owners(self) -> frozenset[int]:
        """The scopes that own what was asked for: each is allowed, asked and shown like a requested scope."""
        return frozenset([OWNERS[name] for name in (*self.userinfo, *self.id_token) if name in OWNERS])

    @property
    def subject(self) -> str | None:
        """The one user that the answer must be about, if one was named."""
        wanted = self.id_token.get("sub") or self.userinfo.get("sub")
        return wanted.value if wanted is not None and isinstance(wanted.value, str) else None

    @property
    def acr(self) -> Wanted | None:
        """What was asked of the authentication context; essential means that another one is a refusal (§5.5.1.1)."""
        return self.id_token.get("acr")

    def kept(self, allowed: frozenset[int]) -> str:
        """Return what the authorization remembers: the names owned by the scopes that were allowed and consented to."""
        userinfo = tuple(name for name in self.userinfo if OWNERS.get(name) in allowed)
        id_token = tuple(name for name in self.id_token if OWNERS.get(name) in allowed)
        return msgspec.json.encode(_Kept(userinfo, id_token)).decode() if userinfo or id_token else ""


class _Kept(Struct, frozen=True, omit_defaults=True):
    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()


class Profile(Struct, frozen=True, omit_defaults=True):
    """What is kept of a person beside name and e-mail, as one document (OpenID Connect Core §5.1)."""

    family_name: str | None = None
    given_name: str | None = None
    middle_name: str | None = None
    nickname: str | None = None
    preferred_username: str | None = None
    profile: str | None = None
    picture: str | None = None
    website: str | None = None
    gender: str | None = None
    birthdate: str | None = None
    zoneinfo: str | None = None
    locale: str | None = None
    updated_at: int | None = None
    address: dict[str, str] | None = None
    phone_number: str | None = None
    phone_number_verified: bool = False


_read_request: Final = msgspec.json.Decoder(ClaimsRequest).decode
_read_kept: Final = msgspec.json.Decoder(_Kept).decode
_read_profile: Final = msgspec.json.Decoder(Profile).decode


def parse_claims(text: str) -> ClaimsRequest:
    """Return what a `claims` parameter asks for (OpenID Connect Core §5.5).

    Raises:
        InvalidRequest: it is too long, or no JSON object of the shape that the standard gives it.
    """
    if len(text) > _LIMIT:
        raise InvalidRequest(f"the parameter 'claims' is longer than {_LIMIT} characters")
    try:
        return _read_request(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise InvalidRequest(f"the parameter 'claims' cannot be read: {printable(str(fault))}") from None


def subject(standing: Standing, client: Client) -> str:
    """Return the `sub`: the user, or the client where nobody stands behind it (RFC 9068 §2.2).

    Of an app that cleans up after itself, the installation: it acts for its user no more (`security-rules` 47).
    """
    if standing.person:
        return ids.show_again(ids.USER, standing.person)
    return ids.show_again(ids.INSTALL, standing.cleaning) if standing.cleaning else client.client_id


def for_userinfo(standing: Standing, granted: Iterable[int], client: Client) -> dict[str, object]:
    """Return the claims of the granted scopes and those that were asked for by name (OpenID Connect Core §5.3.2, §5.4)."""
    owners = frozenset(granted)
    names = [name for name, owner in OWNERS.items() if owner in owners]
    if standing.claims:
        names += _still_allowed(_read_kept(standing.claims).userinfo, standing, client)
    return _values(standing, names)


def for_id_token(standing: Standing, client: Client) -> dict[str, object]:
    """Return the claims asked for by name in the ID token; those of scopes are told at userinfo (OpenID Connect Core §5.4)."""
    if not standing.claims:
        return {}
    return _values(standing, _still_allowed(_read_kept(standing.claims).id_token, standing, client))


def _still_allowed(names: tuple[str, ...], standing: Standing, client: Client) -> list[str]:
    # What the row keeps was allowed and consented to then; an admin or the user may have taken either back since.
    open_now = client.scopes & ids_of(standing.granted or "")
    return [name for name in names if OWNERS.get(name) in open_now]


def _values(standing: Standing, names: list[str]) -> dict[str, object]:
    if not names:
        return {}
    known = _known(standing)
    return {name: known[name] for name in dict.fromkeys(names) if name in known}


def _known(standing: Standing) -> dict[str, object]:
    """Return everything that we could tell of a person; what is not known is left out, never null (§5.3.2)."""
    known: dict[str, object] = {}
    if standing.person_profile and standing.person_profile != "{}":
        profile = _read_profile(standing.person_profile)
        known = {name: value for name in Profile.__struct_fields__ if (value := getattr(profile, name)) not in (None, "", {})}
        if profile.phone_number is None:
            known.pop("phone_number_verified", None)
    if standing.person_name:
        known["name"] = standing.person_name
    if standing.person_email:
        known["email"] = standing.person_email
        known["email_verified"] = standing.person_email_verified_at is not None
    return known
