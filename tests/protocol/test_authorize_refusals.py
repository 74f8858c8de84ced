"""What the authorization endpoint refuses, with which code, and whether on a page or at the client's address."""

import msgspec
import pytest

from gatewright.consents.front import RoomConsents
from gatewright.oauth import pkce
from gatewright.oauth.answer import refuse
from gatewright.oauth.authorize import accept
from gatewright.oauth.catalogue import Catalogue
from gatewright.oauth.checks import CHECKS, Refused, known_client, one_redirect_uri
from gatewright.oauth.errors import InvalidRequest, PageError
from gatewright.oauth.metadata import PROMPTS, RESPONSE_MODES
from gatewright.oauth.request import AuthorizationRequest
from gatewright.oauth.visit import Front
from gatewright.signin.sessions import Sessions
from tests.support import builders as b
from tests.support.world import REDIRECT, VERIFIER, Param, Playground

CHALLENGE = pkce.challenge_of(VERIFIER)
ORDINARY: dict[str, Param] = {
    "response_type": "code",
    "client_id": "budget-buddy",
    "redirect_uri": REDIRECT,
    "scope": "openid read:balance",
    "state": "s",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


async def accepted(ground: Playground, **changed: Param) -> AuthorizationRequest:
    """The request that these parameters are."""
    front = Front(ground.world, Sessions(ground.store), RoomConsents(ground.store, ground.grants))
    return await accept(ground.ask(ORDINARY | changed), front)


async def on_page(ground: Playground, **changed: Param) -> str:
    """The description of a fault that is told to the user."""
    with pytest.raises(PageError) as refused:
        await accepted(ground, **changed)
    return refused.value.error.description


async def told(ground: Playground, **changed: Param) -> str:
    """The code of a fault that is told to the client, at its own address and with its state."""
    with pytest.raises(Refused) as refused:
        await accepted(ground, **changed)
    back = refused.value.back
    assert (back.redirect_uri, back.state) == (REDIRECT, changed.get("state", "s"))
    return refused.value.error.code


async def test_an_ordinary_request_passes(ground: Playground) -> None:
    await ground.add()
    request = await accepted(ground, nonce="n", max_age="60", prompt="login consent", account="acme-dev", login_hint="x@acme.test")
    assert (request.scopes, request.challenge, request.nonce) == (("openid", "read:balance"), CHALLENGE, "n")
    assert (request.max_age, sorted(request.prompts), request.account) == (60, ["consent", "login"], "acme-dev")


def test_the_order_of_the_checks_says_what_is_told_to_whom() -> None:
    assert CHECKS[:2] == (known_client, one_redirect_uri)
    assert [check.__name__ for check in CHECKS[2:5]] == ["response_mode", "characters", "response_type"]


# ---------------------------------------------------------------- on a page


@pytest.mark.proves("RFC 6749", "4.1.2.1")
@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "nobody"},
        {"client_id": "Budget-Buddy"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": None},
        {"redirect_uri": ""},
    ],
)
async def test_a_fault_of_client_or_address_is_told_to_nobody_but_the_user(ground: Playground, changed: dict[str, Param]) -> None:
    await ground.add()
    assert await on_page(ground, **changed)


async def test_a_disabled_client_is_unknown(ground: Playground) -> None:
    await ground.add(msgspec.structs.replace(b.a_client(), disabled=True))
    assert await on_page(ground) == await on_page(ground, client_id="nobody")


@pytest.mark.parametrize("registered", [(), (REDIRECT, "https://budget.example/other")])
async def test_an_address_is_left_out_only_where_exactly_one_is_registered(ground: Playground, registered: tuple[str, ...]) -> None:
    await ground.add(redirect_uris=registered)
    assert await on_page(ground, redirect_uri=None, scope="read:balance")


@pytest.mark.proves("OpenID Connect Core", "3.1.2.1")
async def test_an_openid_request_names_its_address_always(ground: Playground) -> None:
    await ground.add()
    assert (await accepted(ground, redirect_uri=None, scope="read:balance")).back.redirect_uri == REDIRECT
    assert "redirect_uri" in await on_page(ground, redirect_uri=None)


