"""A PostgreSQL server of the tests' own: on a socket in a temporary folder, gone when the tests are."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from tests.support.running import lives, state
from tests.support.waiting import until

GIVEN = "GATEWRIGHT_TEST_POSTGRES"  # the URL of a server to use instead; its user may create databases
_NUMBERS = count(1)  # one row of names, however many of us use one server
_SETTINGS = {
    "listen_addresses": "''",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
    "autovacuum": "off",
    "dynamic_shared_memory_type": "mmap",  # beside the data, so that a killed server leaves nothing elsewhere
}


def binaries() -> Path:
    """Returns the folder of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).parent
    raise RuntimeError("PostgreSQL is not installed: its initdb is neither on the PATH nor under /usr/lib/postgresql")


def _owner() -> tuple[list[str], int, int]:
    """Returns how to start a program as somebody who may run PostgreSQL, which root may not."""
    if os.getuid() != 0:
        return [], os.getuid(), os.getgid()
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return (
                ["setpriv", "--pdeathsig=QUIT", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"],
                user.pw_uid,
                user.pw_gid,
            )
    raise RuntimeError("PostgreSQL cannot run as root, and there is no user postgres or nobody")


class Cluster:
    """A server that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._prefix, uid, gid = _owner()
        self._bin = binaries()
        self._process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o755)
        os.chown(folder, uid, gid)
        self._run(
            "initdb", "-D", self._data, "-U", "gatewright", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"
        )
        lines = [f"{key} = {value}" for key, value in _SETTINGS.items()]
        (self._data / "postgresql.auto.conf").write_text("\n".join([*lines, f"unix_socket_directories = '{folder}'", ""]))

    @property
    def url(self) -> str:
        """Returns the address of its first database."""
        return f"postgres://gatewright@/postgres?host={quote(str(self._folder), safe='')}"

    def start(self) -> None:
        """Starts the server and waits until it takes connections."""
        self._process = subprocess.Popen(
            [*self._prefix, self._bin / "postgres", "-D", self._data],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._ready, "PostgreSQL to answer")

    def kill(self) -> None:
        """Ends the server as a power cut would: it and all its children get SIGKILL."""
        assert self._process is not None
        # Stopped first: a child born behind our back would keep the shared memory, and the next start would be refused for it.
        self._process.send_signal(signal.SIGSTOP)
        postmaster = self._process.pid
        until(lambda: state(postmaster) == "T", "PostgreSQL to stand still")
        children = [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]
        for pid in (*children, postmaster):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        until(lambda: not any(lives(pid) for pid in children), "PostgreSQL's children to be gone")

    def demote(self) -> None:
        """Makes it a standby from its next start on, until it is promoted."""
        (self._data / "standby.signal").touch()

    def stop(self) -> None:
        """Stops the server, letting nobody finish."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended with {self._process.returncode} instead of answering")
        command: list[str | Path] = [*self._prefix, self._bin / "pg_isready", "-h", self._folder, "-q"]
        return subprocess.run(command, cwd=self._folder, check=False).returncode == 0

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [*self._prefix, self._bin / program, *arguments]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")


class Server:
    """Where databases for tests are made."""

    def __init__(self, url: str, cluster: Cluster | None) -> None:
        self.url = url
        self.cluster = cluster

    def database(self, template: str = "template0") -> str:
        """Makes a fresh database, a copy of `template`, and returns its URL."""
        name = f"gw_{os.getpid()}_{next(_NUMBERS)}"
        asyncio.run(self._do(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'))
        return self.of(name)

    def drop(self, url: str) -> None:
        """Drops a database, whoever is still connected."""
        asyncio.run(self._do(f'DROP DATABASE IF EXISTS "{name_of(url)}" WITH (FORCE)'))

    def of(self, name: str) -> str:
        """Returns the URL of a database by its name."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=f"/{name}"))

    async def _do(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def name_of(url: str) -> str:
    """Returns the name of a URL's database."""
    return urlsplit(url).path.strip("/")


@contextmanager
def server() -> Iterator[Server]:
    """A server for as long as the block lasts: the one that the environment names, or one of our own."""
    given = os.environ.get(GIVEN)
    if given:
        yield Server(given, None)
        return
    with own_cluster() as cluster:
        yield Server(cluster.url, cluster)


def _quick() -> str:
    """Returns a folder in memory if there is room: a server flushes to the disk often, and others may be using it."""
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).free > 2 << 30:
        return str(shared)
    return "/tmp"  # short, as the path of a socket has to be


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A server of our own, which may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="gw-pg-", dir=_quick()))
    try:
        cluster = Cluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)
