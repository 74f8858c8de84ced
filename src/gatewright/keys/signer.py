"""The `Signer` port: signs with the tenant's present key, knows its public ones, and lets one key follow another in time.

A key is published a day before it signs and for a day after it signed for the last time, so that whoever keeps our JWKS always
finds the key of the token in hand. A tenant's first keys are made when one is first needed, by whichever node needs it first, and
for all algorithms at once: whoever keeps a JWKS that has one of them has them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from gatewright.audit.book import Actor
from gatewright.base.kept import Kept
from gatewright.base.moment import Clock, Moment
from gatewright.keys.book import DUE, KEYS_KIND, KNOWN, OF_TENANT, OLD, KeyRow, NewKey, add_all, drop, drop_old
from gatewright.keys.sealer import NONCE, Wrapper
from gatewright.keys.signing import ALGS, SigningKey, load, make
from gatewright.store import Store
from gatewright_guard.jose import KeySet, Verified, parse, read_jwks, verify
from gatewright_guard.refused import Cause, Refused

EVERY: Final = 90 * 86400  # seconds for which a key signs
AHEAD: Final = 86400  # seconds for which its successor is published before that
AHEAD_BY_HAND: Final = 600  # the same for a rotation that somebody asked for: twice as long as our JWKS may be kept
LONGEST: Final = 86400  # seconds that a signed token lives at most (`decisions` §3)
SLACK: Final = 3600
# A sign-out may show an ID token long after its end; it is known as ours for as long as a browser may stay signed in.
KNOWN_FOR: Final = 30 * 86400

_PURPOSE: Final = "signing key"
_TENANTS: Final = 1024
_LIVE: Final = 4096
_AT_ONCE: Final = 20
_RIGHT: Final = 4096  # tokens whose signature was right and is known again


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """A tenant's keys at a moment: newest first, as a document, and ready to check signatures. Good until `until`."""

    rows: tuple[KeyRow, ...]
    document: bytes
    keys: KeySet
    until: int | None

    def signs(self, alg: str, now: int) -> KeyRow | None:
        """Return the key of an algorithm that signs now; None where none was made, or the last one was taken away."""
        able = [row for row in self.rows if row.alg == alg and (row.signs_until is None or now < row.signs_until)]
        # Where none has begun (the clock that made it is ahead of ours), the one that begins first is early, and that is all.
        return next((row for row in able if row.signs_from <= now), able[-1] if able else None)


