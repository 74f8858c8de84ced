"""A process that delivers, to be killed: python deliverer.py STORE_URL NOW."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_network
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gatewright.base.log import Log
from gatewright.keys.fetch import Names, WebFetch
from gatewright.keys.sealer import Wrapper
from gatewright.store import open_store
from gatewright.webhooks.courier import Courier
from tests.support.clock import TestClock
from tests.support.world import ROOT


async def main(url: str, now: int) -> None:
    """Deliver what is due, and wait for the end."""
    clock = TestClock(now, "another process")
    fetch = WebFetch(resolve=Names(1), private=(ip_network("127.0.0.0/8"),))
    courier = Courier(await open_store(url), clock, fetch, Wrapper(ROOT), Log(clock))
    await courier.round()
    await courier.settled()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
