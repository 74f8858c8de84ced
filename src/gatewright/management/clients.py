"""Clients and their secrets."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from gatewright.accounts import book as accounts
from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.audit.usage import last_use
from gatewright.base import duration, ids
from gatewright.base.calendar import stamp
from gatewright.base.change import Hit
from gatewright.base.operation import Operation, Paged
from gatewright.clients import book, renewal
from gatewright.clients.book import ClientRow
from gatewright.clients.rules import weaknesses
from gatewright.clients.watching import Watch, watches
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import Known, client_at, known, number_of, user_at
from gatewright.management.parts import carry_out, part
from gatewright.management.previews import of_end
from gatewright.management.records import filled, form, patch, record
from gatewright.oauth.client import ClientSettings
from gatewright.platform.document import ClientPart
from gatewright.platform.terms import shown_exception
from gatewright.tenants import credentials
from gatewright.tenants.credentials import CredentialRow
from gatewright.users import book as users

READ: Final = "gw:clients:read"
WRITE: Final = "gw:clients:write"

ClientName = Annotated[str, Meta(description="The client's id.", max_length=200)]
_MORE: Final[dict[str, Any]] = {
    "status": Annotated[str, Meta(description="`active` or `disabled`.")],
    "weaknesses": Annotated[tuple[str, ...], Meta(description="What makes it less safe than the defaults.")],
    "created_at": Annotated[str, Meta(description="When it was registered (RFC 3339).")],
    "changed_at": str,
}
Client = record("Client", ClientPart, _MORE, without=("secret",), says="A client with all its settings.")
_SHOWN_ONCE = Annotated[str | None, Meta(description="Its secret: shown this once, kept as a digest.")]
NewClient = form("NewClient", ClientPart, without=("secret",))
MadeClient = record("MadeClient", ClientPart, {**_MORE, "client_secret": _SHOWN_ONCE}, without=("secret",), says="A new client.")
ClientChange = patch("ClientChange", ClientPart, without=("secret", "client_id"))


class ClientAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which client."""

    client_id: ClientName


class SecretAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which secret of which client."""

    client_id: ClientName
    secret_id: Annotated[str, Meta(description="The secret's id, `cs_…`.", max_length=100)]


class WatchesWhere(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rules that are tried out."""

    client: Annotated[str, Meta(description="Those of this client alone.", max_length=200)] = ""


class WatchRecord(Struct, frozen=True, kw_only=True):
    """A rule that is only tried out with a client: what it would have refused passes, and is counted."""

    client_id: str
    rule: Annotated[str, Meta(description="The setting's name, as in `report_only`.")]
    would_break: Annotated[bool, Meta(description="Whether anything would have been refused since.")]
    since: str
    refused: Annotated[int, Meta(description="How many requests would have been.")]
    last: str | None
    example: Annotated[str, Meta(description="One of them, without anything secret.")]


class ClientsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which clients."""

    status: Annotated[str, Meta(description="`active` or `disabled` alone.", pattern="^(|active|disabled)\\Z")] = ""


class LastUsedWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which clients."""

    client: Annotated[str, Meta(description="Of this client alone.", max_length=200)] = ""
    status: Annotated[str, Meta(description="`active` or `disabled` alone.", pattern="^(|active|disabled)\\Z")] = ""


class LastUsedRecord(Struct, frozen=True, kw_only=True):
    """When a client was last used. It stands beside the client's record, which would be another one after each use."""

    client_id: str
    last_used_at: Annotated[str | None, Meta(description="When it last got a token, or had one looked at here; null for never.")]


