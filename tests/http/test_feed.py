"""The revocation feed over HTTP: every way in which something ends is told to the API that may hold a JWT of it, and to no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec
import pytest

from gatewright.accounts import book as accounts
from gatewright.apis.book import apis_of
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.clients import book as clients
from gatewright.jobs.runner import JOBS, Jobs
from gatewright.ledger import grants
from gatewright.ledger.managing import end_grants, narrow_grants
from gatewright.ledger.target import Target
from gatewright.management.revocation import RevocationRecord, revocation
from gatewright.market import leaving
from gatewright.market.apps import app_named, block
from gatewright.market.handover import hand_over
from gatewright.market.installs import uninstall_own
from gatewright.oauth.grant_types.install_cleanup import NAME
from gatewright.store import Query
from gatewright.users import book as users
from tests.http.talk import exchange
from tests.http.window import Window
from tests.support.approving import authorized, sign_in, user
from tests.support.apps import add_app, install, signed_in
from tests.support.apps import exchange as exchange_install
from tests.support.house import ENVIRON, GLOBEX, Node, basic, open_nodes, platform
from tests.support.listening import listening, read

EVENTS_API: Final = basic("https://events.acme.test", ENVIRON["EVENTS_SECRET"])
IMAGING_API: Final = basic("https://imaging.acme.test", ENVIRON["IMAGING_SECRET"])
BANK_API: Final = basic("https://bank.acme.test", ENVIRON["BANK_SECRET"])
SCOPE: Final = "openid view:events create:events"
PLATFORM: Final = (
    platform("acme")
    .replace('"create:events" = "Create events"', '"create:events" = { text = "Create events", cleanup = true }')
    .replace(
        '[[clients]]\nclient_id = "events-web"',
        """[[clients]]
client_id = "day-app"
client_name = "Day app"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://day-app.example/callback"]
scopes = ["openid", "offline_access", "view:events"]
refresh = { when = "offline" }
secret = { env = "CLIENT_SECRET" }

[[clients]]
client_id = "events-job"
client_name = "Events job"
type = "service"
grant_types = ["client_credentials"]
scopes = ["create:events", "view:events"]
service_user = "robot@service.acme.test"
secret = { env = "CLIENT_SECRET" }

[[clients]]
client_id = "events-web\"""",
    )
)


@pytest.fixture
async def node(place: str) -> AsyncIterator[Node]:
    """One node, on each engine in turn, with an app that reads events."""
    async with open_nodes(place) as (opened,):
        await opened.apply(PLATFORM)
        asked: Any = [{"scope": "view:events", "reason": "To show them"}, {"scope": "create:events", "reason": "To make them"}]
        await add_app(opened, event_url="https://reporter.example/events", scopes=asked)
        yield opened


async def bought(node: Node, client: str = "budget-buddy", scope: str = SCOPE, **who: str) -> dict[str, Any]:
    """What an app gets for a user's access to the events, Ann's unless said otherwise."""
    cookie = await sign_in(node, who.get("email", "ann@acme.test"))
    more = {"resource": who.get("resource")}
    told = await authorized(node, cookie, client, scope, account=who.get("account", "acme-dev"), more=more)
    answer = await node.post("/token", exchange(told["code"], client), basic(client))
    assert answer.status == 200, answer
    return answer.json | {"code": told["code"], "cookie": cookie, "client": client}


async def bens(node: Node) -> str:
    """A token of another user in another account by another app."""
    return str((await bought(node, "events-web", email="ben@acme.test", account="acme-prod"))["access_token"])


async def active(node: Node, token: str) -> bool:
    return bool((await node.post("/introspect", {"token": token}, EVENTS_API)).json["active"])


async def client_number(node: Node, name: str) -> int:
    found = await clients.client_named(node.house.store, await node.tenant(), name)
    assert found is not None
    return found.id


# ---------------------------------------------------------------- every way in which something ends

Act = Callable[[Node, dict[str, Any]], Awaitable[object]]
ACTS: dict[str, Act] = {}


def act(function: Act) -> Act:
    """Have a way to end something be tried."""
    ACTS[function.__name__] = function
    return function


@act
async def the_app_gives_its_refresh_token_back(node: Node, has: dict[str, Any]) -> object:
    return await node.post("/revoke", {"token": has["refresh_token"]}, basic(has["client"]))


