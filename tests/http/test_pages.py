"""The browser flow from the client's page to its answer: sign-in, account, consent, and what is remembered of them."""

import pytest

from gatewright.base import ids
from gatewright.oauth.errors import ERRORS
from tests.support import builders as b
from tests.support.browser import EMAIL, STATE, Browser, Rooms, public, tokens_of
from tests.support.world import REDIRECT, Playground, claims_of

PROD = 6002


async def add_account(ground: Playground, *roles: int) -> None:
    """A second account for the person."""
    from gatewright.oauth.catalogue import text_of
    from tests.support import world

    await ground.write(world._ADD_ACCOUNT, id=PROD, tenant=b.TENANT, slug="acme-prod")
    await ground.write(world._ADD_MEMBERSHIP, id=7002, tenant=b.TENANT, person=b.PERSON, account=PROD, roles=text_of(roles))


# ---------------------------------------------------------------- the whole way


async def test_sign_in_and_consent_lead_to_a_code_that_buys_tokens(browser: Browser, ground: Playground) -> None:
    page = await browser.authorize(scope="openid email read:balance", nonce="n-1")
    assert page.title.startswith("Sign in")
    page = await browser.sign_in()
    assert page.title.startswith("Allow access?")
    assert "See the balance of your bank accounts" in page.text
    answered = await browser.press("allow")
    assert answered.location is not None
    assert answered.location.startswith(REDIRECT + "?")
    assert (answered.answer["state"], answered.answer["iss"]) == (STATE, b.URL)
    bought = await tokens_of(ground, answered)
    assert bought["scope"] == "openid email read:balance"
    told = claims_of(bought["id_token"])
    assert (told["sub"], told["nonce"], told["amr"]) == (ids.show(ids.USER, b.PERSON), "n-1", ["pwd"])
    assert bought["account"] == "acme-dev"


async def test_what_was_allowed_is_not_asked_again(browser: Browser, ground: Playground) -> None:
    await browser.authorize()
    await browser.sign_in()
    await browser.press("allow")
    answered = await browser.authorize()
    assert "code" in answered.answer
    assert await ground.audited() == ["sign_in.done", "grant.made"]


async def test_a_request_posted_from_another_site_is_answered_like_one_that_was_opened(browser: Browser) -> None:
    await browser.authorize()
    await browser.sign_in()
    await browser.press("allow")
    session = browser.cookies.pop("__Host-gw_session")
    # A post from another site brings no SameSite=Lax cookie; the GET that it leads to does.
    begun = await browser.authorize(post=True, follow=False)
    assert (begun.status, browser.set_cookies[-1].partition("=")[0]) == (303, "__Host-gw_flow")
    browser.cookies["__Host-gw_session"] = session
    before = len(browser.set_cookies)
    answered = await browser.get("/-/posted", r=begun.answer["r"])
    assert "code" in answered.answer
    assert len(browser.set_cookies) == before


async def test_a_posted_request_that_needs_its_user_begins_like_any_other(browser: Browser, ground: Playground) -> None:
    page = await browser.authorize(post=True)
    assert page.title.startswith("Sign in")
    await browser.sign_in()
    assert "code" in (await browser.press("allow")).answer
    late = await browser.authorize(post=True, follow=False)
    ground.clock.pass_(61)
    assert (await browser.get("/-/posted", r=late.answer["r"])).title.startswith("This page is too old")
    assert (await browser.get("/-/posted", r="gwx_rubbish")).status == 400


async def test_a_scope_that_is_unticked_is_declined_and_not_asked_again(browser: Browser, ground: Playground) -> None:
    wanted = "openid read:balance transfer:funds"
    await browser.authorize(scope=wanted)
    page = await browser.sign_in()
    assert "High risk" in page.text
    answered = await browser.press("allow", without="transfer:funds")
    assert (await tokens_of(ground, answered))["scope"] == "openid read:balance"
    answered = await browser.authorize(scope=wanted)
    assert (await tokens_of(ground, answered))["scope"] == "openid read:balance"


async def test_allowing_nothing_is_a_no(browser: Browser, ground: Playground) -> None:
    await browser.authorize(scope="read:balance")
    await browser.sign_in()
    answered = await browser.press("allow", without="read:balance")
    assert answered.answer["error"] == "access_denied"
    assert "grant.made" not in await ground.audited()


async def test_what_a_role_does_not_give_is_left_out_and_said(browser: Browser, ground: Playground) -> None:
    await browser.authorize(scope="openid create:events view:events")
    page = await browser.sign_in()
    assert "Left out, since your role in this account does not include it: See events" in page.text
    answered = await browser.press("allow")
    assert (await tokens_of(ground, answered))["scope"] == "openid create:events"


async def test_an_app_that_wants_all_or_nothing_is_allowed_or_denied_as_a_whole(browser: Browser, ground: Playground) -> None:
    await ground.add(denied="refuse")
    await browser.authorize(scope="openid read:balance transfer:funds")
    page = await browser.sign_in()
    assert "allow it as a whole, or deny it" in page.text
    assert "Untick" not in page.text
    # Who leaves a box out all the same, which the page does not have, says yes to what it shows.
    answered = await browser.press("allow", without="transfer:funds")
    assert (await tokens_of(ground, answered))["scope"] == "openid read:balance transfer:funds"


