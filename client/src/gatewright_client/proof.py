"""How a client says which one it is, and proves it (RFC 6749 §2.3, RFC 7523 §2.2)."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol
from urllib.parse import quote_plus

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE: Final = 60


class Proof(Protocol):
    """A client that can prove to be itself."""

    @property
    def client_id(self) -> str: ...

    def header(self) -> str | None:
        """The Authorization header of a request, if the proof lies there."""

    def form(self, issuer: str, now: float) -> dict[str, str]:
        """The parameters of a request that are for the server of this issuer, and good now (epoch seconds)."""


class Public:
    """A client without a secret: a program on somebody's own machine."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    def header(self) -> str | None:
        return None

    def form(self, issuer: str, now: float) -> dict[str, str]:
        return {"client_id": self.client_id}


class Secret:
    """A client with a secret, in the header (`client_secret_basic`) or in the body (`client_secret_post`)."""

    def __init__(
        self, client_id: str, secret: str, *, method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    ) -> None:
        if not secret:
            raise ValueError(f"the secret of the client {client_id!r} is empty")
        self.client_id = client_id
        self._secret = secret
        self._method = method

    def header(self) -> str | None:
        if self._method != "client_secret_basic":
            return None
        # Both halves are encoded as form values first: RFC 6749 §2.3.1 and Appendix B.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self._secret)}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def form(self, issuer: str, now: float) -> dict[str, str]:
        return {} if self._method == "client_secret_basic" else {"client_id": self.client_id, "client_secret": self._secret}


class Assertion:
    """A client with a private key (`private_key_jwt`). `sign` turns bytes into a signature as JOSE writes it (RFC 7515 §5.1).

    The key may lie in a machine of its own; `gatewright_client.private_key` makes `sign` of a PEM text.
    """

    def __init__(self, client_id: str, sign: Callable[[bytes], bytes], *, alg: str = "ES256", kid: str | None = None) -> None:
        self.client_id = client_id
        self._sign = sign
        self._head = {"alg": alg, "typ": "client-authentication+jwt"} | ({} if kid is None else {"kid": kid})

    def header(self) -> str | None:
        return None

    def form(self, issuer: str, now: float) -> dict[str, str]:
        # Good for one server alone and once: another audience could show it as its own.
        claims: dict[str, object] = {"iss": self.client_id, "sub": self.client_id, "aud": issuer, "jti": secrets.token_urlsafe(24)}
        claims |= {"iat": int(now), "exp": int(now) + _LIFE}
        signed = f"{_part(self._head)}.{_part(claims)}"
        assertion = f"{signed}.{_base64url(self._sign(signed.encode()))}"
        return {"client_id": self.client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


def _part(members: Mapping[str, object]) -> str:
    return _base64url(json.dumps(members, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