@act
async def the_app_gives_its_access_token_back(node: Node, has: dict[str, Any]) -> object:
    return await node.post("/revoke", {"token": has["access_token"]}, basic(has["client"]))


@act
async def a_code_is_used_twice(node: Node, has: dict[str, Any]) -> object:
    return await node.post("/token", exchange(has["code"], has["client"]), basic(has["client"]))


@act
async def a_refresh_token_is_used_twice(node: Node, has: dict[str, Any]) -> object:
    form = {"grant_type": "refresh_token", "refresh_token": has["refresh_token"]}
    for _ in range(2):
        renewed = await node.post("/token", form, basic(has["client"]))
        form["refresh_token"] = renewed.json["refresh_token"]
    form["refresh_token"] = has["refresh_token"]
    return await node.post("/token", form, basic(has["client"]))


@act
async def the_user_is_disabled(node: Node, _: dict[str, Any]) -> object:
    ann = await user(node, "ann@acme.test")
    return await node.manage(ann.tenant, leaving.disable_user, ann)


@act
async def the_user_is_deleted(node: Node, _: dict[str, Any]) -> object:
    ann = await user(node, "ann@acme.test")
    return await node.manage(ann.tenant, leaving.delete_user, ann)


@act
async def the_user_gets_another_password(node: Node, _: dict[str, Any]) -> object:
    ann = await user(node, "ann@acme.test")
    return await node.manage(ann.tenant, users.set_password, ann, "$argon2id$another")


@act
async def the_account_is_disabled(node: Node, _: dict[str, Any]) -> object:
    account = await accounts.account_named(node.house.store, await node.tenant(), "acme-dev")
    assert account is not None
    return await node.manage(account.tenant, leaving.disable_account, account)


@act
async def the_account_is_deleted(node: Node, _: dict[str, Any]) -> object:
    account = await accounts.account_named(node.house.store, await node.tenant(), "acme-dev")
    assert account is not None
    return await node.manage(account.tenant, leaving.delete_account, account)


@act
async def the_membership_ends(node: Node, _: dict[str, Any]) -> object:
    ann = await user(node, "ann@acme.test")
    account = await accounts.account_named(node.house.store, ann.tenant, "acme-dev")
    assert account is not None
    held = await node.house.store.one(accounts.MEMBERSHIP, person=ann.id, account=account.id, tenant=ann.tenant)
    assert held is not None
    return await node.manage(ann.tenant, leaving.end_membership, held)


@act
async def the_client_is_disabled(node: Node, has: dict[str, Any]) -> object:
    found = await clients.client_named(node.house.store, await node.tenant(), has["client"])
    assert found is not None
    return await node.manage(found.tenant, clients.disable_client, found)


@act
async def what_the_client_was_given_ends(node: Node, has: dict[str, Any]) -> object:
    found = await clients.client_named(node.house.store, await node.tenant(), has["client"])
    assert found is not None
    return await node.manage(found.tenant, clients.raise_epoch, found)


async def parties(node: Node, has: dict[str, Any]) -> dict[str, int]:
    ann = await user(node, "ann@acme.test")
    account = await accounts.account_named(node.house.store, ann.tenant, "acme-dev")
    assert account is not None
    return {"tenant": ann.tenant, "person": ann.id, "account": account.id, "client": await client_number(node, has["client"])}


@act
async def the_user_takes_the_grant_back(node: Node, has: dict[str, Any]) -> object:
    of = await parties(node, has)
    found = await node.house.grants.find(**of)
    assert found is not None
    at = node.house.clock.moment()
    return await node.house.grants.end(at, tenant=of["tenant"], number=found.id, because="withdrawn", actor="us_ann")


async def end_all_of(node: Node, has: dict[str, Any], party: str) -> object:
    of = await parties(node, has)
    at = node.house.clock.moment()
    return await node.house.store.run(
        grants.end_matching, at, tenant=of["tenant"], **{party: of[party]}, because="by_admin", actor="us_admin"
    )


@act
async def every_grant_of_the_user_ends(node: Node, has: dict[str, Any]) -> object:
    return await end_all_of(node, has, "person")


@act
async def every_grant_of_the_client_ends(node: Node, has: dict[str, Any]) -> object:
    return await end_all_of(node, has, "client")


