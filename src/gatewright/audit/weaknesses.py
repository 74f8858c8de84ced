"""Uses of what weakens security: each in the audit log, and one row for each weakness, client and user that says who still needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act, record
from gatewright.base import ids
from gatewright.oauth.showing import OUT_OF_BAND, PASSWORD_GRANT
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.store import Store, Tx


class Use(Struct, frozen=True, kw_only=True):
    """One use: by which client, for which user in which account (0 for none), what came of it (a shown id), from which network."""

    weakness: str
    tenant: int
    client: int
    person: int = 0
    account: int = 0
    subject: str
    network: str


class WeaknessUse(Struct, frozen=True):
    """Who used a weakness, first and last; `person` is 0 where no user stands behind it."""

    name: str
    weakness: str
    client: int
    person: int
    first_at: int
    last_at: int
    total: int

    @property
    def place(self) -> str:
        """Where the list goes on behind this one."""
        return f"{self.last_at} {self.name}"


_DIGITS: Final = 19
_COUNT: Final = Query(
    None,
    """INSERT INTO weakness_use (name, tenant, weakness, client, person, first_at, last_at, total)
       VALUES (:name, :tenant, :weakness, :client, :person, :now, :now, 1)
           ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at, total = weakness_use.total + 1""",
)
LIST: Final = Query(
    WeaknessUse,
    """SELECT name, weakness, client, person, first_at, last_at, total FROM weakness_use
        WHERE tenant = :tenant AND (:weakness = '' OR weakness = :weakness)
          AND (last_at < :before_at OR (last_at = :before_at AND name > :after))
     ORDER BY last_at DESC, name LIMIT :count""",
)
LATEST: Final = (1 << 63) - 1
KINDS: Final = (PASSWORD_GRANT, OUT_OF_BAND)
"""The weaknesses whose uses are written down."""


async def used(tx: Tx, at: Moment, use: Use) -> None:
    """Write down one use. A part of the unit in which it happens."""
    tenant, weakness, client, person = use.tenant, use.weakness, use.client, use.person
    detail = {
        "weakness": weakness,
        "user": ids.show(ids.USER, person) if person else "",
        "account": ids.show(ids.ACCOUNT, use.account) if use.account else "",
        "network": use.network,
    }
    actor = ids.show(ids.CLIENT, client)
    await record(tx, at, tenant=tenant, actor=actor, act=Act.WEAKNESS_USED, subject=use.subject, detail=detail)
    name = f"{tenant}/{weakness}/{client}/{person}"
    await tx.do(_COUNT, name=name, tenant=tenant, weakness=weakness, client=client, person=person, now=at.now)


async def uses(store: Store | Tx, tenant: int, weakness: str = "", *, after: str = "", count: int = 100) -> list[WeaknessUse]:
    """Return who uses a weakness (any, where none is named), the latest use first; go on behind a row's `place`."""
    moment, _, name = after.partition(" ")
    before = int(moment) if moment.isdecimal() and len(moment) < _DIGITS else LATEST
    return await store.all(LIST, tenant=tenant, weakness=weakness, before_at=before, after=name, count=count)
