"""Signatures: what we make, another library accepts; what we publish is what was meant."""

import json
import warnings
from itertools import count
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gatewright.keys.signing import ALGS, MadeKey, kid_of, load, make
from gatewright.oauth.metadata import SIGNING_ALGS
from gatewright_guard.jose import read_jwks, thumbprint, verify

KINDS: dict[str, Any] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}


@pytest.fixture(scope="module", params=ALGS)
def made(request: pytest.FixtureRequest) -> MadeKey:
    return make(request.param)


def as_theirs(made: MadeKey) -> Key:
    jwk = json.loads(made.public_jwk)
    key: Key = KINDS[jwk["kty"]].import_key(jwk)
    return key


def test_another_library_accepts_what_we_sign(made: MadeKey) -> None:
    token = load(made.alg, made.kid, made.private).sign("at+jwt", b'{"sub":"us_1"}')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        found = jws.deserialize_compact(token, as_theirs(made), algorithms=[made.alg])
    assert found.payload == b'{"sub":"us_1"}'
    assert found.headers() == {"alg": made.alg, "typ": "at+jwt", "kid": made.kid}


def test_our_own_guard_accepts_what_we_sign(made: MadeKey) -> None:
    signer = load(made.alg, made.kid, made.private)
    keys = read_jwks({"keys": [json.loads(made.public_jwk)]})
    # Many, since r or s of an ECDSA signature now and then begins with a zero byte.
    for number in range(300 if made.alg != "RS256" else 3):
        assert verify(signer.sign("JWT", b'{"n":%d}' % number), keys).payload == {"n": number}


def test_a_public_key_holds_nothing_private_and_names_its_use(made: MadeKey) -> None:
    jwk = json.loads(made.public_jwk)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(jwk)
    assert (jwk["use"], jwk["alg"], jwk["kid"]) == ("sig", made.alg, made.kid)


def test_a_kid_is_the_beginning_of_the_thumbprint(made: MadeKey) -> None:
    assert as_theirs(made).thumbprint().lstrip("-").startswith(made.kid)
    assert len(made.kid) == 16


def test_a_kid_looks_like_no_option_of_a_command() -> None:
    keys = ({"kty": "OKP", "crv": "Ed25519", "x": f"{number:043d}"} for number in count())
    dashed = next(key for key in keys if thumbprint(key).startswith("-"))
    assert kid_of(dashed) == thumbprint(dashed).lstrip("-")[:16]


def test_private_halves_never_print_themselves(made: MadeKey) -> None:
    assert repr(made) == f"MadeKey({made.alg}, {made.kid})"
    assert repr(load(made.alg, made.kid, made.private)) == f"SigningKey({made.alg}, {made.kid})"


def test_two_types_have_two_headers(made: MadeKey) -> None:
    signer = load(made.alg, made.kid, made.private)
    heads = {signer.sign(typ, b"{}").split(".")[0] for typ in ("JWT", "at+jwt", "JWT")}
    assert len(heads) == 2


@pytest.mark.parametrize("alg", ["HS256", "none", "ES384", ""])
def test_no_key_is_made_for_an_algorithm_that_we_do_not_offer(alg: str) -> None:
    with pytest.raises(ValueError, match="no key is made"):
        make(alg)


def test_metadata_names_the_algorithms_that_there_are() -> None:
    assert set(SIGNING_ALGS) == set(ALGS)
