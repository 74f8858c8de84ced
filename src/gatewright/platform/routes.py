"""An API's table of routes in a file: what a row of it may be, and the step that stores the table (`docs/decisions/0021`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from gatewright.apis import book as apis
from gatewright.base import ids
from gatewright.oauth.catalogue import Route
from gatewright.platform.current import Current
from gatewright.platform.document import ApiPart, RoutePart
from gatewright.platform.reading import Part
from gatewright.platform.steps import Change, Detail, Step, Work, details, id_in, told
from gatewright_guard.rules import segments_of

LONGEST_KEPT: Final = 60  # seconds for which a proxy may let in whom it knows without asking again (issue 4, "cached safely")
_NAMED: Final = re.compile(r"\{[a-z_][a-z0-9_]{0,62}\}")


def route_faults(route: RoutePart) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a row of a table, each with its key."""
    path = route.path.removesuffix("/*")
    segments = segments_of(path or "/")
    if segments is None:
        yield "path", "segments are neither empty nor dots alone: no request has such a path that everybody reads alike"
        return
    if "*" in path:
        yield "path", "a star stands at the end only, as /*"
    named = [segment for segment in segments if "{" in segment or "}" in segment]
    if not all(map(_NAMED.fullmatch, named)):
        yield "path", "in braces stands a name of small letters, digits and underscores, and it is a whole segment"
    elif len(set(named)) < len(named):
        yield "path", "a name stands here twice"
    if route.account_in is not None and f"{{{route.account_in}}}" not in named:
        yield "account_in", f'the path has no segment "{{{route.account_in}}}"'
    if route.public and (route.scopes or route.any_of or route.account_in is not None):
        yield "public", "what is public asks nobody for a token: it has neither scopes nor an account"


def route_steps(part: Part[ApiPart], current: Current) -> Iterator[Step]:
    """Yield the step for the table of an API; one that the file does not name stays."""
    row, audience, after = current.apis.get(part.value.audience), part.value.audience, part.value.routes
    if "routes" not in part.given or (row is None and not after):
        return
    before = () if row is None else row.table
    names = current.scope_names
    shown = ([_line(msgspec.to_builtins(one)) for one in shown_routes(before, names)], [_line(msgspec.to_builtins(one)) for one in after])
    found = told({"routes": shown[1]}) if not before else details({"routes": shown[0]}, {"routes": shown[1]})
    if not found:
        return
    if sorted(shown[0]) == sorted(shown[1]):
        # The same rows in another order: the first that fits counts, so this is a change too.
        found = (Detail("routes", "in another order", "as the file has them"),)
    yield Step(Change("~" if before else "+", "routes", audience, found), partial(_set_routes, audience, before, after))


async def _set_routes(audience: str, before: tuple[Route, ...], after: tuple[RoutePart, ...], work: Work) -> None:
    scopes = work.names.scopes
    table = tuple(
        [
            Route(
                path=route.path,
                host=route.host,
                methods=route.methods,
                scopes=tuple([id_in(scopes, name) for name in dict.fromkeys(route.scopes)]),
                any_of=tuple([id_in(scopes, name) for name in dict.fromkeys(route.any_of)]),
                account_in=route.account_in,
                public=route.public,
            )
            for route in after
        ]
    )
    await apis.set_routes(work.deed, id_in(work.names.apis, audience), audience, before=before, after=table)


def shown_routes(table: tuple[Route, ...], names: Mapping[int, str]) -> tuple[RoutePart, ...]:
    """Return a stored table as a file says it, with the present names of its scopes."""

    def named(numbers: tuple[int, ...]) -> tuple[str, ...]:
        return tuple([names.get(number, ids.show(ids.SCOPE, number)) for number in numbers])

    return tuple(
        [
            RoutePart(
                path=route.path,
                host=route.host,
                methods=route.methods,
                scopes=named(route.scopes),
                any_of=named(route.any_of),
                account_in=route.account_in,
                public=route.public,
            )
            for route in table
        ]
    )


def _line(route: Mapping[str, Any]) -> str:
    """Return a row as a person reads it: `GET api.acme.test/x: read:x and one of a, b in {account}`."""
    needs = " and ".join([*route["scopes"], *(["one of " + ", ".join(route["any_of"])] if route["any_of"] else [])])
    place = f"{route['host'] or ''}{route['path']}"
    methods = "|".join(route["methods"])
    inside = f" in {{{route['account_in']}}}" if route["account_in"] else ""
    return f"{methods} {place}".strip() + f": {'public' if route['public'] else (needs or 'any token') + inside}"
