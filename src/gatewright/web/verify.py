"""The verify address: what nginx, Apache, Traefik, Caddy and Envoy ask before they let a request pass (`docs/decisions/0021`).

    /-/verify       the request in headers: X-Original-Method, -URI and -Host, or X-Forwarded-Method, -Uri and -Host
    /-/verify/…     the request itself, its path behind this prefix (Envoy's way)

The proxy shows the API's credentials in `Gatewright-Api`, since `Authorization` is the caller's. The answer is 200 with who calls in
headers, or 401, 403 or 503 as the guard answers; whoever shows no credentials of an API gets an empty 403 and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from gatewright.app import House
from gatewright.base.log import Event, incident
from gatewright.base.moment import Moment
from gatewright.oauth.api_auth import named_api, prove_api
from gatewright.oauth.api_host import issuer_of
from gatewright.oauth.ask import Ask, Params
from gatewright.oauth.catalogue import Api, ApiSecret, Catalogue
from gatewright.oauth.client_auth.presented import FAILED
from gatewright.oauth.errors import InvalidClient, OAuthError
from gatewright.oauth.issuer import ApiHost, Issuer
from gatewright.oauth.verify import Open, Original, verify
from gatewright.store import StoreError
from gatewright.web.ask import REPEATED, HttpFault, Scope, Send, told_address
from gatewright.web.reply import NO_STORE, NOSNIFF, send_raw
from gatewright_guard.decide import UNAVAILABLE, Allowed, Refusal

ADDRESS: Final = "/-/verify"
PREFIX: Final = ADDRESS + "/"
CREDENTIALS: Final = b"gatewright-api"
_PROOFS: Final = 1024
_KEPT_ANSWERS: Final = 4096

# Each proxy has its own names for the same three things; the two sets at once are somebody's attempt to have one read for the other.
_NGINX: Final = (b"x-original-method", b"x-original-uri", b"x-original-host")
_FORWARDED: Final = (b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host")
_FORWARDED_FOR: Final = b"x-forwarded-for"
# nginx keeps nothing whose Vary has more than 128 bytes, so each way of asking names its own headers alone.
_ALWAYS: Final = (b"authorization", CREDENTIALS, _FORWARDED_FOR)
_OWN: Final = (b"host",)
_VARY: Final[dict[tuple[bytes, ...], bytes]] = {names: b", ".join((*_ALWAYS, *names)) for names in (_NGINX, _FORWARDED, _OWN)}

Header = tuple[bytes, bytes]
_NOT_KEPT: Final = [NO_STORE]


class VerifyDoor:
    """Answers proxies. Reads no body: what is asked about stands in the head."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._world = house.world
        self._proofs = _Proofs()
        self._answers = _Answers()

    async def __call__(self, scope: Scope, send: Send, head: dict[bytes, bytes], site: Issuer | ApiHost, at: Moment) -> None:
        """Answer one request of a proxy."""
        try:
            answer = await self._answer(scope, head, site, at)
        except HttpFault as fault:
            self._tell(scope, at, "invalid_request", fault.sentence)
            raise
        except OAuthError as error:
            self._tell(scope, at, error.code, error.why or error.description)
            await send_raw(send, 403, b"", [NO_STORE, NOSNIFF])
            return
        except StoreError as error:
            self._tell(scope, at, UNAVAILABLE.reason, str(error))
            answer = UNAVAILABLE
        if isinstance(answer, Refusal):
            await _refuse(send, answer)
        else:
            await send_raw(send, 200, b"", answer)

    async def _answer(self, scope: Scope, head: dict[bytes, bytes], site: Issuer | ApiHost, at: Moment) -> Refusal | list[Header]:
        """Return the headers of an answer that lets a request pass, or the refusal."""
        issuer = site if isinstance(site, Issuer) else site.issuers[0]
        catalogue = await self._world.directory.catalogue(issuer.tenant)
        api = await self._api(head.get(CREDENTIALS, b""), catalogue, issuer, at)
        # Not before: who did not prove itself is told nothing, not even how to ask.
        names = _names(scope, head)
        original = self._original(scope, head, names)
        known = self._answers.of(original, api, catalogue, site, at) if api.verify_max_age else None
        if known is not None:
            self._world.usage.count("verified", issuer.tenant, api.id)
            return [*_kept(known.until, names, at.now), *known.who]
        if isinstance(site, ApiHost):
            token = original.authorization[0].partition(" ")[2].strip() if original.authorization else ""
            issuer = await issuer_of(token, site, self._world, now=at.now)
        answer = await verify(original, api, catalogue, issuer, self._world, at)
        if isinstance(answer, Refusal):
            return answer
        until, who = _until(answer, api, at.now), _who(answer)
        if until > at.now:
            self._answers.add(original, api, _Answer(catalogue, site, until, who), at)
        return [*_kept(until, names, at.now), *who]

    async def _api(self, shown: bytes, catalogue: Catalogue, issuer: Issuer, at: Moment) -> Api:
        if shown == REPEATED or not shown:
            raise InvalidClient("no credentials of an API", why="no credentials of an API, or two")
        tenant = issuer.tenant
        known = self._proofs.of(tenant, shown, at)
        if known is not None:
            api, secret = catalogue.apis.get(known.api), known.secret
            # The secret that was proved is one of those that there are, so it still is; a disabled API is told so below.
            usable = api is not None and not api.disabled and secret.is_live(at.now)
            if api is not None and usable and secret in await self._world.directory.api_credentials(tenant, api.id):
                return api
        named = await named_api(Ask(Params({}), issuer, at, authorization=shown.decode("latin-1")), self._world)
        if named is None:
            raise InvalidClient(FAILED, why="no API of this name")
        # What is remembered is what was compared with: had it been read anew, it might have ended since, and nobody would find out.
        secret = await prove_api(*named, self._world, tenant, now=at.now)
        self._proofs.add(tenant, shown, _Proof(named[0].id, secret), at)
        return named[0]

    def _original(self, scope: Scope, head: dict[bytes, bytes], names: tuple[bytes, ...]) -> Original:
        authorization = head.get(b"authorization")
        if scope["path"] == ADDRESS:
            method, target, host = head[names[0]].decode("latin-1"), head[names[1]].decode("latin-1"), head[names[2]].decode("latin-1")
        else:
            raw: bytes = scope.get("raw_path") or scope["path"].encode("latin-1", "replace")
            # Whoever writes the prefix itself in another way does not get it cut off: what is left matches nothing.
            target = raw.decode("latin-1").removeprefix(ADDRESS) if raw.startswith(PREFIX.encode()) else ""
            query: bytes = scope["query_string"]
            target += "?" + query.decode("latin-1") if query else ""
            method, host = scope["method"], head.get(b"host", b"").decode("latin-1")
        forwarded = head.get(_FORWARDED_FOR, b"").decode("latin-1")
        trusted = self._house.trusted_proxies
        return Original(
            method=method,
            target=target,
            host=host,
            authorization=() if authorization is None else _authorization(authorization),
            address=told_address(forwarded.split(","), trusted) if trusted else forwarded.rpartition(",")[2].strip(),
        )

    def _tell(self, scope: Scope, at: Moment, error: str, why: str) -> None:
        path = ADDRESS if scope["path"] == ADDRESS else PREFIX
        self._house.log.tell(Event.REQUEST_REFUSED, request=incident(at), path=path, error=error, why=why)


