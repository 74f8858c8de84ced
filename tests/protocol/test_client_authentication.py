"""How clients prove themselves at the token endpoint: secrets in the header and in the body, and none."""

from base64 import b64encode
from urllib.parse import quote_plus

import msgspec
import pytest

from gatewright.oauth.client import ClientSecret
from gatewright.oauth.client_auth import SUPPORTED
from gatewright.oauth.errors import InvalidClient
from tests.protocol.test_client_credentials import a_service
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import SECRET, Playground, secret_of

SHORT = "pass word+1%"


def basic(client_id: str, secret: str) -> str:
    """Credentials as RFC 6749 §2.3.1 encodes them."""
    return "Basic " + b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def slow(ground: Playground, number: int = 1) -> ClientSecret:
    """A short secret that somebody else chose."""
    return ClientSecret(number, "argon2id", ground.passwords.make(SHORT))


@pytest.mark.proves("RFC 6749", "2.3.1")
@pytest.mark.parametrize(
    ("method", "header"), [("secret", True), ("secret", False), ("client_secret_basic", True), ("client_secret_post", False)]
)
async def test_a_secret_is_taken_where_the_client_is_set_to_send_it(ground: Playground, method: str, header: object) -> None:
    await ground.add(a_service(token_endpoint_auth_method=method))
    if header:
        ground.authorization = basic("budget-buddy", SECRET)
    assert await ground.serve(scope="read:images")


async def test_which_of_two_live_secrets_was_used_when_and_from_where_is_noted_without_a_statement(ground: Playground) -> None:
    other = "gws_another-secret-of-the-client-that-nobody-guesses"
    await ground.add(msgspec.structs.replace(a_service(), secrets=(secret_of(1), secret_of(2, other), slow(ground, 3))))
    counts = ground.store.counts
    for secret, number in ((other, 2), (SECRET, 1), (SHORT, 3)):
        ground.usage.uses.clear()
        ground.authorization = basic("budget-buddy", secret)
        assert await ground.serve(scope="read:images")
        assert list(ground.usage.uses) == [number]
        assert ground.usage.uses[number] == (ground.address, NOON)
    verbs = counts.verbs
    ground.usage.uses.clear()
    ground.authorization = basic("budget-buddy", "gws_wrong")
    with pytest.raises(InvalidClient):
        await ground.serve(scope="read:images")
    assert ground.usage.uses == {}
    assert counts.verbs == verbs


async def test_the_scheme_is_known_in_any_case(ground: Playground) -> None:
    await ground.add(a_service())
    ground.authorization = basic("budget-buddy", SECRET).replace("Basic", "bAsIc")
    assert await ground.serve(scope="read:images")


@pytest.mark.proves("RFC 6749", "2.3.1")
async def test_basic_credentials_are_form_decoded(ground: Playground) -> None:
    client = msgspec.structs.replace(a_service(), client_id="https://app.example/id:1", secrets=(secret_of(1, SHORT),))
    await ground.add(client)
    ground.authorization = basic("https://app.example/id:1", SHORT)
    assert await ground.serve(scope="read:images")


async def test_an_audience_that_nobody_encoded_is_read_up_to_its_last_colon(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(a_service(), client_id="https://app.example:8443/id"))
    ground.authorization = "Basic " + b64encode(f"https://app.example:8443/id:{SECRET}".encode()).decode()
    assert await ground.serve(scope="read:images")


async def test_the_client_id_may_stand_in_the_body_as_well(ground: Playground) -> None:
    await ground.add(a_service())
    ground.authorization = basic("budget-buddy", SECRET)
    assert await ground.serve(scope="read:images", client_id="budget-buddy")


async def test_another_scheme_in_the_header_is_no_client_authentication(ground: Playground) -> None:
    await ground.add(a_service())
    ground.authorization = "Bearer gwa_x"
    assert await ground.serve(scope="read:images", client_id="budget-buddy", client_secret=SECRET)


async def test_each_live_secret_is_good_while_it_lives(ground: Playground) -> None:
    secrets = (secret_of(1, "gws_old", expires_at=NOON + 10), secret_of(2, "gws_new"))
    await ground.add(msgspec.structs.replace(a_service(), secrets=secrets))
    for text in ("gws_old", "gws_new"):
        assert await ground.serve(scope="read:images", client_secret=text)


async def test_a_short_secret_is_hashed_slowly_once_and_then_known(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(a_service(), secrets=(secret_of(1), slow(ground, 2))))
    for _ in range(5):
        assert await ground.serve(scope="read:images", client_secret=SHORT)
    assert ground.passwords.asked == 1


async def test_a_secret_that_we_made_never_costs_a_slow_hash(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(a_service(), secrets=(slow(ground, 2), secret_of(1))))
    assert await ground.serve(scope="read:images")
    assert ground.passwords.asked == 0


async def test_a_client_kept_to_networks_may_call_from_them(ground: Playground) -> None:
    await ground.add(a_service(allowed_ips=("127.0.0.0/8", "2001:db8::/32")))
    for address in ("127.0.0.1", "2001:db8::9", "::ffff:127.0.0.1"):
        ground.address = address
        assert await ground.serve(scope="read:images")


def test_the_methods_of_the_metadata_are_those_of_the_table() -> None:
    assert set(SUPPORTED) == {"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}
    assert b.a_client().settings.token_endpoint_auth_method == "secret"
