"""What may be registered of a client. Each rule returns sentences; whoever asks knows which key each is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gatewright.base import ids
from gatewright.base.hosts import LOOPBACK, NO_HOST, is_host
from gatewright.oauth.catalogue import MANAGEMENT_IDS, OFFLINE_ACCESS, OPENID_IDS
from gatewright.oauth.client import DEVICE_TYPES, PUBLIC_TYPES, SECRET_METHODS, ClientSettings
from gatewright.oauth.device import GRANT_TYPE as DEVICE_CODE
from gatewright.oauth.redirect_uri import OUT_OF_BAND, is_out_of_band
from gatewright.oauth.redirect_uri import fault as redirect_fault
from gatewright.tenants.rules import BadOrigin, parse_origin
from gatewright.webhooks.rules import url_fault

SHORT_SECRET: Final = 32  # characters: what others chose below this is kept as a slow digest (`decisions` §4)
LONGEST_SECRET: Final = 1024
SHORTEST_SECRET: Final = 8

# Characters that need no encoding anywhere a client id stands: Basic credentials, addresses, logs.
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,98}")

_OF_A_SERVICE: Final = frozenset({"client_credentials", "password", "refresh_token"})
_CARRIES_CODES: Final = frozenset({"web", "native", "demo"})

Finding = tuple[str, str]
"""The key that a sentence is about, and the sentence."""


def client_id_fault(client_id: str) -> str | None:
    """Return why a client cannot have this id, or None."""
    if not _CLIENT_ID.fullmatch(client_id):
        return "a client id has at most 99 letters, digits, dots, hyphens, underscores or tildes, and begins with a letter or digit"
    if ids.reserved(client_id):
        return f'a client id may not begin with "{client_id[:3]}": a `sub` could then be a client or a user'
    return None


def secret_fault(secret: str) -> str | None:
    """Return why this cannot be a client's secret, or None."""
    if len(secret) < SHORTEST_SECRET:
        return f"a secret has at least {SHORTEST_SECRET} characters; without one, a good one is made"
    if len(secret) > LONGEST_SECRET:
        return f"a secret has at most {LONGEST_SECRET} characters"
    return None


def settings_faults(settings: ClientSettings) -> Iterator[Finding]:
    """Yield everything that does not fit together in a client's settings."""
    yield from _type_faults(settings)
    yield from _exception_faults(settings)
    yield from _demo_faults(settings)
    yield from _proof_faults(settings)
    yield from _subpath_faults(settings)
    yield from _address_faults(settings)
    yield from _network_faults(settings)
    yield from _scope_faults(settings)
    sentence = None if settings.event_url is None else url_fault(settings.event_url)
    if sentence is not None:
        yield "event_url", sentence
    yield from _report_only_faults(settings)


def _type_faults(settings: ClientSettings) -> Iterator[Finding]:
    grants = settings.grant_types
    if settings.type == "service" and not _OF_A_SERVICE.issuperset(grants):
        yield "grant_types", 'a service has no user at a page: "client_credentials" is its grant type, or as an exception "password"'
    if settings.type in PUBLIC_TYPES and "client_credentials" in grants:
        yield "grant_types", f'"client_credentials" is for clients that can keep a secret; a {settings.type} client cannot'
    if "refresh_token" in grants and not {"authorization_code", "password", DEVICE_CODE}.intersection(grants):
        yield "grant_types", '"refresh_token" renews what "authorization_code" began, which is missing'
    if DEVICE_CODE in grants and (settings.type not in DEVICE_TYPES or settings.exchange == "app"):
        yield "grant_types", f'"{DEVICE_CODE}" is for clients of type {", ".join(sorted(DEVICE_TYPES))}, whose users sign in elsewhere'
    if not grants and settings.exchange != "app":
        yield "grant_types", "at least one is needed"
    if settings.lasting_session and (settings.type != "native" or settings.party != "first"):
        yield "lasting_session", "a lasting session is for native first-party clients alone"
    if (settings.account or settings.service_user) and "client_credentials" not in grants:
        yield "service_user" if settings.service_user else "account", 'only "client_credentials" acts for an account or a service user'


def _exception_faults(settings: ClientSettings) -> Iterator[Finding]:
    """The password grant and the platform's own clients that take passwords (RFC 9700 §2.4, `decisions` §9)."""
    uses = "password" in settings.grant_types
    if uses and settings.password_grant is None:
        yield "password_grant", 'the password grant is an exception with an end: password_grant = { until = 2027-03-31, reason = "…" }'
    if settings.password_grant is not None and not uses:
        yield "password_grant", 'nothing is excepted without "password" among the grant_types'
    if settings.internal and (settings.party != "first" or settings.consent == "always"):
        yield "internal", 'only the platform\'s own clients are internal, whose users are not asked: party = "first", consent = "auto"'
    if settings.internal and not uses:
        yield "internal", 'this lets people\'s passwords be shown by the grant type "password", which is missing'
    if uses and settings.type in PUBLIC_TYPES and not settings.internal:
        yield "internal", "a client without a secret may show passwords only as the platform's own: internal = true"
    if settings.cors_origins and not uses:
        yield "cors_origins", 'these are the pages that may use the grant type "password", which is missing; others need no list'
    for index, text in enumerate(settings.cors_origins):
        sentence = _origin_fault(text)
        if sentence is not None:
            yield f"cors_origins.{index}", sentence
        elif text in settings.cors_origins[:index]:
            yield f"cors_origins.{index}", "this stands here twice"


