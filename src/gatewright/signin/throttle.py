"""Slows guessing down: counters of failed sign-ins, shared by all workers and nodes, asked before anything is hashed.

An attempt is counted when it begins and taken back when it succeeds, so a hundred at once are a hundred. It is a delay and never a
lock, and it grows for each pair of name and network, so no stranger elsewhere keeps a user out (`docs/decisions/0008`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.base.digest import b64
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.ports import Sealer
    from gatewright.store import Store, Tx

WINDOW: Final = 3600  # seconds without a failure after which all is forgotten
_PURPOSE: Final = "throttle"
_STEEPEST: Final = 9  # 2^9 s is more than eight minutes


class Rule(Struct, frozen=True):
    """How many failures are free, and the longest delay in seconds; between them it doubles. `whole` is forgotten by one success."""

    free: int
    longest: int
    whole: bool = False

    def delay(self, failures: int) -> int:
        """Return how many seconds must pass after so many failures."""
        over = failures - self.free
        if over < 0:
            return 0
        return self.longest if over > _STEEPEST else min(self.longest, 1 << over)


PAIR: Final = Rule(free=5, longest=900, whole=True)
DEVICE: Final = Rule(free=10, longest=900, whole=True)
# Short, since the owner at a new place stands in the same line as whoever guesses from everywhere.
NAME: Final = Rule(free=30, longest=30)
NETWORK: Final = Rule(free=50, longest=300)
CODE: Final = Rule(free=10, longest=60)  # a code lives for a minute

# Codes of devices, which are short: what somebody types that is none, by who it is, where they are, and at all (RFC 8628 §5.1).
TYPIST: Final = Rule(free=5, longest=900)
TYPISTS_NETWORK: Final = Rule(free=20, longest=300)
TYPISTS: Final = Rule(free=200, longest=5)
TYPISTS_PERIOD: Final = 600  # seconds: as long as a code lives


class Counter(Struct, frozen=True):
    """One counter: its keyed name, so that the table tells nobody who signs in from where, and its rule."""

    name: str
    rule: Rule


class Kept(Struct, frozen=True):
    """A counter as it is stored; it means nothing after `until`."""

    failures: int
    last_at: int
    until: int

    def wait(self, rule: Rule, now: int) -> int:
        """Return how many seconds are left."""
        return 0 if self.until < now else max(0, self.last_at + rule.delay(self.failures) - now)


class Slowed(Exception):
    """An attempt came too early."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{seconds} s too early")
        self.seconds = seconds


LOOK: Final = Query(Kept, "SELECT failures, last_at, until FROM throttle WHERE name = :name")
ENTER: Final = Query(
    int,
    f"""INSERT INTO throttle (name, tenant, failures, last_at, until) VALUES (:name, :tenant, 1, :now, :until)
        ON CONFLICT (name) DO UPDATE
           SET failures = CASE WHEN throttle.until < excluded.last_at THEN 1 ELSE throttle.failures + 1 END,
               last_at = excluded.last_at, until = excluded.until
         WHERE throttle.until < excluded.last_at OR throttle.failures < :free
            OR throttle.last_at + CASE WHEN throttle.failures - :free > {_STEEPEST} THEN CAST(:longest AS BIGINT)
                                       WHEN (1 << CAST(throttle.failures - :free AS INTEGER)) > CAST(:longest AS BIGINT)
                                       THEN CAST(:longest AS BIGINT)
                                       ELSE 1 << CAST(throttle.failures - :free AS INTEGER) END <= excluded.last_at
     RETURNING failures""",  # noqa: S608 - a number of ours
)
TAKE_BACK: Final = Query(None, "UPDATE throttle SET failures = failures - 1 WHERE name = :name AND failures > 0")
FORGET: Final = Query(None, "DELETE FROM throttle WHERE name = :name")


