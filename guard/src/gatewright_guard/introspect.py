"""Asking the server about a token: is it active (RFC 7662), and if it is refused, why."""

import asyncio
import hashlib
import logging
from base64 import b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_plus

import httpx
import msgspec

from gatewright_guard.address import secure_url
from gatewright_guard.fetch import Unavailable, fetch
from gatewright_guard.kept import Clock, Kept, Recent, finished
from gatewright_guard.keys import Metadata
from gatewright_guard.refused import Cause, Refused
from gatewright_guard.verify import Claims, read_claims

MAX_STALE: Final = 5.0
"""Seconds for which the server's word about a token is used again, unless the API sets less or more."""

_SECONDS: Final = 2.0
_WHY_SECONDS: Final = 1.0  # four round trips of a new connection to a server on another continent
_WHY_AT_ONCE: Final = 8
_INACTIVE: Final = 1.0
_KEPT: Final = 10_000
_log: Final = logging.getLogger("gatewright_guard")


class Credentials:
    """What an API proves itself with to the server (RFC 6749 §2.3.1); it never prints its secret."""

    __slots__ = ("_header", "api_id")

    def __init__(self, api_id: str, secret: str) -> None:
        if not api_id or not secret:
            raise ValueError("the API's id or secret is empty")
        self.api_id = api_id
        self._header = "Basic " + b64encode(f"{quote_plus(api_id)}:{quote_plus(secret)}".encode("ascii")).decode("ascii")

    def __repr__(self) -> str:
        return f"Credentials({self.api_id!r}, …)"

    def form(self, http: httpx.AsyncClient, url: str, members: dict[str, str]) -> httpx.Request:
        """A form for the server, signed with the credentials."""
        return http.build_request("POST", url, data=members, headers={"authorization": self._header})


