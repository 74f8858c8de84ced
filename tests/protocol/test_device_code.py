"""Devices that ask their users to let them in at another one (RFC 8628): the two codes, asking again, what a yes buys."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gatewright.base import ids
from gatewright.ledger.devices import MOST_POLLED, Devices
from gatewright.oauth import device
from gatewright.oauth.catalogue import OFFLINE_ACCESS, OPENID
from gatewright.oauth.device import GRANT_TYPE, LETTERS
from gatewright.oauth.errors import AccessDenied, AuthorizationPending, ExpiredToken, InvalidGrant, SlowDown
from tests.support import builders as b
from tests.support.clock import NOON, TestClock
from tests.support.devices import a_device, begin, number_of, poll, say_no, say_yes
from tests.support.world import Playground, claims_of, secret_of

BOTH = (OPENID, b.READ_BALANCE.id)


@pytest.mark.proves("RFC 8628", "3.2")
async def test_a_device_gets_two_codes_and_where_its_user_types_one(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    assert set(begun) == {"device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval"}
    assert begun["device_code"].startswith("gwd_")
    assert begun["verification_uri"] == f"{b.URL}/device"
    assert begun["verification_uri_complete"] == f"{b.URL}/device?user_code={begun['user_code']}"
    assert (begun["expires_in"], begun["interval"]) == (600, 5)


@pytest.mark.proves("RFC 8628", "6.1")
async def test_a_user_code_is_eight_letters_that_make_no_word(ground: Playground) -> None:
    await ground.add(a_device())
    code = (await begin(ground))["user_code"]
    assert (len(code), code[4]) == (9, "-")
    assert set(code) - {"-"} <= set(LETTERS)
    assert not set(LETTERS) & set("AEIOUY0123456789")


def test_every_letter_of_a_user_code_is_as_likely_as_the_others() -> None:
    at = TestClock().moment()
    drawn = "".join([device.new_user_code(at) for _ in range(2_500)])
    counts = [drawn.count(letter) for letter in LETTERS]
    assert sum(counts) == 20_000
    assert 850 < min(counts) <= max(counts) < 1_150


@pytest.mark.proves("RFC 8628", "6.1")
@pytest.mark.parametrize("text", ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "WDJB\u2013MJHT", "w.d.j.b.m.j.h.t"])
def test_a_user_code_is_read_whatever_its_case_and_what_stands_between(text: str) -> None:
    assert device.typed(text) == "WDJBMJHT"
    assert device.shown("WDJBMJHT") == "WDJB-MJHT"


@pytest.mark.parametrize("text", ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJH0", "AEIO-UAEI", "\uff37DJB-MJHT", "x" * 10_000])
def test_what_is_no_user_code_is_none(text: str) -> None:
    assert device.typed(text) is None


async def test_neither_code_is_kept_and_the_short_one_only_under_a_key(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    row = await ground.devices.find(number_of(begun))
    assert row is not None
    bare = device.typed(begun["user_code"]) or ""
    kept = device.user_digest(bare, b.TENANT, ground.sealer)
    assert await ground.devices.named(b.TENANT, kept) == row
    assert await ground.number("SELECT count(*) FROM device_request WHERE user_digest LIKE :code", code=f"%{bare}%") == 0
    assert begun["device_code"] not in str(row)
    # Whoever reads the store but has no key finds no code of it by trying all of them out.
    assert kept != device.user_digest(bare, b.TENANT + 1, ground.sealer)


# ---------------------------------------------------------------- asking again


@pytest.mark.proves("RFC 8628", "3.5")
async def test_until_the_user_has_answered_the_device_is_told_to_wait(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    for _ in range(3):
        with pytest.raises(AuthorizationPending):
            await poll(ground, begun)
        ground.clock.pass_(5)


@pytest.mark.proves("RFC 8628", "3.5")
async def test_who_asks_too_early_waits_five_seconds_longer_each_time_from_then_on(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    ground.clock.pass_(3)
    with pytest.raises(SlowDown, match="wait 10 seconds"):
        await poll(ground, begun)
    ground.clock.pass_(8)
    with pytest.raises(SlowDown, match="wait 15 seconds"):
        await poll(ground, begun)
    ground.clock.pass_(15)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    # It is not forgiven by one question in time.
    ground.clock.pass_(10)
    with pytest.raises(SlowDown, match="wait 20 seconds"):
        await poll(ground, begun)


async def test_a_second_is_forgiven_since_not_every_way_takes_equally_long(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    for _ in range(3):
        with pytest.raises(AuthorizationPending):
            await poll(ground, begun)
        ground.clock.pass_(4)


async def test_who_must_wait_longer_waits_for_every_worker(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    with pytest.raises(SlowDown):
        await poll(ground, begun)
    row = await ground.devices.find(number_of(begun))
    assert row is not None
    assert row.poll_interval == 10
    # Another worker knows nothing of when it was asked before, but for how long it waits.
    ground.world = replace(ground.world, devices=Devices(ground.store))
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    ground.clock.pass_(8)
    with pytest.raises(SlowDown, match="wait 15 seconds"):
        await poll(ground, begun)


async def test_what_another_worker_wrote_down_counts_at_the_next_question(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    await ground.devices.slow_down(number_of(begun), 20)
    ground.clock.pass_(10)
    with pytest.raises(SlowDown, match="wait 25 seconds"):
        await poll(ground, begun)


async def test_nobody_waits_longer_than_a_minute(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    for _ in range(20):
        with pytest.raises(SlowDown):
            await poll(ground, begun)
    with pytest.raises(SlowDown, match="wait 60 seconds"):
        await poll(ground, begun)
    ground.clock.pass_(60)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)


async def test_only_so_many_devices_are_remembered_and_who_asked_longest_ago_gives_way(ground: Playground) -> None:
    for number in range(MOST_POLLED):
        ground.devices.polled(number, device.Polled("", 0, 0, 5))
    ground.devices.polled(0, device.Polled("", 0, 1, 5))
    ground.devices.polled(MOST_POLLED, device.Polled("", 0, 1, 5))
    assert [ground.devices.last(number) is not None for number in (0, 1, 2, MOST_POLLED)] == [True, False, True, True]


@pytest.mark.proves("RFC 8628", "3.5")
async def test_a_no_is_told_as_often_as_it_is_asked(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    assert await say_no(ground, begun)
    for _ in range(2):
        with pytest.raises(AccessDenied, match="the user said no"):
            await poll(ground, begun)


@pytest.mark.proves("RFC 8628", "3.5")
async def test_after_its_time_a_code_is_over_whatever_its_user_said(ground: Playground) -> None:
    await ground.add(a_device())
    waiting, allowed = await begin(ground), await begin(ground)
    assert await say_yes(ground, allowed, *BOTH)
    ground.clock.pass_(600)
    for begun in (waiting, allowed):
        with pytest.raises(ExpiredToken):
            await poll(ground, begun)
    assert not await say_yes(ground, waiting, *BOTH)
    assert not await say_no(ground, waiting)


# ---------------------------------------------------------------- what a yes buys


@pytest.mark.proves("RFC 8628", "3.4, 3.5")
async def test_a_yes_buys_tokens(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)
    assert await say_yes(ground, begun, *BOTH)
    ground.clock.pass_(5)
    bought = await poll(ground, begun)
    assert bought["scope"] == "openid read:balance"
    assert (bought["token_type"], bought["account"]) == ("Bearer", "acme-dev")
    told = claims_of(bought["id_token"])
    assert (told["sub"], told["aud"], told["auth_time"]) == (ids.show(ids.USER, b.PERSON), "budget-buddy", NOON - 60)
    # There was no nonce, and the browser's session is not the device's.
    assert {"nonce", "sid"} & set(told) == set()
    assert (await ground.row()).id == number_of(begun)
    assert ground.usage.events[GRANT_TYPE] == 1


async def test_its_refresh_tokens_rotate_as_those_of_a_code(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    await say_yes(ground, begun, *BOTH)
    first = (await poll(ground, begun))["refresh_token"]
    second = (await ground.renew(first, client_secret=None))["refresh_token"]
    assert second != first
    ground.clock.pass_(11)
    with pytest.raises(InvalidGrant):
        await ground.renew(first, client_secret=None)
    with pytest.raises(InvalidGrant):
        await ground.renew(second, client_secret=None)


async def test_it_goes_on_when_the_browser_that_allowed_it_is_signed_out(ground: Playground) -> None:
    await ground.add(a_device(refresh="offline"))
    begun = await begin(ground, scope="openid offline_access")
    await say_yes(ground, begun, OPENID, OFFLINE_ACCESS)
    token = (await poll(ground, begun))["refresh_token"]
    await ground.sql("UPDATE session SET ended_at = 1")
    assert (await ground.renew(token, client_secret=None))["refresh_token"]


async def test_a_grant_that_ends_takes_the_device_with_it(ground: Playground) -> None:
    await ground.add(a_device())
    redeemed, waiting = await begin(ground), await begin(ground)
    for begun in (redeemed, waiting):
        assert await say_yes(ground, begun, *BOTH)
    token = (await poll(ground, redeemed))["refresh_token"]
    grant = (await ground.row()).grant
    await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=grant, because="withdrawn", actor="us_x")
    with pytest.raises(InvalidGrant):
        await ground.renew(token, client_secret=None)
    with pytest.raises(InvalidGrant, match="has ended"):
        await poll(ground, waiting)


async def test_a_confidential_client_proves_itself_at_both_endpoints(ground: Playground) -> None:
    await ground.add(b.a_client(secrets=(secret_of(1),), grant_types=("authorization_code", GRANT_TYPE)))
    begun = await begin(ground, client_secret="gws_a-secret-of-the-client-that-nobody-guesses")
    await say_yes(ground, begun, *BOTH)
    bought = await ground.post(grant_type=GRANT_TYPE, device_code=begun["device_code"])
    assert "refresh_token" not in bought
    assert bought["scope"] == "openid read:balance"


@pytest.mark.proves("RFC 8707", "2")
async def test_the_api_that_the_device_named_is_the_one_that_it_gets_tokens_for(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground, scope="read:balance create:events", resource=b.EVENTS.audience)
    row = await ground.devices.find(number_of(begun))
    assert row is not None
    assert row.resources == b.EVENTS.audience
    await say_yes(ground, begun, b.READ_BALANCE.id, b.CREATE_EVENTS.id, resources=(b.EVENTS.audience,))
    bought = await poll(ground, begun)
    assert (claims_of(bought["access_token"])["aud"], bought["scope"]) == (b.EVENTS.audience, "create:events")


async def test_of_two_that_ask_at_once_one_gets_tokens_and_then_both_have_none(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    await say_yes(ground, begun, *BOTH)
    got = await asyncio.gather(*[poll(ground, begun) for _ in range(2)], return_exceptions=True)
    won = [one for one in got if isinstance(one, dict)]
    lost = [one for one in got if isinstance(one, InvalidGrant)]
    assert (len(won), len(lost)) == (1, 1)
    # The code was in two hands: what it bought has ended, as with any other code.
    with pytest.raises(InvalidGrant):
        await ground.renew(won[0]["refresh_token"], client_secret=None)
    assert (await ground.row()).ended_because == "replay"


async def test_a_code_shown_again_ends_what_it_bought_also_when_its_request_is_long_forgotten(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    await say_yes(ground, begun, *BOTH)
    token = (await poll(ground, begun))["refresh_token"]
    await ground.sql("DELETE FROM device_request")
    ground.clock.pass_(86_400)
    with pytest.raises(InvalidGrant, match="already used"):
        await poll(ground, begun)
    with pytest.raises(InvalidGrant):
        await ground.renew(token, client_secret=None)
    assert (await ground.audited())[-1] == "code.replayed"


async def test_of_two_answers_the_first_counts(ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground)
    assert await say_yes(ground, begun, *BOTH)
    assert not await say_yes(ground, begun, b.TRANSFER.id)
    assert not await say_no(ground, begun)
    assert (await poll(ground, begun))["scope"] == "openid read:balance"
    assert await ground.audited() == ["grant.made", "device.allowed"], "and the second gave nothing"
