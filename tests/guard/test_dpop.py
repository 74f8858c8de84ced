"""Proofs of possession: what holds, and each thing that makes one worth nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from gatewright_guard.dpop import MAX_AGE, Proof, Replays, check_proof, normal
from gatewright_guard.refused import Cause, Refused
from tests.guard.makers import NOW, a_key
from tests.guard.proofs import URL, a_proof, jwk_of, thumbprint_of

TOKEN = "gwa_bound"


def checked(proof: str, *, method: str = "GET", url: str = URL, token: str = TOKEN, now: float = NOW) -> Proof:
    return check_proof(proof, method=method, url=url, token=token, now=now, leeway=10)


@pytest.mark.proves("RFC 9449", "4.3")
@pytest.mark.parametrize("alg", ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"])
def test_a_proof_of_each_kind_of_key_holds(alg: str) -> None:
    key = a_key(alg, "holder")
    assert checked(a_proof(TOKEN, key=key, header={"alg": alg})).jkt == thumbprint_of(key)


@pytest.mark.proves("RFC 9449", "4.3")
@pytest.mark.parametrize(
    ("header", "changes"),
    [
        ({"typ": "JWT"}, {}),
        ({"typ": None}, {}),
        ({"jwk": None}, {}),
        ({"jwk": "no object"}, {}),
        ({"jwk": jwk_of(a_key(kid="other"))}, {}),
        ({"jwk": a_key(kid="holder").as_dict(private=True)}, {}),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, {}),
        ({"jwk": jwk_of(a_key("ES384", "holder"))}, {}),
        ({"crit": ["x"], "x": 1}, {}),
        ({}, {"jti": None}),
        ({}, {"jti": ""}),
        ({}, {"jti": "x" * 257}),
        ({}, {"jti": 7}),
        ({}, {"htm": None}),
        ({}, {"htm": "POST"}),
        ({}, {"htm": "get"}),
        ({}, {"htu": None}),
        ({}, {"htu": "https://bank.acme.test/transfers"}),
        ({}, {"htu": "https://evil.test/balance"}),
        ({}, {"htu": "http://bank.acme.test/balance"}),
        ({}, {"htu": "https://bank.acme.test:8443/balance"}),
        ({}, {"htu": "https://[/balance"}),
        ({}, {"iat": None}),
        ({}, {"iat": "now"}),
        ({}, {"iat": NOW + 11}),
        ({}, {"iat": NOW - MAX_AGE - 11}),
        ({}, {"ath": None}),
        ({}, {"ath": "x"}),
    ],
)
def test_a_proof_that_lacks_anything_is_none(header: dict[str, Any], changes: dict[str, Any]) -> None:
    checked(a_proof(TOKEN))  # so that it is the change that spoils it
    with pytest.raises(Refused) as refused:
        checked(a_proof(TOKEN, header=header, **changes))
    assert refused.value.cause is Cause.PROOF_WRONG


def _other_signature(proof: str) -> str:
    signed, _, signature = proof.rpartition(".")
    return f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


@pytest.mark.proves("RFC 9449", "4.3")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda _: "x",
        lambda _: "a.b.c",
        _other_signature,
        lambda proof: f"{proof}.{proof}",
        lambda _: "a" * 5000,
    ],
    ids=["nothing", "a letter", "three letters", "another signature", "two proofs", "a long word"],
)
def test_what_is_no_signed_proof_is_none(spoil: Callable[[str], str]) -> None:
    proof = spoil(a_proof(TOKEN))
    with pytest.raises(Refused) as refused:
        checked(proof)
    assert refused.value.cause is Cause.PROOF_WRONG


def test_a_proof_for_one_token_does_for_no_other() -> None:
    with pytest.raises(Refused):
        checked(a_proof(TOKEN), token="gwa_another")


@pytest.mark.proves("RFC 9449", "4.3")
@pytest.mark.parametrize(
    "htu",
    [
        "https://bank.acme.test/balance?x=1",
        "https://bank.acme.test/balance#part",
        "HTTPS://BANK.acme.test:443/balance",
        "https://bank.acme.test/%62alance",
    ],
)
def test_an_address_is_the_same_however_it_is_written(htu: str) -> None:
    assert checked(a_proof(TOKEN, htu=htu)).jti == "p1"


@pytest.mark.parametrize(("one", "other"), [("https://a.test", "https://a.test/b"), ("https://a.test/a%2Fb", "https://a.test/a/c")])
def test_other_addresses_are_others(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_an_address_without_a_path_has_the_empty_one() -> None:
    assert normal("https://a.test") == normal("https://a.test/")


@pytest.mark.proves("RFC 9449", "11.1")
def test_a_proof_works_once_for_as_long_as_it_is_good() -> None:
    replays, proof = Replays(), checked(a_proof(TOKEN))
    assert replays.first(proof, NOW)
    assert not replays.first(proof, NOW)
    assert not replays.first(proof, proof.until)
    assert replays.first(Proof(proof.jkt, "p2", proof.until), NOW)
    assert replays.first(Proof("another key", "p1", proof.until), NOW)


def test_the_memory_of_proofs_is_bounded() -> None:
    replays = Replays(10)
    for number in range(100):
        assert replays.first(Proof("k", str(number), NOW + 70), NOW)
        assert not replays.first(Proof("k", str(max(0, number - 9)), NOW + 70), NOW)
    assert len(replays._young) + len(replays._old) <= 20
