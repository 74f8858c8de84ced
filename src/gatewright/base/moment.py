"""The only door to time and chance: one `Moment` is made for each request and passed down from there."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

from gatewright.base.digest import b64

_POOL_BYTES = 2048
_ID_EPOCH_MS = 1_704_067_200_000  # 2024-01-01: 42 bits of milliseconds last until 2163


class Dice(Protocol):
    """Where chance comes from."""

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""


class SystemDice:
    """The operating system's entropy, fetched in blocks, since a system call per draw is a tenth of a token's cost."""

    __slots__ = ("_at", "_lock", "_pool")

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        # A forked worker that kept the pool would draw its parent's numbers again.
        self._pool = b""
        self._at = 0
        self._lock = threading.Lock()

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes; no byte is ever handed out twice."""
        with self._lock:
            end = self._at + count
            if end > len(self._pool):
                self._pool = os.urandom(max(_POOL_BYTES, count))
                self._at, end = 0, count
            drawn = self._pool[self._at : end]
            self._at = end
            return drawn


class IdMaker:
    """Makes 63-bit time-ordered ids: 42 bits of milliseconds, 9 bits of node, 12 bits of counter."""

    __slots__ = ("_last_ms", "_lock", "_node", "_serial", "_start")

    def __init__(self, dice: Dice) -> None:
        self._lock = threading.Lock()
        self._draw_node(dice)
        self._last_ms = 0
        os.register_at_fork(after_in_child=lambda: self._draw_node(SystemDice()))

    def _draw_node(self, dice: Dice) -> None:
        # Node and start are drawn, not configured: two nodes that draw alike collide on a primary key, which is retried.
        raw = int.from_bytes(dice.bytes(4), "big")
        self._lock = threading.Lock()
        self._node = raw & 0x1FF
        self._serial = self._start = (raw >> 9) & 0x7FF

    def next(self, now_ms: int) -> int:
        """Return an id later than every other that this maker returned."""
        with self._lock:
            moment = max(now_ms - _ID_EPOCH_MS, self._last_ms, 0)
            if moment == self._last_ms:
                self._serial += 1
                if self._serial > 0xFFF:
                    # Never round to smaller numbers: an id is later than every other.
                    self._serial = self._start
                    moment += 1
            else:
                self._serial = self._start
            self._last_ms = moment
            return moment << 21 | self._node << 12 | self._serial


class Moment:
    """Now, and dice, for one request. `now` is whole seconds since 1970, UTC; `now_ms` the same in milliseconds."""

    __slots__ = ("_ids", "dice", "now", "now_ms")

    def __init__(self, now_ms: int, dice: Dice, ids: IdMaker) -> None:
        self.now_ms = now_ms
        self.now = now_ms // 1000
        self.dice = dice
        self._ids = ids

    def id(self) -> int:
        """Return a new time-ordered row id."""
        return self._ids.next(self.now_ms)

    def text(self, count: int = 32) -> str:
        """Return `count` random bytes as base64url without padding (32 bytes are 43 characters)."""
        return b64(self.dice.bytes(count))

    def attempt(self) -> str:
        """Return a name for one attempt of a consuming verb, so that a retry of it is known as the same attempt."""
        return self.text(12)


class Clock(Protocol):
    """What hands out moments; a test passes its own."""

    def moment(self) -> Moment:
        """Return the present moment."""


class SystemClock:
    """The machine's clock and entropy."""

    __slots__ = ("_dice", "_ids")

    def __init__(self) -> None:
        self._dice = SystemDice()
        self._ids = IdMaker(self._dice)

    def moment(self) -> Moment:
        """Return the present moment."""
        return Moment(time.time_ns() // 1_000_000, self._dice, self._ids)
