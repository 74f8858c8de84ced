"""The border around the tests: it holds, and it cannot be passed by swallowing the refusal."""

import socket

import pytest

from tests.conftest import BORDER, Border, is_near


@pytest.mark.parametrize("near", [("127.0.0.1", 80), ("::1", 80, 0, 0), "localhost", b"localhost", None, "/run/postgresql/.s.PGSQL.5432"])
def test_this_machine_is_near(near: object) -> None:
    assert is_near(near)


@pytest.mark.parametrize("far", [("192.0.2.1", 443), ("0.0.0.0", 80), "id.acme.test", ("2001:db8::1", 443, 0, 0), b"example.com", ""])
def test_everything_else_is_far(far: object) -> None:
    assert not is_near(far)


def test_a_pure_test_reaches_nothing_not_even_this_machine() -> None:
    with socket.socket() as caller, pytest.raises(PermissionError, match="may not reach"):
        caller.connect(("127.0.0.1", 9))
    assert BORDER.refused == ["socket.connect to ('127.0.0.1', 9)"]
    BORDER.refused.clear()


def test_a_swallowed_refusal_is_remembered() -> None:
    border = Border()
    with pytest.raises(PermissionError):
        border.watch("socket.getaddrinfo", ("example.com", 443, 0, 0, 0))
    border.watch("socket.connect", (None, ("127.0.0.1", 80)))
    assert border.refused == ["socket.getaddrinfo to 'example.com'"]
