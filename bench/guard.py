"""What the guard costs an API, beside the bare signature check and beside what people write by hand today: µs of CPU.

`./dev bench guard` runs it. Nothing is asked of a server: the keys are at hand, and an opaque token was introspected a moment before.
The cheapest of many short batches is told, the candidates taking turns, since what is asked is the cost of the code and not of the
neighbours.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import cycle
from typing import Annotated, Any, Final

import fastapi
import httpx
import jwt as pyjwt
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gatewright_guard.asgi import GuardMiddleware, Rule
from gatewright_guard.decide import Allowed, needs
from gatewright_guard.fastapi import Caller, protect, requires
from gatewright_guard.guard import Guard, Request
from gatewright_guard.jose import KeySet, b64url, public_key, unb64url, verify
from gatewright_guard.verify import verify_access_token

NOW: Final = 1_800_000_000
ISSUER: Final = "https://id.acme.test"
AUDIENCE: Final = "https://bank.acme.test"
CLAIMS: Final = {
    "iss": ISSUER,
    "sub": "us_0n4hk2v9qw3xt",
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW,
    "jti": b64url(bytes(16)),
    "client_id": "budget-buddy",
    "scope": "read:balance transfer:funds openid",
    "gw_az": "az_0n4hk2v9qw3xt",
    "account_id": "ac_0n4hk2v9qw3xt",
    "account": "acme-dev",
}
KEYS: Final[dict[str, Callable[[], Key]]] = {
    "ES256": lambda: ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"}),
    "ES384": lambda: ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"}),
    "RS256": lambda: RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"}),
    "PS256": lambda: RSAKey.generate_key(2048, {"kid": "k1", "alg": "PS256", "use": "sig"}),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519", {"kid": "k1", "alg": "Ed25519", "use": "sig"}),
}
_BATCH: Final = 100
Act = Callable[[], object]
App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


def cheapest(acts: dict[str, Act], batches: int) -> dict[str, float]:
    """The cheapest batch of each act, in µs of CPU for one."""
    best = dict.fromkeys(acts, float("inf"))
    for _ in range(batches):
        for name, act in acts.items():
            start = time.process_time()
            for _ in range(_BATCH):
                act()
            best[name] = min(best[name], time.process_time() - start)
    return {name: seconds / _BATCH * 1e6 for name, seconds in best.items()}


def bare(alg: str, key: Key, token: str) -> Act:
    """The signature check alone, everything else done beforehand."""
    signed, _, last = token.rpartition(".")
    message, signature = signed.encode(), unb64url(last)
    public = key.public_key
    if isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        der = encode_dss_signature(r, s)
        how = ec.ECDSA(hashes.SHA256() if alg == "ES256" else hashes.SHA384())
        return lambda: public.verify(der, message, how)
    if isinstance(public, rsa.RSAPublicKey):
        digest = hashes.SHA256()
        scheme = padding.PSS(padding.MGF1(digest), 32) if alg == "PS256" else padding.PKCS1v15()
        return lambda: public.verify(signature, message, scheme, digest)
    assert isinstance(public, ed25519.Ed25519PublicKey)
    return lambda: public.verify(signature, message)


def _decoding(token: str, key: Key, alg: str) -> Act:
    """PyJWT's check of the same token."""
    public, options = key.public_key, {"verify_exp": False, "verify_iat": False}
    if alg == "EdDSA":  # which knows the algorithm by its older name
        private = key.private_key
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        token = pyjwt.encode(CLAIMS, private, algorithm=alg, headers={"kid": "k1"})
    return lambda: pyjwt.decode(token, public, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER, options=options)  # type: ignore[arg-type]  # any key


def signatures(batches: int) -> None:
    """Print what an access token costs beside its signature, by algorithm and library."""
    print(f"{'JWT':8} {'signature':>9} {'our JWS':>9} {'our token':>9} {'PyJWT':>9} {'joserfc':>9}   our token / signature")
    for alg, make in KEYS.items():
        key = make()
        token = jwt.encode({"alg": alg, "typ": "at+jwt", "kid": "k1"}, CLAIMS, key, algorithms=[alg])
        keys = KeySet((public_key(key.as_dict(private=False)),))
        # mypy takes no lambda whose defaults hold the loop's values; without them each would see the last ones.
        found = cheapest(
            {
                "signature": bare(alg, key, token),
                "jws": lambda token=token, keys=keys: verify(token, keys),  # type: ignore[misc]
                "ours": lambda token=token, keys=keys: verify_access_token(token, keys, issuer=ISSUER, audience=AUDIENCE, now=NOW),  # type: ignore[misc]
                "pyjwt": _decoding(token, key, "EdDSA" if alg == "Ed25519" else alg),
                "joserfc": lambda token=token, key=key, alg=alg: jwt.decode(token, key, algorithms=[alg]),  # type: ignore[misc]
            },
            batches,
        )
        figures = " ".join(f"{value:9.1f}" for value in found.values())
        print(f"{alg:8} {figures}   {found['ours'] / found['signature']:.2f}")


# ---------------------------------------------------------------- in an application


class _Server:
    """What the guard would fetch, answered at once."""

    def __init__(self, key: Key) -> None:
        self._answers = {
            "/.well-known/openid-configuration": {
                "issuer": ISSUER,
                "jwks_uri": f"{ISSUER}/jwks",
                "introspection_endpoint": f"{ISSUER}/introspect",
            },
            "/jwks": {"keys": [key.as_dict(private=False)]},
            "/introspect": {"active": True, **CLAIMS},
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(msgspec.json.encode(self._answers[request.url.path])))


