"""Whatever makes access less is told to the API that may hold a JWT which says more: each way by itself, on both engines."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from gatewright.accounts import book as accounts
from gatewright.apis import book as apis
from gatewright.clients import book as clients
from gatewright.jobs.runner import JOBS, Jobs
from gatewright.ledger import grants
from gatewright.ledger.managing import narrow_grants
from gatewright.ledger.shrinking import shrink_one
from gatewright.ledger.target import Target
from gatewright.store import Query
from gatewright.tenants.book import DOMAINS, remove_domain
from tests.support.approving import VERIFIER, authorized, sign_in, user
from tests.support.crowd import CREATE, EVENTS, IMAGING, READ, START, VIEW, WATCH, Crowd, Platform
from tests.support.house import ENVIRON, Node, basic, open_nodes
from tests.support.listening import Reader

CHIEF: Final = replace(START, ann=("Chief",))
OPEN: Final = replace(START, events_roles="off", ben=(), own_for_roles=())
TRIAL: Final = replace(START, published="marked")
CHANGES: Final = {
    "a role loses a scope": (START, replace(START, organizer=(VIEW, WATCH))),
    "a role loses what its scope implied": (CHIEF, replace(CHIEF, chief=(READ,))),
    "a scope implies another no more": (CHIEF, replace(CHIEF, implies=(CREATE,))),
    "a member loses a role": (START, replace(START, ann=("Chief",))),
    "a service user loses its roles": (START, replace(START, robot=())),
    "an app loses a scope": (START, replace(START, reader=(VIEW, CREATE))),
    "a back-end client loses a scope": (START, replace(START, job=(CREATE,))),
    "a client is for users with a role from now on": (START, replace(START, for_roles=("Participant",))),
    "a client is for fewer roles": (START, replace(START, own_for_roles=("Participant",))),
    "an API asks for roles from now on": (OPEN, replace(OPEN, events_roles="required")),
    "an API hears of roles no more": (START, replace(START, names_roles=False)),
    "another name of a scope is understood no more": (START, replace(START, aliases=())),
    "a scope is good in one account alone": (START, replace(START, reach="account")),
    "a demo may have only what is marked": (START, replace(START, published="marked")),
    "a scope is not marked for demos any more": (TRIAL, replace(TRIAL, marked=False)),
}


async def gathered(node: Node, platform: Platform = START) -> Crowd:
    """Everybody has tokens, all of them good, and a minute has passed since."""
    crowd = await Crowd.gathered(node, platform)
    assert await crowd.losers() == set()
    assert await crowd.untouched() == set(crowd.tokens)
    node.time.pass_(61)
    return crowd


@pytest.mark.parametrize("name", CHANGES)
async def test_what_a_platform_file_takes_is_told(node: Node, name: str) -> None:
    before, after = CHANGES[name]
    crowd = await gathered(node, before)
    await node.apply(after.text())
    assert await crowd.losers()
    assert await crowd.untouched(), "not everybody is asked about"


@pytest.mark.parametrize("name", CHANGES)
async def test_what_is_issued_a_minute_later_is_believed_again(node: Node, name: str) -> None:
    before, after = CHANGES[name]
    crowd = await gathered(node, before)
    await node.apply(after.text())
    await crowd.losers()
    node.time.pass_(61)
    old = set(crowd.tokens)
    await crowd.more()
    assert await crowd.losers() <= old
    assert set(crowd.tokens) - old <= await crowd.untouched()


async def test_what_gives_more_or_the_same_asks_about_nobody(node: Node) -> None:
    crowd = await gathered(node)
    more = replace(START, organizer=(VIEW, CREATE, WATCH, READ), own_for_roles=(), reader=(*START.reader, WATCH), imaging_roles="off")
    await node.apply(more.text())
    assert await crowd.losers() == set()
    assert await crowd.untouched() == set(crowd.tokens)


# ---------------------------------------------------------------- what no platform file says

Act = Callable[[Node, Crowd], Awaitable[object]]
ACTS: dict[str, Act] = {}


def act(function: Act) -> Act:
    """Have a way to narrow something be tried."""
    ACTS[function.__name__] = function
    return function


async def number_of(node: Node, client: str) -> int:
    found = await clients.client_named(node.house.store, await node.tenant(), client)
    assert found is not None
    return found.id


async def scope_number(node: Node, name: str = VIEW) -> int:
    return (await node.house.world.directory.catalogue(await node.tenant())).scopes_by_name[name].id


async def grant_of(node: Node, client: str = "events-reader") -> grants.Grant:
    ann = await user(node, "ann@acme.test")
    account = await accounts.account_named(node.house.store, ann.tenant, "acme-dev")
    assert account is not None
    found = await node.house.grants.find(ann.tenant, await number_of(node, client), ann.id, account.id)
    assert found is not None
    return found


@act
async def one_grant_is_narrowed(node: Node, _: Crowd) -> object:
    at, grant = node.house.clock.moment(), await grant_of(node)
    return await node.house.store.run(grants.narrow, at, grant, grant.scopes - {await scope_number(node)}, "us_admin")


@act
async def an_admin_takes_a_scope_from_all_grants_of_a_user(node: Node, _: Crowd) -> object:
    ann = await user(node, "ann@acme.test")
    target = Target(tenant=ann.tenant, person=ann.id)
    return await narrow_grants(node.house.store, node.house.clock.moment(), target, frozenset([await scope_number(node)]), actor="us_admin")


@act
async def an_admin_takes_a_scope_from_one_grant(node: Node, _: Crowd) -> object:
    target = Target(tenant=await node.tenant(), grant=(await grant_of(node)).id)
    return await narrow_grants(node.house.store, node.house.clock.moment(), target, frozenset([await scope_number(node)]), actor="us_admin")


@act
async def the_user_says_no_to_a_scope_when_asked_again(node: Node, _: Crowd) -> object:
    scope, more = "openid view:events create:events manage:events", {"resource": EVENTS, "prompt": "consent"}
    return await authorized(node, await sign_in(node), "events-reader", scope, untick={"manage:events"}, more=more)


@act
async def a_grant_gets_an_end_that_tokens_do_not_know(node: Node, _: Crowd) -> object:
    at, grant = node.house.clock.moment(), await grant_of(node)
    giving = grants.Giving(
        tenant=grant.tenant, client=grant.client, source="user", actor="us_ann", person=grant.person, account=grant.account,
        granted=grant.scopes, expires_at=at.now + 30,
    )  # fmt: skip
    await node.house.store.run(grants.give, at, giving)
    node.time.pass_(31)
    return giving


@act
async def a_scope_is_retired(node: Node, _: Crowd) -> object:
    tenant = await node.tenant()
    row = next(row for row in await apis.scopes_of(node.house.store, tenant) if row.name == "manage:events")
    await node.manage(tenant, apis.retire_scope, row)
    await node.hear()
    return row


@act
async def the_day_of_a_scope_has_come(node: Node, crowd: Crowd) -> object:
    tenant = await node.tenant()
    row = next(row for row in await apis.scopes_of(node.house.store, tenant) if row.name == "manage:events")
    terms = replace(apis.kept_terms(row), retires_at=node.time.now + 60)
    await node.manage(tenant, apis.change_scope, row.id, row.name, terms, frozenset(map(int, row.implies.split())))
    await node.hear()
    node.time.pass_(60)
    jobs = Jobs(node.house)
    for _time in range(2):
        await jobs.once(next(job for job in JOBS if job.name == "tell"))
    assert len(await crowd.told(EVENTS)) == 1, "told once"
    return None


@act
async def a_role_is_retired(node: Node, _: Crowd) -> object:
    tenant = await node.tenant()
    row = next(row for row in await apis.roles_of(node.house.store, tenant) if row.name == "Organizer")
    await node.manage(tenant, apis.retire_role, row)
    await node.hear()
    return row


@act
async def unused_scopes_of_a_grant_are_taken(node: Node, _: Crowd) -> object:
    tenant, grant = await node.tenant(), await grant_of(node)
    catalogue = await node.house.world.directory.catalogue(tenant)
    # For a quarter of a year it reported, and nothing of this grant.
    reported = Query(None, "INSERT INTO usage_report (api, tenant, since, last_at) VALUES (:api, :tenant, 0, :now)")
    await node.house.store.verb(reported, api=catalogue.apis_by_audience[EVENTS].id, tenant=tenant, now=node.time.now)
    await node.house.store.verb(Query(None, "UPDATE consent_grant SET changed_at = 0 WHERE id = :id"), id=grant.id)
    scopes, at = frozenset([await scope_number(node, "manage:events")]), node.house.clock.moment()
    assert await node.house.store.run(shrink_one, at, Target(tenant=tenant, grant=grant.id), catalogue, scopes, actor="us_ann")
    return scopes


@pytest.mark.parametrize("name", ACTS)
async def test_whatever_makes_access_less_is_told(node: Node, name: str) -> None:
    crowd = await gathered(node)
    await ACTS[name](node, crowd)
    assert await crowd.losers()
    assert await crowd.untouched(), "not everybody is asked about"


async def test_a_grant_with_more_sign_ins_than_are_named_is_told_by_its_scopes(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright.ledger.narrowing.MOST", 0)
    crowd = await gathered(node)
    await one_grant_is_narrowed(node, crowd)
    assert await crowd.losers()
    last = (await crowd.told(EVENTS))[-1]
    assert set(last) == {"at", "until", "issued_until", "scopes"}


async def retired(node: Node, role: str) -> None:
    """An admin takes a role from everybody."""
    tenant = await node.tenant()
    row = next(row for row in await apis.roles_of(node.house.store, tenant) if row.name == role)
    await node.manage(tenant, apis.retire_role, row)
    await node.hear()


async def test_a_role_that_gives_nothing_is_told_by_its_name_once_it_is_retired(node: Node) -> None:
    crowd = await gathered(node, replace(START, participant=(), ben=("Organizer", "Participant"), robot=("Organizer",), own_for_roles=()))
    await retired(node, "Participant")
    lost = await crowd.losers()
    assert {what.rpartition(" of ")[0] for what in lost} == {"our own"}, "it alone names roles"
    assert [one.get("roles") for one in await crowd.told(EVENTS)][-1] == ["Participant"]


async def test_with_a_role_all_goes_that_was_given_to_clients_for_those_who_have_it(node: Node) -> None:
    only = replace(START, events_roles="off", for_roles=("Organizer",), organizer=(), names_roles=False, own_for_roles=())
    crowd = await gathered(node, only)
    assert "a reader of 0" in crowd.tokens
    await retired(node, "Organizer")
    lost = await crowd.losers()
    assert {what.rpartition(" of ")[0] for what in lost} == {"a reader", "a reader of images"}
    assert {one.get("client_id") for one in await crowd.told(EVENTS)} >= {"events-reader"}
    assert await crowd.untouched()


async def test_the_cause_is_told_to_who_asks_about_a_jwt_that_says_more(node: Node) -> None:
    crowd = await gathered(node)
    token = crowd.tokens["a reader of 0"][0]

    async def cause(scope: str) -> str:
        form = {"token": token, "scope": scope}
        return str((await node.post("/-/why", form, basic(EVENTS, ENVIRON["EVENTS_SECRET"]))).json["cause"])

    assert await cause(CREATE) == "granted"
    await node.apply(replace(START, organizer=(VIEW, WATCH), implies=(VIEW,)).text())
    assert await cause(CREATE) == "role_lacks_scope"
    await node.apply(replace(START, reader=(VIEW,)).text())
    assert await cause(CREATE) == "scope_not_allowed_to_client"
    await node.apply(START.text())
    await one_grant_is_narrowed(node, crowd)
    assert (await cause(CREATE), await cause(VIEW)) == ("granted", "not_consented")
    await ACTS["a_scope_is_retired"](node, crowd)
    assert await cause("manage:events") == "scope_unknown"


async def test_a_domain_that_is_given_up_is_told_by_its_name(node: Node) -> None:
    login, tenant = "login.acme.test", await node.tenant()
    crowd = await gathered(node)
    cookie = await sign_in(node, host=login)
    told = await authorized(node, cookie, "own-web", "view:events", host=login)
    form = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": "https://own-web.example/callback"}
    answer = await node.post("/token", form | {"code_verifier": VERIFIER}, basic("own-web"), host=login)
    row = next(row for row in await node.house.store.all(DOMAINS, tenant=tenant) if row.host == login)
    await node.manage(tenant, remove_domain, row)
    reader = Reader(node, tenant, EVENTS)
    await reader.hear()
    assert reader.asked(answer.json["access_token"])
    assert await crowd.untouched() == set(crowd.tokens)


async def test_a_key_that_is_withdrawn_is_told_to_every_api_with_jwts(node: Node) -> None:
    crowd, tenant = await gathered(node), await node.tenant()
    head = crowd.tokens["a reader of 0"][0].partition(".")[0]
    kid = str(msgspec.json.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
    assert await node.house.signer.retire(node.house.clock.moment(), tenant, kid, actor="us_admin")
    for api in (EVENTS, IMAGING):
        told = (await crowd.told(api))[-1]
        assert (told["kid"], set(told)) == (kid, {"at", "until", "kid"})
        assert told["until"] > node.time.now + 86_400, "as long as a guard keeps the keys that it has"


async def test_only_the_api_whose_scope_it_is_is_told_and_of_no_other_scope(node: Node) -> None:
    crowd = await gathered(node)
    await node.apply(replace(START, chief=(), organizer=()).text())
    events, imaging = await crowd.told(EVENTS), await crowd.told(IMAGING)
    assert {name for one in events for name in one.get("scopes", ())} == {
        "view:events", "see:events", "create:events", "manage:events", "watch:events",
    }  # fmt: skip
    assert {name for one in imaging for name in one.get("scopes", ())} == {"read:images"}
    known = {"at", "until", "issued_until", "scopes", "roles", "iss", "authorizations", "client_id", "sub", "account_id"}
    assert {name for one in (*events, *imaging) for name in one} <= known


async def test_openid_scopes_are_at_no_api_and_told_to_none(node: Node) -> None:
    crowd = await gathered(node)
    before = await node.number("SELECT COUNT(*) FROM ending")
    await node.house.store.run(
        grants.narrow, node.house.clock.moment(), await grant_of(node), (await grant_of(node)).scopes - {1}, "us_admin"
    )
    assert await node.number("SELECT COUNT(*) FROM ending") == before
    assert await crowd.untouched() == set(crowd.tokens)


@pytest.fixture
async def node(place: str) -> AsyncIterator[Node]:
    """One node, on each engine in turn."""
    async with open_nodes(place) as (opened,):
        yield opened
