"""Signed tokens: published vectors, another library as the oracle, and every way to hand in something else."""

import base64
import contextlib
import hashlib
import hmac
import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from gatewright_guard.jose import (
    MAX_TOKEN,
    BadKey,
    KeySet,
    b64url,
    parse,
    public_key,
    read_jwks,
    thumbprint,
    unb64url,
    verify,
)
from gatewright_guard.refused import Cause, Refused
from tests.guard.makers import ALGORITHMS, a_jwk, a_key, a_public_key, a_token, keys_of, part, signed, some_claims

# ---------------------------------------------------------------- published vectors

JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RFC7515_A2 = (
    {
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs"
        "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY"
        "4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    },
    "eyJhbGciOiJSUzI1NiJ9." + JOE + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
    "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_"
    "dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe7"
    "7Rw",
)
RFC7515_A3 = (
    {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    "eyJhbGciOiJFUzI1NiJ9." + JOE + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
)
RFC8037_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RFC8037_A4 = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)
RFC7638_KEY = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ"
    "_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08"
    "qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


@pytest.mark.proves("RFC 7515", "A.2, A.3")
@pytest.mark.parametrize(("jwk", "token"), [RFC7515_A2, RFC7515_A3], ids=["RS256", "ES256"])
def test_the_published_tokens_of_rfc_7515_verify(jwk: dict[str, Any], token: str) -> None:
    verified = verify(token, KeySet((public_key(jwk),)))
    assert verified.payload == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


@pytest.mark.proves("RFC 8037", "A.4")
def test_the_published_signature_of_rfc_8037_holds() -> None:
    signed_text, _, signature = RFC8037_A4.rpartition(".")
    key = public_key(RFC8037_KEY)
    assert key.holds(unb64url(signature), signed_text.encode())
    assert not key.holds(unb64url(signature), signed_text.encode() + b".")


@pytest.mark.proves("RFC 7638", "3.1")
def test_thumbprints_are_those_of_the_published_keys() -> None:
    assert thumbprint(RFC7638_KEY) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert thumbprint(RFC8037_KEY) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_thumbprint_is_what_another_library_makes_of_the_key(alg: str) -> None:
    assert a_public_key(alg).thumbprint == a_key(alg).thumbprint()


# ---------------------------------------------------------------- another library as the oracle


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_another_library_signs_we_verify(alg: str) -> None:
    verified = verify(a_token(alg), keys_of(alg=alg))
    assert verified.payload == some_claims()
    assert (verified.header.alg, verified.header.kid, verified.header.typ) == (alg, "k1", "at+jwt")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_whatever_is_altered_is_refused_by_both(alg: str) -> None:
    """Each altered token goes to the other library too, so that we are never the laxer one."""
    head, body, signature = a_token(alg).split(".")
    raw = unb64url(signature)
    altered = [
        (head, body, b64url(raw[:-1])),
        (head, body, b64url(raw + b"\0")),
        (head, body, b64url(raw[::-1])),
        (head, body, b64url(bytes(len(raw)))),
        (head, body, b64url(raw[:-1] + bytes([raw[-1] ^ 1]))),
        (head, body, ""),
        (head, part(some_claims(sub="us_2")), signature),
        (part({"alg": alg, "kid": "k1", "typ": "at+jwt", "x": 1}), body, signature),
    ]
    for parts in altered:
        token = ".".join(parts)
        with pytest.raises(Refused) as refused:
            verify(token, keys_of(alg=alg))
        assert refused.value.cause is Cause.SIGNATURE_WRONG
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            with pytest.raises(JoseError):
                jws.deserialize_compact(token, a_key(alg), algorithms=[alg])


def test_an_ecdsa_signature_in_der_is_refused() -> None:
    head, body, signature = a_token().split(".")
    raw = unb64url(signature)

    def integer(value: bytes) -> bytes:
        value = value.lstrip(b"\0")
        value = b"\0" + value if value[0] & 0x80 else value
        return b"\x02" + bytes([len(value)]) + value

    inner = integer(raw[:32]) + integer(raw[32:])
    der = b"\x30" + bytes([len(inner)]) + inner
    with pytest.raises(Refused):
        verify(f"{head}.{body}.{b64url(der)}", keys_of())


@pytest.mark.parametrize("alg", ["ES256", "ES384"])
def test_short_halves_of_an_ecdsa_signature_are_read_right(alg: str) -> None:
    """An r or s with a leading zero byte occurs once in 256 signatures and is where conversions go wrong."""
    keys, header, key = keys_of(alg=alg), {"alg": alg, "kid": "k1"}, a_key(alg)
    short = set[int]()
    for _ in range(20_000):
        token = signed(b"{}", header, key)
        raw = unb64url(token.rpartition(".")[2])
        at = {half for half in (0, len(raw) // 2) if raw[half] == 0}
        if at:
            assert verify(token, keys).payload == {}
            short |= at
        if len(short) == 2:
            return
    pytest.fail("no short half in 20,000 signatures")


# ---------------------------------------------------------------- algorithm confusion


def a_token_signed_with_the_public_key_as_secret(secret: bytes) -> str:
    signed_text = part({"alg": "HS256", "kid": "k1", "typ": "at+jwt"}) + "." + part(some_claims())
    return signed_text + "." + b64url(hmac.digest(secret, signed_text.encode(), hashlib.sha256))


@pytest.mark.parametrize("secret", [json.dumps(a_jwk("RS256")).encode(), base64.urlsafe_b64decode(a_jwk("RS256")["n"] + "==")])
def test_a_public_key_is_no_shared_secret(secret: bytes) -> None:
    with pytest.raises(Refused) as refused:
        verify(a_token_signed_with_the_public_key_as_secret(secret), keys_of(alg="RS256"))
    assert refused.value.cause is Cause.KEY_UNKNOWN


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS256", "es256", "ES256K", "RSA1_5", "dir"])
@pytest.mark.parametrize("signature", ["", "AA"])
def test_an_algorithm_that_no_key_has_is_refused(alg: str, signature: str) -> None:
    token = f"{part({'alg': alg, 'kid': 'k1', 'typ': 'at+jwt'})}.{part(some_claims())}.{signature}"
    with pytest.raises(Refused) as refused:
        verify(token, keys_of())
    assert refused.value.cause is Cause.KEY_UNKNOWN


@pytest.mark.parametrize(
    ("key_alg", "said"), [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "ES256"), ("ES256", "RS256"), ("ES256", "ES384")]
)
def test_a_key_serves_no_algorithm_but_its_own(key_alg: str, said: str) -> None:
    head, body, signature = a_token(said, kid="k1").split(".")
    with pytest.raises(Refused) as refused:
        verify(f"{head}.{body}.{signature}", keys_of(alg=key_alg))
    assert refused.value.cause is Cause.KEY_UNKNOWN


@pytest.mark.parametrize("member", ["jwk", "jku", "x5c", "x5u"])
def test_a_key_that_the_token_brings_along_is_never_used(member: str) -> None:
    stranger = a_key("ES256", "stranger")
    value: object = {"jwk": a_jwk("ES256", "stranger"), "jku": "https://evil.test/jwks", "x5c": ["AA=="], "x5u": "https://evil.test"}[
        member
    ]
    text = part({"alg": "ES256", "kid": "k1", "typ": "at+jwt", member: value}) + "." + part(some_claims())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from joserfc.jws import JWSRegistry

        signature = JWSRegistry.algorithms["ES256"].sign(text.encode(), stranger)
    with pytest.raises(Refused) as refused:
        verify(f"{text}.{b64url(signature)}", keys_of())
    assert refused.value.cause is Cause.SIGNATURE_WRONG


# ---------------------------------------------------------------- which key

A_SET = KeySet((a_public_key("ES256", "a"), a_public_key("ES256", "b"), a_public_key("RS256", "a")))


def test_one_kid_may_name_keys_of_two_algorithms() -> None:
    assert verify(a_token("ES256", "a"), A_SET).key.alg == "ES256"
    assert verify(a_token("RS256", "a"), A_SET).key.alg == "RS256"


def test_without_a_kid_only_the_single_key_of_the_algorithm_is_meant() -> None:
    assert verify(signed(b"{}", {"alg": "RS256"}, a_key("RS256", "a")), A_SET).key.kid == "a"
    with pytest.raises(Refused) as refused:
        verify(signed(b"{}", {"alg": "ES256"}, a_key("ES256", "a")), A_SET)
    assert refused.value.cause is Cause.KEY_UNKNOWN


def test_an_unknown_kid_is_no_reason_to_try_the_other_keys() -> None:
    with pytest.raises(Refused) as refused:
        verify(signed(b"{}", {"alg": "RS256", "kid": "z"}, a_key("RS256", "a")), A_SET)
    assert refused.value.cause is Cause.KEY_UNKNOWN


def test_two_keys_of_one_name_are_as_good_as_none() -> None:
    twins = KeySet((a_public_key("ES256", "a"), a_public_key("ES256", "a")))
    with pytest.raises(Refused):
        verify(a_token("ES256", "a"), twins)


def test_a_header_is_worked_out_once_and_only_after_a_right_signature() -> None:
    keys = keys_of()
    head, body, _ = a_token().split(".")
    with pytest.raises(Refused):
        verify(f"{head}.{body}.{b64url(bytes(64))}", keys)
    assert keys.known(head) is None
    verify(a_token(), keys)
    assert keys.known(head) is not None
    # A kept header vouches for nothing.
    with pytest.raises(Refused):
        verify(f"{head}.{body}.{b64url(bytes(64))}", keys)


def test_what_is_kept_of_headers_is_bounded() -> None:
    keys = keys_of()
    for n in range(200):
        verify(signed(b"{}", {"alg": "ES256", "kid": "k1", "typ": str(n)}, a_key()), keys)
    verify(signed(b"{}", {"alg": "ES256", "kid": "k1", "typ": "x" * 2000}, a_key()), keys)
    assert len(keys._kept) <= 64


# ---------------------------------------------------------------- keys

EC, RSA, OKP = a_jwk("ES256"), a_jwk("RS256"), a_jwk("EdDSA")
OFF_CURVE = EC | {"y": b64url(bytes(31) + b"\x01")}
SHORT_RSA = b64url((1 << 2046 | 1).to_bytes(256))


@pytest.mark.parametrize(
    ("jwk", "why"),
    [
        ({}, "'kty' is missing"),
        ({"kty": "oct", "k": "AAAA"}, "private member 'k'"),
        ({"kty": "oct"}, "none of EC, RSA and OKP"),
        (a_key("ES256").as_dict(private=True), "private member 'd'"),
        (a_key("RS256").as_dict(private=True), "private member 'd'"),
        (RSA | {"dp": "AQAB"}, "private member 'dp'"),
        (EC | {"use": "enc"}, "not for signatures"),
        (EC | {"use": 1}, "'use' is missing or no text"),
        (EC | {"key_ops": ["sign"]}, "key_ops"),
        (EC | {"key_ops": "verify"}, "key_ops"),
        (EC | {"alg": "RS256"}, "alg is not ES256"),
        (EC | {"alg": "ES384"}, "alg is not ES256"),
        (EC | {"alg": "HS256"}, "alg is not ES256"),
        (EC | {"alg": None}, "'alg' is missing or no text"),
        (EC | {"crv": "P-384"}, "alg is not ES384"),
        ({name: value for name, value in EC.items() if name != "alg"} | {"crv": "P-384"}, "length"),
        (EC | {"crv": "secp256k1"}, "curve"),
        (EC | {"crv": "P-521"}, "curve"),
        (EC | {"x": EC["x"] + "="}, "not base64url"),
        (EC | {"x": "AA"}, "length"),
        (EC | {"x": b64url(b"\0" + unb64url(EC["x"]))}, "length"),
        (EC | {"kid": 7}, "'kid' is missing or no text"),
        (EC | {"kid": ""}, "'kid' is missing or no text"),
        (OFF_CURVE, "no point"),
        (RSA | {"n": SHORT_RSA}, "2047 bits"),
        (RSA | {"n": b64url(b"\xff" * 1025)}, "8200 bits"),
        (RSA | {"e": "Aw"}, "exponent"),
        (RSA | {"e": b64url(b"\xff" * 256)}, "exponent"),
        (RSA | {"e": b64url((2**16 + 2).to_bytes(3))}, "no RSA key"),
        (RSA | {"alg": "RS512"}, "alg"),
        (RSA | {"alg": "ES256"}, "alg"),
        (OKP | {"crv": "Ed448"}, "curve"),
        (OKP | {"crv": "X25519"}, "curve"),
        (OKP | {"alg": "ES256"}, "alg"),
        (OKP | {"x": "AAAA"}, "no Ed25519 key"),
    ],
)
def test_a_key_whose_members_do_not_agree_is_refused(jwk: dict[str, Any], why: str) -> None:
    with pytest.raises(BadKey, match=why):
        public_key(jwk)


def test_a_key_without_alg_has_that_of_its_kind() -> None:
    bare = [{name: value for name, value in jwk.items() if name != "alg"} for jwk in (EC, a_jwk("ES384"), RSA, OKP)]
    assert [public_key(jwk).alg for jwk in bare] == ["ES256", "ES384", "RS256", "EdDSA"]


@pytest.mark.proves("RFC 7517", "5")
def test_keys_of_a_set_that_we_cannot_use_are_passed_over() -> None:
    keys = read_jwks({"keys": [EC, {"kty": "oct", "k": "AA"}, "no key", RSA | {"use": "enc"}, {"kty": "NEW"}]})
    assert [key.alg for key in keys.keys] == ["ES256"]
    assert len(keys.passed_over) == 4


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "EC"}])
def test_a_document_without_keys_is_no_set(document: dict[str, Any]) -> None:
    with pytest.raises(BadKey, match="no list"):
        read_jwks(document)


