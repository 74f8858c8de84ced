"""Access tokens held against RFC 9068: each thing that may be wrong with an authentic one, and the edges of time."""

from typing import Any

import pytest

from gatewright_guard.refused import Cause, Refused
from gatewright_guard.verify import Claims, read_claims, scope_set, verify_access_token
from tests.guard.makers import AUDIENCE, ISSUER, NOW, a_token, keys_of, some_claims

KEYS = keys_of()


def checked(token: str, now: float = NOW, leeway: int = 10) -> Claims:
    return verify_access_token(token, KEYS, issuer=ISSUER, audience=AUDIENCE, now=now, leeway=leeway)


def test_a_good_token_says_who_calls_for_which_account_with_which_scopes() -> None:
    claims = checked(a_token(tier="gold"))
    assert (claims.sub, claims.client_id, claims.iss, claims.aud) == ("us_1", "budget-buddy", ISSUER, (AUDIENCE,))
    assert (claims.exp, claims.iat, claims.jti) == (NOW + 900, NOW, "j1")
    assert (claims.account_id, claims.account, claims.authorization_id) == ("ac_1", "acme-dev", "az_1")
    assert claims.scopes == {"read:balance", "openid"}
    assert claims.reach == frozenset()
    assert not claims.bound
    assert claims.extra == {"tier": "gold"}


def test_a_back_end_token_has_no_account_and_may_have_no_scope() -> None:
    claims = checked(a_token(account=None, account_id=None, scope=None, gw_reach="read:images"))
    assert (claims.account_id, claims.account, claims.scopes) == (None, None, frozenset())
    assert claims.reach == {"read:images"}


def test_several_issuers_of_one_tenant_may_be_accepted() -> None:
    token = a_token(iss="https://login.acme.test")
    issuers = {ISSUER, "https://login.acme.test"}
    assert verify_access_token(token, KEYS, issuer=issuers, audience=AUDIENCE, now=NOW).iss == "https://login.acme.test"


@pytest.mark.proves("RFC 9068", "4")
@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT"])
def test_the_type_of_an_access_token_is_accepted(typ: str) -> None:
    assert checked(a_token(typ=typ)).sub == "us_1"


@pytest.mark.proves("RFC 9068", "4")
@pytest.mark.parametrize("typ", [None, "", "JWT", "jwt", "at", "dpop+jwt", "application/jwt", "logout+jwt", "at+jwt "])
def test_another_type_is_refused_whatever_it_says(typ: str | None) -> None:
    with pytest.raises(Refused) as refused:
        checked(a_token(typ=typ))
    assert refused.value.cause is Cause.TYPE_WRONG


@pytest.mark.proves("RFC 9068", "4")
@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"iss": None}, Cause.CLAIM_MALFORMED),
        ({"iss": "https://id.acme.test/"}, Cause.ISSUER_WRONG),
        ({"iss": "https://id.acme.tes"}, Cause.ISSUER_WRONG),
        ({"iss": "https://ID.acme.test"}, Cause.ISSUER_WRONG),
        ({"iss": ""}, Cause.ISSUER_WRONG),
        ({"iss": [ISSUER]}, Cause.CLAIM_MALFORMED),
        ({"aud": None}, Cause.CLAIM_MALFORMED),
        ({"aud": "https://bank.acme.test/"}, Cause.AUDIENCE_WRONG),
        ({"aud": "https://bank.acme.test.evil.test"}, Cause.AUDIENCE_WRONG),
        ({"aud": []}, Cause.AUDIENCE_WRONG),
        ({"aud": ["https://events.acme.test"]}, Cause.AUDIENCE_WRONG),
        ({"aud": {AUDIENCE: 1}}, Cause.CLAIM_MALFORMED),
        ({"aud": [AUDIENCE, 1]}, Cause.CLAIM_MALFORMED),
        ({"sub": None}, Cause.CLAIM_MALFORMED),
        ({"sub": ""}, Cause.CLAIM_MALFORMED),
        ({"sub": 7}, Cause.CLAIM_MALFORMED),
        ({"client_id": None}, Cause.CLAIM_MALFORMED),
        ({"client_id": ""}, Cause.CLAIM_MALFORMED),
        ({"jti": None}, Cause.CLAIM_MALFORMED),
        ({"iat": None}, Cause.CLAIM_MALFORMED),
        ({"exp": None}, Cause.CLAIM_MALFORMED),
        ({"exp": "1800000900"}, Cause.CLAIM_MALFORMED),
        ({"exp": True}, Cause.CLAIM_MALFORMED),
        ({"exp": [NOW]}, Cause.CLAIM_MALFORMED),
        ({"scope": ["read:balance"]}, Cause.CLAIM_MALFORMED),
        ({"account": 1}, Cause.CLAIM_MALFORMED),
        ({"cnf": "x"}, Cause.CLAIM_MALFORMED),
    ],
)
def test_a_signed_token_with_a_wrong_claim_is_refused(changes: dict[str, Any], cause: Cause) -> None:
    with pytest.raises(Refused) as refused:
        checked(a_token(**changes))
    assert refused.value.cause is cause


