"""The signing keys of the tenant."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gatewright.audit.book import Act
from gatewright.base.calendar import stamp
from gatewright.base.operation import Nowhere, Operation
from gatewright.keys.book import OF_TENANT, KeyRow
from gatewright.management.errand import Errand, NotThere

READ: Final = "gw:keys:read"
WRITE: Final = "gw:keys:write"


class KeyAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which key."""

    kid: Annotated[str, Meta(description="The key's id, as in the header of what it signed.", max_length=200)]


class KeyRecord(Struct, frozen=True, kw_only=True):
    """A signing key; `next` is published already, `published` still is."""

    kid: str
    alg: str
    state: Literal["next", "signs", "published", "gone"]
    signs_from: str
    signs_until: str | None
    published_until: str | None


class Rotation(Struct, frozen=True):
    """The keys that were made."""

    made: tuple[KeyRecord, ...]


async def list_keys(errand: Errand, where: Nowhere) -> list[KeyRecord]:
    """List signing keys: which sign, which are published already, which still are."""
    return [_told(row, errand.at.now) for row in await errand.source.all(OF_TENANT, tenant=errand.tenant)]


async def rotate_keys(errand: Errand, where: Nowhere) -> Rotation:
    """Give each present signing key a successor: published at once, it signs as soon as everybody can know it."""
    made = {one.kid for one in await errand.tools.signer.rotate(errand.at, errand.tenant, actor=errand.caller.by)}
    return Rotation(tuple([key for key in await list_keys(errand, where) if key.kid in made]))


async def retire_key(errand: Errand, where: KeyAt) -> None:
    """Take a key away at once because somebody else may have it: nothing that it signed is believed any more."""
    if not await errand.tools.signer.retire(errand.at, errand.tenant, where.kid, actor=errand.caller.by):
        raise NotThere(f"there is no key {where.kid}")


def _told(row: KeyRow, now: int) -> KeyRecord:
    return KeyRecord(
        kid=row.kid,
        alg=row.alg,
        state=_state(row, now),
        signs_from=stamp(row.signs_from),
        signs_until=None if row.signs_until is None else stamp(row.signs_until),
        published_until=None if row.published_until is None else stamp(row.published_until),
    )


def _state(row: KeyRow, now: int) -> Literal["next", "signs", "published", "gone"]:
    if row.signs_from > now:
        return "next"
    if row.signs_until is None or row.signs_until > now:
        return "signs"
    return "published" if row.published_until is None or row.published_until > now else "gone"


OPERATIONS: Final = (
    Operation(name="keys.list", method="GET", path="/keys", scope=READ, run=list_keys, gives=KeyRecord, many=True, key="kid"),
    Operation(
        name="keys.rotate",
        method="POST",
        path="/keys/rotate",
        scope=WRITE,
        run=rotate_keys,
        gives=Rotation,
        acts=(Act.KEY_ROTATED,),
        alone=True,
    ),
    Operation(
        name="keys.retire",
        method="DELETE",
        path="/keys/{kid}",
        scope=WRITE,
        run=retire_key,
        where=KeyAt,
        acts=(Act.KEY_RETIRED,),
        alone=True,
        warns="Every token that it signed will be refused from now on.",
    ),
)
