"""A verb and what is written beside it if it was first: the audit entry of a deed that happens a thousand times a minute.

A unit of work would do, at four round trips of its own on PostgreSQL and eight of them in a batch on SQLite. A verb with a follower
is coalesced like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from gatewright.store.errors import BadQuery
from gatewright.store.query import Query, Value

_NUMBER: Final = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Then:
    """A plain `INSERT … SELECT … {each} WHERE true` in the transaction of a verb, run if, and only if, the verb returned a row."""

    query: Query[Any]
    args: Mapping[str, Value]
    also: Then | None = None
    """One more, run with it."""

    @property
    def queries(self) -> tuple[Query[Any], ...]:
        """Its text, and those of all that is run with it."""
        return (self.query,) if self.also is None else (self.query, *self.also.queries)

    def bound(self) -> tuple[Value, ...]:
        """Return the arguments of all of it, in the order of the texts and of their numbers."""
        own = self.query.bind(self.args)
        return own if self.also is None else own + self.also.bound()

    def apart(self) -> tuple[tuple[Query[Any], tuple[Value, ...]], ...]:
        """Return each text with its own arguments, where they are run one after the other."""
        own = (self.query, self.query.bind(self.args))
        return (own,) if self.also is None else (own, *self.also.apart())


@lru_cache(maxsize=256)
def joined(verb: Query[Any], *thens: Query[Any]) -> str:
    """Return PostgreSQL's one statement for a batch of verbs with their followers; the verbs' arguments come first.

    Raises:
        BadQuery: one of them cannot be run for many callers at once, or a follower is more than a plain insertion.
    """
    for then in thens:
        _check(verb, then)
    width = verb.columns + (0 if verb.keyed else 1)
    columns = [f"first_{number}" for number in range(width)]
    if verb.keyed:
        # Its answers find their callers by the key, so the followers do as well.
        keys = [f"key_{number}" for number in range(len(verb.key))]
        arrays = ", ".join(f"${index + 1}::{_kind(verb, index)}[]" for index in verb.key)
        same = " AND ".join(f"first_.{column} = verb_.{key}" for column, key in zip(columns, keys, strict=False))
        rows = f"unnest({arrays}) WITH ORDINALITY AS verb_({', '.join(keys)}, verb_nth)"
        chosen = f"SELECT verb_.verb_nth FROM {rows} JOIN first_ ON {same}"  # noqa: S608 - our own words
    else:
        chosen = f"SELECT first_.{columns[-1]} FROM first_"  # noqa: S608 - our own words
    parts = [f"first_({', '.join(columns)}) AS ({verb.batch})"]
    offset = len(verb.names)
    for number, then in enumerate(thens):
        parts.append(f"then_{number} AS ({_moved(then, offset)} AND each_.each_nth IN ({chosen}))")
        offset += len(then.names)
    return f"WITH {f',{chr(10)}     '.join(parts)}\nSELECT * FROM first_"


def _check(verb: Query[Any], then: Query[Any]) -> None:
    if verb.batch is None or then.batch is None or not verb.writes or not verb.columns:
        raise BadQuery(f"{verb.where}, {then.where}: a verb with a follower and the follower are both batched, and the verb returns a row")
    if then.columns or not then.batch.upper().startswith("INSERT") or not then.batch.rstrip().endswith("WHERE true"):
        raise BadQuery(f"{then.where}: a follower is an INSERT … SELECT … {{each}} WHERE true, and returns nothing")


def _moved(then: Query[Any], offset: int) -> str:
    """Return a follower's text with its arguments behind so many others."""
    return _NUMBER.sub(lambda found: f"${int(found[1]) + offset}", then.batch or "")


def _kind(query: Query[Any], index: int) -> str:
    return "bigint" if query.each[query.names[index]] is int else "text"
