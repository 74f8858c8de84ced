"""What the token endpoint asks of the store. Counted, never timed: one statement more is seen here first."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.errors import AuthorizationPending, InvalidGrant, SlowDown
from gatewright.store import Counts
from tests.protocol.test_client_credentials import ROBOT, a_service
from tests.protocol.test_password import an_old_client, shown, with_passwords
from tests.support import builders as b
from tests.support.devices import a_device, begin, poll, say_yes
from tests.support.world import VERIFIER, Playground, open_playground

JWT_LIMIT = 900
HANDLE_LIMIT = 200
REFRESH_LIMIT = 70
CODE_LIMIT = 70


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Playground]:
    """One tenant over a store of its own."""
    opened = await open_playground(tmp_path)
    yield opened
    await opened.store.close()


class Cost:
    """What was asked of a store since this was made."""

    def __init__(self, ground: Playground) -> None:
        self._ground = ground
        self._before = self._now()

    def _now(self) -> dict[str, int]:
        counts: Counts = self._ground.store.counts
        return {name: getattr(counts, name) for name in ("reads", "listings", "verbs", "units")}

    @property
    def spent(self) -> dict[str, int]:
        """Only what is not nothing."""
        return {name: spent for name, count in self._now().items() if (spent := count - self._before[name])}


async def test_client_credentials_cost_no_statement_within_a_second_and_one_read_after_it(ground: Playground) -> None:
    await ground.add(a_service())
    await ground.serve(scope="read:images")
    cost = Cost(ground)
    for _ in range(10):
        await ground.serve(scope="read:images")
    assert cost.spent == {}
    ground.clock.pass_(1)
    for _ in range(10):
        await ground.serve(scope="read:images")
    assert cost.spent == {"reads": 1}


@pytest.mark.parametrize("scope", ["read:balance", "read:balance transfer:funds"])
async def test_an_opaque_token_of_a_service_costs_no_statement_either(ground: Playground, scope: str) -> None:
    await ground.add_service_user(ROBOT, b.ACCOUNT)
    await ground.add(a_service(service_user=ROBOT, scopes=(b.READ_BALANCE.id, b.TRANSFER.id)))
    await ground.serve(scope=scope)
    cost = Cost(ground)
    for _ in range(10):
        await ground.serve(scope=scope)
    assert cost.spent == {}


async def test_a_code_exchange_costs_one_read_and_one_write(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, b.READ_BALANCE.id)
    cost = Cost(ground)
    await ground.exchange(code)
    assert cost.spent == {"reads": 1, "verbs": 1}


async def test_a_refresh_costs_one_read_and_one_write(ground: Playground) -> None:
    client = await ground.add()
    token = (await ground.exchange(await ground.code(client, OPENID, b.READ_BALANCE.id)))["refresh_token"]
    cost = Cost(ground)
    await ground.renew(token)
    assert cost.spent == {"reads": 1, "verbs": 1}


async def test_a_repeat_within_the_overlap_costs_one_read(ground: Playground) -> None:
    client = await ground.add()
    token = (await ground.exchange(await ground.code(client, OPENID, b.READ_BALANCE.id)))["refresh_token"]
    await ground.renew(token)
    cost = Cost(ground)
    await ground.renew(token)
    assert cost.spent == {"reads": 1}


async def test_a_narrowed_refresh_costs_no_more_once_its_set_of_scopes_is_known(ground: Playground) -> None:
    client = await ground.add()
    token = (await ground.exchange(await ground.code(client, OPENID, b.READ_BALANCE.id)))["refresh_token"]
    token = (await ground.renew(token, scope="read:balance"))["refresh_token"]
    cost = Cost(ground)
    await ground.renew(token, scope="read:balance")
    assert cost.spent == {"reads": 1, "verbs": 1}


async def test_opening_an_authorization_costs_one_statement(ground: Playground) -> None:
    client = await ground.add()
    await ground.code(client, OPENID)
    cost = Cost(ground)
    await ground.code(client, OPENID)
    # The grant that the playground makes beside it is a unit of its own.
    assert cost.spent == {"verbs": 1, "units": 1}


@pytest.mark.parametrize("kind", ["code", "refresh_token"])
async def test_a_guess_costs_one_read_at_most(ground: Playground, kind: str) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID)
    cost = Cost(ground)
    wrong = {"code": code[:-2] + ("AA" if code[-2:] != "AA" else "BA"), "refresh_token": "gwr_" + "A" * 62}
    with pytest.raises(InvalidGrant):
        await (ground.exchange(wrong[kind]) if kind == "code" else ground.renew(wrong[kind]))
    assert set(cost.spent) <= {"reads"}
    assert cost.spent.get("reads", 0) <= 1


async def test_tokens_keep_to_their_sizes(ground: Playground) -> None:
    every = (OPENID, b.READ_BALANCE.id, b.TRANSFER.id, b.CREATE_EVENTS.id)
    code = await ground.code(await ground.add(), *every)
    reply = await ground.exchange(code, resource=b.EVENTS.audience)
    again = await ground.renew(reply["refresh_token"], resource=b.BANK.audience)
    assert len(code) <= CODE_LIMIT
    assert len(reply["refresh_token"]) <= REFRESH_LIMIT
    assert len(reply["access_token"]) <= JWT_LIMIT
    assert len(again["access_token"]) <= HANDLE_LIMIT


async def test_a_password_costs_six_reads_and_three_transactions(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    await shown(ground)
    cost = Cost(ground)
    await shown(ground)
    # Three counters, the user, the seat and the row; counted when it begins, forgiven, opened with its entry in the audit log.
    assert cost.spent == {"reads": 6, "units": 3}


async def test_a_wrong_password_costs_no_more_than_at_the_page(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    cost = Cost(ground)
    with pytest.raises(InvalidGrant):
        await shown(ground, password="wrong")
    assert cost.spent == {"reads": 4, "units": 2}


async def test_an_app_pays_one_read_and_one_unit_for_its_token_and_everybody_else_as_before(ground: Playground) -> None:
    from gatewright.oauth.authorization import INSTALLED

    asks = [{"scope": b.READ_BALANCE.id}]
    app = await ground.add(exchange="app", scopes_policy="manifest", pkce="optional", asks=asks)
    code = await ground.code(app, b.READ_BALANCE.id, opened_by=INSTALLED)
    standing = await ground.row()
    await ground.sql(
        """INSERT INTO install (id, tenant, app, account, person, acting, consent_grant, version, state, made_at, changed_at)
           VALUES (1, :tenant, :app, :account, :person, :person, :grant, 1, 'approved', 0, 0)""",
        tenant=b.TENANT,
        app=app.id,
        account=b.ACCOUNT,
        person=b.PERSON,
        grant=standing.grant,
    )
    cost = Cost(ground)
    bought = await ground.post(code=code, code_verifier=VERIFIER)
    assert cost.spent == {"reads": 1, "units": 1}
    assert bought["access_token"].startswith("gwt_")
    assert bought["install_id"] == "in_0000000000001"


async def test_a_device_that_waits_costs_one_read_and_no_write(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    cost = Cost(ground)
    for _ in range(10):
        with pytest.raises(AuthorizationPending):
            await poll(ground, begun)
        ground.clock.pass_(5)
    assert cost.spent == {"reads": 10}


async def test_a_device_that_asks_too_early_costs_no_read_and_in_all_its_life_eleven_writes(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    cost = Cost(ground)
    for _ in range(1_000):
        with pytest.raises(SlowDown):
            await poll(ground, begun)
    # From five seconds to a minute in steps of five; at a minute there is nothing more to write.
    assert cost.spent == {"verbs": 11}


async def test_the_tokens_of_a_device_cost_one_read_more_than_those_of_a_code(ground: Playground) -> None:
    await ground.add(a_device())
    cost = Cost(ground)
    begun = await begin(ground)
    assert cost.spent == {"verbs": 1}
    await say_yes(ground, begun, OPENID, b.READ_BALANCE.id)
    cost = Cost(ground)
    await poll(ground, begun)
    assert cost.spent == {"reads": 2, "verbs": 1}
    assert len(begun["device_code"]) <= CODE_LIMIT
