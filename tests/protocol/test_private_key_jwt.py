"""private_key_jwt (RFC 7523 §2.2, §3): a client proves itself with a key that we never see."""

from __future__ import annotations

import asyncio
import hmac
import json
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gatewright.base.digest import b64
from gatewright.keys.fetch import Names, WebFetch
from gatewright.keys.remote import RemoteFetch
from gatewright.oauth.client import Client
from gatewright.oauth.client_auth import authenticate
from gatewright.oauth.client_auth.private_key_jwt import TYPE
from gatewright.oauth.errors import InvalidClient, InvalidRequest
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import Param, Playground

KINDS: dict[str, Any] = {
    "ES256": (ECKey, "P-256"),
    "ES384": (ECKey, "P-384"),
    "EdDSA": (OKPKey, "Ed25519"),
    "RS256": (RSAKey, 2048),
    "PS256": (RSAKey, 2048),
}


def a_key(alg: str = "ES256", kid: str = "k1") -> Key:
    """A client's key; the same for the same arguments."""
    return _made(alg, kid)


@cache
def _made(alg: str, kid: str) -> Key:
    kind, size = KINDS[alg]
    key: Key = kind.generate_key(size, {"kid": kid, "use": "sig"})
    return key


def jwks(*keys: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys or (a_key(),)]}


async def a_signing_client(ground: Playground, *keys: Key, **settings: object) -> Client:
    ordinary: dict[str, object] = {"token_endpoint_auth_method": "private_key_jwt", "jwks": json.dumps(jwks(*keys))}
    return await ground.add(b.a_client(b.CLIENT, (), **(ordinary | settings)))


def claims(**changed: object) -> dict[str, object]:
    ordinary: dict[str, object] = {"iss": "budget-buddy", "sub": "budget-buddy", "aud": b.URL, "jti": "once", "iat": NOON, "exp": NOON + 60}
    return {name: value for name, value in (ordinary | changed).items() if value is not None}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def signed(payload: dict[str, object], key: Key | None = None, alg: str = "ES256", **header: object) -> str:
    key = key or a_key(alg)
    head = {name: value for name, value in ({"alg": alg, "kid": key.kid, "typ": "JWT"} | header).items() if value is not None}
    return jws.serialize_compact(head, json.dumps(payload), key, algorithms=[alg])


async def proves(ground: Playground, assertion: str, **params: Param) -> Client:
    return await authenticate(ground.ask({"client_assertion": assertion, "client_assertion_type": TYPE, **params}), ground.world)


async def refused(ground: Playground, assertion: str, **params: Param) -> InvalidClient:
    with pytest.raises(InvalidClient) as refusal:
        await proves(ground, assertion, **params)
    return refusal.value


pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
async def test_a_client_proves_itself_by_each_algorithm(ground: Playground, alg: str) -> None:
    await a_signing_client(ground, a_key(alg))
    assert (await proves(ground, signed(claims(), alg=alg))).client_id == "budget-buddy"


