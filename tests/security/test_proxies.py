"""Whose address a request comes from: the last hop that no proxy of ours vouches for (`security-rules` 38)."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gatewright.web.ask import address, heads

OURS = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/64"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", b"198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", b"198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", b"198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", b"1.2.3.4, ::ffff:198.51.100.1, ::ffff:10.9.9.9", "::ffff:198.51.100.1"),
        ("2001:db8::5", b" 2001:db8:1::7 ", "2001:db8:1::7"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"unknown", ""),
        ("10.0.0.1", b"198.51.100.1, _hidden", ""),
        ("10.0.0.1", b"198.51.100.1,", ""),
        ("10.0.0.1", b"198.51.100.1:4711", ""),
        ("10.0.0.1", b"\xff\xfe", ""),
        ("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ],
)
def test_only_a_proxy_that_was_named_vouches_for_anybody(peer: str, forwarded: bytes, found: str) -> None:
    assert address({"client": (peer, 1)}, forwarded, OURS) == found


def test_nobody_vouches_where_no_proxy_was_named() -> None:
    assert address({"client": ("10.0.0.1", 1)}, b"198.51.100.1", ()) == "10.0.0.1"


def test_several_headers_are_one_list() -> None:
    head = heads([(b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-for", b"198.51.100.1")])
    assert address({"client": ("10.0.0.1", 1)}, head[b"x-forwarded-for"], OURS) == "198.51.100.1"
