"""Signing in at a program without a browser: the user opens a page elsewhere and types a code (RFC 8628)."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from gatewright_client.errors import NotSignedIn, Refused, Unavailable
from gatewright_client.origin import secure_url
from gatewright_client.server import Server, refusal
from gatewright_client.tokens import Tokens
from gatewright_client.wire import showable

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER: Final = 5.0  # §3.5, for every slow_down
_LONGEST: Final = 60.0


class Prompt(msgspec.Struct, frozen=True):
    """What the user has to see (§3.3)."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    """The same page with the code in it, for a link or a picture of one."""
    expires_in: float
    """Seconds within which the user has to answer."""


class _Reply(msgspec.Struct, frozen=True):
    """§3.2."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float = 5
    verification_uri_complete: str | None = None


def sign_in(
    server: Server,
    show: Callable[[Prompt], None],
    *,
    scope: str = "",
    resource: str | None = None,
    account: str | None = None,
    early: float = 60.0,
    pause: Callable[[float], object] = time.sleep,
) -> Tokens:
    """Ask for a code, have it shown, and wait until the user has answered; in asyncio call it by `asyncio.to_thread`.

    Raises:
        NotSignedIn: the user said no, or nobody answered in time.
        Refused: the server said no.
        Unavailable: the server has no such endpoint, or gave no code.
    """
    asked = {"scope": scope, "resource": resource, "account": account}
    begun = _begin(server, {name: value for name, value in asked.items() if value})
    until = server.clock() + begun.expires_in
    show(_prompt(begun))
    form = {"grant_type": GRANT_TYPE, "device_code": begun.device_code} | ({} if resource is None else {"resource": resource})
    interval = max(1.0, begun.interval)
    while server.clock() + interval < until:
        pause(interval)
        try:
            return server.obtain(form, early=early)
        except Refused as fault:
            interval = _after(fault, interval)
        except Unavailable as fault:
            # §3.5: who gets no answer asks less often.
            interval = max(min(interval * 2, _LONGEST), interval, fault.retry_after or 0.0)
    raise NotSignedIn("expired_token", "nobody answered in time: begin again")


def _after(fault: Refused, interval: float) -> float:
    """The seconds until the next try."""
    if fault.error == "authorization_pending":
        return interval
    if fault.error == "slow_down":
        return interval + _SLOWER
    if fault.error == "access_denied":
        raise NotSignedIn(fault.error, "the user said no") from fault
    if fault.error == "expired_token":
        raise NotSignedIn(fault.error, "nobody answered in time: begin again") from fault
    if fault.temporary:
        return max(min(interval * 2, _LONGEST), interval, fault.retry_after or 0.0)
    raise fault


def _begin(server: Server, form: dict[str, str]) -> _Reply:
    url = server.endpoints().device_authorization_endpoint
    if url is None:
        raise Unavailable(f"{server.issuer} signs nobody in at devices: its metadata names no device_authorization_endpoint")
    answer = server.post(url, form)
    if answer.status != 200:
        raise refusal(url, answer)
    try:
        reply = msgspec.convert(answer.members, _Reply, strict=False)
        # The user is sent there to sign in, so it must be as safe as the rest.
        for address in (reply.verification_uri, reply.verification_uri_complete):
            if address is not None:
                secure_url(address)
    except (msgspec.ValidationError, ValueError) as fault:
        raise Unavailable(f"{url} gave no code that we can use: {fault}") from None
    return reply


def _prompt(begun: _Reply) -> Prompt:
    complete = begun.verification_uri_complete
    return Prompt(
        showable(begun.user_code), showable(begun.verification_uri), None if complete is None else showable(complete), begun.expires_in
    )