async def test_a_page_shown_before_the_app_wanted_all_or_nothing_is_shown_again(browser: Browser, ground: Playground) -> None:
    await browser.authorize(scope="openid read:balance transfer:funds")
    page = await browser.sign_in()
    assert "Untick" in page.text
    await ground.add(denied="refuse")
    page = await browser.press("allow", without="transfer:funds")
    assert "allow it as a whole, or deny it" in page.text


async def test_a_role_that_lacks_a_scope_refuses_an_app_that_wants_all_or_nothing(browser: Browser, ground: Playground) -> None:
    await ground.add(denied="refuse")
    await browser.authorize(scope="openid create:events view:events")
    answered = await browser.sign_in()
    assert answered.answer["error"] == "access_denied"
    assert "view:events: role_lacks_scope" in answered.answer["error_description"]
    assert "grant.made" not in await ground.audited()


@pytest.mark.parametrize("steps", [0, 1])
async def test_a_no_on_any_page_is_told_to_the_client(browser: Browser, steps: int) -> None:
    page = await browser.authorize()
    if steps:
        page = await browser.sign_in()
    assert "deny" in {choice for form in page.forms for choice in form.choices}
    answered = await browser.press("deny")
    assert answered.answer == {"error": "access_denied", "error_description": "the user said no", "state": STATE, "iss": b.URL}


async def test_a_trusted_client_does_not_ask(browser: Browser, ground: Playground) -> None:
    await ground.add(party="first")
    await browser.authorize()
    answered = await browser.sign_in()
    assert (await tokens_of(ground, answered))["scope"] == "openid read:balance"
    assert await ground.audited() == ["sign_in.done", "grant.made"]


async def test_prompt_consent_asks_for_a_trusted_client_and_takes_a_no(browser: Browser, ground: Playground) -> None:
    await ground.add(party="first")
    await browser.authorize(prompt="consent")
    page = await browser.sign_in()
    assert page.title.startswith("Allow access?")
    answered = await browser.press("allow", without="read:balance")
    assert (await tokens_of(ground, answered))["scope"] == "openid"


async def test_a_client_that_proves_nothing_asks_each_time(browser: Browser, ground: Playground) -> None:
    await ground.add(public(party="first"))
    local = "http://127.0.0.1:49152/callback"
    await browser.authorize(redirect_uri=local)
    page = await browser.sign_in()
    assert page.title.startswith("Continue to an app")
    answered = await browser.press("continue")
    assert answered.location is not None
    assert answered.location.startswith(local + "?code=")
    page = await browser.authorize(redirect_uri=local)
    assert page.title.startswith("Continue to an app")
    assert (await browser.press("deny")).answer["error"] == "access_denied"
    assert (await browser.authorize(redirect_uri=local, prompt="none")).answer["error"] == "interaction_required"


# ---------------------------------------------------------------- accounts


async def test_of_several_accounts_the_user_picks_one_and_the_token_is_for_that(browser: Browser, ground: Playground) -> None:
    await add_account(ground)
    await browser.authorize()
    page = await browser.sign_in()
    assert page.title.startswith("Choose an account")
    assert "acme-prod" in page.text
    await browser.press("continue", account=ids.show(ids.ACCOUNT, PROD))
    answered = await browser.press("allow")
    assert (await tokens_of(ground, answered))["account"] == "acme-prod"
    page = await browser.authorize()
    assert page.title.startswith("Choose an account")
    assert ("account", ids.show(ids.ACCOUNT, PROD)) in page.forms[0].fields


async def test_consent_for_one_account_is_none_for_another(browser: Browser, ground: Playground) -> None:
    await add_account(ground)
    await browser.authorize(account="acme-prod")
    await browser.sign_in()
    await browser.press("allow")
    assert "code" in (await browser.authorize(account="acme-prod")).answer
    assert (await browser.authorize(account="acme-dev")).title.startswith("Allow access?")


async def test_a_no_to_every_account_is_told_to_the_client(browser: Browser, ground: Playground) -> None:
    await add_account(ground)
    await browser.authorize()
    await browser.sign_in()
    assert (await browser.press("deny")).answer["error"] == "access_denied"


async def test_an_account_of_somebody_else_cannot_be_picked(browser: Browser, ground: Playground) -> None:
    await add_account(ground)
    await ground.sql("INSERT INTO account (id, tenant, slug, name, epoch, created_at) VALUES (6003, 1001, 'globex', 'x', 0, 0)")
    await browser.authorize()
    await browser.sign_in()
    page = await browser.press("continue", account=ids.show(ids.ACCOUNT, 6003))
    assert page.title.startswith("Choose an account")
    unknown, foreign = await browser.authorize(account="nowhere"), await browser.authorize(account="globex")
    assert unknown.answer == foreign.answer
    assert unknown.answer["error"] == "access_denied"


