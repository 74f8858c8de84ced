"""Installs on each engine: what several nodes do at once has one outcome, and a crash anywhere leaves either all of an act or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gatewright.audit.deed import Deed, Refused
from gatewright.clients.book import client_named
from gatewright.ledger.grants import Giving, Grants
from gatewright.ledger.grants import give as give_grant
from gatewright.market import apps, installs, leaving, settling, updates
from gatewright.market.handover import hand_over
from gatewright.market.installs import BY_ID
from gatewright.market.listing import installs as listed
from gatewright.market.manifest import Manifest, ManifestAuth
from gatewright.market.room import Market
from gatewright.oauth.authorization import INSTALLED, NewAuthorization
from gatewright.oauth.catalogue import text_of
from gatewright.oauth.decision import Verdict
from gatewright.oauth.ports import Redemption
from gatewright.store import SCHEMA, Query, Store, Tx
from gatewright.users.book import BY_ID as USER
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.crash import crash_everywhere
from tests.support.engines import Nodes
from tests.support.world import Playground

Act = Callable[[Any], Awaitable[object]]
BALANCE, TRANSFER = b.READ_BALANCE.id, b.TRANSFER.id
SCOPES = {b.READ_BALANCE.name: BALANCE, b.TRANSFER.name: TRANSFER}
ROBOT = 9001
MANIFEST = Manifest(
    name="Report",
    description="Reports",
    version="1",
    auth=ManifestAuth(redirect_uri="https://report.example/installed", scopes=("read:balance",)),
)
MORE = replace(MANIFEST, version="2", auth=ManifestAuth(redirect_uri="https://report.example/installed", scopes=tuple(SCOPES)))

# Everything that an act of the marketplace could leave behind, as one text.
LEFT = Query(
    str,
    """SELECT 'grant ' || id || ' ' || person || ' ' || granted || ' ' || COALESCE(ended_because, 'live') FROM consent_grant
       UNION ALL SELECT 'row ' || id || ' ' || person || ' ' || scopes || ' ' || COALESCE(code_used_by, 'unused') || ' '
                        || COALESCE(ended_because, 'live') FROM authorization_row
       UNION ALL SELECT 'install ' || id || ' ' || acting || ' ' || state || ' ' || version || ' ' || consent_grant || ' '
                        || COALESCE(ended_because, 'live') FROM install
       UNION ALL SELECT 'app ' || id || ' ' || version FROM app
       UNION ALL SELECT 'version ' || app || ' ' || number FROM app_version
       UNION ALL SELECT 'client ' || client_id || ' ' || settings || ' ' || COALESCE(disabled_at, 0) FROM client
       UNION ALL SELECT 'user ' || id || ' ' || epoch || ' ' || COALESCE(disabled_at, 0) FROM person
       UNION ALL SELECT 'account ' || id || ' ' || epoch FROM account
       UNION ALL SELECT 'member ' || id || ' ' || COALESCE(ended_at, 0) FROM membership
       UNION ALL SELECT 'audit ' || act || ' ' || subject FROM audit
        ORDER BY 1""",
)


@pytest.fixture
def schema() -> Path:
    return SCHEMA


@pytest.fixture
async def ground(store: Store) -> Playground:
    """A tenant with an app and a service user, over the engine's store."""
    made = await Playground(store).furnish()
    await made.add_service_user(ROBOT, b.ACCOUNT)
    await manage(made, lambda deed: apps.make_app(deed, "report", MANIFEST, SCOPES))
    return made


async def manage(ground: Playground, act: Callable[[Deed], Awaitable[Any]], store: Any = None) -> Any:  # noqa: ANN401 - whatever the act returns
    at = ground.clock.moment()

    async def unit(tx: Tx) -> Any:  # noqa: ANN401 - as above
        return await act(Deed(tx, at, b.TENANT, "os:admin"))

    return await (store or ground.store).run(unit)


async def app_of(ground: Playground) -> int:
    found = await client_named(ground.store, b.TENANT, "report")
    assert found is not None
    return found.id


