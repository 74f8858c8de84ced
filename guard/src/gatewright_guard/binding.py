"""Is the caller the one that a bound token belongs to (RFC 7800 §3.1, RFC 8705 §3, RFC 9449 §7)? Pure: time is handed in."""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Final

from gatewright_guard.bearer import Presented
from gatewright_guard.dpop import Replays, check_proof, normal
from gatewright_guard.jose import b64url
from gatewright_guard.refused import Cause, Refused
from gatewright_guard.request import Request

_METHODS: Final = frozenset({"jkt", "x5t#S256"})


class Prover:
    """Asks for the proofs of one API, which is called at these origins and nowhere else.

    The host of a request is what its sender says: without a list of our own, a proof that somebody made for another server, and gave
    to it, would do here as well (RFC 9449 §4.3, check 9). Where no origin is an address, the called one counts.
    """

    def __init__(self, origins: Collection[str], leeway: int) -> None:
        self._origins = frozenset(normal(origin)[:3] for origin in origins if origin.startswith(("http://", "https://")))
        self._leeway = leeway
        self._replays = Replays()

    def prove(self, confirmation: Mapping[str, object] | None, presented: Presented, request: Request, now: float) -> None:
        """Return if the caller holds what the token is bound to, or if it is bound to nothing; `Refused` otherwise.

        `confirmation` is the token's `cnf`. All of its members must hold, and one that we do not know cannot.
        """
        if confirmation is None:
            if presented.scheme == "dpop":
                raise Refused(Cause.TOKEN_UNBOUND, "the token was sent as one that is bound to a key, and is not")
            return
        # RFC 7800 §3.1 lets a recipient pass over members that it does not know; a token that is bound is then a bearer token again.
        if not confirmation or confirmation.keys() - _METHODS:
            raise Refused(Cause.BINDING_UNKNOWN, "the token is bound in a way that cannot be proved here")
        if "x5t#S256" in confirmation:
            _certificate(confirmation["x5t#S256"], request.certificate)
        if "jkt" in confirmation:
            self._key(confirmation["jkt"], presented, request, now)
        elif presented.scheme == "dpop":
            raise Refused(Cause.TOKEN_UNBOUND, "the token was sent as one that is bound to a key, and is bound to a certificate")

    def _key(self, thumbprint: object, presented: Presented, request: Request, now: float) -> None:
        # RFC 9449 §7.2: whoever stole a bound token must not make it a bearer token by another word in front of it.
        if presented.scheme != "dpop":
            raise Refused(Cause.TOKEN_BOUND, "the token is bound to a key and was sent as a bearer token")
        if len(request.dpop) != 1:
            raise Refused(Cause.PROOF_WRONG, f"the request has {len(request.dpop)} DPoP headers")
        if self._origins and normal(request.url)[:3] not in self._origins:
            raise Refused(Cause.PROOF_WRONG, "the request was sent to a host that is not this API's: name it in origins")
        url, token = request.url, presented.token
        proof = check_proof(request.dpop[0], method=request.method, url=url, token=token, now=now, leeway=self._leeway)
        if not isinstance(thumbprint, str) or not hmac.compare_digest(proof.jkt.encode(), thumbprint.encode()):
            raise Refused(Cause.PROOF_WRONG, "the proof is of another key than the token's")
        if not self._replays.first(proof, now):
            raise Refused(Cause.PROOF_WRONG, "the proof was used before")


def _certificate(thumbprint: object, certificate: bytes | None) -> None:
    if certificate is None:
        raise Refused(Cause.CERTIFICATE_WRONG, "the token is bound to a certificate, and the request came with none")
    held = b64url(hashlib.sha256(certificate).digest())
    if not isinstance(thumbprint, str) or not hmac.compare_digest(held.encode(), thumbprint.encode()):
        raise Refused(Cause.CERTIFICATE_WRONG, "the token is bound to another certificate")
