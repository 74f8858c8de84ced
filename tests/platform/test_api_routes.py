"""An API's table of routes in a platform file: what is stored and told of it, and what no row of it may be."""

from __future__ import annotations

import msgspec
import pytest

from gatewright.apis.book import ApiRow, apis_of
from gatewright.apis.catalogues import Catalogues
from gatewright.platform.show import plan_text
from gatewright.store import Query
from tests.platform.played import SMALL, Played

AUDITED = Query(str, "SELECT act FROM audit ORDER BY id")
DETAILS = Query(str, "SELECT detail FROM audit WHERE act = 'api.changed' ORDER BY id")
TABLE = """name = "API"
verify_max_age = "10s"
routes = [
  { path = "/health", public = true },
  { path = "/{account}/a", methods = ["GET"], scopes = ["read:a"], account_in = "account" },
  { host = "b.acme.test", path = "/b/*", any_of = ["read:b", "read:a"] },
  { path = "/any" },
]
"""
WITH_ROUTES = SMALL.replace('name = "API"\n', TABLE)


async def stored(played: Played) -> ApiRow:
    """The API as it is stored."""
    (row,) = await apis_of(played.store, await played.tenant())
    return row


async def test_a_table_is_applied_once_and_told_row_by_row(played: Played) -> None:
    told = plan_text(await played.plan(WITH_ROUTES))
    assert "+ routes https://api.acme.test\n    routes: /health: public, GET /{account}/a: read:a in {account}, " in told
    assert "b.acme.test/b/*: one of read:b, read:a, /any: any token" in told
    await played.apply(WITH_ROUTES)
    row = await stored(played)
    assert [route.path for route in row.table] == ["/health", "/{account}/a", "/b/*", "/any"]
    assert row.verify_max_age == 10
    audited = await played.store.all(AUDITED)
    assert (await played.apply(WITH_ROUTES)).plan.changes == ()
    assert await played.store.all(AUDITED) == audited
    catalogue = await Catalogues(played.store, played.clock, lambda: True).get(await played.tenant())
    api = catalogue.apis_by_audience["https://api.acme.test"]
    found = catalogue.rules(api).match_target("GET", "/one/a", "x.acme.test")
    assert found is not None
    assert found.account == "one"
    assert found.rule.needs is not None
    assert found.rule.needs.all_of == ("read:a",)


async def test_what_the_file_does_not_name_stays_and_what_it_names_is_the_whole_table(played: Played) -> None:
    await played.apply(WITH_ROUTES)
    before = (await stored(played)).table
    assert (await played.apply(SMALL)).plan.changes == ()
    assert (await stored(played)).table == before
    assert (await stored(played)).verify_max_age == 10
    shorter = WITH_ROUTES.replace('  { path = "/any" },\n', "")
    (change,) = (await played.apply(shorter)).plan.changes
    assert (change.sign, change.kind, [one.key for one in change.details]) == ("~", "routes", ["routes"])
    assert (await stored(played)).table == before[:-1]
    await played.apply(SMALL.replace('name = "API"\n', 'name = "API"\nroutes = []\n'))
    assert (await stored(played)).table == ()
    before_and_after = [msgspec.json.decode(one) for one in await played.store.all(DETAILS)]
    assert before_and_after[-1]["after"] == {"routes": []}


async def test_another_order_is_a_change_of_its_own(played: Played) -> None:
    await played.apply(WITH_ROUTES)
    turned = WITH_ROUTES.replace('  { path = "/any" },\n', "").replace("routes = [\n", 'routes = [\n  { path = "/any" },\n')
    told = plan_text(await played.plan(turned))
    assert "~ routes https://api.acme.test\n    routes: in another order → as the file has them" in told
    await played.apply(turned)
    assert (await stored(played)).table[0].path == "/any"


