"""A user's own page and the ways out: taking access back, signing browsers out, leaving at a client's wish."""

import re

import pytest
from msgspec.structs import replace

from gatewright.base import ids
from gatewright.oauth.errors import InvalidGrant
from tests.protocol.asking import introspected, who
from tests.support import builders as b
from tests.support.browser import Browser, Rooms, Seen, tokens_of
from tests.support.world import Playground

SESSION = "__Host-gw_session"
AFTER = "https://budget.example/bye"


async def post(browser: Browser, seen: Seen, action: str, **fields: str) -> Seen:
    """Send the form of the page that goes there, with some fields changed."""
    form = next(form for form in seen.forms if form.action == action)
    return await browser.send("POST", action, (dict(form.fields) | fields).items())


async def connected(browser: Browser, ground: Playground) -> dict[str, str]:
    """Let the user connect the client; the tokens that it got."""
    await browser.authorize()
    await browser.sign_in()
    return await tokens_of(ground, await browser.press("allow"))


async def test_the_own_page_needs_a_sign_in_and_comes_back_to_itself(browser: Browser) -> None:
    page = await browser.get("/-/access")
    assert page.title.startswith("Sign in")
    page = await browser.sign_in()
    assert page.at == "/-/access"
    assert "No app has access" in page.text


async def test_the_own_page_shows_what_an_app_may_do_where_and_since_when(browser: Browser, ground: Playground) -> None:
    await connected(browser, ground)
    page = await browser.get("/-/access")
    for words in (
        "Budget Buddy",
        "acme-dev",
        "Third-party",
        "See the balance of your bank accounts",
        "Firefox on Linux",
        "15 January 2027",
    ):
        assert words in page.text


async def test_the_own_page_calls_no_app_unused_whose_uses_may_not_be_written_down_yet(browser: Browser, ground: Playground) -> None:
    await connected(browser, ground)
    assert "Not used yet" not in (await browser.get("/-/access")).text
    await ground.sql("UPDATE consent_grant SET used_at = NULL")
    for seconds, told in ((59, False), (1, True)):
        ground.clock.pass_(seconds)
        assert ("Not used yet" in (await browser.get("/-/access")).text) is told
    await ground.uses.flush(ground.store)
    assert "Used in the last 24 hours" in (await browser.get("/-/access")).text


async def test_the_own_page_tells_when_an_app_last_used_its_access(browser: Browser, ground: Playground) -> None:
    async def told() -> str:
        await ground.uses.flush(ground.store)
        return (await browser.get("/-/access")).text

    await browser.authorize()
    await browser.sign_in()
    answered = await browser.press("allow")
    assert "Used" not in await told(), "a code is not yet a use"
    bought = await tokens_of(ground, answered)
    assert "Used in the last 24 hours" in await told()
    for days, words in ((1, "Last used a day ago"), (2, "Last used 3 days ago")):
        ground.clock.pass_(days * 86_400)
        browser.cookies.pop(SESSION)
        page = await browser.signed_in()
        assert words in (await page.get("/-/access")).text
    bought = await ground.renew(bought["refresh_token"])
    assert "Used in the last 24 hours" in await told()
    for ask in (introspected, who):
        ground.clock.pass_(3 * 3600)
        bought = await ground.renew(bought["refresh_token"])
        await ground.sql("UPDATE consent_grant SET used_at = NULL")
        ground.clock.pass_(3600)
        await ask(ground, bought["access_token"])
        assert "Used in the last 24 hours" in await told()
        await ground.sql("UPDATE consent_grant SET used_at = NULL")


async def test_an_app_that_is_switched_off_says_so(browser: Browser, ground: Playground) -> None:
    await connected(browser, ground)
    assert "switched off" not in (await browser.get("/-/access")).text
    (app,) = ground.directory.clients.values()
    await ground.add(replace(app, disabled=True))
    page = await browser.get("/-/access")
    assert "It is switched off by the operator and can do nothing." in page.text
    assert "Remove access" in page.text


async def test_taking_access_back_ends_everything_under_it_at_once(browser: Browser, ground: Playground) -> None:
    bought = await connected(browser, ground)
    page = await browser.get("/-/access")
    seen = await post(browser, page, "/-/access/remove")
    assert "The app no longer has access" in seen.text
    assert "No app has access" in seen.text
    with pytest.raises(InvalidGrant):
        await ground.renew(bought["refresh_token"])
    assert (await ground.audited())[-1] == "grant.ended"
    assert (await browser.authorize()).title.startswith("Allow access?")