@act
async def every_grant_in_the_account_ends(node: Node, has: dict[str, Any]) -> object:
    return await end_all_of(node, has, "account")


@act
async def an_admin_ends_the_grants_of_a_user_and_a_client(node: Node, has: dict[str, Any]) -> object:
    of = await parties(node, has)
    target = Target(tenant=of["tenant"], person=of["person"], client=of["client"])
    return await end_grants(node.house.store, node.house.clock.moment(), target, because="by_admin", actor="us_admin")


@act
async def an_admin_takes_every_scope_away(node: Node, has: dict[str, Any]) -> object:
    of = await parties(node, has)
    catalogue = await node.house.world.directory.catalogue(of["tenant"])
    every = frozenset(catalogue.scopes_by_name[name].id for name in SCOPE.split())
    target = Target(tenant=of["tenant"], person=of["person"])
    return await narrow_grants(node.house.store, node.house.clock.moment(), target, every, actor="us_admin")


@pytest.mark.proves("RFC 7009", "2.1")
@pytest.mark.parametrize("name", ACTS)
async def test_whatever_ends_reaches_the_api_and_hits_nobody_else(node: Node, name: str) -> None:
    has, other = await bought(node), await bens(node)
    token = str(has["access_token"])
    node.time.pass_(1)  # of the same second an ending does not say for sure which tokens it means
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        assert not ear.knows(token)
        assert await active(node, token)
        await ACTS[name](node, has)
        await ear.hits(token)
        assert not await active(node, token)
        assert not ear.memory.over(read(other))
        assert await active(node, other)


async def test_a_sign_out_ends_what_lasts_as_long_as_the_session_and_is_told(node: Node) -> None:
    bound = str((await bought(node, "day-app", "openid view:events"))["access_token"])
    lasting = str((await bought(node))["access_token"])
    ann = await user(node, "ann@acme.test")
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        at = node.house.clock.moment()
        for row in await node.house.sessions.of_person(ann.tenant, ann.id, at.now):
            await node.house.sessions.end(at, ann.tenant, ann.id, row.id)
        await ear.hits(bound)
        assert not await active(node, bound)
        assert not ear.memory.over(read(lasting))


async def service(node: Node) -> str:
    answer = await node.post("/token", {"grant_type": "client_credentials", "scope": "view:events"}, basic("events-job"))
    assert answer.status == 200, answer
    return str(answer.json["access_token"])


async def test_a_back_end_client_is_told_of_and_what_it_gets_anew_is_good(node: Node) -> None:
    old = await service(node)
    node.time.pass_(1)
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        await what_the_client_was_given_ends(node, {"client": "events-job"})
        await ear.hits(old)
        node.time.pass_(1)  # for which its authorization is served from memory
        assert not ear.memory.over(read(await service(node)))
        robot = await user(node, "robot@service.acme.test")
        new = await service(node)
        node.time.pass_(1)
        await node.manage(robot.tenant, leaving.disable_user, robot)
        await ear.hits(new)


async def test_signing_in_again_after_a_reset_is_not_refused(node: Node) -> None:
    old = str((await bought(node))["access_token"])
    node.time.pass_(1)
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        await the_user_gets_another_password(node, {})
        await ear.hits(old)
        new = str((await bought(node))["access_token"])
        assert await active(node, new)
        assert not ear.memory.over(read(new))


# ---------------------------------------------------------------- installations


async def app_token(node: Node, window: Window | None = None) -> dict[str, Any]:
    """What the app has after it was installed for Ann."""
    code = (await install(window or await signed_in(node)))["code"]
    answer = await exchange_install(node, code)
    assert answer.status == 200, answer
    return answer.json


async def test_an_uninstalled_app_is_told_of_and_its_cleaning_up_too_when_its_minutes_are_over(node: Node) -> None:
    has = await app_token(node)
    ann = await user(node, "ann@acme.test")
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        number = ids.read(ids.INSTALL, has["install_id"])
        assert number is not None
        at = node.house.clock.moment()
        assert await node.house.store.run(uninstall_own, at, tenant=ann.tenant, number=number, person=ann.id)
        await ear.hits(has["access_token"])
        cleaning = await node.post("/token", {"grant_type": NAME, "install_id": has["install_id"]}, basic("reporter"))
        assert cleaning.status == 200, cleaning
        token = cleaning.json["access_token"]
        assert read(token).sub == has["install_id"]
        assert not ear.memory.over(read(token))
        await node.manage(ann.tenant, leaving.disable_user, ann)
        await ear.hits(token)