async def new(ground: Playground, *scopes: int, person: int = b.PERSON) -> NewAuthorization:
    """What a user approved for the app: a grant, and an authorization about to be opened under it."""
    at, app = ground.clock.moment(), await app_of(ground)
    given = await Grants(ground.store).give(
        at,
        Giving(
            tenant=b.TENANT,
            client=app,
            source="user",
            actor="us_x",
            person=person,
            account=b.ACCOUNT,
            granted=frozenset(scopes),
            exact=True,
        ),
    )
    return NewAuthorization(
        id=at.id(),
        tenant=b.TENANT,
        issuer=b.URL,
        opened_by=INSTALLED,
        grant=given.id,
        client=app,
        client_epoch=0,
        person=person,
        account=b.ACCOUNT,
        membership=b.MEMBERSHIP,
        scopes=frozenset(scopes),
        access_secret=at.text(),
        opened_at=at.now,
        sweep_at=at.now,
    )


async def opened(ground: Playground, *scopes: int) -> tuple[NewAuthorization, int]:
    """An authorization with an unused code, and its install."""
    made = await new(ground, *(scopes or (BALANCE,)))
    return made, await ground.market.open(made, 1)


async def redeem(ground: Playground, number: int, attempt: str, market: Market | None = None) -> Redemption:
    standing = await ground.ledger.standing(number)
    assert standing is not None
    return (await (market or ground.market).redeem(standing, attempt=attempt, now=NOON, standing_digest=f"digest of {attempt}"))[0]


async def installed(ground: Playground, *scopes: int) -> tuple[int, int]:
    """The authorization of an exchanged code, and its install."""
    made, install = await opened(ground, *scopes)
    assert await redeem(ground, made.id, f"attempt {made.id}") is Redemption.FIRST
    return made.id, install


async def live(ground: Playground) -> list[int]:
    """The authorizations whose tokens are good."""
    rows = await ground.store.all(Query(int, "SELECT id FROM authorization_row WHERE code_used_by IS NOT NULL ORDER BY id"))
    found = [await ground.ledger.standing(number) for number in rows]
    return [row.id for row in found if row is not None and row.fault(NOON) is None]


async def only(ground: Playground) -> Any:  # noqa: ANN401 - a row of the listing
    (found,) = await listed(ground.store, b.TENANT)
    return found


# ---------------------------------------------------------------- races


async def test_of_two_codes_exchanged_at_once_one_token_lives(ground: Playground, nodes: Nodes) -> None:
    markets = (ground.market, Market(await nodes(), ground.clock))
    codes = [(await opened(ground))[0].id for _ in range(6)]
    answers = await asyncio.gather(*[redeem(ground, number, f"{number}", markets[n % 2]) for n, number in enumerate(codes)])
    assert set(answers) == {Redemption.FIRST}
    assert len(await live(ground)) == 1
    assert await ground.number("SELECT COUNT(*) FROM install") == 1
    assert (await ground.audited()).count("install.replaced") == 5


async def test_of_many_exchanges_of_one_code_one_is_first(ground: Playground, nodes: Nodes) -> None:
    markets = (ground.market, Market(await nodes(), ground.clock))
    made, _ = await opened(ground)
    answers = await asyncio.gather(*[redeem(ground, made.id, f"attempt {n}", markets[n % 2]) for n in range(12)])
    assert sorted(answer.value for answer in answers) == ["first"] + ["used"] * 11
    assert (await ground.audited()).count("install.activated") == 1


async def test_installs_opened_on_two_nodes_at_once_are_one(ground: Playground, nodes: Nodes) -> None:
    markets = (ground.market, Market(await nodes(), ground.clock))
    made = [await new(ground, BALANCE) for _ in range(8)]
    numbers = await asyncio.gather(*[markets[n % 2].open(one, 1) for n, one in enumerate(made)])
    assert len(set(numbers)) == 1
    assert await ground.number("SELECT COUNT(*) FROM install") == 1
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 8


