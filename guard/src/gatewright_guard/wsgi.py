"""The guard in front of any WSGI application: a table of rules says what each path needs, and what no rule names is closed."""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from gatewright_guard.decide import Allowed, Refusal, Requirement
from gatewright_guard.door import status_line
from gatewright_guard.request import Headers, Proxies, Request
from gatewright_guard.resource import HEADERS
from gatewright_guard.rules import Match, Rule, Rules
from gatewright_guard.sync import SyncGuard

__all__ = ["BY", "KEY", "App", "Environ", "GuardMiddleware", "Rule", "StartResponse", "SyncGuard", "refuse", "request_of"]

# The types of PEP 3333; what `start_response` returns is of no use here.
Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Any, Any], Iterable[bytes]]

KEY: Final = "gatewright"
"""Where the application finds the `Allowed` in its environ."""
BY: Final = "gatewright.by"
"""Whose answer that is."""
_ANY_TOKEN: Final = Requirement()
# A server joins fields of one name with a comma, which no bearer token has in it: what follows one is another field.
_NEXT_FIELD: Final = re.compile(r"[ \t]*,[ \t]*(?=(?:bearer|dpop)(?:[ \t]|$))", re.IGNORECASE)


class GuardMiddleware:
    """Lets through what the rules allow, with the `Allowed` in `environ["gatewright"]`, and answers everything else itself."""

    def __init__(self, app: App, guard: SyncGuard, rules: Iterable[Rule]) -> None:
        self._app = app
        self._guard = guard
        self._rules = Rules(rules)
        self._about = guard.resource

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # Whatever stands there was not put there by us.
        environ.pop(KEY, None)
        environ.pop(BY, None)
        method, path = environ["REQUEST_METHOD"], _text(environ.get("PATH_INFO", "")) or "/"
        if self._about is not None and method in ("GET", "HEAD") and self._about.path in (path, _text(_called(environ))):
            return _answer(200, HEADERS, self._about.document(self._rules.scopes), environ, start_response)
        match = self._rules.match(method, path, host=_host(environ, self._guard.proxies) if self._rules.by_host else None)
        if match is not None and match.rule.needs is None:
            return self._app(environ, start_response)
        answer = self._ask(environ, match)
        if isinstance(answer, Refusal):
            return refuse(answer, environ, start_response)
        environ[KEY], environ[BY] = answer, self._guard
        return self._app(environ, start_response)

    def _ask(self, environ: Environ, match: Match | None) -> Allowed | Refusal:
        request = request_of(environ, self._guard.proxies)
        if match is not None and match.rule.needs is not None:
            return self._guard.check(request, match.rule.needs, account=match.account)
        # Only who holds a good token learns that the path has no rule.
        answer = self._guard.check(request, _ANY_TOKEN)
        return self._guard.no_rule if isinstance(answer, Allowed) else answer


def request_of(environ: Mapping[str, Any], proxies: Proxies | None = None, native: object = None) -> Request:
    """What the guard looks at, from a WSGI environ."""
    headers = _headers(environ)
    dpop = headers("dpop")
    address, origin, certificate = environ.get("REMOTE_ADDR") or None, "", None
    if proxies is not None or dpop:
        origin = f"{environ.get('wsgi.url_scheme', 'http')}://{environ.get('HTTP_HOST', '')}"
        if proxies is not None:
            seen = proxies.seen(address, origin, headers)
            address, origin, certificate = seen.address, seen.origin, seen.certificate
    return Request(
        authorization=tuple(field for value in headers("authorization") for field in _NEXT_FIELD.split(value)),
        query=environ.get("QUERY_STRING", ""),
        address=address,
        method=environ["REQUEST_METHOD"],
        url=origin + _sent(environ) if dpop else "",
        # Neither has a proof a comma in it.
        dpop=tuple(field.strip() for value in dpop for field in value.split(",")),
        certificate=certificate,
        native=environ if native is None else native,
    )


def _host(environ: Mapping[str, Any], proxies: Proxies | None) -> str:
    """The host that was called, as a trusted proxy or the server has it."""
    host: str = environ.get("HTTP_HOST", "")
    if proxies is None:
        return host
    return proxies.seen(environ.get("REMOTE_ADDR") or None, f"http://{host}", _headers(environ)).origin.partition("://")[2]


def _headers(environ: Mapping[str, Any]) -> Headers:
    def values(name: str) -> list[str]:
        value = environ.get("HTTP_" + name.upper().replace("-", "_"))
        return [] if value is None else [value]

    return values


def _text(path: str) -> str:
    """A path as people write it: WSGI has one character for each byte (PEP 3333)."""
    return path.encode("latin-1").decode("utf-8", "replace")


def _called(environ: Mapping[str, Any]) -> str:
    """The whole path, decoded, one character for each byte."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path


def _sent(environ: Mapping[str, Any]) -> str:
    """The path as it was sent, still encoded, where the server tells it; Gunicorn has a name of its own for it."""
    sent: str | None = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if not sent:
        return quote(_called(environ), encoding="latin-1")
    # RFC 9112 §3.2.2: the whole address may be sent as well.
    return sent.partition("?")[0] if sent.startswith("/") else urlsplit(sent).path


def refuse(refusal: Refusal, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a refusal."""
    return _answer(refusal.status, refusal.headers(), refusal.body(), environ, start_response)


def _answer(
    status: int, headers: Iterable[tuple[str, str]], body: bytes, environ: Mapping[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    start_response(status_line(status), [*headers, ("content-length", str(len(body)))])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