async def test_a_renamed_scope_is_the_same_in_the_table(played: Played) -> None:
    await played.apply(WITH_ROUTES)
    renamed = SMALL.replace('"read:a" = "Read a"', '"see:a" = { text = "Read a", aliases = ["read:a"] }')
    await played.apply(renamed)
    catalogue = await Catalogues(played.store, played.clock, lambda: True).get(await played.tenant())
    found = catalogue.rules(catalogue.apis_by_audience["https://api.acme.test"]).match_target("GET", "/one/a", "x.test")
    assert found is not None
    assert found.rule.needs is not None
    assert found.rule.needs.all_of == ("see:a",)
    # By its other name it is the same scope, so nothing changes.
    old_name_in_the_table = renamed.replace('name = "API"\n', TABLE)
    assert (await played.apply(old_name_in_the_table)).plan.changes == ()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{ path = "x" }', "apis[0].routes[0].path: a path that begins with a slash is expected, decoded, without query"),
        ('{ path = "/x?y" }', "apis[0].routes[0].path: a path that begins with a slash is expected"),
        ('{ path = "/a%20b" }', "apis[0].routes[0].path: a path that begins with a slash is expected"),
        ('{ path = "/a;b" }', "apis[0].routes[0].path: a path that begins with a slash is expected"),
        ('{ path = "/a/../b" }', "apis[0].routes[0].path: segments are neither empty nor dots alone"),
        ('{ path = "/a//b" }', "apis[0].routes[0].path: segments are neither empty nor dots alone"),
        ('{ path = "/*/b" }', "apis[0].routes[0].path: a star stands at the end only, as /*"),
        ('{ path = "/a*" }', "apis[0].routes[0].path: a star stands at the end only, as /*"),
        ('{ path = "/x{a}" }', "apis[0].routes[0].path: in braces stands a name"),
        ('{ path = "/{A}" }', "apis[0].routes[0].path: in braces stands a name"),
        ('{ path = "/{a}/{a}" }', "apis[0].routes[0].path: a name stands here twice"),
        ('{ path = "/{a}", account_in = "b" }', 'apis[0].routes[0].account_in: the path has no segment "{b}"'),
        ('{ path = "/x", host = "https://x.test" }', "apis[0].routes[0].host: a host name in small letters is expected"),
        ('{ path = "/x", host = "X.test" }', "apis[0].routes[0].host: a host name in small letters is expected"),
        ('{ path = "/x", host = "x.test:80" }', "apis[0].routes[0].host: a host name in small letters is expected"),
        ('{ path = "/x", methods = ["get"] }', "apis[0].routes[0].methods[0]: a method in capital letters is expected"),
        ('{ path = "/x", public = true, scopes = ["read:a"] }', "apis[0].routes[0].public: what is public asks nobody for a token"),
        ('{ path = "/{a}", public = true, account_in = "a" }', "apis[0].routes[0].public: what is public asks nobody for a token"),
        ('{ path = "/x", scopes = ["read:c"] }', 'apis[0].routes[0].scopes[0]: there is no scope "read:c"; did you mean "read:b"?'),
        ('{ path = "/x", any_of = ["openid"] }', 'apis[0].routes[0].any_of[0]: there is no scope "openid"'),
        ('{ path = "/x", scopes = ["gw:users:read"] }', "apis[0].routes[0].scopes[0]: this scope is another API's"),
        ('{ path = "/x", scopes = ["read:other"] }', "apis[0].routes[0].scopes[0]: this scope is another API's"),
        ('{ path = "/x", scope = ["read:a"] }', 'apis[0].routes[0].scope: this key is not known; did you mean "scopes"?'),
    ],
)
async def test_what_no_row_may_be_is_told_at_its_place(played: Played, row: str, told: str) -> None:
    other = '[[apis]]\naudience = "https://other.acme.test"\nname = "Other"\nscopes = { "read:other" = "Read" }\n'
    (fault,) = await played.faults(SMALL.replace('name = "API"\n', f'name = "API"\nroutes = [{row}]\n') + other)
    assert told in fault


async def test_what_is_kept_is_kept_for_a_minute_at_most(played: Played) -> None:
    (fault,) = await played.faults(SMALL.replace('name = "API"\n', 'name = "API"\nverify_max_age = "2m"\n'))
    assert "apis[0].verify_max_age: an answer is kept for at most 60s" in fault
