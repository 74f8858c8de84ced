"""Strangers cannot fill the memory: what they name is remembered only where it is short, and only so often."""

from __future__ import annotations

import pytest

from gatewright.oauth import api_auth, client_auth
from gatewright.oauth.errors import InvalidClient
from gatewright.oauth.introspect import introspect
from tests.support.world import Playground


async def test_names_too_long_for_an_id_are_not_remembered(ground: Playground) -> None:
    await ground.add()
    before = api_auth._read.cache_info().currsize
    for number in range(20):
        with pytest.raises(InvalidClient):
            await introspect(ground.ask({"client_id": f"{number}" + "x" * 10_000, "client_secret": "s", "token": "t"}), ground.world)
    assert api_auth._read.cache_info().currsize == before


def test_addresses_too_long_for_one_are_in_no_network_and_not_remembered() -> None:
    before = client_auth._may_call.cache_info().currsize
    for number in range(20):
        assert not client_auth.may_call(("::/0",), f"fe80::1%{number}" + "x" * 10_000)
    assert client_auth._may_call.cache_info().currsize == before
    assert client_auth.may_call(("::/0",), "fe80::1%eth0")
