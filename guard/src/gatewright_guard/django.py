"""The guard in Django: `GATEWRIGHT` in the settings, the middleware, then `@requires("read:balance")` on what needs it.

The guard is made when it is first needed, once for each process, and serves views that await and views that do not.
"""

import asyncio
import atexit
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, TypeVar, cast

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from gatewright_guard import asgi, wsgi
from gatewright_guard.decide import Allowed, Refusal, Requirement, needs
from gatewright_guard.door import Caller, NotAllowed, account_in, admitted, again, caller_in
from gatewright_guard.guard import Guard, OwnRule, Verdict
from gatewright_guard.request import Request
from gatewright_guard.resource import HEADERS
from gatewright_guard.sync import SyncGuard

__all__ = [
    "Caller",
    "GuardConfig",
    "GuardMiddleware",
    "NotAllowed",
    "aadmit",
    "admit",
    "caller_of",
    "guard_in_use",
    "requires",
    "response_to",
]

View = TypeVar("View", bound=Callable[..., Any])
GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

_NAME: Final = "GATEWRIGHT"
_KEY: Final = "gatewright"
_BY: Final = "gatewright_by"


# ---------------------------------------------------------------- the settings and the guard


class GuardConfig(AppConfig):
    """In `INSTALLED_APPS`, as `"gatewright_guard.django.GuardConfig"`: has `manage.py check` look at the settings."""

    name = "gatewright_guard.django"
    label = "gatewright_guard"
    verbose_name = "Gatewright's guard"

    def ready(self) -> None:
        checks.register(check_settings)
        if apps.is_installed("drf_spectacular"):
            # Its extensions are known once they were imported.
            import_module("gatewright_guard.spectacular")


def check_settings(**_: object) -> list[checks.CheckMessage]:
    """What is wrong with the settings, each with what to do about it."""
    try:
        _make(getattr(settings, _NAME, None)).close()
    except (ImproperlyConfigured, ImportError, TypeError, ValueError) as fault:
        return [checks.Error(f"{_NAME} makes no guard: {fault}", hint="docs/guides/protect-a-django-api.md", id="gatewright.E001")]
    if "gatewright_guard.django.GuardMiddleware" not in settings.MIDDLEWARE:
        text = "gatewright_guard.django.GuardMiddleware is not in MIDDLEWARE: what admit() refuses becomes an error 500"
        return [checks.Warning(text, hint="Put it behind SecurityMiddleware and a middleware for CORS.", id="gatewright.W001")]
    return []


def _make(said: object) -> SyncGuard:
    """A guard of these settings: the arguments of `Guard`, their names in capitals. `ALLOW` may be a dotted path."""
    if not isinstance(said, Mapping):
        raise ImproperlyConfigured(f"{_NAME} is a dict with ISSUER, AUDIENCE and what else the guard is to know")
    known = [name.upper() for name in inspect.signature(Guard).parameters]
    unknown = sorted(set(said) - {*known, "SCOPES"}, key=str)
    if unknown:
        raise ImproperlyConfigured(f"there is no setting {unknown[0]!r}; there are {', '.join([*known, 'SCOPES'])}")
    missing = [name for name in ("ISSUER", "AUDIENCE") if name not in said]
    if missing:
        raise ImproperlyConfigured(f"{missing[0]} is not set")
    taken = {str(name).lower(): value for name, value in said.items() if name != "SCOPES"}
    if isinstance(taken.get("allow"), str):
        taken["allow"] = import_string(taken["allow"])
    if taken.get("allow") is not None:
        taken["allow"] = _fitting(taken["allow"])
    return SyncGuard(**taken)


def _fitting(rule: OwnRule) -> OwnRule:
    """A rule of either kind for callers of either kind: it runs where Django lets it use the database."""
    awaits, either = iscoroutinefunction(rule), cast(Any, rule)
    waiting: OwnRule = async_to_sync(either) if awaits else rule
    awaited: OwnRule = rule if awaits else sync_to_async(either)

    def fitting(allowed: Allowed, request: Request) -> Verdict | Awaitable[Verdict]:
        return awaited(allowed, request) if _loop_runs() else waiting(allowed, request)

    return fitting


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Held:
    """The process's guard, and the settings that it was made of."""

    said: object = None
    guard: SyncGuard | None = None
    lock: Final = threading.Lock()


def guard_in_use() -> SyncGuard:
    """The guard that `GATEWRIGHT` describes; another one where a test overrides the settings."""
    said, held = getattr(settings, _NAME, None), _Held.guard
    if held is not None and _Held.said is said:
        return held
    with _Held.lock:
        if _Held.guard is None or _Held.said is not said:
            before, _Held.guard = _Held.guard, _make(said)
            _Held.said = said
            if before is not None:
                atexit.unregister(before.close)
                before.close()
            atexit.register(_Held.guard.close)
        return _Held.guard


# ---------------------------------------------------------------- requests and responses


def request_of(request: HttpRequest, guard: SyncGuard) -> Request:
    """What the guard looks at, from Django's request of either kind."""
    if isinstance(request, ASGIRequest):
        # Django's own client for tests leaves the query a text.
        query = request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
        return asgi.request_of({**request.scope, "query_string": query}, guard.proxies, request)
    return wsgi.request_of(request.META, guard.proxies, request)


