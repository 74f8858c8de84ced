"""The SQL of authorizations, each statement beside the verb that uses it. What consumes says whether this attempt was first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from gatewright.audit.book import Act, entry_of
from gatewright.audit.weaknesses import Use, used
from gatewright.base import ids
from gatewright.base.networks import network_of
from gatewright.endings.book import all_ended, beside
from gatewright.endings.records import Ending
from gatewright.ledger.back_end import LIMIT, BackEnd
from gatewright.ledger.cleanup import CleanUps
from gatewright.ledger.opening import OPEN, row_of
from gatewright.ledger.scope_use import note
from gatewright.ledger.standing import REDEEMABLE, STANDING
from gatewright.oauth.handle import mark_of
from gatewright.oauth.ports import Redemption
from gatewright.store import NotUnique, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from gatewright.base.moment import Clock, Moment
    from gatewright.oauth.authorization import EndedBecause, NewAuthorization, Redeemable, Standing
    from gatewright.oauth.client import Client
    from gatewright.oauth.scope_use import Counted
    from gatewright.oauth.showing import Weakness
    from gatewright.store import Store, Then, Tx

REDEEM: Final = Query(
    int,
    """UPDATE authorization_row AS a SET code_used_by = :attempt, code_used_at = :now {each}
        WHERE a.id = :id AND a.ended_at IS NULL AND (a.code_used_by IS NULL OR a.code_used_by = :attempt)
    RETURNING a.id""",
    each={"id": int, "attempt": str, "now": int},
)
# A statement of its own, since touching the digest's index is not free.
REDEEM_FOR_GOOD: Final = Query(
    int,
    """UPDATE authorization_row AS a SET code_used_by = :attempt, code_used_at = :now, standing_digest = :standing_digest {each}
        WHERE a.id = :id AND a.ended_at IS NULL AND (a.code_used_by IS NULL OR a.code_used_by = :attempt)
    RETURNING a.id""",
    each={"id": int, "attempt": str, "now": int, "standing_digest": str},
)
# `sweep_at` stays as it is: an index that changed with each rotation would cost more than the rotation. The sweeper looks again.
ROTATE: Final = Query(
    int,
    """UPDATE authorization_row AS a
          SET generation = :generation + 1, rotated_at = :now, rotated_by = :attempt, refresh_idle_until = :idle_until {each}
        WHERE a.id = :id AND a.ended_at IS NULL
          AND (a.generation <= :generation OR (a.generation = :generation + 1 AND a.rotated_by = :attempt))
    RETURNING a.id""",
    each={"id": int, "generation": int, "attempt": str, "now": int, "idle_until": int},
)


END: Final = Query(
    int,
    """UPDATE authorization_row AS a SET ended_at = :now, ended_because = :because {each}
        WHERE a.id = :id AND a.ended_at IS NULL
    RETURNING a.id""",
    each={"id": int, "because": str, "now": int},
)
END_OF_SESSION: Final = Query(
    int,
    """UPDATE authorization_row SET ended_at = :now, ended_because = :because
        WHERE session = :session AND session_bound = 1 AND ended_at IS NULL RETURNING id""",
)
# What earlier codes of an app bought, once a new one is exchanged.
REPLACE: Final = Query(
    int,
    """UPDATE authorization_row SET ended_at = :now, ended_because = 'reinstalled'
        WHERE consent_grant = :consent_grant AND tenant = :tenant AND id <> :id AND code_used_by IS NOT NULL AND ended_at IS NULL
    RETURNING id""",
)
# A ceiling is raised by a recorded approval alone (`security-rules` 20).
RAISE: Final = Query(
    None,
    """UPDATE authorization_row SET scopes = :scopes
        WHERE consent_grant = :consent_grant AND tenant = :tenant AND code_used_by IS NOT NULL AND ended_at IS NULL""",
)
# Only what stands goes over to another user: what was dead already is not revived by another epoch.
PASS_ON: Final = Query(
    int,
    """UPDATE authorization_row
          SET person = :acting, person_epoch = :epoch, membership = :membership, session = 0, session_bound = 0,
              auth_time = NULL, acr = NULL, amr = NULL, claims = '', nonce = NULL
        WHERE consent_grant = :consent_grant AND tenant = :tenant AND code_used_by IS NOT NULL AND ended_at IS NULL
          AND person = :person AND person_epoch = :old_epoch
    RETURNING id""",
)
MARK: Final = Query(
    str,
    """INSERT INTO mark (name, tenant, attempt, until) SELECT :name, :tenant, :attempt, :until {each} WHERE true
           ON CONFLICT (name) DO UPDATE SET attempt = excluded.attempt WHERE mark.attempt = excluded.attempt
    RETURNING name""",
    each={"name": str, "tenant": int, "attempt": str, "until": int},
)
_REPLAYS: Final = {"code": Act.CODE_REPLAYED, "refresh_token": Act.REFRESH_REPLAYED, None: Act.AUTHORIZATION_ENDED}


async def open_weakly(tx: Tx, at: Moment, new: NewAuthorization, weakness: Weakness) -> bool:
    """Remember an authorization that came by a weakness, with its entry in the audit log; tell whether its id was free. A unit of work."""
    if await tx.one(OPEN, **row_of(new)) is None:
        return False
    use = Use(
        weakness=weakness.name,
        tenant=new.tenant,
        client=new.client,
        person=new.person,
        account=new.account,
        subject=ids.show(ids.AUTHORIZATION, new.id),
        network=network_of(weakness.address),
    )
    await used(tx, at, use)
    return True


async def end_of_session(tx: Tx, at: Moment, tenant: int, session: int, because: EndedBecause = "signed_out") -> int:
    """End the authorizations that last only as long as their session; return how many. A unit of work, or a part of one."""
    ended = await tx.all(END_OF_SESSION, session=session, now=at.now, because=because)
    await all_ended(tx, at, tenant, ended)
    return len(ended)


def ending_of(standing: Standing) -> Ending:
    """Return the ending of one authorization, with where its tokens can be as far as its row says for sure.

    The ceiling of what no session opened may have been higher before: a back-end client's follows what its admin allows.
    """
    scopes = standing.scopes if standing.session else ""
    return Ending(tenant=standing.tenant, authorizations=(standing.id,), scopes=scopes, resources=standing.resources)


class Book:
    """The `Ledger` port over a store. The clock is for ids and secrets of rows that it makes itself; `nudge` has feeds look at once."""

    __slots__ = ("_back_end", "_clean_ups", "_clock", "_nudge", "_store")

    def __init__(self, store: Store, clock: Clock, limit: int = LIMIT, nudge: Callable[[], object] = lambda: None) -> None:
        self._store = store
        self._clock = clock
        self._nudge = nudge
        self._back_end = BackEnd(store, clock, limit)
        self._clean_ups = CleanUps(store)

    def standing(self, number: int, *, mark: str = "") -> Coroutine[Any, Any, Standing | None]:
        """Read an authorization with all that it depends on."""
        return self._store.one(STANDING, id=number, mark=mark)

    async def redeemable(self, number: int) -> Redeemable | None:
        """Read an authorization with that by which its code and refresh tokens are judged."""
        return await self._store.one(REDEEMABLE, id=number)

    async def open(self, new: NewAuthorization, *, weakness: Weakness | None = None) -> None:
        """Remember an authorization under a live grant."""
        if weakness is None:
            fresh = await self._store.verb(OPEN, **row_of(new)) is not None
        else:
            fresh = await self._store.run(open_weakly, self._clock.moment(), new, weakness)
        if not fresh:
            raise NotUnique("another authorization has this id")

    async def redeem(self, number: int, *, attempt: str, now: int, standing_digest: str | None = None) -> Redemption:
        """Use up the code of an authorization."""
        if standing_digest is None:
            first = await self._store.verb(REDEEM, id=number, attempt=attempt, now=now)
        else:
            first = await self._store.verb(REDEEM_FOR_GOOD, id=number, attempt=attempt, now=now, standing_digest=standing_digest)
        if first is not None:
            return Redemption.FIRST
        row = await self.standing(number)
        return Redemption.ENDED if row is None or row.ended_at is not None else Redemption.USED

    async def rotate(self, number: int, *, generation: int, attempt: str, now: int, idle_until: int | None) -> bool:
        """Move the refresh chain on; tell whether this attempt did it."""
        return await self._store.verb(ROTATE, id=number, generation=generation, attempt=attempt, now=now, idle_until=idle_until) is not None

    async def end(
        self, standing: Standing, *, because: EndedBecause, now: int, replayed: Literal["code", "refresh_token"] | None = None
    ) -> None:
        """End an authorization; the first cause wins."""
        detail = {"because": because, "user": ids.show(ids.USER, standing.person) if standing.person else ""}
        entry = self._entry(standing, _REPLAYS[replayed], detail, ending_of(standing))
        await self._store.verb(END, entry, id=standing.id, because=because, now=now)
        self._nudge()

    async def revoke(self, standing: Standing, jti: str, *, until: int, attempt: str, api: int | None) -> None:
        """Mark one access token as revoked."""
        tenant = standing.tenant
        ending = None if api is None else Ending(tenant=tenant, jti=jti, until=until, api=api)
        entry = self._entry(standing, Act.TOKEN_REVOKED, {"jti": jti}, ending)
        await self._store.verb(MARK, entry, name=mark_of(tenant, jti), tenant=tenant, attempt=attempt, until=until)
        self._nudge()

    def _entry(self, standing: Standing, act: Act, detail: Mapping[str, object], ending: Ending | None) -> Then:
        at = self._clock.moment()
        actor, subject = ids.show(ids.CLIENT, standing.client), ids.show(ids.AUTHORIZATION, standing.id)
        entry = entry_of(at, tenant=standing.tenant, actor=actor, act=act, subject=subject, detail=detail)
        return entry if ending is None else replace(entry, also=beside(at, ending))

    async def back_end(self, client: Client, issuer: str, *, account: int, person: int, now: int) -> Standing:
        """Return the one row of a client without an interactive user."""
        return await self._back_end.standing(client, issuer, account=account, person=person, now=now)

    async def cleanup(self, client: Client, issuer: str, install: int, at: Moment) -> Standing | None:
        """Return what a client may use to clean up after one of its installations."""
        return await self._clean_ups.standing(client, issuer, install, at)

    async def scopes_used(self, tenant: int, api: int, used: Mapping[int, frozenset[int]], *, day: int, lost: bool, now: int) -> Counted:
        """Remember which scopes of an API were used under which authorizations on a day."""
        return await note(self._store, tenant, api, used, day=day, lost=lost, now=now)

    async def first_time(self, name: str, *, tenant: int, attempt: str, until: int) -> bool:
        """Remember a mark, its name being the tenant's own; tell whether this attempt was the first to set it."""
        return await self._store.verb(MARK, name=f"{tenant}:{name}", tenant=tenant, attempt=attempt, until=until) is not None
