"""`/v1/me`: whose token it is and for which account, as JSON:API or as plain JSON (seed 002)."""

from __future__ import annotations

import msgspec
import pytest

from gatewright.base import ids
from tests.http.doors import bought, furnished
from tests.http.talk import ORIGIN, serve, tokens
from tests.support.house import ACME, GLOBEX, Answer, Node, basic, bearer

KIND = "application/vnd.api+json"
JSON = "application/json"
EXT = f'{KIND};ext="https://jsonapi.org/ext/version"'


async def asked(node: Node, accept: str | None = KIND, *more: tuple[str, str], token: str | None = None, method: str = "GET") -> Answer:
    """Ask who a token is."""
    token = token or (await tokens(node, "openid profile email read:balance"))["access_token"]
    named = [] if accept is None else [("accept", accept)]
    return await node.ask(method, "/v1/me", headers=(bearer(token), *named, *more))


def document(answer: Answer) -> dict[str, object]:
    assert answer.header("content-type") == KIND
    return msgspec.json.decode(answer.body, type=dict[str, object])


@pytest.mark.proves("JSON API 1.1", "7")
async def test_it_tells_the_user_and_the_account_in_the_words_of_seed_002(node: Node) -> None:
    answer = await asked(node)
    found = document(answer)
    ann = await node.number("SELECT id FROM person WHERE email = 'ann@acme.test' ORDER BY id LIMIT 1")
    dev = await node.number("SELECT id FROM account WHERE slug = 'acme-dev' ORDER BY id LIMIT 1")
    assert ann is not None
    assert dev is not None
    assert found == {
        "jsonapi": {"version": "1.1"},
        "data": {
            "type": "users",
            "id": ids.show(ids.USER, ann),
            "attributes": {
                "name": "Ann Example",
                "email": "ann@acme.test",
                "account-id": ids.show(ids.ACCOUNT, dev),
                "account-slug": "acme-dev",
                "client-id": "budget-buddy",
                "scopes": ["openid", "profile", "email", "read:balance"],
            },
        },
    }
    assert answer.header("cache-control") == "no-store"
    assert answer.header("vary") == "accept"


async def test_the_same_can_be_had_as_plain_json(node: Node) -> None:
    answer = await asked(node, JSON)
    assert (answer.header("content-type"), answer.header("vary")) == (JSON, "accept")
    assert {"sub", "kind", "account_id", "account", "client_id", "scope", "name", "email"} == set(answer.json)
    attributes = document(await asked(node))["data"]["attributes"]  # type: ignore[index] # as the test above has it
    assert (answer.json["account"], answer.json["account_id"]) == (attributes["account-slug"], attributes["account-id"])


async def test_a_service_user_by_its_password_learns_its_account(node: Node) -> None:
    await furnished(node)
    found = document(await asked(node, token=(await bought(node)).json["access_token"]))
    assert found["data"]["attributes"]["account-slug"] == "acme-prod"  # type: ignore[index] # as above
    assert "email" not in found["data"]["attributes"]  # type: ignore[index] # its scope was not asked for


async def test_a_service_user_by_client_credentials_is_the_same_user_in_the_same_account(node: Node) -> None:
    form = {"grant_type": "client_credentials", "scope": "read:reports"}
    token = (await node.post("/oauth/token", form, basic("night-job"))).json["access_token"]
    data = document(await asked(node, token=token))["data"]
    assert (data["type"], data["attributes"]["account-slug"]) == ("users", "acme-prod")  # type: ignore[index] # as above


async def test_a_service_without_a_user_is_itself_and_in_no_account(node: Node) -> None:
    data = document(await asked(node, token=(await serve(node)).json["access_token"]))["data"]
    assert (data["type"], data["id"]) == ("clients", "image-copier")  # type: ignore[index] # as above
    assert data["attributes"]["account-id"] is None  # type: ignore[index] # as above


async def test_name_and_address_are_told_only_where_their_scopes_were_granted(node: Node) -> None:
    answer = await asked(node, JSON, token=(await tokens(node, "read:balance"))["access_token"])
    assert {"name", "email"}.isdisjoint(answer.json)


# ---------------------------------------------------------------- Accept and Content-Type


@pytest.mark.proves("RFC 9110", "12.5.1")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, KIND),
        ("", KIND),
        ("*/*", KIND),
        ("application/*", KIND),
        (f"{KIND}, */*;q=0.1", KIND),
        (JSON, JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/json, */*", KIND),
        ("application/json, */*;q=0.9", JSON),
        (f"{JSON};q=0.5, {KIND};q=0.4", JSON),
        (f"{JSON};q=0.4, {KIND};q=0.5", KIND),
        (f"{KIND};q=0, */*", JSON),
        (f"{JSON};q=0, */*", KIND),
        (f'{KIND};profile="https://example.org/a https://example.org/b"', KIND),
        (f"{KIND};charset=utf-8, {KIND}", KIND),
        (f"{EXT}, {KIND};q=0.2", KIND),
        (f"{KIND};charset=utf-8, {JSON};q=0.1", JSON),
        ('text/html;level="1,2;q=0", application/json', JSON),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", KIND),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", KIND),
        (f"nonsense, {JSON}", JSON),
    ],
)
async def test_the_representation_is_the_one_that_is_wanted_most(node: Node, accept: str | None, kind: str) -> None:
    answer = await asked(node, accept)
    assert (answer.status, answer.header("content-type")) == (200, kind)


