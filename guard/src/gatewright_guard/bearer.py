"""The access token that a request carries (RFC 6750 §2, RFC 9449 §7.1), or that it carries none, or too many."""

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from gatewright_guard.refused import Cause, Refused

# RFC 6750 §2.1, b64token. Whatever passes is visible ASCII, so nothing of it can break a line or a quoted text.
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_IN_QUERY: Final = re.compile(r"(?:^|[&;])access_token=")


class Presented(msgspec.Struct, frozen=True):
    """A token as it was sent, and the word in front of it in lower case."""

    scheme: Literal["bearer", "dpop"]
    token: str

    def __repr__(self) -> str:
        return f"Presented({self.scheme!r}, …)"


def presented(authorization: Sequence[str], query: str = "") -> Presented | None:
    """The token of the one Authorization header; None if no credentials of this kind were sent.

    A token in the address is refused even alone: it would be in every log on the way (RFC 9700 §4.3.2).
    """
    if query and _IN_QUERY.search(query):
        raise Refused(Cause.REQUEST_MALFORMED, "the request has an access token in its address")
    if not authorization:
        return None
    if len(authorization) > 1:
        raise Refused(Cause.REQUEST_MALFORMED, "the request has more than one Authorization header")
    scheme, _, token = authorization[0].strip(" \t").partition(" ")
    kind = scheme.lower()
    if kind not in ("bearer", "dpop"):
        return None
    token = token.lstrip(" ")
    if not _TOKEN.fullmatch(token):
        raise Refused(Cause.REQUEST_MALFORMED, f"the Authorization header has not one token after the word {scheme}")
    return Presented("bearer" if kind == "bearer" else "dpop", token)
