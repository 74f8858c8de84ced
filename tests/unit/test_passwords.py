"""Passwords: what may be one, and what its digest is."""

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type, hash_secret

from gatewright.users import passwords
from gatewright.users.passwords import STAND_IN, digest_of, fits, new_password_fault, outdated, password_fault

SALT = bytes(range(16))
WEAK = hash_secret(b"correct horse", SALT, 1, 64, 1, 32, Type.ID).decode()


@pytest.fixture(scope="module")
def kept() -> str:
    return digest_of("correct horse", SALT)


def test_only_the_password_itself_fits(kept: str) -> None:
    assert fits(kept, "correct horse")
    assert not any(fits(kept, wrong) for wrong in ("Correct horse", "correct horse ", "correct", "", "correct horse\0"))


@pytest.mark.proves("RFC 8265", "4.2.2")
def test_a_password_may_be_typed_in_composed_or_decomposed_letters() -> None:
    assert fits(digest_of("caf\u00e9", SALT), "cafe\u0301")


@pytest.mark.parametrize("wrong", ["", "a\0b", "\0", "a" * 1025, "é" * 513, "\ud800"])
def test_what_cannot_be_a_password_is_told_and_never_fits(wrong: str, kept: str) -> None:
    assert password_fault(wrong)
    assert not fits(kept, wrong)
    with pytest.raises(ValueError, match=r"."):
        digest_of(wrong, SALT)


@pytest.mark.parametrize("fine", ["a", "a" * 1024, "é" * 512, " ", "пароль", "🔑"])
def test_everything_else_can_be_a_password(fine: str) -> None:
    assert password_fault(fine) is None


@pytest.mark.parametrize("short", ["x", "1234567", "пароль", "e\u0301" * 7, "\U0001f511" * 7])
def test_a_new_password_has_eight_characters_however_they_are_typed_and_an_old_one_goes_on(short: str) -> None:
    assert new_password_fault(short) == "a password has at least 8 characters"
    assert fits(digest_of(short, SALT), short)


@pytest.mark.parametrize("longer", ["12345678", "e\u0301" * 8, "\U0001f511" * 8, "        "])
def test_eight_characters_of_any_kind_are_enough(longer: str) -> None:
    assert new_password_fault(longer, "ann@acme.test") is None


@pytest.mark.parametrize("own", ["Organizer@Acme.test", "organizer", "ORGANIZER", "organizer@acme.test "])
def test_a_new_password_is_not_the_users_own_address(own: str) -> None:
    assert "e-mail address" in str(new_password_fault(own, "organizer@acme.test"))
    assert new_password_fault(own + "'s own", "organizer@acme.test") is None


def test_what_can_be_no_password_can_be_no_new_one() -> None:
    assert [new_password_fault(wrong) for wrong in ("", "a" * 1025)] == [password_fault(wrong) for wrong in ("", "a" * 1025)]


def test_nothing_fits_where_there_is_no_digest() -> None:
    assert not any(fits(none, text) for none in (None, "", STAND_IN) for text in ("", "\0", "stand-in", "correct horse"))


def test_checking_for_nobody_costs_what_checking_costs() -> None:
    made = extract_parameters(STAND_IN)
    assert (made.time_cost, made.memory_cost, made.parallelism, made.type) == (2, 19_456, 1, Type.ID)
    assert not outdated(STAND_IN)


def test_a_digest_made_with_other_parameters_is_outdated_and_still_fits(kept: str) -> None:
    assert [outdated(kept), outdated(WEAK), outdated("nonsense")] == [False, True, True]
    assert fits(WEAK, "correct horse")


@pytest.mark.parametrize("broken", ["nonsense", "$argon2id$v=19$m=1", "$2b$12$abc", "$argon2id$" + "x" * 50])
def test_a_broken_digest_fits_nothing(broken: str) -> None:
    assert not fits(broken, "correct horse")


def test_the_parameters_are_those_that_were_decided() -> None:
    assert (passwords.MEMORY_KIB, passwords.TIME_COST, passwords.PARALLELISM) == (19 * 1024, 2, 1)
