"""Which token a request carries, if it carries one."""

import pytest

from gatewright_guard.bearer import bearer
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
        ("DPoP abc", None),
        ("Bearerabc", None),
        ("", None),
    ],
)
def test_the_header_names_one_token_or_none(value: str, token: str | None) -> None:
    assert bearer([value]) == token


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
        bearer(headers, query)
    assert refused.value.cause is Cause.REQUEST_MALFORMED


def test_other_parameters_of_the_address_are_the_apis_own() -> None:
    assert bearer(["Bearer a"], "token=x&my_access_token=y&x=access_token") == "a"


def test_without_a_header_there_is_no_token() -> None:
    assert bearer([]) is None