async def test_the_end_of_the_minutes_in_which_an_app_cleans_up_is_told(node: Node) -> None:
    has = await app_token(node)
    ann = await user(node, "ann@acme.test")
    number = ids.read(ids.INSTALL, has["install_id"])
    assert number is not None
    at = node.house.clock.moment()
    assert await node.house.store.run(uninstall_own, at, tenant=ann.tenant, number=number, person=ann.id)
    cleaning = await node.post("/token", {"grant_type": NAME, "install_id": has["install_id"]}, basic("reporter"))
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        node.time.pass_(901)
        await Jobs(node.house).once(next(job for job in JOBS if job.name == "tell"))
        await ear.hits(cleaning.json["access_token"])


async def test_a_reinstalled_app_has_its_new_token_alone(node: Node) -> None:
    window = await signed_in(node)
    old = await app_token(node, window)
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        new = await app_token(node, window)
        await ear.hits(old["access_token"])
        assert not ear.memory.over(read(new["access_token"]))


async def test_a_blocked_app_is_told_of(node: Node) -> None:
    has = await app_token(node)
    tenant = await node.tenant()
    node.time.pass_(1)
    async with listening(node, EVENTS_API) as ear:
        await ear.current()

        async def blocked(deed: Any) -> None:  # noqa: ANN401 - a deed
            found = await app_named(deed.tx, tenant, "reporter")
            assert found is not None
            await block(deed, found[1])

        await node.manage(tenant, blocked)
        await ear.hits(has["access_token"])


async def test_a_token_that_names_the_user_whom_an_app_acted_for_is_over_once_it_is_handed_over(node: Node) -> None:
    ann = await user(node, "ann@acme.test")
    has = await app_token(node)
    plain = str((await bought(node))["access_token"])
    robot = await user(node, "robot@service.acme.test")
    account = await accounts.account_named(node.house.store, ann.tenant, "acme-dev")
    assert account is not None
    role = (await node.house.store.all(Query(int, "SELECT id FROM role WHERE tenant = :tenant"), tenant=ann.tenant))[0]
    await node.manage(ann.tenant, accounts.join, person=robot.id, account=account.id, roles=frozenset([role]))
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        number = ids.read(ids.INSTALL, has["install_id"])
        assert number is not None
        await node.manage(ann.tenant, hand_over, number, account=account.id, to=robot.id)
        await ear.hits(has["access_token"])
        form = {"grant_type": "refresh_token", "refresh_token": has["refresh_token"]}
        new = str((await node.post("/token", form, basic("reporter"))).json["access_token"])
        assert read(new).sub == ids.show(ids.USER, robot.id)
        assert not ear.memory.over(read(new))
        assert not ear.memory.over(read(plain))


# ---------------------------------------------------------------- who is told what


async def test_only_the_api_that_may_hold_a_token_is_told(node: Node) -> None:
    has = await bought(node)
    async with listening(node, EVENTS_API) as events, listening(node, IMAGING_API) as imaging, listening(node, BANK_API) as bank:
        for ear in (events, imaging, bank):
            await ear.current()
        await the_app_gives_its_access_token_back(node, has)
        await the_app_gives_its_refresh_token_back(node, has)
        await events.until(lambda: len(events.told) == 2)
        await the_user_is_disabled(node, has)
        await imaging.until(lambda: imaging.told, "what concerns every API")
        await bank.current()
        assert [name for name in msgspec.json.decode(imaging.told[0].data) if name not in ("at", "until", "before")] == ["sub"]
        # Its tokens are opaque: what it asks about is answered as of now.
        assert bank.told == []


