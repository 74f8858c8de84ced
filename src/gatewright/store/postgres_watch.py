"""Being told of commits on other nodes: LISTEN, beside the looking that goes on when the line is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gatewright.store.postgres_line import Dial, Line

CHANNEL: Final = "gatewright_change"
_AGAIN: Final = 0.5  # seconds between two tries to connect


class PostgresWatch:
    """Holds one connection that listens. Losing it loses nothing but time: rows are looked for every 0.4 s anyway."""

    every: Final = 0.4

    def __init__(self, dial: Dial, wake: Callable[[], None]) -> None:
        self._line = Line(replace(dial, name=f"{dial.name} listen"))
        self._wake = wake
        self._task = asyncio.get_running_loop().create_task(self._listen())

    def moved(self) -> bool:
        return True

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._line.close()

    async def _listen(self) -> None:
        while True:
            # Whatever dialling and listening fail at: who does not listen any more hears nothing until the process ends.
            with suppress(Exception):
                await self._line.listen(CHANNEL, self._wake)
            self._line.drop()
            await asyncio.sleep(_AGAIN)
