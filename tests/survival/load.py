"""Apps at work while a server is hurt: each keeps a record of what was acknowledged to it, and the record is checked afterwards.

An app does what a good one does: it repeats what was not answered, and it takes an answer for a promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode, urljoin

import httpx

from gatewright.oauth.pkce import challenge_of
from tests.support.running import Node
from tests.support.visitor import Visitor, arrival
from tests.support.waiting import until
from tests.survival.platform import CLIENT_SECRET, DESK, REDIRECT

VERIFIER: Final = "a-verifier-that-is-long-enough-0123456789-0123456789"
SCOPE: Final = "openid read:notes write:notes"
OWN: Final = ("own-app", CLIENT_SECRET)
ASKING: Final = ("asking-app", CLIENT_SECRET)


def request(client_id: str, scope: str = SCOPE, **more: str) -> str:
    """Return the address of an authorization request."""
    asked = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": scope,
        "state": "s",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return "/authorize?" + urlencode(asked | more)


def exchange_of(code: str) -> dict[str, str]:
    """Return the form that exchanges a code."""
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}


def refresh_of(token: str) -> dict[str, str]:
    """Return the form that uses a refresh token."""
    return {"grant_type": "refresh_token", "refresh_token": token}


@dataclass(slots=True)
class Chain:
    """One app's refresh tokens: the last that was acknowledged, and what each was followed by."""

    last: str
    access: str
    followed_by: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """What was acknowledged."""

    codes: dict[str, dict[str, Any]] = field(default_factory=dict)  # code → the tokens that it bought
    chains: list[Chain] = field(default_factory=list)
    consents: list[frozenset[str]] = field(default_factory=list)  # since the last acknowledged one, that among them
    faults: list[str] = field(default_factory=list)  # what no app may ever be answered
    unanswered: int = 0
    acknowledged: int = 0


