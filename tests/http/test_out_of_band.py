"""A code that its user carries (seed 002): shown once, in a posted page alone, to whoever said yes just then; and the demo client."""

from __future__ import annotations

import re

import pytest

from tests.http.doors import OOB, PLATFORM, by_hand, furnished
from tests.http.window import Window, form_of
from tests.support.approving import VERIFIER
from tests.support.house import CLIENT_SECRET, Answer, Node, basic, bearer
from tests.support.visitor import Page

CODE = re.compile(r"gwc_[A-Za-z0-9_-]+")


@pytest.fixture
async def old(node: Node) -> Node:
    """A node with clients of years ago."""
    return await furnished(node)


async def allowed(old: Node, target: str | None = None, window: Window | None = None) -> Answer:
    """Open an address, sign in where asked, say yes to everything."""
    window = window or Window(old)
    page = await window.open(target or by_hand())
    if form_of(page).has("password"):
        page = await window.sign_in(page, "kim@acme.test")
    return await window.allow_all(page)


def code_of(answer: Answer) -> str:
    """The code on a page."""
    found = CODE.findall(answer.text)
    assert len(found) == 1, answer.text
    return str(found[0])


def redeeming(code: str, **changed: str | None) -> dict[str, str | None]:
    """The token request of the demo's programs: form-encoded, without PKCE."""
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": OOB,
        "client_id": "acme-demo",
        "client_secret": CLIENT_SECRET,
    }
    return form | changed


async def test_the_code_is_copied_from_a_page_and_buys_a_token(old: Node) -> None:
    page = await allowed(old)
    assert page.status == 200
    assert Page(page.text).heading == "Copy this code into Acme demo"
    answer = await old.post("/oauth/token", redeeming(code_of(page)))
    assert (answer.status, answer.json["scope"], answer.json["account"]) == (200, "openid read:balance", "acme-dev")
    assert (await old.get("/v1/me", bearer(answer.json["access_token"]))).status == 200


async def test_the_code_stands_in_the_body_of_a_posted_page_and_nowhere_else(old: Node) -> None:
    window = Window(old)
    page = await allowed(old, window=window)
    code = code_of(page)
    for seen in window.seen:
        assert code not in str(seen.headers)
        assert (code in seen.text) == (seen is page)
    title = re.search(r"<title>(.*?)</title>", page.text, re.DOTALL)
    assert title is not None
    assert code not in title[1]
    assert page.header("cache-control") == "no-store"
    assert page.header("referrer-policy") == "no-referrer"
    policy = page.header("content-security-policy") or ""
    assert "form-action 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "Give it to nobody who sent you here" in page.text
    assert not any(code in line for line in old.lines)


async def test_it_works_for_five_minutes_and_once(old: Node) -> None:
    code = code_of(await allowed(old))
    old.time.pass_(299)
    assert (await old.post("/oauth/token", redeeming(code))).status == 200
    assert (await old.post("/oauth/token", redeeming(code))).error == (400, "invalid_grant")
    late = code_of(await allowed(old))
    old.time.pass_(301)
    assert (await old.post("/oauth/token", redeeming(late))).error == (400, "invalid_grant")


@pytest.mark.parametrize("client", ["acme-demo", "terminal"])
async def test_the_user_is_asked_each_time_and_whoever_the_client_is(old: Node, client: str) -> None:
    window = Window(old)
    await allowed(old, by_hand(client), window)
    again = await window.open(by_hand(client))
    assert form_of(again).has("choice", "allow")
    assert CODE.search(again.text) is None


async def test_no_get_ever_shows_a_code(old: Node) -> None:
    window = Window(old)
    page = await window.sign_in(await window.open(by_hand()), "kim@acme.test")
    step = form_of(page).named("step")[0].value
    await window.allow_all(page)
    for target in (f"/-/continue?r={step}", by_hand()):
        answer = await window.open(target)
        assert CODE.search(answer.text) is None


async def test_reloading_the_page_asks_again(old: Node) -> None:
    window = Window(old)
    page = await window.sign_in(await window.open(by_hand()), "kim@acme.test")
    code = code_of(await window.submit(page, {"scope": "read:balance", "choice": "allow"}))
    twice = await window.submit(page, {"scope": "read:balance", "choice": "allow"})
    assert code not in twice.text
    assert (await old.post("/oauth/token", redeeming(code))).status == 200