async def test_nobody_takes_back_what_somebody_else_gave(rooms: Rooms, ground: Playground) -> None:
    owner = Browser(rooms)
    await connected(owner, ground)
    grant = dict(next(form for form in (await owner.get("/-/access")).forms if form.action == "/-/access/remove").fields)["grant"]
    await ground.sql("UPDATE person SET id = id + 1")
    other = await Browser(rooms).signed_in()
    page = await other.get("/-/access")
    csrf = dict(page.forms[0].fields)["csrf"]
    await other.send("POST", "/-/access/remove", [("csrf", csrf), ("grant", grant)])
    assert "grant.ended" not in await ground.audited()


@pytest.mark.parametrize("action", ["/-/access/remove", "/-/access/end-others", "/-/access/end-session", "/-/sign-out"])
@pytest.mark.parametrize("csrf", ["", "x"])
async def test_a_forged_form_of_the_own_page_does_nothing(rooms: Rooms, ground: Playground, action: str, csrf: str) -> None:
    browser = Browser(rooms)
    await connected(browser, ground)
    await Browser(rooms).signed_in()
    page = await browser.get("/-/access")
    before = await ground.audited()
    await post(browser, page, action, csrf=csrf)
    assert await ground.audited() == before


async def test_the_forms_of_one_session_are_none_of_another(rooms: Rooms, ground: Playground) -> None:
    first, second = Browser(rooms), Browser(rooms)
    await first.signed_in()
    await second.signed_in()
    page = await first.get("/-/access")
    second_page = await second.get("/-/access")
    before = await ground.audited()
    await post(second, second_page, "/-/access/end-others", csrf=dict(page.forms[0].fields)["csrf"])
    assert await ground.audited() == before


async def test_one_browser_or_all_others_are_signed_out(rooms: Rooms) -> None:
    here, there, elsewhere = Browser(rooms), Browser(rooms), Browser(rooms)
    for one in (here, there, elsewhere):
        await one.signed_in()
    page = await here.get("/-/access")
    assert page.text.count("Firefox on Linux") == 3
    seen = await post(here, page, "/-/access/end-session")
    assert "That browser is signed out" in seen.text
    seen = await post(here, seen, "/-/access/end-others")
    assert "All your other browsers are signed out" in seen.text
    assert (await here.get("/")).title.startswith("Welcome")
    assert "You are signed in" in (await here.get("/")).text
    assert "You are signed in" not in (await there.get("/")).text + (await elsewhere.get("/")).text


