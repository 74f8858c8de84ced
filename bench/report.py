"""What was measured, as a table for people and a JSON file for comparing."""

from __future__ import annotations

import platform
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

from bench.operations import BY_NAME

FOLDER: Final = Path(__file__).resolve().parent.parent / "bench-results"
TOO_BUSY: Final = 0.9  # the share of its core above which the generator, not the server, may be the limit


class Sample(Struct, frozen=True, kw_only=True):
    """One run of one operation."""

    rate: float
    p50: float
    p99: float
    server: float  # µs of CPU an operation
    database: float
    share: float  # of the generator's core
    others: float  # the share of all cores that other processes used meanwhile
    pace: float  # µs of CPU that a fixed piece of work took just then: how fast the machine was
    wrong: int  # answers of an unexpected status, and none at all
    strange: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """All runs of one operation in one set-up."""

    store: str
    fill: int
    workers: int
    connections: int
    operation: str
    samples: tuple[Sample, ...] = ()
    statements: float = 0.0
    commits: float = 0.0

    @property
    def cost(self) -> float:
        """The median of what an operation costs: server and database together, µs of CPU."""
        return median([sample.server + sample.database for sample in self.samples])

    def cost_at(self, pace: float) -> float:
        """The same, had the machine kept that pace all the time."""
        return median([(sample.server + sample.database) * pace / sample.pace for sample in self.samples])

    @property
    def best(self) -> float:
        """The cheapest run."""
        return min([sample.server + sample.database for sample in self.samples])

    @property
    def spread(self) -> float:
        """How far the runs lie apart, as a part of the median."""
        costs = [sample.server + sample.database for sample in self.samples]
        return (max(costs) - min(costs)) / self.cost if self.cost else 0.0

    @property
    def wrong(self) -> int:
        """Answers that make the row worthless."""
        return sum(sample.wrong for sample in self.samples)

    @property
    def target(self) -> int:
        """What it may cost; 0 where nothing was said."""
        return BY_NAME[self.operation].target[self.store == "postgres"] if self.operation in BY_NAME else 0


class Report(Struct, frozen=True, kw_only=True):
    """One call of the benchmarks."""

    at: str
    machine: str
    rows: list[Row]
    memory_mb: dict[str, dict[str, float]]
    start_ms: dict[str, float]


def machine() -> str:
    """Describe the machine in neutral words."""
    cores = Counter(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    name = next(iter(cores), "model name: unknown CPU").partition(":")[2].strip()
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    system = next((line.partition("=")[2].strip('"') for line in release.splitlines() if line.startswith("PRETTY_NAME=")), "Linux")
    return f"{sum(cores.values())} vCPU ({name}), {system}, Python {platform.python_version()}"


_HEAD: Final = (
    f"{'operation':<15} {'conn':>4} {'req/s':>7} {'p50 ms':>7} {'p99 ms':>7} {'server':>7} {'database':>8} {'µs CPU':>7} {'±%':>4}"
    f" {'steady':>7} {'best':>7} {'target':>6} {'of it':>6} {'stmts':>6} {'commits':>7} {'gen':>5}"
)


def table(report: Report) -> str:
    """Return the report as text."""
    paces = [sample.pace for row in report.rows for sample in row.samples]
    best = min(paces)
    others = [100 * sample.others for row in report.rows for sample in row.samples]
    lines = [
        report.machine,
        f"other processes used {_range(others)} % of the cores during the runs, {median(others):.0f} % in the median",
        f"the machine's pace: a fixed piece of work took {_range(paces)} µs; 'steady' is what {best:.0f} µs throughout would have given",
    ]
    for setup in dict.fromkeys((row.store, row.fill, row.workers) for row in report.rows):
        store, fill, workers = setup
        filled = f"{fill:,} authorizations" if fill else "empty store"
        lines += ["", f"{store}, {filled}, {workers} worker{'s' if workers > 1 else ''}", _HEAD]
        lines += [_line(row, best) for row in report.rows if (row.store, row.fill, row.workers) == setup]
    lines.append("")
    lines += [
        f"memory, {name}: " + ", ".join(f"{what} {size:.0f} MB" for what, size in sizes.items()) for name, sizes in report.memory_mb.items()
    ]
    lines += [f"from start to first answer, {name}: {value:.0f} ms" for name, value in report.start_ms.items()]
    return "\n".join(lines)


def _range(values: list[float]) -> str:
    return f"{min(values):.0f}-{max(values):.0f}" if values else "-"


def _line(row: Row, best: float) -> str:
    samples = row.samples
    middle = {name: median([getattr(sample, name) for sample in samples]) for name in ("rate", "p50", "p99", "server", "database", "share")}
    steady = row.cost_at(best)
    target = (
        f"{steady:>7.1f} {row.best:>7.1f} {row.target:>6} {steady / row.target:>6.2f}"
        if row.target
        else f"{steady:>7.1f} {row.best:>7.1f} {'':>6} {'':>6}"
    )
    counted = f" {row.statements:>6.2f} {row.commits:>7.2f}"
    line = (
        f"{row.operation:<15} {row.connections:>4} {middle['rate']:>7.0f} {middle['p50']:>7.2f} {middle['p99']:>7.2f}"
        f" {middle['server']:>7.1f}"
        f" {middle['database']:>8.1f} {row.cost:>7.1f} {100 * row.spread:>4.0f} {target}{counted} {middle['share']:>5.2f}"
    )
    if row.wrong:
        line += f"  INVALID: {row.wrong} wrong answers; {next((sample.strange for sample in samples if sample.strange), '')}"
    elif middle["share"] > TOO_BUSY:
        line += "  the generator was the limit"
    return line


def keep(report: Report) -> Path:
    """Write the report as JSON and return the file."""
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{report.at.replace(':', '').replace('-', '')}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return file


def now() -> str:
    """Return the time of day for a file's name."""
    return time.strftime("%Y-%m-%dT%H:%M:%S")
