"""`gatewright serve`: checks everything in one child process, then holds the socket and the workers."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

import click

from gatewright.app import make_log, open_house, open_the_store, prepare
from gatewright.base.log import Bridge, Event, Log
from gatewright.base.moment import Clock, SystemClock
from gatewright.base.source import SourceFault
from gatewright.cli.supervisor import PortTaken, Supervisor, listen
from gatewright.jobs.runner import Jobs
from gatewright.keys.root import KeyFault
from gatewright.settings import Loaded, socket_address
from gatewright.store import StoreError
from gatewright.tenants.loopback import unreached
from gatewright.web.server import serve


def run(loaded: Loaded) -> int:
    """Serve until a signal; return the exit status."""
    clock = SystemClock()
    log = make_log(loaded, clock)
    settings = loaded.settings.listen
    try:
        sock = listen(settings.host, settings.port)
        ask = listen(*socket_address(settings.ask)) if settings.ask else None
    except PortTaken as taken:
        raise click.ClickException(str(taken)) from None
    host, port = sock.getsockname()[:2]
    # In a child, since the workers are forked from this process: no loop, no thread, no connection may have lived in it.
    if _in_child(lambda: _prepared(loaded, clock, log, (host, port))) != 0:
        return 1
    told = {} if ask is None else {"ask": "http://{}:{}".format(*ask.getsockname()[:2])}
    log.tell(Event.SERVER_STARTED, address=f"http://{host}:{port}", workers=settings.workers, **told)

    def work(number: int, lifeline: int) -> None:
        about = log.about(worker=number)
        # What libraries say goes the same way as what we say, so that no secret passes.
        logging.basicConfig(handlers=[Bridge(about)], level=logging.WARNING)

        async def worker() -> None:
            async with open_house(loaded, clock, about) as house:
                jobs = Jobs(house)
                jobs.start()
                about.tell(Event.WORKER_STARTED, pid=os.getpid())
                try:
                    await serve(house, sock, ask=ask, lifeline=lifeline, drain_seconds=loaded.drain_seconds)
                finally:
                    await jobs.stop()

        try:
            _loop(worker())
        except StoreError as fault:
            about.tell(Event.STORE_UNAVAILABLE, why=str(fault))
            sys.exit(1)
        except KeyFault as fault:
            about.tell(Event.ROOT_KEY_REFUSED, why=str(fault))
            sys.exit(1)

    def close() -> None:
        sock.close()
        if ask is not None:
            ask.close()
        log.tell(Event.SERVER_STOPPING)

    def say(worker: int, status: int, pause: int) -> None:
        log.tell(Event.WORKER_DIED, worker=worker, status=status, restart_in_ms=pause)

    status = Supervisor(work, settings.workers, clock, say, close, drain_seconds=loaded.drain_seconds + 5).run()
    log.tell(Event.SERVER_STOPPED)
    return status


def _prepared(loaded: Loaded, clock: Clock, log: Log, place: tuple[str, int]) -> int:
    async def ready() -> None:
        await prepare(loaded, clock, log)
        if not loaded.settings.listen.trusted_proxies:
            await _warn(loaded, log, place)

    try:
        _loop(ready())
    except (KeyFault, SourceFault, StoreError) as fault:
        print(f"Error: {fault}", file=sys.stderr)
        return 1
    return 0


async def _warn(loaded: Loaded, log: Log, place: tuple[str, int]) -> None:
    """Say so when nobody could reach a page here."""
    store = await open_the_store(loaded, os.environ)
    try:
        why = await unreached(store, *place)
    finally:
        await store.close()
    if why is not None:
        log.tell(Event.SERVER_UNREACHED, why=why)
        if sys.stderr.isatty():
            print(f"! {why}", file=sys.stderr)


def _loop(work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(work)


def _in_child(act: Callable[[], int]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = act()
        except BaseException:  # noqa: BLE001 - nothing stands above us that would tell
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
