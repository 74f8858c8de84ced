"""How an opaque token names the scopes that it is narrowed to: by their places, which never change (`docs/decisions/0005`).

OpenID's scopes stand in the first eight places, an API's own behind them in the order in which they were made. A scope that was
retired keeps its place, and none moves to another API, so a token means the same whatever is approved, made or retired later.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack, unpack
from typing import Final

from gatewright.oauth.catalogue import OPENID_API, Catalogue, Scope

_FIRST: Final = 8  # places of OpenID's
_MOST: Final = 1 << 16  # places that a list can name
_BITS, _LIST = b"\x00", b"\x01"


def write(scopes: Iterable[Scope], room: int) -> bytes | None:
    """Return these scopes in at most so many bytes: a bit for each place, or, where the places are far out, a list of the few that
    are meant. None if neither fits.
    """
    mask = 0
    for scope in scopes:
        mask |= 1 << (scope.id - 1 if scope.api == OPENID_API else _FIRST + scope.place)
    size = (mask.bit_length() + 7) >> 3
    if size < room:
        return _BITS + mask.to_bytes(size, "little")
    count = mask.bit_count()
    if mask.bit_length() > _MOST or 1 + 2 * count > room:
        return None
    return _LIST + pack(f">{count}H", *[place for place in range(mask.bit_length()) if mask >> place & 1])


def names(text: bytes, ids: Iterable[int], api: int, catalogue: Catalogue) -> list[str]:
    """Return the names of those scopes among `ids`, of the API or OpenID's, that are written there; in the order of `ids`' numbers.

    Nothing else than what `write` made is ever read, since it comes sealed.
    """
    mask = int.from_bytes(text[1:], "little") if text[:1] == _BITS else _listed(text)
    find = catalogue.scopes.get
    found = []
    for number in sorted(ids):
        scope = find(number)
        # On the way of every introspection, so nothing is called for each of them.
        if scope is not None:
            home = scope.api
            if (home == api and mask >> (_FIRST + scope.place) & 1) if home != OPENID_API else mask >> (number - 1) & 1:
                found.append(scope.name)
    return found


def _listed(text: bytes) -> int:
    mask = 0
    for place in unpack(f">{(len(text) - 1) // 2}H", text[1:]):
        mask |= 1 << place
    return mask