def _name_of(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def ring_of(rows: list[KeyRow], now: int) -> Ring:
    """Return the ring of a tenant's keys, newest first."""
    published = [row for row in rows if row.published_until is None or now < row.published_until]
    document = b'{"keys":[' + b",".join([row.public_jwk.encode() for row in published]) + b"]}"
    everything = [msgspec.json.decode(row.public_jwk) for row in rows]
    ends = [row.published_until for row in published if row.published_until is not None]
    return Ring(tuple(rows), document, read_jwks({"keys": everything}), min(ends, default=None))


class Rotated(msgspec.Struct, frozen=True):
    """A key that was made to follow another."""

    tenant: int
    alg: str
    kid: str
    signs_from: int


class KeySigner:
    """Signing keys over a store. `fresh` tells whether changes made elsewhere are heard."""

    __slots__ = ("_clock", "_live", "_making", "_right", "_rings", "_store", "_wrapper")

    def __init__(self, store: Store, clock: Clock, wrapper: Wrapper, fresh: Callable[[], bool]) -> None:
        self._store = store
        self._clock = clock
        self._wrapper = wrapper
        self._rings = Kept[int, Ring](self._load, limit=_TENANTS, fresh=fresh)
        self._live: dict[int, SigningKey] = {}
        self._right: dict[bytes, tuple[Ring, Verified]] = {}
        self._making: dict[int, asyncio.Task[bool]] = {}

    # ------------------------------------------------------------ the port

    async def sign(self, tenant: int, alg: str, typ: str, payload: bytes) -> str:
        """Return a compact JWS under the key of the moment."""
        now = self._clock.moment().now
        ring = await self._ring(tenant, now)
        row = None if ring is None else ring.signs(alg, now)
        if row is None:
            row = await self._first(tenant, alg, now)
        return (self._live.get(row.id) or self._opened(row)).sign(typ, payload)

    async def verify(self, tenant: int, token: str) -> Mapping[str, object] | None:
        """Return the payload of a JWS that this tenant signed, or None."""
        ring = await self._ring(tenant, self._clock.moment().now)
        known = self._right.get(_name_of(token))
        if known is not None and known[0] is ring:
            return known[1].payload
        try:
            if ring is not None:
                return self._looked_at(token, ring)
        except Refused as fault:
            if fault.cause is not Cause.KEY_UNKNOWN or not await self._made_elsewhere(tenant, token, ring):
                return None
            ring = await self._rings.get(tenant)
        try:
            return None if ring is None else self._looked_at(token, ring)
        except Refused:
            return None

    async def typ(self, token: str) -> str | None:
        """Return the `typ` of a JWS's header, or None when it has no readable one."""
        known = self._right.get(_name_of(token))
        if known is not None:
            return known[1].header.typ
        try:
            return parse(token).header.typ
        except Refused:
            return None

    async def jwks(self, tenant: int) -> bytes:
        """Return the JSON document of the published keys."""
        now = self._clock.moment().now
        ring = await self._ring(tenant, now)
        if ring is None:
            # Whoever fetches the keys of a tenant that has none yet finds what its first tokens will be signed with.
            await self._first(tenant, ALGS[0], now)
            ring = await self._ring(tenant, now)
        return b'{"keys":[]}' if ring is None else ring.document

    def changed(self, kind: str, tenant: int, subject: int) -> None:
        """Hear that something was changed, here or elsewhere."""
        if kind == KEYS_KIND:
            self._rings.forget(tenant)

    def forget_all(self) -> None:
        """Hear that changes were missed, so that nothing kept may be believed."""
        self._rings.forget_all()

    # ------------------------------------------------------------ one follows another

    async def rotate_due(self, at: Moment) -> list[Rotated]:
        """Give every key whose time is nearly over a successor, and forget the ones long gone; any node may."""
        due = await self._store.all(DUE, before=at.now - EVERY + AHEAD, count=_AT_ONCE)
        rotated = [one for row in due for one in await self._follow(at, [row], at.now + AHEAD, "")]
        before = at.now - KNOWN_FOR
        if await self._store.one(OLD, before=before) is not None:
            await self._store.run(drop_old, before)
        return rotated

    async def rotate(self, at: Moment, tenant: int, *, actor: Actor, ahead: int = AHEAD_BY_HAND) -> list[Rotated]:
        """Give each of a tenant's present keys a successor that signs after `ahead` seconds; one that has one already keeps it."""
        rows = await self._store.all(OF_TENANT, tenant=tenant)
        present = [row for row in rows if row.signs_until is None and row.signs_from <= at.now]
        return await self._follow(at, present, at.now + ahead, actor)

    async def retire(self, at: Moment, tenant: int, kid: str, *, actor: Actor) -> bool:
        """Take a key away at once, because somebody else may have it: nothing that it signed is believed here from now on."""
        gone = await self._store.run(drop, at, tenant, kid, actor)
        self._rings.forget(tenant)
        return gone

    async def _follow(self, at: Moment, rows: list[KeyRow], signs_from: int, actor: Actor) -> list[Rotated]:
        """Make a successor for each of a tenant's keys; return those that nobody else had made."""
        if not rows:
            return []
        several = [
            NewKey(
                tenant=row.tenant,
                made=made,
                wrapped=self._wrapped(row.tenant, made.kid, made.private, at),
                signs_from=signs_from,
                follows=row.id,
                published_until=signs_from + LONGEST + SLACK,
                actor=actor,
            )
            for row in rows
            for made in (await asyncio.to_thread(make, row.alg),)
        ]
        first = await self._store.run(add_all, at, several)
        self._rings.forget(rows[0].tenant)
        return [Rotated(new.tenant, new.made.alg, new.made.kid, signs_from) for new, mine in zip(several, first, strict=True) if mine]

    # ------------------------------------------------------------ what is kept

    async def _ring(self, tenant: int, now: int) -> Ring | None:
        ring = await self._rings.get(tenant)
        if ring is not None and ring.until is not None and ring.until <= now:
            self._rings.forget(tenant)
            ring = await self._rings.get(tenant)
        return ring

    async def _load(self, tenant: int) -> Ring | None:
        rows = await self._store.all(OF_TENANT, tenant=tenant)
        return ring_of(rows, self._clock.moment().now) if rows else None

    async def _made_elsewhere(self, tenant: int, token: str, ring: Ring | None) -> bool:
        """Tell whether the key that a token names was made since we looked; a stranger's invention costs one look by an index."""
        kid = parse(token).header.kid
        if kid is None or (ring is not None and any(row.kid == kid for row in ring.rows)):
            return False
        if await self._store.one(KNOWN, tenant=tenant, kid=kid) is None:
            return False
        self._rings.forget(tenant)
        return True

    async def _first(self, tenant: int, alg: str, now: int) -> KeyRow:
        """Return the key that signs now, made if nobody has made it yet. However many ask, one makes it."""
        # What is being made may be another's, where keys were taken away by hand; then it is our turn.
        for _ in (*ALGS, alg):
            task = self._making.get(tenant)
            if task is None:
                task = self._making[tenant] = asyncio.create_task(self._make(tenant, alg))
                task.add_done_callback(lambda _: self._making.pop(tenant, None))
            # Shielded: the key is everybody's, and one caller who goes away must not leave the others without.
            await asyncio.shield(task)
            self._rings.forget(tenant)
            ring = await self._rings.get(tenant)
            row = None if ring is None else ring.signs(alg, now)
            if row is not None:
                return row
        raise RuntimeError(f"no {alg} key was found although one was made")

    async def _make(self, tenant: int, alg: str) -> bool:
        ring = await self._load(tenant)
        at = self._clock.moment()
        if ring is not None and ring.signs(alg, at.now) is not None:
            return False
        several = [await asyncio.to_thread(make, one) for one in (ALGS if ring is None else (alg,))]
        new = [
            NewKey(tenant=tenant, made=made, wrapped=self._wrapped(tenant, made.kid, made.private, at), signs_from=at.now)
            for made in several
        ]
        return any(await self._store.run(add_all, at, new))

    def _wrapped(self, tenant: int, kid: str, private: bytes, at: Moment) -> str:
        return self._wrapper.wrap(_PURPOSE, tenant, kid, private, nonce=at.dice.bytes(NONCE))

    def _looked_at(self, token: str, ring: Ring) -> Mapping[str, object]:
        """Check a signature, and know it again: the same text under the same keys is right a second time, and that is looked up faster."""
        verified = verify(token, ring.keys)
        if len(self._right) >= _RIGHT:
            self._right.clear()
        self._right[_name_of(token)] = (ring, verified)
        return verified.payload

    def _opened(self, row: KeyRow) -> SigningKey:
        key = load(row.alg, row.kid, self._wrapper.unwrap(_PURPOSE, row.tenant, row.kid, row.wrapped))
        if len(self._live) >= _LIVE:
            self._live.clear()
        self._live[row.id] = key
        return key
