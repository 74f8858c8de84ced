"""No secret reaches a log, an error, an address that we build, or the store in clear: a whole flow is searched for every one it used."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gatewright.base.log import Event, Level
from tests.http.talk import BANK_API, BUDDY, a_code, exchange, serve, tokens
from tests.http.window import Window, asking
from tests.support.approving import VERIFIER
from tests.support.house import CLIENT_SECRET, ENVIRON, PEER, Answer, Node, basic, bearer, open_nodes, sqlite_copy

PASSWORD = ENVIRON["ANN_PASSWORD"]
TYPED_WRONG = "hunter2-typed-in-the-wrong-window"


async def flow(node: Node) -> tuple[set[str], list[Answer]]:
    """Everything that an app, its user and an API do, and what goes wrong; the secrets of it, and the answers."""
    window = Window(node)
    page = await window.open(asking(state="a-state-that-is-the-apps-own", nonce="a-nonce-that-is-the-apps-own"))
    await window.sign_in(page, password=TYPED_WRONG)
    sent = await window.allow_all(await window.sign_in(await window.open(asking(account="acme-dev"))))
    code = (sent.header("location") or "").partition("code=")[2].partition("&")[0]
    got = (await node.post("/token", exchange(code), BUDDY)).json
    renewed = (await node.post("/token", {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}, BUDDY)).json
    jwt = (await serve(node)).json["access_token"]
    forever = await tokens(node, "openid use:app")
    answers = [
        *window.seen,
        await node.get("/userinfo", bearer(got["access_token"])),
        await node.post("/introspect", {"token": got["access_token"]}, BANK_API),
        await node.post("/token", exchange(code, code_verifier="w" * 43), BUDDY),
        await node.post("/token", exchange(code), basic("budget-buddy", "not-the-secret-of-anybody")),
        await node.post("/token", exchange(code), BUDDY),
        await node.post("/token", {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}, BUDDY),
        await node.get("/userinfo", bearer(renewed["access_token"])),
        await node.get(f"/userinfo?access_token={jwt}"),
        await node.get(f"/authorize?client_id=nobody&client_secret={CLIENT_SECRET}&id_token_hint={got['id_token']}"),
        await node.post("/token", {"grant_type": jwt}, BUDDY),
        await node.post("/token", {"grant_type": "client_credentials", "scope": jwt}, basic("image-copier")),
        await node.post("/revoke", {"token": got["refresh_token"]}, BUDDY),
        await node.get(f"/end_session?id_token_hint={got['id_token']}&post_logout_redirect_uri=https://evil.example/"),
    ]
    secrets = {code, jwt, forever["access_token"], forever["refresh_token"], got["id_token"], forever["id_token"]}
    for reply in (got, renewed):
        secrets |= {reply["access_token"], reply["refresh_token"]}
    secrets |= {CLIENT_SECRET, PASSWORD, TYPED_WRONG, VERIFIER, "not-the-secret-of-anybody", ENVIRON["BANK_SECRET"]}
    return secrets | set(window.cookies.values()), answers


def telling(secret: str) -> list[str]:
    """What of a secret may not be seen, not even in part. The header of a JWT says nothing."""
    return [secret, *(part[:30] for part in secret.split(".")[1:])] if secret.startswith("eyJ") else [secret, secret[4:40]]


async def test_no_secret_of_a_whole_flow_stands_in_any_line_of_the_log(node: Node) -> None:
    secrets, _ = await flow(node)
    assert len(secrets) > 15
    log = "".join(node.lines)
    assert log.count("request.refused") > 5, "there was something to tell"
    found = {secret[:12] for secret in secrets for part in telling(secret) if part in log}
    assert found == set()


async def test_no_refusal_repeats_what_was_shown(node: Node) -> None:
    secrets, answers = await flow(node)
    loud = [answer for answer in answers if answer.status >= 400 for secret in secrets if len(secret) > 20 and secret in answer.text]
    assert loud == []


async def test_no_secret_stands_in_an_address_but_the_code_at_the_app(node: Node) -> None:
    secrets, answers = await flow(node)
    for answer in answers:
        for location in answer.every("location"):
            if not location.startswith("https://budget.example/callback?code="):
                assert not any(secret in location for secret in secrets), location


def test_no_secret_is_kept_in_clear(tmp_path: Path) -> None:
    async def used() -> set[str]:
        async with open_nodes(sqlite_copy(tmp_path)) as (node,):
            return (await flow(node))[0]

    secrets = asyncio.run(used()) | {"a-state-that-is-the-apps-own"}
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ann@acme.test" in kept, "this is the store"
    assert {secret[:12] for secret in secrets if secret.encode() in kept} == set()


async def test_a_fault_of_ours_is_an_incident_id_and_nothing_else(node: Node) -> None:
    got = await tokens(node)
    await node.house.store.close()
    answers = [
        await node.get("/userinfo", bearer(got["access_token"])),
        await node.post("/token", exchange("gwc_" + "A" * 54), BUDDY),
        await node.get(asking()),
        await node.get("/-/access", ("cookie", "__Host-gw_session=gwb_" + "A" * 54)),
    ]
    for answer in answers:
        assert answer.status in (303, 400, 503), answer
        assert answer.header("retry-after") or answer.status != 503
        for word in ("Traceback", "sqlite", "File ", "closed", "AAAA"):
            assert word not in answer.text


async def test_a_refusals_id_is_the_one_in_the_log(node: Node) -> None:
    answer = await node.post("/token", exchange("gwc_nothing"), BUDDY)
    told = [line for line in node.lines if f'"{answer.header("request-id")}"' in line]
    assert len(told) == 1
    assert '"invalid_grant"' in told[0]


async def test_nobody_writes_a_line_of_the_log_himself(node: Node) -> None:
    forged = '\n{"event":"server.started"}\r\n'
    await node.post("/token", {"grant_type": forged}, BUDDY)
    await node.post("/token", {"grant_type": "client_credentials", "scope": forged}, basic("image-copier"))
    await node.get(f"/authorize?client_id={forged.strip()}")
    await node.ask("POST", "/token\n/x", body=b"")
    assert all(line.count("\n") == 1 for line in node.lines)
    assert not any(line.startswith('{"event":"server.started"}') for line in node.lines)


@pytest.mark.parametrize("name", ["REQUEST_FAILED", "REPLAY"])
def test_what_should_wake_somebody_is_loud(name: str) -> None:
    assert Event[name].level >= Level.WARNING


async def test_a_replay_is_told_in_the_log_and_in_the_audit(node: Node) -> None:
    code = await a_code(node)
    for _ in range(2):
        await node.post("/token", exchange(code), BUDDY)
    assert await node.number("SELECT COUNT(*) FROM audit WHERE act = 'code.replayed'") == 1
    assert any("code replay" in line for line in node.lines)
    assert not any(PEER in line and "password" in line for line in node.lines)
