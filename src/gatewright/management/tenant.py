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
from gatewright.platform.document import DomainPart, TenantPart, Uri
from gatewright.platform.reading import Part
from gatewright.tenants import book, claims
from gatewright.tenants.claims import ClaimRow
from gatewright.tenants.ownership import Seen, proof, record_name
from gatewright.tenants.records import DomainRow, Look, TenantRow
from gatewright.tenants.rules import BadOrigin, parse_origin

READ: Final = "gw:tenant:read"
WRITE: Final = "gw:tenant:write"

_MORE: Final[dict[str, Any]] = {"id": str}
TenantRecord = record("Tenant", TenantPart, _MORE, says="The white-label platform itself, with its domains in their order.")
TenantChange = patch("TenantChange", TenantPart, without=("slug", "domains", "api_hosts"))


DomainLookRecord = record(
    "DomainLook", DomainPart, {"host": str}, says="What of a domain differs from its tenant: the name and the look of its pages."
)
DomainLookChange = patch("DomainLookChange", DomainPart, without=("origin",))


class DomainAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which domain."""

    host: Annotated[str, Meta(description="Its host, with the port where it has one.", max_length=300)]


class NewDomain(Struct, frozen=True, forbid_unknown_fields=True):
    """A domain that is to answer for the tenant, once the domain name system proves that it is the tenant's."""

    origin: Annotated[Uri, Meta(description="Scheme, host and port: `https://id.example.com`.")]


class DomainRecord(Struct, frozen=True, kw_only=True):
    """A domain of the tenant: an issuer, a host of its API, or one that is claimed and not proved."""

    origin: str
    host: str
    kind: Annotated[str, Meta(description="`issuer` or `api`.")]
    state: Annotated[str, Meta(description="`pending`, `verified`, `failing` or `lost`; it answers while verified or failing.")]
    verified_by: Annotated[str | None, Meta(description="`operator` or `txt`, the record below.")]
    position: Annotated[int | None, Meta(description="Its place among those that answer; 0 is where links lead.")]
    record_name: Annotated[str | None, Meta(description="Where the TXT record stands that proves it.")] = None
    record_value: Annotated[str | None, Meta(description="What that record says.")] = None
    found: Annotated[str, Meta(description="What was found at the last look.")] = ""


async def show_tenant(errand: Errand, where: Nowhere) -> Struct:
    """Show the settings of the tenant."""
    row, domains = await _row(errand), await _domains(errand)
    document: dict[str, Any] = {"id": ids.show(ids.TENANT, row.id), "slug": row.slug, "name": row.name, "paths": row.paths.split()}
    document |= {"brand": msgspec.to_builtins(row.look), "scopes_policy": row.rules.scopes_policy}
    hosts = {kind: [one.origin for one in domains if one.kind == kind] for kind in ("issuer", "api")}
    return filled(TenantRecord, {**document, "domains": hosts["issuer"], "api_hosts": hosts["api"]})


async def change_tenant(errand: Errand, where: Nowhere, body: Struct) -> Struct:
    """Change settings of the tenant: its name, its path presets, how its pages look."""
    row = await _row(errand)
    own = {"slug": row.slug, "name": row.name, "domains": [one.origin for one in await _domains(errand) if one.kind == "issuer"]}
    whole: Part[Any] = part("tenant", TenantPart, {**own, **errand.given}, errand.given)
    # The domains stay: they have acts of their own.
    piece = Part(("tenant",), msgspec.structs.replace(whole.value, domains=()), whole.given)
    await carry_out(errand, {"tenant": (piece,)}, inside=("tenant",))
    return await show_tenant(errand, where)


async def list_domains(errand: Errand, where: Nowhere) -> list[DomainRecord]:
    """List the domains of the tenant in their order, then what it claims and has not proved."""
    claimed = {row.host: row for row in await errand.source.all(claims.OF_TENANT, tenant=errand.tenant)}
    found = [_told(errand, row, claimed.pop(row.host, None)) for row in await _domains(errand)]
    return found + [_claimed(errand, row) for row in claimed.values()]


async def add_domain(errand: Errand, where: Nowhere, body: NewDomain) -> DomainRecord:
    """Add a domain: it answers as an issuer, at once by the operator's word, else once the TXT record in the answer is found."""
    try:
        origin = parse_origin(body.origin)
    except BadOrigin as fault:
        raise Faults((Fault("origin", str(fault), "", None, ("origin",)),)) from None
    if errand.caller.held is not None:  # the operator's word needs no proof
        await claims.claim(errand.deed, origin, errand.tools.own_names)
        return _claimed(errand, await _claim(errand, origin.host))
    position = max((row.position for row in await _domains(errand) if row.kind == "issuer"), default=-1) + 1
    await book.add_domain(errand.deed, origin, position)
    return next(_told(errand, row, None) for row in await _domains(errand) if row.host == origin.host)


async def look_at_domain(errand: Errand, where: DomainAt, body: None = None) -> tuple[ClaimRow, Seen, str]:
    """Ask the domain name system for a claimed domain's record; this takes as long as it takes."""
    row = await _claim(errand, where.host)
    return row, *await claims.look(errand.tools.txt, errand.tools.sealer, row)