def _origin_fault(text: str) -> str | None:
    try:
        origin = parse_origin(text)
    except BadOrigin as fault:
        return str(fault)
    return None if origin.url == text else f"browsers write this origin as {origin.url}"


def _demo_faults(settings: ClientSettings) -> Iterator[Finding]:
    """A client whose credentials are published (`security-rules` 23)."""
    if settings.type != "demo":
        if settings.demo_scopes != "marked":
            yield "demo_scopes", 'this is for clients of type "demo", whose credentials are published'
        return
    if settings.party == "first":
        yield "party", "anybody may call himself this client, so it is a third party to everybody"
    if not {"authorization_code", "refresh_token"}.issuperset(settings.grant_types):
        yield "grant_types", 'published credentials open nothing by themselves: "authorization_code" is what a demo client uses'
    if settings.introspects:
        yield "introspects", "anybody may call himself this client, and would learn of others' tokens"
    if settings.token_endpoint_auth_method == "private_key_jwt":
        yield "token_endpoint_auth_method", "a demo client's credentials are published: a secret, or none"


def _proof_faults(settings: ClientSettings) -> Iterator[Finding]:
    method = settings.token_endpoint_auth_method
    if settings.type in PUBLIC_TYPES and method != "none":
        yield "token_endpoint_auth_method", f'a {settings.type} client cannot keep a secret: "none" is expected'
    if settings.type not in PUBLIC_TYPES and settings.type != "demo" and method == "none":
        yield "token_endpoint_auth_method", f'a {settings.type} client proves itself: "none" is for spa, native and device clients'
    if (method == "none" or settings.type == "demo") and settings.pkce == "optional":
        yield "pkce", "a client without a secret of its own has nothing but PKCE to prove that it is the one that asked (RFC 9700 §2.1.1)"
    if method == "none" and settings.introspects:
        yield "introspects", "introspection is for clients that prove themselves (RFC 7662 §2.1)"
    if settings.secret_readable and method not in SECRET_METHODS:
        yield "secret_readable", "this client has no secret that could be read again"
    if settings.jwks is not None and settings.jwks_uri is not None:
        yield "jwks_uri", "give the keys either as jwks or as jwks_uri (RFC 7591 §2)"
    if method == "private_key_jwt" and settings.jwks is None and settings.jwks_uri is None:
        yield "token_endpoint_auth_method", '"private_key_jwt" needs the client\'s public keys: jwks_uri or jwks'
    if settings.jwks is not None:
        yield from (("jwks", sentence) for sentence in _key_set_faults(settings.jwks))


def _key_set_faults(text: str) -> Iterator[str]:
    """RFC 7517 §5, public keys only."""
    document = msgspec.json.decode(text)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) and isinstance(key.get("kty"), str) for key in keys):
        yield 'a key set with at least one key is expected: { keys = [ { kty = "EC", … } ] }'
        return
    if any(part in key for key in keys for part in ("d", "p", "q", "k")):
        yield "this holds a private or secret key: make a new pair, and write only the public half here"


def _subpath_faults(settings: ClientSettings) -> Iterator[Finding]:
    key = "redirect_match" if settings.redirect_match == "subpath" else "report_only"
    if settings.redirect_match != "subpath" and "redirect_match" not in settings.report_only:
        return
    if settings.token_endpoint_auth_method == "none" or settings.type == "demo":
        yield key, "a path below the registered address is for clients that prove themselves"
    if settings.pkce == "optional" and settings.exchange != "app":
        yield key, "a path below the registered address needs PKCE"


def _address_faults(settings: ClientSettings) -> Iterator[Finding]:
    wants = "authorization_code" in settings.grant_types
    if wants and not settings.redirect_uris:
        yield "redirect_uris", "at least one is needed, since the answer of a sign-in goes there"
    if settings.redirect_uris and not wants:
        yield "redirect_uris", 'nothing goes there without the grant type "authorization_code"'
    for name, uris in (("redirect_uris", settings.redirect_uris), ("post_logout_redirect_uris", settings.post_logout_redirect_uris)):
        for index, uri in enumerate(uris):
            sentence = _out_of_band_fault(name, settings) if is_out_of_band(uri) else redirect_fault(uri, settings.type)
            if sentence is not None:
                yield f"{name}.{index}", sentence
            elif uri in uris[:index]:
                yield f"{name}.{index}", "this stands here twice"
    if settings.out_of_band and OUT_OF_BAND not in settings.redirect_uris:
        yield "out_of_band", f'the address that stands for a page with the code is missing among the redirect_uris: "{OUT_OF_BAND}"'
    sentence = None if settings.jwks_uri is None else _keys_at_fault(settings.jwks_uri)
    if sentence is not None:
        yield "jwks_uri", sentence


