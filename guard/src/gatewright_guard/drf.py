"""The guard in Django REST framework: `Authentication`, and `HasScopes` or `requires("read:balance")` as a permission.

The guard itself is the one of `gatewright_guard.django`. `request.user` is a `Principal`, which is no user of Django's, and
`request.auth` the caller that the token names.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from gatewright_guard import door
from gatewright_guard.decide import NO_TOKEN, Refusal, Requirement, needs
from gatewright_guard.django import admit, guard_in_use, response_to
from gatewright_guard.door import Caller, account_in, of_api
from gatewright_guard.reasons import Reason

if TYPE_CHECKING:
    # Not at run time: the framework's own views load this module, because the settings name it.
    from rest_framework.views import APIView

__all__ = ["Authentication", "Caller", "HasScopes", "NotAllowed", "Principal", "exception_handler", "requires"]

_ANY_TOKEN: Final = Requirement()
_MET: Final = "gatewright_met"
_ASKING: Final = "gatewright_asking"


class NotAllowed(door.NotAllowed, exceptions.APIException):
    """A refusal for Django REST framework, so that what asks it about permissions takes it for a no."""

    def __init__(self, refusal: Refusal) -> None:
        door.NotAllowed.__init__(self, refusal)
        self.status_code = refusal.status
        self.detail = msgspec.json.decode(refusal.body())
        said = dict(refusal.headers())
        self.auth_header = said.get("www-authenticate")
        self.wait = int(said["retry-after"]) if "retry-after" in said else None


class Principal:
    """Who calls, as far as throttles, permissions and logs ask a user: the subject of the token, no row of a table."""

    is_authenticated = True
    is_active = True
    is_anonymous = False
    is_staff = False
    is_superuser = False

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.pk = self.id = caller.sub

    def __str__(self) -> str:
        return self.caller.sub

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Principal) and other.pk == self.pk

    def __hash__(self) -> int:
        return hash(self.pk)

    def get_username(self) -> str:
        """The subject again; Django's own code asks for it under this name."""
        return self.caller.sub


class Authentication(BaseAuthentication):
    """Admits callers by their access token; a request without one is left to the next authentication class."""

    def authenticate(self, request: Request) -> tuple[Principal, Caller] | None:
        # A view may look at the user to find its permissions: nobody is one while they are looked for.
        if getattr(request._request, _ASKING, False):  # noqa: SLF001 - the one way to Django's request
            return None
        # A proof beside a token is used up when it is looked at, so all is asked at once: the token, and what the view needs.
        setattr(request._request, _ASKING, True)  # noqa: SLF001 - the same
        try:
            permission, view = _permission_of(request)
        finally:
            setattr(request._request, _ASKING, False)  # noqa: SLF001 - the same
        needed, account = (None, None) if permission is None or view is None else permission.asked(request, view)
        requirement = _ANY_TOKEN if needed is None else needed
        try:
            caller = admit(request._request, requirement, account)  # noqa: SLF001 - the same
        except door.NotAllowed as fault:
            if fault.refusal.reason is Reason.TOKEN_MISSING:
                return None
            raise NotAllowed(fault.refusal) from None
        setattr(request._request, _MET, (requirement, account))  # noqa: SLF001 - the same
        return Principal(caller), caller

    def authenticate_header(self, request: Request) -> str:
        return of_api(guard_in_use(), NO_TOKEN).challenge()


def _permission_of(request: Request) -> tuple["HasScopes | None", "APIView | None"]:
    """The first of the view's permissions that is about scopes."""
    view: APIView | None = (request.parser_context or {}).get("view")
    if view is None:
        return None, None
    return next((one for one in view.get_permissions() if isinstance(one, HasScopes)), None), view


class HasScopes(BasePermission):
    """Lets callers pass whose token has what the view's `required_scopes` says: a list, or a dict of lists by method.

    GET stands for HEAD too. A method that a dict does not name is closed, but for OPTIONS, which any good token may send. In an
    `|` of permissions it stands last, since it answers a caller itself.
    """

    requirement: Requirement | None = None
    """What `requires` says in place of the view."""
    account_in: str | None = None
    """The path's parameter that holds the account's id or slug; `requires` says it, or the view's `account_in`."""

    def asked(self, request: Request, view: "APIView") -> tuple[Requirement | None, str | None]:
        """What the view needs of this request, if it is open to anybody, and in which account."""
        name = self.account_in or getattr(view, "account_in", None)
        return self.needed(request.method or "GET", view), account_in(view.kwargs, name)

    def has_permission(self, request: Request, view: "APIView") -> bool:
        plain, guard = request._request, guard_in_use()  # noqa: SLF001 - the one way to Django's request
        if not isinstance(request.auth, Caller):
            raise NotAllowed(of_api(guard, NO_TOKEN))
        requirement, account = self.asked(request, view)
        if requirement is None:
            raise NotAllowed(guard.no_rule)
        if (requirement, account) != getattr(plain, _MET, None):
            _admit_again(plain, requirement, account)
        return True

    def needed(self, method: str, view: "APIView") -> Requirement | None:
        """What the view needs of a request by this method, if it is open to anybody."""
        if self.requirement is not None:
            return self.requirement
        said = getattr(view, "required_scopes", None)
        if isinstance(said, str) or not isinstance(said, Sequence | Mapping):
            raise ImproperlyConfigured(f"{type(view).__name__}.required_scopes is a list of scopes, or a dict of lists by method")
        if not isinstance(said, Mapping):
            return needs(*said)
        scopes = said.get("GET" if method == "HEAD" else method)
        if scopes is None:
            return _ANY_TOKEN if method == "OPTIONS" else None
        return needs(*scopes)


def _admit_again(request: HttpRequest, requirement: Requirement, account: str | None) -> None:
    try:
        admit(request, requirement, account)
    except door.NotAllowed as fault:
        raise NotAllowed(fault.refusal) from None


def requires(
    *scopes: str,
    any_of: Sequence[str] = (),
    roles: Sequence[str] = (),
    acr: Sequence[str] = (),
    max_age: int | None = None,
    account_in: str | None = None,
) -> type[HasScopes]:
    """A permission: `permission_classes = [requires("read:balance")]`, on a view or on an action of a view set.

    The arguments are those of `gatewright_guard.decide.needs`; `account_in` is the path's parameter with the account's id or slug.
    """
    requirement = needs(*scopes, any_of=any_of, roles=roles, acr=acr, max_age=max_age)
    return type("Requires", (HasScopes,), {"requirement": requirement, "account_in": account_in})


def exception_handler(fault: Exception, context: Mapping[str, Any]) -> HttpResponseBase | None:
    """Django REST framework's own, but that refusals are problem documents (RFC 9457): for `EXCEPTION_HANDLER`."""
    from rest_framework import views  # noqa: PLC0415 - see above

    refusal = fault.refusal if isinstance(fault, door.NotAllowed) else _without_token(fault, context)
    if refusal is None:
        return views.exception_handler(fault, dict(context))
    views.set_rollback()
    return response_to(refusal, context["request"]._request)  # noqa: SLF001 - the one way to Django's request


def _without_token(fault: Exception, context: Mapping[str, Any]) -> Refusal | None:
    """The refusal of a request without a token, where another permission refused it for that."""
    if not isinstance(fault, exceptions.NotAuthenticated):
        return None
    ours = any(isinstance(one, Authentication) for one in context["request"].authenticators)
    return of_api(guard_in_use(), NO_TOKEN) if ours else None
