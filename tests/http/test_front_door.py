"""The authorization endpoint over HTTP: what is told to the app, what is shown on a page, and what is told to nobody."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.http.talk import FORM, exchange
from tests.http.window import Window, asking, form_of
from tests.support.house import ENVIRON, Answer, Node, basic

CALLBACK = "https://budget.example/callback"
ISSUER = "https://id.acme.test"
INCIDENT = re.compile(r"[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}")


def told(answer: Answer) -> dict[str, str]:
    """What the app is told by a redirect to its address."""
    location = answer.header("location") or ""
    assert (answer.status, location.partition("?")[0]) == (303, CALLBACK), answer
    return dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))


# ---------------------------------------------------------------- before the address is proved


@pytest.mark.proves("RFC 6749", "3.1.2.4")
@pytest.mark.proves("RFC 6749", "4.1.2.1")
@pytest.mark.proves("RFC 9700", "4.11")
@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "image-copier"},
        {"client_id": "budget-buddy\0"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?next=https://evil.example"},
        {"redirect_uri": f"{CALLBACK}#x"},
        {"redirect_uri": f"{CALLBACK}\r\nSet-Cookie: a=b"},
        {"redirect_uri": "javascript:alert(document.domain)"},
        {"redirect_uri": "//evil.example"},
        {"redirect_uri": "https://events.example/callback?from=acme"},
        {"redirect_uri": "https://evil.example/", "response_type": "token", "prompt": "none", "scope": "nope"},
    ],
)
async def test_a_fault_before_the_address_is_proved_is_a_page_that_leads_nowhere(node: Node, changed: dict[str, str | None]) -> None:
    answer = await node.get(asking(more=changed))
    assert answer.status == 400
    assert answer.every("location") == answer.every("set-cookie") == []
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert "evil.example" not in answer.text
    assert "<script" not in answer.text
    assert 'href="http' not in answer.text
    assert "<form" not in answer.text
    incident = INCIDENT.search(answer.text)
    assert incident is not None
    assert answer.header("request-id") == incident.group()
    assert any(incident.group() in line and '"request.refused"' in line for line in node.lines), "the id finds the event in the log"


@pytest.mark.proves("RFC 6749", "3.1")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "response_type", "code_challenge", "nonce", "prompt"])
async def test_a_parameter_sent_twice_is_told_on_a_page(node: Node, name: str) -> None:
    answer = await node.get(asking(nonce="n", prompt="login") + f"&{name}=twice")
    assert answer.status == 400
    assert answer.every("location") == []
    assert name in answer.text


# ---------------------------------------------------------------- behind it

REFUSED: list[tuple[dict[str, str | None], str]] = [
    ({"response_type": None}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "id_token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_type": "code code"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"response_mode": "web_message"}, "invalid_request"),
    ({"scope": None}, "invalid_scope"),
    ({"scope": ""}, "invalid_scope"),
    ({"scope": "nope"}, "invalid_scope"),
    ({"scope": "read:images"}, "invalid_scope"),
    ({"scope": 'openid "x"'}, "invalid_scope"),
    ({"scope": "x" * 5000}, "invalid_scope"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge": "v" * 42}, "invalid_request"),
    ({"code_challenge": "v" * 44}, "invalid_request"),
    ({"code_challenge": "v" * 42 + "="}, "invalid_request"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"request_uri": "https://budget.example/request"}, "request_uri_not_supported"),
    ({"request_uri": "http://169.254.169.254/"}, "request_uri_not_supported"),
    ({"registration": "{}"}, "registration_not_supported"),
    ({"resource": "https://nowhere.test"}, "invalid_target"),
    ({"prompt": "none"}, "login_required"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "sometimes"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "soon"}, "invalid_request"),
    ({"claims": "{"}, "invalid_request"),
    ({"claims": '{"id_token":{"acr":{"essential":true,"value":"phr"}}}'}, "unmet_authentication_requirements"),
    ({"id_token_hint": "not.a.token"}, "invalid_request"),
    ({"login_hint": "a\x07b"}, "invalid_request"),
    ({"nonce": "a\nb"}, "invalid_request"),
]


@pytest.mark.proves("RFC 6749", "3.1.1")
@pytest.mark.proves("RFC 6749", "4.1.2.1")
@pytest.mark.proves("RFC 7636", "4.3")
@pytest.mark.proves("RFC 8707", "2")
@pytest.mark.proves("RFC 9207", "2")
@pytest.mark.proves("RFC 9700", "2.1.2")
@pytest.mark.proves("OAuth 2.0 Multiple Response Types", "2.1")
@pytest.mark.proves("OpenID Connect Core", "3.1.2.6")
@pytest.mark.proves("OpenID Connect Core", "6")
@pytest.mark.parametrize(("changed", "error"), REFUSED)
async def test_any_other_fault_is_told_to_the_app_with_its_state_and_the_issuer(
    node: Node, changed: dict[str, str | None], error: str
) -> None:
    before = node.counts
    answer = await node.get(asking(more=changed))
    said = told(answer)
    assert said["error"] == error
    assert (said["state"], said["iss"]) == ("af0ifjsldkj", ISSUER)
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", said["error_description"])
    assert set(said) == {"error", "error_description", "state", "iss"}
    assert "#" not in (answer.header("location") or "")
    assert node.counts["commits"] == before["commits"], "a refusal writes nothing"


@pytest.mark.proves("RFC 6749", "4.1.2")
@pytest.mark.parametrize("state", ["", "é€\U0001f600", "a&b=c#d", "'\"<script>", "%0d%0aX: y", "x" * 2000])
async def test_the_state_comes_back_as_it_went(node: Node, state: str) -> None:
    answer = await node.get(asking(prompt="none", state=state))
    assert told(answer).get("state", "") == state
    assert re.fullmatch(r"[!-~]+", answer.header("location") or "")


@pytest.mark.parametrize("state", ["\r\nSet-Cookie: a=b", "\nx", "\x00", "\x7f", "\u2028", "\x85"])
async def test_a_control_character_in_any_parameter_reaches_no_header(node: Node, state: str) -> None:
    answer = await node.get(asking(prompt="none", state=state))
    assert answer.every("set-cookie") == []
    assert answer.status in (303, 400)
    if answer.status == 303:
        assert told(answer)["error"] == "invalid_request"


async def test_the_query_of_a_registered_address_is_kept_beside_the_answer(node: Node) -> None:
    answer = await node.get(asking("events-web", "openid", prompt="none"))
    assert (answer.header("location") or "").startswith("https://events.example/callback?from=acme&error=login_required&")


@pytest.mark.proves("RFC 6749", "3.1.2.3")
async def test_who_registered_several_addresses_names_one_and_who_registered_one_need_not(node: Node) -> None:
    left_out: dict[str, str | None] = {"redirect_uri": None}
    assert (await node.get(asking("old-library", "read:balance", more=left_out))).status == 400
    one = await node.get(asking("budget-buddy", "read:balance", more=left_out, prompt="none"))
    assert told(one)["error"] == "login_required"
    assert (await node.get(asking("budget-buddy", "openid", more=left_out, prompt="none"))).status == 400


@pytest.mark.proves("RFC 8252", "7.3")
@pytest.mark.parametrize("redirect", ["http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback", "com.example.phone:/callback"])
async def test_an_app_on_a_phone_or_desktop_gets_its_answer_at_its_own_port_or_scheme(node: Node, redirect: str) -> None:
    answer = await node.get(asking("phone-app", "openid", redirect_uri=redirect, prompt="none"))
    assert (answer.header("location") or "").startswith(f"{redirect}?error=login_required&")


@pytest.mark.proves("RFC 8252", "8.4")
@pytest.mark.parametrize("redirect", ["http://localhost:1/callback", "http://127.0.0.1:0/callback", "http://127.0.0.1:65536/callback"])
async def test_no_other_local_address_is_the_apps(node: Node, redirect: str) -> None:
    assert (await node.get(asking("phone-app", "openid", redirect_uri=redirect, prompt="none"))).status == 400


# ---------------------------------------------------------------- how it is answered


@pytest.mark.proves("OAuth 2.0 Form Post Response Mode", "2")
async def test_an_answer_as_a_form_goes_to_the_proved_address_and_escapes_what_it_holds(node: Node) -> None:
    hostile = "\"'><script>alert(1)</script><input name=code value=x>"
    answer = await node.get(asking(response_mode="form_post", prompt="none", state=hostile))
    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    form = form_of(answer)
    assert (form.action, form.method) == (CALLBACK, "post")
    fields = {one.name: one.value for one in form.controls if one.name}
    assert fields["state"] == hostile
    assert (fields["error"], fields["iss"]) == ("login_required", ISSUER)
    assert answer.text.count("<script") == 1
    policy = answer.header("content-security-policy") or ""
    assert "form-action https://budget.example" in policy
    assert "'unsafe-inline'" not in policy
    assert "script-src 'sha256-" in policy


@pytest.mark.proves("RFC 6749", "10.13")
@pytest.mark.proves("RFC 9700", "4.16")
@pytest.mark.proves("RFC 9700", "4.2.4")
@pytest.mark.parametrize(
    "path", ["/", "/authorize", "/end_session", "/-/sign-in", "/-/signed-out", "/-/continue", "/-/access", "/-/sign-out"]
)
async def test_no_page_is_framed_kept_or_told_of(node: Node, path: str) -> None:
    answer = await Window(node).open(path)
    assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
    assert "default-src 'none'" in (answer.header("content-security-policy") or "")
    assert answer.header("x-frame-options") == "DENY"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("referrer-policy") == "no-referrer"
    assert answer.header("x-content-type-options") == "nosniff"


@pytest.mark.proves("RFC 9700", "4.12")
async def test_after_a_password_the_browser_is_sent_on_with_303_and_never_with_307(node: Node) -> None:
    window = Window(node)
    await window.sign_in(await window.open(asking()))
    assert {answer.status for answer in window.seen} <= {200, 303}
    assert not any("password" in (answer.header("location") or "") for answer in window.seen)


@pytest.mark.proves("OpenID Connect Core", "3.1.2.1")
@pytest.mark.parametrize("path", ["/authorize", "/o/authorize/", "/o/authorize", "/oauth/authorize"])
async def test_a_request_may_be_posted_and_goes_on_like_one_that_was_opened(node: Node, path: str) -> None:
    window = Window(node)
    query = asking().partition("?")[2]
    posted = await window.send("POST", path, query.encode(), FORM, ("origin", "https://budget.example"), ("sec-fetch-site", "cross-site"))
    assert posted.status == 303
    first = await window.open(posted.header("location") or "")
    said = told(await window.allow_all(await window.sign_in(first)))
    answer = await node.post("/token", exchange(said["code"]), basic("budget-buddy"))
    assert answer.status == 200


@pytest.mark.proves("RFC 6749", "4.1.2")
@pytest.mark.proves("RFC 9207", "2")
@pytest.mark.proves("RFC 6749", "4.1.1")
async def test_the_whole_way_from_the_app_and_back(node: Node) -> None:
    window = Window(node)
    page = await window.open(asking(nonce="n-0S6_WzA2Mj"))
    said = told(await window.allow_all(await window.sign_in(page)))
    assert set(said) == {"code", "state", "iss"}
    assert (said["state"], said["iss"]) == ("af0ifjsldkj", ISSUER)
    got = (await node.post("/token", exchange(said["code"]), basic("budget-buddy"))).json
    assert got["scope"] == "openid email read:balance"
    again = told(await window.open(asking(account="acme-dev")))
    assert again["code"] != said["code"], "signed in and remembered: no page is shown"


@pytest.mark.proves("RFC 6749", "4.1.2.1")
async def test_a_no_is_told_to_the_app(node: Node) -> None:
    window = Window(node)
    page = await window.sign_in(await window.open(asking(account="acme-dev")))
    said = told(await window.submit(page, {"choice": "deny"}))
    assert (said["error"], said["state"], said["iss"]) == ("access_denied", "af0ifjsldkj", ISSUER)


async def test_an_account_of_others_answers_like_one_that_does_not_exist(node: Node) -> None:
    window = Window(node)
    own = await window.sign_in(await window.open(asking(account="acme-prod")), "ben@acme.test", ENVIRON["BEN_PASSWORD"])
    assert form_of(own).has("shown")
    refusals = [told(await window.open(asking(account=account))) for account in ("acme-dev", "no-such-account", "globex-prod")]
    assert refusals == [refusals[0]] * 3
    assert refusals[0]["error"] == "access_denied"
