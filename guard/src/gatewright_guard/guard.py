"""The guard of one API: the header of a request comes in, and what comes out is who may, or a refusal that says why."""

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self

import httpx
import msgspec
from msgspec import structs

from gatewright_guard.address import secure_url
from gatewright_guard.bearer import Presented, presented
from gatewright_guard.binding import Prover
from gatewright_guard.decide import NO_RULE, NO_TOKEN, UNAVAILABLE, Allowed, Refusal, Requirement, decide, denied, explained, refused
from gatewright_guard.feed import MAX_AWAY, Follower
from gatewright_guard.fetch import Unavailable, new_client
from gatewright_guard.introspect import MAX_STALE, Caller, Credentials, Explainer, Introspector, Terms
from gatewright_guard.jose import MAX_TOKEN, KeySet, parse
from gatewright_guard.kept import Kept
from gatewright_guard.keys import METADATA_TERMS, Metadata, RemoteKeys, fetch_metadata
from gatewright_guard.known import KnownTokens
from gatewright_guard.reasons import Reason
from gatewright_guard.refused import Cause, Refused
from gatewright_guard.request import Proxies, Request
from gatewright_guard.resource import Description, Resource
from gatewright_guard.usage import Usage
from gatewright_guard.verify import LEEWAY, Claims

__all__ = ["Endpoints", "Guard", "Mode", "OwnRule", "Request"]

Mode = Literal["auto", "jwt", "opaque"]
WhenAway = Literal["introspect", "refuse"]
Verdict = bool | str
OwnRule = Callable[[Allowed, Request], Verdict | Awaitable[Verdict]]
"""The API's own rule, beyond the token: True allows, False refuses, a text refuses and says why."""

