"""Tells the server which scopes decided calls: gathered in memory, told in batches, and never in the way of a request.

Of each authorization and scope the first use of a day is told, and nothing of the others: that is all it takes to know what is used.
No address, no method and no user is looked at. What cannot be told is tried again for days, and if it must be forgotten after all,
the server is told so, since "never used" could not be said any more.
"""

import asyncio
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import httpx
import msgspec

from gatewright_guard.address import secure_url
from gatewright_guard.decide import Requirement, decided_by
from gatewright_guard.fetch import Unavailable, fetch
from gatewright_guard.introspect import Credentials
from gatewright_guard.kept import Clock
from gatewright_guard.report import AUTHORIZATION, LONGEST, MOST, SCOPE, Report
from gatewright_guard.verify import Claims, scope_set

EVERY: Final = 60.0
"""Seconds between two reports; what was not told yet is lost with the process if it is killed."""
QUIET: Final = 3600.0
"""Seconds after which an empty report says that nothing was used: silence would mean that nothing is known."""
ASK_AGAIN: Final = 300.0
"""Seconds after which the server is asked again whether it wants reports, where it said no."""
KEPT: Final = 100_000
"""Authorizations remembered at once, and as many waiting to be told: some tens of megabytes at most."""
OLDEST: Final = 6
"""Days for which a use is kept that could not be told."""

_DAY: Final = 86_400
_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 2.0
_SLOWEST: Final = 600.0
_SCOPES: Final = 50  # of one authorization in a report; the rest goes into the next one
_BYTES: Final = 48 * 1024  # of one report in a form; the server reads 64 KiB
_authorization: Final = re.compile(AUTHORIZATION).search
_scope: Final = re.compile(SCOPE).search
_encode: Final = msgspec.json.Encoder().encode
_log: Final = logging.getLogger("gatewright_guard")


_Entry = tuple[str, frozenset[str]]