class Load:
    """Several apps at one server."""

    def __init__(self, node: Node, http: httpx.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.record = Record()
        self._stopping = False
        self._recovery: asyncio.Task[bool] | None = None
        self._moved = asyncio.Condition()

    # ------------------------------------------------------------ what apps do

    async def refresh(self) -> None:
        """Refresh in a loop."""
        tokens = await self._tokens()
        chain = Chain(tokens["refresh_token"], tokens["access_token"])
        self.record.chains.append(chain)
        while not self._stopping:
            used = chain.last
            answer = await self._answered(partial(self.http.post, "/token", data=refresh_of(used), auth=OWN))
            if answer.status_code != httpx.codes.OK:
                self.record.faults.append(f"an acknowledged refresh token was refused: {answer.text}")
                return
            chain.last, chain.access = answer.json()["refresh_token"], answer.json()["access_token"]
            chain.followed_by[used] = chain.last
            await self._acknowledged()

    async def exchange(self) -> None:
        """Get codes and exchange them in a loop."""
        while not self._stopping:
            await self._tokens()

    async def consent(self, visitor: Visitor) -> None:
        """Say yes in a loop, now to one thing more and then to one thing less, which each time changes what was given."""
        untick: tuple[str, ...] = ()
        while not self._stopping:
            untick = () if untick else ("write:notes",)
            visitor.untick = untick
            given = frozenset({"read:notes", "write:notes"} - set(untick))
            self.record.consents.append(given)
            try:
                await asyncio.to_thread(visitor.authorize, request("asking-app", prompt="consent"))
            except (httpx.TransportError, AssertionError) as fault:
                if isinstance(fault, AssertionError) and not str(fault).startswith("50"):
                    self.record.faults.append(f"consenting failed: {fault}")
                    return
                await self._recovered()
                continue
            self.record.consents[:] = [given]
            await self._acknowledged()

    async def _tokens(self) -> dict[str, Any]:
        """Get a code and buy its tokens. A code whose exchange was not answered may have been used, so that "used" is no fault then."""
        while True:
            code = await self._code()
            before = self.record.unanswered
            answer = await self._answered(partial(self.http.post, "/token", data=exchange_of(code), auth=OWN))
            if answer.status_code == httpx.codes.OK:
                tokens: dict[str, Any] = answer.json()
                self.record.codes[code] = tokens
                await self._acknowledged()
                return tokens
            if self.record.unanswered == before:
                self.record.faults.append(f"an acknowledged code was refused: {answer.text}")
                raise AssertionError(self.record.faults[-1])

    async def _code(self) -> str:
        target = request("own-app")
        for _ in range(8):
            answer = await self._answered(partial(self.http.get, target))
            assert answer.is_redirect, f"{answer.status_code} {answer.text}"
            where = urljoin(str(answer.request.url), answer.headers["location"])
            if where.startswith(REDIRECT):
                return arrival(where).params["code"]
            target = httpx.URL(where).raw_path.decode()
        raise AssertionError("the authorization request never ended")

    async def _answered(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Ask until there is an answer; "not now" is none."""
        while True:
            try:
                answer = await ask()
            except httpx.TransportError:
                pass
            else:
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return answer
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    self.record.faults.append(f"{answer.status_code}: {answer.text}")
            self.record.unanswered += 1
            await self._recovered()

    async def _recovered(self) -> None:
        # One looks for all: each of them in a thread would leave none for the test itself.
        if self._recovery is None or self._recovery.done():
            self._recovery = asyncio.create_task(asyncio.to_thread(until, self.node.answers, "the server to answer again", 60))
        await self._recovery

    # ------------------------------------------------------------ watching it

    async def _acknowledged(self) -> None:
        async with self._moved:
            self.record.acknowledged += 1
            self._moved.notify_all()

    async def more(self, count: int) -> None:
        """Wait until so many more things were acknowledged."""
        goal = self.record.acknowledged + count
        async with self._moved:
            await self._moved.wait_for(lambda: self.record.acknowledged >= goal or bool(self.record.faults))

    def stop(self) -> None:
        """Let every app finish what it is at."""
        self._stopping = True


@asynccontextmanager
async def at_work(node: Node, *, refreshing: int = 4, exchanging: int = 2) -> AsyncIterator[Load]:
    """Let apps work at a server until the block ends, and hand out what they recorded."""
    with node.client() as person:
        visitor = Visitor(person, node.deployment.issuer)
        await asyncio.to_thread(visitor.authorize, request("asking-app", "read:notes write:notes"))
        async with httpx.AsyncClient(base_url=node.url, headers=node.host, cookies=person.cookies, timeout=30, trust_env=False) as http:
            load = Load(node, http)
            apps = [load.refresh() for _ in range(refreshing)] + [load.exchange() for _ in range(exchanging)] + [load.consent(visitor)]
            tasks = [asyncio.create_task(app) for app in apps]
            try:
                yield load
            finally:
                load.stop()
                done = await asyncio.gather(*tasks, return_exceptions=True)
            load.record.faults += [repr(one) for one in done if isinstance(one, BaseException)]


def check(node: Node, record: Record) -> None:
    """See that everything which was acknowledged is there, and is there once."""
    assert record.faults == [], record.faults
    with node.client() as http:
        for tokens in record.codes.values():
            said = http.post("/introspect", data={"token": tokens["access_token"]}, auth=DESK).json()
            assert said["active"], "what a code bought is gone"
        for chain in record.chains:
            _check_chain(http, chain)
        _check_consent(http, node, record)
        for code in record.codes:
            again = http.post("/token", data=exchange_of(code), auth=OWN)
            assert (again.status_code, again.json()["error"]) == (400, "invalid_grant"), "a code was good twice"
    _check_log(node.log, record)


def _check_log(log: str, record: Record) -> None:
    """Nothing that opens anything is in the log."""
    opens = [CLIENT_SECRET, *record.codes, *(chain.last for chain in record.chains)]
    opens += [tokens[name] for tokens in record.codes.values() for name in ("access_token", "refresh_token", "id_token")]
    assert [text[:8] for text in opens if text in log] == []


def _check_chain(http: httpx.Client, chain: Chain) -> None:
    """The last token works once, or again with the same answer; whoever comes with the one before is a thief."""
    assert len(set(chain.followed_by.values())) == len(chain.followed_by), "two refresh tokens had the same successor"
    assert http.post("/introspect", data={"token": chain.access}, auth=DESK).json()["active"]
    used, again = (http.post("/token", data=refresh_of(chain.last), auth=OWN) for _ in range(2))
    assert used.status_code == again.status_code == httpx.codes.OK, used.text + again.text
    assert used.json()["refresh_token"] == again.json()["refresh_token"], "one refresh token had two successors"
    moved = http.post("/token", data=refresh_of(used.json()["refresh_token"]), auth=OWN)
    assert moved.status_code == httpx.codes.OK, moved.text
    stolen = http.post("/token", data=refresh_of(chain.last), auth=OWN)
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert http.post("/introspect", data={"token": moved.json()["access_token"]}, auth=DESK).json() == {"active": False}


def _check_consent(http: httpx.Client, node: Node, record: Record) -> None:
    """What was said yes to last is remembered: a request for it is not asked about."""
    visitor = Visitor(http, node.deployment.issuer)
    scopes = min(record.consents, key=len)
    arrived = visitor.authorize(request("asking-app", " ".join(sorted(scopes))))
    assert visitor.seen == ["Sign in"]
    tokens = http.post("/token", data=exchange_of(arrived.params["code"]), auth=ASKING).json()
    assert frozenset(tokens["scope"].split()) == scopes
