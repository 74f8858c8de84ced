"""One management act as a row. Its REST route, its description, its command, its scope and its tests are all made from the row.

`docs/house/README.md` says how to add one. What stands here knows nothing of HTTP, of the terminal or of the store.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

MOST: Final = 1000  # records of one page
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")


class Nowhere(Struct, frozen=True, forbid_unknown_fields=True):
    """What an operation takes that has neither a place in its path nor a filter."""


class Paged(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a listing goes on, and how many records it gives."""

    after: Annotated[str, Meta(description="Go on behind this one: the `next` of the page before.", max_length=300)] = ""
    count: Annotated[int, Meta(description="How many at most.", ge=1, le=MOST)] = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One act: what it is called, who may do it, what it takes, what it gives, and the function that does it.

    `run(errand, where)`, or `run(errand, where, body)` where there is a body; the first line of its docstring is the sentence that
    describes the operation everywhere. A `GET` reads; everything else is a change and runs inside one transaction.
    """

    name: str
    """The noun and the verb: `clients.create`. The command is `gatewright clients create`."""
    method: Method
    path: str
    """Below `/-/api/v1`; each `{name}` is a field of `where`, whose other fields are filters in the query."""
    scope: str
    """The scope of the management API with which it may be done in the whole tenant."""
    run: Callable[..., Awaitable[Any] | AsyncIterator[Any]]
    where: type[Struct] = Nowhere
    body: type[Struct] | None = None
    gives: type[Struct] | None = None
    """The record in the answer; None where there is nothing to say."""
    delegated: str = ""
    """The scope with which an account's admin may do it inside the account; `where` then names the `account`. "" keeps it back."""
    acts: tuple[str, ...] = ()
    """What the audit log may call it."""
    find: Callable[..., Awaitable[Struct]] | None = None
    """`find(errand, where)`: the record as it is. Gives a change its If-Match, its preview and its 404."""
    prepare: Callable[..., Awaitable[Any]] | None = None
    """`prepare(errand, where, body)`: slow work in front of the transaction; `run` finds what it returns in `errand.prepared`."""
    impact: Callable[..., Awaitable[tuple[Any, ...]]] | None = None
    """`impact(errand, where, body, before)`: whom the change would hit, as `Hit`s. Asked by a preview, in front of `run`."""
    many: bool = False
    """Gives a page of records: `run` returns a list, and `where` is a `Paged`. `key` says what the next page goes on behind."""
    key: str = "id"
    lines: bool = False
    """Gives JSON lines without an end of the page: `run` is an asynchronous generator."""
    careful: bool = False
    """Refuses to change what the caller has not seen: If-Match is demanded (RFC 6585 §3)."""
    alone: bool = False
    """Has transactions of its own, so that it can be neither previewed nor replayed by an Idempotency-Key."""
    warns: str = ""
    """What the terminal asks before it does it; "" where it need not ask."""

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    @property
    def says(self) -> str:
        """One sentence for whoever chooses among operations."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the parts of the path that vary."""
        return tuple(_PLACE.findall(self.path))

    @property
    def status(self) -> int:
        """The status of success (RFC 9110 §15.3)."""
        if self.gives is None:
            return 204
        return 201 if self.method == "POST" and self.name.rpartition(".")[2] in ("create", "add") else 200
