"""Which engine a URL names."""

from __future__ import annotations

from pathlib import Path

from gatewright.store.errors import StoreUnavailable
from gatewright.store.migrate import SCHEMA, check_schema
from gatewright.store.port import Store
from gatewright.store.postgres import PostgresStore
from gatewright.store.sqlite import SqliteStore
from gatewright.store.sqlite_file import path_of


async def open_store(
    url: str,
    *,
    folder: Path | None = SCHEMA,
    synchronous: str = "FULL",
    limit: int = 4096,
    patience: float = 5.0,
    name: str = "gatewright",
) -> Store:
    """Open the store that `sqlite:///path` or `postgres://…` names; its schema must be that of `folder` (`migrate` makes it so).

    `limit` is how many calls of one kind may wait before `StoreBusy`; `patience` how many seconds a call may wait for the engine;
    `synchronous` is SQLite's; `name` is what PostgreSQL's activity view shows.
    """
    store: Store
    if url.startswith("sqlite:"):
        store = SqliteStore(path_of(url), synchronous=synchronous, limit=limit, patience=patience)
    elif url.startswith(("postgres://", "postgresql://")):
        store = PostgresStore(url, name=name, limit=limit, patience=patience)
    else:
        raise StoreUnavailable("a store is named by sqlite:///path/to/file or postgres://user@host/database")
    try:
        await store.ready()
        if folder is not None:
            await check_schema(store, folder)
    except BaseException:
        await store.close()
        raise
    return store
