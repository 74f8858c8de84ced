"""PKCE: only who made the challenge has its verifier (RFC 7636)."""

import pytest

from gatewright.oauth import pkce

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_vector_of_the_rfc_holds() -> None:
    assert pkce.challenge_of(VERIFIER) == CHALLENGE
    assert pkce.fault(CHALLENGE, VERIFIER) is None


def test_without_challenge_and_verifier_there_is_no_fault() -> None:
    assert pkce.fault(None, None) is None


@pytest.mark.parametrize(
    ("challenge", "verifier", "said"),
    [
        (None, VERIFIER, "without a code_challenge"),
        (CHALLENGE, None, "is needed"),
        (CHALLENGE, VERIFIER[:-1] + "j", "does not belong"),
        (CHALLENGE, CHALLENGE, "does not belong"),  # `plain` has no code
        (CHALLENGE, VERIFIER[:42], "does not belong"),
        (CHALLENGE, VERIFIER + "=", "does not belong"),
        (CHALLENGE, "a" * 129, "does not belong"),
        (CHALLENGE, VERIFIER + "\n", "does not belong"),
        (CHALLENGE, "ä" * 43, "does not belong"),
    ],
)
def test_every_other_pair_has_its_fault(challenge: str | None, verifier: str | None, said: str) -> None:
    assert said in str(pkce.fault(challenge, verifier))


@pytest.mark.proves("RFC 7636", "4.1")
@pytest.mark.parametrize("verifier", ["abc", "a" * 42, "a" * 129, "a" * 42 + "+", "a" * 42 + " ", "a" * 42 + "é"])
def test_a_verifier_must_be_of_the_rfcs_syntax_even_if_its_digest_fits(verifier: str) -> None:
    assert pkce.fault(pkce.challenge_of(verifier), verifier) is not None
    for good in ("a" * 43, "a" * 128, "-._~" + "Z" * 39):
        assert pkce.fault(pkce.challenge_of(good), good) is None


@pytest.mark.parametrize("text", ["", CHALLENGE[:-1], CHALLENGE + "A", CHALLENGE[:-1] + "=", CHALLENGE[:-1] + "+", CHALLENGE + "\n"])
def test_what_is_no_digest_is_no_challenge(text: str) -> None:
    assert not pkce.is_challenge(text)
    assert pkce.is_challenge(CHALLENGE)
