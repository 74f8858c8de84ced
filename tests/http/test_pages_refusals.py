"""What a stranger tries on the pages: fixation, forged forms, other browsers, stale steps, framing, addresses that were not checked."""

import re
from typing import Any

import msgspec
import pytest

from gatewright.oauth.request import seal_bytes
from gatewright.web.csrf import MOST_JOURNEYS, Journeys, from_here
from gatewright.web.pages import ROUTES
from tests.support import builders as b
from tests.support.browser import EMAIL, PASSWORD, STATE, Browser, Rooms, Seen
from tests.support.world import REDIRECT, Playground

SESSION, JOURNEY = "__Host-gw_session", "__Host-gw_flow"


def step_of(seen: Seen) -> str:
    return dict(seen.forms[0].fields)["step"]


def fields_of(seen: Seen, **changed: str) -> list[tuple[str, str]]:
    return [*[(name, changed.pop(name, value)) for name, value in seen.forms[0].fields], *changed.items()]


# ---------------------------------------------------------------- sessions and cookies


async def test_a_session_that_was_planted_is_worth_nothing_after_the_sign_in(rooms: Rooms, ground: Playground) -> None:
    attacker, victim = Browser(rooms), Browser(rooms)
    await attacker.signed_in()
    planted = attacker.cookies[SESSION]
    victim.cookies[SESSION] = planted
    await victim.authorize(prompt="login")
    await victim.sign_in()
    assert victim.cookies[SESSION] != planted
    attacker.cookies[SESSION] = planted
    assert "Welcome" in (await attacker.get("/")).title


async def test_a_cookie_chosen_by_somebody_never_becomes_a_session(browser: Browser) -> None:
    browser.cookies[SESSION] = "gwb_" + "A" * 54
    await browser.signed_in()
    assert browser.cookies[SESSION] != "gwb_" + "A" * 54


async def test_cookies_belong_to_this_host_over_tls_and_no_script_reads_them(browser: Browser) -> None:
    await browser.authorize()
    await browser.sign_in()
    assert len(browser.set_cookies) == 3
    for text in browser.set_cookies:
        assert re.fullmatch(
            r"__Host-gw_(session|flow|device)=[A-Za-z0-9_.~-]+; Path=/; HttpOnly; SameSite=Lax; Secure(; Max-Age=\d+)?", text
        )
    assert [text for text in browser.set_cookies if text.startswith(SESSION) and "Max-Age" in text] == []


async def test_who_asks_to_be_kept_signed_in_has_a_cookie_that_lasts(browser: Browser) -> None:
    await browser.authorize()
    await browser.press("continue", username=EMAIL, password=PASSWORD, keep="1")
    assert [text for text in browser.set_cookies if text.startswith(SESSION) and text.endswith("; Max-Age=2592000")]


@pytest.mark.parametrize(("party", "lasts"), [("first", True), ("third", False)])
async def test_a_trusted_native_client_may_be_set_to_keep_its_users_signed_in(
    browser: Browser, ground: Playground, party: str, lasts: bool
) -> None:
    await ground.add(party=party, lasting_session=True)
    await browser.authorize()
    await browser.sign_in()
    assert any(text.startswith(SESSION) and "Max-Age" in text for text in browser.set_cookies) is lasts


async def test_on_plain_loopback_cookies_have_no_prefix_and_work(rooms: Rooms) -> None:
    browser = Browser(rooms, b.an_issuer("http://127.0.0.1:8600"))
    page = await (await browser.signed_in()).get("/-/access")
    assert "Apps with access" in page.title
    assert set(browser.cookies) == {"gw_session", "gw_device"}
    assert not any("Secure" in text or "__Host-" in text for text in browser.set_cookies)


async def test_a_disabled_user_is_signed_out_at_once(browser: Browser, ground: Playground) -> None:
    await browser.signed_in()
    await ground.sql("UPDATE person SET disabled_at = 1, epoch = epoch + 1")
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"


# ---------------------------------------------------------------- forms


