"""One text becomes three: SQLite's, PostgreSQL's, and PostgreSQL's for many callers at once."""

import pytest
from msgspec import Struct

from gatewright.store import BadQuery, Query, Unstorable


class Row(Struct, frozen=True):
    id: int
    name: str


class Keyed(Struct, frozen=True, kw_only=True):
    id: int


def flat(text: str | None) -> str:
    return " ".join((text or "").split())


def test_parameters_are_numbered_by_their_first_use_and_a_repeated_one_keeps_its_number() -> None:
    query = Query(Row, "SELECT id, name FROM t WHERE id = :id AND (name = :name OR :id = 0)")
    assert query.names == ("id", "name")
    assert query.sqlite.endswith("id = ?1 AND (name = ?2 OR ?1 = 0)")
    assert query.postgres.endswith("id = $1 AND (name = $2 OR $1 = 0)")


def test_quoted_text_comments_and_casts_hold_no_parameters() -> None:
    query = Query(
        int, "SELECT 'it''s :a', \":b\", x::text, -- :c isn't\n CAST(:d AS BIGINT) /* :e */ FROM t", postgres="SELECT :d::bigint, ':d'"
    )
    assert query.names == ("d",)
    assert "?1" in query.sqlite
    assert query.postgres == "SELECT $1::bigint, ':d'"


def test_a_batched_select_joins_its_callers_and_returns_their_number() -> None:
    query = Query(Row, "SELECT a.id, a.name FROM {each} t AS a WHERE a.id = :id", each={"id": int})
    assert query.sqlite == "SELECT a.id, a.name FROM t AS a WHERE a.id = ?1"
    assert query.postgres == "SELECT a.id, a.name FROM t AS a WHERE a.id = $1::bigint"
    assert flat(query.batch) == (
        "SELECT a.id, a.name, each_.each_nth FROM unnest($1::bigint[]) WITH ORDINALITY AS each_(id_, each_nth)"
        " CROSS JOIN t AS a WHERE a.id = each_.id_"
    )


def test_a_batched_update_takes_its_callers_as_another_table() -> None:
    query = Query(Row, "UPDATE t AS a SET name = :name {each} WHERE a.id = :id RETURNING a.id, a.name", each={"id": int, "name": str})
    assert query.names == ("name", "id")
    assert query.key_of(("x", 7)) == (7,)
    assert flat(query.batch) == (
        "UPDATE t AS a SET name = each_.name_ FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS each_(name_, id_, each_nth)"
        " WHERE a.id = each_.id_ RETURNING a.id, a.name , each_.each_nth"
    )


def test_sqlite_is_spared_the_alias_that_its_returning_does_not_know() -> None:
    query = Query(Row, "UPDATE t AS a SET n = a.n + 1 WHERE a.id = :id RETURNING a.id, a.name")
    assert query.sqlite == "UPDATE t AS a SET n = a.n + 1 WHERE a.id = ?1 RETURNING id, name"
    assert query.postgres.endswith("RETURNING a.id, a.name")


def test_a_batched_update_without_returning_returns_nothing() -> None:
    query = Query(None, "UPDATE t AS a SET name = :name {each} WHERE a.id = :id", each={"id": int, "name": str})
    assert "each_.each_nth" not in (query.batch or "").split("WHERE")[1]


def test_a_batched_delete_uses_its_callers() -> None:
    query = Query(int, "DELETE FROM t AS a {each} WHERE a.id = :id RETURNING a.id", each={"id": int})
    assert "USING unnest(" in (query.batch or "")


def test_a_batched_insert_finds_its_callers_by_the_key_it_returns() -> None:
    query = Query(
        Row,
        "INSERT INTO t (id, name) SELECT :id, :name {each} WHERE true ON CONFLICT (id, name) DO NOTHING RETURNING id, name",
        each={"id": int, "name": str},
        key=("id", "name"),
    )
    assert query.keyed
    assert flat(query.batch) == (
        "INSERT INTO t (id, name) SELECT each_.id_, each_.name_ FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS"
        " each_(id_, name_, each_nth) WHERE true ON CONFLICT (id, name) DO NOTHING RETURNING id, name"
    )


