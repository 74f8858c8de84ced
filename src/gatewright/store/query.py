"""One SQL statement, written once for both engines and typed by the record that it yields."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any, Final, Generic, TypeVar, overload

from msgspec import Struct

from gatewright.store.errors import BadQuery, Unstorable

R_co = TypeVar("R_co", covariant=True)

Value = int | str | None
Kinds = Mapping[str, type[int] | type[str]]

EVERY: Final[list[Query[Any]]] = []  # in the order of import; a test prepares each on both engines

_PG_TYPES: Final = {int: "bigint", str: "text"}
_LIMIT: Final = 1 << 63
# Quoted text, comments and `::` are passed over; what is left of `:name` is a parameter.
_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | :: | :(?P<name>[a-z_][a-z0-9_]*) | (?P<marker>\{each\}[ ]?)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_WRITES: Final = re.compile(r"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_FROM_BEFORE: Final = re.compile(r"\bFROM\s*$", re.IGNORECASE)
_RETURNING: Final = re.compile(r"\bRETURNING\b(.*)$", re.IGNORECASE | re.DOTALL)
_ALIAS: Final = re.compile(r"^\s*(?:UPDATE|DELETE\s+FROM|INSERT\s+INTO)\s+\w+\s+AS\s+(\w+)", re.IGNORECASE)
_NOT_IN_BATCH: Final = re.compile(r"\b(LIMIT|OFFSET|GROUP|DISTINCT|UNION|INTERSECT|EXCEPT|WINDOW)\b", re.IGNORECASE)


class Query(Generic[R_co]):
    """A statement in the common dialect: `TEXT` and `BIGINT` columns, parameters as `:name`.

    `record` is a `msgspec.Struct` whose fields are the columns in order, or `int` or `str` for the first column, or `None`
    where nothing comes back.

    `each` declares a statement that PostgreSQL may run for many callers at once. It maps every parameter to its type, and the
    text carries the marker `{each}`: right after FROM in a SELECT, where a FROM would go in an UPDATE (before WHERE) or in an
    `INSERT … SELECT … {each} WHERE true`, where USING would go in a DELETE. The marker vanishes when it runs for one caller.

    `key` names the parameters that name the row (the first of `each` unless said): no two callers in one batch have it in
    common. A batched INSERT with RETURNING returns the key's columns first, since that is how its answers find their callers.

    `postgres` is a second text, for the rare statement that cannot be said in one; a test counts them.
    """

    __slots__ = (
        "batch",
        "columns",
        "each",
        "key",
        "keyed",
        "make",
        "names",
        "postgres",
        "record",
        "sqlite",
        "text",
        "two_texts",
        "wanted",
        "where",
        "writes",
    )

    @overload
    def __init__(
        self: Query[None], record: None, sql: str, *, each: Kinds | None = None, key: Sequence[str] = (), postgres: str | None = None
    ) -> None: ...

    @overload
    def __init__(
        self, record: type[R_co], sql: str, *, each: Kinds | None = None, key: Sequence[str] = (), postgres: str | None = None
    ) -> None: ...

    def __init__(
        self, record: type[R_co] | None, sql: str, *, each: Kinds | None = None, key: Sequence[str] = (), postgres: str | None = None
    ) -> None:
        caller = sys._getframe(1)  # noqa: SLF001 - names the statement in messages, once, at import
        self.where = f"{caller.f_globals.get('__name__', '?')}:{caller.f_lineno}"
        self.text = sql.strip().rstrip(";").rstrip()
        self.record = record
        self.columns, self.make = _maker(record, self.where)
        self.each: dict[str, type[int | str]] = dict(each) if each else {}
        self.two_texts = postgres is not None
        self.names = tuple(dict.fromkeys(token["name"] for token in _TOKEN.finditer(self.text) if token["name"]))
        self.sqlite = _numbered(_without_alias(self.text), "?", self.names, {})
        self.postgres = _numbered((postgres or self.text).strip(), "$", self.names, self.each)
        self.writes = bool(_WRITES.search(_top_level(self.text)))
        self.key = tuple(self.names.index(name) for name in (key or list(self.each)[:1]))
        # What each argument must be: any of the two and None where nothing is declared, and never None in a key.
        self.wanted = tuple([(name, self._kind(index, name)) for index, name in enumerate(self.names)])
        self.keyed = False
        self.batch: str | None = None
        if self.each:
            self.batch = self._batched((postgres or self.text).strip())
        elif "{each}" in self.text or key:
            raise BadQuery(f"{self.where}: {{each}} and key are for a statement that declares `each`")
        EVERY.append(self)

    def __repr__(self) -> str:
        return f"<Query {self.where}>"

    def reads_only(self) -> None:
        """Refuse a statement that writes where only reading was meant."""
        if self.writes:
            raise BadQuery(f"{self.where}: this writes, so it goes through verb or a unit")

    def bind(self, args: Mapping[str, Value]) -> tuple[Value, ...]:
        """Return the arguments in the order of the text's numbers, refusing what not both engines can keep."""
        values: list[Value] = []
        try:
            # One walk over the arguments, since this stands before each statement.
            for name, kinds in self.wanted:
                value = args[name]
                kind = type(value)
                if kind is int:
                    if not -_LIMIT <= value < _LIMIT:  # type: ignore[operator]  # an int
                        raise Unstorable("an integer of more than 63 bits cannot be stored")
                elif kind is str:
                    if not value.isascii() or "\0" in value:  # type: ignore[union-attr,operator]  # a str
                        _check_text(value)  # type: ignore[arg-type]  # a str
                elif value is not None:
                    kind = _kind_of(value)
                if kind not in kinds:
                    raise BadQuery(f"{self.where}: a {type(value).__name__} was given where `each` says otherwise, or a key is None")
                values.append(value)
        except KeyError as missing:
            raise BadQuery(f"{self.where}: the argument {missing} is missing") from None
        if len(args) != len(values):
            raise BadQuery(f"{self.where}: no such parameter: {', '.join(args.keys() - set(self.names))}")
        return tuple(values)

    def key_of(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """Return those of the bound arguments that name the row."""
        return tuple([values[index] for index in self.key])

    def _kind(self, index: int, name: str) -> tuple[type, ...]:
        kind = self.each.get(name)
        if kind is None:
            return (int, str, type(None))
        return (kind,) if index in self.key else (kind, type(None))

    def _batched(self, text: str) -> str:
        """Return the statement for many callers at once, over arrays of their arguments."""
        if set(self.names) != set(self.each):
            raise BadQuery(f"{self.where}: `each` must declare exactly the parameters of the text")
        before, marker, after = text.partition("{each}")
        verb = text.split(None, 1)[0].upper()
        if not marker or "{each}" in after or verb not in {"SELECT", "INSERT", "UPDATE", "DELETE"}:
            raise BadQuery(f"{self.where}: a batched statement is a SELECT, INSERT, UPDATE or DELETE with {{each}} in it once")
        found = _NOT_IN_BATCH.search(_top_level(text))
        if found:
            raise BadQuery(f"{self.where}: {found.group()} would act on the whole batch, not on each caller's rows")
        if verb == "INSERT":
            self._check_insert(after)
        arrays = ", ".join(f"${number}::{_PG_TYPES[self.each[name]]}[]" for number, name in enumerate(self.names, 1))
        # The underscores keep a caller's `id` apart from the table's own where a statement says `id` alone.
        rows = f"unnest({arrays}) WITH ORDINALITY AS each_({''.join(name + '_, ' for name in self.names)}each_nth)"
        joined = _FROM_BEFORE.search(before)
        source = rows + " CROSS JOIN" if joined else ("USING " if verb == "DELETE" else "FROM ") + rows
        if verb == "SELECT":
            if not joined:
                raise BadQuery(f"{self.where}: in a SELECT, {{each}} stands right after FROM")
            before = before[: joined.start()].rstrip() + ", each_.each_nth " + before[joined.start() :]
        elif verb != "INSERT" and _RETURNING.search(_top_level(after)):
            after += "\n, each_.each_nth"
        return _TOKEN.sub(_of_each, before + source + after)

    def _check_insert(self, after: str) -> None:
        conflict = re.search(r"\bON\s+CONFLICT\b", after, re.IGNORECASE)
        if conflict and any(token["name"] for token in _TOKEN.finditer(after, conflict.start())):
            raise BadQuery(f"{self.where}: after ON CONFLICT a batched INSERT says excluded.column, not :parameter")
        returning = _RETURNING.search(_top_level(after))
        if returning:
            columns = [column.strip().split(".")[-1] for column in returning.group(1).split(",")]
            if columns[: len(self.key)] != [self.names[index] for index in self.key]:
                raise BadQuery(f"{self.where}: a batched INSERT returns its key's columns first, in order")
            self.keyed = True


def _maker(record: type[R_co] | None, where: str) -> tuple[int, Callable[[Sequence[Any]], R_co]]:
    """Return how many columns a record takes and how it is made of a row."""
    if record is None or record is type(None):
        return 0, lambda _row: None  # type: ignore[return-value]  # R_co is None here
    if record is int or record is str:
        return 1, lambda row: row[0]
    if not issubclass(record, Struct):
        raise BadQuery(f"{where}: a record is a Struct, int, str or None")
    fields = record.__struct_fields__
    if any(parameter.kind is Parameter.KEYWORD_ONLY for parameter in signature(record).parameters.values()):
        raise BadQuery(f"{where}: {record.__name__} is made of a row by position, so it cannot be kw_only")
    kind: Callable[..., R_co] = record
    return len(fields), lambda row: kind(*row)


def _numbered(text: str, mark: str, names: tuple[str, ...], each: Kinds) -> str:
    """Return the text for one caller, its parameters numbered in the order of `names`."""

    def number(token: re.Match[str]) -> str:
        if token["marker"]:
            return ""
        name = token["name"]
        if not name:
            return token.group()
        # A declared type is said aloud, so that PostgreSQL never guesses a narrower one.
        cast = f"::{_PG_TYPES[each[name]]}" if name in each else ""
        return f"{mark}{names.index(name) + 1}{cast}"

    return _TOKEN.sub(number, text)


def _without_alias(text: str) -> str:
    """Return the text as SQLite takes it: its RETURNING does not know the alias of the table that is written to."""
    alias, returning = _ALIAS.match(text), _RETURNING.search(text)
    if not alias or not returning:
        return text
    return text[: returning.start()] + re.sub(rf"\b{alias.group(1)}\.", "", returning.group())


def _of_each(token: re.Match[str]) -> str:
    return f"each_.{token['name']}_" if token["name"] else token.group()


def _top_level(text: str) -> str:
    """Return the text without what is quoted or in brackets."""
    flat, depth = [], 0
    for char in _QUOTED.sub("''", text):
        depth += (char == "(") - (char == ")")
        flat.append(char if depth == 0 else " ")
    return "".join(flat)


def _kind_of(value: object) -> type:
    """Return what a value is stored as; a text or number of another class, such as an enumeration's, is one all the same."""
    if isinstance(value, str):
        _check_text(value)
        return str
    if isinstance(value, int) and not isinstance(value, bool) and -_LIMIT <= value < _LIMIT:
        return int
    raise Unstorable(f"a {type(value).__name__} cannot be stored: only text, integers and None")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        half = True
    else:
        half = False
    if half or "\0" in text:
        raise Unstorable("a text with a NUL character or half a surrogate pair cannot be stored")