async def test_a_request_that_began_elsewhere_cannot_go_on_in_this_browser(rooms: Rooms) -> None:
    attacker, victim = Browser(rooms), Browser(rooms)
    page = await attacker.authorize()
    await victim.authorize()
    link = await victim.get("/-/continue", r=step_of(page))
    assert (link.status, link.title[:20]) == (400, "This page is too old")
    posted = await victim.send("POST", "/-/sign-in", fields_of(page, username=EMAIL, password=PASSWORD, choice="continue"))
    assert posted.status == 400
    assert SESSION not in victim.cookies


@pytest.mark.parametrize("field", ["csrf", "step"])
@pytest.mark.parametrize("value", ["", "x", "gwx_AAAA", None])
async def test_a_sign_in_without_its_token_signs_nobody_in(browser: Browser, field: str, value: str | None) -> None:
    page = await browser.authorize()
    own = dict(page.forms[0].fields)[field]
    pairs = fields_of(page, username=EMAIL, password=PASSWORD, choice="continue", **{field: own[:-1] + "A" if value is None else value})
    seen = await browser.send("POST", "/-/sign-in", pairs)
    assert seen.status == 400
    assert SESSION not in browser.cookies


async def test_a_stale_sign_in_page_is_shown_again_with_what_was_typed(browser: Browser) -> None:
    page = await browser.authorize()
    seen = await browser.send("POST", "/-/sign-in", fields_of(page, csrf="x", username=EMAIL, password=PASSWORD, choice="continue"))
    assert "This page was open for too long" in seen.text
    assert ("username", EMAIL) in seen.forms[0].fields
    assert "allow" in {choice for form in (await browser.sign_in()).forms for choice in form.choices}


@pytest.mark.parametrize("wrong", [{"csrf": "x"}, {"choice": ""}, {"choice": "yes"}, {"shown": "x"}, {"shown": ""}])
async def test_a_forged_consent_gives_nothing(browser: Browser, ground: Playground, wrong: dict[str, str]) -> None:
    await browser.authorize()
    page = await browser.sign_in()
    seen = await browser.send("POST", "/-/consent", fields_of(page, **({"choice": "allow"} | wrong)))
    assert seen.title.startswith("Allow access?")
    assert "grant.made" not in await ground.audited()


async def test_the_token_of_one_step_is_none_for_another(browser: Browser, ground: Playground) -> None:
    page = await browser.authorize()
    early = dict(page.forms[0].fields)
    consent = await browser.sign_in()
    for token in (early["csrf"], dict(consent.forms[0].fields)["csrf"]):
        await browser.send("POST", "/-/consent", fields_of(consent, step=early["step"], csrf=token, choice="allow"))
    assert "grant.made" not in await ground.audited()


async def test_the_token_of_one_session_is_none_for_another(rooms: Rooms, ground: Playground) -> None:
    browser = Browser(rooms)
    await browser.authorize()
    consent = await browser.sign_in()
    other = await Browser(rooms).signed_in()
    browser.cookies[SESSION] = other.cookies[SESSION]
    await browser.send("POST", "/-/consent", fields_of(consent, choice="allow"))
    assert "grant.made" not in await ground.audited()


@pytest.mark.parametrize(
    "change",
    [
        {"client_name": "Another name"},
        {"party": "first", "consent": "always"},
        {"scopes": (1, b.READ_BALANCE.id), "redirect_uris": (REDIRECT,)},
    ],
)
async def test_what_changed_while_somebody_read_is_shown_again(browser: Browser, ground: Playground, change: dict[str, object]) -> None:
    await browser.authorize(scope="openid read:balance transfer:funds")
    await browser.sign_in()
    await ground.add(**change)
    seen = await browser.press("allow")
    assert seen.title.startswith("Allow access?")
    assert "grant.made" not in await ground.audited()
    assert "code" in (await browser.press("allow")).answer


async def test_a_role_lost_while_somebody_read_is_shown_again(browser: Browser, ground: Playground) -> None:
    await browser.authorize(scope="openid create:events")
    await browser.sign_in()
    await ground.sql("UPDATE membership SET roles = ''")
    seen = await browser.press("allow")
    assert "Left out" in seen.text


async def test_an_answered_request_is_over_in_this_browser(browser: Browser) -> None:
    await browser.authorize()
    consent = await browser.sign_in()
    await browser.press("allow")
    assert (await browser.send("POST", "/-/consent", fields_of(consent, choice="allow"))).status == 400
    assert (await browser.get("/-/continue", r=step_of(consent))).status == 400


