"""The deployments that are measured: each store with as many authorizations as asked, under a running server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.operations import Stage
from bench.postgres import Postgres, private_postgres
from bench.raw import Raw, RawPostgres, RawSqlite
from bench.rounds import Target
from bench.seed import Seeder
from bench.server import Place, Server, Trouble
from bench.world import read_cast


@dataclass(slots=True)
class Deployment:
    """A place with its platform applied and its store opened from the side."""

    store: str
    fill: int
    place: Place
    raw: Raw
    seeder: Seeder
    stage: Stage
    database: int | None


@contextmanager
def work_folder() -> Iterator[Path]:
    """Give a folder that is gone at the end, on the disk that holds temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="gatewright-bench-"))
    folder.chmod(0o711)  # PostgreSQL may run as somebody else
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def deployed(store: str, folder: Path, where: frozenset[int], *, fill: int = 0) -> Iterator[Deployment]:
    """Make a deployment; its server is still to be started."""
    with ExitStack() as stack:
        database: Postgres | None = None
        home = folder / f"{store}-{fill}"
        if store == "sqlite":
            place = Place.make(home, f"sqlite:{home / 'store.sqlite3'}")
        elif store == "postgres":
            database = stack.enter_context(private_postgres(folder / f"cluster-{fill}", where))
            place = Place.make(home, database.url())
        else:
            raise Trouble(f"there is no store '{store}': sqlite or postgres")
        place.apply()
        raw: Raw = RawSqlite(place.folder / "store.sqlite3") if database is None else RawPostgres(database.url())
        stack.callback(raw.close)
        cast = read_cast(raw, place.origin)
        seeder = Seeder(raw, cast, place.root)
        seeder.stage()
        if fill:
            seeder.fill(fill)
        yield Deployment(store, fill, place, raw, seeder, Stage(cast, seeder), None if database is None else database.pid)


@contextmanager
def serving(deployment: Deployment, where: frozenset[int], *, workers: int) -> Iterator[tuple[Target, Server]]:
    """Run a deployment's server."""
    server = Server.start(deployment.place, workers=workers, where=where)
    try:
        yield Target(deployment.store, deployment.fill, workers, deployment.stage, server.pid, deployment.database, where), server
    finally:
        server.stop()
