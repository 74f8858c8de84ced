"""A browser's sign-in at one issuer: made new at each sign-in, found by its cookie, ended by its user. Implements `oauth.visit.Visits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act, record
from gatewright.base import ids
from gatewright.base.digest import Kind, digest, same, split, with_id
from gatewright.ledger.book import end_of_session
from gatewright.oauth.visit import Visitor
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer
    from gatewright.store import Store, Tx

SECRET_BYTES: Final = 32
SEEN_EVERY: Final = 60  # seconds between two writes of when a session was last seen
LONGEST_AGENT: Final = 300
LISTED: Final = 50


class NewSession(Struct, frozen=True, kw_only=True):
    """Who signed in, where, how and with what. `lasting` is a browser that keeps its cookie when it is closed."""

    issuer: Issuer
    person: int
    person_epoch: int
    acr: str
    amr: str
    agent: str
    address: str
    lasting: bool


class Begun(Struct, frozen=True):
    """A session just made, and the text of its cookie, which is kept nowhere."""

    id: int
    cookie: str
    until: int
    lasting: bool


class SessionRow(Struct, frozen=True):
    """A live session in the list of a user's browsers."""

    id: int
    issuer: str
    agent: str
    address: str
    created_at: int
    seen_at: int


class _Row(Struct, frozen=True):
    id: int
    person: int
    epoch: int
    email: str
    name: str
    auth_time: int
    acr: str
    amr: str
    seen_at: int
    idle_until: int
    until: int
    lasting: int
    digest: str


# Session and user in one statement: a user who was disabled or given another password has no session any more (`security-rules` 17).
FIND: Final = Query(
    _Row,
    """SELECT s.id, s.person, p.epoch, p.email, p.name, s.auth_time, s.acr, s.amr, s.seen_at, s.idle_until, s.until, s.lasting, s.digest
         FROM {each} session AS s JOIN person AS p ON p.id = s.person
        WHERE s.id = :id AND s.tenant = :tenant AND s.issuer = :issuer AND s.ended_at IS NULL
          AND p.deleted_at IS NULL AND p.disabled_at IS NULL AND p.epoch = s.person_epoch""",
    each={"id": int, "tenant": int, "issuer": str},
)
SEEN: Final = Query(
    None,
    """UPDATE session SET seen_at = :now, idle_until = :idle_until
        WHERE id = :id AND ended_at IS NULL AND seen_at < :now AND idle_until <= :idle_until""",
)
ADD: Final = Query(
    None,
    """INSERT INTO session (id, tenant, issuer, person, person_epoch, digest, auth_time, acr, amr, agent, address, created_at, seen_at,
                            idle_until, until, lasting)
       VALUES (:id, :tenant, :issuer, :person, :person_epoch, :digest, :now, :acr, :amr, :agent, :address, :now, :now,
               :idle_until, :until, :lasting)""",
)
END: Final = Query(
    int,
    """UPDATE session SET ended_at = :now, ended_because = :because
        WHERE id = :id AND tenant = :tenant AND person = :person AND ended_at IS NULL RETURNING id""",
)
# Whoever confirms a sign-in goes on with what lasts only as long as it; the index is there for exactly these rows.
CARRY_OVER: Final = Query(
    None, "UPDATE authorization_row SET session = :new WHERE session = :old AND session_bound = 1 AND ended_at IS NULL"
)
LIST: Final = Query(
    SessionRow,
    """SELECT s.id, s.issuer, s.agent, s.address, s.created_at, s.seen_at
         FROM session AS s JOIN person AS p ON p.id = s.person
        WHERE s.person = :person AND s.tenant = :tenant AND s.ended_at IS NULL AND p.epoch = s.person_epoch
          AND s.until > :now AND s.idle_until > :now
     ORDER BY s.seen_at DESC, s.id DESC LIMIT :count""",
)