async def test_the_back_button_leads_to_where_the_request_stands(browser: Browser) -> None:
    page = await browser.authorize()
    await browser.sign_in()
    seen = await browser.send("POST", "/-/sign-in", fields_of(page, username=EMAIL, password=PASSWORD, choice="continue"))
    assert seen.title.startswith("Allow access?")


async def test_who_cancels_a_visit_is_at_the_front_door(browser: Browser) -> None:
    page = await browser.get("/-/sign-in")
    seen = await browser.send("POST", "/-/sign-in", fields_of(page, choice="deny"))
    assert (seen.at, JOURNEY in browser.cookies) == ("/", False)


@pytest.mark.parametrize("path", ["/-/account", "/-/consent", "/-/continue-as"])
async def test_a_visit_has_no_step_but_the_sign_in(browser: Browser, path: str) -> None:
    page = await browser.get("/-/sign-in")
    seen = await browser.send("POST", path, fields_of(page, choice="allow"))
    assert seen.title.startswith("Sign in")


async def test_a_stranger_who_posts_the_sign_out_is_signed_out_already(browser: Browser) -> None:
    assert (await browser.send("POST", "/-/sign-out")).at == "/-/signed-out"


@pytest.mark.parametrize(("purpose", "path"), [("posted", "/-/posted"), ("sign-out", "/-/sign-out"), ("journey", "/-/continue")])
async def test_what_an_older_version_sealed_is_over(browser: Browser, ground: Playground, purpose: str, path: str) -> None:
    text = seal_bytes(b"\x81\xa1x\xc1", purpose, ground.issuer, ground.sealer, ground.clock.moment())
    assert (await browser.get(path, r=text)).status == 400


@pytest.mark.parametrize(("seconds", "alive"), [(900, True), (901, False)])
async def test_a_step_lasts_a_quarter_of_an_hour(browser: Browser, ground: Playground, seconds: int, alive: bool) -> None:
    await browser.authorize()
    ground.clock.pass_(seconds)
    seen = await browser.sign_in()
    assert seen.title.startswith("Allow access?") is alive


async def test_a_request_lasts_an_hour_however_often_its_user_turns_round(browser: Browser, ground: Playground) -> None:
    await browser.authorize()
    for _ in range(4):
        ground.clock.pass_(899)
        await browser.sign_in()
        await browser.press("switch")
    ground.clock.pass_(10)
    assert (await browser.sign_in()).status == 400


async def test_the_cookie_of_requests_goes_with_the_last_of_them(browser: Browser) -> None:
    first = await browser.authorize()
    await browser.authorize()
    await browser.sign_in()
    await browser.press("allow")
    assert browser.cookies[JOURNEY].count("~") == 0
    assert "code" in (await browser.get("/-/continue", r=step_of(first))).answer
    assert JOURNEY not in browser.cookies


async def test_eight_tabs_may_sign_in_at_once_and_the_oldest_gives_way(browser: Browser) -> None:
    pages = [await browser.authorize() for _ in range(MOST_JOURNEYS + 1)]
    assert len(browser.cookies[JOURNEY]) < 400
    assert (await browser.get("/-/continue", r=step_of(pages[0]))).status == 400
    assert (await browser.get("/-/continue", r=step_of(pages[1]))).status == 200


@pytest.mark.parametrize("cookie", ["", "~", ".", "a.", ".b", "a.b~", "~~~~~~~~~~", "a.b~a.c", "a" * 5000])
def test_any_text_can_stand_in_the_cookie_of_requests(cookie: str) -> None:
    journeys = Journeys(cookie)
    journeys.end("nothing")
    assert journeys.secret("") is None
    assert journeys.secret("a") in (None, "b")


@pytest.mark.parametrize(
    ("origin", "site", "ours"),
    [
        ("null", "same-origin", True),
        (b.URL, "same-origin", True),
        (None, "same-origin", True),
        (None, "none", True),
        (b.URL, "cross-site", False),
        (None, "same-site", False),
        ("https://evil.example", "cross-site", False),
        (None, None, True),
        ("null", None, True),
        (b.URL, None, True),
        ("https://evil.example", None, False),
        (b.URL + ".evil.example", None, False),
        ("http://id.acme.test", None, False),
    ],
)
def test_a_form_posted_from_another_site_is_known_by_what_the_browser_says(origin: str | None, site: str | None, ours: bool) -> None:
    assert from_here(b.an_issuer(), origin, site) is ours