class _Proof(Struct, frozen=True):
    """Credentials that were right: whose, and which of its secrets they hold. They are right while that one is there and live."""

    api: int
    secret: ApiSecret


class _Proofs:
    """Credentials that were proved in this process, by a keyed digest: a proxy shows the same ones with every request."""

    def __init__(self) -> None:
        self._key = b""
        self._known: dict[bytes, _Proof] = {}

    def of(self, tenant: int, shown: bytes, at: Moment) -> _Proof | None:
        """Return what was proved by the same credentials at the same tenant."""
        return self._known.get(self._named(tenant, shown, at))

    def add(self, tenant: int, shown: bytes, proof: _Proof, at: Moment) -> None:
        """Remember a proof. The key never leaves the process, nor does it outlive it."""
        if len(self._known) >= _PROOFS:
            self._known.clear()
        self._known[self._named(tenant, shown, at)] = proof

    def _named(self, tenant: int, shown: bytes, at: Moment) -> bytes:
        if not self._key:
            self._key = at.dice.bytes(32)
        return blake2b(b"%d\0%b" % (tenant, shown), digest_size=24, key=self._key).digest()


@dataclass(frozen=True, slots=True)
class _Answer:
    """Who called, until when that may be said again, and what it was found by."""

    catalogue: Catalogue
    site: Issuer | ApiHost
    until: int
    who: list[Header]


