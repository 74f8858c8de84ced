"""Signing in with a name and a password. A wrong one and an unknown name look the same, cost the same and are slowed down the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from gatewright.audit.book import Act, record
from gatewright.base import ids
from gatewright.base.log import Event
from gatewright.base.networks import network_of
from gatewright.base.secret import Secret
from gatewright.oauth.claims import ACR_PASSWORD
from gatewright.oauth.errors import TemporarilyUnavailable
from gatewright.signin import devices
from gatewright.signin.pool import Lane
from gatewright.signin.sessions import Begun, NewSession, begin
from gatewright.signin.throttle import Slowed, forgive
from gatewright.store import Query
from gatewright.users.passwords import SALT_BYTES
from gatewright.users.rules import email_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    client: int = 0
    """The client at the token endpoint to which it was told, where it was not typed into a page of ours."""


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


class Who(Struct, frozen=True):
    """A user as far as a sign-in cares."""

    id: int
    kind: Literal["person", "service"]
    password: str | None
    epoch: int
    disabled_at: int | None
    second_factor_at: int | None


class Proof(Struct, frozen=True):
    """A password that was right: whose it is, the digest in the place of an outdated one, what the attempt was counted against."""

    who: Who
    renewed: str | None
    counters: tuple[Counter, ...]
    network: str


WHO: Final = Query(
    Who,
    """SELECT id, kind, password, epoch, disabled_at, second_factor_at FROM person
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
        """Check what was typed at a page; make a session of it where it is right."""
        tenant, name = attempt.issuer.tenant, _name(attempt)
        known = devices.known_as(attempt.device, tenant, name, self.throttle.sealer)
        proof = await self.prove(attempt, at, device=known, lane=Lane.KNOWN if known else Lane.PAGE, refusal=at_a_page)
        if not isinstance(proof, Proof):
            return proof
        session = await self.store.run(_let_in, at, attempt, proof)
        return SignedIn(session, devices.remembered(attempt.device, tenant, name, self.throttle.sealer, at))

    async def prove(
        self, attempt: Attempt, at: Moment, *, lane: Lane, refusal: Callable[[Who], str], device: str = ""
    ) -> Proof | Mismatch | Wait:
        """Check a password, slowed before anything is hashed; `refusal` says why a user may not be let in all the same, "" if it may."""
        tenant, name = attempt.issuer.tenant, _name(attempt)
        network = network_of(attempt.address)
        counters = self.throttle.counters(tenant, name, network, device)
        try:
            begins = await self.throttle.enter(tenant, counters, at)
        except Slowed as slowed:
            self.log.tell(Event.SIGN_IN_THROTTLED, tenant=tenant, network=network, seconds=slowed.seconds)
            return Wait(slowed.seconds)
        who = await self.store.one(WHO, tenant=tenant, email_key=name)
        try:
            checked = await self._check(who, attempt.password.reveal(), at, lane)
        except TemporarilyUnavailable as full:
            await self.throttle.take_back(counters)
            self.log.tell(Event.PASSWORD_QUEUE_FULL, tenant=tenant, why=full.why)
            return Wait(full.retry_after, busy=True)
        why = "unknown" if who is None else refusal(who) if checked.fits else "mismatch"
        if who is None or why:
            await self._refused(attempt, who, why, network, at, begins=begins)
            return Mismatch()
        return Proof(who, checked.renewed, counters, network)

    async def _check(self, who: Who | None, password: str, at: Moment, lane: Lane) -> Checked:
        digest = None if who is None else who.password
        return await self.passwords.check(digest, password, salt=at.dice.bytes(SALT_BYTES), lane=lane)

    async def _refused(self, attempt: Attempt, who: Who | None, why: str, network: str, at: Moment, *, begins: bool) -> None:
        tenant = attempt.issuer.tenant
        # What was typed as a name may be a password, so only its keyed digest is written down.
        name = _name(attempt)
        subject = self.throttle.pseudonym(tenant, name) if who is None else ids.show(ids.USER, who.id)
        self.log.tell(Event.SIGN_IN_REFUSED, tenant=tenant, subject=subject, network=network, why=why)
        acts = (Act.SIGN_IN_FAILED, Act.SIGN_IN_THROTTLED) if begins else (Act.SIGN_IN_FAILED,)
        detail = {"why": why, "network": network}
        if attempt.client:
            detail["client"] = ids.show(ids.CLIENT, attempt.client)
        await self.store.run(_note, at, tenant, acts, subject, detail)


def _name(attempt: Attempt) -> str:
    return email_key(attempt.username)[:LONGEST_NAME]


def at_a_page(who: Who) -> str:
    """Return why nobody is let in as this user at a page, for the audit log alone; a service user never is."""
    if who.kind == "service":
        return "service user"
    return "" if who.disabled_at is None else "disabled"


async def forgive_and_renew(tx: Tx, proof: Proof) -> None:
    """Count no failure, and keep the newer digest. A unit of work, or a part of one."""
    await forgive(tx, proof.counters)
    if proof.renewed is not None:
        await tx.do(RENEW, id=proof.who.id, renewed=proof.renewed, old=proof.who.password)


async def _let_in(tx: Tx, at: Moment, attempt: Attempt, proof: Proof) -> Begun:
    who = proof.who
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
    await forgive_and_renew(tx, proof)
    user, subject = ids.show(ids.USER, who.id), ids.show(ids.SESSION, session.id)
    detail: dict[str, object] = {"issuer": attempt.issuer.url, "amr": AMR, "network": proof.network, "lasting": attempt.lasting}
    await record(tx, at, tenant=attempt.issuer.tenant, actor=user, act=Act.SIGNED_IN, subject=subject, detail=detail)
    return session


async def _note(tx: Tx, at: Moment, tenant: int, acts: tuple[Act, ...], subject: str, detail: Mapping[str, object]) -> None:
    for act in acts:
        await record(tx, at, tenant=tenant, actor=subject, act=act, subject=subject, detail=detail)
