"""The guard in Flask: `protect(app, guard)` once, then `@requires("read:balance")` on what needs it."""

import atexit
import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import flask

from gatewright_guard.decide import Refusal, Requirement, needs
from gatewright_guard.door import Caller, NotAllowed, account_in, admitted, again, caller_in
from gatewright_guard.resource import HEADERS, Resource
from gatewright_guard.sync import SyncGuard
from gatewright_guard.wsgi import BY, KEY, request_of

__all__ = ["Caller", "NotAllowed", "SyncGuard", "admit", "caller", "protect", "requires", "response_to"]

View = TypeVar("View", bound=Callable[..., Any])

_GUARD: Final = "gatewright"
_METADATA: Final = "gatewright_metadata"


def protect(app: flask.Flask, guard: SyncGuard, *, scopes: Sequence[str] = ()) -> None:
    """Give the application its guard: refusals become responses, and the guard is closed when the process ends.

    The application describes itself at the guard's well-known path (RFC 9728); `scopes` are those that it tells of there.
    """
    app.extensions[_GUARD] = guard
    app.register_error_handler(NotAllowed, _answer)
    if guard.resource is not None and guard.resource.path is not None:
        app.add_url_rule(guard.resource.path, _METADATA, _description(guard.resource, scopes))
    atexit.register(guard.close)


def _description(resource: Resource, scopes: Sequence[str]) -> Callable[[], flask.Response]:
    document = resource.document(scopes)

    def describe() -> flask.Response:
        return flask.Response(document, headers=dict(HEADERS))

    return describe


def _answer(fault: NotAllowed) -> flask.Response:
    return response_to(fault.refusal)


def response_to(refusal: Refusal) -> flask.Response:
    """A refusal as a response."""
    return flask.Response(refusal.body(), refusal.status, headers=dict(refusal.headers()))


def admit(requirement: Requirement, account: str | None = None) -> Caller:
    """Who sent the request, if they may do this, in the account of this id or slug if one is given; `NotAllowed` otherwise.

    Call it in a view for an exception to a rule, or in a blueprint's `before_request` for all of its views.
    """
    guard = flask.current_app.extensions.get(_GUARD)
    if not isinstance(guard, SyncGuard):
        raise RuntimeError("the application has no guard: call protect(app, guard) where it is made")  # noqa: TRY004 - nobody passed it
    environ = flask.request.environ
    held, by = environ.pop(KEY, None), environ.pop(BY, None)
    answer = again(guard, requirement, account, held=held, by=by)
    if answer is None:
        native = flask.request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - as Flask says to get it
        answer = guard.check(request_of(environ, guard.proxies, native), requirement, account=account)
    environ[KEY], environ[BY] = allowed, _ = admitted(answer), guard
    return allowed.claims


def caller() -> Caller:
    """Who sent the request that is being answered, once they were admitted."""
    return caller_in(flask.request.environ.get(KEY))


def requires(
    *scopes: str,
    any_of: Sequence[str] = (),
    roles: Sequence[str] = (),
    acr: Sequence[str] = (),
    max_age: int | None = None,
    account_in: str | None = None,
) -> Callable[[View], View]:
    """Only callers with these scopes reach the view, and only those of the account that the path names, if it names one.

    It stands below `@app.route`, on a method of a `MethodView`, or among a view class's `decorators`. The arguments are those of
    `gatewright_guard.decide.needs`; `account_in` is the variable of the path that holds the account's id or slug.
    """
    requirement = needs(*scopes, any_of=any_of, roles=roles, acr=acr, max_age=max_age)

    def around(view: View) -> View:
        @functools.wraps(view)
        def guarded(*arguments: Any, **variables: Any) -> Any:  # noqa: ANN401 - whatever the view takes and returns
            admit(requirement, _account(account_in))
            return flask.current_app.ensure_sync(view)(*arguments, **variables)

        return guarded  # type: ignore[return-value]  # what the view was

    return around


def _account(name: str | None) -> str | None:
    return account_in(flask.request.view_args or {}, name)