class _Answers:
    """Requests that passed a moment ago, by a keyed digest, where the API lets an answer be kept (`verify_max_age`).

    What a proxy keeps beside it ends at the same moment, so an end shows as soon as the API's admin said it may.
    """

    def __init__(self) -> None:
        self._key = b""
        self._known: dict[bytes, _Answer] = {}

    def of(self, original: Original, api: Api, catalogue: Catalogue, site: Issuer | ApiHost, at: Moment) -> _Answer | None:
        """Return what was found about the same request, if nothing was changed since in what the tenant defines."""
        known = self._known.get(self._named(original, api, at))
        return known if known is not None and at.now < known.until and known.catalogue is catalogue and known.site is site else None

    def add(self, original: Original, api: Api, answer: _Answer, at: Moment) -> None:
        """Remember an answer."""
        if len(self._known) >= _KEPT_ANSWERS:
            self._known.clear()
        self._known[self._named(original, api, at)] = answer

    def _named(self, original: Original, api: Api, at: Moment) -> bytes:
        if not self._key:
            self._key = at.dice.bytes(32)
        # No part but the last can hold a NUL, and the last but one is a number.
        parts = (original.method, original.target, original.host, original.address, str(api.id), *original.authorization)
        return blake2b("\0".join(parts).encode(), digest_size=24, key=self._key).digest()


def asked_at(path: str) -> bool:
    """Tell whether a path is the verify address, in either form."""
    return path == ADDRESS or path.startswith(PREFIX)


def _names(scope: Scope, head: dict[bytes, bytes]) -> tuple[bytes, ...]:
    """Return which headers name method, target and host; of a request behind the prefix it is its own Host.

    Raises:
        HttpFault: there is none of the two sets, or some of both.
    """
    if scope["path"] != ADDRESS:
        return _OWN
    found = tuple([name for name in (*_NGINX, *_FORWARDED) if name in head])
    if found not in (_NGINX, _FORWARDED):
        raise HttpFault(403, "send X-Original-Method, -URI and -Host or X-Forwarded-Method, -Uri and -Host, and not both")
    return found


def _authorization(raw: bytes) -> tuple[str, ...]:
    # Which of two is meant is not for us to guess: two of them are refused whatever they say.
    return ("", "") if raw == REPEATED else (raw.decode("latin-1"),)


def _until(answer: Open | Allowed, api: Api, now: int) -> int:
    """Return until when this request may pass again without another look: never longer than the token lives."""
    until = now + api.verify_max_age
    return min(until, answer.claims.exp) if isinstance(answer, Allowed) and answer.claims.exp is not None else until


def _kept(until: int, names: tuple[bytes, ...], now: int) -> list[Header]:
    return [(b"cache-control", b"max-age=%d" % (until - now)), (b"vary", _VARY[names])] if until > now else _NOT_KEPT


def _who(answer: Open | Allowed) -> list[Header]:
    """Return who calls. Every header is always there, so that one that the caller sent itself is replaced also by nothing."""
    if isinstance(answer, Open):
        return _NOBODY
    claims = answer.claims
    return [
        (b"gatewright-decision", b"allowed"),
        (b"gatewright-user", _plain(claims.sub)),
        (b"gatewright-client", _plain(claims.client_id)),
        (b"gatewright-scope", _listed(claims.scopes)),
        (b"gatewright-account-id", _plain(claims.account_id or "")),
        (b"gatewright-account", _plain(claims.account or "")),
        (b"gatewright-authorization", _plain(claims.authorization_id or "")),
    ]


_NOBODY: Final = [
    (b"gatewright-decision", b"public"),
    *((b"gatewright-" + name, b"") for name in (b"user", b"client", b"scope", b"account-id", b"account", b"authorization")),
]


@lru_cache(maxsize=1024)
def _listed(scopes: frozenset[str]) -> bytes:
    return _plain(" ".join(sorted(scopes)))


@lru_cache(maxsize=4096)
def _plain(text: str) -> bytes:
    """Return a value as visible ASCII and spaces; anything else, and the percent sign with it, is percent-encoded as UTF-8."""
    if text.isascii() and text.isprintable() and "%" not in text:
        return text.encode()
    raw = text.encode()
    return b"".join(bytes([byte]) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in raw)


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = refusal.body()
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers()]
    # Not every proxy hands on a body: nginx shows a header of the answer in its stead.
    headers += [NOSNIFF, (b"gatewright-problem", _ascii(body))]
    await send_raw(send, refusal.status, body, headers)


def _ascii(document: bytes) -> bytes:
    """Return a JSON document in ASCII alone (RFC 8259 §7)."""
    return document if document.isascii() else b"".join(_escaped(char) for char in document.decode())


def _escaped(char: str) -> bytes:
    if char.isascii():
        return char.encode()
    raw = char.encode("utf-16-be")
    return b"".join(b"\\u%04x" % int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))
