"""The authorization request: what a client asks for at the front door, and how far its user got with it (RFC 6749 §4.1.1).

Until somebody said yes nothing is stored: the request travels through the browser sealed, so that a flood of strangers writes no
row (`docs/decisions/0008`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from gatewright.base.digest import Kind, b64, unb64
from gatewright.oauth.claims import ClaimsRequest, parse_claims
from gatewright.oauth.device import Waiting
from gatewright.oauth.redirect_uri import RedirectUri

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import Sealer

ResponseMode = Literal["query", "form_post", "web_message"]
Prompt = Literal["none", "login", "consent", "select_account"]

STEP_SECONDS: Final = 900  # from one step to the next
LONGEST_SECONDS: Final = 3600  # from the request to its answer
POSTED_SECONDS: Final = 60  # from a post to the GET that it leads to
LONGEST_TEXT: Final = 7680  # characters: with its path it stays under the 8 KB that proxies allow a request line
LONGEST_BEGUN: Final = LONGEST_TEXT - 200  # when it begins; what its user does adds some numbers

_NONCE_BYTES: Final = 12
_NO_CLAIMS: Final = ClaimsRequest()


class ReturnTo(Struct, frozen=True):
    """Where the answer goes and how it travels; `state` goes back as it came."""

    redirect_uri: RedirectUri
    mode: ResponseMode = "query"
    state: str | None = None


class AuthorizationRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that passed every check (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1). Nothing of it depends on the user.

    `redirect_sent` tells whether the address was named, since only then the token request must name it again. `hint` is the user
    of the `id_token_hint`, 0 for none. `popup` tells that its pages are in a small window of another site's page. `asked_at` is
    when it came. With `device` it is that of a device that waits, and the answer goes to no address.
    """

    client_id: str
    back: ReturnTo
    redirect_sent: bool = True
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    challenge: str | None = None
    nonce: str | None = None
    claims_text: str = ""
    prompts: frozenset[Prompt] = frozenset()
    max_age: int | None = None
    login_hint: str = ""
    hint: int = 0
    account: str = ""
    popup: bool = False
    ui_locales: str = ""
    asked_at: int
    device: Waiting | None = None

    @property
    def claims(self) -> ClaimsRequest:
        """What the `claims` parameter asks for."""
        return parse_claims(self.claims_text) if self.claims_text else _NO_CLAIMS


class Progress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the user has done about one request so far. It counts for the session in which he did it and for no other.

    `signed_in` tells that the session was made for this request; `account` is the one he picked; `refused` is the session that
    he did not want to go on with.
    """

    session: int = 0
    signed_in: bool = False
    continued: bool = False
    consented: bool = False
    account: int = 0
    refused: int = 0


class Journey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a browser is in the middle of: an authorization request, or a visit to a page of ours that needs somebody signed in."""

    id: str
    started_at: int
    sealed_at: int
    request: AuthorizationRequest | None = None
    visit: str = ""
    visit_since: int = 0
    """The page needs a sign-in that is not older than this moment."""
    progress: Progress = Progress()

    def over(self, now: int) -> bool:
        """Tell whether it took too long."""
        return now - self.sealed_at > STEP_SECONDS or now - self.started_at > LONGEST_SECONDS


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Journey).decode
_decode_request: Final = msgspec.msgpack.Decoder(AuthorizationRequest).decode


def seal(journey: Journey, issuer: Issuer, sealer: Sealer, at: Moment) -> str:
    """Return a journey as text that only this issuer can read, good until the next step."""
    return seal_bytes(_encode(msgspec.structs.replace(journey, sealed_at=at.now)), "journey", issuer, sealer, at)


def unseal(text: str, issuer: Issuer, sealer: Sealer, now: int) -> Journey | None:
    """Return the journey of a text, or None when it is none of this issuer or took too long."""
    plain = unseal_bytes(text, "journey", issuer, sealer, now)
    try:
        journey = None if plain is None else _decode(plain)
    except msgspec.MsgspecError:
        # Sealed before an upgrade that changed what a journey is.
        return None
    return None if journey is None or journey.over(now) else journey


def seal_posted(request: AuthorizationRequest, issuer: Issuer, sealer: Sealer, at: Moment) -> str | None:
    """Return a request that was posted as text for the GET that follows it; None when it is too long to travel."""
    text = seal_bytes(_encode(request), "posted", issuer, sealer, at)
    return text if len(text) <= LONGEST_BEGUN else None


def unseal_posted(text: str, issuer: Issuer, sealer: Sealer, now: int) -> AuthorizationRequest | None:
    """Return a request that was posted just now. Like an authorization URL, it may be opened in any browser."""
    plain = unseal_bytes(text, "posted", issuer, sealer, now)
    try:
        request = None if plain is None else _decode_request(plain)
    except msgspec.MsgspecError:
        return None
    return None if request is None or now - request.asked_at > POSTED_SECONDS else request


def seal_bytes(plain: bytes, purpose: str, issuer: Issuer, sealer: Sealer, at: Moment) -> str:
    """Return bytes as text that only this issuer can read, and only for the same purpose."""
    return Kind.STEP + b64(sealer.seal(issuer.tenant, _place(purpose, issuer), plain, now=at.now, nonce=at.dice.bytes(_NONCE_BYTES)))


def unseal_bytes(text: str, purpose: str, issuer: Issuer, sealer: Sealer, now: int) -> bytes | None:
    """Return what was sealed for this purpose, or None when it was not."""
    if len(text) > LONGEST_TEXT or not text.startswith(Kind.STEP):
        return None
    sealed = unb64(text[len(Kind.STEP) :])
    return None if sealed is None else sealer.unseal(issuer.tenant, _place(purpose, issuer), sealed, now=now)


def _place(purpose: str, issuer: Issuer) -> str:
    # An issuer's URL begins with http, so no sealed token is ever taken for one of these, nor the other way round.
    return f"{purpose} at {issuer.url}"
