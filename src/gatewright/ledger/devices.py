"""Devices that wait for their users (RFC 8628): asked, looked at, answered once. Implements `oauth.ports.Devices`.

A device that waits asks again and again, so asking writes nothing: when it asked last is remembered by each process for itself, and
only that it must wait longer is written, which all of them read (`docs/decisions/0025`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from gatewright.audit.book import Act, record
from gatewright.base import ids
from gatewright.base.networks import site_of
from gatewright.endings.book import OUTLIVED
from gatewright.ledger.grants import give, giving_of
from gatewright.ledger.opening import OPEN, row_of
from gatewright.oauth.authorization import CodeTerms
from gatewright.oauth.device import INTERVAL, MOST_OF_CLIENT, MOST_OF_NETWORK, Begun, DeviceRequest
from gatewright.store import NotUnique, Query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import NewAuthorization
    from gatewright.oauth.device import NewDeviceRequest, Polled
    from gatewright.oauth.visit import Consent
    from gatewright.store import Store, Tx

MOST_POLLED: Final = 4096  # devices that asked last, remembered by one process

_LIVE: Final = "SELECT 1 FROM device_request AS r WHERE r.client = :client AND r.expires_at > :asked_at"
# The same row again, after a connection was lost at the commit, is known by its random digest.
BEGIN: Final = Query(
    int,
    f"""INSERT INTO device_request (id, tenant, issuer, client, device_digest, user_digest, scopes, resources, account, network,
              asked_at, expires_at, poll_interval)
       SELECT :id, :tenant, :issuer, :client, :device_digest, :user_digest, :scopes, :resources, :account, :network,
              :asked_at, :expires_at, {INTERVAL} {{each}}
        WHERE NOT EXISTS ({_LIVE} AND r.network = :network LIMIT 1 OFFSET {MOST_OF_NETWORK - 1})
          AND NOT EXISTS ({_LIVE} LIMIT 1 OFFSET {MOST_OF_CLIENT - 1})
           ON CONFLICT (id) DO UPDATE SET id = excluded.id WHERE device_request.device_digest = excluded.device_digest
    RETURNING id""",
    each={
        "id": int, "tenant": int, "issuer": str, "client": int, "device_digest": str, "user_digest": str, "scopes": str,
        "resources": str, "account": str, "network": str, "asked_at": int, "expires_at": int,
    },
)  # fmt: skip
_COLUMNS: Final = (
    "d.id, d.tenant, d.issuer, d.client, d.device_digest, d.scopes, d.resources, d.account, d.network, d.asked_at, d.expires_at,"
    " d.poll_interval, d.answer"
)
FIND: Final = Query(
    DeviceRequest,
    f"SELECT {_COLUMNS} FROM {{each}} device_request AS d WHERE d.id = :id",  # noqa: S608 - the columns are ours
    each={"id": int},
)
NAMED: Final = Query(
    DeviceRequest,
    f"SELECT {_COLUMNS} FROM device_request AS d WHERE d.tenant = :tenant AND d.user_digest = :user_digest",  # noqa: S608 - the columns are ours
)
SLOW_DOWN: Final = Query(
    None, "UPDATE device_request SET poll_interval = :interval WHERE id = :id AND answer IS NULL AND poll_interval < :interval"
)
# Of several answers one is first; a retry of the same attempt is first again.
ANSWER: Final = Query(
    str,
    """UPDATE device_request SET answer = :answer, answered_at = :now, answered_by = :attempt
        WHERE id = :id AND tenant = :tenant AND expires_at > :now AND (answer IS NULL OR answered_by = :attempt)
    RETURNING device_digest""",
)


class Devices:
    """The `Devices` port over a store."""

    __slots__ = ("_polled", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._polled: dict[int, Polled] = {}

    async def begin(self, new: NewDeviceRequest) -> Begun:
        """Remember a request, unless too many wait or its user code is taken."""
        args = {name: getattr(new, name) for name in new.__struct_fields__}
        try:
            return Begun.FULL if await self._store.verb(BEGIN, **args) is None else Begun.FRESH
        except NotUnique:
            return Begun.TAKEN

    async def find(self, number: int) -> DeviceRequest | None:
        """Read a request."""
        return await self._store.one(FIND, id=number)

    async def named(self, tenant: int, user_digest: str) -> DeviceRequest | None:
        """Read the request whose user code has this digest."""
        return await self._store.one(NAMED, tenant=tenant, user_digest=user_digest)

    def last(self, number: int) -> Polled | None:
        """Return when a device last asked, as far as this process remembers."""
        return self._polled.get(number)

    def polled(self, number: int, polled: Polled) -> None:
        """Remember that a device asked just now; the one that asked longest ago is forgotten for it."""
        self._polled.pop(number, None)
        if len(self._polled) >= MOST_POLLED:
            del self._polled[next(iter(self._polled))]
        self._polled[number] = polled

    async def slow_down(self, number: int, interval: int) -> None:
        """Have a device wait for so many seconds between two questions."""
        await self._store.verb(SLOW_DOWN, id=number, interval=interval)

    async def allow(self, at: Moment, number: int, consent: Consent, new: NewAuthorization, *, address: str) -> bool:
        """Let a device in."""
        return await self._store.run(allow, at, number, consent, new, at.attempt(), address)

    async def deny(self, at: Moment, number: int, tenant: int, person: int, *, address: str, refused: str = "") -> bool:
        """Have a device told no."""
        return await self._store.run(deny, at, number, tenant, person, at.attempt(), address, refused)


async def allow(tx: Tx, at: Moment, number: int, consent: Consent, new: NewAuthorization, attempt: str, address: str) -> bool:
    """Answer yes if nobody answered before; then give what was said yes to and open the authorization. A unit of work.

    The authorization is as old as the request. So where its user, client or account had everything ended meanwhile, the device is told no.
    """
    parties = {"client": new.client, "person": new.person, "account": new.account}
    if await tx.one(OUTLIVED, number=number, tenant=new.tenant, **parties) is not None:
        await deny(tx, at, number, new.tenant, new.person, attempt, address, "expired_token")
        return False
    digest = await tx.one(ANSWER, id=number, tenant=new.tenant, answer="allowed", now=at.now, attempt=attempt)
    if digest is None:
        return False
    grant = await give(tx, at, giving_of(consent))
    code = CodeTerms(digest=digest, expires_at=0 if new.code is None else new.code.expires_at, challenge=None, redirect_uri=None)
    opened = await tx.one(OPEN, **row_of(replace(new, grant=grant.id, code=code)))
    if opened is None:
        raise NotUnique("another authorization has this id")
    await _record(tx, at, Act.DEVICE_ALLOWED, new.person, number, address, {"grant": ids.show(ids.GRANT, grant.id)})
    return True


async def deny(tx: Tx, at: Moment, number: int, tenant: int, person: int, attempt: str, address: str, refused: str) -> bool:
    """Answer no if nobody answered before. A unit of work."""
    if await tx.one(ANSWER, id=number, tenant=tenant, answer="denied", now=at.now, attempt=attempt) is None:
        return False
    await _record(tx, at, Act.DEVICE_DENIED, person, number, address, {"refused": refused} if refused else {})
    return True


async def _record(tx: Tx, at: Moment, act: Act, person: int, number: int, address: str, more: Mapping[str, object]) -> None:
    """Write who answered which client's device, and from which networks it asked and was answered: that is what tells a thief's request."""
    request = await tx.one(FIND, id=number)
    assert request is not None  # noqa: S101 - it was answered in this transaction
    actor, subject = ids.show(ids.USER, person) if person else "", ids.show(ids.AUTHORIZATION, number)
    client = ids.show(ids.CLIENT, request.client)
    detail = {"client": client, "asked_from": request.network, "answered_from": site_of(address), **more}
    await record(tx, at, tenant=request.tenant, actor=actor, act=act, subject=subject, detail=detail)
