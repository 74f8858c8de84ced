"""Clients that are kept to networks."""

import pytest

from gatewright.oauth.client_auth import may_call

ALLOWED = ("127.0.0.0/8", "203.0.113.7", "203.0.113.16/28", "2001:db8::/32")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "203.0.113.7", "203.0.113.31", "2001:db8::1", "2001:db8:ffff::", "::ffff:127.0.0.1", "::ffff:203.0.113.7"]
)
def test_an_address_in_one_of_the_networks_may_call(address: str) -> None:
    assert may_call(ALLOWED, address)


@pytest.mark.parametrize("address", ["", "128.0.0.1", "203.0.113.8", "203.0.113.32", "2001:db9::1", "::1", "unix", "127.0.0.1:80"])
def test_any_other_address_may_not_call(address: str) -> None:
    assert not may_call(ALLOWED, address)


def test_a_network_may_be_written_with_its_host_bits() -> None:
    assert may_call(("10.1.2.3/8",), "10.200.0.1")


@pytest.mark.parametrize("written", ["::ffff:203.0.113.0/120", "::FFFF:203.0.113.7", "::ffff:cb00:7107"])
def test_an_ipv4_network_may_be_written_as_ipv6_shows_it(written: str) -> None:
    assert may_call((written,), "203.0.113.7")
    assert may_call((written,), "::ffff:203.0.113.7")
    assert not may_call((written,), "203.0.114.7")
    assert not may_call((written,), "2001:db8::7")


def test_all_of_ipv6_is_not_all_of_ipv4() -> None:
    assert not may_call(("::/0",), "203.0.113.7")
    assert may_call(("::/0",), "2001:db8::7")