async def test_an_uninstall_against_an_exchange_leaves_no_token_that_lives(ground: Playground, nodes: Nodes) -> None:
    other = await nodes()
    for _ in range(6):
        made, install = await opened(ground)
        at = ground.clock.moment()
        ended, answer = await asyncio.gather(
            other.run(installs.uninstall_own, at, tenant=b.TENANT, number=install, person=b.PERSON),
            redeem(ground, made.id, f"attempt {made.id}"),
        )
        assert ended is True
        assert answer in (Redemption.FIRST, Redemption.ENDED)
        assert await live(ground) == []
        row = await ground.store.one(BY_ID, id=install, tenant=b.TENANT)
        assert row is not None
        assert (row.state, row.ended_because) == ("ended", "uninstalled")


async def test_an_update_against_an_uninstall_widens_nothing_that_is_over(ground: Playground, nodes: Nodes) -> None:
    other = await nodes()
    number, install = await installed(ground)
    said = updates.Approved(install=install, acting=b.PERSON, version=2, granted=frozenset({TRANSFER}), declined=frozenset())
    outcome = await asyncio.gather(
        other.run(installs.uninstall_own, ground.clock.moment(), tenant=b.TENANT, number=install, person=b.PERSON),
        ground.store.run(updates.approve_update, ground.clock.moment(), b.TENANT, said, "us_x"),
        return_exceptions=True,
    )
    assert outcome[0] is True
    assert outcome[1] is None or isinstance(outcome[1], Refused)
    assert await live(ground) == []
    row = await ground.ledger.standing(number)
    assert row is not None
    assert row.fault(NOON) is Verdict.GRANT_ENDED


async def test_an_install_ends_once_whoever_ends_it(ground: Playground, nodes: Nodes) -> None:
    other = await nodes()
    _, install = await installed(ground)
    app = await app_of(ground)
    await asyncio.gather(
        *[other.run(installs.uninstall_by_app, ground.clock.moment(), tenant=b.TENANT, number=install, app=app) for _ in range(4)],
        *[
            ground.store.run(installs.uninstall_own, ground.clock.moment(), tenant=b.TENANT, number=install, person=b.PERSON)
            for _ in range(4)
        ],
    )
    assert (await ground.audited()).count("install.ended") == 1
    assert (await ground.audited()).count("grant.ended") == 1


# ---------------------------------------------------------------- crashes

ACTS: dict[str, Callable[[Playground], Awaitable[Act]]] = {}


def act(make: Callable[[Playground], Awaitable[Act]]) -> Callable[[Playground], Awaitable[Act]]:
    """Name a unit that may crash anywhere."""
    ACTS[make.__name__] = make
    return make


@act
async def a_first_install(ground: Playground) -> Act:
    made, at = await new(ground, BALANCE), ground.clock.moment()
    return lambda store: store.run(installs.open_install, at, made, 1)


@act
async def an_install_after_one_that_lapsed(ground: Playground) -> Act:
    await installed(ground)
    await ground.sql("UPDATE consent_grant SET ended_at = 1, ended_because = 'withdrawn'")
    made, at = await new(ground, BALANCE), ground.clock.moment()
    return lambda store: store.run(installs.open_install, at, made, 1)


@act
async def an_install_without_access(ground: Playground) -> Act:
    at, app = ground.clock.moment(), await app_of(ground)
    arguments = {"tenant": b.TENANT, "app": app, "account": b.ACCOUNT, "person": b.PERSON, "version": 1}
    return lambda store: store.run(installs.install_without_access, at, **arguments)


@act
async def a_first_exchange(ground: Playground) -> Act:
    made, _ = await opened(ground)
    standing, at = await ground.ledger.standing(made.id), ground.clock.moment()
    return lambda store: store.run(installs.redeem_install, at, standing, attempt="mine", now=NOON, digest="d")


@act
async def an_exchange_that_replaces(ground: Playground) -> Act:
    await installed(ground)
    made, _ = await opened(ground)
    standing, at = await ground.ledger.standing(made.id), ground.clock.moment()
    return lambda store: store.run(installs.redeem_install, at, standing, attempt="mine", now=NOON, digest="d")