# ---------------------------------------------------------------- the text of a token

GOOD_HEAD, GOOD_BODY, GOOD_SIGNATURE = a_token().split(".")


def with_head(header: object) -> str:
    return f"{part(header)}.{GOOD_BODY}.{GOOD_SIGNATURE}"


def with_body(body: object) -> str:
    return f"{GOOD_HEAD}.{part(body)}.{GOOD_SIGNATURE}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        GOOD_HEAD,
        f"{GOOD_HEAD}.{GOOD_BODY}",
        f"{GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE}.",
        f"{GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE}.{GOOD_SIGNATURE}.{GOOD_SIGNATURE}",
        f" {GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE}",
        f"{GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE}\n",
        f"{GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE}==",
        f"{GOOD_HEAD}=.{GOOD_BODY}.{GOOD_SIGNATURE}",
        f"{GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE[:-2]}é",
        f"{GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE}\ud800",
        f"{GOOD_HEAD}.{GOOD_BODY}.+/+/",
        f"{GOOD_HEAD}.{GOOD_BODY}.AAAAA",
        f"{GOOD_HEAD}.{GOOD_BODY}." + "A" * MAX_TOKEN,
        "." * 1_000_000,
        with_head([]),
        with_head("ES256"),
        with_head({}),
        with_head({"alg": 1}),
        with_head({"alg": None}),
        with_head({"alg": "ES256", "kid": 1}),
        with_head({"alg": "ES256", "kid": None}),
        with_head({"alg": "ES256", "typ": ["at+jwt"]}),
        with_head({"alg": "ES256", "crit": []}),
        with_head({"alg": "ES256", "crit": ["exp"], "exp": 1}),
        with_head({"alg": "ES256", "crit": ["b64"], "b64": False}),
        with_head(b'{"alg":"ES256","alg":"none"}'),
        with_head(b'{"alg":"none","alg":"ES256"}'),
        with_head(b'{"alg":"ES256","\\u0061lg":"none"}'),
        with_head(b'{"alg":"ES256","x":{"y":1,"y":2}}'),
        with_head(b'{"alg":"ES256"} '[:-1] + b"{}"),
        with_head(b'\xef\xbb\xbf{"alg":"ES256"}'),
        with_head('{"alg":"ES256"}'.encode("utf-16")),
        with_head(b'{"alg":"ES256","x":NaN}'),
        with_head(b'{"alg":"ES256","x":"\xff"}'),
        with_head(b'{"alg":"ES256","x":"\\ud800"}'),
        with_head(b"{'alg':'ES256'}"),
        with_head(b'{"alg":"ES256","x":' + b"[" * 8000),
        with_body(b"[]"),
        with_body(b""),
        with_body(b"null"),
        with_body(b'{"sub":"a","sub":"b"}'),
        with_body(b'{"exp":1e999}'),
        with_body(b'{"exp":' + b"9" * 5000 + b"}"),
    ],
)
def test_what_is_no_compact_jws_is_refused(token: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(token)
    assert refused.value.cause is Cause.TOKEN_MALFORMED
    with pytest.raises(Refused):
        verify(token, keys_of())


def test_names_twice_are_refused_even_under_a_right_signature() -> None:
    token = signed(b'{"sub":"a","sub":"b"}', {"alg": "ES256", "kid": "k1"}, a_key())
    with pytest.raises(Refused) as refused:
        verify(token, keys_of())
    assert refused.value.cause is Cause.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "text", [b'{ "a" : 1.50 }', b'{"a":"\\u00e9"}', b'{"a":[{"b":1},{"b":2}]}', '{"é":"é"}'.encode(), b"{}", b'{"a":-0}']
)
def test_json_that_we_would_write_otherwise_is_read_all_the_same(text: bytes) -> None:
    assert verify(signed(text, {"alg": "ES256", "kid": "k1"}, a_key()), keys_of()).payload == json.loads(text)


