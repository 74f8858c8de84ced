"""The access token that a request carries (RFC 6750 §2), or that it carries none, or that it carries too many."""

import re
from collections.abc import Sequence
from typing import Final

from gatewright_guard.refused import Cause, Refused

# RFC 6750 §2.1, b64token. Whatever passes is visible ASCII, so nothing of it can break a line or a quoted text.
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_IN_QUERY: Final = re.compile(r"(?:^|[&;])access_token=")


def bearer(authorization: Sequence[str], query: str = "") -> str | None:
    """The token of the one Authorization header; None if no credentials of this kind were sent.

    A token in the address is refused even alone: it would be in every log on the way (RFC 9700 §4.3.2).
    """
    if _IN_QUERY.search(query):
        raise Refused(Cause.REQUEST_MALFORMED, "the request has an access token in its address")
    if not authorization:
        return None
    if len(authorization) > 1:
        raise Refused(Cause.REQUEST_MALFORMED, "the request has more than one Authorization header")
    scheme, _, token = authorization[0].strip(" \t").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.lstrip(" ")
    if not _TOKEN.fullmatch(token):
        raise Refused(Cause.REQUEST_MALFORMED, "the Authorization header has not one token after the word Bearer")
    return token
