"""The page that says why a call was refused: who sees what of which cause, and that everybody else sees nothing, whatever is asked."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import pytest

from gatewright.oauth.catalogue import Catalogue, Role
from gatewright.oauth.finding import PATH, open_finding
from gatewright.oauth.inquiry import FOUND
from tests.http.test_pages_access import SESSION
from tests.protocol.asking import a_pair, as_api, explained, revoked
from tests.support import builders as b
from tests.support.browser import DIGEST, Browser, Rooms, Seen
from tests.support.world import Playground

DAY: Final = 86400
ACCOUNT_ADMIN = Role(311, "Account admin", frozenset({28}))
TENANT_ADMIN = Role(312, "Platform admin", frozenset({23}))
CATALOGUE = Catalogue(
    [b.BANK, b.EVENTS, b.IMAGING, b.APPS],
    [b.READ_BALANCE, b.TRANSFER, b.CREATE_EVENTS, b.VIEW_EVENTS, b.READ_IMAGES, b.DELETE_IMAGES, b.USE_APP],
    [b.ORGANIZER, b.PARTICIPANT, ACCOUNT_ADMIN, TENANT_ADMIN],
)
HQ: Final = 6002
# Who looks: where they belong, with which role, and whether the app is theirs.
PEOPLE: Final[dict[str, tuple[int, int, Role | None]]] = {
    "member": (5101, b.ACCOUNT, b.PARTICIPANT),
    "account admin": (5102, b.ACCOUNT, ACCOUNT_ADMIN),
    "tenant admin": (5103, HQ, TENANT_ADMIN),
    "developer": (5104, HQ, b.PARTICIPANT),
    "stranger": (5105, HQ, ACCOUNT_ADMIN),
    "nobody anywhere": (5106, 0, None),
}
USER: Final = "organizer@acme.test"
# Who sees the page; of those, who sees names of roles and of the account, and who the user is.
SEES: Final = {"user", "member", "account admin", "tenant admin", "developer"}
NAMES: Final = {"user", "member", "account admin", "tenant admin"}
KNOWS_USER: Final = {"user", "account admin", "tenant admin"}


async def peopled(rooms: Rooms, **client: object) -> None:
    """Put everybody there who may look, and the app, which is the developer's."""
    ground = rooms.ground
    ground.directory.catalogues[b.TENANT] = CATALOGUE
    await ground.sql(
        "INSERT INTO account (id, tenant, slug, name, epoch, created_at) VALUES (:id, :tenant, 'acme-hq', 'Headquarters', 0, 0)",
        id=HQ, tenant=b.TENANT,
    )  # fmt: skip
    for name, (number, account, role) in PEOPLE.items():
        await ground.sql(
            """INSERT INTO person (id, tenant, kind, email, email_key, email_verified_at, name, profile, epoch, created_at, password)
               VALUES (:id, :tenant, 'person', :email, :email, 0, '', '{}', 0, 0, :password)""",
            id=number, tenant=b.TENANT, email=address(name), password=DIGEST,
        )  # fmt: skip
        if role is not None:
            await ground.sql(
                """INSERT INTO membership (id, tenant, person, account, roles, created_at)
                   VALUES (:id, :tenant, :person, :account, :roles, 0)""",
                id=number + 1000, tenant=b.TENANT, person=number, account=account, roles=str(role.id),
            )  # fmt: skip
    await ground.add(**client)
    await ground.sql("UPDATE client SET owner_person = :person", person=PEOPLE["developer"][0])


def address(name: str) -> str:
    """The e-mail address of somebody."""
    return USER if name == "user" else f"{name.replace(' ', '.')}@acme.test"


async def of(rooms: Rooms, name: str) -> Browser:
    """The browser in which somebody is signed in."""
    browser = Browser(rooms)
    await browser.get("/-/sign-in")
    await browser.sign_in(username=address(name))
    assert SESSION in browser.cookies
    return browser


async def everybody(rooms: Rooms, **client: object) -> dict[str, Browser]:
    """A browser of each."""
    await peopled(rooms, **client)
    return {name: await of(rooms, name) for name in ("user", *PEOPLE)}


async def link(ground: Playground, token: str, api: str | None = None, **params: str) -> str:
    """The path of the page that tells more."""
    more = str((await explained(ground, token, api, **params))["more"])
    assert more.startswith(b.URL + PATH)
    return more.removeprefix(b.URL)


