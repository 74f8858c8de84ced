"""The table of the five texts: current, and every test that it names is there and runs with all the others."""

from __future__ import annotations

from tools.seed_table import PAGE, TITLES, missing, page, sentences


def test_every_sentence_is_proved_or_is_advice_with_a_reason() -> None:
    unclear = [row.says for row in sentences() if bool(row.tests) == bool(row.advice) or bool(row.where) == bool(row.advice)]
    assert unclear == []
    assert {row.seed for row in sentences()} == set(TITLES)


def test_every_test_that_is_named_is_there() -> None:
    assert missing() == []


def test_the_page_is_made_of_the_table() -> None:
    assert PAGE.read_text() == page()
