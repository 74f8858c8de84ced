"""Devices that wait, as a state machine with two nodes: what each question is answered, and what came of each answer."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.device import FORGIVEN, INTERVAL, LIFETIME, LONGEST_INTERVAL, SLOWER
from gatewright.oauth.errors import OAuthError
from gatewright.store import Query, open_store
from tests.support import builders as b
from tests.support.devices import a_device, begin, number_of, poll, say_no, say_yes
from tests.support.world import Playground, open_playground

STATES = Query(
    str,
    "SELECT id || ' ' || COALESCE(ended_because, 'live') || CASE WHEN code_used_by IS NULL THEN '' ELSE ' used' END FROM authorization_row",
)


@dataclass
class Waits:
    """What the model knows of one request."""

    begun: dict[str, Any]
    over_at: int
    interval: int = INTERVAL
    answer: str = ""
    used: bool = False
    ended: bool = False
    # Of each node: when it was last asked, and for how long the device has to wait since.
    asked: dict[int, tuple[int, int]] = field(default_factory=dict)


class Devices(RuleBasedStateMachine):
    """Two nodes on one store, a device's client and another one."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.waiting: list[Waits] = []

    @initialize()
    def opens(self) -> None:
        self.runner.run(self._open())

    async def _open(self) -> None:
        folder = Path(self.folder.name)
        first = await open_playground(folder)
        second = Playground(await open_store(f"sqlite:///{folder / 'store.db'}", synchronous="OFF"), first.clock)
        self.nodes = (first, second)
        for node in self.nodes:
            await node.add(a_device())
            await node.add(replace(a_device(), id=2002, client_id="other"))

    @property
    def now(self) -> int:
        return self.nodes[0].clock.now

    @precondition(lambda self: len(self.waiting) < 4)
    @rule(node=st.integers(0, 1))
    def begins(self, node: int) -> None:
        self.waiting.append(Waits(self.runner.run(begin(self.nodes[node])), self.now + LIFETIME))

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 3), node=st.integers(0, 1), times=st.integers(1, 3))
    def asks(self, which: int, node: int, times: int) -> None:
        one = self.waiting[which % len(self.waiting)]
        for _ in range(times):
            assert self._answer(node, one) == self._expected(node, one)

    def _answer(self, node: int, one: Waits, client: str = "budget-buddy") -> str:
        try:
            self.runner.run(poll(self.nodes[node], one.begun, client_id=client))
        except OAuthError as error:
            return error.code
        return "tokens"

    def _expected(self, node: int, one: Waits) -> str:
        last = one.asked.get(node)
        if last is not None and self.now < last[0] + last[1] - FORGIVEN:
            return self._slowed(node, one, last[1])
        if one.answer == "allowed":
            if one.used:
                one.ended = True
                return "invalid_grant"
            if self.now >= one.over_at:
                return "expired_token"
            one.used = not one.ended
            return "invalid_grant" if one.ended else "tokens"
        if one.answer == "denied":
            return "access_denied"
        if self.now >= one.over_at:
            return "expired_token"
        if last is not None and self.now < last[0] + one.interval - FORGIVEN:
            return self._slowed(node, one, one.interval)
        one.asked[node] = (self.now, one.interval)
        return "authorization_pending"

    def _slowed(self, node: int, one: Waits, interval: int) -> str:
        longer = min(interval + SLOWER, LONGEST_INTERVAL)
        one.asked[node] = (self.now, longer)
        if not one.answer:
            one.interval = max(one.interval, longer)
        return "slow_down"

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 3), node=st.integers(0, 1))
    def another_client_asks(self, which: int, node: int) -> None:
        assert self._answer(node, self.waiting[which % len(self.waiting)], "other") == "invalid_grant"

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 3), node=st.integers(0, 1), yes=st.booleans())
    def is_answered(self, which: int, node: int, yes: bool) -> None:
        one, at = self.waiting[which % len(self.waiting)], self.nodes[node]
        counted = self.runner.run(say_yes(at, one.begun, OPENID) if yes else say_no(at, one.begun))
        assert counted == (not one.answer and self.now < one.over_at)
        if counted:
            one.answer = "allowed" if yes else "denied"

    @rule(seconds=st.sampled_from([1, 1, 3, 4, 5, 5, 9, 10, 14, 60, 300, 600]))
    def time_passes(self, seconds: int) -> None:
        self.nodes[0].clock.pass_(seconds)

    @rule()
    def everything_is_withdrawn(self) -> None:
        self.runner.run(self._withdraw())
        for one in self.waiting:
            one.ended = one.ended or one.answer == "allowed"

    async def _withdraw(self) -> None:
        ground = self.nodes[0]
        number = await ground.number("SELECT id FROM consent_grant WHERE ended_at IS NULL")
        if number is not None:
            await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=number, because="withdrawn", actor="us_x")

    @invariant()
    def there_is_an_authorization_for_each_yes_and_it_was_used_where_the_model_says(self) -> None:
        if not self.waiting:
            return
        rows = {int(line.split()[0]): line for line in self.runner.run(self.nodes[1].store.all(STATES))}
        allowed = [one for one in self.waiting if one.answer == "allowed"]
        assert set(rows) == {number_of(one.begun) for one in allowed}
        for one in allowed:
            assert ("used" in rows[number_of(one.begun)]) == one.used

    def teardown(self) -> None:
        if hasattr(self, "nodes"):
            for node in self.nodes:
                self.runner.run(node.store.close())
        self.runner.close()
        self.folder.cleanup()


def test_devices_are_told_on_both_nodes_what_the_model_says() -> None:
    run_state_machine_as_test(Devices, settings=settings(max_examples=60, stateful_step_count=30))
