import tomllib
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from gatewright.base.check import Fault, Faults, check, nearest, taken
from gatewright.base.toml import TomlFault, key_lines, line_of, parse

Short = Annotated[str, Meta(pattern="^[0-9]+[smhd]$", extra={"form": "a duration is expected"}, examples=["90s", "30d"])]


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=20)]
    risk: Literal["normal", "high"] = "normal"


class Either(Struct, frozen=True, forbid_unknown_fields=True):
    env: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("name either env or file")


class Outer(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(description="the name that users see")]
    port: Annotated[int, Meta(ge=0, le=65535)] = 1
    on: bool = False
    life: Short = "1s"
    uris: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    scopes: dict[str, str | Inner] = {}
    inner: list[Inner] = []
    secret: Either | None = None


def faults(document: object) -> list[str]:
    return [str(fault) for fault in check(document, Outer)]


def test_a_good_document_has_no_fault() -> None:
    document = {"name": "x", "scopes": {"a:b": "A", "c": {"text": "C", "risk": "high"}}, "inner": [{"text": "t"}], "secret": {"env": "X"}}
    assert faults(document) == []
    assert taken(document, Outer).scopes["c"] == Inner("C", "high")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "name: this key is missing; the name that users see"),
        ({"name": "x", "prot": 1}, 'prot: this key is not known; did you mean "port"?'),
        ({"name": "x", "zzzzz": 1}, "zzzzz: this key is not known; known here: name, port, on, life, uris, scopes, inner, secret"),
        ({"name": 5}, "name: a text is expected, not a whole number; the name that users see"),
        ({"name": "x", "port": True}, "port: a whole number is expected, not true or false"),
        ({"name": "x", "port": 70000}, "port: at most 65535 is expected"),
        ({"name": "x", "port": -1}, "port: at least 0 is expected"),
        ({"name": "x", "on": "yes"}, "on: true or false is expected, not a text"),
        ({"name": "x", "life": "2 hours"}, 'life: a duration is expected; for example "90s", "30d"'),
        ({"name": "x", "uris": "u"}, "uris: a list is expected, not a text"),
        ({"name": "x", "uris": [1, ""]}, "uris[0]: a text is expected, not a whole number"),
        ({"name": "x", "scopes": {"a:b": 1}}, 'scopes."a:b": a text or a table is expected, not a whole number'),
        ({"name": "x", "inner": [{"text": "t", "risk": "hihg"}]}, 'inner[0].risk: one of high, normal is expected; did you mean "high"?'),
        ({"name": "x", "inner": [{"text": ""}]}, "inner[0].text: this may not be empty"),
        ({"name": "x", "inner": [{"text": "t" * 21}]}, "inner[0].text: at most 20 characters are allowed"),
        ({"name": "x", "secret": {}}, "secret: name either env or file"),
        ({"name": "a\0b"}, "name: a text may not hold a NUL character"),
        ({"name": "x", "port": tomllib.loads("a = 2026-01-01")["a"]}, "port: a whole number is expected, not a date or time"),
        ([], "a table is expected, not a list"),
    ],
)
def test_a_fault_says_where_and_what_to_do(document: object, said: str) -> None:
    assert said in faults(document)


def test_all_faults_are_told_at_once() -> None:
    assert len(faults({"port": "a", "on": 1, "life": "x", "uris": [1, 2], "inner": [{}, {"text": 1}], "what": 1})) == 9


def test_a_refused_document_raises_with_all_its_faults() -> None:
    with pytest.raises(Faults) as caught:
        taken({"prot": 1}, Outer)
    assert len(caught.value.faults) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*Outer.__struct_fields__, "text", "risk", "x"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_what_the_check_passes_convert_takes_and_the_other_way_round(document: object) -> None:
    try:
        msgspec.convert(document, Outer)
        taken_by_convert = True
    except msgspec.ValidationError:
        taken_by_convert = False
    found = check(document, Outer)
    if any("NUL" in fault.rule for fault in found):
        return  # the check is stricter here
    assert (found == ()) is taken_by_convert


def test_the_nearest_name_forgives_hyphens_and_case() -> None:
    assert nearest("Redirect-URI", ["redirect_uris", "scopes"]) == "redirect_uris"


def test_a_fault_without_a_path_is_about_the_whole() -> None:
    assert str(Fault("", "this is not TOML")) == "this is not TOML"
    assert str(Fault("a", "b", line=3)) == "line 3: a: b"


TEXT = '''# a comment with = and [brackets]
[tenant]
slug = "acme"  # "
domains = [
  "https://a.test", # ] not the end
  "https://b.test",
]
"quoted key" = 1
a.b.c = 2

[[apis]]
audience = """multi
line \\""" still
"""
[apis.scopes]
"read:x" = "x"
'lit.eral' = { text = "y", risk = "high" }

[[apis]]
audience = 'it is'
[[apis.keys]]
kid = 1
[[apis.keys]]
kid = 2

[[users]]
memberships = [
  { account = "one", roles = ["A"] },
  { account = "two", roles = [
      "B",
  ] },
]
'''


def test_every_key_has_its_line() -> None:
    lines = key_lines(TEXT)
    rows = ["", *TEXT.splitlines()]

    def at(*path: str | int) -> str:
        line = lines[path]
        return rows[line].strip()

    assert at("tenant") == "[tenant]"
    assert at("tenant", "domains", 1) == '"https://b.test",'
    assert at("tenant", "quoted key") == '"quoted key" = 1'
    assert at("tenant", "a", "b", "c") == "a.b.c = 2"
    assert at("apis", 0, "scopes", "read:x") == '"read:x" = "x"'
    assert at("apis", 0, "scopes", "lit.eral", "risk").startswith("'lit.eral'")
    assert at("apis", 1, "audience") == "audience = 'it is'"
    assert at("apis", 1, "keys", 1, "kid") == "kid = 2"
    assert at("users", 0, "memberships", 1, "roles", 0) == '"B",'
    assert line_of(lines, ("users", 0, "memberships", 0, "missing")) == lines[("users", 0, "memberships", 0)]
    assert line_of(lines, ("nowhere",)) is None


def test_what_is_no_toml_is_a_sentence() -> None:
    with pytest.raises(TomlFault, match="this is not TOML: Invalid value"):
        parse("a = ")
    with pytest.raises(TomlFault):
        parse("a = " + "[" * 10_000)


KEYS = st.text(alphabet="abz-_ .\"'é", min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(alphabet="ab\"'\\\n#[]{}=, ", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def paths(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {path} if path else set()
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in members:
        found |= paths(part, (*path, name))
    return found


def written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(name)} = {written(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(written, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(char):04x}" if char in '"\\\n' else char for char in value) + '"'
    return str(value).lower()


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_the_scan_finds_every_path_that_toml_has(document: dict[str, object]) -> None:
    text = "\n".join(f"{written(name)} = {written(value)}" for name, value in document.items())
    assert parse(text) == document
    assert set(key_lines(text)) == paths(document)
