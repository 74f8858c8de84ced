"""Refusals of the management API as problem documents (RFC 9457): one table from what was raised to what is told."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from gatewright.audit.deed import Refused
from gatewright.base.check import Fault, Faults
from gatewright.management.errand import NotHeld, NotThere
from gatewright.management.perform import OtherRequest, Outdated, Unguarded
from gatewright.oauth.errors import InsufficientScope, InvalidToken, OAuthError, TemporarilyUnavailable
from gatewright.store import NotUnique, StoreBusy, StoreError
from gatewright.web.ask import HttpFault
from gatewright.web.reply import bearer_challenge

PROBLEM: Final = "urn:gatewright:problem:"
Header = tuple[bytes, bytes]


class Wrong(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with what was sent: where (RFC 6901), which rule it breaks, and what to do."""

    pointer: str
    rule: str
    cure: str = ""


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: tuple[Wrong, ...] = ()
    scope: str = ""
    """The scope that would be needed."""
    request: str = ""
    """What finds the event in the log."""


# The word of each kind, its status, and its title.
KINDS: Final[dict[str, tuple[int, str]]] = {
    "faults": (422, "Something in the request is wrong"),
    "bad_request": (400, "The request cannot be read"),
    "invalid_token": (401, "An access token is needed"),
    "insufficient_scope": (403, "The access token does not reach this far"),
    "not_held": (403, "Nobody gives what he does not hold"),
    "not_found": (404, "There is no such thing"),
    "method": (405, "Not with this method"),
    "not_acceptable": (406, "Nothing here has the form that is accepted"),
    "conflict": (409, "The present state does not allow it"),
    "outdated": (412, "It was changed since"),
    "too_large": (413, "The request is too large"),
    "media_type": (415, "The body has the wrong form"),
    "other_request": (422, "The Idempotency-Key belongs to another request"),
    "if_match": (428, "Say which state is to be changed"),
    "unavailable": (503, "Try again in a moment"),
    "fault": (500, "Something failed here"),
}
_HTTP: Final = {400: "bad_request", 401: "invalid_token", 404: "not_found", 405: "method", 406: "not_acceptable", 413: "too_large"}
_BY_CLASS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (NotThere, "not_found"),
    (NotHeld, "not_held"),
    (Outdated, "outdated"),
    (Unguarded, "if_match"),
    (OtherRequest, "other_request"),
    (Refused, "conflict"),  # what is none of its subclasses
)


def problem_of(error: BaseException, request: str) -> tuple[Problem, list[Header], str]:
    """Return what is told of an error, with which headers, and what only the log is told."""
    if isinstance(error, Faults):
        return (
            _made("faults", _count(error.faults), request, errors=tuple(map(_wrong, error.faults))),
            [],
            ", ".join(fault.path for fault in error.faults),
        )
    if isinstance(error, HttpFault):
        kind = "media_type" if error.status == 415 else _HTTP.get(error.status, "bad_request")
        return _made(kind, error.sentence, request), list(error.headers), error.sentence
    if isinstance(error, InvalidToken):
        return _made("invalid_token", error.description, request), [(b"www-authenticate", bearer_challenge(error))], error.why
    if isinstance(error, InsufficientScope):
        challenge = [(b"www-authenticate", bearer_challenge(error))]
        return _made("insufficient_scope", error.description, request, scope=error.scope), challenge, error.why or error.scope
    kind = next((word for kind, word in _BY_CLASS if isinstance(error, kind)), "")
    if kind:
        # Its sentence names what was asked for, which may be a person; the log is told of what kind it is.
        return _made(kind, str(error), request), [], ""
    return _of_ours(error, request)


def _of_ours(error: BaseException, request: str) -> tuple[Problem, list[Header], str]:
    if isinstance(error, NotUnique):
        sentence = "somebody else made the same in this moment: look again, and repeat it if it is still wanted"
        return _made("conflict", sentence, request), [], str(error)
    if isinstance(error, StoreError | TemporarilyUnavailable | asyncio.CancelledError):
        retry = error.retry_after if isinstance(error, StoreBusy | TemporarilyUnavailable) else 1
        return _made("unavailable", "the server cannot answer right now", request), [(b"retry-after", b"%d" % retry)], str(error)
    if isinstance(error, OAuthError):
        return _made("bad_request", error.description, request), [], error.why or error.description
    return _made("fault", f"an unexpected fault, incident {request}", request), [], ""


def _made(kind: str, detail: str, request: str, *, errors: tuple[Wrong, ...] = (), scope: str = "") -> Problem:
    status, title = KINDS[kind]
    return Problem(type=PROBLEM + kind, title=title, status=status, detail=detail, errors=errors, scope=scope, request=request)


def _count(faults: tuple[Fault, ...]) -> str:
    return str(faults[0]) if len(faults) == 1 else f"{len(faults)} things are wrong, and nothing was changed"


def _wrong(fault: Fault) -> Wrong:
    keys = fault.keys or ((fault.path,) if fault.path else ())
    pointer = "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    return Wrong(pointer, fault.rule, fault.cure)
