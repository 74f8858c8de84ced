"""The end of an installation over HTTP: said before, told to the app, cleaned up for fifteen minutes or removed now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from gatewright.base import ids
from gatewright.jobs.runner import JOBS, Jobs
from gatewright.ledger.cleanup import SECONDS
from gatewright.market import leaving
from gatewright.market.apps import app_named, block
from gatewright.market.installs import uninstall_own
from gatewright.oauth.grant_types.install_cleanup import NAME
from gatewright.store import Query, Store
from tests.http.talk import BANK_API, FORM
from tests.http.window import Window, form_of
from tests.support.approving import user
from tests.support.apps import add_app, installed, publish, signed_in
from tests.support.crash import crash_everywhere
from tests.support.house import Answer, Node, basic, open_nodes, platform
from tests.support.visitor import Page

EVENTS_URL = "https://reporter.example/events"
REPORTER = basic("reporter")
MARKED = (
    platform("acme")
    .replace('"read:balance" = "See your balance"', '"read:balance" = { text = "See your balance", cleanup = true }')
    .replace(
        '[[accounts]]\nslug = "acme-dev"',
        '[[roles]]\nname = "Administrator"\nscopes = ["gw:access:write"]\n\n[[accounts]]\nslug = "acme-dev"',
    )
    .replace('roles = ["Organizer"] },\n  { account = "acme-prod"', 'roles = ["Organizer", "Administrator"] },\n  { account = "acme-prod"')
)


@pytest.fixture
async def node(place: str) -> AsyncIterator[Node]:
    """One node, on each engine in turn, where a scope is marked for clean-up and an app listens."""
    async with open_nodes(place) as (opened,):
        await opened.apply(MARKED)
        await add_app(opened, event_url=EVENTS_URL)
        yield opened


async def told(node: Node) -> list[tuple[str, dict[str, Any]]]:
    """What the app is told, in order, but for its secrets."""
    await work(node)
    rows = await node.house.store.all(Query(str, "SELECT type || ' ' || data FROM webhook_event ORDER BY id"))
    found = [(text.partition(" ")[0], msgspec.json.decode(text.partition(" ")[2])) for text in rows]
    return [(type, data) for type, data in found if not type.startswith("secret.")]


async def types(node: Node) -> list[str]:
    return [type for type, _ in await told(node)]


async def work(node: Node) -> None:
    """The job that finds what is to be told."""
    await Jobs(node.house).once(next(job for job in JOBS if job.name == "tell"))


async def active(node: Node, token: str) -> bool:
    answer = await node.post("/introspect", {"token": token}, BANK_API)
    return bool(answer.json["active"])


async def cleaning(node: Node, number: str) -> Answer:
    return await node.post("/token", {"grant_type": NAME, "install_id": number}, REPORTER)


async def press_uninstall(window: Window, list_page: str = "/-/access", action: str = "/-/access/uninstall") -> Answer:
    """Press the button on a list."""
    form = next(form for form in Page((await window.open(list_page)).text).forms if form.action == action)
    body = urlencode([(one.name, one.value) for one in form.controls if one.name]).encode()
    return await window._follow(await window.send("POST", form.action, body, FORM))


# ---------------------------------------------------------------- installed, updated


async def test_an_app_is_told_that_it_was_installed_updated_and_installed_again(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    ((type, data),) = await told(node)
    assert type == "install.created"
    assert data == {
        "install_id": bought["install_id"],
        "account_id": bought["account_id"],
        "user_id": ids.show(ids.USER, (await user(node, "ann@acme.test")).id),
        "scopes": ["read:balance", "transfer:funds"],
    }
    again = await installed(node, window)
    assert again["install_id"] == bought["install_id"]
    assert await types(node) == ["install.created", "install.updated"]


async def test_a_version_that_asks_for_more_is_told_and_each_approval_of_it(node: Node) -> None:
    await add_app(node, "small", event_url=EVENTS_URL, scopes=["read:balance"])
    window = await signed_in(node)
    bought = await installed(node, window, slug="small")
    await publish(node, "small", event_url=EVENTS_URL, scopes=["read:balance", "transfer:funds"])
    page = await window.open(f"/-/update?install={bought['install_id']}")
    await window.submit(page, {"scope": ["transfer:funds"], "choice": "allow"})
    found = await told(node)
    assert [type for type, _ in found] == ["install.created", "app.update_available", "install.updated"]
    assert found[1][1] == {"version": "1.1.0", "added_scopes": ["transfer:funds"]}
    assert found[2][1]["scopes"] == ["read:balance", "transfer:funds"]


async def test_a_version_that_asks_for_no_more_is_nobodys_news(node: Node) -> None:
    await publish(node, event_url=EVENTS_URL, scopes=["read:balance"])
    assert await types(node) == []


# ---------------------------------------------------------------- uninstalled


async def test_the_page_says_before_what_will_happen(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    page = await press_uninstall(window)
    for words in ("Uninstall", "Reporter", "For 15 minutes it may clean up after itself", "See your balance", "Remove now", "Keep it"):
        assert words in page.text
    assert "Send money" not in page.text, "what is not marked ends at once"
    assert await active(node, bought["access_token"]), "nothing has happened yet"
    assert await types(node) == ["install.created"]


async def test_an_uninstalled_app_is_dead_at_once_and_cleans_up_for_fifteen_minutes(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    done = await window.submit(await press_uninstall(window), {"how": "cleanup"})
    assert "The app is uninstalled" in done.text
    assert not await active(node, bought["access_token"])
    type, data = (await told(node))[-1]
    assert (type, data["install_id"], data["because"]) == ("install.deleting", bought["install_id"], "uninstalled")
    assert data["cleanup_scopes"] == ["read:balance"]
    reply = (await cleaning(node, bought["install_id"])).json
    assert reply["scope"] == "read:balance"
    said = (await node.post("/introspect", {"token": reply["access_token"]}, BANK_API)).json
    assert (said["sub"], said["client_id"]) == (bought["install_id"], "reporter")
    assert "Reporter" not in (await window.open("/-/access")).text
    node.time.pass_(SECONDS)
    assert not await active(node, reply["access_token"])
    assert (await cleaning(node, bought["install_id"])).error == (400, "invalid_grant")
    assert await types(node) == ["install.created", "install.deleting", "install.deleted"]


async def test_remove_now_leaves_the_app_nothing(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    await window.submit(await press_uninstall(window), {"how": "now"})
    assert await types(node) == ["install.created", "install.deleted"]
    assert (await cleaning(node, bought["install_id"])).error == (400, "invalid_grant")
    assert not await active(node, bought["access_token"])


async def test_an_app_that_has_nothing_to_clean_up_with_goes_by_one_press(node: Node) -> None:
    await add_app(node, "plain", event_url=EVENTS_URL, scopes=["transfer:funds"])
    window = await signed_in(node)
    bought = await installed(node, window, slug="plain")
    done = await press_uninstall(window)
    assert "The app is uninstalled" in done.text
    assert not await active(node, bought["access_token"])
    assert await types(node) == ["install.created", "install.deleted"]


async def test_an_app_that_is_told_nothing_goes_by_one_press(node: Node) -> None:
    await add_app(node, "deaf")
    window = await signed_in(node)
    await installed(node, window, slug="deaf")
    assert "The app is uninstalled" in (await press_uninstall(window)).text
    assert await types(node) == []


async def test_an_admin_of_the_account_is_asked_the_same(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    page = await press_uninstall(window, "/-/account-apps?account=acme-dev", "/-/account-apps/uninstall")
    assert "For 15 minutes it may clean up after itself" in page.text
    assert form_of(page).action == "/-/account-apps/uninstall"
    done = await window.submit(page, {"how": "cleanup"})
    assert "The app is uninstalled" in done.text
    type, data = (await told(node))[-1]
    assert (type, data["because"]) == ("install.deleting", "by_admin")
    assert (await cleaning(node, bought["install_id"])).status == 200


async def test_the_app_that_uninstalls_itself_has_cleaned_up_before(node: Node) -> None:
    bought = await installed(node)
    await node.ask("DELETE", f"/-/installs/{bought['install_id']}", headers=(REPORTER,))
    assert await types(node) == ["install.created", "install.deleted"]
    assert (await cleaning(node, bought["install_id"])).error == (400, "invalid_grant")


async def test_a_disabled_user_takes_the_apps_along_and_nothing_is_cleaned_up(node: Node) -> None:
    bought = await installed(node)
    await node.manage(await node.tenant(), leaving.disable_user, await user(node, "ann@acme.test"))
    found = await told(node)
    assert sorted(type for type, _ in found) == ["install.created", "install.deleted", "user.disabled"]
    assert next(data["because"] for type, data in found if type == "install.deleted") == "user_disabled"
    assert (await cleaning(node, bought["install_id"])).error == (400, "invalid_grant")


async def test_a_user_who_is_disabled_meanwhile_ends_the_cleaning(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    await window.submit(await press_uninstall(window), {"how": "cleanup"})
    token = (await cleaning(node, bought["install_id"])).json["access_token"]
    assert await active(node, token)
    await node.manage(await node.tenant(), leaving.disable_user, await user(node, "ann@acme.test"))
    assert not await active(node, token)
    assert (await cleaning(node, bought["install_id"])).error == (400, "invalid_grant")
    assert (await types(node))[-1] == "install.deleted"


async def test_a_blocked_app_cleans_up_nothing_and_is_told_nothing(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    await window.submit(await press_uninstall(window), {"how": "cleanup"})
    token = (await cleaning(node, bought["install_id"])).json["access_token"]
    tenant = await node.tenant()
    found = await app_named(node.house.store, tenant, "reporter")
    assert found is not None
    await node.manage(tenant, block, found[1])
    assert not await active(node, token)
    assert (await cleaning(node, bought["install_id"])).status == 401
    assert await types(node) == ["install.created", "install.deleting"]


@pytest.mark.parametrize(("at_once", "last"), [(False, "install.deleting"), (True, "install.deleted")])
async def test_a_crash_anywhere_leaves_the_installation_and_no_event_of_its_end(node: Node, at_once: bool, last: str) -> None:
    bought = await installed(node)
    number = ids.read(ids.INSTALL, bought["install_id"])
    ann, tenant, at = await user(node, "ann@acme.test"), await node.tenant(), node.house.clock.moment()
    assert number is not None

    async def act(store: Store) -> bool:
        return await store.run(uninstall_own, at, tenant=tenant, number=number, person=ann.id, at_once=at_once)

    async def as_before(n: int) -> None:
        assert await types(node) == ["install.created"], f"after a crash at statement {n}"
        assert await active(node, bought["access_token"])

    done, crashes = await crash_everywhere(node.house.store, act, as_before)
    assert done
    assert crashes > 5
    assert await types(node) == ["install.created", last]
    assert not await active(node, bought["access_token"])


# ---------------------------------------------------------------- who may look


async def test_nobody_sees_the_page_of_an_installation_that_is_not_theirs(node: Node) -> None:
    bought = await installed(node)
    ben = Window(node)
    await ben.sign_in(await ben.open("/-/sign-in"), "ben@acme.test", "a staple of no correct horse")
    for query in ("", "&account=acme-dev", "&account=acme-prod", "&account="):
        page = await ben.open(f"/-/uninstall?install={bought['install_id']}{query}")
        assert "Reporter" not in page.text
        assert "Your access" in page.text
    page = await ben.open("/-/uninstall?install=in_0000000000000")
    assert "Your access" in page.text
    stranger = await Window(node).open(f"/-/uninstall?install={bought['install_id']}")
    assert "Sign in" in stranger.text
    assert "Reporter" not in stranger.text


async def test_a_form_without_its_token_uninstalls_nothing(node: Node) -> None:
    window = await signed_in(node)
    bought = await installed(node, window)
    page = await press_uninstall(window)
    await window.submit(page, {"how": "now", "csrf": "x"})
    assert await active(node, bought["access_token"])
