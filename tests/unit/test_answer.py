"""The answer to an authorization request, and the request on its way through the browser."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.keys.root import RootKey
from gatewright.keys.sealer import RootSealer
from gatewright.oauth.answer import approve, refuse
from gatewright.oauth.errors import InvalidRequest
from gatewright.oauth.handle import open_handle
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.redirect_uri import RedirectUri
from gatewright.oauth.request import (
    LONGEST_SECONDS,
    STEP_SECONDS,
    AuthorizationRequest,
    Journey,
    Progress,
    ReturnTo,
    seal,
    seal_bytes,
    unseal,
)
from tests.support import builders as b
from tests.support.clock import NOON, TestClock

ISSUER = b.an_issuer()
SEALER = RootSealer(RootKey(bytes(range(32))))
ANSWER = "code=c&iss=https%3A%2F%2Fid.acme.test"


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("https://a.example", f"https://a.example?{ANSWER}"),
        ("https://a.example/", f"https://a.example/?{ANSWER}"),
        ("https://a.example/cb", f"https://a.example/cb?{ANSWER}"),
        ("https://a.example/cb?", f"https://a.example/cb?{ANSWER}"),
        ("https://a.example/cb?x=1", f"https://a.example/cb?x=1&{ANSWER}"),
        ("https://a.example/cb?x=1&", f"https://a.example/cb?x=1&{ANSWER}"),
        ("com.example.app:/cb", f"com.example.app:/cb?{ANSWER}"),
        ("http://[::1]:5000/cb", f"http://[::1]:5000/cb?{ANSWER}"),
    ],
)
@pytest.mark.proves("RFC 6749", "3.1.2")
def test_the_query_of_an_address_is_kept(uri: str, target: str) -> None:
    assert approve("c", ReturnTo(RedirectUri(uri)), ISSUER).target == target


@given(state=st.text(min_size=1))
def test_any_state_comes_back_as_it_was_and_breaks_nothing(state: str) -> None:
    text = state.encode("utf-8", "replace").decode()
    sent = approve("c", ReturnTo(RedirectUri("https://a.example/cb"), "query", text), ISSUER)
    assert sent.target.isascii()
    assert sent.target.isprintable()
    assert dict(parse_qsl(urlsplit(sent.target).query, keep_blank_values=True))["state"] == text


@given(description=st.text(max_size=50))
def test_a_description_holds_what_the_rfc_allows(description: str) -> None:
    sent = refuse(InvalidRequest(description), ReturnTo(RedirectUri("https://a.example/cb"), "form_post"), ISSUER)
    assert sent.form is not None
    told = dict(sent.form)["error_description"]
    assert all(0x20 <= ord(char) <= 0x7E and char not in '"\\' for char in told)


def test_a_posted_answer_has_the_same_fields() -> None:
    sent = approve("c", ReturnTo(RedirectUri("https://a.example/cb"), "form_post", "s"), ISSUER)
    assert (sent.target, sent.form) == ("https://a.example/cb", (("code", "c"), ("state", "s"), ("iss", b.URL)))


def a_journey() -> Journey:
    request = AuthorizationRequest(
        client_id="budget-buddy",
        back=ReturnTo(RedirectUri("https://a.example/cb"), "query", "s"),
        scopes=("openid", "read:balance"),
        prompts=frozenset({"login"}),
        claims_text='{"userinfo":{}}',
        hint=b.PERSON,
        asked_at=NOON,
    )
    return Journey(id="abc", started_at=NOON, sealed_at=NOON, request=request, progress=Progress(session=7, consented=True))


def test_a_journey_comes_back_as_it_was_sealed() -> None:
    text = seal(a_journey(), ISSUER, SEALER, TestClock().moment())
    assert unseal(text, ISSUER, SEALER, NOON) == a_journey()


def test_a_sealed_journey_tells_nobody_anything() -> None:
    at = TestClock().moment()
    first, second = seal(a_journey(), ISSUER, SEALER, at), seal(a_journey(), ISSUER, SEALER, at)
    assert first != second
    assert "budget" not in first
    assert len(first) < 400


@pytest.mark.parametrize("issuer", [b.an_issuer("https://other.acme.test"), b.an_issuer(tenant=1002)])
def test_a_journey_is_sealed_for_one_issuer(issuer: Issuer) -> None:
    text = seal(a_journey(), ISSUER, SEALER, TestClock().moment())
    assert unseal(text, issuer, SEALER, NOON) is None


@pytest.mark.parametrize(("later", "alive"), [(0, True), (STEP_SECONDS, True), (STEP_SECONDS + 1, False)])
def test_a_step_has_its_time(later: int, alive: bool) -> None:
    text = seal(a_journey(), ISSUER, SEALER, TestClock().moment())
    assert (unseal(text, ISSUER, SEALER, NOON + later) is not None) is alive


def test_a_journey_has_its_time_however_many_steps_it_takes() -> None:
    late = TestClock(NOON + LONGEST_SECONDS).moment()
    text = seal(a_journey(), ISSUER, SEALER, late)
    assert unseal(text, ISSUER, SEALER, NOON + LONGEST_SECONDS) is not None
    assert unseal(text, ISSUER, SEALER, NOON + LONGEST_SECONDS + 1) is None


def test_any_change_of_a_sealed_journey_is_noticed() -> None:
    text = seal(a_journey(), ISSUER, SEALER, TestClock().moment())
    for place in range(0, len(text), 7):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert unseal(changed, ISSUER, SEALER, NOON) is None
    assert unseal(text + "A", ISSUER, SEALER, NOON) is None
    assert unseal("x" * 10_000, ISSUER, SEALER, NOON) is None


def test_a_journey_is_no_access_token() -> None:
    text = seal(a_journey(), ISSUER, SEALER, TestClock().moment())
    assert open_handle("gwa_" + text[4:], ISSUER, SEALER, NOON) is None


def test_what_an_older_version_sealed_is_over() -> None:
    text = seal_bytes(b"\x81\xa2id\x01", "journey", ISSUER, SEALER, TestClock().moment())
    assert unseal(text, ISSUER, SEALER, NOON) is None
