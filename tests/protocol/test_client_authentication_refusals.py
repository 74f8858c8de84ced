"""Who is not believed to be a client, in words that tell a stranger nothing."""

from base64 import b64encode

import msgspec
import pytest

from gatewright.oauth.client_auth import Presented
from gatewright.oauth.client_auth.private_key_jwt import TYPE as ASSERTION
from gatewright.oauth.decision import Verdict
from gatewright.oauth.errors import InvalidClient, InvalidRequest
from tests.protocol.test_client_authentication import SHORT, basic, slow
from tests.protocol.test_client_credentials import a_service
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.signer import signing
from tests.support.world import SECRET, Param, Playground, secret_of

FAILED = "client authentication failed"


async def refused(ground: Playground, **params: Param) -> InvalidClient:
    """The refusal of a request."""
    with pytest.raises(InvalidClient) as refusal:
        await ground.serve(scope="read:images", **params)
    return refusal.value


@pytest.mark.proves("RFC 6749", "5.2")
@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("nobody", SECRET),
        ("budget-buddy", SECRET + "x"),
        ("budget-buddy", SECRET[:-1]),
        ("budget-buddy", SECRET.upper()),
        ("BUDGET-BUDDY", SECRET),
        ("budget-buddy", "s" * 5000),
        ("budget-buddy", "\U0001f511"),
    ],
)
@pytest.mark.parametrize("header", [True, False], ids=["header", "body"])
async def test_an_unknown_client_and_a_wrong_secret_are_told_the_same(
    ground: Playground, client_id: str, secret: str, header: bool
) -> None:
    await ground.add(a_service())
    if header:
        ground.authorization = basic(client_id, secret)
        refusal = await refused(ground)
    else:
        refusal = await refused(ground, client_id=client_id, client_secret=secret)
    assert refusal.description == FAILED
    assert refusal.status == 401
    assert refusal.challenge is header


@pytest.mark.parametrize(
    ("method", "header"),
    [("client_secret_basic", False), ("client_secret_post", True), ("none", True), ("none", False), ("private_key_jwt", True)],
)
async def test_a_secret_shown_by_another_method_than_the_clients_is_refused(ground: Playground, method: str, header: bool) -> None:
    await ground.add(a_service(token_endpoint_auth_method=method))
    if header:
        ground.authorization = basic("budget-buddy", SECRET)
    assert (await refused(ground)).description == FAILED


async def test_a_client_with_a_secret_must_show_it(ground: Playground) -> None:
    await ground.add(a_service())
    assert (await refused(ground, client_secret=None)).description == FAILED


async def test_a_request_that_names_no_client_is_refused(ground: Playground) -> None:
    await ground.add(a_service())
    assert "did not say who it is" in (await refused(ground, client_secret=None, client_id=None)).description


@pytest.mark.proves("RFC 6749", "2.3")
@pytest.mark.parametrize(
    "extra",
    [
        {"client_id": "budget-buddy", "client_secret": SECRET},
        {"client_secret": SECRET},
        {"client_id": "another"},
    ],
)
async def test_two_ways_or_two_clients_in_one_request_are_refused(ground: Playground, extra: dict[str, Param]) -> None:
    await ground.add(a_service())
    ground.authorization = basic("budget-buddy", SECRET)
    with pytest.raises(InvalidRequest):
        await ground.serve(scope="read:images", **extra)


async def test_a_secret_and_an_assertion_are_one_too_many(ground: Playground) -> None:
    await ground.add(a_service())
    assertion = signing("ES256").sign("JWT", b'{"sub":"budget-buddy"}')
    with pytest.raises(InvalidRequest, match="more than one way"):
        await ground.serve(scope="read:images", client_assertion=assertion, client_assertion_type=ASSERTION)


async def test_a_secret_without_its_client_is_refused(ground: Playground) -> None:
    await ground.add(a_service())
    with pytest.raises(InvalidRequest, match="client_id"):
        await ground.serve(scope="read:images", client_id=None)


def encoded(raw: bytes) -> str:
    """What follows the scheme in an Authorization header."""
    return b64encode(raw).decode()


NO_CREDENTIALS = (
    "",
    "!!!",
    "budget-buddy",
    "e\u00e9",
    encoded(b"budget-buddy"),
    encoded(b":secret"),
    encoded(b"budget-buddy:"),
    encoded(b"\xff\xfe:secret"),
    encoded(b"a%00b:secret"),
    encoded(b"%FF:secret"),
)


@pytest.mark.parametrize("credentials", NO_CREDENTIALS)
async def test_a_header_that_holds_no_credentials_is_refused_with_a_challenge(ground: Playground, credentials: str) -> None:
    await ground.add(a_service())
    ground.authorization = f"Basic {credentials}"
    assert (await refused(ground)).challenge


@pytest.mark.parametrize("later", [0, 1, 86400])
async def test_an_expired_secret_is_a_wrong_one(ground: Playground, later: int) -> None:
    await ground.add(msgspec.structs.replace(a_service(), secrets=(secret_of(1, expires_at=NOON),)))
    ground.clock.pass_(later)
    assert (await refused(ground)).description == FAILED


async def test_an_ended_short_secret_is_not_remembered_by_its_text(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(a_service(), secrets=(slow(ground),)))
    await ground.serve(scope="read:images", client_secret=SHORT)
    await ground.add(msgspec.structs.replace(a_service(), secrets=()))
    await refused(ground, client_secret=SHORT)


async def test_a_wrong_short_secret_is_refused_each_time_it_is_tried(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(a_service(), secrets=(slow(ground),)))
    for _ in range(2):
        await refused(ground, client_secret="wrong")
        await ground.serve(scope="read:images", client_secret=SHORT)


async def test_a_secret_of_another_tenant_is_worth_nothing(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(a_service(), secrets=(secret_of(1, tenant=b.TENANT + 1),)))
    assert (await refused(ground)).description == FAILED


async def test_a_client_of_another_tenant_is_unknown(ground: Playground) -> None:
    await ground.add(a_service())
    ground.issuer = b.an_issuer(tenant=b.TENANT + 1)
    assert (await refused(ground)).why == "unknown client"


async def test_that_a_client_is_disabled_is_told_to_itself_alone(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(a_service(), disabled=True))
    assert (await refused(ground, client_secret="wrong")).description == FAILED
    told = await refused(ground)
    assert (told.description, told.why) == ("this client is disabled", Verdict.CLIENT_DISABLED)


@pytest.mark.parametrize("address", ["203.0.113.9", "::1", "", "not an address"])
async def test_a_client_kept_to_networks_may_not_call_from_elsewhere(ground: Playground, address: str) -> None:
    await ground.add(a_service(allowed_ips=("127.0.0.0/8",)))
    ground.address = address
    assert (await refused(ground, client_secret="wrong")).description == FAILED
    assert (await refused(ground)).why == Verdict.IP_NOT_ALLOWED


async def test_a_refusal_prints_no_secret(ground: Playground) -> None:
    await ground.add(a_service())
    refusal = await refused(ground, client_secret="gws_another-secret")
    assert "gws_" not in f"{refusal!r} {refusal.why} {refusal.description}"
    assert "gws_" not in repr(Presented("client_secret_post", "budget-buddy", "gws_another-secret"))
