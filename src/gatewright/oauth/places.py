"""How an opaque token names the scopes that it is narrowed to: by their places, which never change (`docs/decisions/0005`).

OpenID's scopes stand in the first eight places, an API's own behind them in the order in which they were made. A scope that was
retired keeps its place, and none moves to another API, so a token means the same whatever is approved, made or retired later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from struct import pack, unpack
from typing import Final

from gatewright.oauth.catalogue import OPENID_API, Catalogue, Scope

_FIRST: Final = 8  # places of OpenID's
_LAST: Final = 1 << 16
_BITS, _LIST = b"\x00", b"\x01"


def write(scopes: Iterable[Scope], room: int) -> bytes | None:
    """Return these scopes in at most so many bytes: a bit for each place, or, where the places are far out, a list of the few that
    are meant. None if neither fits.
    """
    places = [_place(scope) for scope in scopes]
    last = max(places, default=0)
    if 1 + (last >> 3) + 1 <= room:
        mask = 0
        for place in places:
            mask |= 1 << place
        return _BITS + mask.to_bytes((last >> 3) + 1, "little")
    if last < _LAST and 1 + 2 * len(places) <= room:
        return _LIST + pack(f">{len(places)}H", *sorted(places))
    return None


def names(text: bytes, ids: Collection[int], api: int, catalogue: Catalogue) -> list[str]:
    """Return the names of those scopes among `ids`, of the API or OpenID's, that are written there; in the order of `ids`' numbers."""
    mask = _mask(text)
    known = catalogue.scopes
    found = [known[number] for number in sorted(ids) if number in known]
    return [scope.name for scope in found if scope.api in (api, OPENID_API) and mask >> _place(scope) & 1]


def _place(scope: Scope) -> int:
    return scope.id - 1 if scope.api == OPENID_API else _FIRST + scope.place


def _mask(text: bytes) -> int:
    """Return the written places as bits; nothing else than what `write` made is ever read, since it comes sealed."""
    if text[:1] != _LIST:
        return int.from_bytes(text[1:], "little")
    mask = 0
    for place in unpack(f">{(len(text) - 1) // 2}H", text[1:]):
        mask |= 1 << place
    return mask
