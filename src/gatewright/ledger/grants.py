"""What was given to clients: one live row for each client, person and account. Ending it is one update, since every check joins it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec
from msgspec import Struct

from gatewright.audit.book import Act, Actor, record
from gatewright.base import ids
from gatewright.ledger import dying, narrowing, telling
from gatewright.ledger.standing import HELD, Held
from gatewright.ledger.target import BATCH, MEANT, NEXT, Target, Way
from gatewright.ledger.telling import Ended
from gatewright.oauth.catalogue import ids_of, text_of
from gatewright.store import Query, StoreBusy
from gatewright.webhooks.outbox import record_mass
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import EndedBecause
    from gatewright.oauth.visit import Consent
    from gatewright.store import Store, Tx

Source = Literal["user", "account_admin", "first_party", "operator"]


class Grant(Struct, frozen=True):
    """The live record of what a client was given; `person` and `account` are 0 where there is none.

    `acting` is the service user to whom it was handed over, 0 where its own giver acts.
    """

    id: int
    tenant: int
    client: int
    account: int
    person: int
    granted: str
    declined: str
    claims: str
    source: str
    made_at: int
    changed_at: int
    expires_at: int | None
    acting: int = 0

    @property
    def scopes(self) -> frozenset[int]:
        """The scopes that were given."""
        return ids_of(self.granted)

    @property
    def declined_scopes(self) -> frozenset[int]:
        """The scopes to which somebody said no; they are not asked for again."""
        return ids_of(self.declined)

    def over(self, now: int) -> bool:
        """Tell whether its end date has come."""
        return self.expires_at is not None and self.expires_at <= now

    def says_like(self, other: Grant) -> bool:
        """Tell whether it gives the same as another."""
        return (self.granted, self.declined, self.claims, self.expires_at) == (
            other.granted,
            other.declined,
            other.claims,
            other.expires_at,
        )


class Giving(Struct, frozen=True, kw_only=True):
    """One consent: who gives what to whom. `actor` is its author for the audit log.

    It is merged into what was given before: a scope is given or declined as it was last said. `exact` puts it in the place of all
    that was said before. `acting` is the service user to whom the grant was handed over, 0 where its own giver acts.
    Of a change its client is told, unless (not `told`) it is told of more than the grant.
    """

    tenant: int
    client: int
    source: Source
    actor: Actor
    person: int = 0
    account: int = 0
    acting: int = 0
    granted: frozenset[int] = frozenset()
    declined: frozenset[int] = frozenset()
    claims: str = ""
    expires_at: int | None = None
    exact: bool = False
    told: bool = True


def giving_of(consent: Consent) -> Giving:
    """Return what a user said yes and no to as it is remembered."""
    return Giving(
        tenant=consent.tenant,
        client=consent.client,
        source="user" if consent.asked else "account_admin" if consent.handed_out else "first_party",
        actor=ids.show(ids.USER, consent.person),
        person=consent.person,
        account=consent.account,
        granted=consent.granted,
        declined=consent.declined,
        exact=consent.exact,
    )


class HeldGrant(Struct, frozen=True, kw_only=True):
    """A live grant in the list of a person's apps."""

    id: int
    client: int
    client_id: str
    client_name: str
    account: int
    account_slug: str | None
    account_name: str | None
    scopes: frozenset[int]
    declined: frozenset[int]
    source: str
    made_at: int
    changed_at: int
    expires_at: int | None
    used_at: int | None


class _Named(Struct, frozen=True):
    client_name: str


_COLUMNS: Final = "id, tenant, client, account, person, granted, declined, claims, source, made_at, changed_at, expires_at, acting"
FIND: Final = Query(
    Grant,
    f"""SELECT {_COLUMNS} FROM consent_grant
         WHERE tenant = :tenant AND client = :client AND person = :person AND account = :account AND acting = :acting
           AND ended_at IS NULL""",  # noqa: S608 - the columns are ours
)
ADD: Final = Query(
    None,
    """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at,
                                  changed_at, expires_at)
       VALUES (:id, :tenant, :client, :account, :person, :acting, :granted, :declined, :claims, :source, :now, :now, :expires_at)
       ON CONFLICT DO NOTHING""",
)
# Guarded by what was read: of two consents at once neither is lost.
CHANGE: Final = Query(
    None,
    """UPDATE consent_grant
          SET granted = :granted, declined = :declined, claims = :claims, source = :source, changed_at = :now, expires_at = :expires_at
        WHERE id = :id AND ended_at IS NULL AND granted = :old_granted AND declined = :old_declined AND claims = :old_claims""",
)
HAND_OVER: Final = Query(
    None,
    """UPDATE consent_grant SET person = :acting, acting = :acting, source = 'account_admin', changed_at = :now
        WHERE id = :id AND tenant = :tenant AND ended_at IS NULL""",
)
OF_ID: Final = Query(
    Grant,
    f"SELECT {_COLUMNS} FROM consent_grant WHERE id = :id AND tenant = :tenant AND ended_at IS NULL",  # noqa: S608 - the columns are ours
)
# Also of one that has ended.
GRANTED: Final = Query(str, "SELECT granted FROM consent_grant WHERE id = :id AND tenant = :tenant")
END_ONE: Final = Query(
    Ended,
    """UPDATE consent_grant SET ended_at = :now, ended_because = :because
        WHERE id = :id AND tenant = :tenant AND ended_at IS NULL RETURNING id, client, person, account, source, acting""",
)
# A part of those that are meant: one statement for a million of them takes longer than PostgreSQL is let run one.
END_PART: Final[Mapping[Way, Query[None]]] = {
    way: Query(
        None,
        f"""UPDATE consent_grant SET ended_at = :now, ended_because = :because
             WHERE {meant} AND id > :after AND id <= :upto""",  # noqa: S608 - our own words
    )
    for way, meant in MEANT.items()
    if way in {"person", "client", "account"}
}

