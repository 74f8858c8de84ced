"""The names of the user's roles (RFC 9068 §2.2.3.1): for APIs that ask for them, and never for another company's app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.talk import BANK_API, EVENTS, serve, tokens
from tests.support.house import ENVIRON, Node, basic, open_nodes, sqlite_copy
from tests.support.world import claims_of

NAMED = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test", "https://login.acme.test"]
api_hosts = ["https://api.acme.test"]
[[apis]]
audience = "https://events.acme.test"
name = "Acme Events"
token = { roles = true }
[[apis]]
audience = "https://imaging.acme.test"
name = "Acme Imaging"
token = { roles = true }
"""
EVENTS_API = basic(EVENTS, ENVIRON["EVENTS_SECRET"])


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[Node]:
    """A node whose events API is told names."""
    async with open_nodes(sqlite_copy(tmp_path)) as (opened,):
        await opened.apply(NAMED)
        yield opened


async def introspected(node: Node, token: str, api: tuple[str, str] = EVENTS_API) -> dict[str, Any]:
    answer = await node.post("/introspect", {"token": token}, api)
    assert answer.json["active"], answer
    return dict(answer.json)


@pytest.mark.proves("RFC 9068", "2.2.3.1")
async def test_the_api_is_told_of_the_roles_in_the_tokens_account(named: Node) -> None:
    token = (await tokens(named, "create:events", "budget-buddy"))["access_token"]
    assert (await introspected(named, token))["roles"] == ["Organizer"]


@pytest.mark.proves("RFC 9068", "2.2.3.1")
async def test_a_jwt_of_the_platforms_own_app_names_them_and_that_of_another_company_does_not(named: Node) -> None:
    own = (await tokens(named, "create:events", "events-web"))["access_token"]
    assert claims_of(own)["roles"] == ["Organizer"]
    foreign = (await tokens(named, "create:events", "budget-buddy"))["access_token"]
    assert "roles" not in claims_of(foreign)


async def test_a_role_that_was_taken_away_is_named_no_more(named: Node) -> None:
    token = (await tokens(named, "openid create:events", "events-web"))["access_token"]
    await named.apply(
        NAMED + '[[users]]\nemail = "ann@acme.test"\nmemberships = [{ account = "acme-dev", roles = ["Organizer", "Participant"] }]\n'
    )
    assert (await introspected(named, token))["roles"] == ["Organizer", "Participant"]


async def test_an_api_that_did_not_ask_is_told_of_none(named: Node) -> None:
    token = (await tokens(named, "read:balance", "budget-buddy"))["access_token"]
    assert "roles" not in await introspected(named, token, BANK_API)


async def test_where_nobody_is_behind_a_token_there_are_no_roles(named: Node) -> None:
    token = (await serve(named)).json["access_token"]
    assert "roles" not in await introspected(named, token, basic("https://imaging.acme.test", ENVIRON["IMAGING_SECRET"]))
    assert "roles" not in claims_of(token)