class Usage:
    """What is to be told about one API. `seen` may be called from any thread; the rest belongs to one event loop.

    `url` is the server's `/-/usage`. `implies` is all that a scope stands for at this API: it is the scope that the token holds which
    is told, or what gave the access would look unused. The clock gives epoch seconds, the dice a number from 0 to 1.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        clock: Clock,
        credentials: Credentials,
        url: str,
        *,
        implies: Mapping[str, frozenset[str]] | None = None,
        every: float = EVERY,
        dice: Callable[[], float] = random.random,
        kept: int = KEPT,
    ) -> None:
        if every <= 0:
            raise ValueError("every is a number of seconds, more than 0")
        self._http = http
        self._clock = clock
        self._credentials = credentials
        self._url = secure_url(url)
        self._implies = implies or {}
        self._every = every
        self._dice = dice
        self._kept = kept
        self._today = -1
        self._known: set[tuple[Hashable, ...]] = set()
        self._waiting: dict[tuple[int, str], set[str]] = {}
        self._lost = False
        self._wanted = True
        self._failures = 0
        self._told_at = -QUIET
        self._lock = threading.Lock()  # of what waits, for APIs that call from several threads
        self._task: asyncio.Task[None] | None = None

    def seen(self, claims: Claims, requirement: Requirement, *, account: str | None = None) -> None:
        """Note that a call was allowed by these scopes, in this account if the resource has one. Costs a look into a set."""
        authorization = claims.authorization_id
        if authorization is None or not self._wanted:
            return
        today = int(self._clock()) // _DAY
        if today != self._today:
            self._today = today
            self._known = set()
        scopes = decided_by(claims, requirement, account)
        # Under one authorization a narrowed token may get by another scope to what is implied.
        key = (authorization, scopes, claims.scopes) if self._implies else (authorization, scopes)
        if key not in self._known:
            self._note(key, authorization, self._held(claims, scopes) if self._implies else scopes, today)

    def _held(self, claims: Claims, scopes: tuple[str, ...]) -> list[str]:
        """Of scopes that may be implied, those that the token holds; where several would do all of them, since each may be the reason."""
        said = claims.members.get("scope")
        own = scope_set(said) if isinstance(said, str) else claims.scopes
        held: list[str] = []
        for scope in scopes:
            held += [scope] if scope in own else [one for one in own if scope in self._implies.get(one, ())]
        return held

    def _note(self, key: tuple[Hashable, ...], authorization: str, scopes: Iterable[str], today: int) -> None:
        if len(self._known) >= self._kept:
            # Telling the same again changes nothing at the server.
            self._known = set()
        self._known.add(key)
        told = [scope for scope in scopes if len(scope) <= LONGEST and _scope(scope)]
        if not told or len(authorization) > 40 or not _authorization(authorization):
            return
        waiting, place = self._waiting, (today, authorization)
        with self._lock:
            if place in waiting or len(waiting) < self._kept:
                waiting.setdefault(place, set()).update(told)
                return
        self._forget(1)

    def start(self) -> None:
        """Begin to report, on the loop that runs; begun twice is begun once."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._report())

    async def aclose(self) -> None:
        """Stop, after a last report that may take two seconds."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if not self._wanted or not (self._waiting or self._lost):
            return
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.flush()
        except Exception as fault:  # noqa: BLE001 - an API that ends is held up by nothing here
            _log.error("the last use of scopes could not be reported: %s", type(fault).__name__)

    async def flush(self) -> bool:
        """Tell what waits, in as many reports as it takes; whether all of it was told. What was not is kept for the next time."""
        self._age()
        for day, part in self._batches():
            lost, self._lost = self._lost, False
            report = Report(day=_shown(day), uses={authorization: sorted(scopes) for authorization, scopes in part}, lost=lost)
            form = self._credentials.form(self._http, self._url, {"report": _encode(report).decode()})
            try:
                wanted = (await fetch(self._http, form, seconds=_SECONDS)).get("reporting") is True
            except BaseException as fault:
                # Also where it was ended in the middle: whether it was told is not known, and twice is the same as once.
                self._lost = self._lost or lost
                if not isinstance(fault, Unavailable):
                    raise
                self._failed(fault)
                return False
            self._answered(day, part, wanted=wanted)
            if not wanted:
                break
        if self._failures:
            _log.warning("the use of scopes is reported again")
        self._failures = 0
        self._told_at = self._clock()
        return True

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._pause())
            quiet = self._clock() - self._told_at >= QUIET
            if self._waiting or self._lost or quiet or not self._wanted:
                try:
                    await self.flush()
                except Exception:  # noqa: BLE001 - see below
                    # Whatever it is, no request may suffer from it, and the next round is another try.
                    _log.exception("the use of scopes could not be reported")

    def _pause(self) -> float:
        seconds = self._every if self._wanted else max(ASK_AGAIN, self._every)
        if self._failures:
            seconds = min(seconds * 2.0 ** min(self._failures, 10), max(_SLOWEST, self._every))
        # Many processes that were started together do not report together.
        return seconds * (0.75 + self._dice() / 2)

    def _batches(self) -> Iterator[tuple[int, list[_Entry]]]:
        """What waits, in parts that the server takes; one empty part where nothing does."""
        days: dict[int, list[_Entry]] = {}
        with self._lock:
            for (day, authorization), scopes in self._waiting.items():
                ordered = sorted(scopes)
                parts = [ordered[at : at + _SCOPES] for at in range(0, len(ordered), _SCOPES)]
                days.setdefault(day, []).extend([(authorization, frozenset(part)) for part in parts])
        if not days:
            yield int(self._clock()) // _DAY, []
        for day, waiting in sorted(days.items()):
            left = waiting
            while left:
                part = _cut(left)
                left = left[len(part) :]
                yield day, part

    def _answered(self, day: int, part: list[_Entry], *, wanted: bool) -> None:
        with self._lock:
            for authorization, scopes in part if wanted else ():
                left = self._waiting.get((day, authorization), set())
                left -= scopes
                if not left:
                    self._waiting.pop((day, authorization), None)
            if not wanted:
                # Where it is switched on later, the server counts from then on.
                self._waiting.clear()
                self._known = set()
        if self._wanted and not wanted:
            _log.info("the server does not want reports of the use of scopes for this API")
        self._wanted = wanted

    def _failed(self, fault: Unavailable) -> None:
        # Said once when it begins and once when it ends, as of everything else that can be away for long.
        if not self._failures:
            _log.error("the use of scopes cannot be reported: %s", fault)
        self._failures += 1

    def _age(self) -> None:
        oldest = int(self._clock()) // _DAY - OLDEST
        with self._lock:
            old = [place for place in self._waiting if place[0] < oldest]
            for place in old:
                del self._waiting[place]
        if old:
            self._forget(len(old))

    def _forget(self, count: int) -> None:
        if not self._lost:
            _log.error("uses of scopes (%d) are forgotten that could not be reported; what was never used is not known any more", count)
        self._lost = True


def _cut(uses: list[_Entry]) -> list[_Entry]:
    """As many as fit into one report, each authorization once."""
    size, part, known = 100, list[_Entry](), set[str]()
    for authorization, scopes in uses[:MOST]:
        # A form writes a quote and a bracket with three letters, and so perhaps each letter of a scope.
        size += len(authorization) + 24 + sum([3 * len(scope) + 10 for scope in scopes])
        if part and (size > _BYTES or authorization in known):
            break
        part.append((authorization, scopes))
        known.add(authorization)
    return part


def _shown(day: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(day * _DAY))
