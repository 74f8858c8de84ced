"""What the page about the management API shows: as in `views`, one type for each template."""

from __future__ import annotations

from msgspec import Struct

from gatewright.web.views import Page


class ApiField(Struct, frozen=True, kw_only=True):
    """One place, filter or key, in words: `refers` is the record that it is made of."""

    name: str
    kind: str
    needed: bool = False
    says: str = ""
    refers: str = ""


class ApiRecord(Struct, frozen=True, kw_only=True):
    """The form of a document of the management API."""

    name: str
    says: str
    fields: tuple[ApiField, ...]


class ApiOperation(Struct, frozen=True, kw_only=True):
    """One operation of the management API."""

    name: str
    method: str
    path: str
    says: str
    scope: str
    delegated: str
    command: str
    status: int
    fields: tuple[ApiField, ...] = ()
    takes: str = ""
    gives: str = ""
    many: bool = False
    lines: bool = False
    notes: tuple[str, ...] = ()


class ApiGroup(Struct, frozen=True, kw_only=True):
    """The operations about one kind of thing."""

    name: str
    operations: tuple[ApiOperation, ...]


class ApiProblem(Struct, frozen=True, kw_only=True):
    """One kind of refusal."""

    status: int
    type: str
    title: str


class ApiReference(Page, frozen=True, kw_only=True):
    """The management API for people: every operation with what it takes and gives."""

    base: str
    description: str
    audience: str
    groups: tuple[ApiGroup, ...]
    records: tuple[ApiRecord, ...]
    scopes: tuple[tuple[str, str], ...]
    problems: tuple[ApiProblem, ...]