def test_one_of_several_audiences_suffices() -> None:
    assert checked(a_token(aud=["https://events.acme.test", AUDIENCE])).aud == ("https://events.acme.test", AUDIENCE)


@pytest.mark.proves("RFC 7519", "4.1.4")
@pytest.mark.parametrize(
    ("changes", "now", "leeway", "cause"),
    [
        ({"exp": NOW + 1}, NOW, 0, None),
        ({"exp": NOW}, NOW, 0, Cause.TOKEN_EXPIRED),
        ({"exp": NOW}, NOW + 9.999, 10, None),
        ({"exp": NOW}, NOW + 10, 10, Cause.TOKEN_EXPIRED),
        ({"exp": NOW + 0.5}, NOW + 0.4, 0, None),
        ({"exp": NOW + 0.5}, NOW + 0.5, 0, Cause.TOKEN_EXPIRED),
        ({"exp": -1}, NOW, 10, Cause.TOKEN_EXPIRED),
        ({"exp": 0}, NOW, 10, Cause.TOKEN_EXPIRED),
        ({"exp": 2**70}, NOW, 10, None),
        ({"nbf": NOW + 10}, NOW, 10, None),
        ({"nbf": NOW + 11}, NOW, 10, Cause.TOKEN_EARLY),
        ({"iat": NOW + 10}, NOW, 10, None),
        ({"iat": NOW + 11}, NOW, 10, Cause.TOKEN_EARLY),
        ({"iat": NOW + 0.1}, NOW, 0, Cause.TOKEN_EARLY),
    ],
)
def test_the_edges_of_a_tokens_time(changes: dict[str, Any], now: float, leeway: int, cause: Cause | None) -> None:
    if cause is None:
        assert checked(a_token(**changes), now, leeway).sub == "us_1"
        return
    with pytest.raises(Refused) as refused:
        checked(a_token(**changes), now, leeway)
    assert refused.value.cause is cause


def test_an_expired_token_of_another_api_is_only_told_that_it_is_for_another_api() -> None:
    with pytest.raises(Refused) as refused:
        checked(a_token(exp=NOW - 999, aud="https://events.acme.test"))
    assert refused.value.cause is Cause.AUDIENCE_WRONG


def test_a_refusal_quotes_no_token() -> None:
    token = a_token(sub=["secret-subject"])
    with pytest.raises(Refused) as refused:
        checked(token)
    assert "secret-subject" not in str(refused.value)
    assert token not in str(refused.value)


def test_what_introspection_says_is_read_by_the_same_rules() -> None:
    standing = read_claims(some_claims(exp=None, jti=None), issuer=ISSUER, audience=AUDIENCE, now=NOW)
    assert (standing.exp, standing.jti) == (None, None)
    with pytest.raises(Refused) as refused:
        read_claims(some_claims(aud="https://events.acme.test"), issuer=ISSUER, audience=AUDIENCE, now=NOW)
    assert refused.value.cause is Cause.AUDIENCE_WRONG


@pytest.mark.parametrize(("text", "scopes"), [("", set()), ("a", {"a"}), ("a b a", {"a", "b"}), (" a  b ", {"a", "b"}), ("a\tb", {"a\tb"})])
def test_a_scope_value_is_a_set_parted_by_spaces_alone(text: str, scopes: set[str]) -> None:
    assert scope_set(text) == scopes


def test_a_bound_token_says_so() -> None:
    assert checked(a_token(cnf={"jkt": "x"})).bound