@pytest.mark.proves("RFC 6749", "3.1")
@pytest.mark.parametrize(
    "name", [*ORDINARY, "nonce", "prompt", "max_age", "account", "id_token_hint", "claims", "response_mode", "request"]
)
def test_a_known_parameter_sent_twice_is_refused(ground: Playground, name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        ground.ask(ORDINARY | {name: ("x", "y")})


# ---------------------------------------------------------------- told to the client


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": "CODE"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "jwt"}, "invalid_request"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://budget.example/request"}, "request_uri_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": " "}, "invalid_scope"),
        ({"scope": "unheard:of"}, "invalid_scope"),
        ({"scope": "read:balance unheard:of"}, "invalid_scope"),
        ({"scope": "read:images"}, "invalid_scope"),
        ({"scope": "openid\tread:balance"}, "invalid_request"),
        ({"scope": "read:balance\u00e9"}, "invalid_scope"),
        ({"scope": 'read:"balance"'}, "invalid_scope"),
        ({"scope": "a" * 5000}, "invalid_scope"),
        ({"resource": "https://nobody.example"}, "invalid_target"),
        ({"resource": ("https://bank.acme.test", "https://nobody.example")}, "invalid_target"),
        ({"resource": "bank"}, "invalid_target"),
        ({"resource": "https://bank.acme.test#x"}, "invalid_target"),
        ({"resource": "https://bank.acme.test//"}, "invalid_target"),
        ({"resource": "https://bank.acme.test/x"}, "invalid_target"),
        ({"resource": "https://bank.acme.test?"}, "invalid_target"),
        ({"resource": "https://bank.acme.test."}, "invalid_target"),
        ({"resource": "http://bank.acme.test"}, "invalid_target"),
        ({"resource": ("https://bank.acme.test",) * 11}, "invalid_target"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"userinfo":[]}'}, "invalid_request"),
        ({"claims": "{}" + " " * 5000}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "none consent"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "LOGIN"}, "invalid_request"),
        ({"prompt": "login bogus"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1.5"}, "invalid_request"),
        ({"max_age": "x"}, "invalid_request"),
        ({"max_age": "9" * 10}, "invalid_request"),
        ({"max_age": "\u0661"}, "invalid_request"),
        ({"id_token_hint": "x"}, "invalid_request"),
        ({"login_hint": "x" * 321}, "invalid_request"),
        ({"account": "x" * 101}, "invalid_request"),
        ({"nonce": "a\nb"}, "invalid_request"),
        ({"state": "a\nb"}, "invalid_request"),
        ({"login_hint": "a\u2028b"}, "invalid_request"),
    ],
)
async def test_any_other_fault_is_told_at_the_clients_address(ground: Playground, changed: dict[str, Param], code: str) -> None:
    await ground.add()
    assert await told(ground, **changed) == code


@pytest.mark.proves("RFC 7636", "4.4.1")
@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
        {"code_challenge": "short"},
        {"code_challenge": CHALLENGE + "="},
        {"code_challenge": CHALLENGE + "A"},
        {"code_challenge": CHALLENGE[:-1] + "+"},
        {"code_challenge": CHALLENGE[:-1] + " "},
        {"code_challenge": "a" * 200},
    ],
)
@pytest.mark.parametrize("method", ["secret", "none"])
async def test_a_proof_key_is_asked_for_and_is_s256(ground: Playground, changed: dict[str, Param], method: str) -> None:
    await ground.add(token_endpoint_auth_method=method)
    assert await told(ground, **changed) == "invalid_request"


NO_KEY: dict[str, Param] = {"code_challenge": None, "code_challenge_method": None}


async def test_a_confidential_client_may_be_let_off_and_a_public_one_never(ground: Playground) -> None:
    await ground.add(pkce="optional")
    assert (await accepted(ground, **NO_KEY)).challenge is None
    assert (await accepted(ground)).challenge == CHALLENGE
    assert await told(ground, code_challenge_method="plain") == "invalid_request"
    assert await told(ground, code_challenge_method=None) == "invalid_request"
    assert await told(ground, code_challenge=None) == "invalid_request"
    await ground.add(pkce="optional", token_endpoint_auth_method="none")
    assert await told(ground, **NO_KEY) == "invalid_request"


async def test_a_client_without_codes_gets_none(ground: Playground) -> None:
    await ground.add(grant_types=("client_credentials",))
    assert await told(ground) == "unauthorized_client"


async def test_openid_is_given_or_refused_and_never_left_out(ground: Playground) -> None:
    await ground.add(scopes=(b.READ_BALANCE.id,))
    assert await told(ground) == "invalid_scope"
    assert (await accepted(ground, scope="read:balance")).scopes == ("read:balance",)


async def test_who_wants_all_or_nothing_is_told_at_once_what_it_may_never_have(ground: Playground) -> None:
    await ground.add(denied="refuse")
    assert await told(ground, scope="openid read:images") == "invalid_scope"
    assert (await accepted(ground, scope="openid read:balance")).scopes == ("openid", "read:balance")
    await ground.add()
    assert (await accepted(ground, scope="openid read:images")).scopes == ("openid", "read:images")


