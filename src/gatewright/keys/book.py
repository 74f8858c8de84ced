"""The SQL of signing keys: which there are, and how one follows another. One winner, however many nodes want the same."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gatewright.audit.book import Act, Actor, record
from gatewright.base.digest import same
from gatewright.base.moment import Moment
from gatewright.endings.book import narrowed
from gatewright.endings.records import Lost, Narrowing
from gatewright.keys.root import KeyFault, RootKey
from gatewright.keys.signing import MadeKey
from gatewright.store import Query, Store, Tx
from gatewright.store.changes import announce

KEYS_KIND: Final = "keys"  # under which our changes are announced


class KeyRow(Struct, frozen=True):
    """A signing key of a tenant: the newest of an algorithm has no `signs_until`, one that was followed has both ends."""

    id: int
    tenant: int
    alg: str
    kid: str
    public_jwk: str
    wrapped: str
    made_at: int
    signs_from: int
    signs_until: int | None
    published_until: int | None


class NewKey(Struct, frozen=True, kw_only=True):
    """A key about to be remembered: when it begins to sign, which one it follows (0: none) and until when that one is published."""

    tenant: int
    made: MadeKey
    wrapped: str
    signs_from: int
    follows: int = 0
    published_until: int = 0
    actor: Actor = ""


_COLUMNS: Final = "id, tenant, alg, kid, public_jwk, wrapped, made_at, signs_from, signs_until, published_until"

OF_TENANT: Final = Query(
    KeyRow,
    f"SELECT {_COLUMNS} FROM signing_key WHERE tenant = :tenant ORDER BY signs_from DESC, id DESC",  # noqa: S608 - our own words
)
NEWEST: Final = Query(int, "SELECT id FROM signing_key WHERE tenant = :tenant AND alg = :alg AND signs_until IS NULL")
KNOWN: Final = Query(int, "SELECT id FROM signing_key WHERE tenant = :tenant AND kid = :kid")
DUE: Final = Query(
    KeyRow,
    f"""SELECT {_COLUMNS} FROM signing_key WHERE signs_until IS NULL AND signs_from <= :before
     ORDER BY signs_from, id LIMIT :count""",  # noqa: S608 - our own words
)
ADD: Final = Query(
    None,
    """INSERT INTO signing_key (id, tenant, alg, kid, public_jwk, wrapped, made_at, signs_from, signs_until, published_until)
       VALUES (:id, :tenant, :alg, :kid, :public_jwk, :wrapped, :made_at, :signs_from, NULL, NULL)""",
)
FOLLOWED: Final = Query(
    None,
    "UPDATE signing_key SET signs_until = :signs_until, published_until = :published_until WHERE id = :id AND signs_until IS NULL",
)
DROP: Final = Query(str, "DELETE FROM signing_key WHERE tenant = :tenant AND kid = :kid RETURNING alg")
OLD: Final = Query(int, "SELECT id FROM signing_key WHERE published_until <= :before LIMIT 1")
DROP_OLD: Final = Query(None, "DELETE FROM signing_key WHERE published_until <= :before")

FINGERPRINT: Final = Query(str, "SELECT value FROM deployment WHERE name = 'root_key'")
KEEP_FINGERPRINT: Final = Query(
    str,
    """INSERT INTO deployment (name, value, until) VALUES ('root_key', :value, 0)
           ON CONFLICT (name) DO UPDATE SET value = deployment.value
    RETURNING value""",
)


async def belongs(store: Store, root: RootKey) -> None:
    """Tell a store and its root key from strangers: the first key that a store meets is its key.

    Raises:
        KeyFault: the store was made with another one.
    """
    kept = await store.one(FINGERPRINT)
    if kept is None:
        kept = await store.verb(KEEP_FINGERPRINT, value=root.fingerprint)
    if kept is None or not same(kept, root.fingerprint):
        raise KeyFault(
            "this store was made with another root key: start with the key file that belongs to it; "
            "without that key its signing keys are lost and every token and refresh token out is void"
        )


async def add(tx: Tx, at: Moment, new: NewKey) -> bool:
    """Remember a key if nobody else made one in the same place; tell whether it was remembered. A unit of work."""
    # Announced first: whoever announces waits for the lock of the feed, so what is read next is still true when it is written.
    await announce(tx, tenant=new.tenant, kind=KEYS_KIND, subject=0, at=at.now)
    made = new.made
    if (await tx.one(NEWEST, tenant=new.tenant, alg=made.alg) or 0) != new.follows:
        return False
    if new.follows:
        await tx.do(FOLLOWED, id=new.follows, signs_until=new.signs_from, published_until=new.published_until)
    await tx.do(
        ADD,
        id=at.id(),
        tenant=new.tenant,
        alg=made.alg,
        kid=made.kid,
        public_jwk=made.public_jwk,
        wrapped=new.wrapped,
        made_at=at.now,
        signs_from=new.signs_from,
    )
    act = Act.KEY_ROTATED if new.follows else Act.KEY_MADE
    detail = {"alg": made.alg, "signs_from": new.signs_from}
    await record(tx, at, tenant=new.tenant, actor=new.actor, act=act, subject=made.kid, detail=detail)
    return True


async def add_all(tx: Tx, at: Moment, several: list[NewKey]) -> tuple[bool, ...]:
    """Remember several keys in one unit of work, so that nobody sees one without the others; tell which of them were remembered."""
    return tuple([await add(tx, at, new) for new in several])


async def drop(tx: Tx, at: Moment, tenant: int, kid: str, actor: Actor) -> bool:
    """Forget a key, so that nothing it signed is believed any more; tell whether there was one. A unit of work."""
    await announce(tx, tenant=tenant, kind=KEYS_KIND, subject=0, at=at.now)
    alg = await tx.one(DROP, tenant=tenant, kid=kid)
    if alg is None:
        return False
    await narrowed(tx, at, Narrowing(tenant=tenant, lost=Lost(kid=kid)))
    await record(tx, at, tenant=tenant, actor=actor, act=Act.KEY_RETIRED, subject=kid, detail={"alg": alg})
    return True


async def drop_old(tx: Tx, before: int) -> int:
    """Forget keys of which no token can be shown any more; return how many. A unit of work. Nobody's cache needs to hear of it."""
    return await tx.do(DROP_OLD, before=before)