def test_the_size_limit_counts_the_whole_token() -> None:
    token = signed(json.dumps({"x": "y" * 12_000}).encode(), {"alg": "ES256", "kid": "k1"}, a_key())
    assert len(token) < MAX_TOKEN
    assert verify(token, keys_of()).payload["x"] == "y" * 12_000


@pytest.mark.proves("RFC 4648", "3.5")
def test_a_signature_has_one_text_only() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    keys = keys_of()
    # 64 bytes are 86 characters, the last of which carries two bits: 4 of its 16 neighbours would decode to the same bytes.
    good = [last for last in alphabet if accepted(f"{GOOD_HEAD}.{GOOD_BODY}.{GOOD_SIGNATURE[:-1]}{last}", keys)]
    assert good == [GOOD_SIGNATURE[-1]]


def accepted(token: str, keys: KeySet) -> bool:
    try:
        verify(token, keys)
    except Refused:
        return False
    return True


@given(st.binary())
def test_base64url_goes_there_and_back(data: bytes) -> None:
    assert unb64url(b64url(data)) == data


@given(st.text(alphabet="AQgwBZaz09-_+/= \n.é", max_size=12))
def test_what_decodes_is_the_only_text_of_its_bytes(text: str) -> None:
    try:
        data = unb64url(text)
    except Refused:
        return
    assert b64url(data) == text


@given(
    st.one_of(
        st.text(),
        st.binary().map(lambda raw: raw.decode("latin-1")),
        st.lists(st.binary(), min_size=3, max_size=3).map(lambda raws: ".".join(map(b64url, raws))),
    )
)
def test_whatever_comes_in_only_a_refusal_comes_out(text: str) -> None:
    for act in (parse, lambda token: verify(token, keys_of())):
        with pytest.raises(Refused):
            act(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "x"]), json_values), json_values)
def test_headers_of_any_shape_only_make_refusals(header: dict[str, Any], body: object) -> None:
    text = f"{part(header)}.{part(body)}.{b64url(bytes(64))}"
    with pytest.raises(Refused):
        verify(text, keys_of())
    with contextlib.suppress(Refused):
        parse(text)
