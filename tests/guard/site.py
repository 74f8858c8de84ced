"""The API of `cases` in Django, with and without awaiting, in classes, and in Django REST framework."""

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from gatewright_guard.django import aadmit, admit, caller_of, requires
from tests.guard.cases import ROUTES, Route

MIDDLEWARE: Final = (
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "gatewright_guard.django.GuardMiddleware",
)


def configure() -> None:
    """Make this process Django's; once is enough."""
    if settings.configured:
        return
    settings.configure(
        ALLOWED_HOSTS=["*"],
        APPEND_SLASH=False,
        # A file of SQLite's own without a name, as Django never closes a database in memory.
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:"}},
        INSTALLED_APPS=["drf_spectacular", "gatewright_guard.django.GuardConfig"],
        MIDDLEWARE=list(MIDDLEWARE),
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": ["gatewright_guard.drf.Authentication"],
            "DEFAULT_PERMISSION_CLASSES": ["gatewright_guard.drf.HasScopes"],
            "EXCEPTION_HANDLER": "gatewright_guard.drf.exception_handler",
            "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
            "UNAUTHENTICATED_USER": None,
        },
        ROOT_URLCONF=__name__,
        SECRET_KEY="a secret of the tests",
    )
    import django

    django.setup()


def _place(route: Route) -> str:
    return route.path[1:].replace("{account}", "<str:account>")


def opened(request: HttpRequest, **_: object) -> HttpResponse:
    return HttpResponse("us_1")


def _view(route: Route) -> Callable[..., Any]:
    @requires(*route.scopes, **route.said)
    def view(request: HttpRequest, **_: object) -> HttpResponse:
        return HttpResponse(caller_of(request).sub)

    return view


def _later(route: Route) -> Callable[..., Any]:
    @requires(*route.scopes, **route.said)
    async def view(request: HttpRequest, **_: object) -> HttpResponse:
        return HttpResponse(caller_of(request).sub)

    return view


def _class(route: Route) -> Callable[..., Any]:
    def answer(self: View, request: HttpRequest, **_: object) -> HttpResponse:
        return HttpResponse(caller_of(request).sub)

    return _decorated(route, answer)


def _later_class(route: Route) -> Callable[..., Any]:
    async def answer(self: View, request: HttpRequest, **_: object) -> HttpResponse:
        return HttpResponse(caller_of(request).sub)

    return _decorated(route, answer)


def _decorated(route: Route, answer: Callable[..., Any]) -> Callable[..., Any]:
    made = type("Answers", (View,), {"get": answer, "post": answer})
    guarded: Any = method_decorator(requires(*route.scopes, **route.said), name="dispatch")(made)
    view: Callable[..., Any] = guarded.as_view()
    return view


def _admitting(route: Route) -> Callable[..., Any]:
    def view(request: HttpRequest, account: str | None = None) -> HttpResponse:
        return HttpResponse(admit(request, route.rule.needs, account).sub)  # type: ignore[arg-type]  # every route needs something

    view.csrf_exempt = True  # type: ignore[attr-defined]  # as Django's decorator does
    return view


def _later_admitting(route: Route) -> Callable[..., Any]:
    async def view(request: HttpRequest, account: str | None = None) -> HttpResponse:
        return HttpResponse((await aadmit(request, route.rule.needs, account)).sub)  # type: ignore[arg-type]  # every route needs something

    view.csrf_exempt = True  # type: ignore[attr-defined]  # as Django's decorator does
    return view


def _rest(route: Route) -> Callable[..., Any]:
    from rest_framework.views import APIView

    from gatewright_guard.drf import requires as permission

    def answer(self: Any, request: Any, **_: object) -> HttpResponse:  # noqa: ANN401 - Django REST framework's
        assert request.user.is_authenticated
        assert request.user.pk == request.auth.sub == str(request.user)
        return HttpResponse(request.auth.sub)

    said = {"get": answer, "post": answer, "permission_classes": [permission(*route.scopes, **route.said)]}
    made: Any = type("Answers", (APIView,), said)
    view: Callable[..., Any] = made.as_view()
    return view


STYLES: Final = {
    "views": _view,
    "awaiting": _later,
    "classes": _class,
    "awaiting-classes": _later_class,
    "admitting": _admitting,
    "awaiting-admitting": _later_admitting,
    "rest": _rest,
}


def urls(style: str) -> type:
    """A module of addresses, for `ROOT_URLCONF`."""
    places = [path(_place(route), STYLES[style](route)) for route in ROUTES]
    return type("Addresses", (), {"urlpatterns": [path("open", opened), *places]})


urlpatterns: list[Any] = []
