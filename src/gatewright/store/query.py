"""One SQL statement, written once for both engines and typed by the record that it yields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

R = TypeVar("R")

Value = int | str | None
EVERY: Final[list[Query[Any]]] = []  # in the order of import; a test prepares each on both engines

# Quoted text and `::` are passed over; what is left of `:name` is a parameter.
_TOKENS: Final = re.compile(r"'(?:[^']|'')*'|::|:([a-z_][a-z0-9_]*)")
_PG_TYPES: Final = {int: "bigint", str: "text"}


class Query(Generic[R]):
    """A statement in the common dialect (`TEXT` and `BIGINT` columns, parameters as `:name`).

    `record` is a `msgspec.Struct` whose fields are the columns in order, or `int` or `str` for the first column, or
    `type(None)` where nothing comes back. `each` declares a statement that PostgreSQL may run for many callers at once: it maps
    every parameter to its type, and the text carries the marker `{each}` after FROM (or where an UPDATE's FROM would go). The
    first parameter of `each` names the row: within one batch no two callers may have it in common, and an INSERT's first returned
    column is that parameter, so that answers find their callers. `postgres` is a second text, for the rare statement that cannot be
    said in one.
    """

    __slots__ = ("batch", "columns", "each", "is_select", "names", "postgres", "record", "scalar", "single", "text")

    def __init__(
        self, record: type[R], sql: str, *, each: Mapping[str, type[int | str]] | None = None, postgres: str | None = None
    ) -> None:
        self.record = record
        self.each = dict(each) if each else None
        self.text = " ".join(sql.split())
        self.scalar = record in (int, str)
        self.columns = len(record.__struct_fields__) if issubclass(record, Struct) else 1 if self.scalar else 0
        self.is_select = self.text[:6].upper() in ("SELECT", "WITH R")
        single = self.text.replace("{each} ", "").replace("{each}", "")
        self.single, self.names = _numbered(single, "?")
        self.postgres = _numbered(postgres or single, "$")[0]
        self.batch = _batched(self.text, self.each) if self.each else None
        if self.each and set(self.names) - set(self.each):
            raise ValueError(f"parameters missing from `each`: {set(self.names) - set(self.each)}")
        EVERY.append(self)

    def values(self, args: Mapping[str, Value]) -> tuple[Value, ...]:
        """Return the arguments in the order of the text's numbered parameters."""
        return tuple([args[name] for name in self.names])

    def made(self, row: Any) -> R:  # noqa: ANN401 - a driver's row
        """Return the record of one row."""
        return row[0] if self.scalar else self.record(*row)

    def __repr__(self) -> str:
        return f"Query({self.record.__name__}, {self.text[:60]!r})"


def _numbered(text: str, sign: str) -> tuple[str, tuple[str, ...]]:
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0]
        if name not in names:
            names.append(name)
        return f"{sign}{names.index(name) + 1}"

    return _TOKENS.sub(number, text), tuple(names)


def _batched(text: str, each: Mapping[str, type[int | str]]) -> str:
    """Return PostgreSQL's text for many callers: arrays unfolded to a table `each_`, whose `n` finds the caller again."""
    arrays = ", ".join(f"${place}::{_PG_TYPES[kind]}[]" for place, kind in enumerate(each.values(), 1))
    table = f"unnest({arrays}) WITH ORDINALITY AS each_({', '.join(each)}, n)"
    body = _TOKENS.sub(lambda match: f"each_.{match[1]}" if match[1] else match[0], text)
    verb = body[:6].upper()
    if verb == "SELECT":
        return body.replace("SELECT ", "SELECT each_.n, ", 1).replace("FROM {each} ", f"FROM {table} CROSS JOIN ", 1)
    body = body.replace("{each}", f"FROM {table}", 1)
    return body.replace("RETURNING ", "RETURNING each_.n, ", 1) if verb == "UPDATE" else body
