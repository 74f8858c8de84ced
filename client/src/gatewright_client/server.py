"""The authorization server as its client sees it: where its endpoints are, and what its token endpoint says."""

import re
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from gatewright_client.errors import Refused, Unavailable
from gatewright_client.origin import secure_url
from gatewright_client.proof import Proof
from gatewright_client.tokens import Tokens
from gatewright_client.wire import Answer, ask, new_client, showable

CLIENT_CREDENTIALS: Final = "client_credentials"
_GOOD_FOR: Final = 3600.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1: nothing of it can break a header


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The server's addresses, named as in its metadata (RFC 8414 §2, RFC 8628 §4)."""

    token_endpoint: str
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None


class _Metadata(Endpoints, frozen=True, kw_only=True):
    issuer: str


class _Reply(msgspec.Struct, frozen=True):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: str
    expires_in: float | None = None
    refresh_token: str | None = None
    scope: str | None = None


class Server:
    """One issuer and one client of it. The addresses come from the issuer's metadata unless they are given.

    `http` is closed by whoever made it; the own one takes no proxy from the environment. The clock gives epoch seconds.
    """

    def __init__(
        self,
        issuer: str,
        client: Proof,
        *,
        endpoints: Endpoints | None = None,
        http: httpx.Client | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = secure_url(issuer)
        self.client_id = client.client_id
        self.clock = clock
        self._proof = client
        self._closes_http = http is None
        self._http = new_client() if http is None else http
        self._given = endpoints
        self._found: tuple[float, Endpoints] | None = None

    def __repr__(self) -> str:
        return f"Server({self.issuer!r}, client_id={self.client_id!r})"

    def endpoints(self) -> Endpoints:
        """The addresses: those given, or those that the issuer's metadata names, looked up once an hour.

        Raises:
            Unavailable: the metadata cannot be had, names another issuer, or an address that is not safe.
        """
        if self._given is not None:
            return _secured(self._given)
        now = self.clock()
        if self._found is None or now > self._found[0] + _GOOD_FOR:
            try:
                self._found = (now, self._discovered())
            except Unavailable:
                if self._found is None:
                    raise
        return self._found[1]

    def _discovered(self) -> Endpoints:
        url = metadata_url(self.issuer)
        answer = ask(self._http, self._http.build_request("GET", url))
        if answer.status == 404:  # a server that knows OpenID Connect's document alone (RFC 8414 §5)
            url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
            answer = ask(self._http, self._http.build_request("GET", url))
        if answer.status != 200:
            raise Unavailable(f"{url} answered {answer.status}: is {self.issuer!r} the issuer?", retry_after=answer.retry_after)
        try:
            metadata = msgspec.convert(answer.members, _Metadata)
        except msgspec.ValidationError as fault:
            raise Unavailable(f"{url} is no metadata that we can use: {fault}") from None
        if metadata.issuer != self.issuer:
            raise Unavailable(f"{url} names another issuer, {showable(metadata.issuer)!r}; write it to the letter (RFC 8414 §3.3)")
        return _secured(metadata)

    def post(self, url: str, form: Mapping[str, str]) -> Answer:
        """Send a form to one of the endpoints, with the proof of the client.

        Raises:
            Unavailable: no answer came that can be one.
        """
        headers = {"authorization": header} if (header := self._proof.header()) else {}
        data = {**form, **self._proof.form(self.issuer, self.clock())}
        return ask(self._http, self._http.build_request("POST", url, data=data, headers=headers))

    def obtain(self, form: Mapping[str, str], *, early: float = 60.0) -> Tokens:
        """Ask the token endpoint. A new token is wanted `early` seconds before its end, or at half its life if that is later.

        Raises:
            Refused: the server said no.
            Unavailable: the server gave no answer, or none that we understand.
        """
        url = self.endpoints().token_endpoint
        answer = self.post(url, form)
        if answer.status != 200:
            raise refusal(url, answer)
        try:
            # Numbers in quotes are forgiven: old servers send them.
            reply = msgspec.convert(answer.members, _Reply, strict=False)
        except msgspec.ValidationError as fault:
            raise Unavailable(f"{url} gave no token: {fault}") from None
        if reply.token_type.lower() != "bearer":
            raise Unavailable(f"{url} gave a token of the type {showable(reply.token_type)!r}, which we cannot use")
        if not _TOKEN.fullmatch(reply.access_token):
            raise Unavailable(f"{url} gave a token that fits into no header (RFC 6750 §2.1)")
        return self._kept(reply, self.whose_by(form), early)

    def _kept(self, reply: _Reply, whose: str, early: float) -> Tokens:
        life = None if reply.expires_in is None else max(0.0, reply.expires_in)
        now = self.clock()
        return Tokens(
            access_token=reply.access_token,
            renew_at=None if life is None else now + life - min(early, life / 2),
            expires_at=None if life is None else now + life,
            refresh_token=reply.refresh_token,
            scope=reply.scope,
            whose=whose,
        )

    def whose(self, resource: str | None) -> str:
        """The name under which the tokens of a sign-in are kept: issuer, client and API. The rest was decided by who signed in."""
        return f"{self.issuer} {self.client_id} {resource or ''}".rstrip()

    def whose_by(self, form: Mapping[str, str]) -> str:
        """The name for what a request to the token endpoint gives: a service decides by each request what its token is."""
        if form.get("grant_type") != CLIENT_CREDENTIALS:
            return self.whose(form.get("resource"))
        asked = {**form, "scope": " ".join(sorted(set(form.get("scope", "").split())))}
        return f"{self.whose(None)} {urlencode(sorted(asked.items()))}"

    def revoke(self, token: str) -> None:
        """Give a token back (RFC 7009). The server answers alike whether it knew it or not.

        Raises:
            Refused: the server does not know this client.
            Unavailable: the server gave no answer, or has no such endpoint.
        """
        url = self.endpoints().revocation_endpoint
        if url is None:
            raise Unavailable(f"{self.issuer} takes no tokens back: its metadata names no revocation_endpoint")
        answer = self.post(url, {"token": token})
        if answer.status != 200:
            raise refusal(url, answer)

    def close(self) -> None:
        """Close the HTTP client, if it was made here."""
        if self._closes_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def metadata_url(issuer: str) -> str:
    """Where an issuer's metadata is: the well-known part goes between its host and its path (RFC 8414 §3)."""
    parts = urlsplit(issuer)
    return parts._replace(path=f"/.well-known/oauth-authorization-server{parts.path.rstrip('/')}", query="", fragment="").geturl()


def _secured(endpoints: Endpoints) -> Endpoints:
    for url in (endpoints.token_endpoint, endpoints.device_authorization_endpoint, endpoints.revocation_endpoint):
        try:
            if url is not None:
                secure_url(url)
        except ValueError as fault:
            raise Unavailable(f"an address of the server is not safe: {fault}") from None
    return endpoints


def refusal(url: str, answer: Answer) -> Refused | Unavailable:
    """A status other than 200 as an exception: the RFC's words if there are any."""
    error, description = answer.members.get("error"), answer.members.get("error_description")
    if not isinstance(error, str):
        # A page of what stands in between (502, 504) says nothing of what the server did: it may have made the next refresh token.
        return Unavailable(f"{url} answered {answer.status}", answered=answer.status < 500, retry_after=answer.retry_after)
    said = showable(description) if isinstance(description, str) else ""
    return Refused(showable(error), said, status=answer.status, retry_after=answer.retry_after)
