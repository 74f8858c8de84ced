"""Checks a document from outside against the Struct that it should become, and tells all that is wrong with it at once.

msgspec's own `convert` stops at the first fault. The same check serves the platform file, the settings and later forms. What it
passes, `convert` takes. A field's `Meta` may say in `extra["form"]` what its pattern means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, inspect

from gatewright.base.toml import Path, line_of

T = TypeVar("T")

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "a whole number"),
    (float, "a number"),
    (Mapping, "a table"),
    ((list, tuple), "a list"),
    (type(None), "nothing"),
)
_EXPECTED: Final[Mapping[type[inspect.Type], str]] = {
    inspect.StrType: "a text",
    inspect.IntType: "a whole number",
    inspect.BoolType: "true or false",
    inspect.StructType: "a table",
    inspect.DictType: "a table",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.NoneType: "nothing",
}


class Fault(Struct, frozen=True):
    """One thing that is wrong: where, which rule it breaks, what to do, and on which line where there are lines."""

    path: str
    rule: str
    cure: str = ""
    line: int | None = None
    keys: Path = ()

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        return f"{place}{self.path}: {self.rule}" + (f"; {self.cure}" if self.cure else "") if self.path else f"{place}{self.rule}"


class Faults(Exception):
    """A document is refused; `faults` is everything that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class Findings:
    """Collects faults by path, and gives each the line of its key."""

    def __init__(self, lines: Mapping[Path, int] | None = None) -> None:
        self._lines = lines or {}
        self._faults: list[tuple[int, Fault]] = []

    def add(self, path: Path, rule: str, cure: str = "") -> None:
        """Note one fault."""
        line = line_of(self._lines, path)
        self._faults.append((line or 0, Fault(show_path(path), rule, cure, line, path)))

    def __len__(self) -> int:
        return len(self._faults)

    def all(self) -> tuple[Fault, ...]:
        """Return the faults in the order of their lines."""
        return tuple([fault for _, fault in sorted(self._faults, key=lambda pair: pair[0])])


def check(document: object, kind: type, lines: Mapping[Path, int] | None = None) -> tuple[Fault, ...]:
    """Return everything that keeps a document from becoming a `kind`; nothing when `msgspec.convert` would take it."""
    findings = Findings(lines)
    _walk(document, _type_info(kind), (), findings)
    return findings.all()


def taken(document: object, kind: type[T], lines: Mapping[Path, int] | None = None) -> T:
    """Return the value that a document stands for.

    Raises:
        Faults: there is something wrong with it.
    """
    faults = check(document, kind, lines)
    if faults:
        raise Faults(faults)
    return msgspec.convert(document, kind)