class Caller(msgspec.Struct, frozen=True):
    """A token as it was presented, and the address from which it came if the door knows it."""

    token: str
    address: str | None = None

    def __repr__(self) -> str:
        return f"Caller(…, address={self.address!r})"

    def digest(self, *more: str) -> bytes:
        """What stands for the token in our memory, so that the token itself is kept nowhere."""
        return hashlib.sha256("\0".join((self.token, self.address or "", *more)).encode()).digest()

    def form(self) -> dict[str, str]:
        """The members that both questions have; `ip_address` is the context that RFC 7662 §2.1 leaves room for."""
        address = {} if self.address is None else {"ip_address": self.address}
        return {"token": self.token, "token_type_hint": "access_token"} | address


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens are good here."""

    issuer: str | frozenset[str]
    audience: str
    leeway: int


class Introspector:
    """The server's word about tokens: asked once for all who wait, kept for `max_stale` seconds, never past a token's end."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        clock: Clock,
        credentials: Credentials,
        terms: Terms,
        *,
        metadata: Kept[Metadata],
        overtaken: Callable[[Claims, float], bool] | None = None,
        endpoint: str | None = None,
        max_stale: float = MAX_STALE,
    ) -> None:
        if max_stale < 0:
            raise ValueError("max_stale is a number of seconds, at least 0")
        self._http = http
        self._clock = clock
        self._credentials = credentials
        self._terms = terms
        self._metadata = metadata
        self._endpoint = None if endpoint is None else secure_url(endpoint)
        self._max_stale = max_stale
        self._overtaken = overtaken
        # Apart, so that a stranger's inventions push no good token out.
        self._active = Recent[tuple[Claims, float]](_KEPT)
        self._inactive = Recent[tuple[Cause, str]](_KEPT)
        self._asking: dict[bytes, asyncio.Task[tuple[Claims, float]]] = {}
        self._away = False

    def at_hand(self, caller: Caller) -> Claims | None:
        """What the server said a moment ago, if it did; `Refused` if that was that the token is not active, or not one for this API."""
        return self._at_hand(caller.digest())

    def _at_hand(self, key: bytes) -> Claims | None:
        now = self._clock()
        if (hit := self._active.get(key, now)) is not None:
            claims, asked_at = hit[0]
            return None if self._overtaken is not None and self._overtaken(claims, asked_at) else claims
        if (fault := self._inactive.get(key, now)) is not None:
            raise Refused(*fault[0])
        return None

    async def claims(self, caller: Caller) -> Claims:
        """What the server says of the token; `Refused` if it is not active, or not one for this API."""
        key = caller.digest()
        if (claims := self._at_hand(key)) is not None:
            return claims
        claims, asked_at = await self._asked(key, caller)
        if self._overtaken is not None and self._overtaken(claims, asked_at):
            # What was heard of while the server was asked, perhaps for somebody who came earlier, is in its next answer.
            claims, _ = await self._asked(key, caller)
        return claims

    async def _asked(self, key: bytes, caller: Caller) -> tuple[Claims, float]:
        loop = asyncio.get_running_loop()
        task = self._asking.get(key)
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._asking[key] = loop.create_task(self._ask(key, caller))
            task.add_done_callback(finished)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Stop what is under way."""
        for task in tuple(self._asking.values()):
            task.cancel()
        if self._asking:
            await asyncio.wait(self._asking.values())

    async def _ask(self, key: bytes, caller: Caller) -> tuple[Claims, float]:
        asked_at = self._clock()
        try:
            claims = self._read(await self._answer(caller))
        except Refused as fault:
            self._inactive.put(key, (fault.cause, fault.why), self._clock() + min(_INACTIVE, self._max_stale))
            raise
        finally:
            self._asking.pop(key, None)
        until = self._clock() + self._max_stale
        self._active.put(key, (claims, asked_at), until if claims.exp is None else min(until, claims.exp))
        return claims, asked_at

    async def _answer(self, caller: Caller) -> dict[str, object]:
        try:
            endpoint = self._endpoint or (await self._metadata.get()).introspection_endpoint
            if endpoint is None:
                raise Unavailable("the issuer's metadata names no introspection_endpoint")
            request = self._credentials.form(self._http, endpoint, caller.form())
            answer = await fetch(self._http, request, seconds=_SECONDS)
        except Unavailable as fault:
            # Said once when it begins and once when it ends, not once for each request.
            if not self._away:
                _log.error("tokens cannot be introspected: %s", fault)
            self._away = True
            raise
        if self._away:
            _log.warning("tokens can be introspected again")
        self._away = False
        return answer

    def _read(self, answer: dict[str, object]) -> Claims:
        # RFC 7662 §2.2: a JSON boolean; the word "true" or a 1 is not it.
        if answer.get("active") is not True:
            raise Refused(Cause.TOKEN_INACTIVE, "the server says that the token is not active")
        terms = self._terms
        return read_claims(answer, issuer=terms.issuer, audience=terms.audience, now=self._clock(), leeway=terms.leeway)


class Why(msgspec.Struct, frozen=True):
    """What the server says of a refusal."""

    cause: str
    detail: str = ""
    decision: str | None = None
    more: str | None = None


class Explainer:
    """Why a token was refused, as far as the server tells its API; silence is an answer too."""

    def __init__(self, http: httpx.AsyncClient, clock: Clock, credentials: Credentials, url: str) -> None:
        self._http = http
        self._clock = clock
        self._credentials = credentials
        self._url = secure_url(url)
        self._recent = Recent[Why | None](1000)
        self._asking = 0

    async def why(self, caller: Caller, scope: tuple[str, ...], account: str | None = None) -> Why | None:
        """The cause and a sentence; None if the server does not know, does not say, or takes too long."""
        key, now = caller.digest(account or "", *scope), self._clock()
        if (hit := self._recent.get(key, now)) is not None:
            return hit[0]
        answer = await self._ask(caller, scope, account)
        self._recent.put(key, answer, now + _INACTIVE)
        return answer

    async def _ask(self, caller: Caller, scope: tuple[str, ...], account: str | None) -> Why | None:
        # A refusal is worth little: a flood of them must not become a flood of questions.
        if self._asking >= _WHY_AT_ONCE:
            return None
        self._asking += 1
        try:
            about = {"scope": " ".join(scope)} | ({} if account is None else {"account": account})
            request = self._credentials.form(self._http, self._url, caller.form() | about)
            return msgspec.convert(await fetch(self._http, request, seconds=_WHY_SECONDS), Why)
        except (Unavailable, msgspec.ValidationError) as fault:
            _log.info("why a token was refused is not known: %s", fault)
            return None
        finally:
            self._asking -= 1
