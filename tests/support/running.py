"""Deployments as operators run them: a folder, a store, a platform file, and servers in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from tests.support.waiting import until

ROOT: Final = Path(__file__).resolve().parents[2]
ISSUER: Final = "{issuer}"  # stands in a platform's text for the address of the deployment
# Below the ports that the system hands out by itself, so that nobody gets one between our looking and our listening.
_PORTS: Final = count(os.getpid() * 7 % 3600)
# What a server says of its own faults; a run that says it was no good run. Events with their level: a caller may send the word too.
_FAULTS: Final = ("ERROR   request.failed", "ERROR   job.failed", "Traceback", "Task exception was never retrieved", "was never awaited")


def free_port() -> int:
    """Return a port of this machine that nobody listens on, and that no other test is told of."""
    for number in _PORTS:
        port = 29_000 + number % 3600
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return port
    raise AssertionError("no port is free")


@dataclass(slots=True)
class Deployment:
    """One store with its key and platform, on which any number of servers can run."""

    folder: Path
    store_url: str = ""  # empty: an SQLite file in the folder
    secrets: Mapping[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    listen: int = 0  # where its servers listen, if that is not the port of its address

    @property
    def issuer(self) -> str:
        """The address under which the platform is known, whichever server answers."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **more: str) -> dict[str, str]:
        """Return what a command or a server of this deployment gets to know."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWRIGHT_")}
        own = {"GATEWRIGHT_DATA": str(self.folder), "GATEWRIGHT_LISTEN_PORT": str(self.listen or self.port)}
        if self.store_url:
            own["GATEWRIGHT_STORE_URL"] = self.store_url
        return {**clean, **own, **self.secrets, **self.settings, **more}

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, however it ends; what is named is added to its environment."""
        command = [sys.executable, "-m", "gatewright", *words]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def gatewright(self, *words: str) -> str:
        """Run a command, which must succeed, and return what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"gatewright {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def prepare(self, *platforms: str) -> Deployment:
        """Make the root key and apply platforms."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gatewright("keys", "init")
        for text in platforms:
            self.apply(text)
        return self

    def copy(self, folder: Path, store_url: str = "") -> Deployment:
        """Copy what was prepared; the copy goes by the same address, but listens elsewhere. A store that is no file is copied elsewhere."""
        shutil.copytree(self.folder, folder)
        return Deployment(folder, store_url, self.secrets, dict(self.settings), self.port, free_port())

    def apply(self, platform: str) -> str:
        """Make a platform true; `{issuer}` and `{port}` in its text are this deployment's."""
        file = self.folder / "platform.toml"
        file.write_text(platform.replace(ISSUER, self.issuer).replace("{port}", str(self.port)), encoding="utf-8")
        return self.gatewright("apply", str(file))

    @contextmanager
    def serve(self, *, workers: int = 1, port: int = 0, **more: str) -> Iterator[Node]:
        """Run a server until the block ends; unless the test ended it, it must then stop by itself, cleanly and without faults."""
        node = self.start(workers=workers, port=port, **more)
        try:
            node.ready()
            yield node
        except BaseException:
            node.kill()
            print(node.log)  # noqa: T201 - shown beside the failure
            raise
        if not node.ended:
            node.stop()

    def start(self, *, workers: int = 1, port: int = 0, **more: str) -> Node:
        """Start a server and wait for nothing."""
        port = port or self.listen or self.port
        log = self.folder / f"server-{port}.log"
        command = [sys.executable, "-m", "gatewright", "serve", "--workers", str(workers)]
        environment = self.environment(GATEWRIGHT_LISTEN_PORT=str(port), **more)
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        return Node(self, port, process, log, workers)


@dataclass(slots=True)
class Node:
    """A running server: its supervisor and workers."""

    deployment: Deployment
    port: int
    process: subprocess.Popen[bytes]
    log_file: Path
    count: int
    ended: bool = False
    forgiven: tuple[str, ...] = ()  # faults that the test makes, and the server may tell

    @property
    def url(self) -> str:
        """Where this very server listens, which is the issuer only for the first of several nodes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything that it said."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def workers(self) -> list[int]:
        """The processes that answer."""
        return children(self.process.pid)

    def client(self) -> httpx.Client:
        """Return a client that talks to this very server under the deployment's address, as a load balancer would."""
        return httpx.Client(base_url=self.url, headers=self.host, timeout=30, trust_env=False)

    @property
    def host(self) -> dict[str, str]:
        """The header that names the deployment to a server on another port."""
        return {"Host": urlsplit(self.deployment.issuer).netloc}

    def answers(self) -> bool:
        """Tell whether it takes requests."""
        try:
            return httpx.get(f"{self.url}/-/ready", headers=self.host, timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def ready(self) -> None:
        """Wait until it takes requests with every worker."""
        until(lambda: self.process.poll() is not None or (self.answers() and len(self.workers) == self.count), "the server to be ready")
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log}"

    def stop(self) -> None:
        """Stop it as an operator does; it must leave in order, and must have had nothing to complain of."""
        self.process.send_signal(signal.SIGTERM)
        self.end()
        assert self.process.returncode == 0, f"the server left with {self.process.returncode}:\n{self.log}"
        said = [word for word in _FAULTS if word in self.log and not word.endswith(self.forgiven)]
        assert said == [], f"the server had faults:\n{self.log}"

    def end(self) -> None:
        """Wait until it is gone."""
        self.process.wait(40)
        self.ended = True

    def kill(self) -> None:
        """End it and all its workers with no chance to say good-bye."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.end()


def children(pid: int) -> list[int]:
    """Return the living children of a process."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []
    return [int(child) for child in found if lives(int(child))]


def lives(pid: int) -> bool:
    """Tell whether a process still runs; one that nobody has buried yet does not."""
    return state(pid) not in ("", "Z")


def state(pid: int) -> str:
    """Return the letter of a process's state (proc(5)): `T` when it is stopped, nothing when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
