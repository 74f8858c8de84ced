"""JWTs that were right before: known again under the same keys and until their end, and not a moment or a letter further."""

import pytest

from gatewright_guard.decide import Allowed, Refusal, needs
from gatewright_guard.guard import Request
from gatewright_guard.introspect import Terms
from gatewright_guard.jose import KeySet, PublicKey, public_key
from gatewright_guard.keys import KEY_TERMS
from gatewright_guard.known import KnownTokens
from gatewright_guard.refused import Cause, Refused
from tests.guard.makers import AUDIENCE, ISSUER, NOW, a_jwk, a_token, keys_of
from tests.guard.server import AClock, AServer

LEEWAY = 10


class Here:
    """What is known at an API, whose clock is set by hand."""

    def __init__(self) -> None:
        self.now: float = NOW
        self.known = KnownTokens(Terms(issuer=frozenset({ISSUER}), audience=AUDIENCE, leeway=LEEWAY), lambda: self.now)

    def cause(self, token: str, keys: KeySet) -> Cause:
        with pytest.raises(Refused) as refused:
            self.known.claims(token, keys)
        return refused.value.cause


def test_a_token_is_read_once_under_the_same_keys() -> None:
    here, keys, token = Here(), keys_of(), a_token()
    first = here.known.claims(token, keys)
    assert here.known.claims(token, keys) is first


@pytest.mark.parametrize("exp", [NOW + 900, NOW + 900.5])
def test_a_known_token_ends_when_it_says(exp: float) -> None:
    here, keys, token = Here(), keys_of(), a_token(exp=exp)
    here.known.claims(token, keys)
    here.now = exp + LEEWAY - 0.1
    assert here.known.claims(token, keys).sub == "us_1"
    here.now = exp + LEEWAY
    assert here.cause(token, keys) is Cause.TOKEN_EXPIRED


def test_what_a_key_signed_goes_with_it() -> None:
    here, token = Here(), a_token(kid="k2")
    assert here.known.claims(token, keys_of("k1", "k2")).sub == "us_1"
    assert here.cause(token, keys_of("k1")) is Cause.KEY_UNKNOWN


def test_another_key_of_the_same_name_is_another_key() -> None:
    here, token = Here(), a_token()
    here.known.claims(token, keys_of())
    stranger: PublicKey = public_key(a_jwk("ES256", "k9") | {"kid": "k1"})
    assert here.cause(token, KeySet((stranger,))) is Cause.SIGNATURE_WRONG


def test_what_was_refused_is_refused_again_and_pushes_nothing_out() -> None:
    here, keys, token = Here(), keys_of(), a_token()
    first = here.known.claims(token, keys)
    for _ in range(2):
        assert here.cause(a_token(aud="https://elsewhere.test"), keys) is Cause.AUDIENCE_WRONG
        assert here.cause(token.replace(".", "..", 1), keys) is Cause.TOKEN_MALFORMED
        assert here.cause(token + "\udcff", keys) is not None
    assert here.known.claims(token, keys) is first


def test_nothing_of_another_token_is_lent_to_one_that_differs_by_a_letter() -> None:
    here, keys, token = Here(), keys_of(), a_token()
    here.known.claims(token, keys)
    head, payload, signature = token.split(".")
    for place in (0, len(signature) // 2, len(signature) - 1):
        other = "A" if signature[place] != "A" else "B"
        changed = signature[:place] + other + signature[place + 1 :]
        assert here.cause(f"{head}.{payload}.{changed}", keys) in {Cause.SIGNATURE_WRONG, Cause.TOKEN_MALFORMED}


async def test_a_guard_that_learns_of_keys_without_one_refuses_what_it_knew() -> None:
    server, clock = AServer(), AClock()
    server.jwks = [a_jwk("ES256", "k1"), a_jwk("ES256", "k2")]
    async with server.guard(clock=clock) as guard:
        request, needed = Request(authorization=(f"Bearer {a_token(kid='k2', exp=NOW + 7200)}",)), needs("read:balance")
        assert isinstance(await guard.check(request, needed), Allowed)
        server.jwks = [a_jwk("ES256", "k1")]
        clock.now += KEY_TERMS.overdue_after
        refusal = await guard.check(request, needed)
        assert isinstance(refusal, Refusal)
        assert refusal.status == 401
