"""The use of scopes on a user's own page: what an app used and what it did not, and taking away what it does not use."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gatewright.base import ids
from gatewright.ledger.grants import Grant
from gatewright.oauth.catalogue import OPENID, Catalogue
from tests.http.test_pages_access import post
from tests.support import builders as b
from tests.support.browser import Browser, Rooms, Seen
from tests.support.clock import NOON
from tests.support.world import Playground

DAY = 86_400
LONG = 200 * DAY
SHRINK = "/-/access/shrink"
READ, SEND = b.READ_BALANCE.id, b.TRANSFER.id


async def known(ground: Playground, *, since: int = NOON - LONG) -> None:
    """The bank's API reports, since then."""
    apis = [replace(api, usage=api.id == b.BANK.id) for api in b.CATALOGUE.apis.values() if api.id >= 100]
    scopes = [scope for scope in b.CATALOGUE.scopes.values() if scope.id >= 100]
    ground.directory.catalogues[b.TENANT] = Catalogue(apis, scopes, list(b.CATALOGUE.roles.values()))
    await ground.sql("DELETE FROM usage_report")
    row = {"api": b.BANK.id, "tenant": b.TENANT, "since": since, "now": NOON}
    await ground.sql("INSERT INTO usage_report (api, tenant, since, last_at) VALUES (:api, :tenant, :since, :now)", **row)


async def used(ground: Playground, grant: Grant, scope: int, days: int) -> None:
    """A scope was used so many days ago."""
    row = {"id": grant.id, "scope": scope, "tenant": b.TENANT, "day": NOON // DAY - days}
    await ground.sql("INSERT INTO scope_use (consent_grant, scope, tenant, day, days) VALUES (:id, :scope, :tenant, :day, 1)", **row)


async def given(ground: Playground, *scopes: int) -> Grant:
    """What was given half a year ago."""
    client = ground.directory.clients[b.TENANT, "budget-buddy"]
    grant = await ground.grant(client, *(scopes or (OPENID, READ, SEND)))
    await ground.sql("UPDATE consent_grant SET made_at = :then, changed_at = :then", then=NOON - LONG)
    return grant


def offers(seen: Seen) -> bool:
    return any(form.action == SHRINK for form in seen.forms)


async def page_of(rooms: Rooms) -> tuple[Browser, Seen]:
    browser = await Browser(rooms).signed_in()
    return browser, await browser.get("/-/access")


async def held(ground: Playground) -> str | None:
    grant = await ground.grants.find(b.TENANT, b.CLIENT, b.PERSON, b.ACCOUNT)
    return None if grant is None else grant.granted


async def test_the_page_says_of_each_scope_when_it_was_used(rooms: Rooms, ground: Playground) -> None:
    grant = await given(ground)
    await known(ground)
    await used(ground, grant, READ, 3)
    _, page = await page_of(rooms)
    assert "See the balance of your bank accounts Used in the last 90 days" in page.text
    assert "Never used since counting began on 29 June 2026" in page.text
    await used(ground, grant, SEND, 91)
    _, page = await page_of(rooms)
    assert "Not used since 16 October 2026" in page.text


async def test_the_page_does_not_say_what_is_not_known(rooms: Rooms, ground: Playground) -> None:
    await given(ground)
    _, page = await page_of(rooms)
    assert "Use not known" not in page.text, "where no API tells anything nobody need read that for each scope"
    await known(ground, since=NOON - 10 * DAY)
    _, page = await page_of(rooms)
    assert "Not used since 5 January 2027" in page.text
    assert "before that is not known" in page.text
    assert not offers(page)
    assert "Never" not in page.text


async def test_what_an_app_does_not_use_is_taken_away_and_can_be_asked_for_again(rooms: Rooms, ground: Playground) -> None:
    await used(ground, await given(ground), READ, 3)
    await known(ground)
    browser, page = await page_of(rooms)
    assert "has not needed this for 90 days" in page.text
    seen = await post(browser, page, SHRINK)
    assert "The app has lost what it did not use" in seen.text
    assert not offers(seen)
    assert await held(ground) == f"{OPENID} {READ}"
    assert (await ground.audited())[-1] == "grant.changed"
    await browser.authorize(scope="openid read:balance transfer:funds")
    assert browser.page is not None
    assert browser.page.title.startswith("Allow")
    assert "Send money" in browser.page.text


@pytest.mark.parametrize("csrf", ["", "x"])
async def test_a_forged_form_takes_nothing(rooms: Rooms, ground: Playground, csrf: str) -> None:
    await used(ground, await given(ground), READ, 3)
    await known(ground)
    browser, page = await page_of(rooms)
    await post(browser, page, SHRINK, csrf=csrf)
    assert await held(ground) == f"{OPENID} {READ} {SEND}"


async def test_what_was_used_since_the_page_was_shown_stays(rooms: Rooms, ground: Playground) -> None:
    grant = await given(ground)
    await known(ground)
    await used(ground, grant, READ, 3)
    browser, page = await page_of(rooms)
    await used(ground, grant, SEND, 0)
    seen = await post(browser, page, SHRINK)
    assert "Nothing was taken away" in seen.text
    assert await held(ground) == f"{OPENID} {READ} {SEND}"


async def test_nothing_is_taken_that_the_page_did_not_show(rooms: Rooms, ground: Playground) -> None:
    await used(ground, await given(ground, OPENID, READ, SEND), READ, 3)
    await known(ground)
    browser, page = await page_of(rooms)
    for scopes in ("", ids.show(ids.SCOPE, READ), ids.show(ids.SCOPE, OPENID), "transfer:funds"):
        seen = await post(browser, page, SHRINK, scopes=scopes)
        assert "Nothing was taken away" in seen.text
    assert await held(ground) == f"{OPENID} {READ} {SEND}"


async def test_nobody_shrinks_what_somebody_else_gave(rooms: Rooms, ground: Playground) -> None:
    grant = await given(ground)
    await known(ground)
    await used(ground, grant, READ, 3)
    browser, page = await page_of(rooms)
    fields = dict(next(form for form in page.forms if form.action == SHRINK).fields)
    await ground.sql("UPDATE consent_grant SET person = person + 1")
    seen = await browser.send("POST", SHRINK, fields.items())
    assert "Nothing was taken away" in seen.text
    assert (await ground.audited())[-1] != "grant.changed"


@pytest.mark.parametrize("source", ["first_party", "account_admin"])
async def test_what_would_be_given_again_unasked_is_not_offered(rooms: Rooms, ground: Playground, source: str) -> None:
    await used(ground, await given(ground), READ, 3)
    await ground.sql("UPDATE consent_grant SET source = :source", source=source)
    await known(ground)
    assert not offers((await page_of(rooms))[1])


async def test_where_nothing_is_used_the_whole_access_can_be_removed_and_nothing_less(rooms: Rooms, ground: Playground) -> None:
    await given(ground, READ, SEND)
    await known(ground)
    _, page = await page_of(rooms)
    assert not offers(page)
    assert any(form.action == "/-/access/remove" for form in page.forms)