@pytest.mark.parametrize("path", [path for methods, path, _ in ROUTES if "POST" in methods])
async def test_every_form_refuses_posts_from_other_sites(browser: Browser, path: str) -> None:
    await browser.signed_in()
    seen = await browser.send("POST", path, headers={"sec-fetch-site": "cross-site"})
    assert seen.status == 403
    assert "another site" in seen.text


@pytest.mark.parametrize("path", [path for methods, path, _ in ROUTES if "POST" in methods])
async def test_every_form_without_fields_does_nothing(browser: Browser, ground: Playground, path: str) -> None:
    await browser.signed_in()
    before = await ground.audited()
    seen = await browser.send("POST", path)
    assert seen.status in (200, 400)
    assert await ground.audited() == before


# ---------------------------------------------------------------- what every page has


@pytest.mark.parametrize(
    "path", ["/", "/-/sign-in", "/-/access", "/-/signed-out", "/-/sign-out", "/-/continue", "/-/posted", "/authorize", "/end_session"]
)
@pytest.mark.parametrize("signed_in", [True, False])
async def test_no_page_is_kept_framed_or_told_of_to_others(browser: Browser, path: str, signed_in: bool) -> None:
    if signed_in:
        await browser.signed_in()
    seen = await browser.send("GET", path, follow=False)
    header = seen.header
    assert header["cache-control"] == "no-store"
    assert header["referrer-policy"] == "no-referrer"
    assert header["x-frame-options"] == "DENY"
    assert header["cross-origin-opener-policy"] == "same-origin"
    assert header["x-content-type-options"] == "nosniff"
    if seen.status != 303:
        policy = header["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy


@pytest.mark.parametrize(
    ("settings", "uri", "source"),
    [
        ({}, REDIRECT, "https://budget.example"),
        ({"redirect_uris": ("http://localhost:8601/callback",)}, "http://localhost:8601/callback", "http://localhost:8601"),
        ({"type": "native", "redirect_uris": ("http://127.0.0.1/cb",)}, "http://127.0.0.1:5000/cb", "http://127.0.0.1:5000"),
        ({"type": "native", "redirect_uris": ("com.example.app:/cb",)}, "com.example.app:/cb", "com.example.app:"),
    ],
)
async def test_forms_of_a_request_may_lead_to_its_own_address_and_nowhere_else(
    browser: Browser, ground: Playground, settings: dict[str, object], uri: str, source: str
) -> None:
    await ground.add(**settings)
    for page in (await browser.authorize(redirect_uri=uri), await browser.sign_in()):
        actions = page.header["content-security-policy"].partition("form-action ")[2].split()
        assert actions[:2] == ["'self'", source]
    assert (await browser.press("allow")).location is not None


async def test_the_pages_of_nobodys_request_lead_nowhere_else(browser: Browser) -> None:
    page = await browser.get("/-/sign-in")
    assert page.header["content-security-policy"].endswith("form-action 'self'")


EVIL = "https://evil.example/steal"


@pytest.mark.proves("RFC 6749", "4.1.2.1")
@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"redirect_uri": EVIL},
        {"redirect_uri": None},
        {"redirect_uri": REDIRECT + "/x"},
        {"client_id": "nobody", "redirect_uri": EVIL, "state": "https://evil.example/"},
    ],
)
async def test_an_error_before_the_address_is_proved_is_a_page_with_no_way_out(browser: Browser, changed: dict[str, Any]) -> None:
    seen = await browser.authorize(**changed)
    assert (seen.status, seen.location) == (400, None)
    assert not any("evil.example" in link for link in seen.links)
    assert b"evil.example/" not in seen.reply.body
    assert re.search(r"Incident [2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}", seen.text)
    assert seen.header["request-id"] in seen.text
    assert any(seen.header["request-id"] in line for line in browser.rooms.lines)


async def test_a_disabled_client_gets_a_page_also_in_the_middle_of_a_request(browser: Browser, ground: Playground) -> None:
    await browser.authorize()
    await ground.add(msgspec.structs.replace(b.a_client(), disabled=True))
    assert (await browser.sign_in()).status == 400
    assert (await browser.authorize()).status == 400