_read_name: Final = msgspec.json.Decoder(_Named).decode
_TRIES: Final = 20
_SILENT: Final = ("first_party", "operator")


async def give(tx: Tx, at: Moment, giving: Giving) -> Grant:
    """Make the grant, or merge this consent into the one there is, with its entry in the audit log. A unit of work."""
    for _ in range(_TRIES):
        place = {"person": giving.person, "account": giving.account, "acting": giving.acting}
        old = await tx.one(FIND, tenant=giving.tenant, client=giving.client, **place)
        if old is not None and old.over(at.now):
            # A grant that ran out is never revived: what was opened under it stays dead.
            await end(tx, at, tenant=old.tenant, number=old.id, because="expired", actor=giving.actor)
            old = None
        new = _merged(old, giving, at)
        if old is not None and giving.source in _SILENT and old.says_like(new):
            # Nobody was asked and nothing is new, so nothing happened.
            return old
        if await _written(tx, old, new, at):
            act = Act.GRANT_MADE if old is None else Act.GRANT_CHANGED
            await record(tx, at, tenant=new.tenant, actor=giving.actor, act=act, subject=ids.show(ids.GRANT, new.id), detail=_told(new))
            if old is not None:
                await _less(tx, at, old, new)
            if giving.told and old is not None and not old.says_like(new):
                await telling.changed(tx, at, new)
            return new
    raise StoreBusy("a grant was changed by others again and again")


async def _less(tx: Tx, at: Moment, old: Grant, new: Grant) -> None:
    """Tell APIs of what a grant gives no more, or gives for a shorter time than tokens know of."""
    if old.scopes - new.scopes:
        await narrowing.of_grant(tx, at, new.tenant, new.id, old.scopes - new.scopes)
    if new.expires_at is not None and (old.expires_at is None or new.expires_at < old.expires_at):
        await narrowing.of_ending_sooner(tx, at, new.tenant, new.id)


def _merged(old: Grant | None, giving: Giving, at: Moment) -> Grant:
    granted, declined = giving.granted, giving.declined - giving.granted
    claims = giving.claims
    if old is not None and not giving.exact:
        granted = (old.scopes - declined) | granted
        declined = (old.declined_scopes | declined) - granted
        claims = claims or old.claims
    return Grant(
        id=at.id() if old is None else old.id,
        tenant=giving.tenant,
        client=giving.client,
        account=giving.account,
        person=giving.person,
        granted=text_of(granted),
        declined=text_of(declined),
        claims=claims,
        source=giving.source,
        made_at=at.now if old is None else old.made_at,
        changed_at=at.now,
        expires_at=giving.expires_at,
        acting=giving.acting,
    )


async def _written(tx: Tx, old: Grant | None, new: Grant, at: Moment) -> bool:
    if old is None:
        return (
            await tx.do(
                ADD,
                id=new.id,
                tenant=new.tenant,
                client=new.client,
                account=new.account,
                person=new.person,
                acting=new.acting,
                granted=new.granted,
                declined=new.declined,
                claims=new.claims,
                source=new.source,
                now=at.now,
                expires_at=new.expires_at,
            )
            == 1
        )
    return (
        await tx.do(
            CHANGE,
            id=new.id,
            granted=new.granted,
            declined=new.declined,
            claims=new.claims,
            source=new.source,
            now=at.now,
            expires_at=new.expires_at,
            old_granted=old.granted,
            old_declined=old.declined,
            old_claims=old.claims,
        )
        == 1
    )


def _told(grant: Grant) -> dict[str, object]:
    return {
        "client": ids.show(ids.CLIENT, grant.client),
        "user": ids.show(ids.USER, grant.person) if grant.person else "",
        "account": ids.show(ids.ACCOUNT, grant.account) if grant.account else "",
        "granted": [ids.show(ids.SCOPE, number) for number in sorted(grant.scopes)],
        "declined": [ids.show(ids.SCOPE, number) for number in sorted(grant.declined_scopes)],
        "source": grant.source,
    }


