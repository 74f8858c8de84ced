"""Many grants at once: counted, ended together, and narrowed in bounded parts, each with its entry in the audit log.

A grant is never half done, and what was interrupted is taken up by doing it again: what is done already fits no longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act, Actor, record
from gatewright.base import ids
from gatewright.ledger import dying, grants, narrowing
from gatewright.ledger.listing import WALK
from gatewright.ledger.target import BATCH, MEANT, NEXT, Target, Way
from gatewright.store import Query
from gatewright.webhooks.outbox import record_mass
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import EndedBecause
    from gatewright.store import Store, Tx

PAGE: Final = 5000
MOST: Final = 100_000  # grants that are looked at for a count; beyond it is said "at least"
OPERATOR: Final = "operator"

# What a back-end client was given is what its admin allows it: narrowed, it would be made up for at its next request.
_NARROW: Final[Mapping[Way, Query[int]]] = {
    way: Query(
        int,
        f"""UPDATE consent_grant
               SET granted = trim(replace(' ' || granted || ' ', :padded, ' ')), changed_at = :now
             WHERE {meant} AND id > :after AND id <= :upto AND source <> '{OPERATOR}' AND ' ' || granted || ' ' LIKE '%' || :padded || '%'
         RETURNING id""",  # noqa: S608 - our own words
    )
    for way, meant in MEANT.items()
    if way != "tenant"
}
_END_EMPTY: Final[Mapping[Way, Query[int]]] = {
    way: Query(
        int,
        f"""UPDATE consent_grant SET ended_at = :now, ended_because = 'by_admin'
             WHERE {meant} AND id > :after AND id <= :upto AND source <> '{OPERATOR}' AND granted = '' RETURNING id""",  # noqa: S608 - our own words
    )
    for way, meant in MEANT.items()
    if way != "tenant"
}


class _Parties(Struct, frozen=True):
    person: int
    account: int
    client: int


_PARTIES: Final = Query(_Parties, "SELECT person, account, client FROM consent_grant WHERE id = :id AND tenant = :tenant")


class Survey(Struct, frozen=True):
    """Whom an act on grants would hit. `more` says that there are at least so many; `kept` are those of back-end clients, which cannot
    be narrowed.
    """

    grants: int = 0
    users: int = 0
    clients: int = 0
    kept: int = 0
    more: bool = False


class Narrowed(Struct, frozen=True):
    """What a narrowing did: how many grants lost something, and how many of them ended because nothing was left."""

    grants: int = 0
    ended: int = 0


async def survey(store: Store | Tx, target: Target, *, losing: frozenset[int] = frozenset(), most: int = MOST) -> Survey:
    """Return whom an act would hit; with `losing` only those that hold one of these scopes. Nothing is changed."""
    held = kept = looked = after = 0
    users: set[int] = set()
    clients: set[int] = set()
    whole = False
    while looked < most and not whole:
        asked = min(PAGE, most - looked)
        page = await store.all(WALK[target.way], **target.args, after=after, count=asked)
        for grant in page:
            if losing and losing.isdisjoint(grant.scopes):
                continue
            if losing and grant.source == OPERATOR:
                kept += 1
                continue
            held += 1
            clients.add(grant.client)
            users.update([grant.person] if grant.person else [])
        looked, whole = looked + len(page), len(page) < asked
        after = page[-1].id if page else after
    more = not whole and bool(await store.all(WALK[target.way], **target.args, after=after, count=1))
    return Survey(held, len(users), len(clients), kept, more)


def _named(target: Target) -> None:
    """See that somebody is named; everybody is never meant by leaving something out."""
    if target.way == "tenant":
        raise ValueError("whose grants are meant is not said")


async def end_grants(store: Store, at: Moment, target: Target, *, because: EndedBecause, actor: Actor) -> int:
    """End every grant that is meant, and with it everything under it, all or none; return how many there were. Their clients are told.

    Raises:
        ValueError: nobody is named, which would be everybody.
    """
    _named(target)
    if target.grant:
        if not await store.all(WALK[target.way], **target.args, after=0, count=1):
            return 0
        return int(await store.run(grants.end, at, tenant=target.tenant, number=target.grant, because=because, actor=actor))
    parties = {"client": target.client, "person": target.person, "account": target.account}
    return await store.run(grants.end_matching, at, tenant=target.tenant, because=because, actor=actor, **parties)


async def narrow_grants(store: Store, at: Moment, target: Target, scopes: frozenset[int], *, actor: Actor) -> Narrowed:
    """Take scopes from every grant that is meant. Tokens show it at their next introspection and refresh, a JWT where its API's guard
    follows the feed.

    Raises:
        ValueError: nobody is named, which would be everybody.
    """
    _named(target)
    done, after = Narrowed(), 0
    while True:
        part, upto = await store.run(_narrow_part, at, target, scopes, after, actor)
        done = Narrowed(done.grants + part.grants, done.ended + part.ended)
        if not upto:
            return done
        after = upto


async def narrow_at_once(tx: Tx, at: Moment, target: Target, scopes: frozenset[int], *, actor: Actor) -> Narrowed:
    """Do the same in one transaction, for who must know that it was done whole. A unit of work.

    Raises:
        ValueError: nobody is named, which would be everybody.
    """
    _named(target)
    done, after = Narrowed(), 0
    while True:
        part, upto = await _narrow_part(tx, at, target, scopes, after, actor)
        done = Narrowed(done.grants + part.grants, done.ended + part.ended)
        if not upto:
            return done
        after = upto


async def _narrow_part(tx: Tx, at: Moment, target: Target, scopes: frozenset[int], after: int, actor: Actor) -> tuple[Narrowed, int]:
    upto = await tx.one(NEXT[target.way], **target.args, after=after, count=BATCH) or 0
    if not upto:
        return Narrowed(), 0
    part = {"after": after, "upto": upto, "now": at.now}
    hit: set[int] = set()
    for scope in sorted(scopes):
        hit.update(await tx.all(_NARROW[target.way], **target.args, **part, padded=f" {scope} "))
    if not hit:
        return Narrowed(), upto
    ended = await tx.all(_END_EMPTY[target.way], **target.args, **part)
    shown = [ids.show(ids.SCOPE, scope) for scope in sorted(scopes)]
    await _note(tx, at, target, Act.GRANT_NARROWED, actor, sorted(hit), scopes=shown, ended=len(ended))
    await dying.of_grants(tx, at, target.tenant, ended)
    await narrowing.of_target(tx, at, target, scopes)
    await _tell(tx, at, target, narrowed=len(hit) > len(ended), ended=bool(ended))
    return Narrowed(len(hit), len(ended)), upto


async def _tell(tx: Tx, at: Moment, target: Target, *, narrowed: bool, ended: bool) -> None:
    """Have the clients told, however many grants it were."""
    one = await tx.one(_PARTIES, id=target.grant, tenant=target.tenant) if target.grant else None
    of = one or _Parties(target.person, target.account, target.client)
    told = [(EventType.GRANT_UPDATED, "")] if narrowed else []
    told += [(EventType.GRANT_REVOKED, "by_admin")] if ended else []
    for kind, because in told:
        await record_mass(tx, at, tenant=target.tenant, type=kind, because=because, person=of.person, account=of.account, client=of.client)


async def _note(tx: Tx, at: Moment, target: Target, act: Act, actor: Actor, done: list[int], **detail: object) -> None:
    """Write one entry for a part: what was meant, how many grants, and the first and the last of them."""
    named = {
        "user": ids.show(ids.USER, target.person) if target.person else "",
        "client": ids.show(ids.CLIENT, target.client) if target.client else "",
        "account": ids.show(ids.ACCOUNT, target.account) if target.account else "",
    }
    first, last = ids.show(ids.GRANT, done[0]), ids.show(ids.GRANT, done[-1])
    subject = next((shown for shown in named.values() if shown), first)
    told = {name: shown for name, shown in named.items() if shown} | {"grants": len(done), "first": first, "last": last}
    await record(tx, at, tenant=target.tenant, actor=actor, act=act, subject=subject, detail=told | detail)
