"""The servers that are measured: started as an operator starts them, kept to one core, stopped at the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.load import get
from bench.world import SECRETS, platform_file
from gatewright.base.moment import SystemClock
from gatewright.keys.root import RootKey, make_key_file

ROOT: Final = Path(__file__).resolve().parent.parent
_PATIENCE: Final = 60.0


class Trouble(Exception):
    """The benchmark cannot go on; the text says why."""


def cores() -> tuple[frozenset[int], frozenset[int]]:
    """Return the core of server and database, and the generator's: the same where there is but one."""
    mine = sorted(os.sched_getaffinity(0))
    return frozenset(mine[:1]), frozenset(mine[-1:])


@contextmanager
def pinned(where: frozenset[int]) -> Iterator[None]:
    """Keep to some cores whatever is started within the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, where)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def await_port(port: int) -> None:
    """Wait until somebody listens on a port."""
    limit = time.perf_counter() + _PATIENCE
    while time.perf_counter() < limit:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE).close()
        except ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise Trouble("nobody listens")


@dataclass(slots=True)
class Place:
    """A deployment: its folder, its store's address, its root key, its settings as an operator would give them."""

    folder: Path
    store_url: str
    port: int
    root: RootKey
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, store_url: str) -> Place:
        """Make a folder and a key for a store that is empty still."""
        folder.mkdir(parents=True)
        return cls(folder, store_url, free_port(), make_key_file(folder / "root.key", SystemClock().moment().dice))

    @property
    def origin(self) -> str:
        """The issuer."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings in the environment; everything else is at its default."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWRIGHT_")}
        return {
            **clean,
            **SECRETS,
            "GATEWRIGHT_DATA": str(self.folder),
            "GATEWRIGHT_KEY_FILE": str(self.folder / "root.key"),
            "GATEWRIGHT_STORE_URL": self.store_url,
            "GATEWRIGHT_LISTEN_PORT": str(self.port),
            **self.extra,
        }

    def gatewright(self, *words: str) -> str:
        """Run a command to its end and return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "gatewright", *words], env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Trouble(f"'gatewright {words[0]}' failed:\n{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def apply(self) -> None:
        """Make the platform of the benchmarks."""
        file = self.folder / "platform.toml"
        file.write_text(platform_file(self.origin))
        self.gatewright("apply", str(file))


@dataclass(slots=True)
class Server:
    """A running server and how long it took to give its first answer."""

    place: Place
    process: subprocess.Popen[bytes]
    first_answer_ms: float

    @classmethod
    def start(cls, place: Place, *, workers: int, where: frozenset[int]) -> Server:
        """Start a server on the given cores and wait for its first answer, a signed token's worth of being ready."""
        log = (place.folder / "server.log").open("ab")
        with pinned(where), log:
            begun = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "gatewright", "serve", "--workers", str(workers)],
                env=place.environment,
                cwd=place.folder,
                stdout=log,
                stderr=log,
            )
        _first_answer(process, place)
        return cls(place, process, (time.perf_counter() - begun) * 1000)

    @property
    def pid(self) -> int:
        """The supervisor."""
        return self.process.pid

    def stop(self) -> None:
        """Stop it as an operator would."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _first_answer(process: subprocess.Popen[bytes], place: Place) -> None:
    request = get(place.origin.partition("://")[2], "/jwks", "Connection: close\r\n")
    limit = time.perf_counter() + _PATIENCE
    while time.perf_counter() < limit:
        if process.poll() is not None:
            raise Trouble(f"the server did not start:\n{(place.folder / 'server.log').read_text()[-2000:]}")
        try:
            with socket.create_connection(("127.0.0.1", place.port), timeout=_PATIENCE) as sock:
                sock.sendall(request)
                if sock.recv(12) == b"HTTP/1.1 200":
                    return
        except ConnectionError:
            pass
        time.sleep(0.005)
    raise Trouble("the server did not answer within a minute")