@act
async def an_uninstall(ground: Playground) -> Act:
    _, install = await installed(ground)
    at = ground.clock.moment()
    return lambda store: store.run(installs.uninstall_own, at, tenant=b.TENANT, number=install, person=b.PERSON)


@act
async def a_grant_taken_back(ground: Playground) -> Act:
    number, _ = await installed(ground)
    standing, at = await ground.ledger.standing(number), ground.clock.moment()
    assert standing is not None
    return lambda store: store.run(installs.take_back, at, tenant=b.TENANT, grant=standing.grant, because="withdrawn", actor="us_x")


@act
async def an_update(ground: Playground) -> Act:
    _, install = await installed(ground)
    at = ground.clock.moment()
    said = updates.Approved(install=install, acting=b.PERSON, version=2, granted=frozenset({TRANSFER}), declined=frozenset())
    return lambda store: store.run(updates.approve_update, at, b.TENANT, said, "us_x")


@act
async def a_hand_over(ground: Playground) -> Act:
    _, install = await installed(ground)
    return lambda store: manage(ground, lambda deed: hand_over(deed, install, account=b.ACCOUNT, to=ROBOT), store)


@act
async def a_user_who_leaves_with_two_installs(ground: Playground) -> Act:
    await installed(ground)
    await manage(ground, lambda deed: apps.make_app(deed, "other", replace(MANIFEST, name="Other"), SCOPES))
    found = await ground.store.one(USER, id=b.PERSON, tenant=b.TENANT)
    assert found is not None
    return lambda store: manage(ground, lambda deed: leaving.delete_user(deed, found), store)


@act
async def a_settling(ground: Playground) -> Act:
    await installed(ground)
    await ground.sql("UPDATE account SET disabled_at = 1, epoch = epoch + 1")
    at = ground.clock.moment()
    return lambda store: store.run(settling.settle, at, tenant=b.TENANT, account=b.ACCOUNT, actor="os:admin")


@act
async def a_new_app(ground: Playground) -> Act:
    return lambda store: manage(ground, lambda deed: apps.make_app(deed, "another", MANIFEST, SCOPES, owner=b.PERSON), store)


@act
async def a_new_version(ground: Playground) -> Act:
    found = await apps.app_named(ground.store, b.TENANT, "report")
    assert found is not None
    return lambda store: manage(ground, lambda deed: apps.publish(deed, *found, MORE, SCOPES), store)


@act
async def a_withdrawal(ground: Playground) -> Act:
    found = await apps.app_named(ground.store, b.TENANT, "report")
    assert found is not None
    return lambda store: manage(ground, lambda deed: apps.withdraw(deed, found[1]), store)


@act
async def a_block(ground: Playground) -> Act:
    found = await apps.app_named(ground.store, b.TENANT, "report")
    assert found is not None
    return lambda store: manage(ground, lambda deed: apps.block(deed, found[1]), store)


@pytest.mark.parametrize("name", list(ACTS))
async def test_a_crash_at_any_statement_leaves_nothing_of_the_act(ground: Playground, name: str) -> None:
    unit = await ACTS[name](ground)
    before = await ground.store.all(LEFT)

    async def unchanged(n: int) -> None:
        assert await ground.store.all(LEFT) == before, f"a crash at statement {n} left something behind"

    _, crashes = await crash_everywhere(ground.store, unit, unchanged)
    assert crashes > 1
    assert await ground.store.all(LEFT) != before


# ---------------------------------------------------------------- states


async def test_an_update_raises_the_ceiling_of_the_token_that_is_out_and_of_no_other(ground: Playground) -> None:
    number, install = await installed(ground)
    pending, _ = await opened(ground)
    said = updates.Approved(install=install, acting=b.PERSON, version=2, granted=frozenset({TRANSFER}), declined=frozenset())
    await ground.store.run(updates.approve_update, ground.clock.moment(), b.TENANT, said, "us_x")
    assert (await ground.row(number)).scopes == text_of((BALANCE, TRANSFER))
    assert (await ground.row(pending.id)).scopes == text_of((BALANCE,))