async def test_unknown_scopes_are_passed_over_where_that_is_the_rule(ground: Playground) -> None:
    await ground.add()
    assert (await accepted(ground, scope="openid unheard:of")).scopes == ("openid",)
    await ground.add(unknown_scopes="ignore")
    assert (await accepted(ground, scope="read:balance unheard:of")).scopes == ("read:balance",)
    assert await told(ground, scope="unheard:of") == "invalid_scope"


async def test_a_client_that_may_asks_for_all_by_naming_none(ground: Playground) -> None:
    await ground.add(scopes_policy="all_allowed")
    assert (await accepted(ground, scope=None)).scopes == ("openid", "profile", "email", "read:balance", "create:events", "view:events")


async def test_parameters_that_nobody_knows_are_passed_over(ground: Playground) -> None:
    await ground.add()
    await accepted(ground, foo="bar", display="page", ui_locales="de", acr_values="1 2", claims_locales="de")


async def test_claims_without_openid_are_passed_over(ground: Playground) -> None:
    await ground.add()
    assert (await accepted(ground, scope="read:balance", claims="{")).claims_text == ""


async def test_an_empty_parameter_counts_as_absent(ground: Playground) -> None:
    await ground.add()
    request = await accepted(ground, prompt="", max_age="", state="", response_mode="", nonce="")
    assert (request.prompts, request.max_age, request.back.state, request.nonce) == (frozenset(), None, None, None)


async def test_the_same_resource_twice_is_one(ground: Playground) -> None:
    await ground.add()
    request = await accepted(ground, resource=("https://bank.acme.test", "https://bank.acme.test"))
    assert request.resources == ("https://bank.acme.test",)


# WHATWG URLs, and so every client in JavaScript that takes an address apart and writes it again, end an empty path with a slash.
@pytest.mark.proves("RFC 8707", "2")
@pytest.mark.parametrize("written", ["https://bank.acme.test/", "https://BANK.acme.test", "HTTPS://bank.Acme.test/"])
async def test_a_resource_is_the_same_api_however_its_address_is_written(ground: Playground, written: str) -> None:
    await ground.add()
    request = await accepted(ground, resource=(written, "https://bank.acme.test"))
    assert request.resources == ("https://bank.acme.test",)


async def test_an_id_token_hint_is_ours_from_this_issuer_and_for_this_client(ground: Playground) -> None:
    client = await ground.add()
    hint = (await ground.exchange(await ground.code(client, 1)))["id_token"]
    assert (await accepted(ground, id_token_hint=hint)).hint == b.PERSON
    ground.clock.pass_(10**6)
    assert (await accepted(ground, id_token_hint=hint)).hint == b.PERSON
    other = msgspec.structs.replace(client, id=2002, client_id="other")
    ground.directory.clients[b.TENANT, "other"] = other
    assert await told(ground, client_id="other", id_token_hint=hint) == "invalid_request"
    ground.issuer = b.an_issuer("https://login.acme.test")
    assert await told(ground, id_token_hint=hint) == "invalid_request"


async def test_an_access_token_is_no_id_token_hint(ground: Playground) -> None:
    client = await ground.add()
    access = (await ground.exchange(await ground.code(client, 1, b.CREATE_EVENTS.id)))["access_token"]
    assert access.startswith("eyJ")
    assert await told(ground, id_token_hint=access) == "invalid_request"


@pytest.mark.proves("RFC 9207", "2")
async def test_every_refusal_says_who_refuses(ground: Playground) -> None:
    await ground.add()
    with pytest.raises(Refused) as refused:
        await accepted(ground, response_type="token")
    sent = refuse(refused.value.error, refused.value.back, ground.issuer)
    assert sent.target.startswith(REDIRECT + "?error=unsupported_response_type&error_description=")
    assert sent.target.endswith("&state=s&iss=https%3A%2F%2Fid.acme.test")


async def test_what_is_published_is_what_is_accepted(ground: Playground) -> None:
    await ground.add()
    for mode in RESPONSE_MODES:
        assert (await accepted(ground, response_mode=mode)).back.mode == mode
    for prompt in PROMPTS:
        assert (await accepted(ground, prompt=prompt)).prompts == {prompt}


@pytest.mark.proves("RFC 8707", "2")
async def test_an_api_that_is_disabled_is_no_resource(ground: Playground) -> None:
    await ground.add()
    assert await told(ground, resource="https://nowhere.acme.test") == "invalid_target"
    disabled = msgspec.structs.replace(b.BANK, disabled=True)
    ground.directory.catalogues[b.TENANT] = Catalogue([disabled, b.EVENTS], [b.READ_BALANCE, b.CREATE_EVENTS], [b.ORGANIZER])
    assert await told(ground, scope="openid create:events", resource=b.BANK.audience) == "invalid_target"
    assert (await accepted(ground, scope="openid create:events", resource=b.EVENTS.audience)).resources == (b.EVENTS.audience,)
