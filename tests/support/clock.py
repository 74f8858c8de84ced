"""Time that stands still until a test moves it, and dice that fall the same way every time."""

from hashlib import sha256

from gatewright.base.moment import IdMaker, Moment

NOON = 1_800_000_000  # a Friday in 2027


class SeededDice:
    """A stream of bytes made of a seed."""

    def __init__(self, seed: str = "dice") -> None:
        self._seed = seed.encode()
        self._drawn = 0

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes of the stream."""
        found = b""
        while len(found) < count:
            self._drawn += 1
            found += sha256(self._seed + self._drawn.to_bytes(8, "big")).digest()
        return found[:count]


class TestClock:
    """The clock of a test: `now` is where it stands."""

    __test__ = False

    def __init__(self, now: int = NOON, seed: str = "dice") -> None:
        self.now = now
        self._dice = SeededDice(seed)
        self._ids = IdMaker(self._dice)

    def moment(self) -> Moment:
        """Return the present moment."""
        return Moment(self.now * 1000, self._dice, self._ids)

    def pass_(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds
