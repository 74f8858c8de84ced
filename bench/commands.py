"""What `./dev bench` can do, one function for each of its words."""

from __future__ import annotations

import argparse
import cProfile
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import product
from multiprocessing import get_context
from statistics import median
from typing import Final

import msgspec

from bench.cost import Meter, memory_mb, tree
from bench.count import Counted, count
from bench.deployments import Deployment, deployed, serving, work_folder
from bench.guard import measure as measure_guard
from bench.inside import inside as measured_inside
from bench.inside import shown
from bench.load import Outcome, fire, get, paced, post
from bench.operations import BY_NAME, OPERATIONS, Operation, sign_ins
from bench.report import Report, Row, Sample, keep, machine, now, table
from bench.rounds import Target, measured, one_round, warm_up
from bench.server import ROOT, Server, Trouble, await_port, cores, free_port, pinned
from bench.spy import spy
from bench.tenants import CLIENTS, Neighbours, everywhere

TENANTS: Final = 10_000
FEW: Final = 500  # of them fit into every cache
RATE: Final = 1000  # tokens a second that are asked for while people sign in
SECONDS: Final = 4
BURST: Final = 150  # who sign in meanwhile, this many at a time:
CROWD: Final = 16


def _stores(options: argparse.Namespace) -> list[str]:
    return [name for name in str(options.store).split(",") if name]


def _operations(names: str) -> list[Operation]:
    unknown = [name for name in names.split(",") if name and name not in BY_NAME]
    if unknown:
        raise Trouble(f"there is no operation '{unknown[0]}'; there are {', '.join(BY_NAME)}")
    return [BY_NAME[name] for name in names.split(",") if name] or list(OPERATIONS)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- run


class _Run:
    """One call of `run`: what it was asked, and what it saw."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.operations = _operations(options.ops)
        self.connections = [32] if options.quick else [int(text) for text in options.connections.split(",")]
        self.requests = 600 if options.quick else options.requests
        self.rounds = 1 if options.quick else options.rounds
        self.tries = options.tries
        self.samples: dict[Row, list[Sample]] = {}
        self.memory: dict[str, dict[str, float]] = {}
        self.starts: dict[str, float] = {}

    def measure(self, targets: list[Target]) -> None:
        """Run all rounds."""
        for number in range(self.rounds):
            _tell(f"round {number + 1} of {self.rounds}")
            for row, sample in one_round(targets, self.operations, self.connections, count=self.requests, tries=self.tries):
                self.samples.setdefault(row, []).append(sample)

    def rows(self, counted: dict[tuple[str, int], dict[str, Counted]]) -> list[Row]:
        """Return the rows with all their samples."""
        found = []
        for row, samples in self.samples.items():
            asked = counted[row.store, row.fill][row.operation]
            found.append(msgspec.structs.replace(row, samples=tuple(samples), statements=asked.statements, commits=asked.commits))
        return sorted(found, key=lambda row: (row.store != "sqlite", row.connections != self.connections[0]))


def run(options: argparse.Namespace) -> None:
    """Measure each operation on each store."""
    asked = _Run(options)
    near, far = cores()
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        stack.enter_context(pinned(far))
        made: list[Deployment] = []
        for store, fill in product(_stores(options), [int(text) for text in options.fill.split(",")]):
            _tell(f"making {store}" + (f" with {fill:,} authorizations" if fill else ""))
            made.append(stack.enter_context(deployed(store, folder, near, fill=fill)))
        targets = []
        for one in made:
            target, server = stack.enter_context(serving(one, near, workers=options.workers))
            asked.starts[_named(one)] = server.first_answer_ms
            asked.memory[_named(one)] = {"idle worker": _worker_memory(server, "VmRSS"), "store on disk": one.raw.size_mb()}
            targets.append((target, server))
        counted = {(one.store, one.fill): count(one.place, one.stage, asked.operations) for one in made}
        asked.measure([target for target, _ in targets])
        for one, (_, server) in zip(made, targets, strict=True):
            asked.memory[_named(one)]["worker at its peak"] = _worker_memory(server, "VmHWM")
        report = Report(
            at=now(),
            machine=machine(),
            rows=asked.rows(counted),
            memory_mb=asked.memory,
            start_ms=asked.starts,
        )
    print(table(report))
    _tell(f"\n{keep(report)}")


def _named(one: Deployment) -> str:
    return f"{one.store}, {one.fill:,} authorizations" if one.fill else f"{one.store}, empty store"


def _worker_memory(server: Server, what: str) -> float:
    """Return the largest worker's memory; with one worker there may be no process above it."""
    return max(memory_mb(pid, what) for pid in tree(server.pid)[1:] or [server.pid])


# ---------------------------------------------------------------- start


def start(options: argparse.Namespace) -> None:
    """Tell how long a start takes on an existing store, and what an idle worker holds."""
    near, far = cores()
    print(machine())
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        stack.enter_context(pinned(far))
        for store in _stores(options):
            one = stack.enter_context(deployed(store, folder, near))
            one.seeder.fresh("openid", 1000, used=True)
            times, sizes = [], []
            for _ in range(5):
                with serving(one, near, workers=options.workers) as (_, server):
                    times.append(server.first_answer_ms)
                    sizes.append(_worker_memory(server, "VmRSS"))
            print(
                f"{store}: from start to first answer {min(times):.0f}-{max(times):.0f} ms, median {median(times):.0f} ms;"
                f" idle worker {max(sizes):.0f} MB"
            )


# ---------------------------------------------------------------- tenants


def tenants(options: argparse.Namespace) -> None:
    """Measure the same token before and after 10,000 tenants and 100,000 clients moved in."""
    near, far = cores()
    print(machine())
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        stack.enter_context(pinned(far))
        for store in _stores(options):
            one = stack.enter_context(deployed(store, folder, near))
            _crowd(one, near, options.workers, [])
            hosts = Neighbours(one.raw, one.stage.cast).add(TENANTS)
            _crowd(one, near, options.workers, hosts)


def _crowd(one: Deployment, near: frozenset[int], workers: int, hosts: list[str]) -> None:
    with serving(one, near, workers=workers) as (target, server):
        idle = _worker_memory(server, "VmRSS")
        operations = [BY_NAME["cc-jwt"], BY_NAME["cc-opaque"], *([everywhere(hosts[:FEW])] if hosts else [])]
        print(
            f"{one.store}, {len(hosts) + 1:,} tenants, {len(hosts) * CLIENTS + 2:,} clients: first answer after"
            f" {server.first_answer_ms:.0f} ms, idle worker {idle:.0f} MB"
        )
        for operation in operations:
            samples = [measured(target, operation, 32, 2000) for _ in range(3)]
            cost = median([sample.server + sample.database for sample in samples])
            wrong = sum(sample.wrong for sample in samples)
            print(
                f"  {operation.says:<50} {cost:7.1f} us of CPU, p99 {median([sample.p99 for sample in samples]):.1f} ms"
                + (f"  INVALID: {wrong} wrong answers {samples[0].strange}" if wrong else "")
            )
        if hosts:
            # Each for the first time: its client is read, its signing key is made.
            sample = measured(target, everywhere(hosts[FEW : FEW + 1000]), 32, 1000)
            cost = sample.server + sample.database
            print(f"  {'the first token of each of 1,000 tenants':<50} {cost:7.1f} us of CPU, p99 {sample.p99:.1f} ms")
        print(f"  worker afterwards {_worker_memory(server, 'VmRSS'):.0f} MB")


# ---------------------------------------------------------------- burst


def burst(options: argparse.Namespace) -> None:
    """Measure the token endpoint at a steady rate, quiet and while people sign in as fast as they are let."""
    near, far = cores()
    print(machine())
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        stack.enter_context(pinned(far))
        for store in _stores(options):
            one = stack.enter_context(deployed(store, folder, near))
            with serving(one, near, workers=options.workers) as (target, _):
                warm_up(target, BY_NAME["cc-opaque"])
                requests = [request for request in BY_NAME["cc-opaque"].prepare(one.stage, SECONDS * RATE) if isinstance(request, bytes)]
                people = sign_ins(one.stage, BURST)
                quiet = paced(*one.stage.address, requests, 32, rate=RATE)
                with ProcessPoolExecutor(1, mp_context=get_context("fork")) as other:
                    arriving = other.submit(fire, *one.stage.address, people, CROWD, good=frozenset({303}))
                    busy = paced(*one.stage.address, requests, 32, rate=RATE)
                    signed = arriving.result()
            print(f"{store}, {RATE} tokens/s: quiet {_latency(quiet)}; while people sign in {_latency(busy)}")
            print(
                f"  p99 {busy.quantile(0.99) / quiet.quantile(0.99):.1f} times the quiet one; {signed.count} sign-ins of {CROWD} at a time:"
                f" {signed.rate:.0f}/s, {_latency(signed)}, answered {dict(signed.statuses)}"
            )


