"""The texts of our secrets and ids: what was made is read back, and any other text is none of them, without a fault."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gatewright.base import ids
from gatewright.base.digest import Kind, b64, split, unb64, with_id
from gatewright.base.mask import MASK, mask
from gatewright.keys.root import RootKey
from gatewright.keys.sealer import RootSealer
from gatewright.oauth import code, pkce, refresh, request
from gatewright.oauth.handle import (
    JTI_BYTES,
    Handle,
    authentic,
    is_standing_token,
    new_standing_token,
    open_handle,
    pack,
    room,
    seal,
    unpack,
)
from gatewright.oauth.redirect_uri import RedirectUri
from gatewright.oauth.request import AuthorizationRequest, Journey, ReturnTo
from gatewright_guard.jose import parse
from gatewright_guard.refused import Refused
from tests.support.builders import a_standing, an_issuer
from tests.support.clock import NOON, TestClock

SEALER = RootSealer(RootKey(bytes(range(32))))
ISSUER = an_issuer()
SECRET = "row's own access secret"
rows = st.integers(1, 2**63 - 1)
counts = st.integers(0, 2**32 - 1)
alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
texts = st.one_of(st.text(max_size=60), st.text(alphabet, max_size=80))
prefixed = st.builds(lambda kind, rest: kind + rest, st.sampled_from(list(Kind)), texts)
handles = st.builds(
    Handle,
    authorization=rows,
    jti=st.binary(min_size=JTI_BYTES, max_size=JTI_BYTES).map(b64),
    api=rows,
    iat=counts,
    exp=counts,
    epoch=counts,
    cnf=st.one_of(st.none(), st.binary(min_size=32, max_size=32)),
    act=st.one_of(st.none(), rows),
    named=st.binary(max_size=room(bound=True, acting=True)),
)


# ---------------------------------------------------------------- ids


@given(st.sampled_from(sorted(ids.PREFIXES)), st.integers(1, 2**63 - 1))
def test_an_id_is_read_as_it_was_shown(prefix: str, number: int) -> None:
    assert ids.read(prefix, ids.show(prefix, number)) == number


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_the_texts_of_ids_sort_as_their_numbers_do(one: int, other: int) -> None:
    assert (ids.show("us", one) < ids.show("us", other)) == (one < other)


@given(st.sampled_from(sorted(ids.PREFIXES)), st.one_of(texts, st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=13, max_size=13)))
@example("us", "zzzzzzzzzzzzz")
@example("us", "0000000000٣00")
def test_an_id_has_exactly_one_text(prefix: str, text: str) -> None:
    for shown in (text, f"{prefix}_{text}"):
        number = ids.read(prefix, shown)
        assert number is None or ids.show(prefix, number) == shown


@given(st.sampled_from(sorted(ids.PREFIXES)), st.sampled_from(sorted(ids.PREFIXES)), st.integers(0, 2**63 - 1))
def test_an_id_of_one_kind_is_none_of_another_and_no_client_may_look_like_it(one: str, other: str, number: int) -> None:
    shown = ids.show(one, number)
    assert one == other or ids.read(other, shown) is None
    assert ids.reserved(shown)


# ---------------------------------------------------------------- base64url and its texts


@given(texts)
@example("AB==")
@example("AB")
@example("A\n")
@example("A+/_")
def test_bytes_have_exactly_one_text(text: str) -> None:
    raw = unb64(text)
    assert raw is None or b64(raw) == text


@given(st.sampled_from(list(Kind)), rows, st.binary(min_size=32, max_size=32))
def test_a_secret_with_its_id_is_read_back_as_its_own_kind_alone(kind: Kind, number: int, secret: bytes) -> None:
    text = with_id(kind, number, secret)
    assert {other: split(other, text, 32) for other in Kind} == {other: (number, secret) if other is kind else None for other in Kind}
    assert split(kind, text, 31) is None


@given(prefixed)
def test_any_other_text_is_no_secret(text: str) -> None:
    for kind in Kind:
        found = split(kind, text, 32)
        assert found is None or with_id(kind, *found) == text
    assert code.authorization_of(text) is None or text.startswith(Kind.CODE)


@given(st.text(max_size=20), st.sampled_from(list(Kind)), st.binary(min_size=16, max_size=40), st.text(max_size=20))
def test_no_secret_of_ours_passes_into_a_log(before: str, kind: Kind, secret: bytes, after: str) -> None:
    text = with_id(kind, 1, secret)
    told = mask(f"{before} {text} {after}")
    assert MASK in told
    assert text not in told
    assert b64(secret)[4:] not in told


# ---------------------------------------------------------------- handles


@given(handles)
def test_a_handle_is_unpacked_as_it_was_packed(made: Handle) -> None:
    found = unpack(pack(made, SECRET))
    assert found is not None
    assert replace(found, signed=b"", mac=b"") == made
    assert authentic(found, a_standing(access_secret=SECRET))
    assert not authentic(found, a_standing(access_secret="another row's"))


@given(st.binary(max_size=140))
def test_any_bytes_are_a_handle_or_none_and_never_an_authentic_one(raw: bytes) -> None:
    found = unpack(raw)
    assert found is None or not authentic(found, a_standing(access_secret=SECRET))


@given(handles, st.integers(0, 200), st.integers(1, 255))
def test_a_handle_changed_in_any_bit_is_authentic_no_more(made: Handle, place: int, bits: int) -> None:
    raw = bytearray(pack(made, SECRET))
    raw[place % len(raw)] ^= bits
    found = unpack(bytes(raw))
    assert found is None or not authentic(found, a_standing(access_secret=SECRET))


@given(handles, st.text(alphabet, max_size=30))
def test_a_sealed_handle_opens_at_its_issuer_alone_and_is_short(made: Handle, other: str) -> None:
    at = TestClock(seed=other).moment()
    text = seal(made, SECRET, ISSUER, SEALER, at)
    if made.cnf is None and made.act is None:
        assert len(text) <= 200
    found = open_handle(text, ISSUER, SEALER, NOON)
    assert found is not None
    assert found.jti == made.jti
    for issuer in (an_issuer("https://id.other.test"), an_issuer(tenant=1002)):
        assert open_handle(text, issuer, SEALER, NOON) is None
    assert open_handle(text, ISSUER, RootSealer(RootKey(bytes(32))), NOON) is None
    for days in (-2, 3):
        assert open_handle(text, ISSUER, SEALER, NOON + days * 86400) is None


@given(prefixed)
@example("gwa_" + "A" * 200)
@example("gwa_é")
def test_any_text_is_a_handle_or_none(text: str) -> None:
    assert open_handle(text, ISSUER, SEALER, NOON) is None
    assert request.unseal(text, ISSUER, SEALER, NOON) is None
    assert not is_standing_token(text, a_standing(standing_digest=new_standing_token(1, ISSUER.tenant, TestClock().moment())[1]))


# ---------------------------------------------------------------- refresh tokens and codes


@given(rows, st.integers(0, 2**31))
def test_a_refresh_token_is_known_whatever_its_generation(number: int, generation: int) -> None:
    row = a_standing(id=number, generation=generation)
    text = refresh.make(row, generation, SEALER)
    shown = refresh.parse(text)
    assert shown is not None
    assert (shown.authorization, shown.generation) == (number, generation)
    assert refresh.prove(shown, row, SEALER)
    for other in (
        a_standing(id=number, refresh_secret="another"),
        a_standing(id=number, tenant=1),
        a_standing(id=number, refresh_secret=None),
    ):
        assert not refresh.prove(shown, other, SEALER)


@given(rows, st.integers(0, 1000), st.integers(0, 61), st.sampled_from(alphabet))
def test_a_refresh_token_changed_in_any_character_is_unknown(number: int, generation: int, place: int, char: str) -> None:
    row = a_standing(id=number)
    text = refresh.make(row, generation, SEALER)
    at = len(Kind.REFRESH) + place
    changed = text[:at] + char + text[at + 1 :]
    assume(changed != text)
    shown = refresh.parse(changed)
    assert shown is None or shown.authorization != number or not refresh.prove(shown, row, SEALER)


@given(prefixed)
def test_any_text_is_a_refresh_token_or_none(text: str) -> None:
    shown = refresh.parse(text)
    assert shown is None or not refresh.prove(shown, a_standing(id=shown.authorization), SEALER)


@pytest.mark.proves("RFC 7636", "4.6")
@given(st.text(max_size=130), st.text(max_size=50))
def test_no_text_answers_a_challenge_that_it_was_not_hashed_into(verifier: str, challenge: str) -> None:
    assert pkce.fault(challenge, verifier) is not None
    assert pkce.fault(None, verifier) is not None


@given(st.text(alphabet + ".~", min_size=43, max_size=128))
def test_a_verifier_answers_its_own_challenge(verifier: str) -> None:
    challenge = pkce.challenge_of(verifier)
    assert pkce.is_challenge(challenge)
    assert pkce.fault(challenge, verifier) is None


# ---------------------------------------------------------------- what travels through the browser, and what others signed


@given(st.text(max_size=30), st.text(max_size=30), st.frozensets(st.sampled_from(["login", "consent", "select_account"])))
def test_a_request_comes_back_from_the_browser_as_it_went(state: str, nonce: str, prompts: frozenset[str]) -> None:
    asked = AuthorizationRequest(
        client_id="app",
        back=ReturnTo(RedirectUri("https://app.example/"), state=state or None),
        nonce=nonce or None,
        prompts=prompts,  # type: ignore[arg-type]  # Hypothesis knows texts, not these four
        asked_at=NOON,
    )
    journey = Journey(id="a", started_at=NOON, sealed_at=0, request=asked)
    text = request.seal(journey, ISSUER, SEALER, TestClock().moment())
    found = request.unseal(text, ISSUER, SEALER, NOON)
    assert found is not None
    assert found.request == asked
    assert request.unseal(text, an_issuer("https://id.other.test"), SEALER, NOON) is None
    assert request.unseal(text, ISSUER, SEALER, NOON + request.STEP_SECONDS + 1) is None
    assert request.unseal_posted(text, ISSUER, SEALER, NOON) is None
    assert open_handle(Kind.ACCESS + text.removeprefix(Kind.STEP), ISSUER, SEALER, NOON) is None


@given(st.one_of(texts, st.lists(texts, min_size=3, max_size=3).map(".".join)))
@example("..")
@example("eyJhbGciOiJub25lIn0.e30.")
def test_any_text_is_a_jws_or_refused(text: str) -> None:
    try:
        parse(text)
    except Refused:
        return
    assert text.count(".") == 2
