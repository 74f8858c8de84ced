"""A stricter setting that is tried out: what it would refuse passes as before, and is counted. Meant, it refuses the same request."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from gatewright.oauth.checks import Refused
from gatewright.oauth.client import Client
from gatewright.oauth.errors import InvalidClient, InvalidScope, PageError
from tests.protocol.asking import a_pair, introspected
from tests.protocol.test_authorize import Desk, code_of
from tests.protocol.test_password import ROBOTS, an_old_client, with_passwords
from tests.support import builders as b
from tests.support.browser import PASSWORD
from tests.support.world import SECRET, Playground, secret_of

READ = b.READ_BALANCE.id


async def tried(ground: Playground, *rules: str, **settings: object) -> Client:
    return await ground.add(report_only=rules, **settings)


async def desk_of(ground: Playground) -> Desk:
    return await Desk(ground).signed_in()


async def without_pkce(ground: Playground) -> object:
    desk = await desk_of(ground)
    await ground.grant(ground.directory.clients[b.TENANT, "budget-buddy"], READ)
    return await desk.asked(scope="read:balance", code_challenge=None, code_challenge_method=None)


async def without_scope(ground: Playground) -> object:
    desk = await desk_of(ground)
    await ground.grant(ground.directory.clients[b.TENANT, "budget-buddy"], READ)
    return await desk.asked(scope=None)


async def with_unknown_scope(ground: Playground) -> object:
    desk = await desk_of(ground)
    await ground.grant(ground.directory.clients[b.TENANT, "budget-buddy"], READ)
    return await desk.asked(scope="read:balance no:such")


async def below_the_registered_address(ground: Playground) -> object:
    desk = await desk_of(ground)
    await ground.grant(ground.directory.clients[b.TENANT, "budget-buddy"], READ)
    return await desk.asked(scope="read:balance", redirect_uri="https://budget.example/callback/berlin")


async def from_elsewhere(ground: Playground) -> object:
    ground.address = "198.51.100.7"
    return await a_pair(ground, READ)


async def by_another_method(ground: Playground) -> object:
    code = await ground.code(ground.directory.clients[b.TENANT, "budget-buddy"], READ)
    return await ground.exchange(code)


Act = Callable[[Playground], Awaitable[object]]
CASES: list[tuple[str, dict[str, object], Act, type[Exception]]] = [
    ("pkce", {}, without_pkce, Refused),
    ("redirect_match", {}, below_the_registered_address, PageError),
    ("scopes_policy", {}, without_scope, Refused),
    ("unknown_scopes", {}, with_unknown_scope, Refused),
    ("allowed_ips", {"allowed_ips": ("203.0.113.0/24",)}, from_elsewhere, InvalidClient),
    ("token_endpoint_auth_method", {"token_endpoint_auth_method": "client_secret_basic"}, by_another_method, InvalidClient),
]


@pytest.mark.parametrize(("rule", "settings", "act", "refusal"), CASES, ids=[case[0] for case in CASES])
async def test_what_a_rule_refuses_passes_and_is_counted_while_it_is_tried_out(
    ground: Playground, rule: str, settings: dict[str, object], act: Act, refusal: type[Exception]
) -> None:
    await ground.add(**settings)
    with pytest.raises(refusal):
        await act(ground)
    assert ground.usage.breaches == [], "a rule that is meant refuses, and counts nothing"
    client = await tried(ground, rule, **settings)
    await act(ground)
    assert [(number, found.rule) for number, found in ground.usage.breaches] == [(client.id, rule)]
    assert SECRET not in ground.usage.breaches[0][1].example


@pytest.mark.parametrize(("rule", "settings", "act", "refusal"), CASES, ids=[case[0] for case in CASES])
async def test_trying_out_one_rule_lets_nobody_off_another(
    ground: Playground, rule: str, settings: dict[str, object], act: Act, refusal: type[Exception]
) -> None:
    others = [other for other, *_ in CASES if other != rule]
    await tried(ground, *others, **settings)
    with pytest.raises(refusal):
        await act(ground)


async def test_a_request_that_keeps_the_rule_is_not_counted(ground: Playground) -> None:
    client = await tried(ground, "pkce", "scopes_policy", "unknown_scopes", "allowed_ips", allowed_ips=("127.0.0.0/8",))
    await ground.grant(client, READ)
    desk = await desk_of(ground)
    await ground.exchange(code_of(await desk.asked(scope="read:balance")))
    assert ground.usage.breaches == []


async def test_a_public_client_is_never_let_off_pkce(ground: Playground) -> None:
    await ground.add(
        b.a_client(report_only=("pkce",), type="spa", token_endpoint_auth_method="none", redirect_uris=("https://budget.example/callback",))
    )
    with pytest.raises(Refused):
        await without_pkce(ground)


async def test_a_method_that_is_tried_out_is_no_way_round_a_proof(ground: Playground) -> None:
    client = await tried(ground, "token_endpoint_auth_method", token_endpoint_auth_method="client_secret_basic")
    code = await ground.code(client, READ)
    for params in ({"client_secret": None}, {"client_secret": "gws_" + "B" * 43}):
        with pytest.raises(InvalidClient):
            await ground.exchange(code, **params)
    assert ground.usage.breaches == [], "who proved nothing is not this client, and counts nothing"
    assert (await ground.exchange(code))["scope"] == "read:balance"


async def test_a_service_that_asks_for_nothing_is_counted_once_it_was_answered(ground: Playground) -> None:
    await ground.add(
        b.a_client(
            secrets=(secret_of(1),), type="service", grant_types=("client_credentials",), scopes=(READ,), report_only=("scopes_policy",)
        )
    )
    assert (await ground.serve())["scope"] == "read:balance"
    assert [found.rule for _, found in ground.usage.breaches] == ["scopes_policy"]
    with pytest.raises(InvalidScope):
        await ground.serve(resource="https://events.acme.test", scope="no:such")
    assert len(ground.usage.breaches) == 1


async def test_each_use_of_the_password_grant_is_counted_while_its_end_is_tried_out(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    await ground.post(grant_type="password", username=ROBOTS, password=PASSWORD)
    assert ground.usage.breaches == []
    client = await ground.add(an_old_client(report_only=("password_grant",)))
    assert (await ground.post(grant_type="password", username=ROBOTS, password=PASSWORD))["scope"] == "read:balance"
    assert [(number, found.rule) for number, found in ground.usage.breaches] == [(client.id, "password_grant")]
    assert PASSWORD not in ground.usage.breaches[0][1].example


async def test_a_token_shown_from_elsewhere_stays_active_and_is_counted(ground: Playground) -> None:
    client = await ground.add(allowed_ips=("127.0.0.0/8",))
    pair = await a_pair(ground, READ)
    assert not (await introspected(ground, pair["access_token"], ip_address="198.51.100.7"))["active"]
    await ground.add(replace(client, settings=replace(client.settings, report_only=("allowed_ips",))))
    assert (await introspected(ground, pair["access_token"], ip_address="198.51.100.7"))["active"]
    assert (await introspected(ground, pair["access_token"], ip_address="127.0.0.9"))["active"]
    (number, found), *more = ground.usage.breaches
    assert (number, found.rule, more) == (client.id, "allowed_ips", [])
    assert "198.51.100.7" in found.example
