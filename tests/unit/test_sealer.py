"""Sealing: what was sealed for one tenant, issuer and day opens there and then and nowhere else."""

import pytest

from gatewright.keys.root import KeyFault, RootKey
from gatewright.keys.sealer import DAY, RootSealer, Wrapper

ROOT = RootKey(bytes(range(32)))
NOW = 1_800_000_000
HERE = "https://id.acme.test"
NONCE = bytes(12)


def sealed(sealer: RootSealer, *, tenant: int = 1, issuer: str = HERE, now: int = NOW) -> bytes:
    return sealer.seal(tenant, issuer, b"a handle", now=now, nonce=NONCE)


def test_what_was_sealed_opens_on_every_node() -> None:
    assert RootSealer(ROOT).unseal(1, HERE, sealed(RootSealer(ROOT)), now=NOW) == b"a handle"


@pytest.mark.parametrize(("tenant", "issuer"), [(2, HERE), (1, "https://other.acme.test"), (1, "https://id.acme.test/")])
def test_it_opens_for_no_other_tenant_or_issuer(tenant: int, issuer: str) -> None:
    sealer = RootSealer(ROOT)
    assert sealer.unseal(tenant, issuer, sealed(sealer), now=NOW) is None


def test_it_opens_under_no_other_root_key() -> None:
    assert RootSealer(RootKey(bytes(32))).unseal(1, HERE, sealed(RootSealer(ROOT)), now=NOW) is None


def test_every_changed_bit_is_noticed() -> None:
    sealer = RootSealer(ROOT)
    right = sealed(sealer)
    for place in range(len(right) * 8):
        wrong = bytearray(right)
        wrong[place // 8] ^= 1 << place % 8
        assert sealer.unseal(1, HERE, bytes(wrong), now=NOW) is None


def test_every_shorter_text_is_noticed() -> None:
    sealer = RootSealer(ROOT)
    right = sealed(sealer)
    for length in range(len(right)):
        assert sealer.unseal(1, HERE, right[:length], now=NOW) is None


@pytest.mark.parametrize(("days", "opens"), [(-2, False), (-1, True), (0, True), (1, True), (2, True), (3, False)])
def test_the_key_of_a_day_is_accepted_from_the_eve_to_two_days_after(days: int, opens: bool) -> None:
    sealer = RootSealer(ROOT)
    assert (sealer.unseal(1, HERE, sealed(sealer), now=NOW + days * DAY) is not None) is opens


@pytest.mark.parametrize(("days", "opens"), [(-2, False), (-1, True), (30, True), (31, False)])
def test_what_is_asked_for_later_says_for_how_long(days: int, opens: bool) -> None:
    sealer = RootSealer(ROOT)
    assert (sealer.unseal(1, HERE, sealed(sealer), now=NOW + days * DAY, days=30) is not None) is opens


def test_another_day_seals_with_another_key() -> None:
    sealer = RootSealer(ROOT)
    today, tomorrow = sealed(sealer), sealed(sealer, now=NOW + DAY)
    assert today[:2] != tomorrow[:2]
    assert today[14:] != tomorrow[14:]


def test_digests_differ_by_purpose_and_tenant() -> None:
    sealer = RootSealer(ROOT)
    assert (
        len({sealer.mac("refresh", 1, b"m"), sealer.mac("refresh", 2, b"m"), sealer.mac("step", 1, b"m"), sealer.mac("refresh", 1, b"n")})
        == 4
    )
    assert sealer.mac("refresh", 1, b"m") == RootSealer(ROOT).mac("refresh", 1, b"m")


def test_a_wrapped_secret_opens_under_its_own_name_only() -> None:
    wrapper = Wrapper(ROOT)
    wrapped = wrapper.wrap("signing key", 1, "kid-1", b"private", nonce=NONCE)
    assert wrapper.unwrap("signing key", 1, "kid-1", wrapped) == b"private"
    for purpose, tenant, name in [("webhook secret", 1, "kid-1"), ("signing key", 2, "kid-1"), ("signing key", 1, "kid-2")]:
        with pytest.raises(KeyFault, match="does not open"):
            wrapper.unwrap(purpose, tenant, name, wrapped)
    with pytest.raises(KeyFault, match="does not open"):
        Wrapper(RootKey(bytes(32))).unwrap("signing key", 1, "kid-1", wrapped)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "A" * 60])
def test_what_was_never_wrapped_gets_a_sentence(text: str) -> None:
    with pytest.raises(KeyFault, match="does not open"):
        Wrapper(ROOT).unwrap("signing key", 1, "kid-1", text)
