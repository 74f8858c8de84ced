"""What is Django REST framework's own: scopes by method and action, other kinds of sign-in beside it, and what asks for permissions."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.urls import path

from gatewright_guard.decide import Allowed
from gatewright_guard.django import guard_in_use
from gatewright_guard.request import Request as Looked
from tests.guard import site
from tests.guard.cases import GOOD, Answer, Ask, Call, a_server, bearing, bound
from tests.guard.drivers import called, settings_of
from tests.guard.makers import AUDIENCE, ISSUER, a_token

site.configure()

from rest_framework.authentication import BaseAuthentication  # noqa: E402 - the settings come first
from rest_framework.decorators import action, api_view, permission_classes  # noqa: E402
from rest_framework.permissions import AllowAny, BasePermission, IsAdminUser, IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.throttling import UserRateThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework.viewsets import ViewSet  # noqa: E402

from gatewright_guard.drf import Authentication, Principal, requires  # noqa: E402


class Notes(ViewSet):
    """By method and by action."""

    required_scopes: ClassVar = {"GET": ["read:balance"], "POST": ["transfer:funds"]}

    def list(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response(request.auth.sub)

    def create(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response("made")

    def destroy(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response("gone")

    @action(detail=False, permission_classes=[requires("close:account")])
    def close(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response("closed")


class Plain(APIView):
    """A list of scopes."""

    required_scopes = ("read:balance",)

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response({"user": str(request.user), "staff": request.user.is_staff})


class Slip(APIView):
    """It forgot its scopes."""

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response("open")


class Signed(APIView):
    """Any good token, and no scope."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response(request.user.pk)


class Both(APIView):
    """What another permission says counts too, in either order, and two of ours add up."""

    permission_classes = (IsAuthenticated, requires("read:balance"), requires("transfer:funds"))

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response(request.auth.sub)


class Chosen(APIView):
    """It finds its permissions by looking at who calls."""

    def get_permissions(self) -> list[Any]:
        user: Any = self.request.user
        return [requires("transfer:funds" if user else "read:balance")()]

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response(request.auth.sub)


class ByName(BaseAuthentication):
    """Another kind of sign-in."""

    def authenticate(self, request: Any) -> tuple[Any, None] | None:  # noqa: ANN401 - the framework's
        name = request.headers.get("x-name")
        return (type("Clerk", (), {"is_authenticated": True, "pk": name})(), None) if name else None


class Clerks(BasePermission):
    def has_permission(self, request: Any, view: APIView) -> bool:  # noqa: ANN401 - the framework's
        return type(request.user).__name__ == "Clerk"


class Either(APIView):
    """A clerk, or a token with a scope."""

    authentication_classes = (Authentication, ByName)
    permission_classes = (Clerks | requires("read:balance"),)

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response(str(request.user.pk))


class Admins(APIView):
    permission_classes = (IsAdminUser,)

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response("admin")


class Open(APIView):
    permission_classes = (AllowAny,)

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response("open")


class Once(UserRateThrottle):
    rate = "1/day"

    def allow_request(self, request: Any, view: APIView) -> bool:  # noqa: ANN401 - the framework's
        return isinstance(request.user, Principal) and self.get_cache_key(request, view) == "throttle_user_us_1"


class Throttled(APIView):
    permission_classes = (requires("read:balance"),)
    throttle_classes = (Once,)

    def get(self, request: Any) -> Response:  # noqa: ANN401 - the framework's
        return Response("in time")


@api_view(["GET"])
@permission_classes([requires("read:balance", account_in="account")])
def of_account(request: Any, account: str) -> Response:  # noqa: ANN401 - the framework's
    return Response(account)


def addresses() -> Any:  # noqa: ANN401 - a module of addresses
    many: Callable[..., Any] = Notes.as_view({"get": "list", "post": "create", "delete": "destroy"})
    views = {
        "plain": Plain,
        "slip": Slip,
        "signed": Signed,
        "both": Both,
        "either": Either,
        "admins": Admins,
        "open": Open,
        "chosen": Chosen,
    }
    places = [path(name, view.as_view()) for name, view in views.items()]
    places += [path("notes", many), path("close", Notes.as_view({"get": "close"}, **Notes.close.kwargs))]
    places += [path("throttled", Throttled.as_view()), path("accounts/<str:account>", of_account)]
    return type("Addresses", (), {"urlpatterns": places})


