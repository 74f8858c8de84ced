"""Roles: named sets of scopes that members hold in accounts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gatewright.apis import book
from gatewright.apis.book import RoleRow
from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.base.change import Hit
from gatewright.base.operation import Nowhere, Operation
from gatewright.management.errand import Errand
from gatewright.management.names import Known, known
from gatewright.management.parts import carry_out, part
from gatewright.management.previews import of_definition
from gatewright.management.records import filled, form, patch, record
from gatewright.oauth.catalogue import ids_of
from gatewright.platform.document import RolePart
from gatewright.platform.hits import holders_of
from gatewright.platform.impact import without_roles

READ: Final = "gw:roles:read"
WRITE: Final = "gw:roles:write"

_MORE: Final[dict[str, Any]] = {"id": str, "status": Annotated[str, Meta(description="`active` or `retired`.")]}
RoleRecord = record("Role", RolePart, _MORE)
NewRole = form("NewRole", RolePart)
RoleChange = patch("RoleChange", RolePart, without=("name",))


class RoleAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which role."""

    role: Annotated[str, Meta(description="The role's name (percent-encoded) or its id (`ro_…`).", max_length=200)]


async def list_roles(errand: Errand, where: Nowhere) -> list[Struct]:
    """List roles with their scopes, retired ones too."""
    names = await known(errand)
    return [_role(row, names) for row in names.roles.values()]


async def show_role(errand: Errand, where: RoleAt) -> Struct:
    """Show a role with its scopes."""
    names = await known(errand)
    return _role(names.role(where.role), names)


async def create_role(errand: Errand, where: Nowhere, body: Struct) -> Struct:
    """Make a role; one that was retired comes back, held by nobody."""
    name = errand.given["name"]
    if any(row.name == name and row.retired_at is None for row in (await known(errand)).roles.values()):
        raise Refused(f'there is a role "{name}" already')
    return await _set(errand, name, frozenset())


async def change_role(errand: Errand, where: RoleAt, body: Struct) -> Struct:
    """Set the scopes that a role holds; whoever holds the role has or loses them at once."""
    row = (await known(errand)).role(where.role)
    if row.retired_at is not None:
        raise Refused(f'the role "{row.name}" is retired; make it again by its name')
    if "scopes" not in errand.given:
        return await show_role(errand, where)
    return await _set(errand, row.name, ids_of(row.scopes))


async def retire_role(errand: Errand, where: RoleAt) -> Struct:
    """Take a role from everybody who holds it."""
    row = (await known(errand)).role(where.role)
    await book.retire_role(errand.deed, row)
    return await show_role(errand, RoleAt(ids.show(ids.ROLE, row.id)))


async def count_of_role(errand: Errand, where: RoleAt, body: object, before: object) -> tuple[Hit, ...]:
    """Return who holds a role, and whom it hits that it is taken from them."""
    names = await known(errand)
    row = names.role(where.role)
    holders = await holders_of(errand.source, errand.tenant, row.id)
    return (Hit(holders, "members who hold it"), *await of_definition(errand, without_roles(names.catalogue, [row.id])))


async def _set(errand: Errand, name: str, present: frozenset[int]) -> Struct:
    piece = part("roles", RolePart, {"name": name, "scopes": errand.given["scopes"]})
    await carry_out(errand, {"roles": (piece,)}, inside=("roles", 0))
    names = await known(errand)
    row = names.role(name)
    errand.may_give(ids_of(row.scopes) - present, names.catalogue)
    return _role(row, names)


def _role(row: RoleRow, names: Known) -> Struct:
    return filled(
        RoleRecord,
        {
            "id": ids.show(ids.ROLE, row.id),
            "name": row.name,
            "scopes": names.scope_names(ids_of(row.scopes)),
            "status": "active" if row.retired_at is None else "retired",
        },
    )


OPERATIONS: Final = (
    Operation(name="roles.list", method="GET", path="/roles", scope=READ, run=list_roles, gives=RoleRecord, many=True),
    Operation(
        name="roles.create",
        method="POST",
        path="/roles",
        scope=WRITE,
        run=create_role,
        body=NewRole,
        gives=RoleRecord,
        acts=(Act.ROLE_MADE, Act.ROLE_CHANGED),
    ),
    Operation(name="roles.show", method="GET", path="/roles/{role}", scope=READ, run=show_role, where=RoleAt, gives=RoleRecord),
    Operation(
        name="roles.change",
        method="PATCH",
        path="/roles/{role}",
        scope=WRITE,
        run=change_role,
        where=RoleAt,
        body=RoleChange,
        gives=RoleRecord,
        acts=(Act.ROLE_CHANGED,),
        find=show_role,
        careful=True,
    ),
    Operation(
        name="roles.retire",
        method="POST",
        path="/roles/{role}/retire",
        scope=WRITE,
        run=retire_role,
        where=RoleAt,
        gives=RoleRecord,
        acts=(Act.ROLE_RETIRED,),
        find=show_role,
        impact=count_of_role,
        warns="The role is taken from everybody who holds it.",
    ),
)