def _keys_at_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as fault:
        return f"the address is no URL: {fault}"
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        return "https is expected"
    return None if is_host(host) else NO_HOST


def _network_faults(settings: ClientSettings) -> Iterator[Finding]:
    for index, text in enumerate(settings.allowed_ips):
        try:
            ip_network(text)
        except ValueError as fault:
            yield f"allowed_ips.{index}", f'"{text}" is no address or network: {fault}'


def _out_of_band_fault(name: str, settings: ClientSettings) -> str | None:
    if name != "redirect_uris":
        return "a sign-out leads to an address; this stands for none"
    if settings.type not in _CARRIES_CODES:
        return (
            f"the user carries a code to programs of type {', '.join(sorted(_CARRIES_CODES))}; a {settings.type} client gets it by itself"
        )
    return (
        None
        if settings.out_of_band
        else "this shows the code to the user, who may give it to a stranger; to allow that: out_of_band = true"
    )


def _scope_faults(settings: ClientSettings) -> Iterator[Finding]:
    if settings.scopes_policy == "manifest" and settings.exchange != "app":
        yield "scopes_policy", "only an app of the marketplace asks for what its manifest says: name it under [[apps]]"
    if settings.type == "service" and not OPENID_IDS.isdisjoint(settings.scopes):
        yield "scopes", "the scopes of OpenID Connect tell of a user, and a service has none"
    if settings.denied == "refuse" and settings.scopes_policy == "all_allowed":
        yield "denied", '"refuse" is about scopes that are asked for by name: it needs scopes_policy = "required"'
    if OFFLINE_ACCESS in settings.scopes and "refresh_token" not in settings.grant_types:
        yield "scopes", '"offline_access" means a refresh token, so the grant type "refresh_token" is needed'
    if settings.party == "third" and not settings.third_party_management and not MANAGEMENT_IDS.isdisjoint(settings.scopes):
        yield "scopes", "the scopes of the management API are for first-party clients, unless third_party_management is true"


# What a rule must be set to for there to be something to try out.
_MEANT: Final[Mapping[str, tuple[str, Callable[[ClientSettings], bool]]]] = {
    "pkce": ('pkce = "required"', lambda settings: settings.pkce == "required"),
    "redirect_match": ('redirect_match = "exact"', lambda settings: settings.redirect_match == "exact"),
    "allowed_ips": ("addresses in allowed_ips", lambda settings: bool(settings.allowed_ips)),
    "scopes_policy": ('scopes_policy = "required"', lambda settings: settings.scopes_policy == "required"),
    "unknown_scopes": ('unknown_scopes = "refuse"', lambda settings: settings.unknown_scopes == "refuse"),
    # A way that is to be shut stays open while that is tried out.
    "password_grant": ('"password" in grant_types', lambda settings: "password" in settings.grant_types),
    "token_endpoint_auth_method": ("the method that is to be", lambda settings: settings.token_endpoint_auth_method != "none"),
}


def _report_only_faults(settings: ClientSettings) -> Iterator[Finding]:
    for index, rule in enumerate(settings.report_only):
        words, meant = _MEANT[rule]
        if rule in settings.report_only[:index]:
            yield f"report_only.{index}", "this stands here twice"
        elif not meant(settings):
            yield f"report_only.{index}", f"what is tried out is the stricter setting: write {words} beside it"
        elif rule == "pkce" and settings.token_endpoint_auth_method == "none":
            yield f"report_only.{index}", "a client without a secret is never let off PKCE, not even to try it out"


def weaknesses(settings: ClientSettings) -> tuple[str, ...]:
    """Return what makes a client less safe than its defaults, in the words of the vocabulary."""
    long_refresh = settings.refresh_absolute is None and settings.party == "third" and (settings.refresh_idle or 0) > 90 * 86_400
    words = {
        "pkce_optional": settings.pkce == "optional",
        "redirect_subpath": settings.redirect_match == "subpath",
        "token_until_revoked": settings.exchange == "app",
        "scopes_all_allowed": settings.scopes_policy == "all_allowed",
        "secret_readable": settings.secret_readable,
        "first_party_without_secret": settings.party == "first" and settings.token_endpoint_auth_method == "none",
        "third_party_management": settings.third_party_management,
        "long_refresh": long_refresh,
        "password_grant": "password" in settings.grant_types and not settings.internal,
        "password_grant_for_people": "password" in settings.grant_types and settings.internal,
        "out_of_band": settings.out_of_band,
        "published_credentials": settings.type == "demo" and settings.demo_scopes == "marked",
        "published_credentials_for_all_scopes": settings.type == "demo" and settings.demo_scopes != "marked",
    }
    tried = [f"{rule}_report_only" for rule in settings.report_only if rule != "password_grant"]
    return (*[word for word, holds in words.items() if holds], *tried)
