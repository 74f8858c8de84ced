"""What may go wrong in a store, each with a sentence for the log."""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do what was asked; nothing was promised to anybody."""


class StoreBusy(StoreError):
    """Too many writes wait; `retry_after` in seconds."""

    def __init__(self, sentence: str, retry_after: int = 1) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class StoreUnavailable(StoreError):
    """The database cannot be reached or refuses to work."""


class OutcomeUnknown(StoreError):
    """The line was lost while a commit was under way, and asking again did not tell: answered 503, never punished."""


class UnitMisbehaved(StoreError):
    """A unit of work awaited something other than its transaction."""


class BadText(StoreError):
    """A text holds a NUL character, which PostgreSQL cannot keep; refused on both engines alike."""


class SchemaMismatch(StoreError):
    """The database's schema is newer than this program, or a migration was changed after it had run."""