BAD = {
    "no marker": ("SELECT id FROM t WHERE id = :id", {"id": int}),
    "two markers": ("SELECT id FROM {each} t {each} WHERE id = :id", {"id": int}),
    "marker without each": ("SELECT id FROM {each} t", None),
    "an undeclared parameter": ("SELECT id FROM {each} t WHERE id = :id AND x = :x", {"id": int}),
    "a limit": ("SELECT id FROM {each} t WHERE id = :id LIMIT 1", {"id": int}),
    "a union": ("SELECT id FROM {each} t WHERE id = :id UNION SELECT 1", {"id": int}),
    "a marker elsewhere in a SELECT": ("SELECT id FROM t {each} WHERE id = :id", {"id": int}),
    "a WITH": ("WITH x AS (SELECT 1) SELECT id FROM {each} t WHERE id = :id", {"id": int}),
    "a parameter after ON CONFLICT": (
        "INSERT INTO t (id, n) SELECT :id, 1 {each} WHERE true ON CONFLICT (id) DO UPDATE SET n = :n",
        {"id": int, "n": int},
    ),
    "an INSERT that returns something else first": ("INSERT INTO t (id) SELECT :id {each} WHERE true RETURNING name", {"id": int}),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_batched_is_refused_when_the_module_is_imported(case: str) -> None:
    text, each = BAD[case]
    with pytest.raises(BadQuery, match="test_query"):
        Query(int, text, each=each)


def test_a_sub_select_may_limit() -> None:
    Query(int, "SELECT (SELECT x FROM u WHERE u.id = a.id LIMIT 1) FROM {each} t AS a WHERE a.id = :id", each={"id": int})


def test_a_record_that_wants_names_is_refused() -> None:
    with pytest.raises(BadQuery, match="kw_only"):
        Query(Keyed, "SELECT id FROM t")


def test_a_record_that_is_no_struct_is_refused() -> None:
    with pytest.raises(BadQuery, match="Struct"):
        Query(dict, "SELECT id FROM t")


def test_a_missing_and_an_unknown_argument_are_named() -> None:
    query = Query(int, "SELECT id FROM t WHERE id = :id")
    with pytest.raises(BadQuery, match="'id' is missing"):
        query.bind({"ident": 1})
    with pytest.raises(BadQuery, match="no such parameter: more"):
        query.bind({"id": 1, "more": 2})


@pytest.mark.parametrize(("id", "name"), [("1", "x"), (1, 2), (None, "x")])
def test_what_each_declares_is_held_to(id: int | str | None, name: int | str) -> None:
    query = Query(Row, "UPDATE t AS a SET name = :name {each} WHERE a.id = :id RETURNING a.id, a.name", each={"id": int, "name": str})
    assert query.bind({"id": 1, "name": None}) == (None, 1)
    with pytest.raises(BadQuery, match="was given where"):
        query.bind({"id": id, "name": name})


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize("value", ["a\0b", "\ud800", Word("a\0b"), 1 << 63, -(1 << 63) - 1, True, 1.5, b"x"])
def test_what_not_both_engines_can_keep_is_refused_at_the_door(value: object) -> None:
    query = Query(int, "SELECT id FROM t WHERE id = :id")
    with pytest.raises(Unstorable):
        query.bind({"id": value})  # type: ignore[dict-item]  # that is the point


@pytest.mark.parametrize("value", ["", "Zoë 🦊", Word("x"), (1 << 63) - 1, -(1 << 63), None])
def test_text_of_any_language_and_63_bits_are_kept(value: str | int | None) -> None:
    assert Query(int, "SELECT id FROM t WHERE id = :id").bind({"id": value}) == (value,)
