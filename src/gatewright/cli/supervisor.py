"""Holds the listening socket and the workers: restarts one that dies, drains all at a signal, and outlives none of them."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gatewright.base.moment import Clock
from gatewright.tenants.loopback import address_of, to_answer_there
from gatewright.tenants.rules import is_loopback

BACKLOG: Final = 2048
QUICK_DEATH_MS: Final = 1000  # a worker that lived shorter than this is started again only after a pause
PAUSES_MS: Final = (100, 200, 500, 1000, 2000, 5000)
GIVE_UP_AFTER: Final = 10  # quick deaths in a row of each worker: none comes up


class PortTaken(Exception):
    """The address cannot be listened on; the text is a sentence for the operator."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket that nobody else shares.

    Raises:
        PortTaken: another process listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    # REUSEADDR only: with REUSEPORT a forgotten server would go on answering half of the requests without a word.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortTaken(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0).lower()}. Is another server running there? {_elsewhere(host)}"
        ) from None
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock


def _elsewhere(host: str) -> str:
    other = "Choose another port with --port"
    # What is reached by a proxy keeps its name, whatever the port behind it.
    return f"{other}, which is an address of its own: {to_answer_there(f'{address_of(host)}:PORT')}." if is_loopback(host) else f"{other}."


@dataclass(slots=True)
class Worker:
    """One place for a worker: its present process, and how its predecessors fared."""

    number: int
    pid: int = 0
    born_ms: int = 0
    quick_deaths: int = 0
    start_at_ms: int = 0


@dataclass(slots=True)
class Supervisor:
    """Runs `work(number, lifeline)` in as many forked processes as asked.

    `lifeline` is a file descriptor that becomes readable when the supervisor is gone, so that no worker is left behind.
    `say` hears of a worker's end: its number, exit status, and the milliseconds until its successor starts. `close` is called before
    the workers are told to stop: while our copy of the socket is open, the kernel takes connections that nobody will answer.
    """

    work: Callable[[int, int], None]
    count: int
    clock: Clock
    say: Callable[[int, int, int], None]
    close: Callable[[], None]
    drain_seconds: int = 30
    workers: list[Worker] = field(default_factory=list)
    stopping: bool = False
    failed: bool = False

    def run(self) -> int:
        """Run until a signal or until workers cannot be kept alive; return the exit status."""
        lifeline, held = os.pipe()
        os.set_inheritable(held, False)
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.workers = [Worker(number) for number in range(self.count)]
        try:
            while not self.stopping:
                self._start_due(lifeline, (held, wake_read, wake_write))
                select.select([wake_read], [], [], 0.25)
                _empty(wake_read)
                self._reap()
            return self._drain(wake_read)
        finally:
            signal.set_wakeup_fd(-1)
            for end in (lifeline, held, wake_read, wake_write):
                os.close(end)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _start_due(self, lifeline: int, close: tuple[int, ...]) -> None:
        now = self.clock.moment().now_ms
        for worker in self.workers:
            if not worker.pid and now >= worker.start_at_ms and not self.stopping:
                worker.born_ms = now
                worker.pid = self._fork(worker.number, lifeline, close)

    def _fork(self, number: int, lifeline: int, close: tuple[int, ...]) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        # The child must not hold the pipe's other end, or it would never see its supervisor go.
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(kind, signal.SIG_DFL)
            for end in close:
                os.close(end)
            self.work(number, lifeline)
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:  # noqa: BLE001 - nothing stands above us that would tell
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        now = self.clock.moment().now_ms
        for worker in self.workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            worker.pid = 0
            if self.stopping:
                continue
            quick = now - worker.born_ms < QUICK_DEATH_MS
            worker.quick_deaths = worker.quick_deaths + 1 if quick else 0
            pause = PAUSES_MS[min(worker.quick_deaths, len(PAUSES_MS)) - 1] if quick else 0
            worker.start_at_ms = now + pause
            self.say(worker.number, os.waitstatus_to_exitcode(status), pause)
            if all(self._fails(each, now) for each in self.workers):
                self.failed = self.stopping = True

    def _fails(self, worker: Worker, now: int) -> bool:
        # While one of them serves, the others are tried for as long as it takes: to give up would end what works.
        lives = worker.pid and now - worker.born_ms >= QUICK_DEATH_MS
        return worker.quick_deaths >= GIVE_UP_AFTER and not lives

    def _drain(self, wake: int) -> int:
        self.close()
        self._signal(signal.SIGTERM)
        deadline = self.clock.moment().now_ms + self.drain_seconds * 1000
        while any(worker.pid for worker in self.workers) and self.clock.moment().now_ms < deadline:
            select.select([wake], [], [], 0.1)
            _empty(wake)
            self._reap()
        self._signal(signal.SIGKILL)
        for worker in self.workers:
            if worker.pid:
                os.waitpid(worker.pid, 0)
        return 1 if self.failed else 0

    def _signal(self, kind: signal.Signals) -> None:
        for worker in self.workers:
            if worker.pid:
                os.kill(worker.pid, kind)


def _empty(pipe: int) -> None:
    try:
        while os.read(pipe, 512):
            pass
    except BlockingIOError:
        pass
