"""Writing endings, in the transaction that ends; and giving numbers to those that are committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gatewright.base.moment import Moment
from gatewright.endings.records import ENCODE, KEPT, MARGIN, Ended, Ending, Narrowing
from gatewright.store.errors import StoreError
from gatewright.store.following import Then
from gatewright.store.query import Query, Value

if TYPE_CHECKING:
    from gatewright.base.moment import Clock
    from gatewright.store.port import Store, Tx

LISTED: Final = 500  # authorizations in one row
NUMBERED: Final = 1000  # rows that get their numbers in one transaction
PAGE: Final = 500

_COLUMNS: Final = "id, tenant, at, until, authorizations, jti, api, client, person, account, upto, scopes, resources, lost"
ADD: Final = Query(
    None,
    f"""INSERT INTO ending ({_COLUMNS})
       SELECT :id, :tenant, :at, :until, :authorizations, :jti, :api, :client, :person, :account, 0, :scopes, :resources, :lost
         {{each}} WHERE true""",
    each={
        "id": int, "tenant": int, "at": int, "until": int, "authorizations": str, "jti": str, "api": int, "client": int,
        "person": int, "account": int, "scopes": str, "resources": str, "lost": str,
    },
)  # fmt: skip
# Whatever the clock of the node that opened it says: no authorization that there is by now is younger than the youngest.
ADD_PARTIES: Final = Query(
    None,
    f"""INSERT INTO ending ({_COLUMNS})
       SELECT CAST(:id AS BIGINT), CAST(:tenant AS BIGINT), CAST(:at AS BIGINT), CAST(:until AS BIGINT), '', '', 0,
              CAST(:client AS BIGINT), CAST(:person AS BIGINT), CAST(:account AS BIGINT),
              COALESCE((SELECT MAX(a.id) FROM authorization_row AS a WHERE a.id > :id), CAST(:id AS BIGINT)), '', '', ''""",  # noqa: S608 - our own columns
)
# Whether everything of these parties ended that is as old as an id: what is opened under it now is over for whoever heard of that.
OUTLIVED: Final = Query(
    int,
    """SELECT 1 FROM ending AS e
        WHERE e.id > :number AND e.tenant = :tenant AND e.upto >= :number
          AND e.client IN (0, :client) AND e.person IN (0, :person) AND e.account IN (0, :account) LIMIT 1""",
)

WAITING: Final = Query(int, "SELECT id FROM ending WHERE seq IS NULL AND id > 0 LIMIT 1")
HEAD: Final = Query(int, "SELECT e.head FROM {each} ending_head AS e WHERE e.id = :id", each={"id": int})
_LOCK: Final = Query(int, "UPDATE ending_head SET head = head WHERE id = 1 RETURNING head")
_NUMBER: Final = Query(
    None,
    f"""UPDATE ending SET seq = CAST(:head AS BIGINT) + n.nth, numbered_at = :now
         FROM (SELECT w.id AS waiting, row_number() OVER (ORDER BY w.id) AS nth FROM ending AS w
                WHERE w.seq IS NULL AND w.id > 0 ORDER BY w.id LIMIT {NUMBERED}) AS n
        WHERE ending.id = n.waiting""",  # noqa: S608 - our own number
)
_MOVE: Final = Query(None, "UPDATE ending_head SET head = :head WHERE id = 1")

_READ: Final = f"SELECT seq, {_COLUMNS}, numbered_at FROM ending"  # noqa: S608 - our own columns
AFTER: Final = Query(Ended, f"{_READ} WHERE seq > :seq ORDER BY seq LIMIT {PAGE}")
OF_TENANT: Final = Query(Ended, f"{_READ} WHERE tenant = :tenant AND seq > :seq ORDER BY seq LIMIT {PAGE}")
SEQ_OF: Final = Query(int, "SELECT seq FROM ending WHERE id = :id AND tenant = :tenant AND seq IS NOT NULL")


async def ended(tx: Tx, at: Moment, ending: Ending) -> None:
    """Have the feeds tell of an ending if this transaction is committed. A part of a unit of work."""
    for row in _parts(ending):
        await tx.do(ADD, **_row(at, row))
    if not ending.authorizations and not ending.jti:
        args: dict[str, Value] = {"id": at.id(), "tenant": ending.tenant, "at": at.now, "until": at.now + KEPT}
        await tx.do(ADD_PARTIES, **args, client=ending.client, person=ending.person, account=ending.account)
    await tx.wake()


async def all_ended(tx: Tx, at: Moment, tenant: int, authorizations: Sequence[int]) -> None:
    """Have the feeds tell of authorizations that ended together, if any did. A part of a unit of work."""
    if authorizations:
        await ended(tx, at, Ending(tenant=tenant, authorizations=tuple(authorizations)))


async def narrowed(tx: Tx, at: Moment, narrowing: Narrowing) -> None:
    """Have the feeds tell of what became less and goes on, if this transaction is committed. A part of a unit of work."""
    members = narrowing.authorizations
    chunks = [members[start : start + LISTED] for start in range(0, len(members), LISTED)] or [()]
    for chunk in chunks:
        of = Ending(
            tenant=narrowing.tenant,
            authorizations=chunk,
            until=at.now + MARGIN + KEPT,
            api=narrowing.api,
            client=narrowing.client,
            person=narrowing.person,
            account=narrowing.account,
        )
        await tx.do(ADD, **(_row(at, of) | {"lost": ENCODE(narrowing.lost).decode()}))
    await tx.wake()


def beside(at: Moment, ending: Ending) -> Then:
    """Return the row of one authorization or token that ends, to be written beside the verb that ends it."""
    return Then(ADD, _row(at, ending))


async def number(store: Store, clock: Clock) -> None:
    """Give numbers to what is committed and has none yet; any number of processes may."""
    while await store.run(_number, clock) == NUMBERED:
        pass


async def _number(tx: Tx, clock: Clock) -> int:
    # Whoever waited for this lock sees what was numbered meanwhile: each statement reads what is committed when it begins.
    head = await tx.one(_LOCK)
    if head is None:
        raise StoreError("endings have no head: the database was not set up by `gatewright migrate`")
    # Not before: what was committed while this waited for the lock gets its number now.
    count = await tx.do(_NUMBER, head=head, now=clock.moment().now)
    if count:
        await tx.do(_MOVE, head=head + count)
        await tx.wake()
    return count


def _parts(ending: Ending) -> list[Ending]:
    if ending.jti:
        return [ending]
    members = ending.authorizations
    chunks = [members[start : start + LISTED] for start in range(0, len(members), LISTED)]
    return [
        Ending(tenant=ending.tenant, authorizations=chunk, client=ending.client, person=ending.person, account=ending.account)
        if len(members) > 1
        else ending
        for chunk in chunks
    ]


def _row(at: Moment, ending: Ending) -> dict[str, Value]:
    return {
        "id": at.id(),
        "tenant": ending.tenant,
        "at": at.now,
        "until": ending.until or at.now + KEPT,
        "authorizations": " ".join([str(number) for number in ending.authorizations]),
        "jti": ending.jti,
        "api": ending.api,
        "client": ending.client,
        "person": ending.person,
        "account": ending.account,
        "scopes": ending.scopes,
        "resources": ending.resources,
        "lost": "",
    }
