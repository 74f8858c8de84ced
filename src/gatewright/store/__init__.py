"""The engines: what is remembered, on SQLite or PostgreSQL, from one SQL text. Knows SQL mechanics, no domain words."""

from gatewright.store.backup import backup, restore, verify
from gatewright.store.changes import Change, ChangeFeed, announce
from gatewright.store.errors import (
    BackupError,
    BadQuery,
    ConstraintBroken,
    NotUnique,
    OutcomeUnknown,
    SchemaError,
    StoreBusy,
    StoreError,
    StoreUnavailable,
    UnitMisbehaved,
    Unstorable,
)
from gatewright.store.following import Then
from gatewright.store.migrate import SCHEMA, migrate
from gatewright.store.opening import open_store
from gatewright.store.port import Counts, Readiness, Store, Tx, Watch
from gatewright.store.query import EVERY, Query, Value

__all__ = [
    "EVERY",
    "SCHEMA",
    "BackupError",
    "BadQuery",
    "Change",
    "ChangeFeed",
    "ConstraintBroken",
    "Counts",
    "NotUnique",
    "OutcomeUnknown",
    "Query",
    "Readiness",
    "SchemaError",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "Then",
    "Tx",
    "UnitMisbehaved",
    "Unstorable",
    "Value",
    "Watch",
    "announce",
    "backup",
    "migrate",
    "open_store",
    "restore",
    "verify",
]
