"""Nothing of one tenant is visible or usable in another: whatever is shown under the wrong host is answered, to the byte, like something
that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from gatewright.oauth.device import GRANT_TYPE
from tests.http.strangers import SECRET, Thing, things_of_globex
from tests.http.talk import BANK_API, BUDDY, exchange
from tests.http.test_routes import PAGES, PROTOCOL, allowed
from tests.http.window import Window, asking
from tests.support.approving import sign_in
from tests.support.house import ACME, ENVIRON, GLOBEX, Answer, Form, Node, basic, bearer, open_nodes, sqlite_copy

FINGERPRINT = """SELECT CAST((SELECT COALESCE(SUM(generation), 0) FROM authorization_row) + (SELECT COUNT(*) FROM authorization_row) * 3
                        + (SELECT COUNT(ended_at) FROM authorization_row) * 7 + (SELECT COUNT(code_used_by) FROM authorization_row) * 11
                        + (SELECT COUNT(*) FROM mark) * 13 + (SELECT COUNT(ended_at) FROM consent_grant) * 17
                        + (SELECT COUNT(*) FROM consent_grant) * 19 + (SELECT COUNT(*) FROM audit) * 23
                        + (SELECT COUNT(answer) FROM device_request) * 37
                        + (SELECT COUNT(*) FROM install) * 29 + (SELECT COUNT(ended_at) FROM install) * 31 AS BIGINT)"""
# What differs between two requests that are the same: ids of incidents, what is sealed or drawn anew each time.
VARIES = re.compile(r"\b[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}\b|gw_flow=[^;]*|gw[xd]_[A-Za-z0-9_-]+|(?<=name=\"csrf\" value=\")[^\"]*")
# What a request to an endpoint needs beside the value that is tried, so that the value is looked at.
BASES: dict[str, list[Form]] = {
    "token": [
        {"grant_type": "authorization_code", "code": "gwc_x", "redirect_uri": "https://budget.example/callback", "code_verifier": "v" * 43},
        {"grant_type": "refresh_token", "refresh_token": "gwr_x"},
        {"grant_type": "client_credentials", "scope": "read:images"},
        {"grant_type": GRANT_TYPE, "device_code": "gwd_x", "client_id": "living-room"},
    ],
    "device_authorization": [{"client_id": "living-room", "scope": "no:such"}],
    "introspect": [{"token": "x"}],
    "revoke": [{"token": "x"}],
    "why": [{"token": "x"}],
}


def same(one: Answer, other: Answer, thing: Thing) -> bool:
    """Whether two answers are the same to the byte, but for what was sent and what is drawn anew each time."""
    return _plain(one, thing.foreign) == _plain(other, thing.unknown)


def _plain(answer: Answer, shown: str) -> tuple[int, list[tuple[str, str]], str]:
    def hidden(text: str) -> str:
        return VARIES.sub("*", text.replace(shown, "*").replace(quote(shown, safe=""), "*"))

    heads = [(name, hidden(value)) for name, value in answer.headers if name not in ("request-id", "content-length")]
    return answer.status, heads, hidden(answer.text)


@pytest.fixture
async def isolated(tmp_path: Path) -> AsyncIterator[Node]:
    """A node of its own, since the other tenant is filled in it."""
    async with open_nodes(sqlite_copy(tmp_path)) as (node,):
        yield node


def bodies(path: str, thing: Thing) -> Iterator[tuple[Form, Form]]:
    """Every form of an endpoint with the value in each parameter where it could stand: the foreign one, and the unknown one."""
    for base in BASES.get(PROTOCOL.get(path, ""), [{}]):
        for name in thing.names:
            yield {**base, name: thing.foreign}, {**base, name: thing.unknown}


async def test_whatever_another_tenant_has_is_unknown_in_every_parameter_of_every_address(isolated: Node) -> None:
    node = isolated
    things, _ = await things_of_globex(node)
    session = ("cookie", f"__Host-gw_session={await sign_in(node)}")
    before = await node.number(FINGERPRINT)
    seen, tried = [], 0
    for path in [*PROTOCOL, *PAGES]:
        callers = ((BUDDY,), (BANK_API,), ()) if path in PROTOCOL else ((session,), ())
        for thing in things:
            for foreign, unknown in bodies(path, thing):
                for headers in callers:
                    one, other = [await node.post(path, form, *headers) for form in (foreign, unknown)]
                    tried += 1
                    if not same(one, other, thing):
                        seen.append((path, thing.what, foreign, one, other))
    assert seen == []
    assert tried > 5_000
    assert await node.number(FINGERPRINT) == before, "and nothing was done with it"


def query(name: str, value: str) -> str:
    """An authorization request with the value in one parameter; `sub` is the user whom `claims` names."""
    more = {"claims": f'{{"id_token":{{"sub":{{"value":"{value}"}}}}}}'} if name == "sub" else {name: value}
    return asking(prompt="none", more=more).removeprefix("/authorize")


async def test_it_is_unknown_in_every_query(isolated: Node) -> None:
    node = isolated
    things, _ = await things_of_globex(node)
    session = ("cookie", f"__Host-gw_session={await sign_in(node)}")
    seen = []
    for path in PAGES:
        if "GET" not in allowed(path):
            continue
        for thing in things:
            for name in (*thing.names, "sub"):
                one, other = [await node.get(path + query(name, value), session) for value in (thing.foreign, thing.unknown)]
                if not same(one, other, thing):
                    seen.append((path, thing.what, name, one, other))
    assert seen == []


def _as_bearer(value: str) -> tuple[str, str]:
    return bearer(value)


def _as_name(value: str) -> tuple[str, str]:
    return basic(value, SECRET)


def _as_secret(value: str) -> tuple[str, str]:
    return basic("budget-buddy", value)


def _as_session(value: str) -> tuple[str, str]:
    return "cookie", f"__Host-gw_session={value}"


def _as_journey(value: str) -> tuple[str, str]:
    return "cookie", f"__Host-gw_flow={value}"


def _as_device(value: str) -> tuple[str, str]:
    return "cookie", f"__Host-gw_device={value}"


MAKERS = (_as_bearer, _as_name, _as_secret, _as_session, _as_journey, _as_device)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
async def test_it_is_unknown_in_every_header(isolated: Node, make: Callable[[str], tuple[str, str]]) -> None:
    node = isolated
    things, cookies = await things_of_globex(node)
    things += [Thing(name, value, value[:-1] + ("A" if value[-1] != "A" else "B"), ()) for name, value in cookies.items()]
    seen = []
    for path in [*PROTOCOL, *PAGES]:
        for method in allowed(path):
            body = b"grant_type=refresh_token&refresh_token=gwr_x&token=x" if method == "POST" and path in PROTOCOL else b""
            for thing in things:
                one, other = [
                    await node.ask(method, path, headers=(("content-type", "application/x-www-form-urlencoded"), make(value)), body=body)
                    for value in (thing.foreign, thing.unknown)
                ]
                if not same(one, other, thing):
                    seen.append((method, path, thing.what, one, other))
    assert seen == []


# ---------------------------------------------------------------- what both tenants have under one name


async def test_a_secret_is_good_for_the_client_or_api_of_its_own_tenant_alone(node: Node) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": "read:images"}
    own, foreign, wrong = [
        await node.post("/token", form, basic("image-copier", secret))
        for secret in (ENVIRON["CLIENT_SECRET"], ENVIRON["CLIENT_SECRET_2"], "x" * len(ENVIRON["CLIENT_SECRET_2"]))
    ]
    assert own.status == 200
    assert _plain(foreign, "-") == _plain(wrong, "-")
    for host, secret, status in (
        (ACME, "BANK_SECRET", 200),
        (ACME, "BANK_SECRET_2", 401),
        (GLOBEX, "BANK_SECRET", 401),
        (GLOBEX, "BANK_SECRET_2", 200),
    ):
        answer = await node.post("/introspect", {"token": "x"}, basic("https://bank.acme.test", ENVIRON[secret]), host=host)
        assert answer.status == status


async def test_a_user_of_another_tenant_is_told_the_same_as_nobody_with_the_right_password_too(node: Node) -> None:
    answers = []
    for email, password in (
        ("ben@globex.test", ENVIRON["BEN_PASSWORD_2"]),
        ("nobody@globex.tes", ENVIRON["BEN_PASSWORD_2"]),
        ("ann@acme.test", ENVIRON["ANN_PASSWORD_2"]),
    ):
        window = Window(node)
        answers.append((await window.sign_in(await window.open(asking()), email, password), email))
        assert "__Host-gw_session" not in window.cookies
    plain = [_plain(answer, email) for answer, email in answers]
    assert plain == [plain[0]] * 3


async def test_what_is_ended_in_one_tenant_goes_on_in_the_other(node: Node) -> None:
    got = {}
    for host, secret in ((ACME, ENVIRON["CLIENT_SECRET"]), (GLOBEX, SECRET)):
        window = Window(node, host)
        password = ENVIRON["ANN_PASSWORD" if host == ACME else "ANN_PASSWORD_2"]
        page = await window.sign_in(await window.open(asking(account="acme-dev")), password=password)
        sent = await window.allow_all(page)
        code = (sent.header("location") or "").partition("code=")[2].partition("&")[0]
        got[host] = (await node.post("/token", exchange(code), basic("budget-buddy", secret), host=host)).json
    for token in ("access_token", "refresh_token"):
        assert (await node.post("/revoke", {"token": got[GLOBEX][token]}, BUDDY)).status == 200
    assert (await node.get("/userinfo", bearer(got[GLOBEX]["access_token"]), host=GLOBEX)).status == 200
    assert (await node.get("/userinfo", bearer(got[GLOBEX]["access_token"]))).status == 401
    tenant = await node.tenant()
    number = await node.number("SELECT MAX(id) FROM consent_grant WHERE tenant = :tenant", tenant=await node.tenant(GLOBEX))
    assert number is not None
    at = node.house.clock.moment()
    assert not await node.house.grants.end(at, tenant=tenant, number=number, because="by_admin", actor="us_admin")
    assert (await node.get("/userinfo", bearer(got[GLOBEX]["access_token"]), host=GLOBEX)).status == 200


async def test_a_session_is_good_at_the_domain_where_it_began_alone(node: Node) -> None:
    cookie = await sign_in(node)
    for host, signed_in in ((ACME, True), ("login.acme.test", False), (GLOBEX, False)):
        answer = await node.get("/-/access", ("cookie", f"__Host-gw_session={cookie}"), host=host)
        assert (answer.status == 200 and "ann@acme.test" in answer.text) == signed_in
