"""Apps of the marketplace over HTTP, in the shapes that seed 000 prints: install, exchange by JSON, tokens until revoked, uninstall."""

from __future__ import annotations

import msgspec
import pytest

from gatewright.market import leaving
from gatewright.market.apps import app_named, block, unblock, withdraw
from gatewright.users.book import enable_user
from tests.http.talk import BANK_API, FORM
from tests.http.window import Window, form_of
from tests.support.approving import user
from tests.support.apps import JSON, REDIRECT, add_app, exchange, install, installed, publish, signed_in, told
from tests.support.house import ACME, CLIENT_SECRET, GLOBEX, Answer, Node, basic, bearer
from tests.support.visitor import Page


async def introspect(node: Node, token: str) -> Answer:
    return await node.post("/introspect", {"token": token}, BANK_API)


async def scope_of(node: Node, token: str) -> str | None:
    """What a token may do today; None where it is over."""
    answer = await introspect(node, token)
    return str(answer.json["scope"]) if answer.json["active"] else None


async def uninstall(node: Node, number: str, *headers: tuple[str, str], host: str = ACME) -> Answer:
    return await node.ask("DELETE", f"/-/installs/{number}", headers=headers, host=host)


# ---------------------------------------------------------------- install


async def test_an_install_page_says_what_is_asked_and_in_whose_words_why(node: Node) -> None:
    await add_app(node)
    window = Window(node)
    page = await window.open("/reporter/install")
    assert "Sign in" in page.text
    page = await window.sign_in(page)
    assert form_of(page).has("account"), "a user of two accounts chooses"
    chosen = next(one.value for one in form_of(page).named("account") if "acme-dev" in one.label.split())
    page = await window.submit(page, {"account": chosen, "choice": "continue"})
    for words in ("Install", "Reporter", "A report of your accounts each week", "See your balance", "To put your balance into the report"):
        assert words in page.text
    assert [one.value for one in form_of(page).named("scope")] == ["transfer:funds"], "what is required cannot be unticked"


