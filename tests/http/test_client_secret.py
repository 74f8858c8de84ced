"""The secrets of an app at one address: who may read them, how a new one is made, and what is left behind."""

from __future__ import annotations

import re

import msgspec
import pytest

from gatewright.audit.book import Entry, entries
from gatewright.base import ids
from gatewright.store import Query
from tests.http.talk import FORM
from tests.http.window import Window, form_of
from tests.support.approving import authorized, sign_in, user
from tests.support.house import ACME, CLIENT_SECRET, ENVIRON, GLOBEX, Answer, Node, basic, bearer
from tests.support.visitor import Page

HEAD = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test", "https://login.acme.test"]
"""
PLATFORM = f"""{HEAD}
[[roles]]
name = "Developer"
scopes = ["gw:client_secrets:read", "gw:client_secrets:write"]
[[users]]
email = "dev@acme.test"
name = "Dev Eloper"
password = {{ env = "ANN_PASSWORD" }}
memberships = [{{ account = "acme-dev", roles = ["Developer"] }}]
[[users]]
email = "ann@acme.test"
memberships = [{{ account = "acme-dev", roles = ["Organizer", "Developer"] }}, {{ account = "acme-prod", roles = ["Participant"] }}]
[[clients]]
client_id = "open-app"
client_name = "Open App"
redirect_uris = ["https://open.example/cb"]
scopes = ["openid"]
secret_readable = true
owner = {{ user = "ann@acme.test", account = "acme-dev" }}
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "shut-app"
client_name = "Shut App"
redirect_uris = ["https://shut.example/cb"]
scopes = ["openid"]
owner = {{ user = "ann@acme.test" }}
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "nobodys-app"
client_name = "Nobody's App"
redirect_uris = ["https://nobody.example/cb"]
scopes = ["openid"]
secret_readable = true
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "events-web"
client_name = "Acme Events"
scopes = ["openid", "profile", "create:events", "view:events", "read:reports", "gw:client_secrets:read", "gw:client_secrets:write"]
"""
OPEN, SHUT, NOBODYS = "/-/clients/open-app/secret", "/-/clients/shut-app/secret", "/-/clients/nobodys-app/secret"
SESSION = "__Host-gw_session"


@pytest.fixture
async def acme(node: Node) -> Node:
    await node.apply(PLATFORM)
    return node


async def window(node: Node, email: str = "ann@acme.test", host: str = ACME) -> Window:
    """A browser in which somebody has just signed in."""
    opened = Window(node, host)
    opened.cookies[SESSION] = await sign_in(node, email, host)
    return opened


async def token(node: Node, scope: str = "gw:client_secrets:read", email: str = "ann@acme.test", account: str = "acme-dev") -> str:
    """A user's access token for the tenant's own API."""
    told = await authorized(node, await sign_in(node, email), "events-web", scope, account=account)
    form = {
        "grant_type": "authorization_code",
        "code": told["code"],
        "redirect_uri": "https://events.example/callback?from=acme",
        "code_verifier": "v" * 43,
    }
    answer = await node.post("/token", form, basic("events-web"))
    assert answer.status == 200, answer
    return str(answer.json["access_token"])


async def acts(node: Node, client: str, act: str) -> list[Entry]:
    return await entries(node.house.store, await node.tenant(), act=act, subject=client)


async def works(node: Node, client: str, secret: str) -> bool:
    """Whether a secret authenticates its client."""
    answer = await node.post("/token", {"grant_type": "refresh_token", "refresh_token": "gwr_x"}, basic(client, secret))
    return answer.error == (400, "invalid_grant")


def shown(answer: Answer) -> list[str]:
    """The secrets that a page shows."""
    return re.findall(r'readonly[^>]* value="([^"]+)"', answer.text)


def newest(answer: Answer) -> str:
    assert answer.status == 200, answer
    return shown(answer)[0]


async def make(browser: Window, page: Answer, **given: str) -> Answer:
    """Send the form that makes a secret."""
    form = next(form for form in Page(page.text).forms if form.has("label"))
    return await browser.send("POST", form.action, encoded(form.filled({"choice": "continue", **given})), FORM)


def encoded(pairs: list[tuple[str, str]]) -> bytes:
    from urllib.parse import urlencode

    return urlencode(pairs).encode()


# ---------------------------------------------------------------- a browser


async def test_the_owner_reads_a_secret_that_may_be_read_again_and_is_told_who_did(acme: Node) -> None:
    browser = await window(acme)
    page = await browser.open(OPEN)
    assert shown(page) == [CLIENT_SECRET]
    assert "Ann Example on 15 January 2027" in Page(page.text).text
    (entry,) = await acts(acme, "open-app", "secret.read")
    detail = msgspec.json.decode(entry.detail)
    assert entry.actor == ids.show(ids.USER, (await user(acme, "ann@acme.test")).id)
    assert detail["address"] == "203.0.113.7"
    assert detail["owner_user"] == entry.actor
    assert detail["owner_account"].startswith("ac_")
    assert len(detail["secret_ids"]) == 1


async def test_the_page_is_kept_by_nobody_and_read_by_no_other_site(acme: Node) -> None:
    page = await (await window(acme)).open(OPEN)
    assert page.header("cache-control") == "no-store"
    assert page.header("cross-origin-resource-policy") == "same-origin"
    assert page.header("referrer-policy") == "no-referrer"
    assert [name for name, _ in page.headers if name.startswith("access-control")] == []
    policy = page.header("content-security-policy") or ""
    assert "script-src 'sha256-" in policy
    assert "unsafe" not in policy
    refused = await acme.ask("OPTIONS", OPEN, headers=(("origin", "https://evil.example"),))
    assert (refused.status, refused.header("access-control-allow-origin")) == (405, None)


async def test_the_address_of_an_app_is_the_same_page(acme: Node) -> None:
    page = await (await window(acme)).open("/open-app/secret")
    assert shown(page) == [CLIENT_SECRET]
    assert form_of(page).action == "/open-app/secret"


async def test_a_sign_in_older_than_five_minutes_is_repeated_first(acme: Node) -> None:
    browser = await window(acme)
    acme.time.pass_(301)
    page = await browser.open(OPEN)
    assert shown(page) == []
    assert Page(page.text).heading == "Confirm it is you"
    assert form_of(page).named("username")[0].value == "ann@acme.test"
    assert await acts(acme, "open-app", "secret.read") == []
    wrong = await browser.sign_in(page, password="not it at all")
    assert shown(wrong) == []
    again = await browser.sign_in(wrong)
    assert shown(again) == [CLIENT_SECRET]


async def test_five_minutes_to_the_second_are_fresh(acme: Node) -> None:
    browser = await window(acme)
    acme.time.pass_(300)
    assert shown(await browser.open(OPEN)) == [CLIENT_SECRET]


async def test_a_form_that_comes_after_the_five_minutes_does_nothing_but_ask(acme: Node) -> None:
    browser = await window(acme)
    page = await browser.open(OPEN)
    acme.time.pass_(301)
    answer = await make(browser, page)
    assert answer.status == 303
    assert len(await acts(acme, "open-app", "secret.added")) == 1
    assert await works(acme, "open-app", CLIENT_SECRET)


@pytest.mark.parametrize("path", [OPEN, "/-/clients/no-such-app/secret"])
async def test_whoever_is_not_signed_in_is_asked_whether_there_is_such_an_app_or_not(acme: Node, path: str) -> None:
    page = await Window(acme).open(path)
    assert Page(page.text).heading == "Sign in"
    landed = await Window(acme).sign_in(page) if path != OPEN else page
    assert shown(landed) == []


@pytest.mark.parametrize(
    ("email", "path"),
    [
        ("ben@acme.test", OPEN),  # another account
        ("dev@acme.test", SHUT),  # a colleague of its owner, but the app belongs to no account
        ("ann@acme.test", NOBODYS),
        ("ann@acme.test", "/-/clients/no-such-app/secret"),
        ("ann@acme.test", "/-/clients/budget-buddy/secret"),
    ],
)
async def test_what_is_not_yours_looks_like_what_does_not_exist(acme: Node, email: str, path: str) -> None:
    page = await (await window(acme, email)).open(path)
    assert (page.status, Page(page.text).heading) == (404, "There is nothing for you here")
    assert CLIENT_SECRET not in page.text


async def test_a_developer_of_the_account_sees_what_the_account_owns(acme: Node) -> None:
    assert shown(await (await window(acme, "dev@acme.test")).open(OPEN)) == [CLIENT_SECRET]


async def test_a_member_without_the_role_does_not(acme: Node) -> None:
    await acme.apply(HEAD + '[[users]]\nemail = "dev@acme.test"\nmemberships = [{ account = "acme-dev", roles = ["Participant"] }]\n')
    assert (await (await window(acme, "dev@acme.test")).open(OPEN)).status == 404


async def test_an_owner_who_left_the_account_sees_nothing_any_more(acme: Node) -> None:
    browser = await window(acme)
    text = """UPDATE membership SET ended_at = 1
               WHERE account = (SELECT id FROM account WHERE slug = 'acme-dev' AND tenant = :tenant) RETURNING id"""
    await acme.house.store.verb(_query(text), tenant=await acme.tenant())
    assert (await browser.open(OPEN)).status == 404
    assert (await browser.open(SHUT)).status == 200


async def test_an_account_that_is_disabled_opens_nothing(acme: Node) -> None:
    browser = await window(acme)
    text = "UPDATE account SET disabled_at = 1 WHERE slug = 'acme-dev' AND tenant = :tenant RETURNING id"
    await acme.house.store.verb(_query(text), tenant=await acme.tenant())
    assert (await browser.open(OPEN)).status == 404


def _query(text: str) -> Query[int]:
    return Query(int, text)


async def test_a_secret_that_may_not_be_read_again_is_shown_once_with_the_warning(acme: Node) -> None:
    browser = await window(acme)
    page = await browser.open(SHUT)
    assert shown(page) == []
    assert CLIENT_SECRET not in page.text
    made = await make(browser, page, label="server in Oslo", old="7d")
    secret = newest(made)
    assert secret.startswith("gws_")
    assert "Copy the secret now and keep it in a safe place" in Page(made.text).text
    again = await browser.open(SHUT)
    assert secret not in again.text
    assert "server in Oslo" in again.text
    assert await works(acme, "shut-app", secret)
    assert await works(acme, "shut-app", CLIENT_SECRET)
    acme.time.pass_(7 * 86_400)
    assert not await works(acme, "shut-app", CLIENT_SECRET)
    assert await works(acme, "shut-app", secret)
    assert await acts(acme, "shut-app", "secret.read") == []


async def test_one_that_ends_now_ends_now(acme: Node) -> None:
    browser = await window(acme)
    secret = newest(await make(browser, await browser.open(SHUT), old="now"))
    assert await works(acme, "shut-app", secret)
    await acme.hear()
    assert not await works(acme, "shut-app", CLIENT_SECRET)


async def test_a_third_is_refused_by_a_sentence_that_names_the_two(acme: Node) -> None:
    browser = await window(acme)
    await make(browser, await browser.open(SHUT), old="keep", label="the second")
    page = await browser.open(SHUT)
    refused = await make(browser, page, old="keep")
    assert refused.status == 409
    assert "shut-app has two live secrets already: cs_" in refused.text
    assert "the second" in refused.text
    assert "platform file" in refused.text
    both = newest(await make(browser, refused, old="now"))
    await acme.hear()
    assert await works(acme, "shut-app", both)
    assert not await works(acme, "shut-app", CLIENT_SECRET)


async def test_a_form_that_is_sent_twice_makes_one_secret(acme: Node) -> None:
    browser = await window(acme)
    page = await browser.open(SHUT)
    secret = newest(await make(browser, page, old="now"))
    twice = await make(browser, page, old="now")
    assert twice.status == 400
    assert "nothing was made a second time" in Page(twice.text).text
    await acme.hear()
    assert await works(acme, "shut-app", secret)


@pytest.mark.parametrize("csrf", ["", "x"])
async def test_a_forged_form_makes_nothing(acme: Node, csrf: str) -> None:
    browser = await window(acme)
    before = await acts(acme, "shut-app", "secret.added")
    answer = await make(browser, await browser.open(SHUT), csrf=csrf)
    assert (answer.status, await acts(acme, "shut-app", "secret.added")) == (400, before)


async def test_a_form_of_one_app_or_session_is_none_of_another(acme: Node) -> None:
    browser, other = await window(acme), await window(acme)
    page = await browser.open(SHUT)
    form = next(form for form in Page(page.text).forms if form.has("label"))
    for who, path in ((browser, OPEN), (other, SHUT)):
        answer = await who.send("POST", path, encoded(form.filled({"choice": "continue"})), FORM)
        assert answer.status == 400
    cross = await browser.send("POST", SHUT, encoded(form.filled({"choice": "continue"})), FORM, ("sec-fetch-site", "cross-site"))
    assert cross.status == 403


async def test_the_download_is_a_file_that_nobody_keeps(acme: Node) -> None:
    browser = await window(acme)
    answer = await make(browser, await browser.open(SHUT), choice="download")
    assert answer.header("content-disposition") == 'attachment; filename="shut-app.secret.txt"'
    assert answer.header("cache-control") == "no-store"
    first, second = answer.text.splitlines()
    assert first == "client_id=shut-app"
    assert await works(acme, "shut-app", second.removeprefix("client_secret="))


async def test_one_secret_is_ended_by_its_button(acme: Node) -> None:
    browser = await window(acme)
    page = await browser.open(SHUT)
    form = next(form for form in Page(page.text).forms if form.has("secret"))
    answer = await browser.send("POST", form.action, encoded(form.filled({"choice": "end"})), FORM)
    assert (answer.status, answer.header("location")) == (303, SHUT)
    await acme.hear()
    assert not await works(acme, "shut-app", CLIENT_SECRET)
    assert "There is no live secret" in (await browser.open(SHUT)).text


async def test_a_secret_of_another_app_is_not_ended_here(acme: Node) -> None:
    browser = await window(acme)
    number = await acme.number("SELECT c.id FROM credential c JOIN client k ON k.id = c.holder WHERE k.client_id = 'open-app'")
    page = await browser.open(SHUT)
    form = next(form for form in Page(page.text).forms if form.has("secret"))
    await browser.send("POST", SHUT, encoded(form.filled({"choice": "end", "secret": ids.show(ids.SECRET, number or 0)})), FORM)
    await acme.hear()
    assert await works(acme, "open-app", CLIENT_SECRET)


async def test_what_may_not_be_read_any_more_is_gone(acme: Node) -> None:
    off = PLATFORM.replace(
        'secret_readable = true\nowner = { user = "ann@acme.test", account',
        'secret_readable = false\nowner = { user = "ann@acme.test", account',
    )
    await acme.apply(off)
    assert (
        await acme.number(
            "SELECT count(*) FROM credential c JOIN client k ON k.id = c.holder WHERE k.client_id = 'open-app' AND c.wrapped IS NOT NULL"
        )
        == 0
    )
    await acme.apply(PLATFORM)
    page = await (await window(acme)).open(OPEN)
    assert shown(page) == []


# ---------------------------------------------------------------- a program


async def test_a_program_reads_and_makes_a_secret_with_a_token(acme: Node) -> None:
    read = await acme.get(OPEN, bearer(await token(acme)))
    assert read.status == 200
    assert read.json["client_secret"] == CLIENT_SECRET
    assert (read.json["client_id"], read.json["readable"], read.json["client_secret_expires_at"]) == ("open-app", True, 0)
    assert [one["label"] for one in read.json["secrets"]] == ["platform file"]
    assert read.header("cache-control") == "no-store"
    assert len(await acts(acme, "open-app", "secret.read")) == 1
    made = await acme.post(OPEN, {}, bearer(await token(acme, "gw:client_secrets:write")))
    assert made.status == 201
    await acme.hear()
    again = await acme.get(OPEN, bearer(await token(acme)))
    assert again.json["client_secret"] == made.json["client_secret"]
    assert await works(acme, "open-app", made.json["client_secret"])
    assert not await works(acme, "open-app", CLIENT_SECRET)


async def test_a_program_lets_the_old_secret_go_on_for_a_while(acme: Node) -> None:
    writing = bearer(await token(acme, "gw:client_secrets:write"))
    made = await acme.post(SHUT, {"overlap": "12h", "label": "next", "expires_in": "86400"}, writing)
    assert made.status == 201
    ends = {one["label"]: one["expires_at"] for one in made.json["secrets"]}
    now = acme.house.clock.moment().now
    assert ends == {"platform file": now + 43_200, "next": now + 86_400}
    refused = await acme.post(SHUT, {"overlap": "keep"}, writing)
    assert refused.error == (409, "invalid_request")
    assert "two live secrets already" in refused.json["error_description"]


@pytest.mark.parametrize("form", [{"overlap": "soon"}, {"expires_in": "0"}, {"expires_in": "-1"}, {"expires_in": "1e3"}, {"overlap": "7"}])
async def test_what_a_program_says_wrongly_changes_nothing(acme: Node, form: dict[str, str]) -> None:
    answer = await acme.post(SHUT, form, bearer(await token(acme, "gw:client_secrets:write")))
    assert answer.error == (400, "invalid_request")
    assert len(await acts(acme, "shut-app", "secret.added")) == 1


async def test_a_program_is_told_that_a_secret_cannot_be_read_again(acme: Node) -> None:
    answer = await acme.get(SHUT, bearer(await token(acme)))
    assert answer.status == 200
    assert "client_secret" not in answer.json
    assert answer.json["readable"] is False
    assert "POST" in answer.json["hint"]


async def test_reading_is_no_right_to_make(acme: Node) -> None:
    answer = await acme.post(OPEN, {}, bearer(await token(acme)))
    assert answer.error == (403, "insufficient_scope")
    assert 'scope="gw:client_secrets:write"' in (answer.header("www-authenticate") or "")
    answer = await acme.get(OPEN, bearer(await token(acme, "gw:client_secrets:write")))
    assert answer.error == (403, "insufficient_scope")


@pytest.mark.parametrize("header", ["Bearer x", "Bearer ", "Basic eDp5", "nonsense", "Bearer gwa_AAAA"])
async def test_a_token_that_is_none_is_refused_whatever_cookies_come_along(acme: Node, header: str) -> None:
    session = f"{SESSION}={await sign_in(acme)}"
    answer = await acme.ask("GET", OPEN, headers=(("authorization", header), ("cookie", session)))
    assert answer.status == 401
    assert (answer.header("www-authenticate") or "").startswith("Bearer")
    assert CLIENT_SECRET not in answer.text


async def test_a_token_of_somebody_else_or_for_another_account_finds_nothing(acme: Node) -> None:
    for email, account in (("dev@acme.test", "acme-dev"),):
        answer = await acme.get(SHUT, bearer(await token(acme, email=email, account=account)))
        assert answer.error == (404, "not_found")
    more = HEAD + '[[users]]\nemail = "ann@acme.test"\nmemberships = [{ account = "acme-prod", roles = ["Developer"] }]\n'
    await acme.apply(more)
    answer = await acme.get(OPEN, bearer(await token(acme, account="acme-prod")))
    assert answer.error == (404, "not_found"), "a token speaks for one account"


async def test_no_other_api_has_a_scope_of_that_name(acme: Node) -> None:
    from gatewright.base.check import Faults

    other = HEAD + '[[apis]]\naudience = "https://x.acme.test"\nname = "X"\n[apis.scopes]\n"gw:client_secrets:read" = "Read"\n'
    with pytest.raises(Faults):
        await acme.apply(other)


async def test_a_client_with_a_token_of_its_own_is_nobodys_owner(acme: Node) -> None:
    answer = await acme.post("/token", {"grant_type": "client_credentials", "scope": "read:images"}, basic("image-copier"))
    assert (await acme.get(OPEN, bearer(answer.json["access_token"]))).status == 403


# ---------------------------------------------------------------- tenants


async def test_an_app_of_another_tenant_is_unknown_here(acme: Node) -> None:
    answer = await acme.get(OPEN, bearer(await token(acme)), host=GLOBEX)
    assert answer.status == 401, "a token of here is no token there"
    there = await window(acme, "ann@acme.test", GLOBEX)
    assert (await there.open(OPEN)).status == 404
    assert (await there.open("/open-app/secret")).status == 404


async def test_no_secret_is_in_the_log_or_the_audit(acme: Node) -> None:
    browser = await window(acme)
    made = newest(await make(browser, await browser.open(SHUT), old="now"))
    await acme.get(OPEN, bearer(await token(acme)))
    details = [entry.detail for entry in await entries(acme.house.store, await acme.tenant(), count=500)]
    said = "\n".join([*acme.lines, *details])
    for secret in (made, CLIENT_SECRET, *ENVIRON.values()):
        assert secret not in said
