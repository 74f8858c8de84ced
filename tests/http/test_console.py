"""The console over a whole server: who may see which page, what the pages say, and the one act."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from gatewright.accounts.book import MEMBERSHIPS_OF, account_named, set_roles
from gatewright.apis.book import retire_role, roles_of
from gatewright.app import open_house, prepare
from gatewright.base import ids
from gatewright.base.calendar import day, stamp
from gatewright.base.log import Log
from gatewright.cli.setup import First, furnish
from gatewright.management.perform import Asked
from gatewright.management.table import BY_NAME
from gatewright.market.leaving import disable_account, disable_user
from gatewright.oauth.visit import Visitor
from gatewright.store import Query, Tx
from gatewright.web.console.desk import Desk, Lacking
from gatewright.web.pages import CONSOLE, PageAsk
from tests.http.staff import START, TENANT_WIDE, a_grant, addresses, api_id, at_console, email_of, signed_in, staff
from tests.http.strangers import GLOBEX_ONLY
from tests.http.talk import BANK_API, BUDDY, FORM, exchange, tokens
from tests.http.window import Window
from tests.support.approving import user
from tests.support.clock import NOON
from tests.support.house import ENVIRON, GLOBEX, Answer, Node, NodeClock, Time, basic, bearer, loaded, open_nodes
from tests.support.visitor import Form, Page

DAY: Final = 86_400
VARIES: Final = re.compile(r"\b[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}\b|(?<=name=\"csrf\" value=\")[^\"]*")
COPY: Final = Query(
    None,
    """INSERT INTO client (id, tenant, client_id, settings, epoch, created_at, changed_at)
       SELECT :id, tenant, :client_id, settings, 0, 0, 0 FROM client WHERE tenant = :tenant AND client_id = 'budget-buddy'""",
)
SAME_SITE: Final = (FORM, ("origin", "https://id.acme.test"), ("sec-fetch-site", "same-origin"))


@pytest.fixture
async def staffed(node: Node) -> Node:
    """A node with people who manage the platform."""
    await node.apply(staff())
    return node


def text_of(answer: Answer) -> str:
    """What a page says."""
    return Page(answer.text).text


def plain(answer: Answer) -> tuple[int, str]:
    """A page without what is drawn anew each time."""
    return answer.status, VARIES.sub("*", answer.text)


# ---------------------------------------------------------------- who may


async def test_who_is_not_signed_in_signs_in_and_comes_back_to_the_same_address(staffed: Node) -> None:
    for path in (START, f"{START}/access?client=budget-buddy&user=", f"{START}/apis/ap_0000000000000"):
        window = Window(staffed)
        first = await window.send("GET", path)
        assert first.status == 303
        page = await window.open(first.header("location") or "")
        assert Page(page.text).heading == "Sign in"
    window = Window(staffed)
    page = await window.open(f"{START}/access?client=budget-buddy")
    page = await window.sign_in(page, email_of("everything"))
    assert (page.status, Page(page.text).heading) == (200, "Access")
    assert form_of_filters(page)["client"] == "budget-buddy"


async def test_each_page_needs_the_scope_of_what_it_asks_and_no_other(staffed: Node) -> None:
    shown = await addresses(staffed)
    for row in CONSOLE:
        path = shown[row.pattern.pattern]
        needed = BY_NAME[row.asks[0]].scope if row.room != START else ""
        scopes = {BY_NAME[name].scope for name in row.asks}
        for scope in TENANT_WIDE:
            window = await at_console(staffed, scope)
            answer = await window.open(path)
            good = not needed or scopes == {scope}
            assert answer.status == (200 if good else 403), (path, scope)
            if needed:
                others = await (await at_console(staffed, f"not {scope}")).open(path)
                assert others.status == (403 if scope in scopes else 200), (path, scope)


async def test_who_holds_no_scope_that_reaches_over_the_platform_is_told_the_same_at_every_address(staffed: Node) -> None:
    shown = await addresses(staffed)
    for email in ("ann@acme.test", email_of("gw:members:read"), email_of("gw:access:write")):
        window = await signed_in(staffed, email)
        answers = {
            plain(await window.open(path)) for path in (*shown.values(), f"{START}/apis/ap_0000000000000", f"{START}/clients/nobody")
        }
        assert len(answers) == 1, "whether something is there is not told"
        status, text = answers.pop()
        assert status == 403
        assert "The console is not open to you" in text
        assert email in text
        assert START not in text, "and no room is named"


async def test_a_room_that_is_not_open_says_which_scope_opens_it_and_nothing_of_what_is_there(staffed: Node) -> None:
    bank = await api_id(staffed, "https://bank.acme.test")
    window = await at_console(staffed, "not gw:apis:read")
    there, none, foreign = [await window.open(f"{START}/apis/{name}") for name in (bank, "ap_0000000000000", "ap_zzzzzzzzzzzzz")]
    assert plain(there) == plain(none) == plain(foreign)
    assert there.status == 403
    assert "gw:apis:read" in text_of(there)
    links = re.findall(r'<a href="(/-/console[^"]*)"', there.text)
    assert f"{START}/apis" not in links
    assert f"{START}/clients" in links


async def test_a_role_that_is_taken_away_is_gone_at_the_next_click(staffed: Node) -> None:
    window = await at_console(staffed, "gw:apis:read")
    assert (await window.open(f"{START}/apis")).status == 200
    await no_roles(staffed, email_of("gw:apis:read"))
    answer = await window.open(f"{START}/apis")
    assert (answer.status, Page(answer.text).heading) == (403, "The console is not open to you")


async def test_a_role_that_loses_the_scope_opens_the_room_no_more(staffed: Node) -> None:
    window = await at_console(staffed, "gw:apis:read")
    await staffed.apply(
        staff().replace('name = "gw:apis:read"\nscopes = ["gw:apis:read"]', 'name = "gw:apis:read"\nscopes = ["gw:keys:read"]')
    )
    assert (await window.open(f"{START}/apis")).status == 403


async def test_a_role_that_is_retired_opens_nothing(staffed: Node) -> None:
    window = await at_console(staffed, "gw:apis:read")
    tenant = await staffed.tenant()
    row = next(role for role in await roles_of(staffed.house.store, tenant) if role.name == "gw:apis:read")
    await staffed.manage(tenant, retire_role, row)
    assert (await window.open(f"{START}/apis")).status == 403


async def test_a_disabled_user_or_account_opens_nothing(staffed: Node) -> None:
    tenant = await staffed.tenant()
    one, other = await at_console(staffed, "gw:apis:read"), await at_console(staffed, "everything")
    await staffed.manage(tenant, disable_user, await user(staffed, email_of("gw:apis:read")))
    assert (await one.send("GET", f"{START}/apis")).status == 303, "the session has ended, so a sign-in comes first"
    account = await account_named(staffed.house.store, tenant, "acme-dev")
    assert account is not None
    await staffed.manage(tenant, disable_account, account)
    assert (await other.open(f"{START}/apis")).status == 403


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "DPoP"])
async def test_an_access_token_opens_no_page_with_or_without_a_session(staffed: Node, kind: str) -> None:
    window = await at_console(staffed)
    for path in (START, f"{START}/apis"):
        for browser in (window, Window(staffed)):
            answer = await browser.send("GET", path, b"", ("authorization", f"{kind} gwa_x"))
            assert answer.status == 400
            assert "the management API" in text_of(answer)
    assert (await window.send("GET", START, b"", ("authorization", "Basic eDp5"))).status == 200, (
        "a proxy's own door is nobody's business here"
    )


async def test_every_page_is_there_on_each_engine_and_a_grant_ends(place: str) -> None:
    async with open_nodes(place) as (node,):
        await node.apply(staff())
        window = await at_console(node)
        for path in (await addresses(node)).values():
            assert (await window.open(path)).status == 200, path
        grant, _ = await a_grant(node)
        assert (await press(window, await window.open(f"{START}/access/{grant}/end"))).status == 200
        assert (await window.open(f"{START}/access/{grant}")).status == 404


async def test_a_page_cannot_have_done_what_its_row_does_not_name(staffed: Node) -> None:
    issuer = await staffed.house.sites.find(b"id.acme.test")
    assert issuer is not None
    at, somebody = staffed.house.clock.moment(), Visitor(1, 2, 0, "x@acme.test", "", 0, "", "", "")
    row = next(row for row in CONSOLE if row.asks == ("grants.show",))
    desk = Desk(PageAsk("GET", row.room, issuer, at), staffed.house, somebody, row, frozenset(TENANT_WIDE))
    with pytest.raises(ValueError, match=r"does not name grants\.end"):
        await desk.do("grants.end", Asked(where={"grant": "gr_0000000000001"}))
    powerless = Desk(PageAsk("GET", row.room, issuer, at), staffed.house, somebody, row, frozenset())
    with pytest.raises(Lacking, match="gw:grants:read"):
        await powerless.look("grants.show", {"grant": "gr_0000000000001"})


async def test_the_front_door_leads_to_the_console_who_may_open_it_and_nobody_else(staffed: Node) -> None:
    assert f'href="{START}"' in (await (await at_console(staffed, "gw:keys:read")).open("/")).text
    for window in (await signed_in(staffed, "ann@acme.test"), await at_console(staffed, "gw:members:write"), Window(staffed)):
        assert START not in (await window.open("/")).text


async def test_the_first_administrator_opens_every_room(tmp_path: Path) -> None:
    url, lines = f"sqlite://{tmp_path / 'first.sqlite3'}", list[str]()
    clock = NodeClock(Time(), "first")
    log = Log(clock, write=lines.append)
    await prepare(loaded(url), clock, log, ENVIRON)
    async with open_house(loaded(url), clock, log, ENVIRON) as house:
        first = First("main", "Main", ("https://id.acme.test",), "boss@acme.test")
        password, _ = await furnish(house.store, clock, first, "os:root")
        node = Node(house, Time(), lines)
        window = Window(node)
        page = await window.sign_in(await window.open(START), "boss@acme.test", password or "")
        assert (page.status, Page(page.text).heading) == (200, "Overview")
        rooms = re.findall(r'<li><a href="(/-/console[^"]*)"', page.text)
        assert {row.room for row in CONSOLE} <= set(rooms)
        for path in rooms:
            assert (await window.open(path)).status == 200, path
        assert "There is no API yet" in (await window.open(f"{START}/apis")).text
        assert "There is no client yet" in (await window.open(f"{START}/clients")).text
        assert "Nobody has access yet" in (await window.open(f"{START}/access")).text


# ---------------------------------------------------------------- tenants


async def test_what_another_tenant_has_is_answered_like_what_does_not_exist(staffed: Node) -> None:
    window = await at_console(staffed)
    await staffed.apply(GLOBEX_ONLY)
    grant, _ = await a_grant(staffed, "openid create:events", GLOBEX)
    foreign = {
        f"{START}/apis/{await api_id(staffed, 'https://bank.acme.test', GLOBEX)}": f"{START}/apis/ap_0000000000001",
        f"{START}/access/{grant}": f"{START}/access/gr_0000000000001",
        f"{START}/access/{grant}/end": f"{START}/access/gr_0000000000001/end",
        f"{START}/clients/globex-portal": f"{START}/clients/globex-portax",
        f"{START}/access?user=ben@globex.test": f"{START}/access?user=ben@globex.tesx",
        f"{START}/access?account=globex-prod": f"{START}/access?account=globex-prox",
        f"{START}/access?client=globex-portal": f"{START}/access?client=globex-portax",
    }
    for path, unknown in foreign.items():
        one, other = await window.open(path), await window.open(unknown)
        assert one.status in (400, 404), path
        assert without(one, path) == without(other, unknown), path


async def test_a_manager_of_one_tenant_is_nobody_at_another(staffed: Node) -> None:
    window = await at_console(staffed)
    window.host = GLOBEX
    assert (await window.send("GET", f"{START}/apis")).status == 303


# ---------------------------------------------------------------- what pages say


async def test_every_page_is_kept_by_nobody_framed_by_nobody_and_runs_no_script(staffed: Node) -> None:
    window = await at_console(staffed)
    for path in (await addresses(staffed)).values():
        answer = await window.open(path)
        assert answer.status == 200, path
        assert answer.header("content-security-policy") == (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        )
        assert answer.header("cache-control") == "no-store"
        assert answer.header("referrer-policy") == "no-referrer"
        assert answer.header("x-frame-options") == "DENY"
        assert "<script" not in answer.text
        assert answer.text.count("<h1") == 1
        assert 'href="#content"' in answer.text
        assert (await window.send("HEAD", path)).status == 200


async def test_the_room_that_one_is_in_is_marked_and_leads_the_way_back(staffed: Node) -> None:
    window = await at_console(staffed)
    bank = await api_id(staffed, "https://bank.acme.test")
    there = (await window.open(f"{START}/apis")).text
    assert there.count('aria-current="page"') == 1
    assert f'<a href="{START}/apis" aria-current="page">APIs</a>' in there
    below = (await window.open(f"{START}/apis/{bank}")).text
    assert f'<a href="{START}/apis" aria-current="true">APIs</a>' in below
    assert 'aria-label="The way here"' in below


async def test_an_api_says_how_soon_a_revocation_bites_and_what_to_do_about_it(staffed: Node) -> None:
    window = await at_console(staffed, "gw:apis:read")
    events, bank = await api_id(staffed, "https://events.acme.test"), await api_id(staffed, "https://bank.acme.test")
    said = text_of(await window.open(f"{START}/apis/{events}"))
    assert "At worst after 15 minutes 10 seconds" in said
    assert "No guard of it has followed so far." in said
    assert "What to do: Let its guard follow the revocation feed" in said
    assert "a signing key that was withdrawn" in said
    opaque = text_of(await window.open(f"{START}/apis/{bank}"))
    assert "At worst after 5 seconds" in opaque
    assert "What to do" not in opaque
    assert "It verifies JWTs" not in opaque


async def test_a_guard_that_follows_is_seen_and_one_that_stopped_is_too(staffed: Node) -> None:
    window = await at_console(staffed, "gw:apis:read")
    events, tenant = await api_id(staffed, "https://events.acme.test"), await staffed.tenant()
    number = ids.read(ids.API, events)
    assert number is not None
    staffed.house.usage.count("feed_followed", tenant, number)
    await staffed.house.usage.flush(staffed.house.store, staffed.time.now)
    followed = text_of(await window.open(f"{START}/apis/{events}"))
    assert "Where its guard follows, at worst after 15 seconds" in followed
    assert "A guard of it follows now." in followed
    listed = text_of(await window.open(f"{START}/apis"))
    assert "within 15 seconds where its guard follows" in listed, "and not whatever verifies its JWTs"
    assert "one that does not accepts what was revoked for up to 15 minutes 10 seconds" in followed
    staffed.time.pass_(61)
    stopped = text_of(await window.open(f"{START}/apis/{events}"))
    assert "At worst after 15 minutes 10 seconds" in stopped
    assert "It did so last on" in stopped
    assert "What to do" in stopped


async def test_the_list_of_apis_names_the_worst_of_each(staffed: Node) -> None:
    said = text_of(await (await at_console(staffed, "gw:apis:read")).open(f"{START}/apis"))
    assert "Acme Bank https://bank.acme.test Opaque, for 2 hours 2 scopes Refuses what was revoked within 5 seconds" in said
    assert (
        "Acme Events https://events.acme.test JWT (ES256), for 15 minutes 2 scopes Refuses what was revoked within 15 minutes 10 seconds"
        in said
    )


async def test_secrets_are_known_by_label_and_date_and_never_by_what_they_say(staffed: Node) -> None:
    window = await at_console(staffed)
    bank = await api_id(staffed, "https://bank.acme.test")
    for path in (f"{START}/apis/{bank}", f"{START}/clients/budget-buddy"):
        answer = await window.open(path)
        assert "platform file" in answer.text
        assert not any(secret in answer.text for secret in ENVIRON.values())
        assert not re.search(
            r"gw[a-z]_[A-Za-z0-9_-]{20}|[A-Za-z0-9_-]{43}\b", re.sub(r'(name="csrf" value=|href=)"[^"]*"', "", answer.text)
        )


async def test_a_client_shows_its_settings_its_weaknesses_and_when_it_was_last_used(staffed: Node) -> None:
    window = await at_console(staffed, "gw:clients:read")
    said = text_of(await window.open(f"{START}/clients/old-library"))
    assert "Last used Never" in said
    assert "What weakens it pkce_optional It may leave out PKCE" in said
    assert "https://old.example/one" in said
    listed = text_of(await window.open(f"{START}/clients"))
    assert "Budget Buddy budget-buddy Web Third-party Never used" in listed
    number = await staffed.number(
        "SELECT id FROM client WHERE tenant = :tenant AND client_id = 'budget-buddy'", tenant=await staffed.tenant()
    )
    assert number is not None
    staffed.house.usage.count("authorization_code", await staffed.tenant(), number)
    await staffed.house.usage.flush(staffed.house.store, staffed.time.now)
    used = text_of(await window.open(f"{START}/clients"))
    assert "Budget Buddy budget-buddy Web Third-party Last used on 15 January 2027" in used
    assert stamp(NOON).startswith("2027-01-15")


async def test_a_service_shows_no_settings_of_what_it_never_does(staffed: Node) -> None:
    window = await at_console(staffed, "gw:clients:read")
    asked, service = [text_of(await window.open(f"{START}/clients/{name}")) for name in ("budget-buddy", "image-copier")]
    for name in ("PKCE", "They must match", "Consent", "Refresh tokens", "End without use", "ID tokens"):
        assert f" {name} " in asked, name
        assert f" {name} " not in service, name
    assert "Grant types client_credentials" in service
    assert "Owner" in service


async def test_what_is_unknown_is_told_in_words(staffed: Node) -> None:
    window = await at_console(staffed)
    for path, sentence in (
        ("/apis/ap_0000000000000", 'There is no API "ap_0000000000000"'),
        ("/clients/nobody", "There is no client nobody."),
        ("/access/gr_0000000000001", "There is no live grant gr_0000000000001."),
    ):
        answer = await window.open(START + path)
        assert answer.status == 404
        assert sentence in text_of(answer)
        assert "Back to" in text_of(answer)


async def test_a_query_that_cannot_be_is_told_in_a_sentence(staffed: Node) -> None:
    window = await at_console(staffed)
    for path, sentence in (
        ("/clients?status=x", "Status:"),
        ("/clients?colour=red", "Colour:"),
        ("/access?user=nobody@acme.test", "There is no user nobody@acme.test."),
        ("/access?after=x", '"x" is no page\'s id'),
        ("/access?account=a&account=b", "something is said in it twice"),
        ("/log?act=grant.made.x", "Act: there is no act"),
        ("/log?since=2026-02-30", "Since: there is no such day"),
        ("/log?until=yesterday", "Until: there is no such day"),
        ("/log?after=gr_0000000000001", "is no page's id"),
        ("?x=1&x=2", "something is said in it twice"),
    ):
        answer = await window.open(START + path)
        assert answer.status == 400, path
        assert sentence in text_of(answer), path


async def test_what_stands_in_an_address_stays_text(staffed: Node) -> None:
    window = await at_console(staffed)
    for path in ("/access?user=", "/access?client=", "/log?actor=", "/log?since=", "/refusals?link=", "/clients/"):
        answer = await window.open(START + path + "%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        assert answer.status in (200, 400, 404)
        assert "<script" not in answer.text


# ---------------------------------------------------------------- long lists


async def test_a_list_is_read_part_by_part_with_each_line_once_and_the_filters_kept(staffed: Node) -> None:
    tenant = await staffed.tenant()
    await staffed.house.store.run(many_clients, tenant, 120)
    window = await at_console(staffed)
    path, found, parts = f"{START}/clients?status=active", [], 0
    while path:
        answer = await window.open(path)
        assert answer.status == 200
        found += re.findall(r'<h2><a href="/-/console/clients/([^"]+)"', answer.text)
        onward = re.search(r'href="([^"]+)" rel="next"', answer.text)
        path, parts = onward[1].replace("&amp;", "&") if onward else "", parts + 1
        assert "status=active" in path or not path
        assert ("Back to the beginning" in answer.text) is (parts > 1)
    assert parts == 3
    assert len(found) == len(set(found)) > 120
    assert found == sorted(found)


async def test_many_apis_and_scopes_are_read_part_by_part(staffed: Node) -> None:
    many = "".join(f'[[apis]]\naudience = "https://{n:03}.acme.test"\nname = "API {n:03}"\n' for n in range(60))
    scopes = "".join(f'"do:{n:03}" = "Do {n}"\n' for n in range(60))
    await staffed.apply(staff() + many + "[apis.scopes]\n" + scopes)
    window = await at_console(staffed, "gw:apis:read")
    for path, kind in (
        (f"{START}/apis", r"<h2><a href=[^>]+><bdi>([^<]+)"),
        (f"{START}/apis/{await api_id(staffed, 'https://059.acme.test')}", r'<h3 class="code"><bdi>([^<]+)'),
    ):
        first = await window.open(path)
        onward = re.search(r'href="([^"]+)" rel="next"', first.text)
        assert onward
        rest = await window.open(onward[1])
        found = [re.findall(kind, answer.text) for answer in (first, rest)]
        assert len(found[0]) == 50
        assert len({*found[0], *found[1]}) == len(found[0]) + len(found[1]) >= 60
        assert 'rel="next"' not in rest.text


# ---------------------------------------------------------------- ending a grant


async def test_a_grant_is_ended_after_a_look_and_under_the_users_own_name(staffed: Node) -> None:
    grant, code = await a_grant(staffed)
    tokens = (await staffed.post("/token", exchange(code), BUDDY)).json
    window = await at_console(staffed)
    listed = await window.open(f"{START}/access?client=budget-buddy&user=ann@acme.test&account=acme-dev")
    assert f'href="{START}/access/{grant}"' in listed.text
    shown = await window.open(f"{START}/access/{grant}")
    assert f'href="{START}/access/{grant}/end"' in shown.text
    asked = await window.open(f"{START}/access/{grant}/end")
    assert Page(asked.text).heading == "End the access of budget-buddy?"
    assert (await staffed.get("/userinfo", bearer(tokens["access_token"]))).status == 200, "nothing was ended by looking"
    done = await press(window, asked)
    assert (done.status, Page(done.text).heading) == (200, "Access")
    assert "The grant is ended." in done.text
    assert grant not in done.text
    assert (await staffed.get("/userinfo", bearer(tokens["access_token"]))).status == 401
    log = await (await at_console(staffed, "gw:audit:read")).open(f"{START}/log?act=grant.ended")
    manager = ids.show(ids.USER, (await user(staffed, email_of("everything"))).id)
    assert f"{grant} because by_admin" in text_of(log)
    assert f"by {manager} from 203.0.113.7" in text_of(log)


async def test_of_a_grant_that_has_ended_the_log_tells_whoever_may_read_it(staffed: Node) -> None:
    grant, _ = await a_grant(staffed)
    window = await at_console(staffed)
    await press(window, await window.open(f"{START}/access/{grant}/end"))
    gone = await window.open(f"{START}/access/{grant}")
    assert (gone.status, Page(gone.text).heading) == (404, "There is no such thing here")
    assert f'<a href="{START}/log?subject={grant}">What the audit log has of it</a>' in gone.text
    assert "grant.ended" in text_of(await window.open(f"{START}/log?subject={grant}"))
    assert "/log" not in (await (await at_console(staffed, "gw:grants:read")).open(f"{START}/access/{grant}")).text


async def test_ending_it_once_more_says_that_there_is_none(staffed: Node) -> None:
    grant, _ = await a_grant(staffed)
    window = await at_console(staffed)
    asked = await window.open(f"{START}/access/{grant}/end")
    await press(window, asked)
    again = await press(window, asked)
    assert (again.status, Page(again.text).heading) == (404, "There is no such thing here")


async def test_before_it_ends_who_may_see_apis_is_told_how_soon_each_refuses_it_and_nobody_that_all_do_at_once(staffed: Node) -> None:
    grant, _ = await a_grant(staffed, "openid read:balance create:events")
    window, other = await at_console(staffed), await at_console(staffed, "not gw:apis:read")
    asked = text_of(await window.open(f"{START}/access/{grant}/end"))
    assert "How soon that bites Acme Bank within 5 seconds Acme Events within 15 minutes 10 seconds End this access" in asked
    without_apis = await other.open(f"{START}/access/{grant}/end")
    assert without_apis.status == 200
    assert "Acme Bank" not in without_apis.text
    for page in (asked, text_of(without_apis)):
        assert "refused here from that moment on, and by each API within its time" in page
    done = await press(other, without_apis)
    assert "refused here from now on, and by each API within its time." in text_of(done)
    assert f'href="{START}/apis"' not in done.text


async def test_a_form_without_its_proof_ends_nothing(staffed: Node) -> None:
    grant, _ = await a_grant(staffed)
    other, _ = await a_grant(staffed, account="acme-prod")
    assert other != grant
    path = f"{START}/access/{grant}/end"
    window, colleague = await at_console(staffed), await at_console(staffed, "gw:grants:write")
    good = filled(await window.open(path))
    elsewhere = filled(await (await at_console(staffed)).open(path))
    theirs = {**good, "csrf": "x"}
    for form in ({}, {"csrf": "", "step": good["step"]}, theirs, {**good, "step": '"x"'}, {**good, "step": "*"}, elsewhere):
        answer = await post(window, path, form)
        assert answer.status == 400, form
        assert "Please look again" in text_of(answer)
    assert (await post(colleague, path, good)).status == 403, "another session's form, and no right to see what it is about"
    assert (await post(window, f"{START}/access/{other}/end", good)).status == 400, "a form is good for its own grant alone"
    live = "SELECT count(*) FROM consent_grant WHERE tenant = :tenant AND ended_at IS NULL"
    assert await staffed.number(live, tenant=await staffed.tenant()) == 2


async def test_a_form_of_another_site_is_refused_before_anything_is_looked_at(staffed: Node) -> None:
    grant, _ = await a_grant(staffed)
    window = await at_console(staffed)
    path = f"{START}/access/{grant}/end"
    form = filled(await window.open(path))
    for heads in ((("sec-fetch-site", "cross-site"),), (("sec-fetch-site", "same-site"),), (("origin", "https://evil.example"),)):
        answer = await post(window, path, form, *heads)
        assert answer.status == 403
    assert (await window.open(f"{START}/access/{grant}")).status == 200


async def test_what_was_changed_since_it_was_shown_is_shown_again_and_not_ended(staffed: Node) -> None:
    grant, _ = await a_grant(staffed, "openid read:balance")
    window = await at_console(staffed)
    asked = await window.open(f"{START}/access/{grant}/end")
    same, _ = await a_grant(staffed, "openid email read:balance")
    assert same == grant, "the user gave more to the same grant"
    answer = await press(window, asked)
    assert answer.status == 412
    assert "It was changed since you looked" in text_of(answer)
    assert (await press(window, answer)).status == 200, "what is shown now can be ended"
    assert (await window.open(f"{START}/access/{grant}")).status == 404


async def test_looking_needs_the_right_to_look_and_ending_the_right_to_end(staffed: Node) -> None:
    grant, _ = await a_grant(staffed)
    reader, writer = await at_console(staffed, "gw:grants:read"), await at_console(staffed, "gw:grants:write")
    shown = await reader.open(f"{START}/access/{grant}")
    assert shown.status == 200
    assert "/end" not in shown.text
    assert (await reader.open(f"{START}/access/{grant}/end")).status == 403
    assert (await writer.open(f"{START}/access/{grant}/end")).status == 403
    both = await at_console(staffed)
    form = filled(await both.open(f"{START}/access/{grant}/end"))
    await no_roles(staffed, email_of("everything"))
    assert (await post(both, f"{START}/access/{grant}/end", form)).status == 403, "the form was shown while the role was there"


# ---------------------------------------------------------------- secrets

MADE: Final = re.compile(r'<p class="made"><span class="code pick">(gw[a-z]_[A-Za-z0-9_-]+)</span>')


@pytest.mark.parametrize("kind", ["api", "client"])
async def test_a_secret_is_made_shown_once_and_good_and_another_is_ended(staffed: Node, kind: str) -> None:
    window = await at_console(staffed)
    bank = await api_id(staffed, "https://bank.acme.test")
    path, name = (f"{START}/apis/{bank}/secrets", bank) if kind == "api" else (f"{START}/clients/image-copier/secrets", "image-copier")
    first = await window.open(path)
    assert MADE.search(first.text) is None
    made = await post(window, path, {**filled(first, "continue"), "label": "server in Oslo"})
    assert made.status == 200
    found = MADE.search(made.text)
    assert found
    await staffed.hear()
    assert await proves(staffed, kind, name, found[1])
    assert await proves(staffed, kind, name, ENVIRON["BANK_SECRET" if kind == "api" else "CLIENT_SECRET"]), "the present one goes on"
    again = await window.open(path)
    assert found[1] not in again.text
    assert "server in Oslo" in again.text
    about = text_of(await window.open(path.removesuffix("/secrets")))
    for said in (text_of(again), about):
        assert f"by {email_of('everything')}" in said
    old = next(form for form in Page(again.text).forms if form.has("secret"))
    done = await post(window, path, dict(old.filled({"choice": "end"})))
    assert (done.status, done.header("location")) == (303, path)
    await staffed.hear()
    assert await proves(staffed, kind, name, found[1])
    assert not await proves(staffed, kind, name, ENVIRON["BANK_SECRET" if kind == "api" else "CLIENT_SECRET"])
    log = text_of(await (await at_console(staffed, "gw:audit:read")).open(f"{START}/log?act=secret.added"))
    manager = ids.show(ids.USER, (await user(staffed, email_of("everything"))).id)
    assert f"by {manager} from 203.0.113.7" in log
    assert found[1] not in log


async def test_a_form_that_is_sent_twice_makes_one_secret(staffed: Node) -> None:
    window, path = await at_console(staffed), f"{START}/clients/image-copier/secrets"
    form = filled(await window.open(path), "continue")
    answers = [*await asyncio.gather(*[post(window, path, form) for _ in range(4)]), await post(window, path, form)]
    shown = {found[1] if (found := MADE.search(answer.text)) else "" for answer in answers}
    assert len(shown) == 1, "whichever answer the browser keeps, its secret is the one that is live"
    assert "" not in shown
    live = "SELECT count(*) FROM credential WHERE tenant = :tenant AND label = 'console' AND ended_at IS NULL"
    assert await staffed.number(live, tenant=await staffed.tenant()) == 1
    other = await post(window, path, {**form, "label": "another"})
    assert other.status == 412
    assert "this form was sent before" in text_of(other), "and not that some key came with another request"
    colleague = await at_console(staffed)
    assert MADE.search((await post(colleague, path, form)).text) is None, "nobody else is shown it"
    page = await window.open(path)
    ended = [form for form in Page(page.text).forms if form.has("secret")][-1]
    await post(window, path, dict(ended.filled({"choice": "end"})))
    late = await post(window, path, form)
    assert late.status == 412
    assert MADE.search(late.text) is None, "what has ended is not handed out as new"
    another = MADE.search((await post(window, path, filled(await window.open(path), "continue"))).text)
    assert another, "a form that was shown anew makes another one, though the same secrets are live as before"
    assert another[1] not in shown


async def test_a_form_that_ends_other_secrets_ends_those_alone_that_were_shown(staffed: Node) -> None:
    window, path = await at_console(staffed), f"{START}/clients/image-copier/secrets"
    form = {**filled(await window.open(path), "continue"), "old": "now"}
    ending = filled(await window.open(path))
    await post(window, path, filled(await window.open(path), "continue"))
    for sent in (form, ending):
        answer = await post(window, path, sent)
        assert answer.status == 412
        assert MADE.search(answer.text) is None
        assert "changed since you looked" in text_of(answer)
    live = (
        "SELECT count(*) FROM credential JOIN client ON client.id = credential.holder"
        " WHERE client.tenant = :tenant AND client.client_id = 'image-copier' AND credential.ended_at IS NULL"
    )
    assert await staffed.number(live, tenant=await staffed.tenant()) == 2


@pytest.mark.parametrize("kind", ["api", "client"])
async def test_what_becomes_of_the_present_secret_is_chosen(staffed: Node, kind: str) -> None:
    bank = await api_id(staffed, "https://bank.acme.test")
    path = f"{START}/apis/{bank}/secrets" if kind == "api" else f"{START}/clients/image-copier/secrets"
    window = await at_console(staffed)
    await post(window, path, {**filled(await window.open(path), "continue"), "old": "7d"})
    assert "Ends on 22 January 2027" in text_of(await window.open(path))
    assert "expires_at 2027-01-22T08:00:00Z" in text_of(await window.open(f"{START}/log?act=secret.expiry_set"))
    crowded = await post(window, path, filled(await window.open(path), "continue"))
    assert crowded.status == 409, "two are live"
    ended = await post(window, path, {**filled(await window.open(path), "continue"), "old": "now"})
    assert MADE.search(ended.text)
    assert "No other one." in text_of(ended)


async def test_secrets_are_for_whoever_has_just_signed_in(staffed: Node) -> None:
    path = f"{START}/clients/image-copier/secrets"
    window = await at_console(staffed)
    form = filled(await window.open(path), "continue")
    staffed.time.pass_(301)
    asked = await window.open(path)
    assert Page(asked.text).heading != "Secrets of Image Copier"
    assert Page(asked.text).forms[0].has("password")
    answer = await post(window, path, form)
    assert answer.status == 303
    assert (await window.open(f"{START}/clients/image-copier")).status == 200, "to look needs none of it"
    back = await window.sign_in(asked, email_of("everything"))
    assert back.status == 200
    assert "Make a new secret" in text_of(back)


async def test_a_secret_of_what_holds_more_than_its_maker_is_not_made(staffed: Node) -> None:
    await staffed.apply(
        staff()
        + '[[clients]]\nclient_id = "ops"\nclient_name = "Ops"\ntype = "service"\nparty = "first"\nscopes = ["gw:keys:write"]\n'
        + 'secret = { env = "CLIENT_SECRET" }\n'
    )
    window, path = await at_console(staffed, "not gw:keys:write"), f"{START}/clients/ops/secrets"
    answer = await post(window, path, filled(await window.open(path), "continue"))
    assert answer.status == 409
    assert "Nobody gives what he does not hold, and you do not hold gw:keys:write." in text_of(answer)
    assert MADE.search(answer.text) is None


async def test_a_client_without_a_secret_is_refused_one_in_words(staffed: Node) -> None:
    window, path = await at_console(staffed), f"{START}/clients/phone-app/secrets"
    answer = await post(window, path, filled(await window.open(path), "continue"))
    assert answer.status == 409
    assert "proves itself without a secret" in text_of(answer)


async def test_a_form_about_secrets_without_its_proof_does_nothing(staffed: Node) -> None:
    window, path = await at_console(staffed), f"{START}/clients/image-copier/secrets"
    good = filled(await window.open(path), "continue")
    other = filled(await window.open(f"{START}/clients/night-job/secrets"), "continue")
    for form in ({}, {**good, "csrf": "x"}, {**good, "step": "x"}, other):
        answer = await post(window, path, form)
        assert answer.status == 400
        assert MADE.search(answer.text) is None


async def proves(node: Node, kind: str, name: str, secret: str) -> bool:
    """Whether an API or a client proves itself with a secret."""
    if kind == "api":
        answer = await node.post("/introspect", {"token": "x"}, basic(name, secret))
    else:
        answer = await node.post("/token", {"grant_type": "client_credentials", "scope": "read:images"}, basic(name, secret))
    return answer.status == 200


# ---------------------------------------------------------------- the log, and refusals


async def test_the_log_is_asked_by_act_by_whom_and_by_day(staffed: Node) -> None:
    window = await at_console(staffed, "gw:audit:read")
    today = day(staffed.time.now)
    acted = await window.open(f"{START}/log?act=client.made&since={today}&until={today}")
    acts = set(re.findall(r'<h2><span class="code">([^<]+)', acted.text))
    assert acts == {"client.made"}
    tomorrow = day(staffed.time.now + DAY)
    assert "There is no such entry" in text_of(await window.open(f"{START}/log?since={tomorrow}"))
    assert "There is no such entry" in text_of(await window.open(f"{START}/log?until={day(staffed.time.now - DAY)}"))
    assert "There is no such entry" in text_of(await window.open(f"{START}/log?actor=us_nobody"))


async def test_the_log_calls_by_name_what_whoever_looks_may_read_and_leads_on(staffed: Node) -> None:
    grant, _ = await a_grant(staffed)
    everything, less = await at_console(staffed), await at_console(staffed, "not gw:users:read")
    await press(everything, await everything.open(f"{START}/access/{grant}/end"))
    manager = ids.show(ids.USER, (await user(staffed, email_of("everything"))).id)
    path = f"{START}/log?subject={grant}"
    told = await everything.open(path)
    assert "client budget-buddy" in text_of(told)
    assert f"by {email_of('everything')}" in text_of(told)
    assert "read:balance" in text_of(told)
    onward = f"{START}/log?actor={manager}"
    assert f'href="{onward}"' in told.text
    assert "grant.ended" in text_of(await everything.open(onward))
    said = text_of(await less.open(path))
    assert "client budget-buddy" in said
    assert email_of("everything") not in said
    assert manager in said


async def test_a_refusal_leads_to_the_client_the_api_and_the_grant_or_to_how_that_ended(staffed: Node) -> None:
    token = (await tokens(staffed))["access_token"]
    more = (await staffed.post("/-/why", {"token": token, "scope": "transfer:funds"}, BANK_API)).json["more"]
    path = f"{START}/refusals?{urlencode({'link': more})}"
    window, less = await at_console(staffed), await at_console(staffed, "gw:grants:read")
    found = await window.open(path)
    assert "The app did not ask for the scope that was needed." in text_of(found)
    led = dict.fromkeys(re.findall(rf'<a class="code" href="({START}[^"]+)"', found.text))
    assert [one.split("/")[3].partition("?")[0] for one in led] == ["clients", "apis", "access"]
    for page in led:
        assert (await window.open(page)).status == 200
    grant = list(led)[-1]
    assert re.findall(rf'<a class="code" href="({START}[^"]+)"', (await less.open(path)).text) == [grant]
    await press(window, await window.open(f"{grant}/end"))
    ended = await window.open(path)
    assert f'href="{START}/log?subject={grant.rpartition("/")[2]}"' in ended.text
    assert START + "/log" not in (await less.open(path)).text


async def test_a_link_that_is_none_and_an_id_alone_are_answered_in_words(staffed: Node) -> None:
    window = await at_console(staffed, "gw:grants:read")
    none = await window.open(f"{START}/refusals?link=https%3A%2F%2Fid.acme.test%2F-%2Fdecision%2Fx")
    assert none.status == 404
    assert "There is no such decision here" in text_of(none)
    alone = await window.open(f"{START}/refusals?link=de_01h2v5c8n4k7e")
    assert "A decision id alone finds the line in the server's log" in text_of(alone)
    assert "Put in the link" in text_of(await window.open(f"{START}/refusals"))


# ---------------------------------------------------------------- helpers


def form_of_filters(answer: Answer) -> dict[str, str]:
    """What the fields of a page's filters hold."""
    form = next(form for form in Page(answer.text).forms if form.method == "get")
    return {one.name: one.value for one in form.controls}


