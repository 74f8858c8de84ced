"""Scopes under other names, and scopes with an end: in requests, in tokens, at refresh, at introspection, and why not."""

import pytest
from msgspec.structs import replace

from gatewright.base.calendar import day_begins
from gatewright.oauth.catalogue import Catalogue, Scope
from gatewright.oauth.errors import InvalidScope
from gatewright.oauth.metadata import document
from tests.protocol.asking import a_pair, as_api, explained, introspected
from tests.protocol.test_authorize import Desk, code_of
from tests.support import builders as b
from tests.support.world import Playground, claims_of

READ, SEND, CREATE = b.READ_BALANCE, b.TRANSFER, b.CREATE_EVENTS
OTHERS = [scope for scope in b.CATALOGUE.scopes.values() if scope.id > 100]
MARCH = day_begins("2027-03-01") or 0


def defined(ground: Playground, *changed: Scope, without: tuple[Scope, ...] = (), retired: frozenset[str] = frozenset()) -> None:
    """Put other scopes in the place of those with the same id."""
    gone = {scope.id for scope in (*changed, *without)}
    scopes = [*(scope for scope in OTHERS if scope.id not in gone), *changed]
    apis, roles = list(b.CATALOGUE.apis.values()), list(b.CATALOGUE.roles.values())
    ground.directory.catalogues[b.TENANT] = Catalogue(apis, scopes, roles, retired=retired)


RENAMED = replace(READ, name="balance:read", aliases=("read:balance",))


@pytest.mark.parametrize("asked", ["read:balance", "balance:read", "read:balance balance:read"])
async def test_a_renamed_scope_is_asked_for_by_either_name_and_given_under_both(ground: Playground, asked: str) -> None:
    defined(ground, RENAMED)
    client = await ground.add()
    await ground.grant(client, READ.id, SEND.id)
    desk = await Desk(ground).signed_in()
    bought = await ground.exchange(code_of(await desk.asked(scope=f"{asked} transfer:funds")))
    assert sorted(bought["scope"].split()) == ["balance:read", "read:balance", "transfer:funds"]
    seen = await introspected(ground, bought["access_token"])
    assert sorted(seen["scope"].split()) == ["balance:read", "read:balance", "transfer:funds"]


async def test_a_token_from_before_the_renaming_opens_what_it_opened(ground: Playground) -> None:
    pair = await a_pair(ground, READ.id)
    defined(ground, RENAMED)
    assert (await introspected(ground, pair["access_token"]))["scope"] == "balance:read read:balance"
    assert (await ground.renew(pair["refresh_token"], scope="read:balance"))["scope"] == "balance:read read:balance"


async def test_a_jwt_from_before_the_renaming_is_understood_as_long_as_the_old_name_is(ground: Playground) -> None:
    pair = await a_pair(ground, CREATE.id)
    assert claims_of(pair["access_token"])["scope"] == "create:events"
    defined(ground, replace(CREATE, name="events:create", aliases=("create:events",)))
    header = as_api(ground, b.EVENTS)
    assert (await introspected(ground, pair["access_token"], header))["scope"] == "events:create create:events"
    new = await ground.renew(pair["refresh_token"])
    assert claims_of(new["access_token"])["scope"] == "events:create create:events"
    defined(ground, replace(CREATE, name="events:create"))
    assert (await introspected(ground, pair["access_token"], header))["scope"] == ""
    assert (await introspected(ground, new["access_token"], header))["scope"] == "events:create"


async def test_a_narrower_token_by_an_old_name_is_no_narrower_than_by_the_new(ground: Playground) -> None:
    defined(ground, RENAMED)
    pair = await a_pair(ground, READ.id, SEND.id)
    less = await ground.renew(pair["refresh_token"], scope="read:balance")
    assert (await introspected(ground, less["access_token"]))["scope"] == "balance:read read:balance"
    whole = await ground.renew(less["refresh_token"], scope="read:balance transfer:funds")
    assert whole["scope"] == "balance:read read:balance transfer:funds"


