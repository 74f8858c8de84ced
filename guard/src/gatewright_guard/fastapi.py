"""The guard in FastAPI: `protect(app, guard)` once, then `caller: Annotated[Caller, requires("read:balance")]` where it is needed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, cast

import fastapi
from fastapi.openapi.models import OAuth2, OAuthFlowAuthorizationCode, OAuthFlows
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from gatewright_guard import starlette
from gatewright_guard.decide import Requirement, needs
from gatewright_guard.guard import Guard
from gatewright_guard.starlette import Caller, NotAllowed, admit

__all__ = ["Caller", "Guard", "NotAllowed", "admit", "protect", "requires"]

_SCHEME: Final = "gatewright"


class _Scheme(SecurityBase):
    """What the API's description says of tokens; `protect` puts the addresses in, which are not known before (OpenAPI 3.1)."""

    def __init__(self) -> None:
        flow = OAuthFlowAuthorizationCode(authorizationUrl="", tokenUrl="", scopes={})
        self.model = OAuth2(flows=OAuthFlows(authorizationCode=flow))
        self.scheme_name = _SCHEME

    async def __call__(self) -> None:
        """Nothing to do: `_Admission` asks the guard. It is async because FastAPI sends the others to a thread."""


_scheme: Final = _Scheme()


class _Admission:
    """The dependency of an endpoint: admits its callers."""

    __slots__ = ("_account_in", "_requirement")

    def __init__(self, requirement: Requirement, account_in: str | None) -> None:
        self._requirement = requirement
        self._account_in = account_in

    async def __call__(self, connection: HTTPConnection, _: Annotated[None, fastapi.Security(_scheme)]) -> Caller:
        return await admit(connection, self._requirement, self._account_in)


def requires(
    *scopes: str,
    any_of: Sequence[str] = (),
    roles: Sequence[str] = (),
    acr: Sequence[str] = (),
    max_age: int | None = None,
    account_in: str | None = None,
) -> Any:  # noqa: ANN401 - as fastapi.Security
    """A dependency: only callers with these scopes, and only those of the account that a path parameter names, if one does.

    The arguments are those of `gatewright_guard.decide.needs`; `account_in` is the name of the path parameter that holds the id
    or slug of the account.
    """
    requirement = needs(*scopes, any_of=any_of, roles=roles, acr=acr, max_age=max_age)
    return fastapi.Security(_Admission(requirement, account_in), scopes=[*requirement.all_of, *requirement.any_of[:1]])


def protect(
    app: fastapi.FastAPI,
    guard: Guard,
    *,
    scopes: Mapping[str, str] | None = None,
    authorization_url: str | None = None,
    token_url: str | None = None,
) -> None:
    """Give the application its guard; scopes with their descriptions and the two addresses are for the API's description."""
    starlette.protect(app, guard, scopes=tuple(scopes or ()))
    base = guard.issuer.rstrip("/")
    flow = {"authorizationUrl": authorization_url or f"{base}/authorize", "tokenUrl": token_url or f"{base}/token"}
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        _describe(schema, flow, scopes or {})
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents


def _describe(schema: dict[str, Any], flow: Mapping[str, str], described: Mapping[str, str]) -> None:
    schemes = schema.get("components", {}).get("securitySchemes", {})
    if _SCHEME not in schemes:
        return
    used = {scope for operation in _operations(schema) for scope in _scopes_of(operation)}
    texts = {scope: described.get(scope, "") for scope in sorted(used | set(described))}
    schemes[_SCHEME] = {"type": "oauth2", "flows": {"authorizationCode": {**flow, "scopes": texts}}}
    for operation in _operations(schema):
        if any(_SCHEME in requirement for requirement in operation.get("security", ())):
            for status, text in _REFUSALS.items():
                operation["responses"].setdefault(status, {"description": text, "content": _PROBLEM})


_REFUSALS: Final = {
    "401": "No access token, or one that is not valid (RFC 6750)",
    "403": "The access token lacks a scope or does not open the account (RFC 6750)",
}
_PROBLEM: Final = {
    "application/problem+json": {
        "schema": {
            "type": "object",
            "required": ["type", "title", "status", "detail", "cause"],
            "properties": {
                "type": {"type": "string", "format": "uri"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "cause": {"type": "string"},
                "missing_scope": {"type": "string"},
            },
        }
    }
}


def _operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    paths = cast(dict[str, dict[str, Any]], schema.get("paths", {}))
    return [operation for path in paths.values() for operation in path.values() if isinstance(operation, dict)]


def _scopes_of(operation: Mapping[str, Any]) -> list[str]:
    return [scope for requirement in operation.get("security", ()) for scope in requirement.get(_SCHEME, ())]
