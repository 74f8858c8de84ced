"""`gatewright domains`: claimed, looked for, listed, dropped, freed."""

import asyncio
from collections.abc import Iterator

import pytest

from gatewright.cli.terminal import Terminal
from gatewright.tenants.loopback import unreached
from tests.cli.conftest import Shell
from tests.support.names import Names, name_server

SHOP = "https://id.shop.example"


@pytest.fixture
def names() -> Iterator[Names]:
    with name_server() as server:
        yield server


@pytest.fixture
def asking(shell: Shell, names: Names) -> Shell:
    shell.environ["GATEWRIGHT_DOMAINS_RESOLVERS"] = names.address
    return shell.settled()


def test_a_domain_is_claimed_proved_and_dropped(asking: Shell, names: Names) -> None:
    said = asking.must("domains", "claim", SHOP)
    assert "_gatewright-challenge.id.shop.example.  TXT" in said
    assert "is pending: _gatewright-challenge.id.shop.example has no TXT record" in asking.must("domains", "check", SHOP)
    value = said.partition('TXT  "')[2].partition('"')[0]
    assert value.startswith("gatewright-domain=tn_")
    names.texts["_gatewright-challenge.id.shop.example"] = [value]
    assert asking.json("domains", "check", "id.shop.example")["state"] == "verified"
    listed = {row["origin"]: (row["state"], row["verified_by"]) for row in asking.json("domains", "list")}
    assert listed == {"https://id.acme.test": ("verified", "operator"), SHOP: ("verified", "txt")}
    assert asking.gatewright("domains", "drop", SHOP, typed="n\n") == 1
    asking.must("domains", "drop", SHOP, "--yes")
    assert [row["origin"] for row in asking.json("domains", "list")] == ["https://id.acme.test"]
    assert "any tenant may have id.shop.example now" in asking.must("domains", "free", "id.shop.example")
    assert "is not kept back" in asking.must("domains", "free", "id.shop.example")


def test_the_same_record_is_asked_for_after_a_second_claim(asking: Shell) -> None:
    first = asking.json("domains", "claim", SHOP)
    asking.must("domains", "drop", SHOP)
    assert asking.json("domains", "claim", SHOP)["record_value"] == first["record_value"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["claim", "ftp://x"], 'an address that begins with "https://" is expected'),
        (["claim", "https://co.uk"], "co.uk is a public suffix"),
        (["claim", "https://id.acme.test"], "it belongs to this tenant already"),
        (["check", "https://id.acme.test"], "does not claim https://id.acme.test"),
        (["drop", "https://nobody.example"], "does not claim https://nobody.example"),
    ],
)
def test_what_cannot_be_is_told(asking: Shell, words: list[str], sentence: str) -> None:
    assert sentence in asking.refused("domains", *words)


def test_the_deployments_own_names_are_the_operators(asking: Shell) -> None:
    asking.environ["GATEWRIGHT_DOMAINS_OWN"] = "platform.example"
    assert "platform.example belongs to this deployment" in asking.refused("domains", "claim", "https://acme.platform.example")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DOMAINS_RESOLVERS", "dns.example", "is no name server"),
        ("DOMAINS_RESOLVERS", "192.0.2.1:0x", "is no name server"),
        ("DOMAINS_OWN", "Platform.example", "is no name"),
        ("LISTEN_ASK", "8601", "is no address and port"),
        ("LISTEN_ASK", "127.0.0.1", "the port is missing"),
        ("LISTEN_ASK", "127.0.0.1:99999", "is no port"),
    ],
)
def test_a_setting_that_cannot_be_is_told(shell: Shell, name: str, value: str, words: str) -> None:
    shell.environ[f"GATEWRIGHT_{name}"] = value
    assert words in shell.refused("settings")


def unreached_at(host: str, port: int) -> str | None:
    async def asked() -> str | None:
        async with Terminal(None).store(prepared=True) as (store, _):
            return await unreached(store, host, port)

    return asyncio.run(asked())


def test_whoever_would_not_be_reached_is_told_where_the_domains_are_and_how_to_add_one(shell: Shell) -> None:
    shell.must("keys", "init")
    assert "`gatewright init`" in str(unreached_at("127.0.0.1", 8700))
    shell.must("init")
    assert unreached_at("127.0.0.1", 8600) is None
    assert unreached_at("localhost", 8600) is None
    said = str(unreached_at("::1", 8700))
    assert "http://127.0.0.1:8600" in said
    assert "`gatewright domains add --origin http://[::1]:8700`" in said
    shell.must("domains", "add", "--origin", "http://[::1]:8700")
    assert unreached_at("::1", 8700) is None
