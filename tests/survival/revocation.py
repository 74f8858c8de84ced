"""How soon a revoked JWT is refused: `python -m tests.survival.revocation` measures 1,000 revocations and a burst of 10,000 events.

Tokens are given back at one node, and the guard follows the feed of another. What is measured is from the answer to the revocation
until the guard knows; what is said to have been revoked is refused from then on.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from gatewright_guard.feed import Event, Follower
from gatewright_guard.introspect import Credentials
from gatewright_guard.verify import Claims, read_claims
from tests.support.postgres import own_cluster
from tests.support.running import Deployment, Node, free_port
from tests.support.world import claims_of
from tests.survival.platform import CLIENT_SECRET, CLOCK, PLATFORM, SECRETS
from tests.survival.propagation import cut_listening, quantile

SERVICE: Final = ("service", CLIENT_SECRET)
SECONDS: Final = 30


class Guard(Follower):
    """A follower that tells when it heard something."""

    heard: asyncio.Event

    def start(self) -> None:
        """Begin to follow."""
        self.heard = asyncio.Event()
        super().start()

    def _take(self, event: Event) -> None:
        super()._take(event)
        self.heard.set()

    async def knows(self, wanted: Sequence[Claims]) -> None:
        """Wait until it knows that all of these are over."""
        while not all(self.revoked(one) for one in wanted):
            self.heard.clear()
            await self.heard.wait()


def claims(token: str) -> Claims:
    """Return what a JWT of ours says."""
    members = claims_of(token)
    return read_claims(members, issuer=str(members["iss"]), audience=CLOCK[0], now=float(str(members["iat"])))


def http_to(node: Node) -> httpx.AsyncClient:
    """Return a client that talks to this very server under the deployment's address."""
    limits = httpx.Limits(max_connections=1000)
    return httpx.AsyncClient(base_url=node.url, headers=node.host, timeout=30, trust_env=False, limits=limits)


@asynccontextmanager
async def following(node: Node, http: httpx.AsyncClient, *, max_away: float = 15.0) -> AsyncIterator[Guard]:
    """Follow a node's feed as the clock's guard does, from when everything is known."""
    follower = Guard(http, Credentials(*CLOCK), f"{node.url}/-/feed", max_away=max_away)
    follower.start()
    try:
        assert await follower.until_current(SECONDS), f"nothing was heard at {node.url}"
        yield follower
    finally:
        await follower.aclose()


async def bought(http: httpx.AsyncClient, count: int) -> list[str]:
    """Return so many tokens of the service for the clock."""
    form = {"grant_type": "client_credentials", "scope": "read:clock"}
    found: list[str] = []
    while len(found) < count:
        answers = await asyncio.gather(*[http.post("/token", data=form, auth=SERVICE) for _ in range(min(20, count - len(found)))])
        found += [str(answer.raise_for_status().json()["access_token"]) for answer in answers]
    return found


async def revoke(http: httpx.AsyncClient, token: str) -> None:
    """Give a token back."""
    answer = await http.post("/revoke", data={"token": token}, auth=SERVICE)
    assert answer.status_code == httpx.codes.OK, answer.text


async def known(followers: Sequence[Guard], tokens: Sequence[str]) -> float:
    """Wait until every guard knows of every token; return when that was."""
    wanted = [claims(token) for token in tokens]
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*[follower.knows(wanted) for follower in followers])
    return time.perf_counter()


async def one_by_one(nodes: Sequence[Node], count: int, *, cut: bool) -> list[float]:
    """Revoke so many tokens, one after the other; return for each the seconds until the guard knew, the shortest first."""
    took = []
    async with AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(http_to(node)) for node in (nodes[0], nodes[-1])]
        follower = await stack.enter_async_context(following(nodes[-1], there))
        for token in await bought(here, count):
            if cut:
                await cut_listening(nodes[0].deployment.store_url)
            await revoke(here, token)
            begun = time.perf_counter()
            took.append(await known([follower], [token]) - begun)
    return sorted(took)


async def at_once(nodes: Sequence[Node], guards: int, count: int) -> tuple[float, float]:
    """Revoke tokens at once under so many guards; return the seconds for all of it, and from the last answer until all knew."""
    async with AsyncExitStack() as stack:
        https = [await stack.enter_async_context(http_to(node)) for node in nodes]
        pairs = [(nodes[number % len(nodes)], https[number % len(nodes)]) for number in range(guards)]
        followers = [await stack.enter_async_context(following(node, http)) for node, http in pairs]
        tokens = await bought(https[0], count)
        begun = time.perf_counter()
        await asyncio.gather(*[revoke(https[0], token) for token in tokens])
        answered = time.perf_counter()
        done = await known(followers, tokens)
    return done - begun, done - answered


def said(times: list[float]) -> str:
    """Return a line of figures."""
    p50, p99, worst = (quantile(times, share) * 1000 for share in (0.5, 0.99, 1.0))
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revocations", type=int, default=1000)
    parser.add_argument("--guards", type=int, default=100)
    parser.add_argument("--events", type=int, default=100)
    chosen = parser.parse_args()
    slow = False
    with ExitStack() as stack:
        cluster = stack.enter_context(own_cluster())
        for engine, url in (("PostgreSQL", cluster.url), ("SQLite", "")):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            deployment = Deployment(folder / "data", store_url=url, secrets=SECRETS).prepare(PLATFORM)
            with deployment.serve() as here, deployment.serve(port=free_port()) as there:
                for cut in (False, True) if url else (False,):
                    times = asyncio.run(one_by_one((here, there), chosen.revocations, cut=cut))
                    how = ", the line that tells of changes cut before each" if cut else ""
                    print(f"{engine}: {chosen.revocations} revocations, two servers{how}: {said(times)}")  # noqa: T201 - what was asked for
                    slow |= quantile(times, 0.99) > 1
                whole, after = asyncio.run(at_once((here, there), chosen.guards, chosen.events))
                burst = f"{chosen.guards} guards x {chosen.events} revocations at once"
                print(f"{engine}: {burst}: {whole * 1000:.0f} ms in all, {after * 1000:.0f} ms after the last answer")  # noqa: T201
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
