"""The guard of one API: the header of a request comes in, and what comes out is who may, or a refusal that says why."""

import logging
import time
from collections.abc import Callable, Collection
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self

import httpx
import msgspec
from msgspec import structs

from gatewright_guard.bearer import bearer
from gatewright_guard.decide import UNAVAILABLE, Allowed, Refusal, Requirement, decide, explained, refused
from gatewright_guard.fetch import Unavailable, new_client, secure_url
from gatewright_guard.introspect import MAX_STALE, Caller, Credentials, Explainer, Introspector, Terms
from gatewright_guard.jose import MAX_TOKEN, KeySet
from gatewright_guard.kept import Kept
from gatewright_guard.keys import METADATA_TERMS, Metadata, RemoteKeys, fetch_metadata
from gatewright_guard.reasons import Reason
from gatewright_guard.refused import Cause, Refused
from gatewright_guard.verify import LEEWAY, Claims, verify_access_token

Mode = Literal["auto", "jwt", "opaque"]
_log: Final = logging.getLogger("gatewright_guard")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request the guard looks at, whatever framework received it."""

    authorization: tuple[str, ...] = ()
    """The value of every Authorization header, in order."""
    query: str = ""
    address: str | None = None
    """Where the caller is, as far as the API can trust it; passed on to the server."""

    def __repr__(self) -> str:
        return f"Request(…, address={self.address!r})"


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The server's addresses, where the guard is not to learn them from the issuer's metadata."""

    jwks_uri: str | None = None
    introspection: str | None = None
    why: str | None = None


class Guard:
    """Protects the API whose audience is given with the tokens of one issuer.

    `credentials` are the API's id and secret at the server; without them only JWTs are understood and refusals say only what the
    guard sees itself. `mode` is `"auto"` (a JWT is verified here, anything else introspected), `"jwt"`, or `"opaque"` (the server
    is asked about every token, so that an ended grant shows within `max_stale` seconds). `other_issuers` are the further domains
    of the issuer's tenant, which share its keys. `http` is closed by whoever made it; the clock gives epoch seconds.
    """

    def __init__(  # noqa: PLR0913 - all that an API sets, each by its name
        self,
        issuer: str,
        audience: str,
        *,
        credentials: tuple[str, str] | None = None,
        mode: Mode = "auto",
        other_issuers: Collection[str] = (),
        endpoints: Endpoints = Endpoints(),  # noqa: B008 - frozen
        max_stale: float = MAX_STALE,
        leeway: int = LEEWAY,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if isinstance(other_issuers, str):
            raise TypeError("other_issuers is a list of issuers, not one text")
        if mode == "opaque" and credentials is None:
            raise ValueError("opaque tokens need the API's credentials: without them the server cannot be asked")
        self.issuer = secure_url(issuer)
        self.audience = audience
        self._terms = Terms(issuer=frozenset((issuer, *other_issuers)), audience=audience, leeway=leeway)
        self._mode = mode
        self._clock = clock
        self._closes_http = http is None
        self._http = new_client() if http is None else http
        self._metadata = Kept[Metadata](partial(fetch_metadata, self._http, issuer), clock, METADATA_TERMS)
        self._keys = RemoteKeys(self._http, clock, metadata=self._metadata, jwks_uri=endpoints.jwks_uri)
        self._introspector: Introspector | None = None
        self._explainer: Explainer | None = None
        if credentials is not None:
            self._be_known(Credentials(*credentials), endpoints, max_stale)

    def _be_known(self, proof: Credentials, endpoints: Endpoints, max_stale: float) -> None:
        self._introspector = Introspector(
            self._http,
            self._clock,
            proof,
            self._terms,
            metadata=self._metadata,
            endpoint=endpoints.introspection,
            max_stale=max_stale,
        )
        why = endpoints.why or self.issuer.rstrip("/") + "/-/why"
        self._explainer = Explainer(self._http, self._clock, proof, why)

    async def check(self, request: Request, requirement: Requirement, *, account: str | None = None) -> Allowed | Refusal:
        """Whether the request may do what needs these scopes, in this account (its id or slug) if the resource has one."""
        caller: Caller | None = None
        try:
            token = bearer(request.authorization, request.query)
            caller = None if token is None else Caller(token, request.address)
            claims = None if caller is None else await self._claims(caller)
            answer = decide(claims, requirement, account=account)
        except Unavailable:
            answer = UNAVAILABLE
        except Refused as fault:
            _log.debug("a token was refused: %s: %s", fault.cause, fault.why)
            answer = refused(fault.cause)
            # The reason of any other refusal is known here, or is for nobody to know.
            if fault.cause is not Cause.TOKEN_INACTIVE:
                caller = None
        if isinstance(answer, Allowed):
            return answer
        return structs.replace(await self._explained(answer, caller, requirement), realm=self.audience)

    async def aclose(self) -> None:
        """Stop what runs in the background, and close the HTTP client if the guard made it."""
        await self._keys.aclose()
        await self._metadata.aclose()
        if self._introspector is not None:
            await self._introspector.aclose()
        if self._closes_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def _claims(self, caller: Caller) -> Claims:
        looks_like_jwt = caller.token.startswith("eyJ") and caller.token.count(".") == 2
        if self._mode == "jwt" or (self._mode == "auto" and looks_like_jwt):
            return await self._verified(caller.token)
        if self._introspector is None:
            raise Refused(Cause.TOKEN_MALFORMED, "the token is no JWT, and without credentials nothing else can be checked")
        if len(caller.token) > MAX_TOKEN:
            raise Refused(Cause.TOKEN_MALFORMED, "the token is too long")
        return await self._introspector.claims(caller)

    async def _verified(self, token: str) -> Claims:
        keys = await self._keys.current()
        try:
            return self._held_against(token, keys)
        except Refused as fault:
            if fault.cause is not Cause.KEY_UNKNOWN:
                raise
            # The issuer may have begun to sign with a key that is younger than our copy of its keys.
            newer = await self._keys.newer_than(keys)
            if newer is keys:
                raise
        return self._held_against(token, newer)

    def _held_against(self, token: str, keys: KeySet) -> Claims:
        terms = self._terms
        return verify_access_token(token, keys, issuer=terms.issuer, audience=terms.audience, now=self._clock(), leeway=terms.leeway)

    async def _explained(self, refusal: Refusal, caller: Caller | None, requirement: Requirement) -> Refusal:
        if caller is None or self._explainer is None or refusal.reason not in _MAY_BE_EXPLAINED:
            return refusal
        known = await self._explainer.why(caller, refusal.missing or requirement.all_of)
        return refusal if known is None else explained(refusal, *known)


_MAY_BE_EXPLAINED: Final = (Reason.INSUFFICIENT_SCOPE, Reason.INVALID_TOKEN)
