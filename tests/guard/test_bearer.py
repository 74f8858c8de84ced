"""Which token a request carries, if it carries one."""

import pytest

from gatewright_guard.bearer import Presented, presented
from gatewright_guard.refused import Cause, Refused


@pytest.mark.proves("RFC 6750", "2.1")
@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER abc", "abc"),
        ("Bearer  abc", "abc"),
        (" Bearer abc ", "abc"),
        ("Bearer aZ09-._~+/==", "aZ09-._~+/=="),
        ("Basic abc", None),
        ("Bearerabc", None),
        ("", None),
    ],
)
def test_the_header_names_one_token_or_none(value: str, token: str | None) -> None:
    assert presented([value]) == (None if token is None else Presented("bearer", token))


@pytest.mark.proves("RFC 9449", "7.1")
@pytest.mark.parametrize("value", ["DPoP abc", "dpop abc", "DPOP  abc"])
def test_a_bound_token_has_another_word_in_front_of_it(value: str) -> None:
    assert presented([value]) == Presented("dpop", "abc")


@pytest.mark.proves("RFC 6750", "2, 3.1")
@pytest.mark.parametrize(
    ("headers", "query"),
    [
        (["Bearer"], ""),
        (["Bearer "], ""),
        (["Bearer a b"], ""),
        (["Bearer a,Bearer b"], ""),
        (["Bearer a, b"], ""),
        (["Bearer =a"], ""),
        (['Bearer "a"'], ""),
        (["Bearer a\x00"], ""),
        (["Bearer a\r\nx: y"], ""),
        (["Bearer a\n"], ""),
        (["Bearer é"], ""),
        (["Bearer a", "Bearer a"], ""),
        (["Bearer a", "Basic b"], ""),
        (["Basic a", "Basic b"], ""),
        ([], "access_token=a"),
        (["Bearer a"], "x=1&access_token=a"),
        (["Bearer a"], "access_token="),
    ],
)
def test_more_or_less_than_one_token_is_a_malformed_request(headers: list[str], query: str) -> None:
    with pytest.raises(Refused) as refused:
        presented(headers, query)
    assert refused.value.cause is Cause.REQUEST_MALFORMED


def test_other_parameters_of_the_address_are_the_apis_own() -> None:
    assert presented(["Bearer a"], "token=x&my_access_token=y&x=access_token") == Presented("bearer", "a")


def test_without_a_header_there_is_no_token() -> None:
    assert presented([]) is None
