"""`gatewright clients who-uses`: who still needs the password grant, since when, and until when they may."""

from __future__ import annotations

import asyncio

from gatewright.audit.weaknesses import Use, used
from gatewright.store import Query, Tx, open_store
from tests.cli.conftest import Shell
from tests.platform.played import SMALL
from tests.support.clock import TestClock

PLATFORM = (
    SMALL
    + 'grant_types = ["authorization_code", "password"]\npassword_grant = { until = 2027-06-30, reason = "old connector" }\n'
    + '[[users]]\nemail = "robot@acme.test"\nkind = "service"\nmemberships = [{ account = "one" }]\n'
)


async def _used(shell: Shell, clock: TestClock, *emails: str) -> None:
    store = await open_store(f"sqlite://{shell.folder / 'gatewright-data' / 'gatewright.sqlite3'}", synchronous="OFF")
    tenant = await store.one(Query(int, "SELECT id FROM tenant"))
    client = await store.one(Query(int, "SELECT id FROM client"))
    assert tenant is not None
    assert client is not None
    for email in emails:
        clock.pass_(60)
        person = await store.one(Query(int, "SELECT id FROM person WHERE email = :email"), email=email)
        use = Use(weakness="password_grant", tenant=tenant, client=client, person=person or 0, subject="az_x", network="192.0.2.0/24")

        async def unit(tx: Tx, use: Use = use) -> None:
            await used(tx, clock.moment(), use)

        await store.run(unit)
    await store.close()


def test_it_lists_clients_and_users_the_latest_use_first(shell: Shell) -> None:
    shell.settled(PLATFORM)
    assert "nobody used password_grant" in shell.must("clients", "who-uses", "password_grant")
    asyncio.run(_used(shell, TestClock(), "u@acme.test", "robot@acme.test", "robot@acme.test"))
    rows = shell.json("clients", "who-uses", "password_grant")
    assert [(row["client_id"], row["user"], row["kind"], row["times"]) for row in rows] == [
        ("web", "robot@acme.test", "service", 2),
        ("web", "u@acme.test", "person", 1),
    ]
    assert {(row["until"], row["reason"]) for row in rows} == {("2027-06-30", "old connector")}
    assert rows[0]["since"] < rows[0]["last_at"]
    said = shell.must("clients", "who-uses", "password_grant")
    assert "robot@acme.test" in said
    assert "2027-06-30" in said
    assert shell.json("clients", "who-uses", "out_of_band") == []


def test_it_goes_on_page_by_page(shell: Shell) -> None:
    shell.settled(PLATFORM)
    asyncio.run(_used(shell, TestClock(), "u@acme.test", "robot@acme.test"))
    (first,) = shell.json("clients", "who-uses", "password_grant", "--count", "1")
    (second,) = shell.json("clients", "who-uses", "password_grant", "--after", first["next"])
    assert (first["user"], second["user"]) == ("robot@acme.test", "u@acme.test")


def test_a_weakness_that_there_is_not_is_named_with_those_there_are(shell: Shell) -> None:
    assert shell.gatewright("clients", "who-uses", "implicit") == 2
    assert "password_grant" in shell.err
