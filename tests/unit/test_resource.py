"""Which API a token is for: one, and never by guessing (RFC 8707)."""

import pytest

from gatewright.oauth.catalogue import OPENID_SCOPES, Scope
from gatewright.oauth.client import Client
from gatewright.oauth.errors import InvalidTarget
from gatewright.oauth.issuer import Policy
from gatewright.oauth.resource import Target, pick
from tests.support import builders as b

STRICT = b.a_client()
FIRST = b.a_client(audience="first")
OPENID, PROFILE = OPENID_SCOPES[:2]


def picked(*granted: Scope, asked: tuple[str, ...] = (), approved: tuple[str, ...] = (), client: Client = STRICT) -> Target:
    return pick(asked, approved, granted, b.CATALOGUE, client)


def test_the_scopes_of_one_api_name_it() -> None:
    assert picked(OPENID, b.READ_BALANCE) == Target(b.BANK, (OPENID, b.READ_BALANCE))


def test_openid_alone_is_for_the_issuer() -> None:
    assert picked(OPENID, PROFILE) == Target(None, (OPENID, PROFILE))


def test_several_apis_without_a_resource_are_refused_with_the_choices() -> None:
    with pytest.raises(InvalidTarget) as refusal:
        picked(OPENID, b.READ_BALANCE, b.VIEW_EVENTS)
    assert b.BANK.audience in refusal.value.description
    assert b.EVENTS.audience in refusal.value.description


def test_a_client_set_to_the_first_audience_gets_the_first() -> None:
    assert picked(b.VIEW_EVENTS, OPENID, b.READ_BALANCE, client=FIRST) == Target(b.EVENTS, (b.VIEW_EVENTS, OPENID))


def test_a_resource_picks_its_api_and_narrows_to_it_and_openid() -> None:
    found = picked(OPENID, b.READ_BALANCE, b.VIEW_EVENTS, asked=(b.EVENTS.audience,))
    assert found == Target(b.EVENTS, (OPENID, b.VIEW_EVENTS))


def test_the_same_resource_twice_is_one() -> None:
    assert picked(b.VIEW_EVENTS, asked=(b.EVENTS.audience,) * 2).api == b.EVENTS


def test_what_was_approved_decides_where_nothing_is_asked() -> None:
    found = picked(OPENID, b.READ_BALANCE, b.VIEW_EVENTS, approved=(b.BANK.audience,))
    assert found == Target(b.BANK, (OPENID, b.READ_BALANCE))


@pytest.mark.parametrize("written", [b.BANK.audience + "/", b.BANK.audience.upper()])
def test_one_address_written_in_another_way_is_the_same_resource(written: str) -> None:
    assert picked(b.READ_BALANCE, b.VIEW_EVENTS, asked=(written,), approved=(b.BANK.audience,)) == Target(b.BANK, (b.READ_BALANCE,))


def test_an_approved_resource_takes_openid_scopes_alone() -> None:
    assert picked(OPENID, approved=(b.EVENTS.audience,)) == Target(b.EVENTS, (OPENID,))
    assert picked(OPENID, approved=("https://gone.acme.test",)) == Target(None, (OPENID,))


@pytest.mark.parametrize(
    ("asked", "approved", "said"),
    [
        (("https://unknown.acme.test",), (), "no API"),
        ((b.BANK.audience + "/x",), (), "no API"),
        ((b.BANK.audience, b.EVENTS.audience), (), "one API"),
        ((b.EVENTS.audience,), (b.BANK.audience,), "not among those that were approved"),
        ((b.IMAGING.audience,), (), "no scope of that resource"),
        ((b.IMAGING.audience,), (b.IMAGING.audience,), "no scope of that resource"),
    ],
)
def test_a_resource_beyond_the_grant_is_refused(asked: tuple[str, ...], approved: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidTarget, match=said):
        picked(b.READ_BALANCE, b.VIEW_EVENTS, asked=asked, approved=approved)


def test_several_approved_resources_are_no_choice() -> None:
    with pytest.raises(InvalidTarget, match="several APIs"):
        picked(OPENID, b.READ_BALANCE, b.VIEW_EVENTS, approved=(b.BANK.audience, b.EVENTS.audience))


@pytest.mark.parametrize(
    ("target", "seconds"),
    [(Target(None, ()), 3600), (Target(b.BANK, ()), 7200), (Target(b.EVENTS, ()), 900), (Target(b.APPS, ()), 86400)],
)
def test_a_lifetime_is_the_apis_and_a_day_at_most_for_opaque_tokens(target: Target, seconds: int) -> None:
    assert target.lifetime(Policy()) == seconds


def test_the_reach_of_a_token_are_its_scopes_that_need_no_account() -> None:
    assert Target(b.IMAGING, (OPENID, b.READ_IMAGES, b.DELETE_IMAGES)).reach == "read:images delete:images"
    assert Target(b.EVENTS, (b.VIEW_EVENTS,)).reach == ""
