"""The page for the code that a device shows, and what follows it: sign-in, account, consent, what the device is told (RFC 8628 §3.3)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gatewright.audit.book import entries
from gatewright.base import ids
from gatewright.oauth.device import GRANT_TYPE
from gatewright.oauth.errors import AccessDenied, AuthorizationPending, ExpiredToken
from gatewright.oauth.issuer import Issuer
from tests.http.test_pages import PROD, add_account
from tests.support import builders as b
from tests.support.browser import EMAIL, Browser, Rooms, Seen
from tests.support.devices import a_device, begin, number_of, poll
from tests.support.world import REDIRECT, Playground, claims_of, secret_of

WRONG = "BCDF-GHJK"


@pytest.fixture
async def begun(ground: Playground) -> dict[str, Any]:
    """What a device was given that asked from the network of the browser."""
    await ground.add(a_device())
    ground.address = "203.0.113.99"
    return await begin(ground)


async def enter(browser: Browser, code: str) -> Seen:
    """Type a code into the page, signing in first where that is asked."""
    page = await browser.get("/device")
    if page.title.startswith("Sign in"):
        page = await browser.sign_in()
    assert page.title.startswith(("Connect a device", "Not found yet"))
    return await browser.press("continue", user_code=code)


async def _somebody_else(rooms: Rooms, ground: Playground, number: int) -> Browser:
    """The browser of one more person, who is a member of no account."""
    await ground.sql(
        """INSERT INTO person (id, tenant, kind, email, email_key, email_verified_at, name, profile, epoch, created_at, password)
           SELECT id + :n, tenant, kind, 'u' || :n, 'u' || :n, 0, name, profile, 0, 0, password FROM person WHERE id = :id""",
        n=number,
        id=b.PERSON,
    )
    browser = Browser(rooms)
    await browser.get("/device")
    await browser.sign_in(username=f"u{number}")
    return browser


# ---------------------------------------------------------------- the whole way


@pytest.mark.proves("RFC 8628", "3.3")
async def test_a_user_types_the_code_allows_it_and_the_device_gets_tokens(
    browser: Browser, ground: Playground, begun: dict[str, Any]
) -> None:
    page = await enter(browser, begun["user_code"].lower().replace("-", " "))
    assert page.title.startswith("Let a device in?")
    assert "Let Budget Buddy on another device use your data?" in page.text
    assert "See the balance of your bank accounts" in page.text
    done = await browser.press("allow")
    assert (done.status, done.title.partition(" ·")[0]) == (200, "Your device is connected")
    assert "You can go back to your device" in done.text
    bought = await poll(ground, begun)
    assert (bought["scope"], bought["account"]) == ("openid read:balance", "acme-dev")
    assert claims_of(bought["id_token"])["sub"] == ids.show(ids.USER, b.PERSON)
    assert await ground.audited() == ["sign_in.done", "grant.made", "device.allowed"]
    assert "__Host-gw_flow" not in browser.cookies, "nothing is under way any more"


@pytest.mark.proves("RFC 8628", "3.3.1")
async def test_a_code_in_the_address_stands_in_the_field_and_nothing_more_happens(
    browser: Browser, ground: Playground, begun: dict[str, Any]
) -> None:
    page = await browser.get("/device", user_code=begun["user_code"])
    assert page.title.startswith("Sign in")
    page = await browser.sign_in()
    assert ("user_code", begun["user_code"]) in page.forms[0].fields
    assert "Compare it with your device" in page.text
    assert "__Host-gw_flow" not in browser.cookies, "it was not looked up, and nothing is under way"
    assert (await browser.press("continue")).title.startswith("Let a device in?")


@pytest.mark.proves("RFC 8628", "5.4")
async def test_the_user_is_told_that_a_device_is_let_in_which_and_from_where(
    browser: Browser, ground: Playground, begun: dict[str, Any]
) -> None:
    page = await enter(browser, begun["user_code"])
    assert "only if you are holding this device yourself" in page.text
    assert begun["user_code"] in page.text
    assert "15 January 2027, 08:00 UTC" in page.text
    assert "the network that you are in 203.0.113.0/24" in page.text
    browser.address = "198.51.100.7"
    page = await browser.get("/-/continue", r=dict(page.forms[0].fields)["step"])
    assert "another network than yours 203.0.113.0/24" in page.text


async def test_who_made_an_app_that_proves_nothing_is_not_said_of_the_one_that_asks(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device(party="first"))
    page = await enter(browser, (await begin(ground))["user_code"])
    assert "This app is made by" not in page.text
    assert "Anybody can ask in the name of this app of Acme ." in page.text
    await ground.add(b.a_client(secrets=(secret_of(1),), party="first", grant_types=("authorization_code", GRANT_TYPE)))
    page = await enter(browser, (await begin(ground, client_secret="gws_a-secret-of-the-client-that-nobody-guesses"))["user_code"])
    assert "This app is made by Acme ." in page.text


@pytest.mark.parametrize(
    ("asked_from", "answered_from", "said"),
    [
        ("", "", "From an unknown network You"),
        ("", "203.0.113.7", "From an unknown network You"),
        # A proxy that nobody told us of stands before everybody.
        ("127.0.0.1", "127.0.0.1", "From an unknown network You"),
        ("::1", "::1", "From an unknown network You"),
        # A home has addresses of both kinds.
        ("203.0.113.99", "2001:db8::1", "From a network that cannot be compared with yours 203.0.113.0/24 You"),
        ("203.0.113.99", "", "From a network that cannot be compared with yours 203.0.113.0/24 You"),
        ("203.0.113.99", "::ffff:203.0.113.7", "From the network that you are in 203.0.113.0/24 You"),
        ("2001:db8::1", "2001:db8::2", "From the network that you are in 2001:db8::/48 You"),
        ("2001:db8:0:1::1", "2001:db8::1", "From the network that you are in 2001:db8::/48 You"),
        ("2001:db8:1::1", "2001:db8::1", "From another network than yours 2001:db8:1::/48 You"),
    ],
)
async def test_nothing_is_said_of_the_network_that_nobody_can_know(
    browser: Browser, ground: Playground, asked_from: str, answered_from: str, said: str
) -> None:
    await ground.add(a_device())
    ground.address, browser.address = asked_from, answered_from
    page = await enter(browser, (await begin(ground))["user_code"])
    assert said in page.text


async def test_on_this_very_computer_both_are_in_its_network(rooms: Rooms, ground: Playground) -> None:
    await ground.add(a_device())
    ground.issuer, ground.address = b.an_issuer("http://127.0.0.1:8600"), "127.0.0.1"
    page = await enter(Browser(rooms, ground.issuer, address="127.0.0.1"), (await begin(ground))["user_code"])
    assert "From the network that you are in 127.0.0.0/24" in page.text


async def test_a_no_is_told_to_the_device(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    await enter(browser, begun["user_code"])
    browser.address = "198.51.100.7"
    done = await browser.press("deny")
    assert "You said no" in done.text
    with pytest.raises(AccessDenied):
        await poll(ground, begun)
    entry = (await entries(ground.store, b.TENANT))[0]
    assert (entry.act, entry.actor, entry.subject) == (
        "device.denied",
        ids.show(ids.USER, b.PERSON),
        ids.show(ids.AUTHORIZATION, number_of(begun)),
    )
    both = {"asked_from": "203.0.113.0/24", "answered_from": "198.51.100.0/24"}
    assert msgspec.json.decode(entry.detail) == {"client": ids.show(ids.CLIENT, b.CLIENT), **both}


async def test_allowing_nothing_is_a_no(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground, scope="read:balance")
    await enter(browser, begun["user_code"])
    done = await browser.press("allow", without="read:balance")
    assert "You said no" in done.text
    assert "grant.made" not in await ground.audited()


async def test_a_scope_that_is_unticked_is_not_given(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground, scope="openid read:balance transfer:funds")
    await enter(browser, begun["user_code"])
    await browser.press("allow", without="transfer:funds")
    assert (await poll(ground, begun))["scope"] == "openid read:balance"


@pytest.mark.parametrize("party", ["first", "third"])
async def test_nobody_is_let_in_by_what_was_allowed_before_or_by_trust(browser: Browser, ground: Playground, party: str) -> None:
    await ground.add(a_device(party=party))
    for _ in range(2):
        begun = await begin(ground)
        page = await enter(browser, begun["user_code"])
        assert page.title.startswith("Let a device in?")
        with pytest.raises(AuthorizationPending):
            await poll(ground, begun)
        await browser.press("allow")
        ground.clock.pass_(5)
        assert (await poll(ground, begun))["scope"] == "openid read:balance"


async def test_of_several_accounts_the_user_picks_one_and_the_device_works_in_that(
    browser: Browser, ground: Playground, begun: dict[str, Any]
) -> None:
    await add_account(ground)
    page = await enter(browser, begun["user_code"])
    assert page.title.startswith("Choose an account")
    page = await browser.press("continue", account=ids.show(ids.ACCOUNT, PROD))
    assert page.title.startswith("Let a device in?")
    await browser.press("allow")
    assert (await poll(ground, begun))["account"] == "acme-prod"


async def test_a_device_may_name_the_account(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device())
    await add_account(ground)
    begun = await begin(ground, account="acme-prod")
    page = await enter(browser, begun["user_code"])
    assert page.title.startswith("Let a device in?")
    await browser.press("allow")
    assert (await poll(ground, begun))["account"] == "acme-prod"


async def test_what_cannot_be_given_by_this_user_is_said_and_told_to_the_device(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device())
    begun = await begin(ground, account="globex")
    page = await enter(browser, begun["user_code"])
    assert "The app gets no access" in page.title
    assert "the account is none of this user's" in page.text
    with pytest.raises(AccessDenied, match="or could not say yes"):
        await poll(ground, begun)
    entry = (await entries(ground.store, b.TENANT))[0]
    assert (entry.act, msgspec.json.decode(entry.detail)["refused"]) == ("device.denied", "access_denied")


async def test_a_user_may_go_on_as_somebody_else(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    await enter(browser, begun["user_code"])
    page = await browser.press("switch")
    assert page.title.startswith("Sign in")
    page = await browser.sign_in()
    assert page.title.startswith("Let a device in?")
    await browser.press("allow")
    assert (await poll(ground, begun))["scope"] == "openid read:balance"


async def test_a_client_elsewhere_keeps_nobody_signed_in_in_this_browser(browser: Browser, ground: Playground) -> None:
    both = {"grant_types": ("authorization_code", GRANT_TYPE), "redirect_uris": (REDIRECT,)}
    await ground.add(a_device(type="native", party="first", lasting_session=True, **both))
    await enter(browser, (await begin(ground))["user_code"])
    await browser.press("switch")
    browser.set_cookies.clear()
    assert (await browser.sign_in()).title.startswith("Let a device in?")
    assert [text for text in browser.set_cookies if text.startswith("__Host-gw_session") and "Max-Age" in text] == []


async def test_the_session_of_the_browser_is_not_the_devices(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device(refresh="offline"))
    begun = await begin(ground, scope="openid offline_access")
    await enter(browser, begun["user_code"])
    await browser.press("allow")
    bought = await poll(ground, begun)
    await browser.get("/-/access")
    await browser.send("POST", "/-/sign-out", browser.page.forms[0].fields if browser.page else [])
    assert (await ground.audited())[-1] == "session.ended"
    assert (await ground.renew(bought["refresh_token"], client_secret=None))["access_token"]


async def test_a_client_that_must_ask_for_it_renews_nothing_that_its_user_was_not_told_of(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device(refresh="offline"))
    begun = await begin(ground)
    page = await enter(browser, begun["user_code"])
    assert "when you are away" not in page.text
    await browser.press("allow")
    assert "refresh_token" not in await poll(ground, begun)
    kept = await ground.number("SELECT COUNT(*) FROM authorization_row WHERE refresh_secret IS NOT NULL OR refresh_until IS NOT NULL")
    assert kept == 0


# ---------------------------------------------------------------- codes that are none


@pytest.mark.parametrize("code", ["", "WDJB", "12345678", "AAAA-AAAA", "<script>alert(1)</script>"])
async def test_what_cannot_be_a_code_is_said_and_counts_as_no_guess(browser: Browser, ground: Playground, code: str) -> None:
    await browser.signed_in()
    before = await ground.number("SELECT count(*) FROM throttle")
    page = await enter(browser, code)
    assert (page.status, page.title.partition(" ·")[0]) == (400, "Not found yet")
    assert "A code has eight letters" in page.text
    assert await ground.number("SELECT count(*) FROM throttle") == before


async def test_a_wrong_an_old_and_a_used_code_are_told_the_same(browser: Browser, ground: Playground) -> None:
    await ground.add(a_device())
    used, old = await begin(ground), await begin(ground)
    await enter(browser, used["user_code"])
    await browser.press("allow")
    ground.clock.pass_(600)
    pages = [await enter(browser, code) for code in (WRONG, used["user_code"], old["user_code"])]
    assert [page.status for page in pages] == [400, 400, 400]
    assert all("No device waits with this code." in page.text for page in pages)


async def test_a_code_is_good_at_the_issuer_that_gave_it_alone(rooms: Rooms, ground: Playground, begun: dict[str, Any]) -> None:
    elsewhere = Browser(rooms, b.an_issuer("https://login.acme.test"))
    page = await enter(elsewhere, begun["user_code"])
    assert "No device waits with this code." in page.text


async def test_a_client_that_was_disabled_lets_no_device_in(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    page = await enter(browser, begun["user_code"])
    await ground.add(replace(a_device(), disabled=True))
    assert (await browser.press("allow")).status == 400
    page = await enter(browser, begun["user_code"])
    assert "No device waits with this code." in page.text


async def test_a_client_that_lost_the_grant_type_lets_no_device_in(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    await enter(browser, begun["user_code"])
    await ground.add(a_device(grant_types=("authorization_code",), redirect_uris=(REDIRECT,)))
    assert (await browser.press("allow")).status == 400
    page = await enter(browser, begun["user_code"])
    assert "No device waits with this code." in page.text
    assert "grant.made" not in await ground.audited()


async def test_who_guesses_must_wait_and_a_right_code_forgives_nothing(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    for _ in range(5):
        page = await enter(browser, WRONG)
        assert page.status == 400
    page = await enter(browser, begun["user_code"])
    assert (page.status, page.header["retry-after"]) == (429, "1")
    ground.clock.pass_(1)
    assert (await enter(browser, WRONG)).status == 400
    page = await enter(browser, begun["user_code"])
    assert (page.status, page.header["retry-after"]) == (429, "2")
    ground.clock.pass_(2)
    assert (await enter(browser, begun["user_code"])).title.startswith("Let a device in?")
    # A right code does not let the guessing begin anew.
    ground.clock.pass_(2)
    assert (await enter(browser, WRONG)).status == 400
    page = await enter(browser, WRONG)
    assert (page.status, page.header["retry-after"]) == (429, "4")


@pytest.mark.proves("RFC 8628", "5.1")
async def test_within_the_life_of_a_code_one_user_guesses_a_few_times(browser: Browser, ground: Playground) -> None:
    await browser.signed_in()
    guesses = 0
    for _ in range(600):
        guesses += (await enter(browser, WRONG)).status == 400
        ground.clock.pass_(1)
    # Of 20^8 codes: nobody guesses one in ten minutes more often than in one of a thousand million cases.
    assert guesses <= 16
    assert guesses / 20**8 < 2**-30


async def test_the_network_counts_whoever_signs_in_there(rooms: Rooms, ground: Playground) -> None:
    statuses = []
    for number in range(5):
        browser = await _somebody_else(rooms, ground, number + 1)
        statuses += [(await enter(browser, WRONG)).status for _ in range(5)]
    assert statuses == [400] * 20 + [429] * 5


async def _mistyped(rooms: Rooms, ground: Playground, times: int, *, seconds: int, network: str = "") -> None:
    """Let so many people mistype a code one after the other, each in a network of their own or all in one."""
    for number in range(times):
        at = ground.clock.moment()
        counters = rooms.throttle.device_counters(b.TENANT, 8000 + number, network or f"network {number}", at.now)
        await rooms.throttle.enter(b.TENANT, counters, at)
        ground.clock.pass_(seconds)


async def test_what_was_mistyped_yesterday_slows_nobody_where_no_hour_is_quiet(rooms: Rooms, browser: Browser, ground: Playground) -> None:
    await ground.add(a_device())
    await _mistyped(rooms, ground, 220, seconds=900)
    await _mistyped(rooms, ground, 40, seconds=900, network="203.0.113.0/24")
    # Two at the same moment, in that network.
    ground.address = "198.51.100.7"
    for _ in range(2):
        page = await enter(browser, (await begin(ground))["user_code"])
        assert page.title.startswith("Let a device in?")


async def test_a_crowd_that_guesses_is_slowed_as_a_whole(rooms: Rooms, browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    await browser.signed_in()
    await _mistyped(rooms, ground, 200, seconds=0)
    page = await enter(browser, begun["user_code"])
    assert (page.status, page.header["retry-after"]) == (429, "1")


# ---------------------------------------------------------------- whose form, and in time


async def test_a_form_that_was_shown_to_another_session_looks_up_nothing(
    browser: Browser, ground: Playground, begun: dict[str, Any]
) -> None:
    await browser.signed_in()
    await browser.get("/device")
    assert browser.page is not None
    form = dict(browser.page.forms[0].fields)
    for csrf in ("", "x", form["csrf"][:-1] + "_"):
        page = await browser.send("POST", "/device", [("csrf", csrf), ("user_code", begun["user_code"]), ("choice", "continue")])
        assert (page.status, "open for too long" in page.text) == (400, True)
    page = await browser.send("POST", "/device", [("user_code", begun["user_code"])], headers={"sec-fetch-site": "cross-site"})
    assert page.status == 403


async def test_nobody_is_let_in_without_a_sign_in(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    page = await browser.send("POST", "/device", [("user_code", begun["user_code"]), ("choice", "continue")])
    assert page.title.startswith("Sign in")
    page = await browser.sign_in()
    assert ("user_code", begun["user_code"]) in page.forms[0].fields


async def test_another_browser_cannot_go_on_with_what_this_one_found(
    browser: Browser, rooms: Rooms, ground: Playground, begun: dict[str, Any]
) -> None:
    page = await enter(browser, begun["user_code"])
    step = dict(page.forms[0].fields)["step"]
    other = await Browser(rooms).signed_in()
    assert (await other.get("/-/continue", r=step)).status == 400
    forged = await other.send("POST", "/-/consent", [*page.forms[0].fields, ("scope", "read:balance"), ("choice", "allow")])
    assert forged.status == 400
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)


async def test_the_address_of_a_step_lets_nobody_in(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    page = await enter(browser, begun["user_code"])
    step = dict(page.forms[0].fields)["step"]
    for _ in range(2):
        assert (await browser.get("/-/continue", r=step)).title.startswith("Let a device in?")
    with pytest.raises(AuthorizationPending):
        await poll(ground, begun)


async def test_who_says_yes_too_late_gives_nothing_and_is_told_so(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    await enter(browser, begun["user_code"])
    ground.clock.pass_(600)
    done = await browser.press("allow")
    assert "This code is over" in done.text
    assert "grant.made" not in await ground.audited()
    assert await ground.number("SELECT count(*) FROM authorization_row") == 0


async def test_a_yes_in_the_last_second_is_heard_by_a_device_that_asks_as_rarely_as_it_may(
    browser: Browser, ground: Playground, begun: dict[str, Any]
) -> None:
    await enter(browser, begun["user_code"])
    ground.clock.pass_(599)
    assert "You can go back to your device" in (await browser.press("allow")).text
    ground.clock.pass_(59)
    assert (await poll(ground, begun))["scope"] == "openid read:balance"


async def test_a_yes_is_not_there_for_ever(browser: Browser, ground: Playground, begun: dict[str, Any]) -> None:
    await enter(browser, begun["user_code"])
    ground.clock.pass_(599)
    await browser.press("allow")
    ground.clock.pass_(60)
    with pytest.raises(ExpiredToken, match="too late"):
        await poll(ground, begun)


async def test_who_presses_twice_is_told_that_it_was_allowed(
    browser: Browser, rooms: Rooms, ground: Playground, begun: dict[str, Any]
) -> None:
    page = await enter(browser, begun["user_code"])
    cookies = dict(browser.cookies)
    for _ in range(2):
        browser.page, browser.cookies = page, dict(cookies)
        assert "You can go back to your device" in (await browser.press("allow")).text
    assert (await ground.audited()).count("device.allowed") == 1
    # Who says no after it is not told that it was heeded.
    browser.page, browser.cookies = page, dict(cookies)
    assert "This code is over" in (await browser.press("deny")).text


async def test_of_two_who_hold_one_code_the_first_answers(
    browser: Browser, rooms: Rooms, ground: Playground, begun: dict[str, Any]
) -> None:
    other = await _somebody_else(rooms, ground, 1)
    await enter(browser, begun["user_code"])
    await enter(other, begun["user_code"])
    assert "go back to your device" in (await browser.press("allow")).text
    assert "This code is over" in (await other.press("allow")).text
    assert "This code is over" in (await _denied(rooms, ground)).text
    assert (await poll(ground, begun))["scope"] == "openid read:balance"
    assert (await ground.audited()).count("grant.made") == 1


async def _denied(rooms: Rooms, ground: Playground) -> Seen:
    third = Browser(rooms)
    begun = await begin(ground)
    await enter(third, begun["user_code"])
    await ground.sql("UPDATE device_request SET answer = 'allowed' WHERE id = :id", id=number_of(begun))
    return await third.press("deny")


async def test_the_pages_post_to_us_alone_and_hold_no_script(browser: Browser, begun: dict[str, Any]) -> None:
    page = await enter(browser, begun["user_code"])
    assert page.header["content-security-policy"].endswith("form-action 'self'")
    assert "script-src" not in page.header["content-security-policy"]
    assert "<script" not in page.reply.body.decode()


async def test_the_email_of_whoever_is_signed_in_stands_on_the_page(browser: Browser, begun: dict[str, Any]) -> None:
    await browser.get("/device")
    page = await browser.sign_in()
    assert EMAIL in page.text
    assert "Sign out" in page.text


def test_an_issuer_has_the_page_at_an_address_that_can_be_typed() -> None:
    made: Issuer = b.an_issuer()
    assert len(made.url.removeprefix("https://") + "/device") < 30


@pytest.fixture(autouse=True)
def _nothing_secret_in_the_log(rooms: Rooms, begun: dict[str, Any]) -> object:
    yield
    secret = ("correct horse", "gwb_", "gwd_", "gwx_", begun["user_code"])
    assert not [line for line in rooms.lines if any(text in line for text in secret)]