async def test_the_user_may_go_on_as_somebody_else(browser: Browser, ground: Playground) -> None:
    await browser.authorize()
    await browser.sign_in()
    first = browser.cookies["__Host-gw_session"]
    page = await browser.press("switch")
    assert page.title.startswith("Sign in")
    page = await browser.sign_in()
    assert page.title.startswith("Allow access?")
    assert browser.cookies["__Host-gw_session"] != first
    assert (await ground.audited()).count("session.ended") == 1


# ---------------------------------------------------------------- prompt and age


async def test_prompt_login_asks_for_the_password_once_more_and_once_only(browser: Browser, ground: Playground) -> None:
    await ground.add(party="first")
    await browser.signed_in()
    page = await browser.authorize(prompt="login")
    assert page.title.startswith("Confirm it is you")
    assert ("username", EMAIL) in page.forms[0].fields
    answered = await browser.sign_in()
    assert "code" in answered.answer


async def test_max_age_asks_again_when_the_sign_in_is_older(browser: Browser, ground: Playground) -> None:
    await ground.add(party="first")
    await browser.signed_in()
    ground.clock.pass_(100)
    assert "code" in (await browser.authorize(max_age="100")).answer
    assert (await browser.authorize(max_age="99")).title.startswith("Confirm it is you")
    answered = await browser.sign_in()
    told = claims_of((await tokens_of(ground, answered))["id_token"])
    assert told["auth_time"] == ground.clock.now


async def test_prompt_none_never_shows_a_page(browser: Browser) -> None:
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"
    await browser.signed_in()
    assert (await browser.authorize(prompt="none")).answer["error"] == "consent_required"
    await browser.authorize()
    await browser.press("allow")
    assert "code" in (await browser.authorize(prompt="none")).answer


async def test_a_hint_of_another_user_is_refused_and_of_this_one_is_fine(browser: Browser, ground: Playground) -> None:
    await browser.authorize()
    await browser.sign_in()
    mine = (await tokens_of(ground, await browser.press("allow")))["id_token"]
    assert "code" in (await browser.authorize(id_token_hint=mine, prompt="none")).answer
    ground.clock.pass_(86_400)
    assert (await browser.authorize(id_token_hint=mine, prompt="none")).answer["error"] == "login_required"
    await ground.sql("UPDATE person SET id = id + 1 WHERE id = :id", id=b.PERSON)
    await browser.signed_in()
    assert (await browser.authorize(id_token_hint=mine)).answer["error"] == "login_required"
    assert (await browser.authorize(id_token_hint="rubbish")).answer["error"] == "invalid_request"


async def test_the_login_hint_stands_in_the_field(browser: Browser) -> None:
    page = await browser.authorize(login_hint="x@acme.test")
    assert ("username", "x@acme.test") in page.forms[0].fields


# ---------------------------------------------------------------- how the answer travels


@pytest.mark.proves("OAuth 2.0 Form Post Response Mode", "2")
async def test_an_answer_may_be_posted_by_the_browser(browser: Browser, ground: Playground) -> None:
    await ground.add(party="first")
    await browser.authorize(response_mode="form_post")
    answered = await browser.sign_in()
    assert (answered.status, answered.location, answered.forms[0].action) == (200, None, REDIRECT)
    assert answered.header["content-security-policy"].endswith("form-action https://budget.example")
    assert set(answered.answer) == {"code", "state", "iss"}
    assert (await tokens_of(ground, answered))["scope"] == "openid read:balance"
    refused = await browser.authorize(response_mode="form_post", prompt="bogus")
    assert (refused.status, refused.answer["error"]) == (200, "invalid_request")


async def test_the_query_of_a_registered_address_is_kept(browser: Browser, ground: Playground) -> None:
    await ground.add(party="first", redirect_uris=("https://budget.example/callback?tenant=7",))
    await browser.authorize(redirect_uri="https://budget.example/callback?tenant=7", state="a b&c=d\u20ac\r\nX: y".replace("\r\n", " "))
    answered = await browser.sign_in()
    assert answered.location is not None
    assert answered.location.startswith("https://budget.example/callback?tenant=7&code=")
    assert answered.answer["state"] == "a b&c=d\u20ac X: y"


async def test_every_redirect_is_a_303(browser: Browser) -> None:
    assert (await browser.authorize(follow=False)).status == 303
    await browser.authorize()
    assert browser.page is not None
    seen = await browser.press("continue", follow=False, username=EMAIL, password="correct horse")
    assert seen.status == 303


async def test_a_sign_in_without_a_client_leads_to_the_own_page(browser: Browser) -> None:
    page = await browser.get("/-/sign-in")
    assert "deny" not in page.forms[0].choices
    page = await browser.sign_in()
    assert "Apps with access" in page.title
    assert (await browser.get("/-/sign-in")).title == page.title


def test_the_errors_of_this_file_are_those_of_the_standards() -> None:
    known = {error.code for error in ERRORS}
    assert {"login_required", "consent_required", "interaction_required", "access_denied", "invalid_request"} <= known


@pytest.fixture(autouse=True)
def _nothing_secret_in_the_log(rooms: Rooms) -> object:
    yield
    assert not [line for line in rooms.lines if "correct horse" in line or "gwb_" in line or "gwc_" in line or "gwx_" in line]