_MAX_LEEWAY: Final = 60
_CONNECTING: Final = 1.0
"""Seconds that requests wait for a feed that is not heard yet or no more."""
_DOUBTS: Final = 8
"""Tokens about whose unknown keys the server is asked at the same moment, so that a flood of inventions is no flood of questions."""
_log: Final = logging.getLogger("gatewright_guard")


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The server's addresses, where the guard is not to learn them from the issuer's metadata."""

    jwks_uri: str | None = None
    introspection: str | None = None
    why: str | None = None
    usage: str | None = None
    feed: str | None = None


class Guard:
    """Protects the API whose audience is given with the tokens of one issuer.

    `credentials` are the API's id and secret at the server; without them only JWTs are understood and refusals say only what the
    guard sees itself. `mode` is `"auto"` (a JWT is verified here, anything else introspected), `"jwt"`, or `"opaque"` (the server
    is asked about every token, so that an ended grant shows within `max_stale` seconds). `other_issuers` are the further domains
    of the issuer's tenant, which share its keys. `implies` names the scopes that a scope stands for as well. `allow` is a rule of
    the API's own, asked when the token would do. `proxies` are believed about who calls. `origins` are where the API is called, for
    proofs of keys (DPoP): the audience's own, if none is named. `http` is closed by whoever made it; the
    clock gives epoch seconds.

    With `follow` the server's revocation feed is followed: a JWT whose grant, user or session has ended is refused within a second,
    and of one that may have fewer scopes or roles than it says the server is asked what is left. Where nothing was heard of the feed
    for `max_away` seconds, `when_away` decides: the server is asked about each JWT, or each is answered with 503. With `usage` the
    guard reports which scopes decided calls.
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
        implies: Mapping[str, Collection[str]] | None = None,
        allow: OwnRule | None = None,
        proxies: Proxies | None = None,
        origins: Collection[str] = (),
        description: Description | None = Description(),  # noqa: B008 - frozen
        usage: bool = False,
        follow: bool = False,
        max_away: float = MAX_AWAY,
        when_away: WhenAway = "introspect",
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        _no_slip(mode, credentials, leeway, lists=(other_issuers, origins), asks=usage or follow)
        self.issuer = secure_url(issuer)
        self.audience = audience
        self.proxies = proxies
        self.clock = clock
        self.resource = self._described(description)
        self._realm = {"realm": audience, "resource_metadata": None if self.resource is None else self.resource.url}
        self.no_rule: Refusal = structs.replace(NO_RULE, **self._realm)
        """What holders of a good token are told where the API has no rule."""
        self._terms = Terms(issuer=frozenset((issuer, *other_issuers)), audience=audience, leeway=leeway)
        self._known = KnownTokens(self._terms, clock)
        self._implies = _closure(implies or {})
        self._allow = allow
        self._mode = mode
        self._prover = Prover(origins or (audience,), leeway)
        self._closes_http = http is None
        self._http = new_client() if http is None else http
        self._metadata = Kept[Metadata](partial(fetch_metadata, self._http, issuer), clock, METADATA_TERMS)
        self._keys = RemoteKeys(self._http, clock, metadata=self._metadata, jwks_uri=endpoints.jwks_uri)
        self._introspector: Introspector | None = None
        self._explainer: Explainer | None = None
        self._usage: Usage | None = None
        self._follower: Follower | None = None
        self._when_away = when_away
        self._gave_up = False
        self._doubts = 0
        if credentials is not None:
            proof, base = Credentials(*credentials), self.issuer.rstrip("/")
            if follow:
                self._follower = Follower(self._http, proof, endpoints.feed or f"{base}/-/feed", max_away=max_away, clock=clock)
            self._be_known(proof, endpoints, max_stale)
            if usage:
                self._usage = Usage(self._http, clock, proof, endpoints.usage or f"{base}/-/usage", implies=self._implies)

    def _described(self, description: Description | None) -> Resource | None:
        if description is None:
            return None
        certificates = self.proxies is not None and self.proxies.tells_certificates
        resource = Resource(self.audience, [self.issuer], description, certificates=certificates)
        return resource if resource.path is not None else None

    def _be_known(self, proof: Credentials, endpoints: Endpoints, max_stale: float) -> None:
        self._introspector = Introspector(
            self._http,
            self.clock,
            proof,
            self._terms,
            metadata=self._metadata,
            overtaken=None if self._follower is None else self._follower.overtaken,
            endpoint=endpoints.introspection,
            max_stale=max_stale,
        )
        why = endpoints.why or self.issuer.rstrip("/") + "/-/why"
        self._explainer = Explainer(self._http, self.clock, proof, why)

    async def check(self, request: Request, requirement: Requirement, *, account: str | None = None) -> Allowed | Refusal:
        """Whether the request may do what needs these scopes, in this account (its id or slug) if the resource has one."""
        self.start()
        answer = self.begin(request, requirement, account=account)
        return await self.finish(answer) if isinstance(answer, Weighing) else answer

    def start(self) -> None:
        """Begin what runs beside the requests, on the loop that runs; `check` does it by itself."""
        if self._usage is not None:
            self._usage.start()
        if self._follower is not None:
            self._follower.start()

    def begin(self, request: Request, requirement: Requirement, *, account: str | None = None) -> "Allowed | Refusal | Weighing":
        """The answer of `check` if nobody has to be asked for it, otherwise what `finish` goes on with. Any thread may call it."""
        weighing = Weighing(request, requirement, account)
        answer = self._weigh(weighing)
        return weighing if answer is None else answer

    async def finish(self, weighing: "Weighing") -> Allowed | Refusal:
        """The answer that `begin` could not give, after asking the server for the keys, the token or the reason, or the API's own rule."""
        if weighing.verdict is None and weighing.refusal is None:
            answer = await self._learning(weighing)
            if answer is not None:
                return answer
        if weighing.allowed is not None and weighing.verdict is not None:
            return self._by_rule(weighing, weighing.allowed, await weighing.verdict)
        if weighing.refusal is None or weighing.sent is None:
            raise AssertionError("a request was neither allowed nor refused")
        return self._told(await self._explained(weighing, weighing.refusal, weighing.sent), weighing.sent)

    async def aclose(self) -> None:
        """Stop what runs in the background, and close the HTTP client if the guard made it."""
        if self._follower is not None:
            await self._follower.aclose()
        if self._usage is not None:
            await self._usage.aclose()
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

    # ------------------------------------------------------------ without asking anybody

    def _weigh(self, weighing: "Weighing") -> Allowed | Refusal | None:
        """The answer, as far as it can be given here and now; None if the server or the API's own rule must be asked."""
        try:
            sent = weighing.sent = presented(weighing.request.authorization, weighing.request.query)
            if sent is None:
                return self._told(NO_TOKEN)
            claims = self._at_hand(sent, weighing)
            if claims is None:
                return None
            answer = self._decided(weighing, sent, claims)
        except Refused as fault:
            if fault.cause is Cause.KEY_UNKNOWN:
                return None
            answer = self._refused(weighing, fault)
        if isinstance(answer, Allowed):
            return self._ruled(weighing, answer)
        weighing.refusal = answer
        return None if self._can_be_explained(weighing) else self._told(answer, weighing.sent)

    def _at_hand(self, sent: Presented, weighing: "Weighing") -> Claims | None:
        caller = Caller(sent.token, weighing.request.address)
        if not self._is_jwt(sent.token):
            return self._not_ended(self._asked(sent.token).at_hand(caller))
        keys = self._keys.at_hand()
        claims = None if keys is None else self._not_ended(self._held_against(sent.token, keys))
        # Without the feed a signature alone says too little.
        if claims is None or self._is_away():
            return None
        self._gave_up = False
        return self._asked(sent.token).at_hand(caller) if self._is_asked_about(claims, weighing.requirement) else claims

    def _is_asked_about(self, claims: Claims, requirement: Requirement) -> bool:
        """Whether a good JWT alone does not say what its holder may: it may say too much, since the feed told of less, or too little."""
        if self._follower is not None and self._follower.narrowed(claims):
            return True
        # Another company's app can read its tokens, so they do not name roles; the server names them to the API.
        return bool(requirement.roles) and "roles" not in claims.members and self._introspector is not None

    def _not_ended(self, claims: Claims | None) -> Claims | None:
        if claims is not None and self._follower is not None and self._follower.revoked(claims):
            raise Refused(Cause.TOKEN_REVOKED, "the feed told that what the token stands for has ended")
        return claims

    async def _hears(self) -> bool:
        """Whether the feed is heard, or will be in a moment: one that stays away is waited for once."""
        if self._follower is None or not self._is_away():
            self._gave_up = False
            return True
        if not self._gave_up:
            self._gave_up = not await self._follower.until_current(_CONNECTING)
        return not self._gave_up

    def _is_away(self) -> bool:
        return self._follower is not None and not self._follower.is_current(self.clock())

    def _decided(self, weighing: "Weighing", sent: Presented, claims: Claims) -> Allowed | Refusal:
        now, request = self.clock(), weighing.request
        if claims.confirmation is not None or sent.scheme == "dpop":
            self._prover.prove(claims.confirmation, sent, request, now)
        if self._implies:
            claims = structs.replace(claims, scopes=_implied(claims.scopes, self._implies))
        return decide(claims, weighing.requirement, account=weighing.account, now=now, proved=True)

    def _ruled(self, weighing: "Weighing", allowed: Allowed) -> Allowed | Refusal | None:
        if self._allow is None:
            return self._let_in(weighing, allowed)
        verdict = self._allow(allowed, weighing.request)
        if inspect.isawaitable(verdict):
            weighing.allowed, weighing.verdict = allowed, verdict
            return None
        return self._by_rule(weighing, allowed, verdict)

    def _let_in(self, weighing: "Weighing", allowed: Allowed) -> Allowed:
        if self._usage is not None:
            self._usage.seen(allowed.claims, weighing.requirement, account=weighing.account)
        return allowed

    def _by_rule(self, weighing: "Weighing", allowed: Allowed, verdict: Verdict) -> Allowed | Refusal:
        # Nothing but True allows: a rule that forgets to answer lets nobody in.
        if verdict is True:
            return self._let_in(weighing, allowed)
        return self._told(denied(verdict if isinstance(verdict, str) else None), weighing.sent)

    def _refused(self, weighing: "Weighing", fault: Refused) -> Refusal:
        _log.debug("a token was refused: %s: %s", fault.cause, fault.why)
        weighing.cause = fault.cause
        return refused(fault.cause)

    def _can_be_explained(self, weighing: "Weighing") -> bool:
        if self._explainer is None or weighing.sent is None or weighing.refusal is None:
            return False
        # The reason of any other refusal is known here, or is for nobody to know.
        if weighing.cause is not None:
            return weighing.cause in _SERVER_KNOWS_MORE
        return weighing.refusal.reason in (Reason.INSUFFICIENT_SCOPE, Reason.WRONG_ACCOUNT)

    def _told(self, refusal: Refusal, sent: Presented | None = None) -> Refusal:
        """A refusal as it goes out: with the API's name, and as a challenge for the kind of token that was sent."""
        dpop = refusal.dpop or (sent is not None and sent.scheme == "dpop" and refusal.error is not None)
        return structs.replace(refusal, dpop=dpop, **self._realm)

    def _is_jwt(self, token: str) -> bool:
        return self._mode == "jwt" or (self._mode == "auto" and token.startswith("eyJ") and token.count(".") == 2)

    def _asked(self, token: str) -> Introspector:
        if self._introspector is None:
            raise Refused(Cause.TOKEN_MALFORMED, "the token is no JWT, and without credentials nothing else can be checked")
        if len(token) > MAX_TOKEN:
            raise Refused(Cause.TOKEN_MALFORMED, "the token is too long")
        return self._introspector

    def _held_against(self, token: str, keys: KeySet) -> Claims:
        if self._follower is None:
            return self._known.claims(token, keys)
        try:
            return self._known.claims(token, self._follower.trusted(keys))
        except Refused as fault:
            # Who took the key makes any number of tokens. Another of the server's processes may still vouch for them, for a moment.
            if fault.cause is Cause.KEY_UNKNOWN and self._follower.withdrew(parse(token).header.kid):
                raise Refused(Cause.KEY_WITHDRAWN, "the feed told that the token's key was withdrawn") from None
            raise

    # ------------------------------------------------------------ asking

    async def _learning(self, weighing: "Weighing") -> Allowed | Refusal | None:
        """Ask for what the token says, or for the keys; the answer, or None if there is still somebody to ask."""
        sent = weighing.sent
        if sent is None:
            raise AssertionError("a request without a token was not answered at once")
        try:
            claims = await self._claims(Caller(sent.token, weighing.request.address), weighing.requirement)
            answer = self._decided(weighing, sent, claims)
        except Unavailable:
            return self._told(UNAVAILABLE)
        except Refused as fault:
            answer = self._refused(weighing, fault)
        if isinstance(answer, Allowed):
            return self._ruled(weighing, answer)
        weighing.refusal = answer
        return None if self._can_be_explained(weighing) else self._told(answer, sent)

    async def _claims(self, caller: Caller, requirement: Requirement) -> Claims:
        if self._is_jwt(caller.token):
            # First, since a key may be among what the feed tells of.
            heard = await self._hears()
            claims = await self._verified(caller)
            if heard:
                self._not_ended(claims)
                if not self._is_asked_about(claims, requirement):
                    return claims
            elif self._when_away == "refuse":
                raise Unavailable("the revocation feed was not heard for too long")
        claims = await self._asked(caller.token).claims(caller)
        # It may have ended while the server was asked.
        self._not_ended(claims)
        return claims

    async def _verified(self, caller: Caller) -> Claims:
        token, keys = caller.token, await self._keys.current()
        try:
            return self._held_against(token, keys)
        except Refused as fault:
            if fault.cause is not Cause.KEY_UNKNOWN:
                raise
            # The issuer may have begun to sign with a key that is younger than our copy of its keys.
            newer = await self._keys.newer_than(keys)
            if newer is keys:
                return await self._vouched_for(caller, fault)
        return self._held_against(token, newer)

    async def _vouched_for(self, caller: Caller, fault: Refused) -> Claims:
        """What the server says of a token whose key is not in our copy of the keys, which was fetched too short a while ago to be again.

        After an emergency its key may be younger. A stranger's invention is told nothing else than always.
        """
        if self._introspector is None or self._doubts >= _DOUBTS:
            raise Unavailable("the token names a key that is not known yet, and the keys were asked for a moment ago")
        self._doubts += 1
        try:
            return await self._introspector.claims(caller)
        except Refused:
            raise fault from None
        finally:
            self._doubts -= 1

    async def _explained(self, weighing: "Weighing", refusal: Refusal, sent: Presented) -> Refusal:
        if self._explainer is None:
            return refusal
        caller = Caller(sent.token, weighing.request.address)
        known = await self._explainer.why(caller, refusal.missing or weighing.requirement.all_of, weighing.account)
        return refusal if known is None else explained(refusal, known.cause, known.detail, decision=known.decision, more=known.more)


