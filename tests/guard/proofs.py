"""DPoP proofs for the tests, signed by joserfc with keys that it made."""

import base64
import hashlib
import json
from typing import Any, Final

from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from tests.guard.makers import NOW, a_key

URL: Final = "https://bank.acme.test/balance"


def jwk_of(key: Key) -> dict[str, Any]:
    """A public key as a proof's header has it: the members that name it, and nothing else."""
    return {name: value for name, value in key.as_dict(private=False).items() if name not in ("kid", "alg", "use")}


def thumbprint_of(key: Key) -> str:
    return key.thumbprint()


def hash_of(token: str) -> str:
    return _b64(hashlib.sha256(token.encode()).digest())


def a_proof(token: str, *, key: Key | None = None, header: dict[str, Any] | None = None, **changes: object) -> str:
    """A good proof for a GET of `URL` with some claims or header members changed; a change to None takes one away."""
    holder = key or a_key(kid="holder")
    claims = {"jti": "p1", "htm": "GET", "htu": URL, "iat": NOW, "ath": hash_of(token)} | changes
    said = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk_of(holder)} | (header or {})
    # Joined by hand, since joserfc would not write the headers that no proof may have.
    parts = [_part({name: value for name, value in members.items() if value is not None}) for members in (said, claims)]
    signature = JWSRegistry.algorithms[str(said["alg"])].sign(".".join(parts).encode(), holder)
    return ".".join((*parts, _b64(signature)))


def _part(members: dict[str, Any]) -> str:
    return _b64(json.dumps(members).encode())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
