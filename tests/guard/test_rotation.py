"""An issuer's key follows another while APIs are called: a real server, fresh tokens, several threads, and no good token refused."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import flask
import httpx
import pytest

from gatewright_guard.flask import caller, protect, requires
from gatewright_guard.keys import KEY_TERMS
from gatewright_guard.sync import SyncGuard
from tests.guard.cases import Call, bearing
from tests.guard.drivers import called
from tests.support.running import Deployment, Node
from tests.support.waiting import until
from tests.survival.platform import CLIENT_SECRET, PLATFORM, SECRETS

AUDIENCE: Final = "https://clock.acme.test"
THREADS: Final = 3


@dataclass
class Ahead:
    """The real clock, and what a test sets it forward by."""

    seconds: float = 0

    def __call__(self) -> float:
        return time.time() + self.seconds


class Turned(NamedTuple):
    """A token that was refused: the key that signed it, and the answer."""

    kid: str
    status: int
    body: str


@dataclass
class Load:
    """Threads that each get a token, use it at once, and note what came of it."""

    app: flask.Flask
    token: Callable[[], str]
    good: dict[str, int] = field(default_factory=dict)  # the key that signed → how many were admitted
    refused: list[Turned] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        while not self.over.is_set():
            token = self.token()
            answer = called(self.app, Call("GET", "/time", bearing(token)))
            with self.lock:
                if answer.status == 200:
                    self.good[kid_of(token)] = self.good.get(kid_of(token), 0) + 1
                else:
                    self.refused.append(Turned(kid_of(token), answer.status, answer.body.decode()))

    def used(self, kids: set[str]) -> int:
        """How many tokens of these keys were admitted until now."""
        with self.lock:
            return sum(self.good.get(kid, 0) for kid in kids)


def kid_of(token: str) -> str:
    from base64 import urlsafe_b64decode

    head = token.partition(".")[0]
    kid: str = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    return kid


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with Deployment(tmp_path / "data", secrets=SECRETS).prepare(PLATFORM).serve() as running:
        yield running


@contextmanager
def loaded(node: Node, guard: SyncGuard) -> Iterator[Load]:
    """An API under load until the block ends."""
    app = flask.Flask("clock")
    protect(app, guard)
    app.add_url_rule("/time", view_func=requires("read:clock")(lambda: caller().sub))
    with node.client() as http:

        def token() -> str:
            said = {"grant_type": "client_credentials", "scope": "read:clock"}
            made: Any = http.post("/token", data=said, auth=("service", CLIENT_SECRET)).raise_for_status().json()
            return str(made["access_token"])

        load = Load(app, token)
        # Not under load: the guard waits two seconds for the keys, and has none from before to go on with.
        until(lambda: called(app, Call("GET", "/time", bearing(token()))).status == httpx.codes.OK, "the guard to have its keys")
        with ThreadPoolExecutor(THREADS) as threads:
            running = [threads.submit(load.run) for _ in range(THREADS)]
            try:
                yield load
            finally:
                load.over.set()
                for one in running:
                    one.result(30)


def published(node: Node) -> set[str]:
    """The keys that the server tells of."""
    with node.client() as http:
        return {key["kid"] for key in http.get("/jwks").json()["keys"]}


def knows(guard: SyncGuard, kids: set[str]) -> bool:
    """Whether the guard has these keys at hand."""
    running = guard._running
    keys = None if running is None else running.guard._keys._kept._value
    return keys is not None and kids <= {key.kid for key in keys.keys}


def replaced(node: Node, load: Load, known: Callable[[set[str]], bool]) -> str:
    """One key after another under load: published, known to whoever shall know it, then the old one is gone; return its name."""
    until(lambda: load.used(set(load.good)) > 20, "tokens of the first key")
    (old,), there = set(load.good), published(node)
    node.deployment.gatewright("keys", "rotate")
    fresh = until(lambda: published(node) - there, "the next keys")
    assert len(fresh) == len(there), "one for each algorithm, and all at once: whoever looks in between would miss the one that signs"
    until(lambda: known(fresh), "the guard to know what it shall")
    node.deployment.gatewright("keys", "retire", old, "--yes")
    until(lambda: load.used(fresh) > 100, "tokens of the next key")
    return old


def test_no_good_token_is_refused_while_one_key_follows_another(node: Node) -> None:
    clock = Ahead()
    with SyncGuard(node.url, AUDIENCE, clock=clock) as guard, loaded(node, guard) as load:

        def known(fresh: set[str]) -> bool:
            # Five minutes pass for the guard: it renews its keys in the background, while it uses those that it has.
            clock.seconds = KEY_TERMS.fresh_for + 1
            return knows(guard, fresh)

        replaced(node, load, known)
    assert load.refused == []
    assert len(load.good) == 2


def test_a_key_that_nobody_announced_is_fetched_when_a_token_names_it(node: Node) -> None:
    clock = Ahead()
    with SyncGuard(node.url, AUDIENCE, clock=clock) as guard, loaded(node, guard) as load:

        def known(fresh: set[str]) -> bool:
            # Long enough after the last look for another one, and too soon for one by itself.
            clock.seconds = KEY_TERMS.asked_pause + 1
            return not knows(guard, fresh)

        old = replaced(node, load, known)
    # A token that the old key signed just before it went is nobody's any more.
    assert [turned for turned in load.refused if turned.kid != old] == []
    assert len(load.good) == 2