async def test_a_name_that_ended_is_unknown(ground: Playground) -> None:
    defined(ground, replace(RENAMED, aliases=()))
    pair = await a_pair(ground, READ.id)
    with pytest.raises(InvalidScope, match="beyond"):
        await ground.renew(pair["refresh_token"], scope="read:balance")
    assert (await introspected(ground, pair["access_token"]))["scope"] == "balance:read"


async def test_the_guard_learns_the_same_by_either_name(ground: Playground) -> None:
    pair = await a_pair(ground, READ.id)
    defined(ground, RENAMED)
    said = await explained(ground, pair["access_token"], scope="read:balance balance:read transfer:funds")
    assert said["scopes"] == {"read:balance": "granted", "balance:read": "granted", "transfer:funds": "scope_not_requested"}


async def test_a_scope_works_until_the_day_on_which_it_retires(ground: Playground) -> None:
    defined(ground, replace(SEND, retires_at=MARCH))
    pair = await a_pair(ground, READ.id, SEND.id)
    assert pair["scope"] == "read:balance transfer:funds"
    assert (await introspected(ground, pair["access_token"]))["scope"] == "read:balance transfer:funds"


async def test_after_that_day_it_is_given_no_more_and_the_rest_stays(ground: Playground) -> None:
    pair = await a_pair(ground, READ.id, SEND.id)
    defined(ground, without=(SEND,), retired=frozenset({"transfer:funds"}))
    assert (await introspected(ground, pair["access_token"]))["scope"] == "read:balance"
    renewed = await ground.renew(pair["refresh_token"], scope="read:balance transfer:funds")
    assert renewed["scope"] == "read:balance", "a client that names all it had is not broken by the day"
    desk = await Desk(ground).signed_in()
    bought = await ground.exchange(code_of(await desk.asked(scope="read:balance transfer:funds")))
    assert bought["scope"] == "read:balance"


async def test_who_asks_for_nothing_but_a_retired_scope_is_told_so(ground: Playground) -> None:
    pair = await a_pair(ground, SEND.id)
    defined(ground, without=(SEND,), retired=frozenset({"transfer:funds"}))
    desk = await Desk(ground).signed_in()
    with pytest.raises(Exception, match="retired and given no more: transfer:funds"):
        await desk.asked(scope="transfer:funds")
    with pytest.raises(InvalidScope):
        await ground.renew(pair["refresh_token"], scope="transfer:funds")


async def test_metadata_says_what_was_renamed_and_what_will_go(ground: Playground) -> None:
    assert "gw_scopes_renamed" not in document(ground.issuer, b.CATALOGUE)
    defined(ground, RENAMED, replace(SEND, retires_at=MARCH))
    said = document(ground.issuer, ground.directory.catalogues[b.TENANT])
    assert said["gw_scopes_renamed"] == {"read:balance": "balance:read"}
    assert said["gw_scopes_retiring"] == {"transfer:funds": "2027-03-01"}
    supported = said["scopes_supported"]
    assert isinstance(supported, list)
    assert "balance:read" in supported
    assert "read:balance" not in supported


async def test_an_implication_that_is_made_later_widens_nothing_that_was_given(ground: Playground) -> None:
    """`security-rules` 34."""
    pair = await a_pair(ground, READ.id)
    defined(ground, replace(READ, implies=(SEND.id,)))
    assert (await introspected(ground, pair["access_token"]))["scope"] == "read:balance"
    assert (await ground.renew(pair["refresh_token"]))["scope"] == "read:balance"
    with pytest.raises(InvalidScope, match="beyond"):
        await ground.renew((await a_pair(ground, READ.id))["refresh_token"], scope="transfer:funds")


async def test_what_is_made_after_a_client_was_set_to_get_all_is_given_by_name_alone(ground: Playground) -> None:
    """`security-rules` 35."""
    defined(ground, replace(READ, made_at=100), replace(CREATE, made_at=300))
    client = await ground.add(scopes_policy="all_allowed", scopes_policy_at=200, scopes=(READ.id, CREATE.id, SEND.id))
    await ground.grant(client, READ.id, CREATE.id, SEND.id)
    desk = await Desk(ground).signed_in()
    bought = await ground.exchange(code_of(await desk.asked(scope=None)))
    assert bought["scope"] == "read:balance", "not what was made later, nor what is of high risk"