def settings(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - the guard's own
    said = {"issuer": ISSUER, "audience": AUDIENCE} | settings_of(a_server(), **changes)
    return {name.upper(): value for name, value in said.items()}


@pytest.fixture
def ask() -> Iterator[Ask]:
    from django.core.wsgi import get_wsgi_application

    with override_settings(GATEWRIGHT=settings(), ROOT_URLCONF=addresses()):
        yield partial(called, get_wsgi_application())
        guard_in_use().close()


def cause(answer: Answer) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    said: str = json.loads(answer.body)["cause"]
    return said


MOVES = bearing(a_token(scope="transfer:funds"))


@pytest.mark.parametrize(
    ("method", "target", "headers", "status", "told"),
    [
        ("GET", "/notes", (), 401, "token_missing"),
        ("GET", "/notes", GOOD, 200, None),
        ("HEAD", "/notes", GOOD, 200, None),
        ("POST", "/notes", GOOD, 403, "insufficient_scope"),
        ("POST", "/notes", MOVES, 200, None),
        ("DELETE", "/notes", (), 401, "token_missing"),
        ("DELETE", "/notes", GOOD, 403, "no_rule"),
        ("OPTIONS", "/notes", (), 401, "token_missing"),
        ("OPTIONS", "/notes", GOOD, 200, None),
        ("GET", "/close", GOOD, 403, "insufficient_scope"),
        ("GET", "/close", bearing(a_token(scope="close:account")), 200, None),
        ("GET", "/plain", GOOD, 200, None),
        ("GET", "/plain", MOVES, 403, "insufficient_scope"),
        ("GET", "/signed", (), 401, "token_missing"),
        ("GET", "/signed", MOVES, 200, None),
        ("GET", "/signed", bearing("gwa_bad"), 401, "invalid_token"),
        ("GET", "/both", GOOD, 403, "insufficient_scope"),
        ("GET", "/both", bearing(a_token(scope="read:balance transfer:funds")), 200, None),
        ("GET", "/both", bound(jti="r1", path="/both", scope="read:balance transfer:funds"), 200, None),
        ("GET", "/either", (), 401, "token_missing"),
        ("GET", "/either", GOOD, 200, None),
        ("GET", "/either", MOVES, 403, "insufficient_scope"),
        ("GET", "/either", (("x-name", "ann"),), 200, None),
        ("GET", "/open", (), 200, None),
        ("GET", "/chosen", GOOD, 403, "insufficient_scope"),
        ("GET", "/chosen", bearing(a_token(scope="read:balance transfer:funds")), 200, None),
        ("GET", "/chosen", bound(jti="r2", path="/chosen", scope="read:balance transfer:funds"), 200, None),
        ("GET", "/chosen", bound(jti="r3", path="/chosen"), 403, "insufficient_scope"),
        ("GET", "/throttled", GOOD, 200, None),
        ("GET", "/accounts/acme-dev", GOOD, 200, None),
        ("GET", "/accounts/acme-prod", GOOD, 403, "wrong_account"),
    ],
)
def test_a_view_admits_whom_it_says(ask: Ask, method: str, target: str, headers: Any, status: int, told: str | None) -> None:  # noqa: ANN401 - pairs
    answer = ask(Call(method, target, headers))
    assert answer.status == status, answer.body
    if told is not None:
        assert cause(answer) == told
        assert "www-authenticate" in answer.headers


def test_a_user_is_the_subject_of_the_token_and_no_member_of_the_staff(ask: Ask) -> None:
    assert json.loads(ask(Call("GET", "/plain", GOOD)).body) == {"user": "us_1", "staff": False}
    assert ask(Call("GET", "/admins", GOOD)).status == 403


def test_a_view_that_forgot_its_scopes_admits_nobody(ask: Ask) -> None:
    from django.test import Client

    with pytest.raises(ImproperlyConfigured, match=r"Slip\.required_scopes"):
        Client().get("/slip", headers={"authorization": GOOD[0][1]})


def test_the_frameworks_own_handler_says_the_same_in_its_own_format() -> None:
    from rest_framework.test import APIRequestFactory
    from rest_framework.views import exception_handler

    handled: Any = type("Handled", (Plain,), {"get_exception_handler": lambda self: exception_handler})
    with override_settings(GATEWRIGHT=settings()):
        answer = handled.as_view()(APIRequestFactory().get("/plain", headers={"authorization": MOVES[0][1]}))
        guard_in_use().close()
    assert (answer.status_code, answer.data["cause"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


def test_the_apis_own_rule_is_asked_once_for_a_request() -> None:
    asked: list[object] = []

    def rule(allowed: Allowed, request: Looked) -> bool:
        asked.append(request.native)
        return True

    from django.core.wsgi import get_wsgi_application

    with override_settings(GATEWRIGHT=settings(allow=rule), ROOT_URLCONF=addresses()):
        assert called(get_wsgi_application(), Call("GET", "/plain", GOOD)).status == 200
        guard_in_use().close()
    assert len(asked) == 1


def test_principals_are_equal_where_their_subjects_are() -> None:
    with override_settings(GATEWRIGHT=settings()):
        from django.test import RequestFactory

        from gatewright_guard.decide import needs
        from gatewright_guard.django import admit

        callers = [admit(RequestFactory().get("/", headers={"authorization": f"Bearer {a_token(sub=sub)}"}), needs()) for sub in "aab"]
        guard_in_use().close()
    first, same, other = map(Principal, callers)
    assert (first == same, first == other, len({first, same, other})) == (True, False, 2)
    assert first.get_username() == "a"


def test_the_description_names_scheme_and_scopes() -> None:
    from drf_spectacular.generators import SchemaGenerator

    said = settings() | {"SCOPES": {"read:balance": "See the balance", "transfer:funds": "Send money"}}
    with override_settings(GATEWRIGHT=said, ROOT_URLCONF=addresses()):
        places = [one for one in addresses().urlpatterns if str(one.pattern) in ("notes", "plain", "both", "open")]
        made: Any = SchemaGenerator
        schema = made(patterns=places).get_schema(request=None, public=True)
    scheme = schema["components"]["securitySchemes"]["gatewright"]
    assert scheme["flows"]["authorizationCode"] == {
        "authorizationUrl": f"{ISSUER}/authorize",
        "tokenUrl": f"{ISSUER}/token",
        "scopes": {"read:balance": "See the balance", "transfer:funds": "Send money"},
    }
    needed = {(where, method): said["security"] for where, path in schema["paths"].items() for method, said in path.items()}
    assert needed["/notes", "get"] == needed["/plain", "get"] == [{"gatewright": ["read:balance"]}]
    assert needed["/notes", "post"] == [{"gatewright": ["transfer:funds"]}]
    assert needed["/both", "get"] == [{"gatewright": ["read:balance", "transfer:funds"]}]
    assert {} in needed["/open", "get"]