@pytest.mark.parametrize(("registered", "used"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA"), (None, "Ed25519"), ("Ed25519", "Ed25519")])
async def test_one_algorithm_may_go_by_both_of_its_names(ground: Playground, registered: str | None, used: str) -> None:
    key = a_key("EdDSA")
    named = {**key.as_dict(private=False), **({"alg": registered} if registered else {})}
    await a_signing_client(ground, jwks=json.dumps({"keys": [named]}))
    assert (await proves(ground, signed(claims(), key, alg=used))).client_id == "budget-buddy"


async def test_a_client_proved_by_its_key_gets_a_token(ground: Playground) -> None:
    await a_signing_client(ground, grant_types=("client_credentials",), type="service", scopes=(b.READ_IMAGES.id,))
    reply = await ground.post(
        grant_type="client_credentials",
        scope="read:images",
        client_id=None,
        client_secret=None,
        client_assertion=signed(claims()),
        client_assertion_type=TYPE,
    )
    assert reply["scope"] == "read:images"


@pytest.mark.parametrize("aud", [b.URL, [b.URL], b.URL + "/token", [b.URL + "/token"]])
async def test_the_issuer_or_its_token_endpoint_is_the_audience(ground: Playground, aud: object) -> None:
    await a_signing_client(ground)
    await proves(ground, signed(claims(aud=aud)))


@pytest.mark.proves("RFC 7523", "3")
@pytest.mark.parametrize(
    "aud",
    [
        "https://other.acme.test",
        b.URL + "/",
        b.URL + "/introspect",
        b.URL + "/o/token/",
        "budget-buddy",
        "",
        [],
        [b.URL, b.URL],
        [b.URL, "https://other.acme.test"],
        [[b.URL]],
        7,
        None,
    ],
)
async def test_an_assertion_for_somebody_else_too_is_refused(ground: Playground, aud: object) -> None:
    await a_signing_client(ground)
    await refused(ground, signed(claims(aud=aud)))


@pytest.mark.proves("RFC 7523", "3")
async def test_an_assertion_is_good_once(ground: Playground) -> None:
    await a_signing_client(ground)
    assertion = signed(claims())
    await proves(ground, assertion)
    assert "used before" in (await refused(ground, assertion)).description
    assert "used before" in (await refused(ground, signed(claims(exp=NOON + 61)))).description
    await proves(ground, signed(claims(jti="twice")))


async def test_of_many_at_once_one_is_good(ground: Playground) -> None:
    await a_signing_client(ground)
    assertion = signed(claims())
    found = await asyncio.gather(*(proves(ground, assertion) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(one, Client) for one in found) == 1


async def test_two_clients_may_use_the_same_jti(ground: Playground) -> None:
    mine = await a_signing_client(ground)
    await ground.add(msgspec.structs.replace(mine, id=2002, client_id="other"))
    await proves(ground, signed(claims()))
    await proves(ground, signed(claims(iss="other", sub="other")))


async def test_a_used_assertion_is_remembered_longer_than_it_lives(ground: Playground) -> None:
    await a_signing_client(ground)
    await proves(ground, signed(claims()))
    assert await ground.number("SELECT until FROM mark") == NOON + 120


@pytest.mark.proves("RFC 7523", "3")
@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({"exp": NOON + 1}, True),
        ({"exp": NOON}, False),
        ({"exp": NOON - 1}, False),
        ({"exp": NOON + 3600}, True),
        ({"exp": NOON + 3660}, True),
        ({"exp": NOON + 3661}, False),
        ({"exp": 9e99}, False),
        ({"exp": None}, False),
        ({"exp": "soon"}, False),
        ({"exp": True}, False),
        ({"iat": NOON + 10}, True),
        ({"iat": NOON + 61}, False),
        ({"nbf": NOON + 10}, True),
        ({"nbf": NOON + 61}, False),
        ({"iat": None}, True),
        ({"iat": "now"}, False),
        ({"exp": NOON + 59.5}, True),
    ],
)
async def test_an_assertion_is_of_this_time(ground: Playground, changed: dict[str, object], good: bool) -> None:
    await a_signing_client(ground)
    assertion = signed(claims(**changed))
    if good:
        await proves(ground, assertion)
    else:
        await refused(ground, assertion)


@pytest.mark.proves("RFC 7523", "3")
@pytest.mark.parametrize(
    "changed", [{"iss": "other"}, {"sub": "other"}, {"iss": None}, {"sub": None}, {"sub": ""}, {"jti": None}, {"jti": ""}, {"jti": 7}]
)
async def test_an_assertion_says_who_and_has_a_name(ground: Playground, changed: dict[str, object]) -> None:
    await a_signing_client(ground)
    await refused(ground, signed(claims(**changed)))


@pytest.mark.parametrize("typ", ["at+jwt", "oauth-authz-req+jwt", "dpop+jwt", "logout+jwt"])
async def test_what_the_client_signed_for_another_purpose_proves_nothing(ground: Playground, typ: str) -> None:
    await a_signing_client(ground)
    await refused(ground, signed(claims(), typ=typ))


@pytest.mark.parametrize("typ", [None, "JWT", "client-authentication+jwt"])
async def test_an_assertion_may_say_what_it_is(ground: Playground, typ: str | None) -> None:
    await a_signing_client(ground)
    await proves(ground, signed(claims(), typ=typ))


@pytest.mark.proves("RFC 7523", "3")
async def test_another_key_proves_nothing(ground: Playground) -> None:
    await a_signing_client(ground)
    await refused(ground, signed(claims(), a_key("ES256", "k2")))
    impostor = ECKey.generate_key("P-256", {"kid": "k1"})
    await refused(ground, signed(claims(), impostor))
    # A key that the assertion brings along is not looked at.
    await refused(ground, signed(claims(), impostor, jwk=impostor.as_dict(private=False)))


async def test_an_algorithm_that_we_do_not_take_proves_nothing(ground: Playground) -> None:
    await a_signing_client(ground, a_key("ES384"))
    await refused(ground, signed(claims(), alg="ES384"))


async def test_no_shared_secret_is_made_of_a_public_key(ground: Playground) -> None:
    key = a_key("RS256")
    await a_signing_client(ground, key)
    assert isinstance(key, RSAKey)
    text = b64(b'{"alg":"HS256","kid":"k1"}') + "." + b64(json.dumps(claims()).encode())
    for secret in (key.as_pem(private=False), key.as_der(private=False), json.dumps(jwks(key)["keys"][0]).encode(), b""):
        await refused(ground, f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256'))}")


@pytest.mark.parametrize("text", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJidWRnZXQtYnVkZHkifQ.", "", "e30.e30.e30", "A" * 20_000])
async def test_what_is_no_assertion_is_refused(ground: Playground, text: str) -> None:
    await a_signing_client(ground)
    with pytest.raises((InvalidClient, InvalidRequest)):
        await proves(ground, text)


async def test_both_parameters_belong_together(ground: Playground) -> None:
    await a_signing_client(ground)
    for params in ({"client_assertion": signed(claims())}, {"client_assertion_type": TYPE}):
        with pytest.raises(InvalidRequest, match="belong together"):
            await authenticate(ground.ask(params), ground.world)
    saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    with pytest.raises(InvalidClient, match="must be"):
        await proves(ground, signed(claims()), client_assertion_type=saml)


async def test_a_client_of_another_method_cannot_use_it(ground: Playground) -> None:
    await a_signing_client(ground, token_endpoint_auth_method="secret")
    await refused(ground, signed(claims()))


async def test_a_client_that_signs_cannot_use_a_secret(ground: Playground) -> None:
    await a_signing_client(ground)
    with pytest.raises(InvalidClient):
        await authenticate(ground.ask({"client_id": "budget-buddy", "client_secret": "x"}), ground.world)
    with pytest.raises(InvalidRequest, match="more than one way"):
        await proves(ground, signed(claims()), client_id="budget-buddy", client_secret="x")
    with pytest.raises(InvalidRequest, match="client_id"):
        await proves(ground, signed(claims()), client_id="other")
    await proves(ground, signed(claims()), client_id="budget-buddy")


async def test_nobody_learns_whether_a_client_exists(ground: Playground) -> None:
    await a_signing_client(ground)
    unknown = await refused(ground, signed(claims(iss="nobody", sub="nobody")))
    wrong = await refused(ground, signed(claims(), a_key("ES256", "k2")))
    assert unknown.description == wrong.description


async def test_a_refused_assertion_uses_nothing_up(ground: Playground) -> None:
    await a_signing_client(ground)
    await refused(ground, signed(claims(aud="https://other.acme.test")))
    await refused(ground, signed(claims(), a_key("ES256", "k2")))
    assert await ground.number("SELECT COUNT(*) FROM mark") == 0


async def test_the_keys_may_be_at_an_address_of_the_client(ground: Playground) -> None:
    uri = "https://budget.example/jwks"
    await a_signing_client(ground, jwks=None, jwks_uri=uri)
    assert "cannot be fetched" in (await refused(ground, signed(claims()))).description
    ground.fetch.documents[uri] = jwks()
    await proves(ground, signed(claims()))


@pytest.mark.parametrize("host", ["keys..example", "a" * 64 + ".example"])
async def test_an_address_whose_host_is_none_is_the_clients_fault_and_not_ours(ground: Playground, host: str) -> None:
    await a_signing_client(ground, jwks=None, jwks_uri=f"https://{host}/jwks")
    names = Names(1)
    ground.world = replace(ground.world, fetch=RemoteFetch(WebFetch(resolve=names)))
    try:
        assert "cannot be fetched" in (await refused(ground, signed(claims()))).description
    finally:
        names.close()


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys":7}', "keys"])
async def test_keys_that_are_none_prove_nothing(ground: Playground, document: str) -> None:
    await a_signing_client(ground, jwks=document)
    await refused(ground, signed(claims()))


async def test_a_client_without_keys_proves_nothing(ground: Playground) -> None:
    await a_signing_client(ground, jwks=None)
    await refused(ground, signed(claims()))
