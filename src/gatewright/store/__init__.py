"""Two engines behind one port: SQLite for one machine, PostgreSQL for several. It knows SQL mechanics and no domain words."""

from gatewright.store.errors import BadText, OutcomeUnknown, SchemaMismatch, StoreBusy, StoreError, StoreUnavailable, UnitMisbehaved
from gatewright.store.port import Store, Tx
from gatewright.store.query import Query

__all__ = [
    "BadText",
    "OutcomeUnknown",
    "Query",
    "SchemaMismatch",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "Tx",
    "UnitMisbehaved",
]
