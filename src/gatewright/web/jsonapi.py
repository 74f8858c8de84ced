"""The same answer as a JSON:API 1.1 document or as plain JSON, whichever a request asks for; and refusals in the same form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gatewright.oauth.ask import Reply
from gatewright.oauth.errors import InvalidToken, OAuthError
from gatewright.oauth.me import Me
from gatewright.web.accept import Range, media_type, quality_of, ranges
from gatewright.web.ask import HttpFault
from gatewright_guard.reasons import Reason

KIND: Final = "application/vnd.api+json"
PLAIN: Final = "application/json"
VARY: Final = (b"vary", b"accept")  # one address, two representations (JSON:API 1.1, server responsibilities)
_VERSION: Final = {"version": "1.1"}
_OF_JSON_API: Final = frozenset({"ext", "profile"})


@dataclass(frozen=True, slots=True)
class Media:
    """One representation: its media type, and how answers and refusals look in it."""

    kind: str
    document: Callable[[object], object]
    refusal: Callable[[OAuthError, Reply, str], object]


def _document(answer: object) -> object:
    """Return an answer as a resource object; the names are those that seed 002 gives them."""
    assert isinstance(answer, Me)  # noqa: S101 - what the endpoint answers
    attributes: dict[str, object] = {
        "name": answer.name,
        "email": answer.email,
        "account-id": answer.account_id,
        "account-slug": answer.account,
        "client-id": answer.client_id,
        "scopes": answer.scope.split(),
    }
    # Whose name the token does not open has none here; that there is no account is said.
    kept = {name: value for name, value in attributes.items() if value is not None or name.startswith("account-")}
    return {"jsonapi": _VERSION, "data": {"type": f"{answer.kind}s", "id": answer.sub, "attributes": kept}}


def _refusal(error: OAuthError, reply: Reply, request: str) -> object:
    """Return a refusal as an error object."""
    detail = error.description or (Reason.TOKEN_MISSING.sentence if isinstance(error, InvalidToken) else "")
    told = {
        "id": request,
        "status": str(reply.status),
        "code": error.code,
        "title": HTTPStatus(reply.status).phrase,
        "detail": detail,
    }
    return {"jsonapi": _VERSION, "errors": [told]}


JSON_API: Final = Media(KIND, _document, _refusal)
JSON: Final = Media(PLAIN, lambda answer: answer, lambda _error, reply, _request: reply.body)


def choose(accept: bytes | None, content_type: bytes) -> Media:
    """Return the representation that a request asks for; JSON:API where it asks for none, or for both alike.

    Raises:
        HttpFault: 406, neither is wanted; 415, the request claims to be JSON:API in a form that the standard forbids.
    """
    sent = media_type(content_type.decode("latin-1")) if content_type else None
    if sent is not None and sent.kind == KIND and not _plain(sent):
        raise HttpFault(415, f"send {KIND} without parameters: no extension is supported here", (VARY,))
    if accept is None or not accept.strip():
        return JSON_API
    wanted = ranges(accept.decode("latin-1"))
    best = max((_wish(media, wanted), media is JSON_API) for media in (JSON_API, JSON))
    if not best[0]:
        raise HttpFault(406, f"this can be had as {KIND} (without parameters) or {PLAIN}: name one of them in the Accept header", (VARY,))
    return JSON_API if best[1] else JSON


def _wish(media: Media, wanted: Sequence[Range]) -> int:
    named = [one for one in wanted if one.kind == media.kind]
    if media is not JSON_API:
        return quality_of(media.kind, _wide(wanted), named)
    plain = [one for one in named if _plain(one)]
    # JSON:API 1.1: named only with parameters that nobody understands, it is not acceptable, whatever stands beside it.
    return 0 if named and not plain else quality_of(media.kind, wanted, plain)


def _wide(wanted: Sequence[Range]) -> Sequence[Range]:
    """Return the ranges by which plain JSON may be meant: where JSON:API is named, a wildcard is no wish for something else."""
    if any(one.kind == KIND and not _plain(one) for one in wanted) and not any(one.kind == KIND and _plain(one) for one in wanted):
        return [one for one in wanted if "*" not in one.kind]
    return wanted


def _plain(one: Range) -> bool:
    """Tell whether JSON:API is meant as it is spoken here: no parameters but profiles, which may be passed over, and no extension."""
    return all(name in _OF_JSON_API and not (name == "ext" and value.split()) for name, value in one.params)