class Weighing:
    """One request on its way to an answer."""

    __slots__ = ("account", "allowed", "cause", "refusal", "request", "requirement", "sent", "verdict")

    def __init__(self, request: Request, requirement: Requirement, account: str | None) -> None:
        self.request = request
        self.requirement = requirement
        self.account = account
        self.sent: Presented | None = None
        self.cause: Cause | None = None
        """Why the token is no good at all, if it is not."""
        self.refusal: Refusal | None = None
        self.allowed: Allowed | None = None
        self.verdict: Awaitable[Verdict] | None = None


_SERVER_KNOWS_MORE: Final = (Cause.TOKEN_INACTIVE, Cause.TOKEN_REVOKED)


def _no_slip(mode: Mode, credentials: object, leeway: int, *, lists: tuple[object, ...], asks: bool) -> None:
    """Tell of a setting that would make the guard less safe than it looks."""
    if any(isinstance(listed, str) for listed in lists):
        raise TypeError("other_issuers and origins are lists, not one text")
    if mode == "opaque" and credentials is None:
        raise ValueError("opaque tokens need the API's credentials: without them the server cannot be asked")
    if asks and credentials is None:
        raise ValueError("the use of scopes is reported, and the revocation feed followed, with the API's credentials")
    if not 0 <= leeway <= _MAX_LEEWAY:
        raise ValueError(f"leeway is a number of seconds from 0 to {_MAX_LEEWAY}")


def _closure(implies: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """For each scope all that it stands for, however many steps away."""
    found: dict[str, frozenset[str]] = {}
    for scope, first in implies.items():
        if isinstance(first, str):
            raise TypeError(f"what {scope!r} implies is a list of scopes, not one text")
        seen, waiting = set[str](), list(first)
        while waiting:
            if (one := waiting.pop()) not in seen:
                seen.add(one)
                waiting += implies.get(one, ())
        found[scope] = frozenset(seen)
    return found


def _implied(scopes: frozenset[str], implies: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return scopes.union(*(implies[scope] for scope in scopes if scope in implies))
