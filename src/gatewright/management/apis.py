"""APIs with their scopes, and the secrets with which APIs ask about tokens."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from gatewright.apis import book
from gatewright.apis.book import ApiRow, ScopeRow
from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.base import duration, ids
from gatewright.base.calendar import day, stamp
from gatewright.base.change import Hit
from gatewright.base.digest import Kind, digest
from gatewright.base.operation import Nowhere, Operation
from gatewright.management.clients import NewSecret, SecretRecord, told_secret
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import Known, known, number_of
from gatewright.management.parts import carry_out, part
from gatewright.management.previews import of_definition
from gatewright.management.records import filled, form, patch, record
from gatewright.oauth.catalogue import UNTIL_REVOKED, ids_of
from gatewright.platform.document import UNTIL_REVOKED_WORD, ApiPart, Name, ScopePart
from gatewright.platform.impact import without_apis, without_scopes
from gatewright.platform.routes import shown_routes
from gatewright.tenants import credentials
from gatewright.tenants.credentials import NewCredential

READ: Final = "gw:apis:read"
WRITE: Final = "gw:apis:write"


ApiName = Annotated[str, Meta(description="The API's id (`ap_…`) or its audience, percent-encoded.", max_length=300)]
ScopeName = Annotated[str, Meta(description="The scope's name (percent-encoded) or its id (`sc_…`).", max_length=200)]
_STATUS = Annotated[str, Meta(description="`active` or `disabled`.")]
_MORE: Final[dict[str, Any]] = {
    "id": str,
    "status": _STATUS,
    "scopes": Annotated[tuple[str, ...], Meta(description="Names of its scopes.")],
}
ApiRecord = record("Api", ApiPart, _MORE, without=("secret", "scopes"), says="An API with the names of its scopes.")
NewApi = form("NewApi", ApiPart, without=("secret",))
ApiChange = patch("ApiChange", ApiPart, without=("secret", "audience", "scopes"))

_SCOPE_MORE: Final[dict[str, Any]] = {
    "id": str,
    "name": str,
    "api": Annotated[str, Meta(description="The audience of the API that it belongs to.")],
    "status": Annotated[str, Meta(description="`active` or `retired`.")],
}
ScopeRecord = record("Scope", ScopePart, _SCOPE_MORE, says="A scope of an API.")
ScopeTitle = Annotated[Name, Meta(description="The scope's name, as clients ask for it.")]
NewScope = form("NewScope", ScopePart, more={"name": ScopeTitle}, says="A new scope.")
ScopeChange = patch("ScopeChange", ScopePart)


class ApiAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which API."""

    api: ApiName


class ScopeAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which scope."""

    scope: ScopeName


class NewScopeName(Struct, frozen=True, forbid_unknown_fields=True):
    """How a scope is to be called."""

    name: ScopeTitle


class ApiSecretAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which secret of which API."""

    api: ApiName
    secret_id: Annotated[str, Meta(description="The secret's id, `cs_…`.", max_length=100)]


