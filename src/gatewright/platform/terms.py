"""From a part of the file to what is stored: only keys that the file names count where something is there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from gatewright.apis.book import ApiRow, ApiTerms, ScopeRow, ScopeTerms, kept_terms
from gatewright.base.calendar import day, day_begins
from gatewright.base.duration import seconds
from gatewright.oauth.catalogue import UNTIL_REVOKED, ids_of
from gatewright.oauth.client import PUBLIC_TYPES, ClientSettings, PasswordException
from gatewright.oauth.device import GRANT_TYPE as DEVICE_CODE
from gatewright.oauth.issuer import PathPreset, Policy
from gatewright.oauth.paths import published
from gatewright.platform.document import NEVER, UNTIL_REVOKED_WORD, ApiPart, ClientPart, PasswordGrantPart, ScopePart, TenantPart, TokenPart
from gatewright.platform.reading import Part
from gatewright.tenants.records import TenantRow

_LIFETIMES: Final = {"jwt": 900, "opaque": 3600}
_AS_OAUTH: Final = 7200  # of an opaque token where `/oauth/…` is what metadata tells (`decisions` §3, seed 002)
# Keys of a client's table that mean the same as the setting of their name, and are copied as they are.
_PLAIN: Final = (
    "client_name", "type", "party", "consent", "grant_types", "redirect_uris", "redirect_match", "post_logout_redirect_uris",
    "scopes_policy", "unknown_scopes", "denied", "pkce", "token_endpoint_auth_method", "jwks_uri", "id_token_signed_response_alg",
    "audience", "allowed_ips", "introspects", "lasting_session", "third_party_management", "internal", "cors_origins", "out_of_band",
    "demo_scopes", "secret_readable", "report_only",
)  # fmt: skip


_GRANTS: Final[Mapping[str, tuple[str, ...]]] = {
    "service": ("client_credentials",),
    "demo": ("authorization_code",),
    "device": (DEVICE_CODE, "refresh_token"),
}


class NamedSettings(Struct, frozen=True):
    """A client's settings with the names of what they refer to, in their own order; `settings` has no ids of these."""

    settings: ClientSettings
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    account: str | None
    service_user: str | None
    owner_user: str | None = None
    owner_account: str | None = None


def tenant_policy(part: Part[TenantPart] | None, row: TenantRow | None) -> Policy:
    """Return what a tenant's policy is to be; a new one has the lifetime of the paths that it publishes."""
    present = row.rules if row is not None else Policy()
    if row is None and part is not None and published(part.value.paths) == "oauth":
        present = msgspec.structs.replace(present, openid_token_lifetime=_AS_OAUTH)
    if part is None or (row is not None and "scopes_policy" not in part.given):
        return present
    return msgspec.structs.replace(present, scopes_policy=part.value.scopes_policy)


def presets_of(part: Part[TenantPart] | None, row: TenantRow | None) -> tuple[PathPreset, ...]:
    """Return the path presets that a tenant is to have."""
    if part is not None and (row is None or "paths" in part.given):
        return part.value.paths
    return ("standard",) if row is None else row.presets


def api_terms(part: Part[ApiPart], row: ApiRow | None, presets: tuple[PathPreset, ...]) -> ApiTerms:
    """Return what an API is to be; a new one's tokens live as long as those of the systems whose paths the tenant publishes."""
    wanted, token = part.value, part.value.token
    given = part.given.get("token", {})
    kept = seconds(wanted.verify_max_age or "0s")
    lifetime = None if token.lifetime is None else lifetime_of(token)
    if lifetime is None and "lifetime" in given:
        lifetime = _LIFETIMES[token.format]  # named, and named nothing: its default comes back
    if row is None:
        usual = _AS_OAUTH if token.format == "opaque" and published(presets) == "oauth" else _LIFETIMES[token.format]
        default = lifetime if lifetime is not None else usual
        return ApiTerms(
            name=wanted.name,
            roles=wanted.roles,
            token_format=token.format,
            token_lifetime=default,
            token_alg=token.alg,
            verify_max_age=kept,
            usage=wanted.usage,
            names_roles=token.roles,
        )
    return ApiTerms(
        name=wanted.name,
        roles=wanted.roles if "roles" in part.given else row.roles,
        token_format=token.format if "format" in given else row.token_format,
        token_lifetime=lifetime if lifetime is not None else row.token_lifetime,
        token_alg=token.alg if "alg" in given else row.token_alg,
        verify_max_age=kept if "verify_max_age" in part.given else row.verify_max_age,
        usage=wanted.usage if "usage" in part.given else row.usage == 1,
        names_roles=token.roles if "roles" in given else row.names_roles == 1,
    )


def lifetime_of(token: TokenPart) -> int:
    """Return the lifetime that a token part names, in seconds."""
    return UNTIL_REVOKED if token.lifetime == UNTIL_REVOKED_WORD else seconds(token.lifetime or "0s")


