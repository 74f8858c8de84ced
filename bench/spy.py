"""Where the time of an operation goes: py-spy's samples of one worker, by layer and by function, in µs of CPU an operation."""

from __future__ import annotations

import linecache
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Final

from bench.cost import Meter, tree
from bench.load import fire
from bench.operations import Operation
from bench.rounds import Target, warm_up
from bench.server import Trouble

_RATE: Final = 500
_REQUESTS: Final = 1000
# The first that a file's path contains.
_LAYERS: Final = (
    ("/gatewright_guard/", "guard"),
    ("/gatewright/keys/", "keys: signing and sealing"),
    ("/gatewright/store/", "store, with the engine"),
    ("/gatewright/ledger/", "ledger"),
    ("/gatewright/oauth/", "oauth"),
    ("/gatewright/web/", "web"),
    ("/gatewright/base/", "base: digests, ids, dice"),
    ("/gatewright/", "rooms"),
    ("/uvicorn/", "uvicorn, with what it sends"),
    ("/asyncio/", "event loop, with what it receives"),
)
_WAITS: Final = ("queue.get(", "_queue.get(", "work_queue.get(")


def spy(target: Target, operation: Operation, *, connections: int, seconds: int, program: str) -> str:
    """Run an operation for some seconds under py-spy and return the account of it as text."""
    found = shutil.which(program)
    if found is None:
        raise Trouble("py-spy is not installed: `pip install py-spy` somewhere outside the checkout, then --py-spy PATH")
    warm_up(target, operation)
    worker = next(iter(tree(target.server)[1:]), target.server)
    out = Path(f"/tmp/gatewright-spy-{worker}.txt")
    watching = subprocess.Popen(
        [found, "record", "-p", str(worker), "-d", str(seconds), "-r", str(_RATE), "-f", "raw", "--full-filenames", "-o", str(out)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    meter, done, used = Meter(target.roots), 0, dict.fromkeys(target.roots, 0.0)
    end = time.perf_counter() + seconds + 0.5
    while time.perf_counter() < end:
        requests = operation.prepare(target.stage, _REQUESTS)
        meter.look()
        done += fire(*target.stage.address, requests, connections, good=operation.good).count
        for root, cpu in meter.look().items():
            used[root] += cpu
    if watching.wait(60):
        raise Trouble("py-spy failed; it may need more rights: try as root")
    database = "" if target.database is None else f", database {used[target.database] / done * 1e6:.1f} µs"
    cost = used[target.server] / done * 1e6
    text = account(out.read_text().splitlines(), cost)
    out.unlink()
    return f"{operation.name} on {target.store}: server {cost:.1f} µs{database} (with py-spy looking on)\n{text}"


def account(lines: list[str], cost: float) -> str:
    """Return the shares of layers and functions, each as a part of what an operation costs."""
    layers: Counter[str] = Counter()
    leaves: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in lines:
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";")
        if _waits(frames[-1]):
            continue
        times = int(number)
        total += times
        layers[_layer(frames)] += times
        leaves[_short(frames[-1], keep_line=True)] += times
        for name in {_short(frame, keep_line=False) for frame in frames}:
            within[name] += times
    unit = cost / max(total, 1)
    parts = [("by layer (time in its own code, and in C called from it)", layers, 20)]
    parts += [("by line", leaves, 25), ("by function, with all that it calls", within, 50)]
    return "\n".join(
        f"\n{title}\n"
        + "\n".join(f"  {times * unit:7.1f} µs  {100 * times / max(total, 1):5.1f} %  {name}" for name, times in found.most_common(most))
        for title, found, most in parts
    )


def _layer(frames: list[str]) -> str:
    for frame in reversed(frames):
        path = _path(frame)
        for part, name in _LAYERS:
            if part in path:
                return name
    return "other"


def _path(frame: str) -> str:
    return frame.partition(" (")[2].rpartition(":")[0]


def _short(frame: str, *, keep_line: bool) -> str:
    name, _, place = frame.partition(" (")
    path, _, line = place.rstrip(")").rpartition(":")
    return f"{name}  {'/'.join(path.split('/')[-2:])}" + (f":{line}" if keep_line else "")


def _waits(frame: str) -> bool:
    place = frame.partition(" (")[2].rstrip(")")
    path, _, line = place.rpartition(":")
    text = linecache.getline(path, int(line)) if line.isdigit() else ""
    return any(word in text for word in _WAITS)
