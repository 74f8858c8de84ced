"""The sweeper takes what nothing can ask for any more, and leaves everything else."""

from __future__ import annotations

from typing import Any

from gatewright.jobs.sweep import CHANGES_KEPT, ENDED_KEPT, MARKS_KEPT, REQUESTS_KEPT, SWEEPS, USES_KEPT, _batch, sweep
from gatewright.store import Query, Store, Tx

NOW = 1_900_000_000
DAY = 86_400

_AUTHORIZATION = """INSERT INTO authorization_row (id, tenant, issuer, opened_by, consent_grant, client, person, account, membership,
        session, client_epoch, person_epoch, account_epoch, epoch, scopes, resources, claims, access_secret, refresh_secret, generation,
        refresh_idle_until, session_bound, standing_digest, opened_at, sweep_at, ended_at)
    VALUES (:id, 1, 'https://id.acme.test', :opened_by, :consent_grant, 3, 4, 5, 6, 7, 0, 0, 0, 0, '1', '', '', 'secret', :refresh_secret,
        0, :refresh_idle_until, 0, :standing_digest, 0, :sweep_at, :ended_at)"""
_GRANT = """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at, changed_at,
        expires_at, ended_at) VALUES (:id, 1, :id, 5, 4, 0, '1', '', '', 'user', 0, 0, :expires_at, :ended_at)"""


async def put(store: Store, text: str, **args: int | str | None) -> None:
    async def unit(tx: Tx) -> None:
        query: Query[Any] = Query(None, text)
        await tx.do(query, **args)

    await store.run(unit)


async def authorization(store: Store, number: int = 1, **changed: int | str | None) -> None:
    ordinary: dict[str, int | str | None] = {
        "id": number,
        "opened_by": "authorization_code",
        "consent_grant": 2,
        "refresh_secret": None,
        "refresh_idle_until": None,
        "standing_digest": None,
        "sweep_at": NOW - 1,
        "ended_at": None,
    }
    await put(store, _AUTHORIZATION, **(ordinary | changed))


async def authorizations(store: Store) -> list[int]:
    return await store.all(Query(int, "SELECT id FROM authorization_row ORDER BY id"))


async def sweep_at(store: Store) -> int | None:
    return await store.one(Query(int, "SELECT sweep_at FROM authorization_row"))


async def test_a_row_whose_last_token_is_dead_goes_when_its_time_has_come(store: Store) -> None:
    await authorization(store)
    await authorization(store, 2, sweep_at=NOW)
    assert await sweep(store, NOW) == {"authorization_row": 1}
    assert await authorizations(store) == [2]


async def test_a_token_that_is_good_until_revoked_outlives_every_sweep(store: Store) -> None:
    await authorization(store, standing_digest="d", refresh_secret="s", refresh_idle_until=NOW - 400 * DAY)
    for month in range(3):
        await sweep(store, NOW + month * 31 * DAY)
    assert await authorizations(store) == [1]


async def test_a_token_that_was_good_until_revoked_goes_a_month_after_its_end(store: Store) -> None:
    await authorization(store, standing_digest="d", ended_at=NOW - ENDED_KEPT)
    await sweep(store, NOW)
    assert await authorizations(store) == [1]
    assert await sweep(store, NOW + 1) == {"authorization_row": 1}


async def test_a_chain_that_is_renewed_is_kept(store: Store) -> None:
    await authorization(store, refresh_secret="s", refresh_idle_until=NOW + DAY)
    assert await sweep(store, NOW) == {}
    assert await sweep_at(store) == NOW + DAY + ENDED_KEPT


async def test_a_chain_that_ran_out_is_kept_until_no_replay_can_come(store: Store) -> None:
    await authorization(store, refresh_secret="s", refresh_idle_until=NOW - ENDED_KEPT)
    assert await sweep(store, NOW) == {}
    assert await sweep(store, NOW + 1) == {"authorization_row": 1}


async def test_a_row_that_ended_late_in_its_life_is_still_known_for_a_month(store: Store) -> None:
    await authorization(store, refresh_secret="s", refresh_idle_until=NOW - 400 * DAY, ended_at=NOW - DAY)
    assert await sweep(store, NOW) == {}
    assert await sweep_at(store) == NOW - DAY + ENDED_KEPT
    assert await sweep(store, NOW + 30 * DAY) == {"authorization_row": 1}


async def test_the_row_of_a_back_end_client_is_kept_while_it_stands(store: Store) -> None:
    await authorization(store, opened_by="client_credentials")
    assert await sweep(store, NOW) == {}
    assert await sweep_at(store) == NOW + ENDED_KEPT


async def test_a_row_that_stands_is_kept_even_where_it_was_not_put_off(store: Store) -> None:

    standing: list[dict[str, int | str | None]] = [
        {"refresh_secret": "s", "refresh_idle_until": NOW + DAY},
        {"refresh_secret": "s", "refresh_idle_until": NOW - ENDED_KEPT},
        {"refresh_secret": "s"},
        {"opened_by": "client_credentials"},
        {"standing_digest": "d"},
        {"ended_at": NOW - ENDED_KEPT},
    ]
    for number, row in enumerate(standing, 1):
        await authorization(store, number, **row)
    await authorization(store, 50)
    await authorization(store, 51, ended_at=NOW - ENDED_KEPT - 1)
    await authorization(store, 52, refresh_secret="s", refresh_idle_until=NOW - ENDED_KEPT - 1)
    (deletes,) = [query for table, query, _ in SWEEPS if table == "authorization_row"]
    await store.run(_batch, deletes, NOW)
    assert await authorizations(store) == [1, 2, 3, 4, 5, 6]


