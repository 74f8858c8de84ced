"""The stored digests of what a tenant's clients and APIs prove themselves with. Two may be live, so that one can be replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from gatewright.audit.book import Act
from gatewright.audit.deed import API_KIND, CLIENT_KIND, Deed, Refused
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.store import Query
from gatewright.webhooks.outbox import record_event
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

HolderKind = Literal["client", "api"]
Method = Literal["sha256", "argon2id"]
Because = Literal["ended", "replaced", "leaked"]

MOST_LIVE: Final = 2  # one in use and its successor; more are secrets that nobody remembers
LONGEST_LABEL: Final = 100


class CredentialRow(Struct, frozen=True):
    """A secret as stored that nobody ended; `wrapped` is its encrypted text, where it can be read again."""

    id: int
    holder: int
    kind: str
    method: str
    digest: str
    label: str
    created_at: int
    expires_at: int | None
    made_by: str
    used_at: int | None
    used_from: str | None
    wrapped: str | None


_READ: Final = (
    "SELECT id, holder, kind, method, digest, label, created_at, expires_at, made_by, used_at, used_from, wrapped FROM credential"
)
LIVE: Final = Query(
    CredentialRow,
    f"""{_READ}
        WHERE holder = :holder AND tenant = :tenant AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > :now) ORDER BY id""",
)
NOT_ENDED: Final = Query(CredentialRow, f"{_READ} WHERE holder = :holder AND tenant = :tenant AND ended_at IS NULL ORDER BY id")
OF_TENANT: Final = Query(
    CredentialRow,
    """SELECT c.id, c.holder, c.kind, c.method, c.digest, c.label, c.created_at, c.expires_at, c.made_by, c.used_at, c.used_from, c.wrapped
         FROM credential c
        WHERE c.ended_at IS NULL AND c.tenant = :tenant
          AND c.holder IN (SELECT k.id FROM client k WHERE k.tenant = :tenant UNION ALL SELECT a.id FROM api a WHERE a.tenant = :tenant)
     ORDER BY c.id""",
)
_ADD: Final = Query(
    None,
    """INSERT INTO credential (id, tenant, holder, kind, method, digest, label, created_at, expires_at, made_by, wrapped)
       VALUES (:id, :tenant, :holder, :kind, :method, :digest, :label, :now, :expires_at, :made_by, :wrapped)""",
)
# What is over is not kept where it could be read.
_END: Final = Query(
    None,
    """UPDATE credential SET ended_at = :now, ended_because = :because, wrapped = NULL
        WHERE id = :id AND tenant = :tenant AND holder = :holder AND ended_at IS NULL""",
)
_SHORTEN: Final = Query(
    None,
    """UPDATE credential SET expires_at = :until
        WHERE id = :id AND tenant = :tenant AND holder = :holder AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > :until)""",
)
_FORGET_TEXTS: Final = Query(
    None, "UPDATE credential SET wrapped = NULL WHERE holder = :holder AND tenant = :tenant AND wrapped IS NOT NULL"
)


class NewCredential(Struct, frozen=True, kw_only=True):
    """What is to be kept of one more secret. `number` is its id where that was needed to wrap it."""

    method: Method
    digest: str
    label: str = ""
    expires_at: int | None = None
    number: int | None = None
    wrapped: str | None = None


async def live(store: Store | Tx, tenant: int, holder: int, now: int) -> list[CredentialRow]:
    """Return the secrets of a client or an API that are good at this moment, oldest first."""
    return await store.all(LIVE, tenant=tenant, holder=holder, now=now)


async def not_ended(store: Store | Tx, tenant: int, holder: int) -> list[CredentialRow]:
    """Return the secrets that nobody ended, oldest first: those that ran out are among them, so whoever asks looks at the time."""
    return await store.all(NOT_ENDED, tenant=tenant, holder=holder)


async def add(deed: Deed, kind: HolderKind, holder: int, name: str, new: NewCredential) -> int:
    """Keep the digest of one more secret of a client or an API and return its id.

    Raises:
        Refused: two are live already.
    """
    present = await live(deed.tx, deed.tenant, holder, deed.at.now)
    if len(present) >= MOST_LIVE:
        raise Refused(crowded(name, present))
    number = deed.at.id() if new.number is None else new.number
    await deed.tx.do(
        _ADD,
        id=number,
        tenant=deed.tenant,
        holder=holder,
        kind=kind,
        method=new.method,
        digest=new.digest,
        label=new.label,
        now=deed.at.now,
        expires_at=new.expires_at,
        made_by=deed.who,
        wrapped=new.wrapped,
    )
    await deed.note(
        Act.SECRET_ADDED,
        name,
        holder=kind,
        method=new.method,
        secret_id=ids.show(ids.SECRET, number),
        label=new.label,
        expires_at=new.expires_at,
        readable=new.wrapped is not None,
    )
    await _tell(deed, kind, holder, EventType.SECRET_ADDED, number)
    await _announce(deed, kind, holder)
    return number


async def give_way(deed: Deed, kind: HolderKind, holder: int, name: str, until: int | None) -> None:
    """Have the live secrets of a client or an API end, now or at `until`, since another one is made in their place.

    Raises:
        Refused: the date is past, or with an overlap two are live already.
    """
    if until is not None and until <= deed.at.now:
        raise Refused(f"the old secret cannot go on until {stamp(until)}, which is past: name a later date, or let it end now")
    present = await live(deed.tx, deed.tenant, holder, deed.at.now)
    if until is not None and len(present) >= MOST_LIVE:
        raise Refused(f"{crowded(name, present)}, or let both end now")
    for row in present:
        if until is None:
            await end(deed, kind, holder, name, row.id, "replaced")
        else:
            await end_at(deed, kind, holder, name, row.id, until)


async def end(deed: Deed, kind: HolderKind, holder: int, name: str, number: int, because: Because = "ended") -> bool:
    """End a secret; tell whether nobody had ended it until now."""
    if not await deed.tx.do(_END, id=number, tenant=deed.tenant, holder=holder, now=deed.at.now, because=because):
        return False
    act = Act.SECRET_LEAKED if because == "leaked" else Act.SECRET_ENDED
    await deed.note(act, name, holder=kind, secret_id=ids.show(ids.SECRET, number), because=because)
    await _tell(deed, kind, holder, EventType.SECRET_ENDED, number)
    await _announce(deed, kind, holder)
    return True


async def end_at(deed: Deed, kind: HolderKind, holder: int, name: str, number: int, until: int) -> bool:
    """Have a secret end at a date, or earlier where it was to end earlier; tell whether that changed anything."""
    if not await deed.tx.do(_SHORTEN, id=number, tenant=deed.tenant, holder=holder, until=until):
        return False
    await deed.note(Act.SECRET_EXPIRY_SET, name, holder=kind, secret_id=ids.show(ids.SECRET, number), expires_at=until)
    await _announce(deed, kind, holder)
    return True


async def forget_texts(deed: Deed, holder: int) -> int:
    """Delete the texts of a client's secrets, which are good as before but can be read no more; return how many there were."""
    return await deed.tx.do(_FORGET_TEXTS, holder=holder, tenant=deed.tenant)