async def check_domain(errand: Errand, where: DomainAt) -> DomainRecord:
    """Look now for the record of a claimed domain, and do what follows."""
    assert isinstance(errand.prepared, tuple)  # noqa: S101 - what was seen in front of the transaction
    row, seen, said = errand.prepared
    if await claims.settle(errand.deed, row, seen, said) is None:
        raise Refused("somebody else looked in this moment: ask for the list of domains")
    after = await errand.source.one(claims.OF_HOST, tenant=errand.tenant, host=where.host)
    domain = next((one for one in await _domains(errand) if one.host == where.host), None)
    if domain is not None:
        return _told(errand, domain, after)
    return _claimed(errand, row if after is None else after)


async def show_look(errand: Errand, where: DomainAt) -> Struct:
    """Show what of a domain differs from its tenant."""
    row = await _domain(errand, where.host)
    look = msgspec.to_builtins(row.own_look)
    return filled(DomainLookRecord, {"origin": row.origin, "host": row.host, "name": row.name or None, "brand": look})


async def change_look(errand: Errand, where: DomainAt, body: Struct) -> Struct:
    """Change what of a domain differs from its tenant: its name, how its pages look; null is as the tenant has it."""
    row = await _domain(errand, where.host)
    whole = part("domains", DomainPart, {"origin": row.origin, **errand.given}, errand.given)
    name = (whole.value.name or "") if "name" in whole.given else row.name
    named = {key: getattr(whole.value.brand, key) for key in whole.given.get("brand", {})}
    look = msgspec.convert({**msgspec.to_builtins(row.own_look), **named}, Look)
    if (name, look) != (row.name, row.own_look):
        await book.change_domain(errand.deed, row.id, row.origin, name, look)
    return await show_look(errand, where)


async def _domain(errand: Errand, host: str) -> DomainRow:
    row = next((one for one in await _domains(errand) if one.host == host), None)
    if row is None:
        raise NotThere(f"the tenant has no domain {host} that answers")
    return row


async def remove_domain(errand: Errand, where: DomainAt) -> None:
    """Stop answering at a domain; what was issued there is refused everywhere from now on. A claim is taken back."""
    rows = await _domains(errand)
    row = next((row for row in rows if row.host == where.host), None)
    claimed = await errand.source.one(claims.OF_HOST, tenant=errand.tenant, host=where.host)
    if row is None and claimed is None:
        raise NotThere(f"the tenant has no domain {where.host}")
    if row is not None and row.kind == "issuer" and len([one for one in rows if one.kind == "issuer"]) == 1:
        raise Refused("this is the only domain: nobody could reach the tenant any more")
    if claimed is not None:
        await claims.drop(errand.deed, claimed)
    elif row is not None:
        await book.remove_domain(errand.deed, row)


async def _claim(errand: Errand, host: str) -> ClaimRow:
    row = await errand.source.one(claims.OF_HOST, tenant=errand.tenant, host=host)
    if row is None:
        raise NotThere(f"the tenant does not claim {host}")
    return row


async def _row(errand: Errand) -> TenantRow:
    row = await errand.source.one(book.BY_ID, id=errand.tenant)
    assert row is not None  # noqa: S101 - a request came to one of its domains
    return row


async def _domains(errand: Errand) -> list[DomainRow]:
    return await errand.source.all(book.DOMAINS, tenant=errand.tenant)


def _told(errand: Errand, row: DomainRow, claimed: ClaimRow | None) -> DomainRecord:
    if claimed is not None:
        return msgspec.structs.replace(_claimed(errand, claimed), verified_by="txt", position=row.position)
    return DomainRecord(origin=row.origin, host=row.host, kind=row.kind, state="verified", verified_by="operator", position=row.position)


def _claimed(errand: Errand, row: ClaimRow) -> DomainRecord:
    return DomainRecord(
        origin=row.origin,
        host=row.host,
        kind="issuer",
        state=row.state,
        verified_by=None,
        position=None,
        record_name=record_name(row.host),
        record_value=proof(errand.tools.sealer, errand.tenant, row.host),
        found=row.told,
    )


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
        acts=(Act.DOMAIN_CLAIMED, Act.DOMAIN_ADDED),
    ),
    Operation(
        name="domains.check",
        method="POST",
        path="/domains/{host}/check",
        scope=WRITE,
        run=check_domain,
        where=DomainAt,
        gives=DomainRecord,
        prepare=look_at_domain,
        acts=(Act.DOMAIN_VERIFIED, Act.DOMAIN_ADDED, Act.DOMAIN_FAILING, Act.DOMAIN_LOST, Act.DOMAIN_REMOVED, Act.DOMAIN_CLAIM_DROPPED),
    ),
    Operation(
        name="domains.show",
        method="GET",
        path="/domains/{host}",
        scope=READ,
        run=show_look,
        where=DomainAt,
        gives=DomainLookRecord,
    ),
    Operation(
        name="domains.change",
        method="PATCH",
        path="/domains/{host}",
        scope=WRITE,
        run=change_look,
        where=DomainAt,
        body=DomainLookChange,
        gives=DomainLookRecord,
        acts=(Act.DOMAIN_CHANGED,),
        find=show_look,
        careful=True,
    ),
    Operation(
        name="domains.remove",
        method="DELETE",
        path="/domains/{host}",
        scope=WRITE,
        run=remove_domain,
        where=DomainAt,
        acts=(Act.DOMAIN_REMOVED, Act.DOMAIN_CLAIM_DROPPED),
        warns="What was issued there is refused everywhere from then on.",
    ),
)