async def test_an_api_that_was_named_is_told_although_no_scope_is_its_own(node: Node) -> None:
    named = await bought(node, scope="openid", resource="https://events.acme.test")
    elsewhere = await bought(node, scope="openid read:balance")
    assert read(named["access_token"]).aud == ("https://events.acme.test",)
    async with listening(node, EVENTS_API) as events, listening(node, IMAGING_API) as imaging:
        await events.current()
        await imaging.current()
        await the_app_gives_its_refresh_token_back(node, elsewhere)
        await the_app_gives_its_refresh_token_back(node, named)
        await events.hits(named["access_token"])
        await imaging.current()
        assert (len(events.told), imaging.told) == (1, [])


async def test_another_tenant_is_told_nothing(node: Node) -> None:
    has = await bought(node)
    other = basic("https://events.globex.test", ENVIRON["EVENTS_SECRET_2"])
    async with listening(node, other, host=GLOBEX) as globex, listening(node, EVENTS_API) as acme:
        await globex.current()
        await acme.current()
        for name in ("the_app_gives_its_access_token_back", "the_user_is_deleted", "the_client_is_disabled", "the_account_is_deleted"):
            await ACTS[name](node, has)
        await acme.until(lambda: len(acme.told) >= 4)
        await globex.current()
        assert globex.told == []


async def test_what_is_told_names_nothing_that_no_token_names(node: Node) -> None:
    has = await bought(node)
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        for name in ("the_app_gives_its_access_token_back", "the_membership_ends", "the_client_is_disabled", "the_user_is_deleted"):
            await ACTS[name](node, has)
        await ear.until(lambda: len(ear.told) >= 4)
        known = {"at", "until", "jti", "authorizations", "client_id", "sub", "account_id", "before"}
        assert {name for event in ear.told for name in msgspec.json.decode(event.data)} <= known
        assert b"ann@" not in ear.raw
        assert b"Ann" not in ear.raw


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        (basic("https://events.acme.test", "wrong"), 401),
        (basic("budget-buddy"), 401),
        (("x-nothing", "here"), 401),
        (basic("https://events.globex.test", ENVIRON["EVENTS_SECRET_2"]), 401),
    ],
)
async def test_nobody_listens_but_an_api_that_proved_itself(node: Node, credentials: tuple[str, str], status: int) -> None:
    async with listening(node, credentials) as ear:
        await ear.until(lambda: ear.over)
        assert ear.status == status


async def test_the_feed_is_read_with_get(node: Node) -> None:
    async with listening(node, EVENTS_API, method="POST") as ear:
        await ear.until(lambda: ear.over)
        assert (ear.status, ear.headers["allow"]) == (405, "GET")


async def test_no_proxy_keeps_what_is_told(node: Node) -> None:
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        assert ear.status == 200
        assert ear.headers["cache-control"] == "no-store"
        assert ear.headers["x-accel-buffering"] == "no"
        assert ear.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert ear.headers["x-content-type-options"] == "nosniff"


# ---------------------------------------------------------------- going on


async def test_what_was_missed_is_told_to_who_goes_on_and_to_who_begins(node: Node) -> None:
    first, second, third = [await bought(node) for _ in range(3)]
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        await the_app_gives_its_access_token_back(node, first)
        await ear.hits(first["access_token"])
        last = ear.told[-1].id
    await the_app_gives_its_access_token_back(node, second)
    await the_app_gives_its_access_token_back(node, third)
    async with listening(node, EVENTS_API, last=last) as again:
        await again.current()
        assert again.names() == ["ended", "ended", "current"]
        for has in (second, third):
            assert again.memory.over(read(has["access_token"]))
    async with listening(node, EVENTS_API) as beginner:
        await beginner.current()
        assert beginner.names() == ["ended", "ended", "ended", "current"]


async def test_an_unknown_place_to_go_on_from_is_said_and_everything_told(node: Node) -> None:
    has = await bought(node)
    await the_app_gives_its_access_token_back(node, has)
    async with listening(node, EVENTS_API, last=ids.show(ids.EVENT, 12345)) as ear:
        await ear.current()
        assert ear.names() == ["reset", "ended", "current"]
    async with listening(node, EVENTS_API, last="yesterday") as ear:
        await ear.until(lambda: ear.over)
        assert ear.status == 400


async def test_what_can_concern_no_living_token_is_told_no_more_and_swept(node: Node) -> None:
    has = await bought(node)
    await the_app_gives_its_refresh_token_back(node, has)
    node.time.pass_(901)
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        assert ear.told == []
    assert await node.number("SELECT COUNT(*) FROM ending") == 1
    node.time.pass_(86_400)
    await Jobs(node.house).once(next(job for job in JOBS if job.name == "sweep"))
    assert await node.number("SELECT COUNT(*) FROM ending") == 0


