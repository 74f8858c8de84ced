"""Texts of bytes and of ids: one text for one value, and back."""

import hmac

import pytest

from gatewright.base import ids
from gatewright.base.digest import Kind, b64, digest, hmac_sha256, same, split, unb64, with_id
from gatewright.base.moment import IdMaker
from tests.support.clock import NOON, SeededDice, TestClock


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff\xfe", b"\xfb\xef\xbe", bytes(range(256))])
def test_bytes_come_back_from_their_text(raw: bytes) -> None:
    assert unb64(b64(raw)) == raw
    assert set(b64(raw)).isdisjoint("+/=\n")


@pytest.mark.parametrize(
    "text", ["A", "AB", "AAA=", "AA==", "AAB", "+A", "/A", "A A", "AA\n", " AA", "é", "\ud800", "AAAA=", "AA-=", "AA\0A", "A" * 5]
)
def test_what_is_not_the_one_text_of_some_bytes_is_none(text: str) -> None:
    assert unb64(text) is None


@pytest.mark.parametrize("number", [1, 31, 32, 1023, 1024, 1 << 60, (1 << 63) - 1, 123456789012345678])
def test_an_id_comes_back_from_its_text(number: int) -> None:
    text = ids.show(ids.USER, number)
    assert ids.read(ids.USER, text) == number
    assert ids.read(ids.ACCOUNT, text) is None
    assert len(text) == 16


def test_texts_of_ids_sort_as_the_ids_do() -> None:
    numbers = [0, 5, 31, 32, 1 << 20, 1 << 40, (1 << 63) - 1]
    assert [ids.show("us", number) for number in numbers] == sorted(ids.show("us", number) for number in numbers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "us_",
        "us_0000000000000x",
        "us_000000000000",
        "us_z000000000000",
        "us_000000000000U",
        "US_0000000000001",
        "us_0000000000000",  # nobody's: in statements 0 stands for everybody
        "us_00000000000\u0660\u0660",
    ],
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert ids.read(ids.USER, text) is None


@pytest.mark.parametrize(
    ("client_id", "taken"), [("us_x", True), ("cl_", True), ("in_x", True), ("budget-buddy", False), ("usual", False), ("use_me", False)]
)
def test_a_client_id_never_begins_like_one_of_our_ids(client_id: str, taken: object) -> None:
    assert ids.reserved(client_id) is taken


def test_a_secret_with_an_id_splits_into_both_and_only_as_its_own_kind() -> None:
    text = with_id(Kind.CODE, 77, bytes(32))
    assert split(Kind.CODE, text, 32) == (77, bytes(32))
    assert split(Kind.REFRESH, text, 32) is None
    assert split(Kind.CODE, text, 31) is None
    assert split(Kind.CODE, Kind.CODE + b64(b"\xff" * 40), 32) is None


def test_a_digest_depends_on_kind_tenant_and_secret() -> None:
    digests = {digest(kind, tenant, secret) for kind in (Kind.CODE, Kind.REFRESH) for tenant in (1, 2) for secret in ("a", "b")}
    assert len(digests) == 8
    assert same("é", "é")
    assert not same("a", "b")


@pytest.mark.parametrize("length", [0, 1, 32, 43, 63, 64, 65, 200])
@pytest.mark.parametrize("message", [b"", b"x", bytes(range(256)) * 20])
def test_an_hmac_is_the_standard_librarys(length: int, message: bytes) -> None:
    key = bytes(range(200))[:length]
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


def test_ids_of_one_maker_rise_even_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    maker = IdMaker(SeededDice())
    made = [maker.next(NOON * 1000) for _ in range(5000)] + [maker.next(NOON * 1000 - 60_000) for _ in range(10)]
    assert made == sorted(set(made))
    assert all(0 < number < 1 << 63 for number in made)


def test_a_test_sees_the_same_chance_each_time() -> None:
    assert TestClock().moment().text() == TestClock().moment().text()
    assert TestClock(seed="other").moment().text() != TestClock().moment().text()