# ---------------------------------------------------------------- the causes

Cause = Callable[[Playground], Awaitable[str]]


async def lacks_role(ground: Playground) -> str:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    return await link(ground, pair["access_token"], as_api(ground, b.EVENTS), scope="view:events")


async def declined(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await ground.sql("UPDATE consent_grant SET declined = :ids", ids=str(b.TRANSFER.id))
    return await link(ground, pair["access_token"], scope="transfer:funds")


async def not_requested(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    return await link(ground, pair["access_token"], scope="transfer:funds")


async def taken(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id, b.TRANSFER.id)
    await ground.sql("UPDATE consent_grant SET granted = :ids", ids=str(b.READ_BALANCE.id))
    return await link(ground, pair["access_token"], scope="transfer:funds")


async def not_allowed(ground: Playground) -> str:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    client = ground.directory.clients[b.TENANT, "budget-buddy"]
    await ground.add(b.a_client(secrets=client.secrets, scopes=(b.CREATE_EVENTS.id,)))
    return await link(ground, pair["access_token"], as_api(ground, b.EVENTS), scope="view:events")


async def unknown_scope(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    return await link(ground, pair["access_token"], scope="no:such")


async def wrong_account(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    return await link(ground, pair["access_token"], scope="read:balance", account="other-co")


async def wrong_address(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    client = ground.directory.clients[b.TENANT, "budget-buddy"]
    await ground.add(b.a_client(secrets=client.secrets, allowed_ips=("127.0.0.0/8",)))
    return await link(ground, pair["access_token"], ip_address="192.0.2.7")


async def expired(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    ground.clock.pass_(7200)
    return await link(ground, pair["access_token"])


async def given_back(ground: Playground) -> str:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, pair["access_token"])
    return await link(ground, pair["access_token"])


def ended(statement: str, **args: int) -> Cause:
    """A cause that one statement makes."""

    async def cause(ground: Playground) -> str:
        pair = await a_pair(ground, b.READ_BALANCE.id)
        await ground.sql(statement, now=ground.clock.now, **args)
        return await link(ground, pair["access_token"])

    return cause


CAUSES: Final[dict[str, tuple[str, Cause]]] = {
    "role_lacks_scope": ("role_lacks_scope", lacks_role),
    "declined_by_user": ("declined_by_user", declined),
    "scope_not_requested": ("scope_not_requested", not_requested),
    "not_consented": ("not_consented", taken),
    "scope_not_allowed_to_client": ("scope_not_allowed_to_client", not_allowed),
    "scope_unknown": ("scope_unknown", unknown_scope),
    "wrong_account": ("wrong_account", wrong_account),
    "ip_not_allowed": ("ip_not_allowed", wrong_address),
    "token_expired": ("token_expired", expired),
    "token_revoked": ("token_revoked", given_back),
    "withdrawn": ("grant_ended", ended("UPDATE consent_grant SET ended_at = :now, ended_because = 'withdrawn'")),
    "uninstalled": ("token_revoked", ended("UPDATE authorization_row SET ended_at = :now, ended_because = 'uninstalled'")),
    "user_disabled": ("user_disabled", ended("UPDATE person SET disabled_at = :now, epoch = epoch + 1 WHERE id = :id", id=b.PERSON)),
    "client_disabled": ("client_disabled", ended("UPDATE client SET disabled_at = :now")),
    "membership_ended": ("membership_ended", ended("UPDATE membership SET ended_at = :now WHERE person = :id", id=b.PERSON)),
    "account_disabled": ("account_disabled", ended("UPDATE account SET disabled_at = :now WHERE id = :id", id=b.ACCOUNT)),
}
# Whom a cause itself takes something from: the sign-in, the place in the account.
SIGNED_OUT: Final = {"user_disabled": {"user"}}
SEES_NOT: Final = {"account_disabled": {"member", "account admin"}}
NAMES_NOT: Final = {"membership_ended": {"user"}, "account_disabled": {"user", "member", "account admin"}}


def visible(page: Seen) -> dict[str, bool]:
    """What of the customer stands on a page, in its text or anywhere in its source."""
    source = page.reply.body.decode()
    return {"account": "acme-dev" in source, "user": USER in source, "other account": "other-co" in source}


@pytest.mark.parametrize("case", list(CAUSES))
async def test_who_sees_what_of_each_cause(rooms: Rooms, case: str) -> None:
    browsers = await everybody(rooms)
    code, cause = CAUSES[case]
    path = await cause(rooms.ground)
    for name, browser in browsers.items():
        page = await browser.get(path)
        if name in SIGNED_OUT.get(case, ()):
            assert page.title.startswith("Sign in")
            continue
        sees = SEES - SEES_NOT.get(case, set())
        assert page.status == (200 if name in sees else 404), name
        shown = visible(page)
        assert shown["user"] is (name in KNOWS_USER & sees), name
        assert shown["account"] is (name in NAMES - NAMES_NOT.get(case, set())), name
        assert shown["other account"] is (name == "tenant admin" and case == "wrong_account"), name
        if name in sees:
            found = next(sentence for verdict, sentence in FOUND.items() if verdict == code)
            assert found in page.text
            assert code in page.text
            assert page.reply.body.count(b'class="stopped"') == 1, name
        else:
            assert "There is nothing for you here" in page.text


@pytest.mark.parametrize(("party", "named"), [("third", NAMES), ("first", NAMES | {"developer"})])
async def test_which_role_would_do_is_for_people_of_the_account_and_for_the_tenants_own_apps(
    rooms: Rooms, party: str, named: set[str]
) -> None:
    browsers = await everybody(rooms, party=party)
    path = await lacks_role(rooms.ground)
    for name in SEES:
        page = await browsers[name].get(path)
        assert ("a role that holds it: Participant." in page.text) is (name in named), name
        assert ("The user's roles now: Organizer." in page.text) is (name in KNOWS_USER), name


async def test_a_user_who_left_the_account_sees_no_names_any_more(rooms: Rooms) -> None:
    browsers = await everybody(rooms)
    path = await lacks_role(rooms.ground)
    await rooms.ground.sql("UPDATE membership SET ended_at = :now WHERE person = :id", now=rooms.ground.clock.now, id=b.PERSON)
    page = await browsers["user"].get(path)
    assert page.status == 200
    assert visible(page) == {"account": False, "user": True, "other account": False}
    assert "Participant" not in page.text
    assert "The user no longer belongs to the account" not in page.text  # that was not why
    assert "An account admin can add the user to the account again" in page.text


async def test_what_would_be_said_now_is_decided_anew(rooms: Rooms) -> None:
    await peopled(rooms)
    browser = await of(rooms, "user")
    path = await lacks_role(rooms.ground)
    before = await browser.get(path)
    assert "An account admin can give the user a role that holds it" in before.text
    ground = rooms.ground
    await ground.sql("UPDATE membership SET roles = :roles WHERE person = :id", roles=f"{b.ORGANIZER.id} {b.PARTICIPANT.id}", id=b.PERSON)
    asked = await browser.get(path)
    # The role is there; what is left is that this authorization never had the scope.
    assert "The app has to ask for it" in asked.text
    row = await ground.row()
    await ground.sql("UPDATE authorization_row SET scopes = :scopes WHERE id = :id", scopes=f"{row.scopes} {b.VIEW_EVENTS.id}", id=row.id)
    await ground.sql("UPDATE consent_grant SET granted = :scopes WHERE id = :id", scopes=f"{row.scopes} {b.VIEW_EVENTS.id}", id=row.grant)
    after = await browser.get(path)
    assert "That would work now" in after.text
    assert "role_lacks_scope" in after.text  # what was said then stays


async def test_of_a_service_without_user_and_account_only_its_makers_and_the_tenant_learn(rooms: Rooms) -> None:
    browsers = await everybody(rooms, grant_types=("client_credentials",), scopes=(b.READ_IMAGES.id, b.DELETE_IMAGES.id))
    token = (await rooms.ground.serve(scope="read:images"))["access_token"]
    path = await link(rooms.ground, token, as_api(rooms.ground, b.IMAGING), scope="delete:images")
    found = {name: (await browser.get(path)).status for name, browser in browsers.items()}
    assert {name for name, status in found.items() if status == 200} == {"tenant admin", "developer"}
    page = await browsers["developer"].get(path)
    assert "Is the account active?" not in page.text
    assert "Is the user active?" not in page.text


async def test_a_scope_of_another_api_is_named_to_nobody(rooms: Rooms) -> None:
    await peopled(rooms)
    pair = await a_pair(rooms.ground, b.READ_BALANCE.id)
    path = await link(rooms.ground, pair["access_token"], scope="create:events view:events")
    page = await (await of(rooms, "user")).get(path)
    assert page.text.count("A scope that this API does not have") == 2
    for scope in (b.READ_BALANCE, b.TRANSFER, b.CREATE_EVENTS, b.VIEW_EVENTS):
        assert scope.name not in page.text


async def test_a_scope_is_put_in_the_languages_of_whoever_looks(rooms: Rooms) -> None:
    await peopled(rooms)
    spoken = msgspec.structs.replace(b.VIEW_EVENTS, texts=(("de", "Termine sehen"),))
    rooms.ground.directory.catalogues[b.TENANT] = Catalogue([b.EVENTS], [b.CREATE_EVENTS, spoken], [b.ORGANIZER, b.PARTICIPANT])
    path = await lacks_role(rooms.ground)
    browser = await of(rooms, "user")
    assert "See events" in (await browser.get(path)).text
    browser.languages = "de-CH, en;q=0.5"
    page = await browser.get(path)
    assert '<p class="quiet" dir="auto" lang="de">Termine sehen</p>' in page.reply.body.decode()


# ---------------------------------------------------------------- no oracle


def plain(page: Seen) -> bytes:
    """A page without what is drawn anew for each session."""
    return re.sub(rb'name="csrf" value="[^"]+"', b"", page.reply.body)


@pytest.mark.parametrize("name", ["stranger", "nobody anywhere"])
async def test_a_decision_of_others_looks_like_none_at_all(rooms: Rooms, name: str) -> None:
    await peopled(rooms)
    browser = await of(rooms, name)
    path = await lacks_role(rooms.ground)
    real = await browser.get(path)
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    for other in (PATH + "x", PATH + "A" * 200, changed, path[:-10]):
        none = await browser.get(other)
        assert (none.status, none.header, plain(none)) == (real.status, real.header, plain(real))


@pytest.mark.parametrize("real", [True, False])
async def test_without_a_sign_in_every_address_asks_for_one(rooms: Rooms, *, real: bool) -> None:
    await peopled(rooms)
    path = await lacks_role(rooms.ground) if real else PATH + "x"
    browser = Browser(rooms)
    first = await browser.get(path, follow=False)
    assert first.status == 303
    page = await browser.get(path)
    assert page.title.startswith("Sign in")
    assert "Budget Buddy" not in page.text
    page = await browser.sign_in()
    assert (page.at, page.status) == (path, 200 if real else 404)


async def test_the_link_is_good_at_its_own_issuer_and_tenant_alone(rooms: Rooms) -> None:
    await peopled(rooms)
    ground = rooms.ground
    text = (await lacks_role(ground)).removeprefix(PATH)
    now = ground.clock.now
    assert open_finding(text, b.TENANT, b.URL, CATALOGUE, ground.sealer, now) is not None
    assert open_finding(text, b.TENANT + 1, b.URL, CATALOGUE, ground.sealer, now) is None
    assert open_finding(text, b.TENANT, "https://login.acme.test", CATALOGUE, ground.sealer, now) is None


async def test_after_a_week_its_people_are_told_that_it_is_too_old_and_after_a_month_it_is_nothing(rooms: Rooms) -> None:
    await peopled(rooms)
    ground = rooms.ground
    path = await lacks_role(ground)
    await ground.sql("UPDATE person SET password = :digest", digest=DIGEST)
    for later, status, strangers in ((7 * DAY, 200, 404), (1, 410, 404), (23 * DAY - 1, 410, 404), (DAY, 404, 404)):
        ground.clock.pass_(later)
        page = await (await of(rooms, "user")).get(path)
        assert page.status == status
        assert ("too old" in page.title) is (status == 410)
        assert (await (await of(rooms, "stranger")).get(path)).status == strangers


async def test_what_is_gone_is_nothing(rooms: Rooms) -> None:
    await peopled(rooms)
    path = await lacks_role(rooms.ground)
    browser = await of(rooms, "user")
    await rooms.ground.sql("DELETE FROM authorization_row")
    assert (await browser.get(path)).status == 404


async def test_the_page_is_kept_by_nobody_and_tells_no_other_site_where_it_was(rooms: Rooms) -> None:
    await peopled(rooms)
    page = await (await of(rooms, "user")).get(await lacks_role(rooms.ground))
    assert page.header["cache-control"] == "no-store"
    assert page.header["referrer-policy"] == "no-referrer"
    assert "script" not in page.header["content-security-policy"]
