"""The apps of an account in the hands of its admins: who sees them, uninstalling, handing over, approving for a service user."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from gatewright.accounts.book import MEMBERSHIP, account_named, set_roles
from gatewright.apis.book import make_role
from gatewright.audit.deed import Deed
from gatewright.market import leaving
from tests.http.talk import FORM
from tests.http.test_apps import MORE, scope_of
from tests.http.window import Window
from tests.support.approving import user
from tests.support.apps import add_app, installed, publish, signed_in
from tests.support.house import ACME, Answer, Node
from tests.support.visitor import Page

PAGE = "/-/account-apps?account=acme-prod"
BEN = ("ben@acme.test", "a staple of no correct horse")


async def administrator(node: Node, email: str, slug: str = "acme-prod") -> None:
    """Let somebody look after an account."""
    tenant = await node.tenant()
    catalogue = await node.house.world.directory.catalogue(tenant)
    person, account = await user(node, email), await account_named(node.house.store, tenant, slug)
    assert account is not None
    held = await node.house.store.one(MEMBERSHIP, person=person.id, account=account.id, tenant=tenant)
    assert held is not None

    async def unit(deed: Deed) -> None:
        known = catalogue.roles_by_name.get("Account admin")
        rights = frozenset([catalogue.scopes_by_name["gw:access:write"].id])
        role = known.id if known is not None else await make_role(deed, "Account admin", rights)
        await set_roles(deed, held, held.role_ids | {role})

    await node.manage(tenant, unit)
    await node.hear()


async def ben(node: Node) -> Window:
    window = Window(node, ACME)
    await window.sign_in(await window.open("/-/sign-in"), *BEN)
    return window


async def post(window: Window, page: Answer, action: str, **changed: str) -> Answer:
    """Send the first form of a page that goes there, with some fields changed."""
    form = next(form for form in Page(page.text).forms if form.action == action)
    fields = {one.name: one.value for one in form.controls if one.name} | changed
    site = (("origin", f"https://{window.host}"), ("sec-fetch-site", "same-origin"))
    return await window._follow(await window.send("POST", action, urlencode(fields).encode(), FORM, *site))


async def robot(node: Node) -> str:
    from gatewright.base import ids

    return ids.show(ids.USER, (await user(node, "robot@service.acme.test")).id)


@pytest.fixture
async def prod(node: Node) -> tuple[Node, dict[str, str]]:
    """What Ann installed in the account whose admin Ben is."""
    await add_app(node, scopes=["read:balance"])
    await administrator(node, "ben@acme.test")
    return node, await installed(node, await signed_in(node), "acme-prod")


async def test_an_admin_sees_who_installed_what_and_for_whom_it_acts(prod: tuple[Node, dict[str, str]]) -> None:
    node, _ = prod
    window = await ben(node)
    assert PAGE in (await window.open("/-/access")).text
    page = await window.open(PAGE)
    text = Page(page.text).text
    for words in ("Reporter", "Acts for ann@acme.test", "by ann@acme.test", "See your balance"):
        assert words in text


async def test_there_is_no_such_page_for_anybody_else(prod: tuple[Node, dict[str, str]]) -> None:
    node, _ = prod
    ann = await signed_in(node)
    assert "account-apps" not in (await ann.open("/-/access")).text
    for place in (PAGE, "/-/account-apps?account=nowhere", "/-/account-apps"):
        page = await ann.open(place)
        assert "Your access" in page.text
    window = await ben(node)
    assert "Your access" in (await window.open("/-/account-apps?account=acme-dev")).text


async def test_who_is_not_signed_in_comes_back_to_the_page_after_it(prod: tuple[Node, dict[str, str]]) -> None:
    node, _ = prod
    window = Window(node)
    page = await window.sign_in(await window.open(PAGE), *BEN)
    assert "Apps of Acme (Prod)" in Page(page.text).heading


async def test_an_admin_uninstalls_what_a_member_installed(prod: tuple[Node, dict[str, str]]) -> None:
    node, bought = prod
    window = await ben(node)
    done = await post(window, await window.open(PAGE), "/-/account-apps/uninstall")
    assert "The app is uninstalled" in done.text
    assert await scope_of(node, bought["access_token"]) is None
    assert await node.number("SELECT COUNT(*) FROM install WHERE ended_because = 'by_admin'") == 1


@pytest.mark.parametrize(
    "changed", [{"csrf": "x"}, {"account": "acme-dev"}, {"account": ""}, {"install": "in_0000000000000"}, {"install": "x"}]
)
@pytest.mark.parametrize("action", ["/-/account-apps/uninstall", "/-/account-apps/hand-over"])
async def test_a_forged_form_changes_nothing(prod: tuple[Node, dict[str, str]], action: str, changed: dict[str, str]) -> None:
    node, bought = prod
    window = await ben(node)
    await post(window, await window.open(PAGE), action, **changed)
    assert await scope_of(node, bought["access_token"]) == "read:balance"
    assert await node.number("SELECT COUNT(*) FROM install WHERE ended_at IS NULL AND acting = person") == 1


async def test_a_member_cannot_do_what_an_admin_can(prod: tuple[Node, dict[str, str]]) -> None:
    node, bought = prod
    window, ann = await ben(node), await signed_in(node)
    page = await window.open(PAGE)
    own = next(one.value for form in Page((await ann.open("/-/access")).text).forms for one in form.named("csrf"))
    await post(ann, page, "/-/account-apps/hand-over", csrf=own)
    await administrator(node, "ann@acme.test", "acme-dev")
    await post(ann, page, "/-/account-apps/uninstall", csrf=own, account="acme-dev")
    assert await scope_of(node, bought["access_token"]) == "read:balance"
    assert await node.number("SELECT COUNT(*) FROM install WHERE acting = person") == 1


async def test_an_app_handed_over_keeps_its_token_and_outlives_who_installed_it(prod: tuple[Node, dict[str, str]]) -> None:
    node, bought = prod
    window = await ben(node)
    done = await post(window, await window.open(PAGE), "/-/account-apps/hand-over", user=await robot(node))
    assert "The app now acts for the service user" in done.text
    assert "Acts for robot@service.acme.test" in Page(done.text).text
    assert "Reporter" not in (await (await signed_in(node)).open("/-/access")).text
    await node.manage(await node.tenant(), leaving.delete_user, await user(node, "ann@acme.test"))
    assert await scope_of(node, bought["access_token"]) == "read:balance"
    await post(window, await window.open(PAGE), "/-/account-apps/uninstall")
    assert await scope_of(node, bought["access_token"]) is None


async def test_what_acts_for_a_service_user_may_what_that_users_role_gives(node: Node) -> None:
    await add_app(node, scopes=["read:balance", {"scope": "openid", "required": False}])
    await administrator(node, "ben@acme.test")
    bought = await installed(node, await signed_in(node), "acme-prod")
    window = await ben(node)
    refused = await post(window, await window.open(PAGE), "/-/account-apps/hand-over", user="us_0000000000000")
    assert refused.status == 409
    assert "An app is handed to an active service user of the same account" in refused.text
    await post(window, await window.open(PAGE), "/-/account-apps/hand-over", user=await robot(node))
    assert await scope_of(node, bought["access_token"]) == "read:balance"


async def test_an_admin_approves_an_update_for_a_service_user_and_nobody_else_does(prod: tuple[Node, dict[str, str]]) -> None:
    node, bought = prod
    window = await ben(node)
    await post(window, await window.open(PAGE), "/-/account-apps/hand-over", user=await robot(node))
    await publish(node, scopes=MORE)
    place = f"/-/update?install={bought['install_id']}"
    assert "Your access" in (await (await signed_in(node)).open(place)).text
    page = await window.open(place)
    assert "To pay your bills" in page.text
    done = await window.submit(page, {"scope": ["transfer:funds"], "choice": "allow"})
    assert "Apps of" in Page(done.text).heading
    assert await scope_of(node, bought["access_token"]) == "read:balance transfer:funds"


async def test_an_update_that_the_role_does_not_give_cannot_be_allowed(node: Node) -> None:
    await add_app(node, scopes=["openid"])
    window = await signed_in(node)
    bought = await installed(node, window, "acme-prod")
    await publish(node, scopes=["openid", {"scope": "read:reports", "reason": "To read them"}])
    page = await window.open(f"/-/update?install={bought['install_id']}")
    assert "The app cannot do without this" in Page(page.text).text
    again = await window.submit(page, {"choice": "allow", "scope": "read:reports"})
    assert "asks for more" in again.text
    assert await node.number("SELECT COUNT(*) FROM audit WHERE act = 'install.updated'") == 0