async def test_a_service_user_keeps_the_very_token_and_outlives_the_installer(ground: Playground) -> None:
    number, install = await installed(ground)
    await manage(ground, lambda deed: hand_over(deed, install, account=b.ACCOUNT, to=ROBOT))
    row = await ground.row(number)
    assert (row.person, row.standing_digest, row.fault(NOON)) == (ROBOT, f"digest of attempt {number}", None)
    assert (await only(ground)).service_user
    installer = await ground.store.one(USER, id=b.PERSON, tenant=b.TENANT)
    assert installer is not None
    await manage(ground, lambda deed: leaving.delete_user(deed, installer))
    assert await live(ground) == [number]
    robot = await ground.store.one(USER, id=ROBOT, tenant=b.TENANT)
    assert robot is not None
    await manage(ground, lambda deed: leaving.disable_user(deed, robot))
    assert await live(ground) == []
    assert await ground.number("SELECT COUNT(*) FROM install WHERE ended_because = 'user_disabled'") == 1


async def test_who_installed_it_can_install_it_again_beside_the_one_handed_over(ground: Playground) -> None:
    first, install = await installed(ground)
    await manage(ground, lambda deed: hand_over(deed, install, account=b.ACCOUNT, to=ROBOT))
    second, again = await installed(ground)
    assert install != again
    assert await live(ground) == [first, second]
    with pytest.raises(Refused, match="acts for that service user already"):
        await manage(ground, lambda deed: hand_over(deed, again, account=b.ACCOUNT, to=ROBOT))


async def test_what_was_dead_is_not_revived_by_a_hand_over(ground: Playground) -> None:
    number, install = await installed(ground)
    await ground.sql("UPDATE person SET epoch = epoch + 1 WHERE id = :id", id=b.PERSON)
    assert await live(ground) == []
    await manage(ground, lambda deed: hand_over(deed, install, account=b.ACCOUNT, to=ROBOT))
    assert await live(ground) == []
    assert (await ground.row(number)).person == b.PERSON


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE person SET disabled_at = 1 WHERE id = 9001", "an active service user of the same account"),
        ("UPDATE membership SET ended_at = 1 WHERE person = 9001", "an active service user of the same account"),
        ("UPDATE person SET kind = 'person' WHERE id = 9001", "an active service user of the same account"),
        ("UPDATE person SET disabled_at = 1 WHERE id = 5001", "is gone"),
        ("UPDATE consent_grant SET ended_at = 1", "has ended"),
        ("UPDATE install SET ended_at = 1", "no such installation"),
        ("UPDATE install SET state = 'approved'", "has not come for its access yet"),
    ],
)
async def test_a_hand_over_that_cannot_be_is_refused_with_a_sentence(ground: Playground, change: str, said: str) -> None:
    _, install = await installed(ground)
    await ground.sql(change)
    with pytest.raises(Refused, match=said):
        await manage(ground, lambda deed: hand_over(deed, install, account=b.ACCOUNT, to=ROBOT))


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ("UPDATE client SET disabled_at = 1, epoch = epoch + 1", "client_disabled"),
        ("UPDATE person SET disabled_at = 1, epoch = epoch + 1 WHERE id = 5001", "user_disabled"),
        ("UPDATE person SET disabled_at = 1, deleted_at = 1, epoch = epoch + 1 WHERE id = 5001", "user_deleted"),
        ("UPDATE account SET disabled_at = 1, epoch = epoch + 1", "account_disabled"),
        ("UPDATE membership SET ended_at = 1 WHERE person = 5001", "membership_ended"),
        ("UPDATE consent_grant SET ended_at = 1, ended_because = 'by_admin'", "by_admin"),
    ],
)
async def test_an_install_ends_with_any_of_its_parties_and_nothing_revives_it(ground: Playground, change: str, because: str) -> None:
    await installed(ground)
    assert await settling.settle_all(ground.store, ground.clock) == 0
    await ground.sql(change)
    assert await live(ground) == []
    assert await settling.settle_all(ground.store, ground.clock) == 1
    assert await ground.number("SELECT COUNT(*) FROM install WHERE ended_because = :because", because=because) == 1
    assert await settling.settle_all(ground.store, ground.clock) == 0
    assert await ground.number("SELECT COUNT(*) FROM consent_grant WHERE ended_at IS NULL") == 0