async def test_a_grant_goes_a_month_after_its_end_when_nothing_stands_under_it(store: Store) -> None:
    ended = {"ended_at": NOW - ENDED_KEPT - 1, "expires_at": None}
    await put(store, _GRANT, id=2, **ended)
    await put(store, _GRANT, id=3, **ended)
    await put(store, _GRANT, id=4, ended_at=NOW - ENDED_KEPT, expires_at=None)
    await put(store, _GRANT, id=5, ended_at=None, expires_at=None)
    await authorization(store, consent_grant=2, sweep_at=NOW + 1)
    assert await sweep(store, NOW) == {"consent_grant": 1}
    assert await store.all(Query(int, "SELECT id FROM consent_grant ORDER BY id")) == [2, 4, 5]


async def test_a_grant_that_ran_out_goes_like_one_that_was_ended(store: Store) -> None:
    await put(store, _GRANT, id=2, ended_at=None, expires_at=NOW - ENDED_KEPT - 1)
    await put(store, _GRANT, id=3, ended_at=None, expires_at=NOW - 1)
    assert await sweep(store, NOW) == {"consent_grant": 1}


async def test_the_uses_of_scopes_go_with_their_grant(store: Store) -> None:
    await put(store, _GRANT, id=2, ended_at=NOW - ENDED_KEPT - 1, expires_at=None)
    await put(store, _GRANT, id=3, ended_at=None, expires_at=NOW - ENDED_KEPT - 1)
    await put(store, _GRANT, id=4, ended_at=NOW - ENDED_KEPT, expires_at=None)
    await put(store, _GRANT, id=5, ended_at=None, expires_at=None)
    for grant in (2, 3, 4, 5):
        for scope in (7, 8):
            await put(
                store,
                "INSERT INTO scope_use (consent_grant, scope, tenant, day, days) VALUES (:consent_grant, :scope, 1, 1, 1)",
                consent_grant=grant,
                scope=scope,
            )
    assert await sweep(store, NOW) == {"scope_use": 4, "consent_grant": 2}
    assert await store.all(Query(int, "SELECT consent_grant FROM scope_use ORDER BY consent_grant, scope")) == [4, 4, 5, 5]


async def test_changes_marks_and_throttles_go_when_nobody_can_need_them(store: Store) -> None:
    for number, at in enumerate((NOW - CHANGES_KEPT - 1, NOW - CHANGES_KEPT)):
        await put(store, "INSERT INTO change (seq, tenant, kind, subject, at) VALUES (:seq, 1, 'client', 1, :at)", seq=9000 + number, at=at)
    for name, until in (("old", NOW - 1), ("live", NOW)):
        # Another node's clock may be behind: for it the token that was revoked is still in time.
        await put(
            store, "INSERT INTO mark (name, tenant, attempt, until) VALUES (:name, 1, 'a', :until)", name=name, until=until - MARKS_KEPT
        )
        await put(
            store, "INSERT INTO repeat (name, tenant, request, answer, until) VALUES (:name, 1, 'r', 'a', :until)", name=name, until=until
        )
        await put(
            store, "INSERT INTO throttle (name, tenant, failures, last_at, until) VALUES (:name, 1, 1, 1, :until)", name=name, until=until
        )
    assert await sweep(store, NOW) == {"change": 1, "mark": 1, "repeat": 1, "throttle": 1}


async def test_a_request_of_a_device_goes_an_hour_after_its_end(store: Store) -> None:
    for number, until in enumerate((NOW - REQUESTS_KEPT - 1, NOW - REQUESTS_KEPT, NOW)):
        await put(
            store,
            """INSERT INTO device_request (id, tenant, issuer, client, device_digest, user_digest, scopes, resources, account, network,
                                           asked_at, expires_at, poll_interval)
               VALUES (:id, 1, '', 1, '', :name, '', '', '', '', 0, :until, 5)""",
            id=number + 1,
            name=str(number),
            until=until,
        )
    assert await sweep(store, NOW) == {"device_request": 1}
    assert await store.all(Query(int, "SELECT id FROM device_request ORDER BY id")) == [2, 3]


async def test_more_rows_than_fit_one_batch_go_in_several(store: Store) -> None:

    async def many(tx: Tx) -> None:
        query: Query[Any] = Query(None, "INSERT INTO mark (name, tenant, attempt, until) VALUES (:name, 1, 'a', 0)")
        for number in range(1001):
            await tx.do(query, name=str(number))

    await store.run(many)
    assert await sweep(store, NOW) == {"mark": 1001}


async def test_who_needs_a_weakness_is_told_for_a_year_and_a_month(store: Store) -> None:
    for name, last_at in (("old", NOW - USES_KEPT - 1), ("lately", NOW - USES_KEPT + 1)):
        await put(
            store,
            """INSERT INTO weakness_use (name, tenant, weakness, client, person, first_at, last_at, total)
               VALUES (:name, 1, 'password_grant', 1, 1, 0, :last_at, 1)""",
            name=name,
            last_at=last_at,
        )
    assert (await sweep(store, NOW))["weakness_use"] == 1
    assert await store.all(Query(str, "SELECT name FROM weakness_use")) == ["lately"]
