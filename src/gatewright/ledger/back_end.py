"""The one authorization of a client without an interactive user: opened when first needed, kept up with what the admin allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.base import ids
from gatewright.endings.book import all_ended
from gatewright.ledger.grants import Giving, give
from gatewright.ledger.opening import OPEN, row_of
from gatewright.ledger.standing import PARTIES, STANDING, Parties
from gatewright.oauth.authorization import NewAuthorization, Standing
from gatewright.oauth.catalogue import OPENID_IDS, text_of
from gatewright.oauth.refresh import REPLAY_HORIZON
from gatewright.store import NotUnique, Query, StoreBusy, StoreError

if TYPE_CHECKING:
    from gatewright.base.moment import Clock, Moment
    from gatewright.oauth.client import Client
    from gatewright.store import Store, Tx

OPENED_BY: Final = "client_credentials"

FIND: Final = Query(
    int,
    """SELECT id FROM authorization_row
        WHERE tenant = :tenant AND client = :client AND account = :account AND person = :person AND issuer = :issuer
          AND opened_by = 'client_credentials' AND ended_at IS NULL""",
)
ALLOW: Final = Query(None, "UPDATE authorization_row SET scopes = :scopes WHERE id = :id AND ended_at IS NULL")
CLOSE: Final = Query(None, "UPDATE authorization_row SET ended_at = :now, ended_because = :because WHERE id = :id AND ended_at IS NULL")

LIMIT: Final = 4096  # entries of a cache
_TRIES: Final = 5
_Key = tuple[int, str, int, int]


class _Entry(Struct, frozen=True):
    standing: Standing
    allowed: frozenset[int]
    read_at: int


class BackEnd:
    """Finds such rows; what was read is served again within the same second, for issuing only (`decisions` §5)."""

    __slots__ = ("_clock", "_entries", "_limit", "_store")

    def __init__(self, store: Store, clock: Clock, limit: int = LIMIT) -> None:
        self._limit = limit
        self._store = store
        self._clock = clock
        self._entries: dict[_Key, _Entry] = {}

    async def standing(self, client: Client, issuer: str, *, account: int, person: int, now: int) -> Standing:
        """Return the row, opened or brought up to date if need be. It may stand no more: a party can be disabled."""
        key = (client.id, issuer, account, person)
        entry = self._entries.get(key)
        if entry is not None and entry.read_at == now and entry.allowed == client.scopes:
            return entry.standing
        found: Standing | None = None
        if entry is not None:
            found = await self._store.one(STANDING, id=entry.standing.id, mark="")
        if found is None or not _current(found, client, now):
            found = await self._brought_up(client, issuer, account, person)
        if len(self._entries) >= self._limit:
            self._entries.clear()
        self._entries[key] = _Entry(found, client.scopes, now)
        return found

    async def _brought_up(self, client: Client, issuer: str, account: int, person: int) -> Standing:
        for _ in range(_TRIES):
            try:
                number = await self._store.run(_bring_up, self._clock.moment(), client, issuer, account, person)
            except NotUnique:
                # Another worker opened it in the same moment.
                continue
            found = await self._store.one(STANDING, id=number, mark="")
            if found is not None:
                return found
        raise StoreBusy("the authorization of a client was opened and ended by others again and again")


def allowed_to(client: Client) -> frozenset[int]:
    """Return what the admin allowed a client for itself: no scope that needs a user."""
    return client.scopes - OPENID_IDS


def _current(standing: Standing, client: Client, now: int) -> bool:
    allowed = text_of(allowed_to(client))
    return standing.fault(now) is None and standing.scopes == allowed and standing.granted == allowed


async def _bring_up(tx: Tx, at: Moment, client: Client, issuer: str, account: int, person: int) -> int:
    """Return the id of the client's row after whatever it takes to have one. A unit of work."""
    parties = await tx.one(PARTIES, tenant=client.tenant, client=client.id, account=account, person=person)
    if parties is None:
        raise StoreError("a client is served from a cache although its row is gone")
    number = await tx.one(FIND, tenant=client.tenant, client=client.id, account=parties.account, person=person, issuer=issuer)
    standing: Standing | None = None
    if number is not None:
        standing = await tx.one(STANDING, id=number, mark="")
    if standing is not None and parties.gone:
        # Nothing new is opened for a party that is not active; the row says why nothing is given.
        return standing.id
    grant = await give(
        tx,
        at,
        Giving(
            tenant=client.tenant,
            client=client.id,
            person=person,
            account=parties.account,
            source="operator",
            actor=ids.show(ids.CLIENT, client.id),
            granted=allowed_to(client),
            exact=True,
        ),
    )
    if standing is not None and standing.grant == grant.id and _same_parties(standing, parties):
        if standing.scopes != grant.granted:
            await tx.do(ALLOW, id=standing.id, scopes=grant.granted)
        return standing.id
    if standing is not None:
        await tx.do(CLOSE, id=standing.id, now=at.now, because="by_admin")
        await all_ended(tx, at, client.tenant, [standing.id])
    new = _opened(client, issuer, person, parties, grant.id, at)
    if await tx.one(OPEN, **row_of(new)) is None:
        raise NotUnique("another authorization has this id")
    return new.id


def _same_parties(standing: Standing, parties: Parties) -> bool:
    drift = (standing.client_drift, standing.person_drift or 0, standing.account_drift or 0)
    return drift == (0, 0, 0) and standing.membership == parties.membership


def _opened(client: Client, issuer: str, person: int, parties: Parties, grant: int, at: Moment) -> NewAuthorization:
    return NewAuthorization(
        id=at.id(),
        tenant=client.tenant,
        issuer=issuer,
        opened_by=OPENED_BY,
        grant=grant,
        client=client.id,
        client_epoch=parties.client_epoch,
        person=person,
        person_epoch=parties.person_epoch,
        account=parties.account,
        account_epoch=parties.account_epoch,
        membership=parties.membership,
        scopes=allowed_to(client),
        access_secret=at.text(),
        opened_at=at.now,
        sweep_at=at.now + REPLAY_HORIZON,
    )