def scope_terms(value: str | ScopePart, given: object, row: ScopeRow | None) -> ScopeTerms:
    """Return what a scope is to be, implications aside."""
    if isinstance(value, str):
        new = ScopeTerms(text=value, risk="normal", reach="account")
        return new if row is None else msgspec.structs.replace(kept_terms(row), text=value)
    named = given if isinstance(given, Mapping) else {}
    wanted = ScopeTerms(
        text=value.text,
        risk=value.risk,
        reach=value.reach,
        demo=int(value.demo),
        cleanup=value.cleanup,
        texts=value.texts,
        retires_at=retires_at(value.retires),
    )
    if row is None:
        return wanted
    old = kept_terms(row)
    return ScopeTerms(
        text=value.text,
        risk=wanted.risk if "risk" in named else old.risk,
        reach=wanted.reach if "reach" in named else old.reach,
        demo=wanted.demo if "demo" in named else old.demo,
        cleanup=wanted.cleanup if "cleanup" in named else old.cleanup,
        texts=wanted.texts if "texts" in named else old.texts,
        retires_at=wanted.retires_at if "retires" in named else old.retires_at,
    )


def retires_at(text: str | None) -> int | None:
    """Return the moment of a day that a file names, None where it names none or "never"."""
    return None if text in (None, NEVER) else day_begins(text or "")


def implied_names(value: str | ScopePart, given: object, row: ScopeRow | None, names: Mapping[int, str]) -> tuple[str, ...]:
    """Return the names of the scopes that a scope is to imply."""
    if row is not None and not (isinstance(given, Mapping) and "implies" in given):
        return tuple(sorted(names[number] for number in ids_of(row.implies) if number in names))
    return tuple(sorted(set(value.implies))) if isinstance(value, ScopePart) else ()


def client_terms(part: Part[ClientPart], present: NamedSettings | None, rules: Policy) -> NamedSettings:
    """Return what a client is to be. A new one gets what its type and the tenant make sensible; of a present one, unnamed keys stay."""
    wanted, given = part.value, part.given
    old = present.settings if present is not None else None
    document: dict[str, Any] = msgspec.to_builtins(old) if old is not None else _by_type(wanted, rules)
    plain = msgspec.to_builtins(wanted)
    document |= {name: plain[name] for name in _PLAIN if name in given}
    if "jwks" in given:
        document["jwks"] = msgspec.json.encode(wanted.jwks, order="sorted").decode()
    if "password_grant" in given:
        document["password_grant"] = None if wanted.password_grant is None else exception_of(wanted.password_grant)
    named, owner = given.get("refresh", {}), given.get("owner", {})
    lasting = {name: named[name] for name in ("idle", "absolute") if name in named}
    document |= {f"refresh_{name}": None if text is None else seconds(text) for name, text in lasting.items()}
    if "event_url" in given:
        document["event_url"] = wanted.event_url or None
    if "when" in named:
        document["refresh"] = wanted.refresh.when
    settings = msgspec.convert({**document, "scopes": [], "roles": [], "account": 0, "service_user": 0}, ClientSettings)
    return NamedSettings(
        settings=settings,
        scopes=tuple(sorted(set(wanted.scopes))) if present is None or "scopes" in given else present.scopes,
        roles=tuple(sorted(set(wanted.roles))) if present is None or "roles" in given else present.roles,
        account=wanted.account if present is None or "account" in given else present.account,
        service_user=wanted.service_user if present is None or "service_user" in given else present.service_user,
        owner_user=wanted.owner.user if present is None or "user" in owner else present.owner_user,
        owner_account=wanted.owner.account if present is None or "account" in owner else present.owner_account,
    )


def exception_of(part: PasswordGrantPart) -> dict[str, Any]:
    """Return the exception as it is kept: it holds to the end of its last day."""
    return {"until": (day_begins(part.until) or 0) + 86_400, "reason": part.reason}


def shown_exception(exception: PasswordException) -> dict[str, str]:
    """Return an exception as a file would write it."""
    return {"until": day(exception.until - 1), "reason": exception.reason}


def _by_type(wanted: ClientPart, rules: Policy) -> dict[str, Any]:
    kind = wanted.type
    # A client that anybody may call himself gets no refresh token unless somebody says so (`security-rules` 23).
    grants: tuple[str, ...] = _GRANTS.get(kind, ("authorization_code", "refresh_token"))
    if wanted.password_grant is not None:
        grants = (*grants, "password") if kind != "service" else ("client_credentials", "password", "refresh_token")
    method = "none" if kind in PUBLIC_TYPES else "private_key_jwt" if wanted.jwks or wanted.jwks_uri else "secret"
    return {
        "client_name": wanted.client_name,
        "type": kind,
        "grant_types": grants,
        "token_endpoint_auth_method": method,
        "scopes_policy": rules.scopes_policy,
    }