@pytest.mark.proves("RFC 9110", "15.5.7")
@pytest.mark.proves("JSON API 1.1", "5.4")
@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/xml, text/*",
        f"{KIND};charset=utf-8",
        f"{KIND};charset=utf-8, */*",
        f"{KIND};q=0",
        f"{KIND};q=0, {JSON};q=0.0",
        EXT,
        f"{EXT}, application/*",
        "nonsense",
        f"{KIND};q=2",
        "application",
    ],
)
async def test_what_nobody_wants_is_not_sent(node: Node, accept: str) -> None:
    answer = await asked(node, accept, ORIGIN)
    assert answer.status == 406
    assert KIND in answer.text
    assert JSON in answer.text
    assert (answer.header("vary"), answer.header("access-control-allow-origin")) == ("accept", "*")


@pytest.mark.proves("JSON API 1.1", "5.4")
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (KIND, 200),
        (f'{KIND};profile="https://example.org/a"', 200),
        (JSON, 200),
        ("text/plain; charset=utf-8", 200),
        (f"{KIND};charset=utf-8", 415),
        (f"{KIND.upper()} ; x=1", 415),
        (EXT, 415),
        (f'{KIND};ext=""', 200),
    ],
)
async def test_a_request_that_claims_to_be_jsonapi_keeps_to_it(node: Node, content_type: str, status: int) -> None:
    assert (await asked(node, KIND, ("content-type", content_type))).status == status


# ---------------------------------------------------------------- refusals


@pytest.mark.proves("RFC 6750", "3.1")
async def test_without_a_token_it_says_how_to_send_one(node: Node) -> None:
    answer = await node.get("/v1/me", ("accept", KIND))
    assert (answer.status, answer.header("www-authenticate")) == (401, 'Bearer realm="gatewright"')
    fault = document(answer)["errors"][0]  # type: ignore[index] # an error document
    assert (fault["status"], fault["code"], fault["title"]) == ("401", "invalid_token", "Unauthorized")
    assert "Authorization header" in fault["detail"]
    assert fault["id"] == answer.header("request-id")


async def test_a_token_that_is_over_is_told_why_and_a_stranger_is_not(node: Node) -> None:
    token = (await tokens(node, "read:balance"))["access_token"]
    node.time.pass_(7201)
    answer = await asked(node, token=token)
    assert answer.status == 401
    assert "expired" in (answer.header("www-authenticate") or "")
    assert "expired" in document(answer)["errors"][0]["detail"]  # type: ignore[index] # an error document
    plain = await asked(node, JSON, token="gwa_nothing")
    assert plain.error == (401, "invalid_token")
    assert plain.json["error_description"] == "The access token is not valid here."


async def test_a_good_token_from_a_wrong_place_is_403_and_says_so(node: Node) -> None:
    token = (await tokens(node, "read:balance", "office-only"))["access_token"]
    assert (await asked(node, token=token)).status == 200
    answer = await node.ask("GET", "/v1/me", headers=(bearer(token),), peer="198.51.100.1")
    assert answer.status == 403
    assert 'error="insufficient_scope"' in (answer.header("www-authenticate") or "")
    assert "scope=" not in (answer.header("www-authenticate") or "").replace("insufficient_scope", "")
    assert "may not be used from this address" in answer.text


async def test_a_token_of_another_tenant_is_a_strangers(node: Node) -> None:
    token = (await tokens(node, "read:balance"))["access_token"]
    answer = await node.ask("GET", "/v1/me", headers=(bearer(token), ("accept", JSON)), host=GLOBEX)
    assert answer.json["error_description"] == "The access token is not valid here."


async def test_the_address_never_carries_a_token(node: Node) -> None:
    token = (await tokens(node, "read:balance"))["access_token"]
    assert (await node.get(f"/v1/me?access_token={token}")).status == 401


async def test_other_methods_are_refused_and_head_is_answered_like_get(node: Node) -> None:
    answer = await node.ask("POST", "/v1/me", headers=(("content-type", KIND),))
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")
    assert (await asked(node, method="HEAD")).headers == (await asked(node)).headers


async def test_pages_of_any_origin_may_ask_with_a_token(node: Node) -> None:
    assert (await asked(node, KIND, ORIGIN)).header("access-control-allow-origin") == "*"
    preflight = (ORIGIN, ("access-control-request-method", "GET"), ("access-control-request-headers", "authorization, accept"))
    answer = await node.ask("OPTIONS", "/v1/me", headers=preflight, host=ACME)
    assert answer.status == 204
    assert "accept" in (answer.header("access-control-allow-headers") or "")


async def test_it_costs_one_statement(node: Node) -> None:
    token = (await tokens(node, "openid read:balance"))["access_token"]
    await asked(node, token=token)
    before = node.counts
    for accept in (KIND, JSON):
        await asked(node, accept, token=token)
    after = node.counts
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {"reads": 2}
