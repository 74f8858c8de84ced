"""A PostgreSQL of the benchmarks' own: a fresh cluster at its defaults, which are durable, gone at the end."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server import Trouble, free_port, pinned
from tests.support.postgres import binaries

# Everything that a measurement depends on is said, even where it is the default.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running cluster."""

    pid: int
    port: int

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://bench@127.0.0.1:{self.port}/{database}"


def _as_nobody_special() -> tuple[int, int] | None:
    """Return whom to run as: PostgreSQL refuses to be run by root."""
    if os.geteuid():
        return None
    entry = pwd.getpwnam("postgres")
    return entry.pw_uid, entry.pw_gid


@contextmanager
def private_postgres(folder: Path, where: frozenset[int]) -> Iterator[Postgres]:
    """Run a cluster in a folder, on the given cores."""
    folder_of, who, port = binaries(), _as_nobody_special(), free_port()
    data = folder / "cluster"
    data.mkdir(parents=True, mode=0o700)
    user = group = None
    if who is not None:
        user, group = who
        os.chown(data, user, group)
    made = subprocess.run(
        [folder_of / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"],
        user=user, group=group, extra_groups=[] if who else None, capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    if made.returncode:
        raise Trouble(f"initdb failed: {made.stderr}")
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with pinned(where), (folder / "postgres.log").open("ab") as log:
        process = subprocess.Popen(
            [folder_of / "postgres", "-D", data, "-p", str(port), *options],
            user=user, group=group, extra_groups=[] if who else None, stdout=log, stderr=log, cwd="/",
        )  # fmt: skip
    try:
        _wait(folder_of, port, process)
        yield Postgres(process.pid, port)
    finally:
        process.send_signal(signal.SIGINT)  # which ends sessions instead of waiting for them
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(folder_of: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if process.poll() is not None:
            raise Trouble("PostgreSQL did not start")
        ready = subprocess.run([folder_of / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"], check=False)
        if not ready.returncode:
            return
    raise Trouble("PostgreSQL did not answer")