async def test_tokens_of_before_an_api_changed_its_format_are_still_told_of(node: Node) -> None:
    has = await bought(node)
    await node.apply(PLATFORM.replace('token = { format = "jwt", lifetime = "15m" }', 'token = { format = "opaque", lifetime = "15m" }'))
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        await the_app_gives_its_refresh_token_back(node, has)
        await ear.hits(has["access_token"])
    node.time.pass_(901)
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        assert ear.told == []


async def test_a_feed_ends_with_the_secret_that_opened_it(node: Node) -> None:
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        await node.house.store.verb(Query(None, "UPDATE credential SET ended_at = 1 WHERE ended_at IS NULL"))
        node.house.world.directory.catalogue.__self__.forget_all()  # type: ignore[attr-defined] # what another node does within a second
        await ear.until(lambda: ear.cut, "the end")


async def test_a_process_that_stops_ends_its_feeds_at_once_and_takes_no_more(node: Node) -> None:
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        node.house.endings.stop()
        await ear.until(lambda: ear.over, "the end")
        assert not ear.cut
    async with listening(node, EVENTS_API) as late:
        await late.until(lambda: late.over)
        assert late.status == 503
        assert late.headers["retry-after"] == "5"


async def test_a_reader_that_takes_nothing_is_cut_off_and_nothing_is_kept_for_it(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright.web.feed.PATIENCE", 0.05)
    async with listening(node, EVENTS_API) as ear, listening(node, EVENTS_API) as other:
        await ear.current()
        await other.current()
        ear.stuck = asyncio.Event()
        has = await bought(node)
        await the_app_gives_its_access_token_back(node, has)
        await other.hits(has["access_token"])
        await ear.until(lambda: ear.cut, "the end")
        ear.stuck.set()


async def test_a_feed_whose_store_is_gone_breaks_off_and_says_nothing_else(node: Node) -> None:
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
        await node.house.store.close()
        await ear.until(lambda: ear.cut, "the end")
        assert set(ear.names()) == {"current"}
        assert not [line for line in node.lines if "request.failed" in line]


async def test_a_reader_that_leaves_is_counted_out(node: Node) -> None:
    for _ in range(3):
        async with listening(node, EVENTS_API) as ear:
            await ear.current()
    assert node.house.endings._listening.total() == 0


async def test_one_node_is_told_what_another_ended(pair: list[Node]) -> None:
    here, there = pair
    answer = await here.post("/token", {"grant_type": "client_credentials", "scope": "read:images"}, basic("image-copier"))
    token = str(answer.json["access_token"])
    async with listening(there, IMAGING_API) as ear:
        await ear.current()
        await here.post("/revoke", {"token": token}, basic("image-copier"))
        await ear.hits(token)


async def test_how_soon_a_revocation_bites_is_told_of_each_api_and_whether_a_guard_listens(node: Node) -> None:
    tenant = await node.tenant()

    async def told(audience: str) -> RevocationRecord:
        row = next(row for row in await apis_of(node.house.store, tenant) if row.audience == audience)
        return msgspec.structs.replace(await revocation(node.house.store, tenant, row, node.time.now), api="")

    opaque = RevocationRecord(api="", introspected="5s", kept=None, followed=None, unheard=None, alone=None, followed_at=None)
    verified = RevocationRecord(api="", introspected="5s", kept=None, followed="1s", unheard="15s", alone="15m", followed_at=None)
    assert await told("https://bank.acme.test") == opaque
    assert await told("https://events.acme.test") == verified
    async with listening(node, EVENTS_API) as ear:
        await ear.current()
    await node.house.usage.flush(node.house.store, node.time.now)
    assert (await told("https://events.acme.test")).followed_at == stamp(node.time.now)
    await node.apply(PLATFORM.replace('token = { format = "jwt", lifetime = "15m" }', 'token = { format = "opaque", lifetime = "15m" }'))
    node.time.pass_(300)
    assert (await told("https://events.acme.test")).alone == "10m"
    node.time.pass_(600)
    assert (await told("https://events.acme.test")).alone is None