async def end(tx: Tx, at: Moment, *, tenant: int, number: int, because: EndedBecause, actor: Actor, told: bool = True) -> bool:
    """End one grant and with it everything under it; the first cause wins. Tell whether it was live. A unit of work.

    Its client is told, unless (not `told`) it is told of more than the grant.
    """
    ended = await tx.one(END_ONE, id=number, tenant=tenant, now=at.now, because=because)
    if ended is None:
        return False
    detail = {
        "because": because,
        "client": ids.show(ids.CLIENT, ended.client),
        "user": ids.show(ids.USER, ended.person) if ended.person else "",
        "account": ids.show(ids.ACCOUNT, ended.account) if ended.account else "",
    }
    await record(tx, at, tenant=tenant, actor=actor, act=Act.GRANT_ENDED, subject=ids.show(ids.GRANT, number), detail=detail)
    await dying.of_grant(tx, at, tenant, ended)
    if told:
        await telling.ended(tx, at, tenant, ended, because)
    return True


async def _end_parts(tx: Tx, at: Moment, target: Target, because: EndedBecause) -> int:
    """End every live grant that is meant, a part a statement; return how many there were. A part of a unit of work."""
    count = after = 0
    while upto := await tx.one(NEXT[target.way], **target.args, after=after, count=BATCH):
        ended = await tx.do(END_PART[target.way], **target.args, after=after, upto=upto, now=at.now, because=because)
        count, after = count + ended, upto
        if ended < BATCH:
            break
    return count


async def end_matching(
    tx: Tx, at: Moment, *, tenant: int, client: int = 0, person: int = 0, account: int = 0, because: EndedBecause, actor: Actor
) -> int:
    """End every grant of these parties together, 0 standing for any; return how many were live. A unit of work.

    Raises:
        ValueError: nobody is named, which would be everybody.
    """
    if not (client or person or account):
        raise ValueError("whose grants are to end is not said")
    count = await _end_parts(tx, at, Target(tenant=tenant, client=client, person=person, account=account), because)
    if count:
        named = ((ids.CLIENT, client), (ids.USER, person), (ids.ACCOUNT, account))
        subjects = [ids.show(prefix, number) for prefix, number in named if number]
        detail = {"because": because, "grants": count, "of": subjects}
        await record(tx, at, tenant=tenant, actor=actor, act=Act.GRANT_ENDED, subject=subjects[0], detail=detail)
        parties = {"person": person, "account": account, "client": client}
        await dying.of_parties(tx, at, tenant, **parties)
        await record_mass(tx, at, tenant=tenant, type=EventType.GRANT_REVOKED, because=because, **parties)
    return count


async def narrow(tx: Tx, at: Moment, grant: Grant, scopes: frozenset[int], actor: Actor) -> Grant:
    """Take all scopes but these from a live grant; what was opened under it has them no more from the next check on. A unit of work."""
    giving = Giving(
        tenant=grant.tenant,
        client=grant.client,
        source=cast("Source", grant.source),
        actor=actor,
        person=grant.person,
        account=grant.account,
        acting=grant.acting,
        granted=grant.scopes & scopes,
        declined=grant.declined_scopes,
        claims=grant.claims,
        expires_at=grant.expires_at,
        exact=True,
    )
    return await give(tx, at, giving)


class Grants:
    """The grants of a store, for the rooms and pages above."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, tenant: int, client: int, person: int, account: int) -> Grant | None:
        """Return the live grant of a client, or None; `over` tells whether its end date has come."""
        return await self._store.one(FIND, tenant=tenant, client=client, person=person, account=account, acting=0)

    async def give(self, at: Moment, giving: Giving) -> Grant:
        """Make or change a grant."""
        return await self._store.run(give, at, giving)

    async def end(self, at: Moment, *, tenant: int, number: int, because: EndedBecause, actor: Actor) -> bool:
        """End one grant; tell whether it was live."""
        return await self._store.run(end, at, tenant=tenant, number=number, because=because, actor=actor)

    async def of_person(self, tenant: int, person: int, now: int) -> list[HeldGrant]:
        """Return what a person gave to clients and has not taken back, the latest first."""
        return [_listed(held) for held in await self._store.all(HELD, tenant=tenant, person=person, now=now)]


def _listed(held: Held) -> HeldGrant:
    return HeldGrant(
        id=held.id,
        client=held.client,
        client_id=held.client_id,
        client_name=_read_name(held.settings).client_name,
        account=held.account,
        account_slug=held.account_slug,
        account_name=held.account_name,
        scopes=ids_of(held.granted),
        declined=ids_of(held.declined),
        source=held.source,
        made_at=held.made_at,
        changed_at=held.changed_at,
        expires_at=held.expires_at,
        used_at=held.used_at,
    )
