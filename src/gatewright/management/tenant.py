"""The tenant itself and its domains."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.base.check import Fault, Faults
from gatewright.base.operation import Nowhere, Operation
from gatewright.management.errand import Errand, NotThere
from gatewright.management.parts import carry_out, part
from gatewright.management.records import filled, patch, record
from gatewright.platform.document import TenantPart, Uri
from gatewright.platform.reading import Part
from gatewright.tenants import book
from gatewright.tenants.records import DomainRow, TenantRow
from gatewright.tenants.rules import BadOrigin, parse_origin

READ: Final = "gw:tenant:read"
WRITE: Final = "gw:tenant:write"

_MORE: Final[dict[str, Any]] = {"id": str}
TenantRecord = record("Tenant", TenantPart, _MORE, says="The white-label platform itself, with its domains in their order.")
TenantChange = patch("TenantChange", TenantPart, without=("slug", "domains"))


class DomainAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which domain."""

    host: Annotated[str, Meta(description="Its host, with the port where it has one.", max_length=300)]


class NewDomain(Struct, frozen=True, forbid_unknown_fields=True):
    """A domain that is to answer for the tenant."""

    origin: Annotated[Uri, Meta(description="Scheme, host and port: `https://id.example.com`.")]


class DomainRecord(Struct, frozen=True, kw_only=True):
    """A domain of the tenant, which is an issuer of its own; the one at position 0 is where links lead."""

    origin: str
    host: str
    position: int


async def show_tenant(errand: Errand, where: Nowhere) -> Struct:
    """Show the settings of the tenant."""
    row, domains = await _row(errand), await _domains(errand)
    document: dict[str, Any] = {"id": ids.show(ids.TENANT, row.id), "slug": row.slug, "name": row.name, "paths": row.paths.split()}
    document |= {"brand": msgspec.to_builtins(row.look), "scopes_policy": row.rules.scopes_policy}
    return filled(TenantRecord, {**document, "domains": [one.origin for one in domains]})


async def change_tenant(errand: Errand, where: Nowhere, body: Struct) -> Struct:
    """Change settings of the tenant: its name, its path presets, how its pages look."""
    row = await _row(errand)
    own = {"slug": row.slug, "name": row.name, "domains": [one.origin for one in await _domains(errand)]}
    whole: Part[Any] = part("tenant", TenantPart, {**own, **errand.given}, errand.given)
    # The domains stay: they have acts of their own.
    piece = Part(("tenant",), msgspec.structs.replace(whole.value, domains=()), whole.given)
    await carry_out(errand, {"tenant": (piece,)}, inside=("tenant",))
    return await show_tenant(errand, where)


async def list_domains(errand: Errand, where: Nowhere) -> list[DomainRecord]:
    """List the domains of the tenant in their order."""
    return [_told(row) for row in await _domains(errand)]


async def add_domain(errand: Errand, where: Nowhere, body: NewDomain) -> DomainRecord:
    """Make an origin an issuer of the tenant, behind the ones there are."""
    try:
        origin = parse_origin(body.origin)
    except BadOrigin as fault:
        raise Faults((Fault("origin", str(fault), "", None, ("origin",)),)) from None
    position = max((row.position for row in await _domains(errand)), default=-1) + 1
    await book.add_domain(errand.deed, origin, position)
    return DomainRecord(origin=origin.url, host=origin.host, position=position)


async def remove_domain(errand: Errand, where: DomainAt) -> None:
    """Stop answering at a domain; what was issued there is refused everywhere from now on."""
    rows = await _domains(errand)
    row = next((row for row in rows if row.host == where.host), None)
    if row is None:
        raise NotThere(f"the tenant has no domain {where.host}")
    if len(rows) == 1:
        raise Refused("this is the only domain: nobody could reach the tenant any more")
    await book.remove_domain(errand.deed, row)


async def _row(errand: Errand) -> TenantRow:
    row = await errand.source.one(book.BY_ID, id=errand.tenant)
    assert row is not None  # noqa: S101 - a request came to one of its domains
    return row


async def _domains(errand: Errand) -> list[DomainRow]:
    return await errand.source.all(book.DOMAINS, tenant=errand.tenant)


def _told(row: DomainRow) -> DomainRecord:
    return DomainRecord(origin=row.origin, host=row.host, position=row.position)


OPERATIONS: Final = (
    Operation(name="tenant.show", method="GET", path="/tenant", scope=READ, run=show_tenant, gives=TenantRecord),
    Operation(
        name="tenant.change",
        method="PATCH",
        path="/tenant",
        scope=WRITE,
        run=change_tenant,
        body=TenantChange,
        gives=TenantRecord,
        acts=(Act.TENANT_CHANGED,),
        find=show_tenant,
        careful=True,
    ),
    Operation(name="domains.list", method="GET", path="/domains", scope=READ, run=list_domains, gives=DomainRecord, many=True),
    Operation(
        name="domains.add",
        method="POST",
        path="/domains",
        scope=WRITE,
        run=add_domain,
        body=NewDomain,
        gives=DomainRecord,
        acts=(Act.DOMAIN_ADDED,),
    ),
    Operation(
        name="domains.remove",
        method="DELETE",
        path="/domains/{host}",
        scope=WRITE,
        run=remove_domain,
        where=DomainAt,
        acts=(Act.DOMAIN_REMOVED,),
        warns="What was issued there is refused everywhere from then on.",
    ),
)