class ScopesWhere(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which scopes."""

    api: Annotated[str, Meta(description="Those of this API alone.", max_length=300)] = ""


class MadeApiSecret(Struct, frozen=True, kw_only=True):
    """A secret that was just made for an API."""

    id: str
    label: str
    created_at: str
    expires_at: str | None
    api_secret: Annotated[str, Meta(description="Shown this once.")]


# ---------------------------------------------------------------- APIs


async def list_apis(errand: Errand, where: Nowhere) -> list[Struct]:
    """List APIs: the id or the audience is the name with which one authenticates when it asks about a token."""
    names = await known(errand)
    return [await _api(errand, row, names) for row in names.apis.values()]


async def show_api(errand: Errand, where: ApiAt) -> Struct:
    """Show an API with the names of its scopes."""
    names = await known(errand)
    return await _api(errand, names.api(where.api), names)


async def create_api(errand: Errand, where: Nowhere, body: Struct) -> Struct:
    """Make an API, with its scopes."""
    audience = errand.given["audience"]
    if any(row.audience == audience for row in (await known(errand)).apis.values()):
        raise Refused(f"there is an API {audience} already")
    await carry_out(errand, {"apis": (part("apis", ApiPart, errand.given),)}, inside=("apis", 0))
    return await show_api(errand, ApiAt(audience))


async def change_api(errand: Errand, where: ApiAt, body: Struct) -> Struct:
    """Change an API; tokens that are out keep their format and lifetime until they expire."""
    row = (await known(errand)).api(where.api)
    piece = part("apis", ApiPart, {"audience": row.audience, "name": row.name, **errand.given}, errand.given)
    await carry_out(errand, {"apis": (piece,)}, inside=("apis", 0))
    return await show_api(errand, where)


async def disable_api(errand: Errand, where: ApiAt) -> Struct:
    """Stop giving the scopes of an API, and refuse the tokens that are out for it."""
    await book.disable_api(errand.deed, (await known(errand)).api(where.api))
    return await show_api(errand, where)


async def count_of_api(errand: Errand, where: ApiAt, body: None, before: object) -> tuple[Hit, ...]:
    """Return whom it hits that an API's scopes are given no more."""
    names = await known(errand)
    return await of_definition(errand, without_apis(names.catalogue, [names.api(where.api).id]))


async def count_of_scope(errand: Errand, where: ScopeAt, body: None, before: object) -> tuple[Hit, ...]:
    """Return whom it hits that a scope is given no more."""
    names = await known(errand)
    return await of_definition(errand, without_scopes(names.catalogue, [names.scope(where.scope).id]))


async def enable_api(errand: Errand, where: ApiAt) -> Struct:
    """Give the scopes of an API again."""
    await book.enable_api(errand.deed, (await known(errand)).api(where.api))
    return await show_api(errand, where)


async def _api(errand: Errand, row: ApiRow, names: Known) -> Struct:
    lifetime = UNTIL_REVOKED_WORD if row.token_lifetime == UNTIL_REVOKED else duration.show(row.token_lifetime)
    scopes = [scope.name for scope in names.scopes.values() if scope.api == row.id and scope.retired_at is None]
    return filled(
        ApiRecord,
        {
            "id": ids.show(ids.API, row.id),
            "audience": row.audience,
            "name": row.name,
            "roles": row.roles,
            "token": {"format": row.token_format, "lifetime": lifetime, "alg": row.token_alg, "roles": row.names_roles == 1},
            "usage": row.usage == 1,
            "status": "active" if row.disabled_at is None else "disabled",
            "scopes": sorted(scopes),
            "routes": msgspec.to_builtins(shown_routes(row.table, {scope.id: scope.name for scope in names.scopes.values()})),
            "verify_max_age": duration.show(row.verify_max_age),
        },
    )


# ---------------------------------------------------------------- scopes


async def list_scopes(errand: Errand, where: ScopesWhere) -> list[Struct]:
    """List scopes, retired ones too; those of OpenID Connect and of the management API are the same everywhere and not among them."""
    names = await known(errand)
    api = names.api(where.api).id if where.api else 0
    return [_scope(row, names) for row in names.scopes.values() if api in (0, row.api)]


async def show_scope(errand: Errand, where: ScopeAt) -> Struct:
    """Show a scope."""
    names = await known(errand)
    return _scope(names.scope(where.scope), names)


async def create_scope(errand: Errand, where: ApiAt, body: Struct) -> Struct:
    """Define a scope of an API; its name is one in the whole tenant, and is never used again when it is retired."""
    names = await known(errand)
    api, name = names.api(where.api), errand.given["name"]
    if any(row.name == name and row.api == api.id and row.retired_at is None for row in names.scopes.values()):
        raise Refused(f'there is a scope "{name}" already')
    await _set_scope(errand, api, name, {key: value for key, value in errand.given.items() if key != "name"}, {})
    return await show_scope(errand, ScopeAt(name))


async def change_scope(errand: Errand, where: ScopeAt, body: Struct) -> Struct:
    """Change a scope; what it implies from now on counts for consents given from now on, and in roles at once."""
    names = await known(errand)
    row = names.scope(where.scope)
    await _set_scope(errand, names.apis[row.api], row.name, errand.given, {"text": row.text})
    return await show_scope(errand, where)


async def rename_scope(errand: Errand, where: ScopeAt, body: NewScopeName) -> Struct:
    """Give a scope another name; the old one is understood as before, as one of its `aliases`, until it is taken from there."""
    names = await known(errand)
    row = names.scope(where.scope)
    if row.name == body.name:
        return _scope(row, names)
    given = {"aliases": sorted({*names.aliases(row), row.name} - {body.name})}
    await _set_scope(errand, names.apis[row.api], body.name, given, {"text": row.text})
    return await show_scope(errand, ScopeAt(body.name))


async def retire_scope(errand: Errand, where: ScopeAt) -> Struct:
    """Give a scope to nobody any more; its name is never used again."""
    names = await known(errand)
    row = names.scope(where.scope)
    await book.retire_scope(errand.deed, row)
    return await show_scope(errand, ScopeAt(ids.show(ids.SCOPE, row.id)))


async def _set_scope(errand: Errand, api: ApiRow, name: str, given: dict[str, Any] | Any, own: dict[str, Any]) -> None:  # noqa: ANN401 - JSON
    said = {key: value for key, value in {**own, **given}.items() if value is not None}
    document = {"audience": api.audience, "name": api.name, "scopes": {name: said}}
    piece = part("apis", ApiPart, document, {"scopes": {name: dict(given)}})
    await carry_out(errand, {"apis": (piece,)}, inside=("apis", 0, "scopes", name))


def _scope(row: ScopeRow, names: Known) -> Struct:
    return filled(
        ScopeRecord,
        {
            "id": ids.show(ids.SCOPE, row.id),
            "name": row.name,
            "api": names.apis[row.api].audience,
            "text": row.text,
            "risk": row.risk,
            "reach": row.reach,
            "cleanup": row.cleanup == 1,
            "implies": names.scope_names(ids_of(row.implies)),
            "demo": bool(row.demo),
            "texts": book.kept_terms(row).texts,
            "aliases": names.aliases(row),
            "retires": None if row.retires_at is None else day(row.retires_at),
            "status": "retired" if row.over(names.now) else "active",
        },
    )


# ---------------------------------------------------------------- secrets


async def list_secrets(errand: Errand, where: ApiAt) -> list[SecretRecord]:
    """List the live secrets of an API, the oldest first."""
    row = (await known(errand)).api(where.api)
    return [told_secret(one) for one in await credentials.live(errand.source, errand.tenant, row.id, errand.at.now)]


async def create_secret(errand: Errand, where: ApiAt, body: NewSecret) -> MadeApiSecret:
    """Make one more secret for an API and show it, this once; the others stay live unless they are to end."""
    row = (await known(errand)).api(where.api)
    until, expires = body.until(errand.at.now), body.expires_at(errand.at.now)
    credentials.check_wish(body.label, expires, errand.at.now)
    if body.replaces:
        await credentials.give_way(errand.deed, "api", row.id, row.audience, until)
    made = Kind.API_SECRET + errand.at.text(32)
    kept = digest(Kind.API_SECRET, errand.tenant, made)
    new = NewCredential(method="sha256", digest=kept, label=body.label, expires_at=expires)
    number = await credentials.add(errand.deed, "api", row.id, row.audience, new)
    return MadeApiSecret(
        id=ids.show(ids.SECRET, number),
        label=body.label,
        created_at=stamp(errand.at.now),
        expires_at=None if expires is None else stamp(expires),
        api_secret=made,
    )


async def end_secret(errand: Errand, where: ApiSecretAt) -> None:
    """End a secret of an API."""
    row = (await known(errand)).api(where.api)
    number = number_of(ids.SECRET, where.secret_id, "secret")
    if not await credentials.end(errand.deed, "api", row.id, row.audience, number):
        raise NotThere(f"{row.audience} has no live secret {where.secret_id}")


OPERATIONS: Final = (
    Operation(name="apis.list", method="GET", path="/apis", scope=READ, run=list_apis, gives=ApiRecord, many=True),
    Operation(
        name="apis.create",
        method="POST",
        path="/apis",
        scope=WRITE,
        run=create_api,
        body=NewApi,
        gives=ApiRecord,
        acts=(Act.API_MADE, Act.SCOPE_MADE, Act.API_CHANGED),
    ),
    Operation(name="apis.show", method="GET", path="/apis/{api}", scope=READ, run=show_api, where=ApiAt, gives=ApiRecord),
    Operation(
        name="apis.change",
        method="PATCH",
        path="/apis/{api}",
        scope=WRITE,
        run=change_api,
        where=ApiAt,
        body=ApiChange,
        gives=ApiRecord,
        acts=(Act.API_CHANGED,),
        find=show_api,
        careful=True,
    ),
    Operation(
        name="apis.disable",
        method="POST",
        path="/apis/{api}/disable",
        scope=WRITE,
        run=disable_api,
        where=ApiAt,
        gives=ApiRecord,
        acts=(Act.API_DISABLED,),
        impact=count_of_api,
        find=show_api,
    ),
    Operation(
        name="apis.enable",
        method="POST",
        path="/apis/{api}/enable",
        scope=WRITE,
        run=enable_api,
        where=ApiAt,
        gives=ApiRecord,
        acts=(Act.API_ENABLED,),
        find=show_api,
    ),
    Operation(
        name="scopes.list", method="GET", path="/scopes", scope=READ, run=list_scopes, where=ScopesWhere, gives=ScopeRecord, many=True
    ),
    Operation(
        name="scopes.create",
        method="POST",
        path="/apis/{api}/scopes",
        scope=WRITE,
        run=create_scope,
        where=ApiAt,
        body=NewScope,
        gives=ScopeRecord,
        acts=(Act.SCOPE_MADE,),
    ),
    Operation(name="scopes.show", method="GET", path="/scopes/{scope}", scope=READ, run=show_scope, where=ScopeAt, gives=ScopeRecord),
    Operation(
        name="scopes.change",
        method="PATCH",
        path="/scopes/{scope}",
        scope=WRITE,
        run=change_scope,
        where=ScopeAt,
        body=ScopeChange,
        gives=ScopeRecord,
        acts=(Act.SCOPE_CHANGED,),
        find=show_scope,
        careful=True,
    ),
    Operation(
        name="scopes.rename",
        method="POST",
        path="/scopes/{scope}/rename",
        scope=WRITE,
        run=rename_scope,
        where=ScopeAt,
        body=NewScopeName,
        gives=ScopeRecord,
        acts=(Act.SCOPE_RENAMED, Act.SCOPE_CHANGED),
    ),
    Operation(
        name="scopes.retire",
        method="POST",
        path="/scopes/{scope}/retire",
        scope=WRITE,
        run=retire_scope,
        where=ScopeAt,
        gives=ScopeRecord,
        acts=(Act.SCOPE_RETIRED,),
        impact=count_of_scope,
        find=show_scope,
        warns="The scope is taken from everybody, and its name is never used again.",
    ),
    Operation(
        name="apis.secrets.list",
        method="GET",
        path="/apis/{api}/secrets",
        scope=READ,
        run=list_secrets,
        where=ApiAt,
        gives=SecretRecord,
        many=True,
    ),
    Operation(
        name="apis.secrets.create",
        method="POST",
        path="/apis/{api}/secrets",
        scope=WRITE,
        run=create_secret,
        where=ApiAt,
        body=NewSecret,
        gives=MadeApiSecret,
        acts=(Act.SECRET_ADDED, Act.SECRET_ENDED, Act.SECRET_EXPIRY_SET),
    ),
    Operation(
        name="apis.secrets.end",
        method="DELETE",
        path="/apis/{api}/secrets/{secret_id}",
        scope=WRITE,
        run=end_secret,
        where=ApiSecretAt,
        acts=(Act.SECRET_ENDED,),
    ),
)