async def press(window: Window, page: Answer) -> Answer:
    """Press the button of a page's form, and follow where it leads."""
    answer = await post(window, asking(page).action, filled(page))
    return await window.open(answer.header("location") or "") if answer.status == 303 else answer


def asking(page: Answer, choice: str = "end") -> Form:
    """The form of a page that has this button."""
    return next(form for form in Page(page.text).forms if form.has("choice", choice))


def filled(page: Answer, choice: str = "end") -> dict[str, str]:
    """What the browser sends when that button is pressed."""
    return dict(asking(page, choice).filled({"choice": choice}))


def without(answer: Answer, path: str) -> str:
    """A page without what was asked for, and without what is drawn anew each time."""
    name = path.partition("?")[2].partition("=")[2] or path.split("/")[4]
    return VARIES.sub("*", answer.text.replace(name, "*"))


async def no_roles(node: Node, email: str) -> None:
    """Take every role from a user."""
    tenant = await node.tenant()
    for held in await node.house.store.all(MEMBERSHIPS_OF, person=(await user(node, email)).id, tenant=tenant):
        await node.manage(tenant, set_roles, held, frozenset())


async def many_clients(tx: Tx, tenant: int, count: int) -> None:
    """Register clients, the quick way."""
    for number in range(count):
        await tx.do(COPY, id=900_000 + number, client_id=f"many-{number:05}", tenant=tenant)


async def post(window: Window, path: str, form: dict[str, str], *heads: tuple[str, str]) -> Answer:
    """Send a form from our own origin, unless said otherwise."""
    return await window.send("POST", path, urlencode(form).encode(), FORM, *(heads or SAME_SITE[1:]))