async def test_who_says_no_is_shown_that_and_nothing_is_sent_anywhere(old: Node) -> None:
    window = Window(old)
    page = await window.sign_in(await window.open(by_hand()), "kim@acme.test")
    answer = await window.submit(page, {"choice": "deny"})
    assert (answer.status, Page(answer.text).heading) == (200, "You said no")
    assert answer.header("location") is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scope": "no:such"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"prompt": "none"}, "login_required"),
        ({"response_mode": "form_post", "prompt": "none"}, "login_required"),
        ({"account": "acme-prod", "prompt": "none"}, "login_required"),
    ],
)
async def test_errors_are_pages(old: Node, changed: dict[str, str], said: str) -> None:
    answer = await Window(old).open(by_hand(**changed))
    assert answer.status == 400
    assert answer.header("location") is None
    assert said in answer.text
    assert answer.header("request-id") is not None


async def test_under_prompt_none_a_user_who_is_there_is_not_answered_for_either(old: Node) -> None:
    window = Window(old)
    await allowed(old, window=window)
    answer = await window.open(by_hand(prompt="none"))
    assert (answer.status, "consent_required" in answer.text) == (400, True)


async def test_an_account_that_is_none_of_the_users_is_a_page(old: Node) -> None:
    window = Window(old)
    answer = await window.sign_in(await window.open(by_hand(account="acme-prod")), "kim@acme.test")
    assert (answer.status, Page(answer.text).heading) == (400, "The app gets no access")


async def test_each_code_is_audited_as_a_weakness_used(old: Node) -> None:
    await allowed(old)
    assert await old.number("SELECT COUNT(*) FROM audit WHERE act = 'weakness.used' AND detail LIKE '%out_of_band%203.0.113.0/24%'") == 1
    assert await old.number("SELECT total FROM weakness_use WHERE weakness = 'out_of_band'") == 1


async def test_a_client_that_is_not_allowed_to_has_no_such_address(old: Node) -> None:
    answer = await Window(old).open(by_hand("budget-buddy"))
    assert answer.status == 400
    assert "redirect_uri" in answer.text
    without = PLATFORM.replace("out_of_band = true", "out_of_band = false").replace(
        '["urn:ietf:wg:oauth:2.0:oob"', '["https://demo.example/cb"'
    )
    await old.apply(without)
    assert (await Window(old).open(by_hand())).status == 400


async def test_a_client_of_its_own_must_use_pkce_here_too(old: Node) -> None:
    answer = await Window(old).open(by_hand("terminal", code_challenge=None, code_challenge_method=None))
    assert (answer.status, "code_challenge" in answer.text) == (400, True)
    code = code_of(await allowed(old, by_hand("terminal")))
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": OOB, "code_verifier": VERIFIER}
    assert (await old.post("/token", form, basic("terminal"))).status == 200


# ---------------------------------------------------------------- the demo client


async def test_published_credentials_open_nothing_by_themselves(old: Node) -> None:
    refused = await old.post("/oauth/token", {"grant_type": "client_credentials", "scope": "read:balance"}, basic("acme-demo"))
    assert refused.error == (400, "unauthorized_client")
    token = (await old.post("/oauth/token", redeeming(code_of(await allowed(old))))).json["access_token"]
    assert (await old.post("/introspect", {"token": token}, basic("acme-demo"))).status == 401


async def test_a_demo_client_gets_scopes_that_are_marked_for_it_and_no_refresh_token(old: Node) -> None:
    page = await allowed(old, by_hand(scope="openid read:balance view:events transfer:funds"))
    answer = await old.post("/oauth/token", redeeming(code_of(page)))
    assert answer.json["scope"] == "openid read:balance"
    assert "refresh_token" not in answer.json


async def test_an_admin_may_open_a_demo_client_by_name(old: Node) -> None:
    await old.apply(PLATFORM.replace('type = "demo"', 'type = "demo"\ndemo_scopes = "all"'))
    page = await allowed(old, by_hand(scope="read:balance transfer:funds"))
    assert (await old.post("/oauth/token", redeeming(code_of(page)))).json["scope"] == "read:balance transfer:funds"


async def test_a_scope_that_loses_its_mark_is_gone_from_tokens_that_are_out(old: Node) -> None:
    token = (await old.post("/oauth/token", redeeming(code_of(await allowed(old))))).json["access_token"]
    await old.apply(PLATFORM.replace("demo = true", "demo = false"))
    answer = await old.get("/v1/me", bearer(token), ("accept", "application/json"))
    assert answer.json["scope"] == "openid"


async def test_anywhere_else_a_demo_client_must_use_pkce(old: Node) -> None:
    redirect = "https://demo.example/callback"
    await old.apply(
        PLATFORM.replace('redirect_uris = ["urn:ietf:wg:oauth:2.0:oob"]', f'redirect_uris = ["urn:ietf:wg:oauth:2.0:oob", "{redirect}"]')
    )
    answer = await Window(old).send("GET", by_hand(redirect_uri=redirect))
    assert "error=invalid_request" in (answer.header("location") or "")
    assert "code_challenge" in (answer.header("location") or "")