class NewSecret(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a new secret is to be kept."""

    label: Annotated[str, Meta(description="What people know it by.", max_length=100)] = "management"
    end_others: Annotated[bool, Meta(description="End every other secret in the same moment.")] = False
    overlap: Annotated[duration.Duration | None, Meta(description="Let the present secret go on for so long, and no longer.")] = None
    expires_in: Annotated[duration.Duration | None, Meta(description="For how long it is good; for ever where it is not said.")] = None

    @property
    def replaces(self) -> bool:
        """Whether it is made in the place of the present ones."""
        return self.overlap is not None or self.end_others

    def until(self, now: int) -> int | None:
        """Return the second until which the present secret goes on that is to be replaced; None for no longer than now.

        Raises:
            Refused: both is asked for.
        """
        if self.overlap is not None and self.end_others:
            raise Refused("overlap lets the present secret go on for a while, end_others ends it now: say one of them")
        return None if self.overlap is None else now + duration.seconds(self.overlap)

    def expires_at(self, now: int) -> int | None:
        """Return the second at which it is to end."""
        return None if self.expires_in is None else now + duration.seconds(self.expires_in)


class SecretRecord(Struct, frozen=True, kw_only=True):
    """A live secret of a client or an API; of its text only a digest is kept, unless the client's can be read again."""

    id: str
    method: str
    label: str
    created_at: str
    expires_at: str | None
    made_by: str
    last_used_at: Annotated[str | None, Meta(description="When it was last shown and right; of clients' secrets alone.")]
    last_used_from: Annotated[str | None, Meta(description="From which address that was.")]


class Leak(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of the access of a client whose secret others may have."""

    access: Annotated[Literal["ends", "goes_on"], Meta(description="Whether all that the client was given ends with the secret.")] = "ends"


class MadeSecretRecord(Struct, frozen=True, kw_only=True):
    """A secret that was just made."""

    id: str
    label: str
    created_at: str
    expires_at: str | None
    client_secret: Annotated[str, Meta(description="Shown this once.")]


# ---------------------------------------------------------------- clients


async def list_clients(errand: Errand, where: ClientsWhere) -> list[Struct]:
    """List clients by id, with all their settings."""
    names = await known(errand)
    rows = await errand.source.all(book.PAGE, tenant=errand.tenant, after=where.after, status=where.status, count=where.count)
    return [await _told(errand, row, names) for row in rows]


async def show_client(errand: Errand, where: ClientAt) -> Struct:
    """Show a client with all its settings."""
    return await _told(errand, await client_at(errand, where.client_id), await known(errand))


async def list_last_used(errand: Errand, where: LastUsedWhere) -> list[LastUsedRecord]:
    """List when clients last got a token or had one looked at, by the clients' ids."""
    if where.client:
        rows = [await client_at(errand, where.client)]
    else:
        rows = await errand.source.all(book.PAGE, tenant=errand.tenant, after=where.after, status=where.status, count=where.count)
    used = [(row.client_id, await last_use(errand.source, errand.tenant, row.id)) for row in rows]
    return [LastUsedRecord(client_id=name, last_used_at=None if at is None else stamp(at)) for name, at in used]


async def create_client(errand: Errand, where: object, body: Struct) -> Struct:
    """Register a client; where it proves itself by a secret, one is made and shown this once."""
    client_id = errand.given["client_id"]
    if await book.client_named(errand.source, errand.tenant, client_id) is not None:
        raise Refused(f"there is a client {client_id} already")
    pieces = {"clients": (part("clients", ClientPart, errand.given),)}
    await _may_tie(errand, errand.given)
    made = await carry_out(errand, pieces, inside=("clients", 0))
    row = await client_at(errand, client_id)
    names = await known(errand)
    errand.may_give(row.terms.scopes, names.catalogue)
    secret = made[0].secret.reveal() if made else None
    return filled(MadeClient, {**await _document(errand, row, names), "client_secret": secret})


async def change_client(errand: Errand, where: ClientAt, body: Struct) -> Struct:
    """Change settings of a client; they hold for what is already given from the next check on."""
    row, names = await client_at(errand, where.client_id), await known(errand)
    errand.may_give(row.terms.scopes, names.catalogue)
    own = {"client_id": row.client_id, "client_name": row.terms.client_name}
    await _may_tie(errand, errand.given)
    piece = part("clients", ClientPart, {**own, **errand.given}, errand.given)
    await carry_out(errand, {"clients": (piece,)}, inside=("clients", 0), without=frozenset({"client secret"}))
    row = await client_at(errand, where.client_id)
    errand.may_give(row.terms.scopes, names.catalogue)
    return await _told(errand, row, names)


async def disable_client(errand: Errand, where: ClientAt) -> Struct:
    """Refuse a client: its tokens end now, for good. What its users agreed to stays, for when it is enabled."""
    await book.disable_client(errand.deed, await client_at(errand, where.client_id))
    return await show_client(errand, where)


async def count_of_client(errand: Errand, where: ClientAt, body: None, before: object) -> tuple[Hit, ...]:
    """Return whom it hits that a client gets nothing any more."""
    return await of_end(errand, await client_at(errand, where.client_id))


async def list_watches(errand: Errand, where: WatchesWhere) -> list[WatchRecord]:
    """List the rules that are only tried out with clients, and what they would have refused."""
    number = (await client_at(errand, where.client)).id if where.client else 0
    return [_watch(one) for one in await watches(errand.source, errand.tenant, client=number)]


def _watch(one: Watch) -> WatchRecord:
    return WatchRecord(
        client_id=one.client_id,
        rule=one.rule,
        would_break=one.total > 0,
        since=stamp(one.since),
        refused=one.total,
        last=None if one.last_at is None else stamp(one.last_at),
        example=one.example,
    )


async def enable_client(errand: Errand, where: ClientAt) -> Struct:
    """Answer a client again; nothing that was ended comes back."""
    row = await client_at(errand, where.client_id)
    errand.may_give(row.terms.scopes, (await known(errand)).catalogue)
    await book.enable_client(errand.deed, row)
    return await show_client(errand, where)


async def _may_tie(errand: Errand, given: Any) -> None:  # noqa: ANN401 - a mapping of JSON
    """See that the caller holds what a client would get from the service user that it acts as."""
    named = given.get("service_user")
    if errand.caller.held is None or named is None:
        return
    try:
        user = await user_at(errand, named)
    except NotThere:
        return  # told with everything else that is wrong
    names = await known(errand)
    for held in await errand.source.all(accounts.MEMBERSHIPS_OF, person=user.id, tenant=errand.tenant):
        errand.may_give(names.role_scopes(held.role_ids), names.catalogue)


async def _told(errand: Errand, row: ClientRow, names: Known) -> Struct:
    return filled(Client, await _document(errand, row, names))


async def _document(errand: Errand, row: ClientRow, names: Known) -> dict[str, Any]:
    terms = row.terms
    plain = {name: getattr(terms, name) for name in ClientSettings.__struct_fields__ if name in ClientPart.__struct_fields__}
    user = await errand.source.one(users.BY_ID, id=terms.service_user, tenant=errand.tenant) if terms.service_user else None
    tied = terms.account if not terms.service_user else 0
    account = await errand.source.one(accounts.BY_ID, id=tied, tenant=errand.tenant) if tied else None
    owner = await errand.source.one(users.BY_ID, id=row.owner_person, tenant=errand.tenant) if row.owner_person else None
    company = await errand.source.one(accounts.BY_ID, id=row.owner_account, tenant=errand.tenant) if row.owner_account else None
    return {
        **plain,
        "client_id": row.client_id,
        "scopes": names.scope_names(terms.scopes),
        "roles": names.role_names(terms.roles),
        "jwks": None if terms.jwks is None else msgspec.json.decode(terms.jwks),
        "refresh": {"idle": _lasting(terms.refresh_idle), "absolute": _lasting(terms.refresh_absolute), "when": terms.refresh},
        "account": None if account is None else account.slug,
        "service_user": None if user is None else user.email,
        "owner": {"user": None if owner is None else owner.email, "account": None if company is None else company.slug},
        "password_grant": None if terms.password_grant is None else shown_exception(terms.password_grant),
        "status": "active" if row.disabled_at is None else "disabled",
        "weaknesses": list(weaknesses(terms)),
        "created_at": stamp(row.created_at),
        "changed_at": stamp(row.changed_at),
    }


def _lasting(seconds: int | None) -> str | None:
    return None if seconds is None else duration.show(seconds)


# ---------------------------------------------------------------- secrets


async def list_secrets(errand: Errand, where: ClientAt) -> list[SecretRecord]:
    """List the live secrets of a client, the oldest first."""
    row = await client_at(errand, where.client_id)
    return [told_secret(one) for one in await credentials.live(errand.source, errand.tenant, row.id, errand.at.now)]


async def create_secret(errand: Errand, where: ClientAt, body: NewSecret) -> MadeSecretRecord:
    """Make one more secret for a client and show it, this once; the others stay live unless they are to end."""
    row, names = await client_at(errand, where.client_id), await known(errand)
    # Whoever knows a client's secret can do what the client can.
    errand.may_give(row.terms.scopes, names.catalogue)
    await _may_act_as(errand, row, names)
    wrapper = errand.tools.wrapper if row.terms.secret_readable else None
    until, expires = body.until(errand.at.now), body.expires_at(errand.at.now)
    if body.replaces:
        made = await renewal.regenerate(errand.deed, row, wrapper, label=body.label, expires_at=expires, until=until)
    else:
        made = await renewal.make(errand.deed, row, wrapper, label=body.label, expires_at=expires)
    return MadeSecretRecord(
        id=ids.show(ids.SECRET, made.id),
        label=made.label,
        created_at=stamp(made.created_at),
        expires_at=None if made.expires_at is None else stamp(made.expires_at),
        client_secret=made.secret.reveal(),
    )


async def end_secret(errand: Errand, where: SecretAt) -> None:
    """End a secret of a client: who still uses it is refused from now on."""
    row = await client_at(errand, where.client_id)
    number = number_of(ids.SECRET, where.secret_id, "secret")
    if not await renewal.end(errand.deed, row, number):
        raise NotThere(f"{row.client_id} has no live secret {where.secret_id}")


async def report_leaked(errand: Errand, where: SecretAt, body: Leak) -> None:
    """End a secret that others may have, and with it all that the client was given, unless that is to go on."""
    row = await client_at(errand, where.client_id)
    number = number_of(ids.SECRET, where.secret_id, "secret")
    if not await renewal.report_leaked(errand.deed, row, number, access_goes_on=body.access == "goes_on"):
        raise NotThere(f"{row.client_id} has no secret {where.secret_id}")


async def _may_act_as(errand: Errand, row: ClientRow, names: Known) -> None:
    if errand.caller.held is None or not row.terms.service_user:
        return
    for held in await errand.source.all(accounts.MEMBERSHIPS_OF, person=row.terms.service_user, tenant=errand.tenant):
        errand.may_give(names.role_scopes(held.role_ids), names.catalogue)


def told_secret(kept: CredentialRow) -> SecretRecord:
    """Return what is told of a live secret."""
    return SecretRecord(
        id=ids.show(ids.SECRET, kept.id),
        method=kept.method,
        label=kept.label,
        created_at=stamp(kept.created_at),
        expires_at=None if kept.expires_at is None else stamp(kept.expires_at),
        made_by=kept.made_by,
        last_used_at=None if kept.used_at is None else stamp(kept.used_at),
        last_used_from=kept.used_from,
    )


OPERATIONS: Final = (
    Operation(
        name="clients.list",
        method="GET",
        path="/clients",
        scope=READ,
        run=list_clients,
        where=ClientsWhere,
        gives=Client,
        many=True,
        key="client_id",
    ),
    Operation(
        name="clients.report_only",
        method="GET",
        path="/report-only",
        scope=READ,
        run=list_watches,
        where=WatchesWhere,
        gives=WatchRecord,
        many=True,
    ),
    Operation(
        name="clients.last_used",
        method="GET",
        path="/last-used",
        scope=READ,
        run=list_last_used,
        where=LastUsedWhere,
        gives=LastUsedRecord,
        many=True,
        key="client_id",
    ),
    Operation(
        name="clients.create",
        method="POST",
        path="/clients",
        scope=WRITE,
        run=create_client,
        body=NewClient,
        gives=MadeClient,
        acts=(Act.CLIENT_MADE, Act.SECRET_ADDED, Act.CLIENT_OWNER_SET),
    ),
    Operation(name="clients.show", method="GET", path="/clients/{client_id}", scope=READ, run=show_client, where=ClientAt, gives=Client),
    Operation(
        name="clients.change",
        method="PATCH",
        path="/clients/{client_id}",
        scope=WRITE,
        run=change_client,
        where=ClientAt,
        body=ClientChange,
        gives=Client,
        acts=(Act.CLIENT_CHANGED, Act.CLIENT_OWNER_SET),
        find=show_client,
        careful=True,
    ),
    Operation(
        name="clients.disable",
        method="POST",
        path="/clients/{client_id}/disable",
        scope=WRITE,
        run=disable_client,
        where=ClientAt,
        gives=Client,
        acts=(Act.CLIENT_DISABLED,),
        impact=count_of_client,
        find=show_client,
    ),
    Operation(
        name="clients.enable",
        method="POST",
        path="/clients/{client_id}/enable",
        scope=WRITE,
        run=enable_client,
        where=ClientAt,
        gives=Client,
        acts=(Act.CLIENT_ENABLED,),
        find=show_client,
    ),
    Operation(
        name="clients.secrets.list",
        method="GET",
        path="/clients/{client_id}/secrets",
        scope=READ,
        run=list_secrets,
        where=ClientAt,
        gives=SecretRecord,
        many=True,
    ),
    Operation(
        name="clients.secrets.create",
        method="POST",
        path="/clients/{client_id}/secrets",
        scope=WRITE,
        run=create_secret,
        where=ClientAt,
        body=NewSecret,
        gives=MadeSecretRecord,
        acts=(Act.SECRET_ADDED, Act.SECRET_ENDED, Act.SECRET_EXPIRY_SET),
    ),
    Operation(
        name="clients.secrets.end",
        method="DELETE",
        path="/clients/{client_id}/secrets/{secret_id}",
        scope=WRITE,
        run=end_secret,
        where=SecretAt,
        acts=(Act.SECRET_ENDED,),
    ),
    Operation(
        name="clients.secrets.leaked",
        method="POST",
        path="/clients/{client_id}/secrets/{secret_id}/leaked",
        scope=WRITE,
        run=report_leaked,
        where=SecretAt,
        body=Leak,
        acts=(Act.SECRET_LEAKED, Act.CLIENT_ACCESS_ENDED),
        warns="All that the client was given ends, unless it is to go on.",
    ),
)