def crowded(name: str, present: Sequence[CredentialRow]) -> str:
    """Return the sentence that refuses a third secret and names the two."""
    return f"{name} has two live secrets already: {' and '.join(map(told, present))}; end one of them first"


def told(row: CredentialRow) -> str:
    """Return what tells one secret from another in a sentence."""
    label = f'"{row.label}", ' if row.label else ""
    used = "never used" if row.used_at is None else f"last used {stamp(row.used_at)}"
    return f"{ids.show(ids.SECRET, row.id)} ({label}made {stamp(row.created_at)}, {used})"


def check_wish(label: str, expires_at: int | None, now: int) -> None:
    """See that a secret can be called so and end then.

    Raises:
        Refused: it cannot.
    """
    sentence = label_fault(label)
    if sentence is not None:
        raise Refused(sentence)
    if expires_at is not None and expires_at <= now:
        raise Refused(f"a secret that ends at {stamp(expires_at)} would be over before it begins: name a later date")


def label_fault(label: str) -> str | None:
    """Return why a secret cannot be labelled so, or None."""
    if len(label) > LONGEST_LABEL:
        return f"a label has at most {LONGEST_LABEL} characters"
    return None if label.isprintable() else "a label is one line of text"


async def _announce(deed: Deed, kind: HolderKind, holder: int) -> None:
    await deed.announce(CLIENT_KIND if kind == "client" else API_KIND, holder)


async def _tell(deed: Deed, kind: HolderKind, holder: int, type: EventType, number: int) -> None:
    if kind == "client":
        data = {"secret_id": ids.show(ids.SECRET, number)}
        await record_event(deed.tx, deed.at, tenant=deed.tenant, client=holder, type=type, data=data)
