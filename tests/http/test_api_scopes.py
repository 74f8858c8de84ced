"""API scopes as the platforms that move here describe them: three kinds of application, each with the scopes of its own example."""

import pytest
from msgspec.structs import replace

from gatewright.oauth.catalogue import OPENID, Catalogue, text_of
from gatewright.oauth.errors import InvalidScope
from tests.protocol.asking import as_api, introspected
from tests.support import builders as b
from tests.support.browser import Browser, tokens_of
from tests.support.world import Playground, claims_of, secret_of

BOTH = "read:balance transfer:funds"
EVENTS = "create:events update:events view:events register:events"
UPDATE = replace(b.CREATE_EVENTS, id=221, name="update:events", text="Change events")
REGISTER = replace(b.CREATE_EVENTS, id=222, name="register:events", text="Register for events")
ROLES = {
    "Organizer": replace(b.ORGANIZER, scopes=frozenset({b.CREATE_EVENTS.id, UPDATE.id})),
    "Participant": replace(b.PARTICIPANT, scopes=frozenset({b.VIEW_EVENTS.id, REGISTER.id})),
}


# ---------------------------------------------------------------- a third-party application


@pytest.mark.parametrize(
    ("asked", "unticked", "given"),
    [
        ("read:balance", "", "read:balance"),
        ("transfer:funds", "", "transfer:funds"),
        (BOTH, "", BOTH),
        (BOTH, "transfer:funds", "read:balance"),
        (BOTH, "read:balance", "transfer:funds"),
    ],
)
async def test_the_user_of_a_third_party_application_approves_or_denies_and_the_token_says_what(
    browser: Browser, ground: Playground, asked: str, unticked: str, given: str
) -> None:
    await browser.authorize(scope=asked)
    page = await browser.sign_in()
    assert page.title.startswith("Allow access?")
    for name, text in (("read:balance", "See the balance of your bank accounts"), ("transfer:funds", "Send money from your bank accounts")):
        assert (text in page.text) == (name in asked)
    bought = await tokens_of(ground, await browser.press("allow", without=unticked))
    assert bought["scope"] == given
    assert (await introspected(ground, bought["access_token"], as_api(ground, b.BANK)))["scope"] == given


async def test_a_user_who_denies_gives_nothing(browser: Browser) -> None:
    await browser.authorize(scope=BOTH)
    await browser.sign_in()
    assert (await browser.press("deny")).answer["error"] == "access_denied"


# ---------------------------------------------------------------- a first-party application


async def events_platform(ground: Playground, role: str, consent: str = "auto") -> None:
    """The events application and its API in one tenant, and the user with one of its roles."""
    scopes = [b.CREATE_EVENTS, b.VIEW_EVENTS, UPDATE, REGISTER]
    ground.directory.catalogues[b.TENANT] = Catalogue([b.EVENTS], scopes, list(ROLES.values()))
    await ground.add(party="first", consent=consent, scopes=(OPENID, *(scope.id for scope in scopes)))
    await ground.sql("UPDATE membership SET roles = :roles WHERE id = :id", roles=text_of((ROLES[role].id,)), id=b.MEMBERSHIP)


@pytest.mark.parametrize(("role", "given"), [("Organizer", "create:events update:events"), ("Participant", "view:events register:events")])
async def test_the_same_request_of_a_first_party_application_gives_each_user_what_the_role_has_and_asks_nobody(
    browser: Browser, ground: Playground, role: str, given: str
) -> None:
    await events_platform(ground, role)
    await browser.authorize(scope=EVENTS)
    answered = await browser.sign_in()
    assert "code" in answered.answer, "no consent was requested"
    bought = await tokens_of(ground, answered)
    assert bought["scope"] == given
    assert claims_of(bought["access_token"])["scope"] == given


async def test_a_first_party_application_asks_where_it_is_configured_to(browser: Browser, ground: Playground) -> None:
    await events_platform(ground, "Organizer", consent="always")
    await browser.authorize(scope=EVENTS)
    page = await browser.sign_in()
    assert page.title.startswith("Allow access?")
    assert "third-party" not in page.text
    assert "Left out, since your role in this account does not include it: See events · Register for events" in page.text
    assert (await tokens_of(ground, await browser.press("allow", without="update:events")))["scope"] == "create:events"


# ---------------------------------------------------------------- a back-end service


@pytest.mark.parametrize("asked", ["read:images", "delete:images", "read:images delete:images"])
async def test_a_back_end_service_gets_what_it_asks_for_and_nobody_is_asked(ground: Playground, asked: str) -> None:
    images = (b.READ_IMAGES.id, b.DELETE_IMAGES.id)
    await ground.add(b.a_client(secrets=(secret_of(1),), type="service", grant_types=("client_credentials",), scopes=images))
    bought = await ground.serve(scope=asked)
    assert bought["scope"] == asked
    assert "refresh_token" not in bought
    assert claims_of(bought["access_token"])["scope"] == asked
    with pytest.raises(InvalidScope):
        await ground.serve(scope="openid read:images")


# ---------------------------------------------------------------- in the user's words


SPOKEN = replace(b.READ_BALANCE, texts=(("de", "Kontostand sehen"), ("fr", "Voir le solde")))
GOING = replace(b.TRANSFER, retires_at=1_803_859_200)


async def spoken(browser: Browser, ground: Playground, ui_locales: str | None, accept: str) -> str:
    """The consent page as somebody with these languages gets it."""
    apis, roles = list(b.CATALOGUE.apis.values()), list(b.CATALOGUE.roles.values())
    ground.directory.catalogues[b.TENANT] = Catalogue(apis, [SPOKEN, GOING], roles)
    browser.languages = accept
    await browser.authorize(scope=BOTH, ui_locales=ui_locales)
    return (await browser.sign_in()).reply.body.decode()


@pytest.mark.parametrize(
    ("ui_locales", "accept", "words", "lang"),
    [
        (None, "", "See the balance of your bank accounts", None),
        (None, "de-AT, en;q=0.5", "Kontostand sehen", "de"),
        ("fr-CA", "de", "Voir le solde", "fr"),
        ("nl", "en-GB, de;q=0.9", "See the balance of your bank accounts", None),
        ('"><script>', "pt", "See the balance of your bank accounts", None),
    ],
)
async def test_a_scope_is_put_in_the_clients_language_then_the_browsers_then_the_tenants(
    browser: Browser, ground: Playground, ui_locales: str | None, accept: str, words: str, lang: str | None
) -> None:
    page = await spoken(browser, ground, ui_locales, accept)
    assert f'<span dir="auto"{"" if lang is None else f" lang={chr(34)}{lang}{chr(34)}"}>{words}</span>' in page
    assert '<html lang="en-GB">' in page
    assert "Ends on" in page
    assert "1 March 2027" in page
    answered = await browser.press("allow")
    assert (await tokens_of(ground, answered))["scope"] == BOTH, "what was said yes to is what stood there"
    browser.languages = "de"
    own = (await browser.get("/-/access")).reply.body.decode()
    assert '<span dir="auto" lang="de">Kontostand sehen</span>' in own
    assert "Ends on" in own


async def test_what_is_said_in_another_language_meanwhile_is_shown_again(browser: Browser, ground: Playground) -> None:
    await spoken(browser, ground, None, "de")
    browser.languages = "fr"
    page = await browser.press("allow")
    assert "Voir le solde" in page.text
    assert "code" in (await browser.press("allow")).answer