class Sessions:
    """The sessions of a store."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, issuer: Issuer, cookie: str, at: Moment) -> Visitor | None:
        """Return whose session a cookie is; at most once a minute it is also written down that it was seen."""
        parts = split(Kind.SESSION, cookie, SECRET_BYTES)
        row = None if parts is None else await self._store.one(FIND, id=parts[0], tenant=issuer.tenant, issuer=issuer.url)
        if (
            row is None
            or row.until <= at.now
            or row.idle_until <= at.now
            or not same(row.digest, digest(Kind.SESSION, issuer.tenant, cookie))
        ):
            return None
        if at.now - row.seen_at >= SEEN_EVERY:
            await self._store.verb(
                SEEN, id=row.id, now=at.now, idle_until=_idle_until(issuer, at.now, row.until, lasting=bool(row.lasting))
            )
        return Visitor(
            session=row.id,
            person=row.person,
            person_epoch=row.epoch,
            email=row.email,
            name=row.name,
            auth_time=row.auth_time,
            acr=row.acr,
            amr=row.amr,
            proof=row.digest,
        )

    async def end(self, at: Moment, tenant: int, person: int, session: int) -> bool:
        """Sign a browser of this user out; tell whether it was signed in."""
        return await self._store.run(end_session, at, tenant, person, session, "signed_out")

    async def end_others(self, at: Moment, tenant: int, person: int, kept: int) -> int:
        """Sign all other browsers of this user out; return how many were signed in."""
        return await self._store.run(_end_others, at, tenant, person, kept)

    async def of_person(self, tenant: int, person: int, now: int) -> list[SessionRow]:
        """Return the browsers in which a user is signed in, at any of the tenant's domains, the latest first."""
        return await self._store.all(LIST, tenant=tenant, person=person, now=now, count=LISTED)


async def begin(tx: Tx, at: Moment, new: NewSession, previous: Visitor | None) -> Begun:
    """Make a session with a new id and secret in the place of the one that this browser had. A part of a unit of work.

    A cookie that somebody planted before is worth nothing afterwards (session fixation).
    """
    issuer, policy = new.issuer, new.issuer.policy
    number = at.id()
    cookie = with_id(Kind.SESSION, number, at.dice.bytes(SECRET_BYTES))
    until = at.now + (policy.session_lasting if new.lasting else policy.session_absolute)
    if previous is not None:
        if previous.person == new.person:
            await tx.do(CARRY_OVER, old=previous.session, new=number)
        await end_session(tx, at, issuer.tenant, previous.person, previous.session, "replaced")
    await tx.do(
        ADD,
        id=number,
        tenant=issuer.tenant,
        issuer=issuer.url,
        person=new.person,
        person_epoch=new.person_epoch,
        digest=digest(Kind.SESSION, issuer.tenant, cookie),
        now=at.now,
        acr=new.acr,
        amr=new.amr,
        agent=new.agent[:LONGEST_AGENT],
        address=new.address,
        idle_until=_idle_until(issuer, at.now, until, lasting=new.lasting),
        until=until,
        lasting=int(new.lasting),
    )
    return Begun(number, cookie, until, new.lasting)


async def end_session(tx: Tx, at: Moment, tenant: int, person: int, session: int, because: str) -> bool:
    """End one session with what lasts only as long as it; tell whether it was live. A unit of work, or a part of one."""
    if await tx.one(END, id=session, tenant=tenant, person=person, now=at.now, because=because) is None:
        return False
    await end_of_session(tx, at, tenant, session)
    user, subject = ids.show(ids.USER, person), ids.show(ids.SESSION, session)
    await record(tx, at, tenant=tenant, actor=user, act=Act.SESSION_ENDED, subject=subject, detail={"because": because})
    return True


async def _end_others(tx: Tx, at: Moment, tenant: int, person: int, kept: int) -> int:
    ended = 0
    # As many as there are: the one that nobody has seen for long may be whose it should not be.
    while rows := [row for row in await tx.all(LIST, tenant=tenant, person=person, now=at.now, count=LISTED) if row.id != kept]:
        for row in rows:
            ended += await end_session(tx, at, tenant, person, row.id, "signed_out")
    return ended


def _idle_until(issuer: Issuer, now: int, until: int, *, lasting: bool) -> int:
    # Who asked to be kept signed in is not signed out over a weekend.
    return until if lasting else min(until, now + issuer.policy.session_idle)
