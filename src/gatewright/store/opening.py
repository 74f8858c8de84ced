"""Which engine a URL names."""

from __future__ import annotations

from gatewright.store.errors import StoreUnavailable
from gatewright.store.port import Store
from gatewright.store.sqlite import SqliteStore
from gatewright.store.sqlite_file import path_of


async def open_store(url: str, *, synchronous: str = "FULL", limit: int = 4096, patience: float = 5.0) -> Store:
    """Open the store that `sqlite:///path` names; its schema must be there (`migrate`).

    `limit` is how many calls of one kind may wait before `StoreBusy`; `patience` how many seconds a call may wait for the engine.
    """
    if url.startswith("sqlite:"):
        return SqliteStore(path_of(url), synchronous=synchronous, limit=limit, patience=patience)
    raise StoreUnavailable("a store is named by sqlite:///path/to/file")
