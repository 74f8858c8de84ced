"""In which language a scope is put to somebody (RFC 4647, RFC 9110 §12.5.4, OpenID Connect Core §3.1.2.1)."""

import pytest

from gatewright.oauth.language import MOST, chosen, preferences, tag_fault

TEXTS = {"de": "Sehen", "de-AT": "Anschauen", "fr-CA": "Voir"}


@pytest.mark.parametrize(
    ("ui_locales", "accept", "expected"),
    [
        ("", "", ()),
        ("fr-CA de", "en", ("fr-ca", "de", "en")),
        ("", "da, en-GB;q=0.8, en;q=0.7", ("da", "en-gb", "en")),
        ("", "en;q=0.5, de", ("de", "en")),
        ("", "de;q=0, en", ("en",)),
        ("", "*, de;q=0.1", ("de",)),
        ("", "de;q=high, en;level=1, fr", ("fr",)),
        ("de de DE", "de", ("de",)),
        ('<script> "de', "de\x00, \u202e", ()),
    ],
)
def test_the_clients_wish_comes_before_the_browsers_and_weights_count(ui_locales: str, accept: str, expected: tuple[str, ...]) -> None:
    assert preferences(ui_locales, accept) == expected


def test_no_list_is_long_enough_to_cost_time() -> None:
    assert len(preferences(" ".join(f"x{chr(97 + place)}" for place in range(26)), "de," * 100_000)) == MOST


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((), None),
        (("de",), "de"),
        (("DE-at".lower(),), "de-AT"),
        (("de-ch-1996",), "de"),
        (("fr",), None),
        (("fr-ca",), "fr-CA"),
        (("nl", "de"), "de"),
        (("en-gb", "de"), None),
        (("nl",), None),
    ],
)
def test_a_language_is_looked_up_from_its_whole_tag_to_its_first_part(wanted: tuple[str, ...], expected: str | None) -> None:
    assert chosen(TEXTS, wanted) == expected


def test_who_reads_english_reads_the_tenants_own_words_unless_there_are_english_ones() -> None:
    assert chosen(TEXTS, ("en", "de")) is None
    assert chosen({**TEXTS, "en": "See"}, ("en-GB".lower(), "de")) == "en"


@pytest.mark.parametrize("tag", ["", "d", "deutsch-", "de_AT", "de AT", "*", "de-" + "x" * 9, '"'])
def test_what_is_no_tag_is_told(tag: str) -> None:
    assert tag_fault(tag) is not None
    assert tag_fault("zh-Hant-TW") is None
