"""What a device is refused, and how: at its own endpoint and at the token endpoint (RFC 8628 §3.1, §3.5)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gatewright.base.moment import Moment
from gatewright.oauth import device
from gatewright.oauth.ask import Params
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.device import GRANT_TYPE, MOST_OF_CLIENT, MOST_OF_NETWORK
from gatewright.oauth.errors import (
    AuthorizationPending,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    TemporarilyUnavailable,
    UnauthorizedClient,
)
from tests.support import builders as b
from tests.support.clock import TestClock
from tests.support.devices import PUBLIC, a_device, begin, poll, say_yes
from tests.support.world import Param, Playground


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"client_id": None}, InvalidClient),
        ({"client_id": "nobody"}, InvalidClient),
        ({"client_secret": "gws_wrong"}, InvalidClient),
        ({"scope": "read:nothing"}, InvalidScope),
        ({"scope": 'openid "'}, InvalidScope),
        ({"scope": "delete:images"}, InvalidScope),
        ({"scope": None}, InvalidScope),
        ({"resource": "https://elsewhere.test"}, InvalidTarget),
        ({"account": "x" * 101}, InvalidRequest),
        ({"account": "a\x00b"}, InvalidRequest),
    ],
)
@pytest.mark.proves("RFC 8628", "3.1, 3.2")
async def test_what_no_user_could_allow_is_refused_before_one_types_a_code(
    ground: Playground, params: dict[str, Param], error: type[OAuthError]
) -> None:
    await ground.add(a_device())
    with pytest.raises(error):
        await begin(ground, **params)
    assert await ground.number("SELECT count(*) FROM device_request") == 0


async def test_a_client_without_the_grant_type_gets_no_codes_and_no_tokens(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    await ground.add(a_device(grant_types=("authorization_code",), redirect_uris=("https://budget.example/callback",)))
    with pytest.raises(UnauthorizedClient):
        await begin(ground)
    with pytest.raises(UnauthorizedClient):
        await poll(ground, begun)


@pytest.mark.proves("RFC 8628", "3.1")
async def test_a_parameter_that_nobody_knows_here_is_ignored_and_an_empty_one_is_none(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground, id_token_hint="rubbish", prompt="bogus", resource="", account="", strange="\x00")
    assert begun["user_code"]


@pytest.mark.proves("RFC 8628", "3.1")
@pytest.mark.parametrize("name", ["client_id", "scope", "device_code"])
def test_a_parameter_that_came_twice_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        Params.of([(name, "a"), (name, "a")])


@pytest.mark.proves("RFC 8628", "3.4")
async def test_a_question_without_a_code_is_no_question(ground: Playground) -> None:
    await ground.add(a_device())
    with pytest.raises(InvalidRequest, match="device_code"):
        await ground.post(grant_type=GRANT_TYPE, **PUBLIC)


def _changed(begun: dict[str, Any], *, at: int) -> dict[str, Any]:
    text = begun["device_code"]
    return {"device_code": text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]}


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.proves("RFC 8628", "5.2")
async def test_a_code_of_which_one_letter_is_wrong_is_unknown(ground: Playground, *, answered: bool) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    if answered:
        await say_yes(ground, begun, OPENID)
    for wrong in (
        _changed(begun, at=8),
        _changed(begun, at=30),
        {"device_code": "gwd_x"},
        {"device_code": "gwc_" + begun["device_code"][4:]},
    ):
        with pytest.raises(InvalidGrant, match="the device code is unknown"):
            await poll(ground, wrong)


@pytest.mark.parametrize("answered", [False, True])
async def test_another_clients_code_is_no_good_and_not_used_up(ground: Playground, *, answered: bool) -> None:
    await ground.add(a_device())
    await ground.add(replace(a_device(), id=2002, client_id="other"))
    begun = await begin(ground)
    if answered:
        await say_yes(ground, begun, OPENID)
    with pytest.raises(InvalidGrant, match="another client"):
        await poll(ground, begun, client_id="other")
    if answered:
        assert (await poll(ground, begun))["scope"] == "openid"


async def test_what_another_client_asks_does_not_slow_the_device_down(ground: Playground) -> None:
    await ground.add(a_device())
    await ground.add(replace(a_device(), id=2002, client_id="other"))
    begun = await begin(ground)
    for _ in range(3):
        with pytest.raises(InvalidGrant):
            await poll(ground, begun, client_id="other")
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)


@pytest.mark.parametrize("answered", [False, True])
async def test_a_code_is_good_at_its_own_issuer_alone(ground: Playground, *, answered: bool) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    if answered:
        await say_yes(ground, begun, OPENID)
    ground.issuer = b.an_issuer("https://login.acme.test")
    with pytest.raises(InvalidGrant, match="another issuer"):
        await poll(ground, begun)


async def test_the_device_code_is_no_authorization_code(ground: Playground) -> None:
    await ground.add(a_device(grant_types=("authorization_code", GRANT_TYPE), redirect_uris=("https://budget.example/callback",)))
    begun = await begin(ground)
    await say_yes(ground, begun, OPENID)
    for code in (begun["device_code"], "gwc_" + begun["device_code"][4:]):
        with pytest.raises(InvalidGrant, match="unknown"):
            await ground.exchange(code, **PUBLIC)
    assert (await poll(ground, begun))["scope"] == "openid"


# ---------------------------------------------------------------- nobody fills the store


async def test_one_network_has_so_many_devices_waiting_and_no_more(ground: Playground) -> None:
    await ground.add(a_device())
    for _ in range(MOST_OF_NETWORK):
        await begin(ground)
    with pytest.raises(TemporarilyUnavailable) as full:
        await begin(ground)
    assert full.value.retry_after == 60
    ground.address = "127.0.0.99"  # the same network
    with pytest.raises(TemporarilyUnavailable):
        await begin(ground)
    ground.address = "198.51.100.7"
    await begin(ground)
    ground.address = "127.0.0.1"
    ground.clock.pass_(600)
    await begin(ground)


async def test_who_has_a_whole_prefix_of_version_6_is_one_network(ground: Playground) -> None:
    await ground.add(a_device())
    for number in range(MOST_OF_NETWORK):
        ground.address = f"2001:db8:7:{number:x}::1"
        await begin(ground)
    ground.address = "2001:db8:7:ffff::1"
    with pytest.raises(TemporarilyUnavailable):
        await begin(ground)
    ground.address = "2001:db8:8::1"
    assert (await begin(ground))["user_code"]


async def test_one_client_has_so_many_devices_waiting_and_another_is_not_held_up(ground: Playground) -> None:
    await ground.add(a_device())
    await ground.add(replace(a_device(), id=2002, client_id="other"))
    many = """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)
        INSERT INTO device_request (id, tenant, issuer, client, device_digest, user_digest, scopes, resources, account, network, asked_at,
                                    expires_at, poll_interval)
        SELECT i, 1001, '', 2001, '', 'digest ' || i, '', '', '', 'network ' || i, 0, :until, 5 FROM n"""
    await ground.sql(many, many=MOST_OF_CLIENT - 1, until=ground.clock.now + 60)
    await begin(ground)
    with pytest.raises(TemporarilyUnavailable):
        await begin(ground)
    assert (await begin(ground, client_id="other"))["user_code"]


async def test_a_user_code_that_is_taken_is_drawn_again(ground: Playground) -> None:
    await ground.add(a_device())
    ground.clock = TestClock(seed="the same dice")
    first = await begin(ground)
    ground.clock = TestClock(ground.clock.now + 1, seed="the same dice")
    second = await begin(ground)
    assert await ground.number("SELECT count(*) FROM device_request") == 2
    assert second["user_code"] != first["user_code"]
    ground.clock = TestClock(seed="the same dice")
    assert first["user_code"] == device.shown(device.new_user_code(_after_an_id(ground.clock))), "the first draw was taken"


def _after_an_id(clock: TestClock) -> Moment:
    at = clock.moment()
    at.id()
    return at