async def test_an_address_taken_back_in_the_middle_of_a_request_gets_no_answer(browser: Browser, ground: Playground) -> None:
    await browser.authorize()
    await ground.add(redirect_uris=("https://other.example/",))
    seen = await browser.sign_in()
    assert (seen.status, seen.location) == (400, None)


async def test_a_parameter_sent_twice_is_refused_on_a_page(browser: Browser) -> None:
    pairs = [("client_id", "budget-buddy"), ("redirect_uri", REDIRECT), ("redirect_uri", EVIL), ("response_type", "code")]
    seen = await browser.send("GET", "/authorize", pairs)
    assert (seen.status, seen.location) == (400, None)


@pytest.mark.parametrize("state", ["x\r\nSet-Cookie: a=b", "x\nLocation: https://evil.example", "\x00", "\x7f"])
async def test_a_control_character_reaches_no_header(browser: Browser, state: str) -> None:
    seen = await browser.authorize(state=state)
    assert seen.answer["error"] == "invalid_request"
    assert seen.location is not None
    assert re.fullmatch(r"[\x21-\x7e]+", seen.location)


@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_markup_in_the_state_stays_text(browser: Browser, mode: str) -> None:
    state = "\"><script>alert(1)</script><input name='"
    seen = await browser.authorize(state=state, prompt="none", response_mode=mode)
    assert seen.answer["state"] == state
    assert b"<script>alert" not in seen.reply.body


async def test_a_request_too_long_to_travel_is_refused_to_the_client(browser: Browser) -> None:
    assert (await browser.authorize(state="x" * 8000)).answer["error"] == "invalid_request"
    assert (await browser.authorize(state="x" * 8000, post=True)).answer["error"] == "invalid_request"
    assert (await browser.authorize(state="x" * 4000)).title.startswith("Sign in")


async def test_guessing_is_slowed_down_and_says_for_how_long(browser: Browser) -> None:
    await browser.authorize()
    for _ in range(5):
        seen = await browser.sign_in(password="wrong")
        assert (seen.status, "do not match" in seen.text) == (400, True)
    seen = await browser.sign_in(password="wrong")
    assert (seen.status, seen.header["retry-after"]) == (429, "1")
    assert "Too many attempts" in seen.text


async def test_an_unknown_name_is_answered_like_a_wrong_password(rooms: Rooms) -> None:
    seen = []
    for name in (EMAIL, "nobody@acme.test"):
        browser = Browser(rooms)
        await browser.authorize()
        page = await browser.sign_in(username=name, password="wrong")
        seen.append((page.status, page.text))
    assert seen[0] == seen[1]


async def test_a_full_queue_answers_with_a_page_and_a_time(browser: Browser) -> None:
    await browser.authorize()
    browser.rooms.passwords.close()
    seen = await browser.sign_in()
    assert (seen.status, seen.header["retry-after"]) == (503, "2")
    assert "Many people are signing in" in seen.text


@pytest.mark.parametrize(
    "typed", [{"username": "", "password": "x"}, {"username": "x", "password": ""}, {"username": "  ", "password": "x"}]
)
async def test_an_empty_field_is_said(browser: Browser, ground: Playground, typed: dict[str, str]) -> None:
    await browser.authorize()
    seen = await browser.sign_in(**typed)
    assert (seen.status, "Enter your e-mail address" in seen.text) == (400, True)
    assert await ground.audited() == []


async def test_what_belongs_to_another_tenant_or_domain_is_unknown(rooms: Rooms) -> None:
    browser = Browser(rooms)
    page = await browser.authorize()
    await browser.sign_in()
    for other in (b.an_issuer("https://login.acme.test"), b.an_issuer(tenant=1002)):
        elsewhere = Browser(rooms, other)
        elsewhere.cookies = dict(browser.cookies)
        assert (await elsewhere.get("/-/continue", r=step_of(page))).status == 400
        assert "Welcome" in (await elsewhere.get("/")).title


async def test_the_state_goes_back_as_it_came(browser: Browser) -> None:
    assert (await browser.authorize(prompt="none")).answer["state"] == STATE
    assert "state" not in (await browser.authorize(prompt="none", state=None)).answer
