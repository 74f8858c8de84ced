"""The stored digests of what a tenant's clients and APIs prove themselves with. Several may be live, so that one can be replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from gatewright.audit.book import Act
from gatewright.audit.deed import API_KIND, CLIENT_KIND, Deed
from gatewright.base import ids
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

HolderKind = Literal["client", "api"]
Method = Literal["sha256", "argon2id"]


class CredentialRow(Struct, frozen=True):
    """A live secret as stored."""

    id: int
    holder: int
    kind: str
    method: str
    digest: str
    label: str
    created_at: int
    expires_at: int | None


LIVE: Final = Query(
    CredentialRow,
    """SELECT id, holder, kind, method, digest, label, created_at, expires_at FROM credential
        WHERE holder = :holder AND tenant = :tenant AND ended_at IS NULL ORDER BY id""",
)
OF_TENANT: Final = Query(
    CredentialRow,
    """SELECT c.id, c.holder, c.kind, c.method, c.digest, c.label, c.created_at, c.expires_at
         FROM credential c
        WHERE c.ended_at IS NULL AND c.tenant = :tenant
          AND c.holder IN (SELECT k.id FROM client k WHERE k.tenant = :tenant UNION ALL SELECT a.id FROM api a WHERE a.tenant = :tenant)
     ORDER BY c.id""",
)
_ADD: Final = Query(
    None,
    """INSERT INTO credential (id, tenant, holder, kind, method, digest, label, created_at, expires_at)
       VALUES (:id, :tenant, :holder, :kind, :method, :digest, :label, :now, :expires_at)""",
)
_END: Final = Query(
    None, "UPDATE credential SET ended_at = :now WHERE id = :id AND tenant = :tenant AND holder = :holder AND ended_at IS NULL"
)


async def live(store: Store | Tx, tenant: int, holder: int) -> list[CredentialRow]:
    """Return the live secrets of a client or an API, oldest first; expired ones are among them."""
    return await store.all(LIVE, tenant=tenant, holder=holder)


async def add(
    deed: Deed, kind: HolderKind, holder: int, name: str, *, method: Method, digest: str, label: str = "", expires_at: int | None = None
) -> int:
    """Keep the digest of one more secret of a client or an API and return its id."""
    number = deed.at.id()
    await deed.tx.do(
        _ADD,
        id=number,
        tenant=deed.tenant,
        holder=holder,
        kind=kind,
        method=method,
        digest=digest,
        label=label,
        now=deed.at.now,
        expires_at=expires_at,
    )
    await deed.note(Act.SECRET_ADDED, name, holder=kind, method=method, secret_id=ids.show(ids.SECRET, number))
    await deed.announce(CLIENT_KIND if kind == "client" else API_KIND, holder)
    return number


async def end(deed: Deed, kind: HolderKind, holder: int, name: str, number: int) -> bool:
    """End a secret; tell whether it was live until now."""
    if not await deed.tx.do(_END, id=number, tenant=deed.tenant, holder=holder, now=deed.at.now):
        return False
    await deed.note(Act.SECRET_ENDED, name, holder=kind, secret_id=ids.show(ids.SECRET, number))
    await deed.announce(CLIENT_KIND if kind == "client" else API_KIND, holder)
    return True
