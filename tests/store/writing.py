"""Writes to a store until it is killed, telling what was acknowledged: writing.py URL FIRST COUNT (0: for ever)."""

import asyncio
import sys
from itertools import count, islice

from gatewright.store import open_store
from tests.store.things import ADD, BUMP, READ

URL, FIRST, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
numbers = count(FIRST) if not COUNT else islice(count(FIRST), COUNT)


async def main() -> None:
    """Eight writers share the numbers."""
    store = await open_store(URL, folder=None, name="gatewright test writing")

    async def write() -> None:
        for number in numbers:
            await store.verb(ADD, id=number, name="x", n=0)
            await store.verb(BUMP, id=1)
            assert await store.one(READ, id=number) is not None
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*[write() for _ in range(8)])
    await store.close()


asyncio.run(main())