class Throttle:
    """The counters of a store."""

    __slots__ = ("_store", "sealer")

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self.sealer = sealer

    def counters(self, tenant: int, name: str, network: str, device: str) -> tuple[Counter, ...]:
        """Return what an attempt counts against: for a browser known under this name its own failures, else all three."""
        if device:
            return (self._counter(tenant, DEVICE, "device", name, device),)
        return (
            self._counter(tenant, PAIR, "pair", name, network),
            self._counter(tenant, NAME, "name", name),
            self._counter(tenant, NETWORK, "network", network),
        )

    def code_counter(self, tenant: int, code: int, client: int, network: str) -> Counter:
        """Return what a code shown with a wrong proof counts against: the code, who showed it, and where."""
        return self._counter(tenant, CODE, "code", str(code), str(client), network)

    def device_counters(self, tenant: int, person: int, network: str, now: int) -> tuple[Counter, ...]:
        """Return what a typed code of a device counts against; what many share begins anew with each period.

        In a crowd no hour is quiet, so what its users ever mistyped would be held against all of them.
        """
        period = str(now // TYPISTS_PERIOD)
        return (
            self._counter(tenant, TYPIST, "device of", str(person)),
            self._counter(tenant, TYPISTS_NETWORK, "device at", network, period),
            self._counter(tenant, TYPISTS, "device", period),
        )

    def pseudonym(self, tenant: int, name: str) -> str:
        """Return what the audit log calls a name that nobody has here."""
        return f"name:{self._counter(tenant, NAME, 'name', name).name.partition(':')[2][:12]}"

    async def enter(self, tenant: int, counters: tuple[Counter, ...], at: Moment) -> bool:
        """Count an attempt that begins now; tell whether the next one will have to wait for the first time.

        Raises:
            Slowed: it may not begin yet. Nothing was counted.
        """
        # A flood of attempts that must wait reads and never writes.
        await self.may(counters, at.now)
        try:
            return await self._store.run(_enter, at, tenant, counters)
        except Slowed:
            # Others were quicker: now it can be said for how long.
            await self.may(counters, at.now)
            raise

    async def take_back(self, counters: tuple[Counter, ...]) -> None:
        """Uncount an attempt in which nothing was guessed."""
        await self._store.run(_take_back, counters)

    async def may(self, counters: tuple[Counter, ...], now: int) -> None:
        """Tell whether an attempt may begin now, and count nothing.

        Raises:
            Slowed: it may not.
        """
        wait = 0
        for counter in counters:
            kept = await self._store.one(LOOK, name=counter.name)
            wait = max(wait, 0 if kept is None else kept.wait(counter.rule, now))
        if wait:
            raise Slowed(wait)

    def _counter(self, tenant: int, rule: Rule, *parts: str) -> Counter:
        # NUL stands in no name, so no two lists of parts are one.
        return Counter(f"{tenant}:{b64(self.sealer.mac(_PURPOSE, tenant, chr(0).join(parts).encode())[:18])}", rule)


async def forgive(tx: Tx, counters: tuple[Counter, ...]) -> None:
    """Count no failure: the attempt succeeded. A part of a unit of work."""
    for counter in _in_order(counters):
        await tx.do(FORGET if counter.rule.whole else TAKE_BACK, name=counter.name)


async def _enter(tx: Tx, at: Moment, tenant: int, counters: tuple[Counter, ...]) -> bool:
    begins = False
    for counter in _in_order(counters):
        rule = counter.rule
        failures = await tx.one(
            ENTER, name=counter.name, tenant=tenant, now=at.now, until=at.now + WINDOW, free=rule.free, longest=rule.longest
        )
        if failures is None:
            raise Slowed(1)
        begins = begins or failures == rule.free
    return begins


async def _take_back(tx: Tx, counters: tuple[Counter, ...]) -> None:
    for counter in _in_order(counters):
        await tx.do(TAKE_BACK, name=counter.name)


def _in_order(counters: tuple[Counter, ...]) -> list[Counter]:
    # The same for everybody, so that two attempts never wait for each other.
    return sorted(counters, key=lambda counter: counter.name)
