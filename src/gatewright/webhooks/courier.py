"""The delivery of events: at least once, to each address by one process at a time, and no address holds up another.

A process takes an address for a turn by a lease in the store, so any node may, and what a killed one had taken is free again when
its lease runs out. In a turn a few events are sent at once; a turn that gets nothing through ends, and the address has a pause.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act, entry_of
from gatewright.base import ids
from gatewright.base.log import Event
from gatewright.oauth.ports import FetchFailed, NotAllowed, TooSlow
from gatewright.store.errors import StoreError
from gatewright.store.following import Then
from gatewright.store.query import Query
from gatewright.webhooks.book import first_secret, live_secrets
from gatewright.webhooks.records import EndpointRow, EventRow, Outcome
from gatewright.webhooks.rules import GIVE_UP_AFTER, asked_to_wait, body_of, delay, headers_of, outcome_of, pause

if TYPE_CHECKING:
    from gatewright.base.log import Log
    from gatewright.base.moment import Clock, Moment
    from gatewright.base.secret import Secret
    from gatewright.store.port import Store
    from gatewright.webhooks.ports import Post, Wraps

SLOTS: Final = 64  # addresses that one process sends to at once
AT_ONCE: Final = 4  # events on their way to one address
TURN: Final = 30  # seconds after which an address makes room for others
LEASE: Final = 90  # seconds: a turn, what began at its end, and time to write it down
ACTOR: Final = ""  # nobody asked for it

_ANY_DUE: Final = Query(int, "SELECT 1 FROM webhook_event WHERE next_at <= :now LIMIT 1")
# Who waited longest comes first: `quiet_until` is the end of the last turn where there is no pause.
_DUE: Final = Query(
    EndpointRow,
    """SELECT p.id, p.tenant, p.client_id, p.url, p.created_at, p.leased_by, p.quiet_until, p.failures, p.disabled_at,
              p.disabled_because, p.blocked_at
         FROM webhook_endpoint AS p
        WHERE p.disabled_at IS NULL AND p.blocked_at IS NULL AND p.quiet_until <= :now
          AND EXISTS (SELECT 1 FROM webhook_event AS e WHERE e.client = p.id AND e.next_at <= :now)
     ORDER BY p.quiet_until, p.id LIMIT :count""",
)
_LEASE: Final = Query(
    int,
    """UPDATE webhook_endpoint SET leased_by = :attempt, quiet_until = :until
        WHERE id = :id AND disabled_at IS NULL AND blocked_at IS NULL AND (quiet_until <= :now OR leased_by = :attempt)
    RETURNING id""",
)
_RELEASE: Final = Query(
    int,
    """UPDATE webhook_endpoint AS p SET leased_by = '', quiet_until = :quiet_until, failures = :failures {each}
        WHERE p.id = :id AND p.leased_by = :attempt
    RETURNING p.id""",
    each={"id": int, "attempt": str, "quiet_until": int, "failures": int},
)
_GONE: Final = Query(
    int,
    """UPDATE webhook_endpoint AS p
          SET leased_by = '', quiet_until = 0, failures = p.failures + 1, disabled_at = :now, disabled_because = 'gone' {each}
        WHERE p.id = :id AND p.url = :url AND p.disabled_at IS NULL
    RETURNING p.id""",
    each={"id": int, "url": str, "now": int},
)
_NEXT: Final = Query(
    EventRow,
    """SELECT id, client, type, data, at, state, since, tries, next_at, last_at, last_outcome, last_status FROM webhook_event
        WHERE client = :client AND next_at <= :now ORDER BY next_at, id LIMIT :count""",
)
_SETTLE: Final = Query(
    int,
    """UPDATE webhook_event AS e
          SET state = :state, tries = e.tries + 1, next_at = :next_at, last_at = :now, last_outcome = :outcome, last_status = :status {each}
        WHERE e.id = :id AND e.tries = :tries AND e.next_at IS NOT NULL
    RETURNING e.id""",
    each={"id": int, "tries": int, "state": str, "next_at": int, "now": int, "outcome": str, "status": int},
)
_ATTEMPT: Final = Query(
    None,
    """INSERT INTO webhook_attempt (id, tenant, event, at, outcome, status, milliseconds)
       SELECT :id, :tenant, :event, :now, :outcome, :status, :milliseconds {each} WHERE true""",
    each={"id": int, "tenant": int, "event": int, "now": int, "outcome": str, "status": int, "milliseconds": int},
)


class Result(Struct, frozen=True):
    """One attempt at one event. `wait` is for how many seconds the answer asked not to be called."""

    outcome: Outcome
    status: int | None = None
    wait: int = 0
    milliseconds: int = 0


class Courier:
    """Delivers what is due, of every tenant, beside whatever else its process does."""

    def __init__(self, store: Store, clock: Clock, post: Post, wraps: Wraps, log: Log, *, slots: int = SLOTS) -> None:
        self._store = store
        self._clock = clock
        self._post = post
        self._wraps = wraps
        self._log = log
        self._slots = slots
        self._turns: set[asyncio.Task[None]] = set()

    async def round(self) -> int:
        """Begin a turn at each address at which something is due, as far as there is room; return how many began.

        The turns are not waited for: an address that hangs has one of many places, and the next round uses the others.
        """
        now, room, begun = self._clock.moment().now, self._slots - len(self._turns), 0
        if room <= 0 or await self._store.one(_ANY_DUE, now=now) is None:
            return 0
        for endpoint in await self._store.all(_DUE, now=now, count=room):
            attempt = self._clock.moment().attempt()
            if await self._store.verb(_LEASE, id=endpoint.id, attempt=attempt, now=now, until=now + LEASE) is None:
                continue  # another process was faster
            task = asyncio.create_task(self._safely(endpoint, attempt))
            self._turns.add(task)
            task.add_done_callback(self._turns.discard)
            begun += 1
        return begun

    async def settled(self) -> None:
        """Wait for the turns that began."""
        while self._turns:
            await asyncio.gather(*self._turns)

    async def close(self) -> None:
        """Break off; what was on its way is sent again by whoever takes the address next."""
        for task in list(self._turns):
            task.cancel()
        await asyncio.gather(*self._turns, return_exceptions=True)

    async def _safely(self, endpoint: EndpointRow, attempt: str) -> None:
        try:
            await self._turn(endpoint, attempt)
        except StoreError as error:
            self._log.tell(Event.JOB_FAILED, job="events", client=endpoint.client_id, why=str(error))
        except Exception as crash:  # noqa: BLE001 - a fault at one address is no reason to leave the others alone
            self._log.crashed(Event.JOB_FAILED, crash, job="events", client=endpoint.client_id)

    async def _turn(self, endpoint: EndpointRow, attempt: str) -> None:
        """Send what is due at one address, until nothing is, or nothing gets through, or others should have their turn."""
        secrets = await self._secrets(endpoint)
        until, failures, quiet_until = self._clock.moment().now + TURN, endpoint.failures, 0
        while (now := self._clock.moment().now) < until:
            events = await self._store.all(_NEXT, client=endpoint.id, now=now, count=AT_ONCE)
            if not events:
                break
            results = await asyncio.gather(*[self._send(endpoint, event, secrets) for event in events])
            now = self._clock.moment().now
            if any(result.outcome is Outcome.GONE for result in results):
                await self._gone(endpoint)
                return
            quiet_until = now + max(result.wait for result in results)
            if all(result.outcome is not Outcome.DELIVERED for result in results):
                failures += 1
                quiet_until = max(quiet_until, now + pause(failures))
            else:
                failures = 0
            if quiet_until > now:
                break
        quiet_until = max(quiet_until, self._clock.moment().now)
        await self._store.verb(_RELEASE, id=endpoint.id, attempt=attempt, quiet_until=quiet_until, failures=failures)

    async def _gone(self, endpoint: EndpointRow) -> None:
        """Send nothing more to an address that says it is gone for good."""
        at, detail = self._clock.moment(), {"because": "410"}
        name = endpoint.client_id
        entry = entry_of(at, tenant=endpoint.tenant, actor=ACTOR, act=Act.EVENTS_DISABLED, subject=name, detail=detail)
        await self._store.verb(_GONE, entry, id=endpoint.id, url=endpoint.url, now=at.now)
        self._log.tell(Event.EVENTS_DISABLED, client=endpoint.client_id)

    async def _secrets(self, endpoint: EndpointRow) -> list[Secret]:
        tenant, client = endpoint.tenant, endpoint.id
        at = self._clock.moment()
        found = await live_secrets(self._store, self._wraps, tenant, client, at.now)
        if not found:
            await self._store.run(first_secret, at, self._wraps, endpoint, actor=ACTOR)
            found = await live_secrets(self._store, self._wraps, tenant, client, at.now)
        return [secret for _, secret in found]

    async def _send(self, endpoint: EndpointRow, event: EventRow, secrets: list[Secret]) -> Result:
        began = self._clock.moment()
        body = body_of(event, endpoint.client_id)
        status, wait = None, 0
        try:
            answered = await self._post.post(endpoint.url, body, headers_of(event, body, secrets, began.now))
        except NotAllowed:
            outcome = Outcome.NOT_ALLOWED
        except TooSlow:
            outcome = Outcome.TIMED_OUT
        except FetchFailed:
            outcome = Outcome.UNREACHABLE
        else:
            status, outcome = answered.status, outcome_of(answered.status)
            wait = 0 if outcome is Outcome.DELIVERED else asked_to_wait(answered.retry_after, began.now)
        at = self._clock.moment()
        result = Result(outcome, status, wait, at.now_ms - began.now_ms)
        await settle(self._store, at, endpoint.tenant, event, result)
        if outcome is not Outcome.DELIVERED:
            shown = ids.show(ids.EVENT, event.id)
            self._log.tell(
                Event.EVENT_UNDELIVERED, client=endpoint.client_id, id=shown, outcome=outcome, status=status, tries=event.tries + 1
            )
        return result


async def settle(store: Store, at: Moment, tenant: int, event: EventRow, result: Result) -> None:
    """Write down what became of an attempt, and when the next one is due; what another process wrote meanwhile stays."""
    next_at: int | None = None
    state = "delivered"
    if result.outcome is not Outcome.DELIVERED:
        next_at = at.now + max(delay(event.tries + 1, at.dice), result.wait)
        state = "waiting"
        if next_at > event.since + GIVE_UP_AFTER:
            next_at, state = None, "given_up"
    told: dict[str, int | str | None] = {"now": at.now, "outcome": result.outcome.value, "status": result.status}
    attempt = Then(_ATTEMPT, {"id": at.id(), "tenant": tenant, "event": event.id, "milliseconds": result.milliseconds, **told})
    await store.verb(_SETTLE, attempt, id=event.id, tries=event.tries, state=state, next_at=next_at, **told)
