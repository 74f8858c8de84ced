"""The statements that the conformance suite runs on each engine."""

from __future__ import annotations

from msgspec import Struct

from gatewright.store import Query, Tx


class Thing(Struct, frozen=True):
    id: int
    name: str | None
    n: int
    taken_by: str | None = None


READ = Query(Thing, "SELECT a.id, a.name, a.n, a.taken_by FROM {each} thing AS a WHERE a.id = :id", each={"id": int})
ALONE = Query(Thing, "SELECT id, name, n, taken_by FROM thing WHERE id = :id")
LIST = Query(Thing, "SELECT id, name, n, taken_by FROM thing ORDER BY id")
COUNT = Query(int, "SELECT count(*) FROM thing")
NAME = Query(str, "SELECT name FROM thing WHERE id = :id")
ADD = Query(
    int, "INSERT INTO thing (id, name, n) SELECT :id, :name, :n {each} WHERE true RETURNING id", each={"id": int, "name": str, "n": int}
)
ADD_ALONE = Query(None, "INSERT INTO thing (id, name, n) VALUES (:id, :name, :n)")
SET = Query(None, "UPDATE thing SET n = :n WHERE id = :id")
SET_EACH = Query(None, "UPDATE thing AS a SET n = :n {each} WHERE a.id = :id", each={"id": int, "n": int})
BUMP = Query(int, "UPDATE thing SET n = n + 1 WHERE id = :id RETURNING n")
RAISE_ALL = Query(None, "UPDATE thing SET n = n + 1")
TAKE = Query(
    Thing,
    """UPDATE thing AS a SET taken_by = :attempt, taken_at = :now {each}
        WHERE a.id = :id AND (a.taken_by IS NULL OR a.taken_by = :attempt)
    RETURNING a.id, a.name, a.n, a.taken_by""",
    each={"id": int, "attempt": str, "now": int},
)
TAKE_ALONE = Query(
    Thing,
    """UPDATE thing SET taken_by = :attempt, taken_at = :now WHERE id = :id AND (taken_by IS NULL OR taken_by = :attempt)
    RETURNING id, name, n, taken_by""",
)
DROP = Query(int, "DELETE FROM thing AS a {each} WHERE a.id = :id RETURNING a.id", each={"id": int})
ONCE = Query(
    Thing,
    """INSERT INTO once (tenant, name, attempt, n) SELECT :tenant, :name, :attempt, 1 {each} WHERE true
    ON CONFLICT (tenant, name) DO UPDATE SET n = once.n + 1
    RETURNING tenant, name, n, attempt""",
    each={"tenant": int, "name": str, "attempt": str},
    key=("tenant", "name"),
)
ORPHAN = Query(None, "INSERT INTO child (id, thing) VALUES (:id, :thing)")


async def add(tx: Tx, first: int, count: int = 1) -> int:
    """Adds things in a row."""
    for number in range(first, first + count):
        await tx.do(ADD_ALONE, id=number, name=f"thing {number}", n=0)
    return count


async def move(tx: Tx, one: int, other: int, amount: int) -> None:
    """Moves an amount from one thing to another, whole or not at all."""
    source, target = await tx.one(ALONE, id=one), await tx.one(ALONE, id=other)
    assert source is not None
    assert target is not None
    await tx.do(SET, id=one, n=source.n - amount)
    await tx.do(SET, id=other, n=target.n + amount)