async def test_the_job_looks_at_one_page_of_installs_after_the_other(ground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "PAGE", 3)
    _, number = await installed(ground)
    await ground.sql("DROP INDEX install_live")  # so that they may be copies of one
    columns = "tenant, app, account, person, acting, version, state, made_at, changed_at"
    for ago in range(1, 8):
        await ground.sql(
            f"INSERT INTO install (id, consent_grant, {columns}) SELECT id - {ago}, 0, {columns} FROM install WHERE id = {number}"  # noqa: S608
        )
    await ground.sql("UPDATE consent_grant SET ended_at = 1, ended_because = 'by_admin'")
    assert await settling.settle_all(ground.store, ground.clock) == 1, "which stands on the third page"
    assert await ground.number("SELECT COUNT(*) FROM install WHERE ended_at IS NULL AND id < :number", number=number) == 7
    await ground.sql("UPDATE client SET disabled_at = 1, epoch = epoch + 1")
    before = ground.store.counts.listings
    assert await settling.settle_all(ground.store, ground.clock) == 7
    assert ground.store.counts.listings - before == 7, "two for each page, and one that finds no more"
    assert await ground.number("SELECT COUNT(*) FROM install WHERE ended_at IS NULL") == 0


async def test_an_account_that_is_disabled_takes_its_installs_along_in_the_same_transaction(ground: Playground) -> None:
    from gatewright.accounts.book import BY_ID as ACCOUNT

    await installed(ground)
    account = await ground.store.one(ACCOUNT, id=b.ACCOUNT, tenant=b.TENANT)
    assert account is not None
    await manage(ground, lambda deed: leaving.disable_account(deed, account))
    assert await ground.number("SELECT COUNT(*) FROM install WHERE ended_because = 'account_disabled'") == 1


async def test_nobody_ends_what_is_not_theirs(ground: Playground) -> None:
    _, install = await installed(ground)
    run, at = ground.store.run, ground.clock.moment()
    assert not await run(installs.uninstall_own, at, tenant=b.TENANT, number=install, person=b.PERSON + 1)
    assert not await run(installs.uninstall_own, at, tenant=b.TENANT + 1, number=install, person=b.PERSON)
    assert not await run(installs.uninstall_in_account, at, tenant=b.TENANT, number=install, account=b.ACCOUNT + 1, actor="us_x")
    assert not await run(installs.uninstall_by_app, at, tenant=b.TENANT, number=install, app=1)
    assert len(await live(ground)) == 1
    assert await run(installs.uninstall_in_account, at, tenant=b.TENANT, number=install, account=b.ACCOUNT, actor="us_x")
    assert await live(ground) == []


async def test_a_redeemer_whose_answer_was_lost_is_first_again(ground: Playground) -> None:
    made, _ = await opened(ground)
    assert await redeem(ground, made.id, "mine") is Redemption.FIRST
    assert await redeem(ground, made.id, "mine") is Redemption.FIRST
    assert await redeem(ground, made.id, "another's") is Redemption.USED
    assert len(await live(ground)) == 1


async def test_a_grant_handed_over_is_none_of_the_users_consents(ground: Playground) -> None:
    _, install = await installed(ground)
    await manage(ground, lambda deed: hand_over(deed, install, account=b.ACCOUNT, to=ROBOT))
    app = await app_of(ground)
    assert await ground.grants.find(b.TENANT, app, b.PERSON, b.ACCOUNT) is None
    assert await ground.grants.find(b.TENANT, app, ROBOT, b.ACCOUNT) is None
    giving = Giving(
        tenant=b.TENANT, client=app, source="account_admin", actor="us_x", person=ROBOT, account=b.ACCOUNT, acting=ROBOT,
        granted=frozenset({TRANSFER}),
    )  # fmt: skip
    merged = await ground.store.run(give_grant, ground.clock.moment(), giving)
    assert merged.scopes == {BALANCE, TRANSFER}
