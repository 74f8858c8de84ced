"""What an engine may refuse or fail at, each with a sentence; nothing else leaves this package."""

from __future__ import annotations


class StoreError(Exception):
    """The store did not do what was asked; the text is a sentence for the operator."""


class StoreBusy(StoreError):
    """Too much is waiting already; nothing was written. Answered as 503 with Retry-After."""

    def __init__(self, sentence: str, *, retry_after: int = 1) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class StoreUnavailable(StoreError):
    """The engine cannot be reached or is closed; nothing was written."""


class OutcomeUnknown(StoreError):
    """The connection was lost while committing: it is written or it is not. Never a reason to punish anybody."""


class UnitMisbehaved(StoreError):
    """A unit of work awaited something other than its transaction; nothing was written."""


class Unstorable(StoreError):
    """A value that not both engines can keep: NUL or a lone surrogate in text, an integer beyond 63 bits, another type."""


class BadQuery(StoreError):
    """A statement and its arguments or its record do not fit: a mistake in the program."""


class ConstraintBroken(StoreError):
    """The statement would break a rule of the schema (NOT NULL, CHECK, a foreign key); nothing was written."""


class NotUnique(ConstraintBroken):
    """A row with the same key is there already; nothing was written."""


class SchemaError(StoreError):
    """The database's schema and this program do not fit together."""


class BackupError(StoreError):
    """A backup cannot be made, or a file cannot be restored."""
