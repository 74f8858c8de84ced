"""Signing in with a name and a password. A wrong one and an unknown name look the same, cost the same and are slowed down the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act, record
from gatewright.base import ids
from gatewright.base.log import Event
from gatewright.base.secret import Secret
from gatewright.oauth.claims import ACR_PASSWORD
from gatewright.oauth.errors import TemporarilyUnavailable
from gatewright.signin import devices
from gatewright.signin.browsers import network_of
from gatewright.signin.sessions import Begun, NewSession, begin
from gatewright.signin.throttle import Slowed, forgive
from gatewright.store import Query
from gatewright.users.passwords import SALT_BYTES
from gatewright.users.rules import email_key

if TYPE_CHECKING:
    from gatewright.base.log import Log
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.visit import Visitor
    from gatewright.signin.pool import Checked, PasswordPool
    from gatewright.signin.throttle import Counter, Throttle
    from gatewright.store import Store, Tx

LONGEST_NAME: Final = 320  # RFC 5321 §4.5.3.1
AMR: Final = "pwd"  # RFC 8176 §2


class Attempt(Struct, frozen=True, kw_only=True):
    """What somebody typed, and where. `device` is the cookie of known browsers, `previous` the session that this one has."""

    issuer: Issuer
    username: str
    password: Secret
    lasting: bool = False
    device: str = ""
    address: str = ""
    agent: str = ""
    previous: Visitor | None = None


class SignedIn(Struct, frozen=True):
    """The session that was made, and the cookie by which this browser is known from now on."""

    session: Begun
    device: str


class Mismatch(Struct, frozen=True):
    """Name and password do not match, whatever the cause."""


class Wait(Struct, frozen=True):
    """Too many attempts, or (`busy`) too many people at once."""

    seconds: int
    busy: bool = False


Outcome = SignedIn | Mismatch | Wait


class _Who(Struct, frozen=True):
    id: int
    kind: str
    password: str | None
    epoch: int
    disabled_at: int | None

    @property
    def may(self) -> bool:
        """Whether somebody may sign in as this user at a page; a service user never does."""
        return self.kind == "person" and self.disabled_at is None


WHO: Final = Query(
    _Who,
    """SELECT id, kind, password, epoch, disabled_at FROM person
        WHERE tenant = :tenant AND email_key = :email_key AND deleted_at IS NULL""",
)
RENEW: Final = Query(None, "UPDATE person SET password = :renewed WHERE id = :id AND password = :old")


@dataclass(frozen=True, slots=True)
class PasswordDoor:
    """What a sign-in with a password needs."""

    store: Store
    passwords: PasswordPool
    throttle: Throttle
    log: Log

    async def enter(self, attempt: Attempt, at: Moment) -> Outcome:
        """Check what was typed; make a session of it where it is right."""
        tenant, name = attempt.issuer.tenant, email_key(attempt.username)[:LONGEST_NAME]
        network = network_of(attempt.address)
        device = devices.known_as(attempt.device, tenant, name, self.throttle.sealer)
        counters = self.throttle.counters(tenant, name, network, device)
        try:
            begins = await self.throttle.enter(tenant, counters, at)
        except Slowed as slowed:
            self.log.tell(Event.SIGN_IN_THROTTLED, tenant=tenant, network=network, seconds=slowed.seconds)
            return Wait(slowed.seconds)
        who = await self.store.one(WHO, tenant=tenant, email_key=name)
        try:
            checked = await self._check(who, attempt.password.reveal(), at, known=bool(device))
        except TemporarilyUnavailable as full:
            await self.throttle.take_back(counters)
            self.log.tell(Event.PASSWORD_QUEUE_FULL, tenant=tenant, why=full.why)
            return Wait(full.retry_after, busy=True)
        why = _fault(who, checked)
        if who is None or why:
            await self._refused(attempt, who, why, network, at, begins=begins)
            return Mismatch()
        session = await self.store.run(_let_in, at, attempt, who, checked.renewed, counters, network)
        return SignedIn(session, devices.remembered(attempt.device, tenant, name, self.throttle.sealer, at))

    async def _check(self, who: _Who | None, password: str, at: Moment, *, known: bool) -> Checked:
        digest = None if who is None else who.password
        return await self.passwords.check(digest, password, salt=at.dice.bytes(SALT_BYTES), known=known)

    async def _refused(self, attempt: Attempt, who: _Who | None, why: str, network: str, at: Moment, *, begins: bool) -> None:
        tenant = attempt.issuer.tenant
        # What was typed as a name may be a password, so only its keyed digest is written down.
        name = email_key(attempt.username)[:LONGEST_NAME]
        subject = self.throttle.pseudonym(tenant, name) if who is None else ids.show(ids.USER, who.id)
        self.log.tell(Event.SIGN_IN_REFUSED, tenant=tenant, subject=subject, network=network, why=why)
        acts = (Act.SIGN_IN_FAILED, Act.SIGN_IN_THROTTLED) if begins else (Act.SIGN_IN_FAILED,)
        await self.store.run(_note, at, tenant, acts, subject, {"why": why, "network": network})


def _fault(who: _Who | None, checked: Checked) -> str:
    """Return why somebody is not let in, for the audit log alone; "" lets them in."""
    if who is None:
        return "unknown"
    if not checked.fits:
        return "mismatch"
    return "" if who.may else "disabled" if who.kind == "person" else "service user"


async def _let_in(
    tx: Tx, at: Moment, attempt: Attempt, who: _Who, renewed: str | None, counters: tuple[Counter, ...], network: str
) -> Begun:
    new = NewSession(
        issuer=attempt.issuer,
        person=who.id,
        person_epoch=who.epoch,
        acr=ACR_PASSWORD,
        amr=AMR,
        agent=attempt.agent,
        address=attempt.address,
        lasting=attempt.lasting,
    )
    session = await begin(tx, at, new, attempt.previous)
    await forgive(tx, counters)
    if renewed is not None:
        await tx.do(RENEW, id=who.id, renewed=renewed, old=who.password)
    user, subject = ids.show(ids.USER, who.id), ids.show(ids.SESSION, session.id)
    detail: dict[str, object] = {"issuer": attempt.issuer.url, "amr": AMR, "network": network, "lasting": attempt.lasting}
    await record(tx, at, tenant=attempt.issuer.tenant, actor=user, act=Act.SIGNED_IN, subject=subject, detail=detail)
    return session


async def _note(tx: Tx, at: Moment, tenant: int, acts: tuple[Act, ...], subject: str, detail: dict[str, object]) -> None:
    for act in acts:
        await record(tx, at, tenant=tenant, actor=subject, act=act, subject=subject, detail=detail)
