import asyncio
from functools import partial

import pytest

from gatewright.base.kept import Kept


class Source:
    """Counts its readings, and can be made to wait or to fail."""

    def __init__(self) -> None:
        self.values: dict[int, str] = {1: "one", 2: "two", 3: "three"}
        self.read: list[int] = []
        self.gate: asyncio.Event | None = None
        self.fresh = True

    async def load(self, key: int) -> str | None:
        self.read.append(key)
        value = self.values.get(key)
        if self.gate is not None:
            await self.gate.wait()
        if value == "fails":
            raise OSError(value)
        return value

    def kept(self, limit: int = 2) -> Kept[int, str]:
        return Kept(self.load, limit=limit, fresh=lambda: self.fresh)


async def others() -> None:
    """Let everybody else go as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_value_is_read_once() -> None:
    source = Source()
    kept = source.kept()
    assert [await kept.get(1) for _ in range(3)] == ["one"] * 3
    assert source.read == [1]


async def test_what_is_not_found_is_looked_for_each_time() -> None:
    source = Source()
    kept = source.kept()
    assert await kept.get(9) is None
    source.values[9] = "nine"
    assert await kept.get(9) == "nine"


async def test_the_longest_unused_goes_first() -> None:
    source = Source()
    kept = source.kept()
    for key in (1, 2, 1, 3, 1, 2):
        await kept.get(key)
    assert source.read == [1, 2, 3, 2]
    assert len(kept) == 2


async def test_while_changes_are_not_heard_every_get_reads() -> None:
    source = Source()
    kept = source.kept()
    await kept.get(1)
    source.fresh = False
    source.values[1] = "changed"
    assert await kept.get(1) == "changed"
    assert await kept.get(1) == "changed"
    assert source.read == [1, 1, 1]


async def test_what_was_forgotten_is_read_anew() -> None:
    source = Source()
    kept = source.kept()
    for forget in (partial(kept.forget, 1), partial(kept.forget_where, lambda key, _: bool(key == 1)), kept.forget_all):
        await kept.get(1)
        source.values[1] += "!"
        forget()
        assert await kept.get(1) == source.values[1]


async def test_many_who_ask_at_once_cause_one_reading() -> None:
    source = Source()
    source.gate = asyncio.Event()
    kept = source.kept()
    asking = [asyncio.create_task(kept.get(1)) for _ in range(20)]
    await others()
    asking[0].cancel()
    await others()
    source.gate.set()
    assert await asyncio.gather(*asking[1:]) == ["one"] * 19
    assert source.read == [1]


async def test_a_reading_that_a_change_overtook_is_not_kept() -> None:
    source = Source()
    source.gate = asyncio.Event()
    kept = source.kept()
    early = asyncio.create_task(kept.get(1))
    await others()
    source.values[1] = "changed"
    kept.forget(1)
    late = asyncio.create_task(kept.get(1))
    await others()
    source.gate.set()
    assert await early == "one"
    assert await late == "changed"
    assert await kept.get(1) == "changed"
    assert source.read == [1, 1]


async def test_a_reading_that_failed_is_tried_again() -> None:
    source = Source()
    kept = source.kept()
    source.values[1] = "fails"
    with pytest.raises(OSError, match="fails"):
        await kept.get(1)
    source.values[1] = "one"
    assert await kept.get(1) == "one"