def by_hand(key: Key) -> fastapi.FastAPI:
    """An API as the tutorials write it: a bearer dependency that decodes with PyJWT, and one that looks at the scopes."""
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

    app, bearer = fastapi.FastAPI(), HTTPBearer()
    jwks = pyjwt.PyJWKSet.from_dict({"keys": [key.as_dict(private=False)]})

    async def caller(scopes: SecurityScopes, sent: Annotated[HTTPAuthorizationCredentials, fastapi.Depends(bearer)]) -> dict[str, Any]:
        try:
            kid = pyjwt.get_unverified_header(sent.credentials)["kid"]
            claims: dict[str, Any] = pyjwt.decode(
                sent.credentials, jwks[kid].key, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER,
                options={"verify_exp": False, "verify_iat": False},
            )  # fmt: skip
        except pyjwt.PyJWTError as fault:
            raise fastapi.HTTPException(401) from fault
        if not set(scopes.scopes) <= set(claims["scope"].split()):
            raise fastapi.HTTPException(403)
        return claims

    @app.get("/balance")
    async def balance(who: Annotated[dict[str, Any], fastapi.Security(caller, scopes=["read:balance"])]) -> dict[str, str]:
        return {"user": who["sub"]}

    return app


def guarded(guard: Guard) -> fastapi.FastAPI:
    """The same with the guard."""
    app = fastapi.FastAPI()
    protect(app, guard)

    @app.get("/balance")
    async def balance(who: Annotated[Caller, requires("read:balance")]) -> dict[str, str]:
        return {"user": who.sub}

    return app


def unguarded() -> fastapi.FastAPI:
    """The same with no look at who calls."""
    app = fastapi.FastAPI()

    @app.get("/balance")
    async def balance() -> dict[str, str]:
        return {"user": "us_0n4hk2v9qw3xt"}

    return app


def calling(app: App, loop: asyncio.AbstractEventLoop, token: str) -> Act:
    """One request to an application, without a server around it."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise AssertionError(message)

    def act() -> None:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https", "path": "/balance",
            "raw_path": b"/balance", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 443),
            "headers": [(b"host", b"bank.acme.test"), (b"accept", b"*/*"), (b"authorization", f"Bearer {token}".encode())],
        }  # fmt: skip
        loop.run_until_complete(app(scope, receive, send))

    return act


def applications(batches: int) -> None:
    """Print what the guard adds to a request of a FastAPI application."""
    key = KEYS["ES256"]()
    head = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
    token = jwt.encode(head, CLAIMS, key)
    strangers = cycle(
        [Request(authorization=(f"Bearer {jwt.encode(head, {**CLAIMS, 'jti': str(n)}, key)}",)) for n in range(batches * _BATCH)]
    )
    loop = asyncio.new_event_loop()
    http = httpx.AsyncClient(transport=httpx.MockTransport(_Server(key)))
    guard = Guard(ISSUER, AUDIENCE, credentials=("ap_1", "secret"), max_stale=600, http=http, clock=lambda: NOW)
    plain, opaque = unguarded(), "gwa_0n4hk2v9qw3xt"
    requests = {name: Request(authorization=(f"Bearer {text}",)) for name, text in (("jwt", token), ("opaque", opaque))}
    asked = needs("read:balance")
    for request in requests.values():
        assert isinstance(loop.run_until_complete(guard.check(request, asked)), Allowed)
    rules = [Rule(path="/balance", needs=asked)]
    found = cheapest(
        {
            "the signature alone": bare("ES256", key, token),
            "the guard's decision, JWT never seen": lambda: guard.begin(next(strangers), asked),
            "the guard's decision, JWT known": lambda: guard.begin(requests["jwt"], asked),
            "the guard's decision, opaque token known": lambda: guard.begin(requests["opaque"], asked),
            "FastAPI, no check": calling(plain, loop, token),
            "FastAPI, requires(…), JWT known": calling(guarded(guard), loop, token),
            "FastAPI, requires(…), opaque token known": calling(guarded(guard), loop, opaque),
            "FastAPI behind GuardMiddleware, JWT known": calling(GuardMiddleware(plain, guard, rules), loop, token),
            "FastAPI behind GuardMiddleware, opaque token known": calling(GuardMiddleware(plain, guard, rules), loop, opaque),
            "FastAPI, PyJWT in a dependency": calling(by_hand(key), loop, token),
        },
        batches,
    )
    loop.run_until_complete(guard.aclose())
    loop.run_until_complete(http.aclose())
    loop.close()
    floor = {kind: found["FastAPI, no check"] + found[f"the guard's decision, {kind} known"] for kind in ("JWT", "opaque token")}
    print(f"\n{'':52} {'µs':>7} {'beside request and decision':>28}")
    for name, value in found.items():
        kind = name.rpartition(", ")[2].removesuffix(" known")
        beside = f"{value - floor[kind]:28.1f}" if "requires" in name or "Middleware" in name else ""
        print(f"{name:52} {value:7.1f} {beside}")


def measure(batches: int) -> None:
    """Print everything."""
    signatures(batches)
    applications(batches)