async def test_all_others_are_more_than_the_page_shows(rooms: Rooms, ground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright.signin.sessions.LISTED", 2)
    browsers = [Browser(rooms) for _ in range(6)]
    for one in browsers:
        await one.signed_in()
    page = await browsers[-1].get("/-/access")
    assert page.text.count("Firefox on Linux") == 2
    await post(browsers[-1], page, "/-/access/end-others")
    assert [("You are signed in" in (await one.get("/")).text) for one in browsers] == [False] * 5 + [True]


@pytest.mark.parametrize("done", ["", "x", "removed", "<script>"])
async def test_a_word_in_the_address_is_one_of_ours_or_none(browser: Browser, done: str) -> None:
    await browser.signed_in()
    seen = await browser.get("/-/access", done=done)
    assert ("no longer has access" in seen.text) is (done == "removed")


# ---------------------------------------------------------------- leaving


async def test_signing_out_ends_the_session_and_forgets_the_cookie(browser: Browser) -> None:
    await browser.signed_in()
    cookie = browser.cookies[SESSION]
    seen = await post(browser, await browser.get("/"), "/-/sign-out")
    assert "You are signed out" in seen.text
    assert SESSION not in browser.cookies
    browser.cookies[SESSION] = cookie
    assert "You are signed in" not in (await browser.get("/")).text


async def test_who_opens_the_address_of_the_sign_out_is_asked(browser: Browser) -> None:
    await browser.signed_in()
    page = await browser.get("/-/sign-out")
    assert page.title.startswith("Sign out?")
    assert (await browser.press("deny")).at == "/"
    await browser.get("/-/sign-out")
    assert "You are signed out" in (await browser.press("continue")).text
    assert "You are signed out" in (await browser.get("/-/sign-out")).text


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "2")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_that_shows_its_users_id_token_signs_out_without_a_question(
    browser: Browser, ground: Playground, method: str
) -> None:
    await ground.add(post_logout_redirect_uris=(AFTER,))
    hint = (await connected(browser, ground))["id_token"]
    ground.clock.pass_(86_400 // 4)
    pairs = {"id_token_hint": hint, "post_logout_redirect_uri": AFTER, "state": "s 1"}
    seen = await browser.send(method, "/end_session", pairs.items(), headers={"sec-fetch-site": "cross-site"})
    assert seen.location == AFTER + "?state=s%201"
    assert SESSION not in browser.cookies
    assert (await ground.audited())[-1] == "session.ended"


async def test_no_token_stands_in_an_address_on_the_way_out(browser: Browser, ground: Playground) -> None:
    hint = (await connected(browser, ground))["id_token"]
    seen = await browser.send("POST", "/end_session", [("id_token_hint", hint)], follow=False)
    assert seen.location is not None
    assert re.fullmatch(r"/-/sign-out\?r=gwx_[A-Za-z0-9_-]+", seen.location)


@pytest.mark.parametrize("params", [{}, {"client_id": "budget-buddy"}, {"logout_hint": "x"}, {"id_token_hint": "rubbish"}])
async def test_without_a_good_hint_the_user_is_asked(browser: Browser, ground: Playground, params: dict[str, str]) -> None:
    await browser.signed_in()
    page = await browser.send("GET", "/end_session", params.items())
    assert page.title.startswith("Sign out?")
    assert SESSION in browser.cookies
    assert ("Budget Buddy" in page.text) is ("client_id" in params)


async def test_a_hint_of_somebody_else_signs_nobody_out_without_asking(rooms: Rooms, ground: Playground) -> None:
    browser = Browser(rooms)
    hint = (await connected(browser, ground))["id_token"]
    await ground.sql("UPDATE person SET id = id + 1")
    other = await Browser(rooms).signed_in()
    assert (await other.get("/end_session", id_token_hint=hint)).title.startswith("Sign out?")


async def test_the_user_who_is_asked_goes_back_to_the_client_after_a_yes(browser: Browser, ground: Playground) -> None:
    await ground.add(post_logout_redirect_uris=(AFTER,))
    await browser.signed_in()
    page = await browser.get("/end_session", client_id="budget-buddy", post_logout_redirect_uri=AFTER)
    assert page.header["content-security-policy"].endswith("form-action 'self' https://budget.example")
    assert (await browser.press("continue")).location == AFTER


@pytest.mark.parametrize("uri", ["https://evil.example/", AFTER + "/", AFTER + "?x=1", "//evil.example", "javascript:alert(1)"])
async def test_the_way_out_leads_to_registered_addresses_alone(browser: Browser, ground: Playground, uri: str) -> None:
    await ground.add(post_logout_redirect_uris=(AFTER,))
    await browser.signed_in()
    seen = await browser.get("/end_session", client_id="budget-buddy", post_logout_redirect_uri=uri)
    assert (seen.status, seen.location) == (400, None)
    assert SESSION in browser.cookies


@pytest.mark.parametrize("r", ["x", "gwx_AAAA"])
async def test_a_made_up_farewell_is_none(browser: Browser, r: str) -> None:
    await browser.signed_in()
    assert (await browser.get("/-/sign-out", r=r)).status == 400
    assert SESSION in browser.cookies


async def test_a_farewell_is_over_after_a_quarter_of_an_hour(browser: Browser, ground: Playground) -> None:
    await browser.signed_in()
    await browser.get("/end_session", client_id="budget-buddy")
    ground.clock.pass_(901)
    assert (await browser.press("continue")).status == 400


async def test_what_was_sealed_for_one_purpose_is_worthless_for_another(browser: Browser, ground: Playground) -> None:
    page = await browser.authorize()
    step = dict(page.forms[0].fields)["step"]
    posted = (await browser.authorize(post=True, follow=False)).answer["r"]
    farewell = (await browser.send("GET", "/end_session", [("client_id", "budget-buddy")], follow=False)).answer["r"]
    assert [(await browser.get("/-/sign-out", r=text)).status for text in (step, posted)] == [400, 400]
    assert [(await browser.get("/-/continue", r=text)).status for text in (farewell, posted)] == [400, 400]
    assert [(await browser.get("/-/posted", r=text)).status for text in (farewell, step)] == [400, 400]


async def test_what_rests_on_the_session_ends_with_it_and_the_rest_goes_on(browser: Browser, ground: Playground) -> None:
    lasting = await connected(browser, ground)
    await ground.add(refresh="offline")
    bound = await tokens_of(ground, await browser.authorize())
    await post(browser, await browser.get("/"), "/-/sign-out")
    await ground.renew(lasting["refresh_token"])
    with pytest.raises(InvalidGrant):
        await ground.renew(bound["refresh_token"])


def test_ids_of_grants_and_sessions_are_not_each_other() -> None:
    assert ids.read(ids.GRANT, ids.show(ids.SESSION, b.SESSION)) is None
