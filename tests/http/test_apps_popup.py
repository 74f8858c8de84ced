"""An app opened from another website: a popup beside its opener, its answer by redirect or by message, and paths below its address."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest

from gatewright.web.render import MESSAGE_HASH, WAKE_HASH
from tests.http.window import Window, form_of
from tests.support.apps import REDIRECT, SCOPES, add_app, exchange, signed_in, told
from tests.support.house import Answer, Node
from tests.support.visitor import Page

POPUP = {"redirect_uri": REDIRECT, "popup": "true", "account": "acme-dev"}
ORIGIN = "https://reporter.example"
AUTH = {"redirect_uri": REDIRECT, "scopes": SCOPES, "popup_origin": ORIGIN}


def place(**params: str | None) -> str:
    said = [(name, value) for name, value in (POPUP | params).items() if value is not None]
    return "/reporter/authorize?" + urlencode(said)


def openers(window: Window) -> set[str | None]:
    """What every answer of this window said of its opener."""
    return {answer.header("cross-origin-opener-policy") for answer in window.seen}


async def test_the_url_of_the_seed_leads_through_sign_in_and_consent_to_the_named_address(node: Node) -> None:
    await add_app(node)
    window = Window(node)
    page = await window.open(place(state="a state"))
    assert "to continue to" in page.text
    page = await window.sign_in(page)
    found = told(await window.submit(page, {"scope": ["transfer:funds"], "choice": "allow"}))
    assert set(found) == {"code", "install_id", "state", "iss"}
    assert found["state"] == "a state"
    assert (await exchange(node, found["code"])).status == 200


async def test_every_page_and_redirect_of_a_popup_stays_beside_its_opener_and_none_of_another(node: Node) -> None:
    await add_app(node)
    popup, window = Window(node), Window(node)
    page = await popup.sign_in(await popup.open(place()))
    await popup.submit(page, {"choice": "allow"})
    assert openers(popup) == {"unsafe-none"}
    page = await window.sign_in(await window.open(place(popup=None)))
    await window.submit(page, {"choice": "allow"})
    assert openers(window) == {"same-origin"}
    for answer in popup.seen:
        assert answer.header("x-frame-options") == "DENY"
        if answer.status == 200:
            assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")


async def test_other_pages_opened_meanwhile_keep_their_policy(node: Node) -> None:
    await add_app(node)
    popup = await signed_in(node)
    await popup.open(place())
    popup.seen.clear()
    await popup.open("/-/access")
    assert openers(popup) == {"same-origin"}


async def test_a_popup_is_laid_out_small_and_its_button_sleeps(node: Node) -> None:
    await add_app(node)
    popup = Window(node)
    first = await popup.open(place())
    consent = await popup.sign_in(first)
    for page in (first, consent):
        assert '<body class="popup">' in page.text
    assert f"script-src {WAKE_HASH}" in (consent.header("content-security-policy") or "")
    assert "script-src" not in (first.header("content-security-policy") or "")


async def test_only_the_word_true_makes_a_popup(node: Node) -> None:
    await add_app(node)
    for word in ("false", "1", "", "TRUE"):
        page = await Window(node).open(place(popup=word))
        assert '<body class="popup">' not in page.text


async def test_an_ordinary_client_has_no_popup(node: Node) -> None:
    from tests.http.window import asking

    window = Window(node)
    page = await window.open(asking(more={"popup": "true"}))
    assert '<body class="popup">' not in page.text
    assert openers(window) == {"same-origin"}


# ---------------------------------------------------------------- the answer as a message


async def answered(node: Node, choice: str = "allow", **params: str | None) -> Answer:
    popup = await signed_in(node)
    page = await popup.open(place(response_mode="web_message", **params))
    return await popup.submit(page, {"choice": choice})


async def test_a_message_goes_to_the_one_registered_origin_with_code_state_and_issuer(node: Node) -> None:
    await add_app(node, auth=AUTH)
    answer = await answered(node, state="s")
    assert answer.status == 200
    assert f'data-origin="{ORIGIN}"' in answer.text
    assert f"script-src {MESSAGE_HASH}; form-action 'self'" in (answer.header("content-security-policy") or "")
    assert answer.header("cross-origin-opener-policy") == "unsafe-none"
    fields = [line for line in answer.text.splitlines() if line.startswith('<input type="hidden"')]
    named = sorted(line.split('name="')[1].split('"')[0] for line in fields)
    assert named == ["code", "install_id", "iss", "state"]
    assert "gwt_" not in answer.text
    assert "'*'" not in answer.text
    code = next(line.split('value="')[1].split('"')[0] for line in fields if 'name="code"' in line)
    assert (await exchange(node, code)).status == 200


async def test_a_no_is_a_message_too(node: Node) -> None:
    await add_app(node, auth=AUTH)
    answer = await answered(node, "deny")
    assert 'name="error" value="access_denied"' in answer.text


async def test_without_a_window_that_waits_the_answer_goes_where_it_would_have_gone(node: Node) -> None:
    await add_app(node, auth=AUTH)
    answer = await answered(node)
    assert f'href="{REDIRECT}?code=gwc_' in answer.text


async def test_an_app_that_registered_no_origin_gets_no_message(node: Node) -> None:
    await add_app(node)
    popup = await signed_in(node)
    found = told(await popup.open(place(response_mode="web_message")))
    assert found["error"] == "invalid_request"
    assert "response_mode" in found["error_description"]


async def test_an_ordinary_client_gets_no_message(node: Node) -> None:
    from tests.http.window import asking

    found = told(await Window(node).open(asking(more={"response_mode": "web_message"})))
    assert found["error"] == "invalid_request"
    metadata = (await node.get("/.well-known/openid-configuration")).json
    assert "web_message" not in metadata["response_modes_supported"]


# ---------------------------------------------------------------- addresses below


async def test_a_path_below_is_refused_on_a_page_unless_the_app_was_set_so(node: Node) -> None:
    await add_app(node)
    answer = await node.get(place(redirect_uri=f"{REDIRECT}/from/shop"))
    assert answer.status == 400
    assert "is not registered for this client" in Page(answer.text).text


async def test_a_path_below_is_told_to_the_user_whole_and_is_where_the_code_goes(node: Node) -> None:
    await add_app(node, redirect_match="subpath")
    below = f"{REDIRECT}/from/shop"
    window = await signed_in(node)
    page = await window.open(place(redirect_uri=below))
    assert below in page.text
    answer = await window.submit(page, {"choice": "allow"})
    assert (answer.header("location") or "").startswith(f"{below}?code=")
    code = told(answer)["code"]
    assert (await exchange(node, code, redirect_uri=REDIRECT)).error == (400, "invalid_grant")
    assert (await exchange(node, code, redirect_uri=below)).status == 200


@pytest.mark.parametrize(
    "ending", ["/../x", "//x", "/x;y", "/%2e%2e/x", "/x%2fy", "/x%00", "/x?y=1", "/x#y", "x", "@evil.example", ":8443/x", "\\x"]
)
async def test_what_only_looks_like_a_path_below_is_refused_on_a_page(node: Node, ending: str) -> None:
    await add_app(node, redirect_match="subpath")
    answer = await node.get(f"/reporter/authorize?redirect_uri={quote(REDIRECT + ending, safe='')}")
    assert answer.status == 400
    assert answer.header("location") is None


async def test_an_app_is_named_by_its_address_alone(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    page = await window.open(place(client_id="budget-buddy"))
    assert "Install" in Page(page.text).heading
    assert form_of(page).has("shown")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_addresses_of_an_app_are_only_looked_at(node: Node, method: str) -> None:
    await add_app(node)
    for path in ("/reporter/install", "/reporter/authorize"):
        answer = await node.ask(method, path)
        assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")
