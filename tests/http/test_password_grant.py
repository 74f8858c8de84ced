"""The password grant over HTTP: in the shapes that seeds 001 and 002 print, readable by the pages that an admin named and by no others."""

from __future__ import annotations

import pytest

from tests.http.doors import PAGE, PASSWORD, PLATFORM, bought, furnished, printed, typed
from tests.http.talk import BANK_API
from tests.support.house import CLIENT_SECRET, Answer, Node, basic, bearer

ORIGIN = ("origin", PAGE)
STRANGER = ("origin", "https://evil.example")


def readers(answer: Answer) -> str | None:
    """The origin whose pages may read an answer."""
    return answer.header("access-control-allow-origin")


@pytest.fixture
async def old(node: Node) -> Node:
    """A node with clients of years ago."""
    return await furnished(node)


async def test_the_request_of_seed_002_is_answered_with_what_it_prints(old: Node) -> None:
    answer = await bought(old)
    assert set(answer.json) == {"access_token", "refresh_token", "expires_in", "token_type", "scope", "account", "account_id"}
    assert (answer.json["expires_in"], answer.json["token_type"]) == (7200, "Bearer")
    assert answer.header("cache-control") == "no-store"
    renewed = await old.post(
        "/oauth/token",
        {
            "grant_type": "refresh_token",
            "client_id": "connector",
            "client_secret": CLIENT_SECRET,
            "refresh_token": answer.json["refresh_token"],
        },
    )
    assert (renewed.status, renewed.json["expires_in"]) == (200, 7200)


@pytest.mark.parametrize("path", ["/o/token/", "/o/token", "/token", "/oauth/token"])
async def test_a_page_of_the_platform_signs_its_user_in_and_learns_who_it_is(old: Node, path: str) -> None:
    answer = await old.post(path, typed(), ORIGIN)
    assert answer.status == 200, answer
    assert readers(answer) == PAGE
    assert answer.every("vary") == ["origin"]
    who = await old.get("/o/userinfo/", bearer(answer.json["access_token"]))
    assert (who.json["name"], who.json["email"]) == ("Kim Example", "kim@acme.test")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (typed(password="wrong"), (400, "invalid_grant")),
        (typed(username="nobody@acme.test"), (400, "invalid_grant")),
        (typed(scope="no:such"), (400, "invalid_scope")),
        (typed(username=None), (400, "invalid_request")),
    ],
)
async def test_a_refusal_too_is_read_by_the_clients_own_pages_alone(old: Node, form: dict[str, str], error: tuple[int, str]) -> None:
    answer = await old.post("/o/token/", form, ORIGIN)
    assert (answer.error, readers(answer)) == (error, PAGE)
    answer = await old.post("/o/token/", form, STRANGER)
    assert (answer.error, readers(answer)) == ((400, "unauthorized_client"), None)


async def test_a_page_of_a_stranger_learns_nothing_and_reads_nothing(old: Node) -> None:
    for form in (typed(), typed(password="wrong"), typed(client_id="nobody"), printed(), printed(client_secret="wrong")):
        answer = await old.post("/o/token/", form, STRANGER)
        assert answer.status in (400, 401)
        assert readers(answer) is None
        assert answer.every("vary") == ["origin"]


async def test_what_else_the_token_endpoint_answers_any_page_may_read(old: Node) -> None:
    answer = await old.post("/o/token/", {"grant_type": "refresh_token", "client_id": "widget", "refresh_token": "x"}, STRANGER)
    assert (answer.error, readers(answer)) == ((400, "invalid_grant"), "*")


async def test_credentials_in_the_header_name_the_client_as_well(old: Node) -> None:
    await old.apply(
        PLATFORM.replace('scopes = ["read:balance"]', 'scopes = ["read:balance"]\ncors_origins = ["https://connector.example"]')
    )
    form = printed(client_id=None, client_secret=None)
    answer = await old.post("/oauth/token", form, basic("connector"), ("origin", "https://connector.example"))
    assert (answer.status, readers(answer)) == (200, "https://connector.example")


async def test_unknown_wrong_and_not_allowed_are_the_same_bytes(old: Node) -> None:
    found = set()
    for form in (
        printed(password="wrong"),
        printed(username="nobody@acme.test"),
        printed(username="kim@acme.test"),
        printed(username="robot@service.acme.test"),
    ):
        answer = await old.post("/oauth/token", form)
        heads = tuple(sorted(name for name, _ in answer.headers))
        found.add((answer.status, answer.body, heads))
    assert len(found) == 1


async def test_a_password_in_the_address_is_no_password(old: Node) -> None:
    answer = await old.post(f"/oauth/token?username=kim@acme.test&password={PASSWORD}", printed(username=None, password=None))
    assert answer.error == (400, "invalid_request")


async def test_guesses_are_slowed_down_with_a_time_to_come_back(old: Node) -> None:
    for _ in range(5):
        assert (await old.post("/oauth/token", printed(password="wrong"))).error == (400, "invalid_grant")
    answer = await old.post("/oauth/token", printed())
    assert (answer.error, answer.header("retry-after")) == ((503, "temporarily_unavailable"), "1")


async def test_no_password_reaches_the_log_or_the_audit_log(old: Node) -> None:
    await bought(old)
    await old.post("/oauth/token", printed(password="my-other-password"))
    assert not any(word in line for line in old.lines for word in (PASSWORD, "my-other-password"))
    assert (
        await old.number("SELECT COUNT(*) FROM audit WHERE detail LIKE '%other-password%' OR detail LIKE :word", word=f"%{PASSWORD}%") == 0
    )


async def test_taking_the_exception_away_stops_the_next_request_on_every_node(pair: list[Node]) -> None:
    first, second = pair
    await furnished(first)
    await second.hear()
    await bought(second)
    await first.apply(PLATFORM.replace("2027-12-31", "2027-01-01"))
    await second.hear()
    answer = await second.post("/oauth/token", printed())
    assert answer.error == (400, "unauthorized_client")
    assert "ended with 2027-01-01" in answer.json["error_description"]


async def test_a_person_who_is_deactivated_loses_access_at_once_and_a_service_user_goes_on(old: Node) -> None:
    from gatewright.users.book import disable_user, user_by_email

    hers = (await bought(old, typed(), "/o/token/")).json["access_token"]
    its = (await bought(old)).json["access_token"]
    tenant = await old.tenant()
    kim = await user_by_email(old.house.store, tenant, "kim@acme.test")
    assert kim is not None
    await old.manage(tenant, disable_user, kim)
    assert (await old.get("/v1/me", bearer(hers))).status == 401
    assert (await old.get("/v1/me", bearer(its))).status == 200
    asked = await old.post("/introspect", {"token": its}, BANK_API)
    assert asked.json["active"] is True


async def test_no_post_is_ever_redirected(old: Node) -> None:
    for path in (
        "/o/token/",
        "/o/token",
        "/o/revoke_token/",
        "/o/revoke_token",
        "/oauth/token",
        "/oauth/revoke",
        "/token/",
        "/oauth/token/",
    ):
        assert (await old.post(path, printed())).status in (200, 404, 400)


async def test_metadata_offers_no_exception(old: Node) -> None:
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        assert "password" not in (await old.get(path)).json["grant_types_supported"]
