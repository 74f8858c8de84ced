"""What the dialog of seed 003 promises of a client, asked of the running server; each test begins with the seed's sentence."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from tests.http.doors import PLATFORM
from tests.http.talk import tokens
from tests.http.window import Window, asking, form_of
from tests.support.approving import REDIRECTS, VERIFIER
from tests.support.house import Answer, Node, basic

DAY = 86_400
HEAD = PLATFORM.partition("[[users]]")[0]
PHONE = HEAD + '[[clients]]\nclient_id = "phone-app"\nclient_name = "Mobile MyApps"\nparty = "first"\npersistent_sso = true\n'


def lasts(answers: list[Answer]) -> int:
    """For how many seconds a browser keeps the session's cookie, 0 until it is closed."""
    found = [line for answer in answers for line in answer.every("set-cookie") if line.startswith("__Host-gw_session=gws")]
    found = found or [line for answer in answers for line in answer.every("set-cookie") if line.startswith("__Host-gw_session=")]
    age = re.search(r"Max-Age=([0-9]+)", found[-1])
    return 0 if age is None else int(age[1])


async def test_remain_logged_in_when_authenticating_with_a_trusted_mobile_application(node: Node) -> None:
    """Seed 003: "Selecting this option gives marketplace users the option to remain logged in when authenticating with a trusted
    mobile application that has enabled persistent Single Sign-On (SSO), such as Mobile MyApps."
    """
    window = Window(node)
    page = await window.sign_in(await window.open(asking("phone-app", "openid read:balance")), "ann@acme.test")
    assert lasts(window.seen) == 0, "not before it is selected"
    await node.apply(PHONE)
    window = Window(node)
    page = await window.sign_in(await window.open(asking("phone-app", "openid read:balance")), "ann@acme.test")
    await window.allow_all(page)
    assert lasts(window.seen) == 30 * DAY
    for days in (1, 20):
        node.time.pass_(days * DAY)
        assert not form_of(await window.open(asking("phone-app", "openid read:balance"))).has("password"), "nobody signs in again"
    node.time.pass_(10 * DAY)
    assert form_of(await window.open(asking("phone-app", "openid read:balance"))).has("password")


async def test_an_untrusted_or_other_application_has_no_persistent_sso(node: Node) -> None:
    window = Window(node)
    await node.apply(PHONE)
    await window.sign_in(await window.open(asking("phone-app", "read:balance")), "ann@acme.test")
    assert lasts(window.seen) == 0, "only with the scope openid, as the dialog has it beside ID Token"


async def test_the_default_30_days_that_the_refresh_token_is_active_before_it_expires(node: Node) -> None:
    """Seed 003: "you can modify the default 30 days that the refresh token is active before it expires"."""
    token = (await tokens(node, "read:balance"))["refresh_token"]
    for _ in range(3):
        node.time.pass_(30 * DAY - 1)
        answer = await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, basic("budget-buddy"))
        assert answer.status == 200, "each use begins the days anew"
        token = answer.json["refresh_token"]
    node.time.pass_(30 * DAY)
    answer = await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, basic("budget-buddy"))
    assert answer.error == (400, "invalid_grant")


async def test_the_days_can_be_changed_idle_and_absolute(node: Node) -> None:
    await node.apply(
        HEAD + '[[clients]]\nclient_id = "budget-buddy"\nclient_name = "Budget Buddy"\nrefresh = { idle = "2d", absolute = "3d" }\n'
    )
    token = (await tokens(node, "read:balance"))["refresh_token"]
    for days, status in ((1, 200), (1, 200), (1, 400)):
        node.time.pass_(days * DAY)
        answer = await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, basic("budget-buddy"))
        assert answer.status == status
        token = answer.json.get("refresh_token", token)
    token = (await tokens(node, "read:balance"))["refresh_token"]
    node.time.pass_(2 * DAY)
    answer = await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, basic("budget-buddy"))
    assert answer.error == (400, "invalid_grant")


async def test_no_longer_returns_access_tokens_with_all_allowed_scopes(node: Node) -> None:
    """Seed 003: "the marketplace no longer returns access tokens with all allowed scopes, when no scopes are requested by the API
    client"; and for those before, "this setting is disabled for all existing API clients".
    """
    window = Window(node)
    answer = await window.open(asking("old-library", more={"scope": None}))
    assert "error=invalid_scope" in (answer.header("location") or "")
    await node.apply(HEAD + '[[clients]]\nclient_id = "old-library"\nclient_name = "Old Library"\nscopes_policy = "all_allowed"\n')
    page = await window.sign_in(await window.open(asking("old-library", more={"scope": None})), "ann@acme.test")
    arrived = (await window.allow_all(page)).header("location") or ""
    code = dict(parse_qsl(urlsplit(arrived).query))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECTS["old-library"], "code_verifier": VERIFIER}
    assert (await node.post("/token", form, basic("old-library"))).json["scope"] == "openid read:balance"


async def test_several_redirect_urls_each_as_it_was_entered(node: Node) -> None:
    """Seed 003: "Click Add URL to add additional redirect URLs."."""
    for uri, known in (("https://old.example/one", True), ("https://old.example/two", True), ("https://old.example/three", False)):
        answer = await Window(node).open(asking("old-library", "openid read:balance", redirect_uri=uri))
        assert (answer.status == 200) is known


async def test_act_on_behalf_of_marketplace_users_with_those_user_roles(node: Node) -> None:
    """Seed 003: "Select one or more of the user roles in the checklist to allow the API client to act on behalf of marketplace users
    with those user roles."
    """
    await node.apply(HEAD + '[[clients]]\nclient_id = "budget-buddy"\nclient_name = "Budget Buddy"\nroles = ["Participant"]\n')
    window = Window(node)
    page = await window.sign_in(await window.open(asking(scope="view:events create:events", account="acme-prod")), "ann@acme.test")
    assert "View" in page.text or "See events" in page.text
    refused = await window.open(asking(scope="view:events", account="acme-dev"))
    assert "error=access_denied" in (refused.header("location") or "")