def _latency(outcome: Outcome) -> str:
    return f"p50 {outcome.quantile(0.5):.1f} ms, p99 {outcome.quantile(0.99):.1f} ms"


# ---------------------------------------------------------------- profile, inside and ceiling


def inside(options: argparse.Namespace) -> None:
    """Measure each operation inside the application alone, without a server around it."""
    near, far = cores()
    print(machine())
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        stack.enter_context(pinned(far))
        for store in _stores(options):
            one = stack.enter_context(deployed(store, folder, near))
            with serving(one, near, workers=1):
                for operation in _operations(options.ops):
                    profiler = cProfile.Profile() if options.rows else None
                    cost = measured_inside(one.place, one.stage, [operation], batches=options.batches, profile=profiler)[operation.name]
                    print(f"{store:<9} {operation.name:<15} best {cost.best:7.1f} us, usual {cost.usual:7.1f} us", flush=True)
                    if profiler is not None:
                        print(shown(profiler, options.rows))


def profile(options: argparse.Namespace) -> None:
    """Tell where the time of one operation goes."""
    near, far = cores()
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        stack.enter_context(pinned(far))
        for store in _stores(options):
            one = stack.enter_context(deployed(store, folder, near, fill=options.fill))
            with serving(one, near, workers=1) as (target, _):
                for name in options.operations.split(","):
                    operation = _operations(name)[0]
                    print(spy(target, operation, connections=options.connections, seconds=options.seconds, program=options.py_spy))


def ceiling(_options: argparse.Namespace) -> None:
    """Measure uvicorn and the load generator with an application that does nothing."""
    near, far = cores()
    port = free_port()
    with pinned(near):
        process = subprocess.Popen([sys.executable, "-m", "bench.hello", str(port)], cwd=ROOT)
    print(machine())
    try:
        with pinned(far):
            await_port(port)
            meter = Meter([process.pid])
            for connections in (32, 4):
                for name, request in (("GET", get("localhost", "/")), ("POST", post("localhost", "/", "a=b" * 50))):
                    meter.look()
                    outcome = fire("127.0.0.1", port, [request] * 20_000, connections)
                    used = meter.look()[process.pid]
                    print(
                        f"{name:4} {connections:>2} connections: {outcome.rate:,.0f}/s, server {used / outcome.count * 1e6:.1f} us,"
                        f" generator {outcome.cpu / outcome.count * 1e6:.1f} us and {100 * outcome.share:.0f} % of its core"
                    )
    finally:
        process.terminate()
        process.wait()


def guard(options: argparse.Namespace) -> None:
    """Measure what the guard costs an API."""
    print(machine())
    measure_guard(options.batches)


def verify(options: argparse.Namespace) -> None:
    """Measure the verify address beside a plain answer of the same server that is the same for everybody."""
    near, far = cores()
    print(machine())
    plain, *others = _operations("jwks,verify,verify-kept,verify-public")
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        stack.enter_context(pinned(far))
        for store in _stores(options):
            one = stack.enter_context(deployed(store, folder, near))
            with serving(one, near, workers=options.workers) as (target, _):
                # In turns, so that a slow minute of the machine hits all of them.
                samples = [[measured(target, operation, 32, 20_000) for operation in (plain, *others)] for _ in range(5)]
            base = median(round_[0].rate for round_ in samples)
            for place, operation in enumerate((plain, *others)):
                rate = median(round_[place].rate for round_ in samples)
                cost = median(round_[place].server + round_[place].database for round_ in samples)
                p99 = median(round_[place].p99 for round_ in samples)
                told = f"{rate:7,.0f}/s = {rate / base:4.0%} of JWKS, {cost:6.1f} us of CPU, p99 {p99:5.2f} ms with 32 connections"
                print(f"{store:<9} {operation.says:<36} {told}", flush=True)


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "run": run,
    "start": start,
    "tenants": tenants,
    "burst": burst,
    "profile": profile,
    "inside": inside,
    "guard": guard,
    "verify": verify,
    "ceiling": ceiling,
}
