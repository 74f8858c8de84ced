"""What an API behind a proxy says of itself, and that the verify address leads there (RFC 9728)."""

from __future__ import annotations

import re

import pytest

from gatewright.apis.book import apis_of, disable_api
from gatewright.base import ids
from tests.http.talk import BANK
from tests.http.test_verify import asked, shop
from tests.support.house import GLOBEX, Answer, Node

__all__ = ["shop"]


async def described(node: Node, path: str, host: str = "id.acme.test", method: str = "GET") -> Answer:
    return await node.ask(method, path, host=host)


@pytest.mark.proves("RFC 9728", "5.1")
@pytest.mark.proves("RFC 9728", "2")
async def test_a_challenge_of_the_verify_address_leads_to_the_apis_metadata(shop: Node) -> None:
    challenge = (await asked(shop, "/me")).header("www-authenticate") or ""
    found = re.search(r'resource_metadata="https://id\.acme\.test(/-/resource/ap_[0-9a-z]{13})"', challenge)
    assert found is not None, challenge
    answer = await described(shop, found[1])
    assert answer.json == {
        "resource": BANK,
        "authorization_servers": ["https://id.acme.test"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read:balance", "transfer:funds"],
        "resource_name": "Acme Bank",
    }
    assert (answer.header("content-type"), answer.header("access-control-allow-origin")) == ("application/json", "*")
    assert (await described(shop, found[1], host="login.acme.test")).json["authorization_servers"] == ["https://login.acme.test"]


async def test_what_is_no_api_of_this_tenant_is_not_found(shop: Node) -> None:
    tenant = await shop.tenant()
    (bank,) = [row for row in await apis_of(shop.house.store, tenant) if row.audience == BANK]
    path = f"/-/resource/{ids.show(ids.API, bank.id)}"
    for wrong in (
        "/-/resource/",
        "/-/resource/bank",
        f"/-/resource/{ids.show(ids.API, 1)}",
        f"/-/resource/{ids.show(ids.API, bank.id + 1)}",
    ):
        assert (await described(shop, wrong)).status == 404, wrong
    assert (await described(shop, path, host=GLOBEX)).status == 404
    assert (await described(shop, path, method="POST")).status == 404
    await shop.manage(tenant, disable_api, bank)
    assert (await described(shop, path)).status == 404