async def test_an_approved_install_sends_the_user_to_the_app_with_a_code_once(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    answer = await window.allow_all(await window.open("/reporter/install?state=s"))
    assert (answer.header("location") or "").startswith(f"{REDIRECT}?code=gwc_")
    found = told(answer)
    assert set(found) == {"code", "install_id", "state", "iss"}
    assert (found["state"], found["iss"]) == ("s", "https://id.acme.test")
    assert found["install_id"].startswith("in_")


async def test_without_a_state_none_is_sent_back(node: Node) -> None:
    await add_app(node)
    assert set(await install(await signed_in(node))) == {"code", "install_id", "iss"}


async def test_the_curl_of_the_seed_buys_a_token_that_is_good_until_it_is_revoked(node: Node) -> None:
    await add_app(node)
    found = await install(await signed_in(node))
    data = f'{{"client_id":"reporter","client_secret":"{CLIENT_SECRET}","code":"{found["code"]}"}}'
    answer = await node.ask("POST", "/token", headers=(("Content-Type", "application/json"),), body=data.encode())
    bought = answer.json
    assert answer.status == 200
    assert bought == {
        "access_token": bought["access_token"],
        "token_type": "Bearer",
        "scope": "read:balance transfer:funds",
        "account_id": bought["account_id"],
        "account": "acme-dev",
        "install_id": found["install_id"],
        "granted_scopes": ["read:balance", "transfer:funds"],
        "declined_scopes": [],
    }
    assert bought["access_token"].startswith("gwt_")
    node.time.pass_(400 * 86_400)
    assert await scope_of(node, bought["access_token"]) == "read:balance transfer:funds"


async def test_what_was_unticked_is_declined_and_told(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    page = await window.open("/reporter/install?account=acme-dev")
    answer = await window.submit(page, {"scope": [], "choice": "allow"})
    bought = (await exchange(node, told(answer)["code"])).json
    assert (bought["scope"], bought["granted_scopes"], bought["declined_scopes"]) == ("read:balance", ["read:balance"], ["transfer:funds"])


async def test_a_form_that_leaves_out_what_is_required_gives_it_all_the_same(node: Node) -> None:
    await add_app(node, scopes=["read:balance"])
    window = await signed_in(node)
    page = await window.open("/reporter/install?account=acme-dev")
    bought = (await exchange(node, told(await window.submit(page, {"choice": "allow"}))["code"])).json
    assert bought["granted_scopes"] == ["read:balance"]


async def test_a_no_is_told_to_the_app_and_nothing_is_installed(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    found = told(await window.submit(await window.open("/reporter/install?account=acme-dev&state=s"), {"choice": "deny"}))
    assert (found["error"], found["state"]) == ("access_denied", "s")
    assert await node.number("SELECT COUNT(*) FROM install") == 0


async def test_whose_role_does_not_give_what_is_required_cannot_install(node: Node) -> None:
    await add_app(node, scopes=["read:reports"])
    window = await signed_in(node)
    found = told(await window.allow_all(await window.open("/reporter/install"), "acme-prod"))
    assert found["error"] == "access_denied"
    assert "read:reports" in found["error_description"]
    assert (await installed(node, window))["scope"] == "read:reports"


async def test_what_is_optional_and_not_the_users_to_give_is_left_out(node: Node) -> None:
    await add_app(node, scopes=["openid", {"scope": "read:reports", "required": False}])
    window = await signed_in(node)
    page = await window.open("/reporter/install?account=acme-prod")
    assert "Left out" in page.text
    bought = (await exchange(node, told(await window.allow_all(page))["code"])).json
    assert bought["scope"] == "openid"


async def test_an_app_installed_before_is_asked_about_again_each_time(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    await installed(node, window)
    page = await window.open("/reporter/install?account=acme-dev")
    assert "It is installed in this account already" in page.text
    silent = await window.open(
        "/authorize?response_type=code&client_id=reporter&redirect_uri=https%3A%2F%2Freporter.example%2Finstalled&prompt=none&account=acme-dev"
    )
    assert told(silent)["error"] == "consent_required"


async def test_an_app_that_asks_for_nothing_is_installed_without_consent_and_token(node: Node) -> None:
    await add_app(node, "notes", name="Notes", auth=None, launch_uri="https://notes.example/")
    window = Window(node)
    page = await window.sign_in(await window.open("/notes/install"))
    assert "It asks for no access to your data" in page.text
    form = form_of(page)
    chosen = next(one.value for one in form.named("account") if "acme-prod" in one.label.split())
    done = await window.submit(page, {"account": chosen, "choice": "continue"})
    assert "Notes is installed" in Page(done.text).text
    assert "https://notes.example/" in done.text
    assert await node.number("SELECT COUNT(*) FROM install WHERE consent_grant = 0 AND state = 'active'") == 1
    assert await node.number("SELECT COUNT(*) FROM authorization_row") == 0
    await window.submit(page, {"account": chosen, "choice": "continue"})
    assert await node.number("SELECT COUNT(*) FROM install") == 1, "twice is once"
    access = await window.open("/-/access")
    assert "Notes" in access.text


@pytest.mark.parametrize("field", ["csrf", "account", "step"])
async def test_a_forged_form_installs_nothing(node: Node, field: str) -> None:
    await add_app(node, "notes", auth=None)
    window = await signed_in(node)
    page = await window.open("/notes/install")
    await window.submit(page, {"account": form_of(page).named("account")[0].value, "choice": "continue", field: "x"})
    assert await node.number("SELECT COUNT(*) FROM install") == 0


async def test_there_is_a_page_for_an_app_that_is_not_there_or_not_offered(node: Node) -> None:
    await add_app(node)
    for path in ("/nothing/install", "/nothing/authorize", "/budget-buddy/install"):
        answer = await node.get(path)
        assert (answer.status, "There is no such app here" in answer.text) == (404, True)
    await manage(node, withdraw)
    answer = await node.get("/reporter/install")
    assert (answer.status, "is not offered any more" in answer.text) == (410, True)


async def manage(node: Node, act: object) -> None:
    """Do something to the app, as an admin."""
    tenant = await node.tenant()
    found = await app_named(node.house.store, tenant, "reporter")
    assert found is not None
    await node.manage(tenant, act, found[1])  # type: ignore[arg-type]  # each of them takes a client
    await node.hear()


# ---------------------------------------------------------------- the exchange


async def test_a_form_without_a_grant_type_does_as_well(node: Node) -> None:
    await add_app(node)
    code = (await install(await signed_in(node)))["code"]
    answer = await node.post("/token", {"code": code}, basic("reporter"))
    assert answer.json["access_token"].startswith("gwt_")


async def test_pkce_is_not_needed_and_honoured_when_sent(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    query = f"/reporter/authorize?account=acme-dev&code_challenge={challenge}&code_challenge_method=S256"
    code = told(await window.allow_all(await window.open(query)))["code"]
    assert (await exchange(node, code)).error == (400, "invalid_grant")
    assert (await exchange(node, code, code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")).status == 200


async def test_a_code_buys_once_and_its_replay_ends_the_token(node: Node) -> None:
    await add_app(node)
    code = (await install(await signed_in(node)))["code"]
    token = (await exchange(node, code)).json["access_token"]
    assert (await exchange(node, code)).error == (400, "invalid_grant")
    assert await scope_of(node, token) is None


async def test_a_code_is_good_for_its_own_app_and_for_a_minute(node: Node) -> None:
    await add_app(node)
    await add_app(node, "other", version="2")
    window = await signed_in(node)
    code = (await install(window))["code"]
    assert (await exchange(node, code, "other")).error == (400, "invalid_grant")
    assert (await exchange(node, code)).status == 200
    late = (await install(window))["code"]
    node.time.pass_(61)
    assert (await exchange(node, late)).error == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body is no JSON"),
        (b"[]", "the body is a JSON object of texts"),
        (b'"x"', "the body is a JSON object of texts"),
        (b"", "the body is no JSON"),
        (b'{"code": 7}', "the parameter 'code' is no text"),
        (b'{"code": null}', "the parameter 'code' is no text"),
        (b'{"code": ["a"]}', "the parameter 'code' is no text"),
        (b'{"code": {"a": "b"}}', "the parameter 'code' is no text"),
        (b'{"code": "a", "code": "a"}', "the parameter 'code' was sent more than once"),
        (b'{"x": "a", "x": "a"}', "the parameter 'x' was sent more than once"),
        (b'{"code": "a\\u0000b"}', "a parameter contains a NUL character"),
        (b'{"code": "\\ud800"}', "the parameters are not UTF-8"),
        (b'{"code": "\xff"}', "the parameters are not UTF-8"),
        (b"[" * 40_000, "the body is no JSON"),
        (msgspec.json.encode({f"n{n}": "x" for n in range(65)}), "more than 64 parameters were sent"),
    ],
)
async def test_a_body_that_is_no_object_of_texts_is_refused_with_a_sentence(node: Node, body: bytes, said: str) -> None:
    await add_app(node)
    answer = await node.ask("POST", "/token", headers=(JSON,), body=body)
    assert answer.error == (400, "invalid_request")
    assert said in answer.json["error_description"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;charset=UTF-8", 200),
        ("application/json; charset=latin-1", 415),
        ("application/json, text/plain", 415),
        ("application/problem+json", 415),
        ("text/json", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
async def test_a_body_is_json_only_where_it_says_exactly_so(node: Node, kind: str, status: int) -> None:
    await add_app(node)
    code = (await install(await signed_in(node)))["code"]
    body = msgspec.json.encode({"client_id": "reporter", "client_secret": CLIENT_SECRET, "code": code})
    assert (await node.ask("POST", "/token", headers=(("content-type", kind),), body=body)).status == status


async def test_json_is_for_apps_alone(node: Node) -> None:
    body = msgspec.json.encode(
        {"client_id": "budget-buddy", "client_secret": CLIENT_SECRET, "code": "x", "grant_type": "authorization_code"}
    )
    answer = await node.ask("POST", "/token", headers=(JSON,), body=body)
    assert answer.error == (415, "invalid_request")
    assert "application/x-www-form-urlencoded" in answer.json["error_description"]
    for path in ("/introspect", "/revoke"):
        assert (await node.ask("POST", path, headers=(JSON,), body=b"{}")).status == 415


async def test_without_a_grant_type_nobody_but_an_app_is_answered(node: Node) -> None:
    answer = await node.post("/token", {"code": "x"}, basic("budget-buddy"))
    assert answer.error == (400, "invalid_request")
    assert "grant_type" in answer.json["error_description"]


async def test_json_of_a_stranger_is_told_so(node: Node) -> None:
    assert (await exchange(node, "gwc_x", "nobody")).error == (401, "invalid_client")
    await add_app(node)
    assert (await exchange(node, "gwc_x", client_secret="wrong-secret-of-thirty-two-characters")).error == (401, "invalid_client")


async def test_two_kinds_of_credentials_are_refused_and_the_query_is_not_read(node: Node) -> None:
    await add_app(node)
    code = (await install(await signed_in(node)))["code"]
    body = msgspec.json.encode({"client_id": "reporter", "client_secret": CLIENT_SECRET, "code": code})
    answer = await node.ask("POST", "/token", headers=(JSON, basic("reporter")), body=body)
    assert answer.error == (400, "invalid_request")
    bare = msgspec.json.encode({"client_id": "reporter", "client_secret": CLIENT_SECRET})
    answer = await node.ask("POST", f"/token?code={code}", headers=(JSON,), body=bare)
    assert answer.error == (400, "invalid_request")
    assert (await exchange(node, code)).status == 200


@pytest.mark.parametrize("path", ["/o/token/", "/oauth/token", "/token"])
async def test_the_exchange_answers_at_the_paths_of_every_preset(node: Node, path: str) -> None:
    await add_app(node)
    code = (await install(await signed_in(node)))["code"]
    body = msgspec.json.encode({"client_id": "reporter", "client_secret": CLIENT_SECRET, "code": code})
    assert (await node.ask("POST", path, headers=(JSON,), body=body)).status == 200


async def test_an_app_at_an_api_of_jwts_renews_its_access(node: Node) -> None:
    await add_app(node, scopes=["view:events"])
    bought = await installed(node)
    assert bought["access_token"].count(".") == 2
    renewed = await node.post("/token", {"grant_type": "refresh_token", "refresh_token": bought["refresh_token"]}, basic("reporter"))
    assert renewed.status == 200
    await installed(node)
    again = {"grant_type": "refresh_token", "refresh_token": renewed.json["refresh_token"]}
    assert (await node.post("/token", again, basic("reporter"))).error == (400, "invalid_grant"), "reinstalled"


# ---------------------------------------------------------------- until revoked


async def test_a_reinstall_replaces_the_token_when_the_new_one_is_issued_and_not_before(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    first = await installed(node, window)
    found = await install(window)
    assert found["install_id"] == first["install_id"], "it is the same installation"
    assert await scope_of(node, first["access_token"]) is not None
    second = (await exchange(node, found["code"])).json
    assert await scope_of(node, first["access_token"]) is None
    assert await scope_of(node, second["access_token"]) == "read:balance transfer:funds"
    assert await node.number("SELECT COUNT(*) FROM install") == 1


async def test_each_account_has_an_install_of_its_own(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    dev, prod = await installed(node, window, "acme-dev"), await installed(node, window, "acme-prod")
    assert dev["install_id"] != prod["install_id"]
    assert (await uninstall(node, dev["install_id"], basic("reporter"))).status == 200
    assert await scope_of(node, dev["access_token"]) is None
    assert await scope_of(node, prod["access_token"]) is not None


async def test_the_user_uninstalls_and_the_token_is_dead_at_once(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    bought = await installed(node, window)
    page = await window.open("/-/access")
    assert "Installed apps" in page.text
    form = next(form for form in Page(page.text).forms if form.action == "/-/access/uninstall")
    body = "&".join(f"{one.name}={one.value}" for one in form.controls if one.name).encode()
    done = await window._follow(await window.send("POST", form.action, body, FORM))
    assert "The app is uninstalled" in done.text
    assert await scope_of(node, bought["access_token"]) is None
    assert "Reporter" not in (await window.open("/-/access")).text
    again = await installed(node, window)
    assert again["install_id"] != bought["install_id"]


@pytest.mark.parametrize("credentials", ["client", "token"])
async def test_the_app_uninstalls_itself_and_twice_is_once(node: Node, credentials: str) -> None:
    await add_app(node)
    bought = await installed(node)
    header = basic("reporter") if credentials == "client" else bearer(bought["access_token"])
    answer = await uninstall(node, bought["install_id"], header)
    assert (answer.status, answer.json) == (200, {"install_id": bought["install_id"], "state": "ended"})
    assert await scope_of(node, bought["access_token"]) is None
    again = await uninstall(node, bought["install_id"], header)
    assert again.status == (200 if credentials == "client" else 401)
    assert await node.number("SELECT COUNT(*) FROM audit WHERE act = 'install.ended'") == 1


async def test_nobody_else_uninstalls(node: Node) -> None:
    await add_app(node)
    await add_app(node, "other", version="2")
    window = await signed_in(node)
    mine, other = await installed(node, window), await installed(node, window, slug="other")
    for headers, status in (
        ([basic("other")], 404),
        ([bearer(other["access_token"])], 404),
        ([basic("reporter", "wrong-secret-of-thirty-two-characters")], 401),
        ([basic("budget-buddy")], 404),
        ([bearer("gwt_x")], 401),
        ([], 401),
    ):
        assert (await uninstall(node, mine["install_id"], *headers)).status == status
    assert (await uninstall(node, "in_0000000000000", basic("reporter"))).status == 404
    assert (await uninstall(node, "x", basic("reporter"))).status == 404
    assert await scope_of(node, mine["access_token"]) is not None


async def test_a_token_of_one_account_does_not_uninstall_in_another(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    dev, prod = await installed(node, window, "acme-dev"), await installed(node, window, "acme-prod")
    assert (await uninstall(node, prod["install_id"], bearer(dev["access_token"]))).status == 404


async def test_a_user_who_is_disabled_takes_the_apps_along_and_comes_back_without_them(node: Node) -> None:
    await add_app(node)
    bought = await installed(node)
    tenant, ann = await node.tenant(), await user(node, "ann@acme.test")
    await node.manage(tenant, leaving.disable_user, ann)
    assert await scope_of(node, bought["access_token"]) is None
    await node.manage(tenant, enable_user, ann)
    assert await scope_of(node, bought["access_token"]) is None
    assert await node.number("SELECT COUNT(*) FROM install WHERE ended_at IS NULL") == 0
    assert "Reporter" not in (await (await signed_in(node)).open("/-/access")).text
    assert (await installed(node))["install_id"] != bought["install_id"]


async def test_a_blocked_app_has_nothing_and_gets_nothing_and_comes_back_without_it(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    bought = await installed(node, window)
    await manage(node, block)
    assert await scope_of(node, bought["access_token"]) is None
    assert (await node.get("/reporter/install")).status == 410
    assert "kept out by the operator" in (await window.open("/-/access")).text
    await manage(node, unblock)
    assert await scope_of(node, bought["access_token"]) is None
    assert "has no access at present" in (await window.open("/-/access")).text
    assert await scope_of(node, (await installed(node, window))["access_token"]) is not None


async def test_a_withdrawn_app_goes_on_where_it_is_installed(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    bought = await installed(node, window)
    await manage(node, withdraw)
    assert await scope_of(node, bought["access_token"]) is not None
    answer = await window.open("/authorize?response_type=code&client_id=reporter&redirect_uri=https%3A%2F%2Freporter.example%2Finstalled")
    assert told(answer)["error"] == "unauthorized_client"


# ---------------------------------------------------------------- more scopes in a new version

MORE = [{"scope": "read:balance"}, {"scope": "transfer:funds", "reason": "To pay your bills", "required": False}]


async def test_an_old_grant_keeps_what_it_had_and_a_new_install_gets_the_new_set(node: Node) -> None:
    await add_app(node, scopes=["read:balance"])
    window = await signed_in(node)
    old = await installed(node, window)
    await publish(node, scopes=MORE)
    assert await scope_of(node, old["access_token"]) == "read:balance"
    new = await installed(node, window, "acme-prod")
    assert new["granted_scopes"] == ["read:balance", "transfer:funds"]


async def test_an_update_is_offered_with_the_difference_and_the_reason_and_approving_it_widens_the_very_token(node: Node) -> None:
    await add_app(node, scopes=["read:balance"])
    window = await signed_in(node)
    bought = await installed(node, window)
    await publish(node, scopes=MORE)
    page = await window.open("/-/access")
    assert "A new version asks for more: Send money" in Page(page.text).text
    page = await window.open(f"/-/update?install={bought['install_id']}")
    for words in ("asks for more", "Send money", "To pay your bills"):
        assert words in page.text
    assert "See your balance" not in page.text, "only the difference is asked"
    done = await window.submit(page, {"scope": ["transfer:funds"], "choice": "allow"})
    assert "The app may do more from now on" in done.text
    assert await scope_of(node, bought["access_token"]) == "read:balance transfer:funds"
    assert "Review the update" not in done.text
    assert await node.number("SELECT COUNT(*) FROM audit WHERE act = 'install.updated'") == 1


async def test_an_update_can_be_declined_in_part_or_put_off(node: Node) -> None:
    await add_app(node, scopes=["read:balance"])
    window = await signed_in(node)
    bought = await installed(node, window)
    await publish(node, scopes=MORE)
    page = await window.open(f"/-/update?install={bought['install_id']}")
    later = await window.submit(page, {"choice": "deny"})
    assert "Review the update" in later.text
    page = await window.open(f"/-/update?install={bought['install_id']}")
    done = await window.submit(page, {"scope": [], "choice": "allow"})
    assert "Review the update" not in done.text, "a no is remembered"
    assert await scope_of(node, bought["access_token"]) == "read:balance"


async def test_an_update_that_changed_while_it_was_read_is_shown_again(node: Node) -> None:
    await add_app(node, scopes=["read:balance"])
    window = await signed_in(node)
    bought = await installed(node, window)
    await publish(node, scopes=MORE)
    page = await window.open(f"/-/update?install={bought['install_id']}")
    await publish(node, version="1.2.0", scopes=["read:balance", "transfer:funds"])
    again = await window.submit(page, {"scope": ["transfer:funds"], "choice": "allow"})
    assert "asks for more" in again.text
    assert await scope_of(node, bought["access_token"]) == "read:balance"


async def test_reinstalling_gives_the_new_set_as_well(node: Node) -> None:
    await add_app(node, scopes=["read:balance"])
    window = await signed_in(node)
    await installed(node, window)
    await publish(node, scopes=MORE)
    assert (await installed(node, window))["granted_scopes"] == ["read:balance", "transfer:funds"]
    assert "Review the update" not in (await window.open("/-/access")).text


async def test_a_version_that_asks_for_less_takes_nothing_until_the_app_is_installed_anew(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    old = await installed(node, window)
    await publish(node, scopes=["read:balance"])
    assert await scope_of(node, old["access_token"]) == "read:balance transfer:funds"
    assert (await installed(node, window))["granted_scopes"] == ["read:balance"]


async def test_nobody_updates_what_acts_for_somebody_else(node: Node) -> None:
    await add_app(node, scopes=["read:balance"])
    bought = await installed(node)
    await publish(node, scopes=MORE)
    ben = Window(node)
    await ben.sign_in(await ben.open("/-/sign-in"), "ben@acme.test", "a staple of no correct horse")
    page = await ben.open(f"/-/update?install={bought['install_id']}")
    assert "Your access" in page.text
    assert "asks for more" not in page.text


# ---------------------------------------------------------------- tenants


async def test_nothing_of_an_app_is_visible_or_usable_in_another_tenant(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    found = await install(window)
    assert (await node.get("/reporter/install", host=GLOBEX)).status == 404
    assert (await exchange(node, found["code"], host=GLOBEX)).error == (401, "invalid_client")
    bought = (await exchange(node, found["code"])).json
    await add_app(node, host=GLOBEX, scopes=["read:balance"])
    assert (await uninstall(node, bought["install_id"], basic("reporter"), host=GLOBEX)).status == 404
    assert (await uninstall(node, bought["install_id"], bearer(bought["access_token"]), host=GLOBEX)).status == 401
    assert await scope_of(node, bought["access_token"]) is not None


async def test_the_schema_of_manifests_is_published_at_every_issuer(node: Node) -> None:
    for host in (ACME, GLOBEX):
        answer = await node.get("/-/schemas/app-manifest.json", host=host)
        assert answer.header("access-control-allow-origin") == "*"
        assert answer.header("cache-control") == "public, max-age=300"
        assert set(answer.json["$defs"]["Manifest"]["required"]) == {"name", "description", "version"}


async def test_an_app_withdrawn_while_its_page_is_read_is_not_installed(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    page = await window.open("/reporter/install?account=acme-dev")
    await manage(node, withdraw)
    answer = await window.submit(page, {"choice": "allow"})
    assert (answer.status, "was withdrawn meanwhile" in answer.text) == (400, True)
    assert await node.number("SELECT COUNT(*) FROM install") == 0


async def test_a_version_published_while_its_page_is_read_is_shown_again(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    page = await window.open("/reporter/install?account=acme-dev")
    await publish(node, description="Something else altogether")
    again = await window.submit(page, {"choice": "allow"})
    assert "Something else altogether" in again.text
    assert await node.number("SELECT COUNT(*) FROM consent_grant") == 0


async def test_the_token_given_back_leaves_an_install_that_says_so(node: Node) -> None:
    await add_app(node)
    window = await signed_in(node)
    bought = await installed(node, window)
    await node.post("/revoke", {"token": bought["access_token"]}, basic("reporter"))
    assert await scope_of(node, bought["access_token"]) is None
    page = await window.open("/-/access")
    assert "has no access at present" in page.text
    assert "/reporter/install" in page.text