def nearest(word: str, known: list[str]) -> str | None:
    """Return the known word that was most likely meant."""
    folded = {name.lower().replace("-", "_"): name for name in known}
    found = get_close_matches(word.lower().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def choice(word: str, known: list[str]) -> str:
    """Return the cure for a word that is none of the known ones."""
    near = nearest(word, known)
    if near is not None:
        return f'did you mean "{near}"?'
    return f"known here: {', '.join(known)}" if known else "there is none to choose from"


def show_path(path: Path) -> str:
    """Return a path as a person reads it: `clients[2].redirect_uris[0]`."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else f'"{part}"'
            shown += f".{name}" if shown else name
    return shown


def _kind_of(value: object) -> str:
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "a date or time")


@lru_cache(maxsize=64)
def _type_info(kind: type) -> inspect.Type:
    return inspect.type_info(kind)


def _walk(value: object, info: inspect.Type, path: Path, out: Findings, notes: Mapping[str, object] | None = None) -> None:
    if isinstance(info, inspect.Metadata):
        _walk(value, info.type, path, out, {**(info.extra_json_schema or {}), **(info.extra or {})})
    elif isinstance(info, inspect.UnionType):
        _union(value, info, path, out)
    elif isinstance(info, inspect.StructType):
        _struct(value, info, path, out)
    elif isinstance(info, inspect.ListType | inspect.VarTupleType):
        _items(value, info, path, out)
    elif isinstance(info, inspect.DictType):
        _members(value, info, path, out)
    elif isinstance(info, inspect.LiteralType):
        _literal(value, info, path, out)
    else:
        _scalar(value, info, path, out, notes)


def _struct(value: object, info: inspect.StructType, path: Path, out: Findings) -> None:
    if not isinstance(value, Mapping):
        return out.add(path, f"a table is expected, not {_kind_of(value)}")
    before = len(out)
    known = {field.encode_name: field for field in info.fields}
    for name in value:
        if name not in known:
            out.add((*path, str(name)), "this key is not known", choice(str(name), list(known)))
    for name, field in known.items():
        if name in value:
            _walk(value[name], field.type, (*path, name), out)
        elif field.required:
            out.add((*path, name), "this key is missing", _description(field.type))
    if len(out) == before:
        # A Struct's own rule about its fields together speaks only where each of them is right by itself.
        try:
            msgspec.convert(value, info.cls)
        except msgspec.ValidationError as fault:
            out.add(path, str(fault).partition(" - at `$")[0])
    return None


def _items(value: object, info: inspect.ListType | inspect.VarTupleType, path: Path, out: Findings) -> None:
    if not isinstance(value, list | tuple):
        return out.add(path, f"a list is expected, not {_kind_of(value)}")
    if info.min_length is not None and len(value) < info.min_length:
        out.add(path, "at least one is needed" if info.min_length == 1 else f"at least {info.min_length} are needed")
    if info.max_length is not None and len(value) > info.max_length:
        out.add(path, f"at most {info.max_length} are allowed")
    for index, item in enumerate(value):
        _walk(item, info.item_type, (*path, index), out)
    return None


def _members(value: object, info: inspect.DictType, path: Path, out: Findings) -> None:
    if not isinstance(value, Mapping):
        return out.add(path, f"a table is expected, not {_kind_of(value)}")
    for name, item in value.items():
        _walk(name, info.key_type, (*path, str(name)), out)
        _walk(item, info.value_type, (*path, str(name)), out)
    return None


def _literal(value: object, info: inspect.LiteralType, path: Path, out: Findings) -> None:
    if value in info.values and not isinstance(value, bool):
        return
    words = [str(word) for word in info.values]
    near = nearest(value, words) if isinstance(value, str) else None
    out.add(path, f"one of {', '.join(words)} is expected", f'did you mean "{near}"?' if near else "")


def _union(value: object, info: inspect.UnionType, path: Path, out: Findings) -> None:
    kind = _kind_of(value)
    for branch in info.types:
        plain = branch.type if isinstance(branch, inspect.Metadata) else branch
        if _EXPECTED.get(type(plain)) == kind or (isinstance(plain, inspect.LiteralType) and kind == "a text"):
            return _walk(value, branch, path, out)
    wanted = [_EXPECTED.get(type(branch.type if isinstance(branch, inspect.Metadata) else branch), "a text") for branch in info.types]
    return out.add(path, f"{' or '.join(dict.fromkeys(word for word in wanted if word != 'nothing'))} is expected, not {kind}")


def _scalar(value: object, info: inspect.Type, path: Path, out: Findings, notes: Mapping[str, object] | None) -> None:
    wanted = _EXPECTED.get(type(info))
    if wanted is None:
        return
    if _kind_of(value) != wanted:
        out.add(path, f"{wanted} is expected, not {_kind_of(value)}", str((notes or {}).get("description", "")).rstrip("."))
    elif isinstance(info, inspect.StrType) and isinstance(value, str):
        _text(value, info, path, out, notes)
    elif isinstance(info, inspect.IntType) and isinstance(value, int):
        low, high = info.ge, info.le
        if low is not None and value < low:
            out.add(path, f"at least {low} is expected")
        elif high is not None and value > high:
            out.add(path, f"at most {high} is expected")


def _text(value: str, info: inspect.StrType, path: Path, out: Findings, notes: Mapping[str, object] | None) -> None:
    if "\0" in value:
        out.add(path, "a text may not hold a NUL character")
    elif info.min_length is not None and len(value) < info.min_length:
        out.add(path, "this may not be empty" if info.min_length == 1 else f"at least {info.min_length} characters are needed")
    elif info.max_length is not None and len(value) > info.max_length:
        out.add(path, f"at most {info.max_length} characters are allowed")
    elif info.pattern is not None and not re.search(info.pattern, value):
        examples = (notes or {}).get("examples")
        cure = "for example " + ", ".join(f'"{example}"' for example in examples) if isinstance(examples, list) else ""
        out.add(path, str((notes or {}).get("form", "this text has the wrong form")), cure)


def _description(info: inspect.Type) -> str:
    schema = info.extra_json_schema if isinstance(info, inspect.Metadata) else None
    return str((schema or {}).get("description", "")).rstrip(".")
