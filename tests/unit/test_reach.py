"""Which addresses may be called on a stranger's word."""

from ipaddress import ip_network

import pytest

from gatewright.keys.reach import may_call

GLOBAL = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "2606:4700::1111",
    "2a00:1450::1",
]
INSIDE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:1::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
]
NO_ADDRESSES = ["", "localhost", "127.1", "0x7f000001", "2130706433", "8.8.8.8/32", "08.8.8.8", "[::1]"]


@pytest.mark.parametrize("address", GLOBAL)
def test_a_global_address_may_be_called(address: str) -> None:
    assert may_call(address, ())


@pytest.mark.parametrize("address", INSIDE)
def test_no_other_address_may_be_called_by_any_name(address: str) -> None:
    assert not may_call(address, ())


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_may_not_be_called(text: str) -> None:
    assert not may_call(text, (ip_network("0.0.0.0/0"), ip_network("::/0")))


def test_a_network_that_the_operator_allowed_may_be_called() -> None:
    private = (ip_network("10.1.0.0/16"), ip_network("fd00:1::/32"))
    assert may_call("10.1.2.3", private)
    assert may_call("fd00:1::5", private)
    assert not may_call("10.2.0.1", private)
    assert not may_call("::ffff:10.1.2.3", private)