def response_to(refusal: Refusal, request: HttpRequest) -> HttpResponse:
    """A refusal as a response."""
    return _response(refusal.status, refusal.headers(), refusal.body(), request)


def _response(status: int, headers: Sequence[tuple[str, str]], body: bytes, request: HttpRequest) -> HttpResponse:
    # Not every server takes the body off the answer to a HEAD request.
    response = HttpResponse(b"" if request.method == "HEAD" else body, status=status, headers=dict(headers))
    response.headers["content-length"] = str(len(body))
    return response


class GuardMiddleware:
    """Turns the refusals of `admit` into responses, and describes the API at its well-known path (RFC 9728)."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._awaits = iscoroutinefunction(get_response)
        if self._awaits:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        # A guard that cannot be made is told of at the first request, and not where a view happens to need it.
        described = self._described(request, guard_in_use())
        if described is None:
            return self._get_response(request)
        return _at_once(described) if self._awaits else described

    def process_exception(self, request: HttpRequest, fault: Exception) -> HttpResponse | None:
        """The response to a refusal that came out of a view."""
        return response_to(fault.refusal, request) if isinstance(fault, NotAllowed) else None

    def _described(self, request: HttpRequest, guard: SyncGuard) -> HttpResponse | None:
        about = guard.resource
        if about is None or request.method not in ("GET", "HEAD") or about.path not in (request.path_info, request.path):
            return None
        return _response(200, HEADERS, about.document(tuple(getattr(settings, _NAME).get("SCOPES", ()))), request)


async def _at_once(response: HttpResponse) -> HttpResponse:
    return response


# ---------------------------------------------------------------- who may


def admit(request: HttpRequest, requirement: Requirement, account: str | None = None) -> Caller:
    """Who sent the request, if they may do this, in the account of this id or slug if one is given; `NotAllowed` otherwise."""
    guard = guard_in_use()
    answer = again(guard, requirement, account, **_before(request))
    return _noted(request, guard, answer or guard.check(request_of(request, guard), requirement, account=account))


async def aadmit(request: HttpRequest, requirement: Requirement, account: str | None = None) -> Caller:
    """The same for views that await."""
    guard = guard_in_use()
    answer = again(guard, requirement, account, **_before(request))
    return _noted(request, guard, answer or await guard.acheck(request_of(request, guard), requirement, account=account))


def _before(request: HttpRequest) -> dict[str, object]:
    """Who was admitted in this request until now, and by whom; nobody is, if what follows refuses."""
    said = request.__dict__
    return {"held": said.pop(_KEY, None), "by": said.pop(_BY, None)}


def _noted(request: HttpRequest, guard: SyncGuard, answer: object) -> Caller:
    allowed = admitted(cast(Any, answer))
    request.__dict__[_KEY], request.__dict__[_BY] = allowed, guard
    return allowed.claims


def caller_of(request: HttpRequest) -> Caller:
    """Who sent a request that was admitted."""
    return caller_in(request.__dict__.get(_KEY))


def requires(
    *scopes: str,
    any_of: Sequence[str] = (),
    roles: Sequence[str] = (),
    acr: Sequence[str] = (),
    max_age: int | None = None,
    account_in: str | None = None,
) -> Callable[[View], View]:
    """Only callers with these scopes reach the view, and only those of the account that the path names, if it names one.

    It stands on a view that awaits or does not, and on a class by `method_decorator(requires(…), name="dispatch")`. The arguments
    are those of `gatewright_guard.decide.needs`; `account_in` is the path's parameter with the account's id or slug. No browser
    sends the Authorization header by itself, so the view needs no token against forged requests and is exempt from it.
    """
    requirement = needs(*scopes, any_of=any_of, roles=roles, acr=acr, max_age=max_age)

    def around(view: View) -> View:
        async def later(request: HttpRequest, *arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401 - whatever the view takes and returns
            try:
                await aadmit(request, requirement, _account(parameters, account_in))
            except NotAllowed as fault:
                return response_to(fault.refusal, request)
            answer = view(request, *arguments, **parameters)
            return await answer if inspect.isawaitable(answer) else answer

        def at_once(request: HttpRequest, *arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401 - the same
            try:
                admit(request, requirement, _account(parameters, account_in))
            except NotAllowed as fault:
                return response_to(fault.refusal, request)
            return view(request, *arguments, **parameters)

        guarded: Any = functools.wraps(view)(later if _awaits(view) else at_once)
        guarded.csrf_exempt = True
        return cast(View, guarded)

    return around


def _account(parameters: Mapping[str, object], name: str | None) -> str | None:
    return account_in(parameters, name)


def _awaits(view: Callable[..., Any]) -> bool:
    # The `dispatch` of a class whose methods await is no coroutine function itself, but what it returns is awaited. Django's
    # method_decorator hands it over as a partial of the bound method.
    holder = getattr(getattr(view, "func", view), "__self__", None)
    return iscoroutinefunction(view) or bool(getattr(holder, "view_is_async", False))
