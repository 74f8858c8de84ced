"""What processes used: CPU time from the kernel's clock of each process, memory from /proc."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


class _Used(NamedTuple):
    root: int
    own: float
    reaped: float


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat(int(entry.name))[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting.extend(children.get(one, ()))
    return found


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process used, user and system, all its threads, to the nanosecond; 0 when it is gone."""
    try:
        # The kernel's name for "the CPU clock of that process", as clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _reaped(pid: int) -> float:
    try:
        fields = _stat(pid)
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) * _TICK


class Meter:
    """The CPU time of process trees between two looks. What children used that ended meanwhile is known to the tick."""

    def __init__(self, roots: list[int]) -> None:
        self._roots = roots
        self._seen: dict[int, _Used] = {}
        self.look()

    def look(self) -> dict[int, float]:
        """Return the seconds used since the last look, by root."""
        now = {pid: _Used(root, cpu_of(pid), _reaped(pid)) for root in self._roots for pid in tree(root)}
        used = dict.fromkeys(self._roots, 0.0)
        for pid, (root, own, reaped) in now.items():
            before = self._seen.get(pid, _Used(root, 0.0, 0.0))
            used[root] += own - before.own + reaped - before.reaped
        for pid in self._seen.keys() - now.keys():
            # Its parent now reports all that it ever used; what was counted while it lived must not count again.
            gone = self._seen[pid]
            used[gone.root] -= gone.own + gone.reaped
        self._seen = now
        return {root: max(seconds, 0.0) for root, seconds in used.items()}


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Return a process's resident memory (or its peak, `VmHWM`) in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def busy_seconds() -> float:
    """Return how many seconds all cores together have worked since the machine was started, for whomever."""
    numbers = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) * _TICK
