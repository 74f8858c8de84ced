"""The look-up of names for the ways out: name servers that hang are nobody's trouble but that of those who chose them."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gatewright.keys.fetch import Names, WebFetch
from gatewright.oauth.ports import FetchFailed
from gatewright.webhooks.ports import Answered
from tests.outbound.site import HOST, Site, site, trusting
from tests.outbound.test_fetch import LOOPBACK
from tests.support.waiting import until

SECONDS = 30.0


class NameServers:
    """Stand behind `socket.getaddrinfo`. They find every host on this machine, but one whose name begins with `hang` only when let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.gone: set[str] = set()
        self.go = threading.Event()
        self._known: Any = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._find)

    def _find(self, host: str, port: int, **how: Any) -> Any:  # noqa: ANN401 - the system's own
        self.asked.append(host)
        if host.startswith("hang"):
            assert self.go.wait(SECONDS)
            self.asked.append("let go")
        if host.endswith(".none") or host in self.gone:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self._known("127.0.0.1", port, **how)

    async def see(self, *hosts: str) -> None:
        """Wait until these were asked for."""
        await asyncio.to_thread(until, lambda: set(hosts) <= set(self.asked), f"{hosts} to be asked for")


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> NameServers:
    return NameServers(monkeypatch)


@pytest.fixture
async def app() -> AsyncIterator[Site]:
    async with site() as open_site:
        yield open_site


@contextmanager
def looking(servers: NameServers, threads: int) -> Iterator[Names]:
    names = Names(threads)
    try:
        yield names
    finally:
        servers.go.set()
        names.close()


def ask(names: Names, *hosts: str) -> list[asyncio.Task[list[str]]]:
    async def one(host: str) -> list[str]:
        return await asyncio.wait_for(names(host, 443), SECONDS)

    return [asyncio.create_task(one(host)) for host in hosts]


async def test_events_to_one_host_ask_for_its_name_once(servers: NameServers, app: Site) -> None:
    app.answers(b"HTTP/1.1 204 No Content\r\n\r\n")
    with looking(servers, 32) as names:
        fetch = WebFetch(private=LOOPBACK, tls=trusting(), resolve=names)
        posts = [asyncio.create_task(fetch.post(f"https://{HOST}:{app.port}/{number}", b"{}", {})) for number in range(4)]
        assert await asyncio.gather(*posts) == [Answered(204, None)] * 4
        assert servers.asked.count(HOST) == 1
        await fetch.post(f"https://{HOST}:{app.port}/later", b"{}", {})
        assert servers.asked.count(HOST) == 2, "what was found is not kept: a name may move"


async def test_a_name_that_cannot_be_found_is_said_to_all_who_wait_and_asked_for_anew(servers: NameServers) -> None:
    with looking(servers, 2) as names:
        for times in (1, 2):
            fetch = WebFetch(resolve=names)
            posts = [asyncio.create_task(fetch.post("https://app.none/", b"{}", {})) for _ in range(3)]
            found = await asyncio.gather(*posts, return_exceptions=True)
            assert [type(each) for each in found] == [FetchFailed] * 3
            assert servers.asked.count("app.none") == times


async def test_many_events_to_hosts_that_hang_leave_room_for_others(servers: NameServers) -> None:
    with looking(servers, 32) as names:
        hung = ask(names, *[f"hang{number}.test" for number in range(8) for _ in range(4)])
        await servers.see(*[f"hang{number}.test" for number in range(8)])
        assert await names("good.test", 443) == ["127.0.0.1"]
        servers.go.set()
        assert await asyncio.gather(*hung) == [["127.0.0.1"]] * 32


async def test_hosts_that_answered_at_once_do_not_wait_for_those_that_hang(servers: NameServers) -> None:
    with looking(servers, 4) as names:
        await names("good.test", 443)
        hung = ask(names, *[f"hang{number}.test" for number in range(20)])
        await servers.see("hang0.test", "hang1.test")
        for _ in range(3):
            assert await asyncio.wait_for(names("good.test", 443), SECONDS) == ["127.0.0.1"]
        assert sum(host.startswith("hang") for host in servers.asked) == 2, "half of the threads"
        servers.go.set()
        await asyncio.gather(*hung)


@pytest.mark.parametrize("how", ["slow", "gone", "long ago"])
async def test_a_host_that_did_not_answer_at_once_has_no_place_of_its_own(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with looking(servers, 2) as names:
        await names("app.test", 443)
        if how == "slow":
            with monkeypatch.context() as hurry:
                hurry.setattr("gatewright.keys.fetch._QUICK", 0)
                await names("app.test", 443)
        elif how == "gone":
            servers.gone.add("app.test")
            with pytest.raises(socket.gaierror):
                await names("app.test", 443)
        else:
            monkeypatch.setattr("gatewright.keys.fetch._QUICK_HOSTS", 1)
        await names("well.test", 443)
        servers.asked.clear()
        hung = ask(names, "hang.test")
        await servers.see("hang.test")
        late = ask(names, "app.test", "last.test")
        await asyncio.sleep(0)
        await names("well.test", 443)
        servers.go.set()
        await asyncio.gather(*hung, *late, return_exceptions=True)
        assert servers.asked == ["hang.test", "well.test", "let go", "app.test", "last.test"]


async def test_who_waits_no_longer_takes_the_answer_from_nobody_and_no_thread(servers: NameServers) -> None:
    with looking(servers, 2) as names:
        one, other = ask(names, "hang.test", "hang.test")
        await servers.see("hang.test")
        queued, left = ask(names, "next.test", "left.test")
        await asyncio.sleep(0)
        for task in (one, left):
            task.cancel()
        await asyncio.gather(one, left, return_exceptions=True)
        servers.go.set()
        assert await other == await queued == ["127.0.0.1"]
        assert await names("last.test", 443) == ["127.0.0.1"]
        assert servers.asked == ["hang.test", "let go", "next.test", "last.test"]


async def test_a_host_that_everybody_left_alone_can_be_asked_for_again(servers: NameServers) -> None:
    with looking(servers, 2) as names:
        hung = ask(names, "hang.test")
        await servers.see("hang.test")
        left = asyncio.create_task(names("next.test", 443))
        await asyncio.sleep(0)
        left.cancel()
        again = asyncio.create_task(names("next.test", 443))  # in the very turn of the loop in which it is left
        await asyncio.gather(left, return_exceptions=True)
        servers.go.set()
        assert await asyncio.gather(*hung, again) == [["127.0.0.1"]] * 2


async def test_a_failure_that_nobody_waited_for_is_no_crash_of_the_loop(servers: NameServers) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
    with looking(servers, 2) as names:
        left = ask(names, "hang.none")[0]
        await servers.see("hang.none")
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        del left  # its traceback keeps what nobody waits for
        servers.go.set()
        assert await names("next.test", 443) == ["127.0.0.1"], "after it, in the same thread"
    await asyncio.sleep(0)
    gc.collect()
    assert complaints == []
