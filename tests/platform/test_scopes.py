"""Scopes in a platform file: in several languages, under other names, with a day on which they go."""

import pytest

from gatewright.apis.book import make_scope, namings_of, rename_scope, scopes_of, set_aliases
from gatewright.apis.catalogues import Catalogues
from gatewright.audit.deed import Deed
from gatewright.oauth.catalogue import Catalogue
from gatewright.platform.apply import Applied, apply
from gatewright.platform.reading import read_text
from gatewright.platform.show import plan_text
from gatewright.store import NotUnique, Query, Tx
from tests.platform.played import SMALL, Played
from tests.support.crash import crash_everywhere

A = '"read:a" = "Read a"'
RENAMED = SMALL.replace(A, '"a:read" = { text = "Read a", aliases = ["read:a"] }')


def with_a(table: str) -> str:
    return SMALL.replace(A, f'"read:a" = {{ text = "Read a", {table} }}')


async def catalogue(played: Played) -> Catalogue:
    return await Catalogues(played.store, played.clock, lambda: True).get(await played.tenant())


async def test_a_text_in_other_languages_is_kept_and_changed_by_name_alone(played: Played) -> None:
    text = with_a('texts = { de = "A lesen", "fr-CA" = "Lire a" }')
    await played.apply(text)
    assert (await catalogue(played)).scopes_by_name["read:a"].texts == (("de", "A lesen"), ("fr-CA", "Lire a"))
    assert (await played.plan(text)).changes == ()
    assert (await played.plan(SMALL)).changes == (), "what a file does not name stays"
    await played.apply(with_a("texts = {}"))
    assert (await catalogue(played)).scopes_by_name["read:a"].texts == ()


async def test_a_scope_that_is_renamed_keeps_its_id_its_roles_its_clients_and_its_old_name(played: Played) -> None:
    await played.apply(SMALL)
    before = (await catalogue(played)).scopes_by_name["read:a"].id
    plan = plan_text(await played.plan(RENAMED))
    assert "~ scope a:read\n    name: read:a → a:read\n" in plan
    assert "role" not in plan, "the file calls it by its old name, and that is the same scope"
    await played.apply(RENAMED)
    found = (await catalogue(played)).scopes_by_name
    assert (found["a:read"].id, found["read:a"].id, found["a:read"].aliases) == (before, before, ("read:a",))
    assert before in (await played.client()).scopes
    assert (await played.plan(RENAMED)).changes == ()
    everywhere = RENAMED.replace('scopes = ["read:a"', 'scopes = ["a:read"').replace('"openid", "read:a"', '"openid", "a:read"')
    assert (await played.plan(everywhere)).changes == ()


async def test_an_old_name_that_is_dropped_is_understood_no_more_and_never_means_another_scope(played: Played) -> None:
    await played.apply(SMALL)
    await played.apply(RENAMED)
    dropped = (
        RENAMED.replace('aliases = ["read:a"]', "aliases = []")
        .replace('["read:a"', '["a:read"')
        .replace('"openid", "read:a"', '"openid", "a:read"')
    )
    assert "aliases: -read:a" in plan_text(await played.plan(dropped))
    await played.apply(dropped)
    assert "read:a" not in (await catalogue(played)).scopes_by_name
    again = dropped.replace('"read:b" =', '"read:a" = "Something else"\n"read:b" =')
    assert any("was the name of another scope and is never used again" in fault for fault in await played.faults(again))
    revived = dropped.replace("aliases = []", 'aliases = ["read:a"]')
    await played.apply(revived)
    assert (await catalogue(played)).scopes_by_name["read:a"].name == "a:read", "the same scope may have its own name back"


async def test_a_name_is_never_made_twice_even_past_the_rules_of_a_file(played: Played) -> None:
    await played.apply(SMALL)
    await played.apply(RENAMED)
    tenant = await played.tenant()
    found = await catalogue(played)
    api, scope, other = found.scopes_by_name["a:read"].api, found.scopes_by_name["a:read"].id, found.scopes_by_name["read:b"].id
    terms = Query(str, "SELECT name FROM scope WHERE tenant = :tenant ORDER BY id")
    names = await played.store.all(terms, tenant=tenant)

    async def making(tx: Tx) -> None:
        from gatewright.apis.book import ScopeTerms

        await make_scope(
            Deed(tx, played.clock.moment(), tenant, "os:x"), api, "read:a", ScopeTerms(text="x", risk="normal", reach="account")
        )

    async def renaming(tx: Tx) -> None:
        await rename_scope(Deed(tx, played.clock.moment(), tenant, "os:x"), other, "read:b", "read:a")

    async def borrowing(tx: Tx) -> None:
        await set_aliases(Deed(tx, played.clock.moment(), tenant, "os:x"), other, "read:b", frozenset({"read:a"}))

    for unit in (making, renaming, borrowing):
        with pytest.raises(NotUnique):
            await played.store.run(unit)
    assert await played.store.all(terms, tenant=tenant) == names
    assert {row.name: row.scope for row in await namings_of(played.store, tenant)}["read:a"] == scope


async def test_a_file_that_still_uses_a_name_as_the_scopes_own_is_told_the_present_one(played: Played) -> None:
    await played.apply(SMALL)
    await played.apply(RENAMED)
    faults = await played.faults(SMALL)
    assert any('this scope is called "a:read" now' in fault and "aliases" in fault for fault in faults)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('texts = { "de_AT" = "x" }', 'a language tag such as "de"'),
        ('texts = { de = "" }', "texts.de"),
        ('aliases = ["read:a"]', "twice"),
        ('aliases = ["x:a", "x:a"]', "twice"),
        ('aliases = ["read:b"]', 'the file has a scope "read:b" of its own'),
        ('aliases = ["openid"]', "belongs to OpenID Connect"),
        ('aliases = ["no space"]', "visible ASCII"),
        ('retires = "2027-02-30"', "there is no such day"),
        ('retires = "tomorrow"', 'a day such as "2027-03-01" is expected, or "never"'),
        ('retires = "2020-01-01"', "this day is past"),
        ('retire = "2027-03-01"', 'did you mean "retires"'),
    ],
)
async def test_what_cannot_be_is_told_with_its_key(played: Played, table: str, words: str) -> None:
    faults = await played.faults(with_a(table))
    assert any(words in fault for fault in faults), faults


async def test_a_scope_goes_on_its_day_by_itself_and_the_file_stays_as_it_is(played: Played) -> None:
    text = with_a('retires = "2027-03-01"')
    await played.apply(text)
    kept = Catalogues(played.store, played.clock, lambda: True)
    tenant = await played.tenant()
    assert "read:a" in (await kept.get(tenant)).scopes_by_name
    played.clock.now = 1_803_859_199
    assert "read:a" in (await kept.get(tenant)).scopes_by_name
    played.clock.pass_(1)
    found = await kept.get(tenant)
    assert "read:a" not in found.scopes_by_name
    assert found.retired == {"read:a"}
    assert await kept.get(tenant) is await kept.get(tenant), "read once, not at each look"
    assert (await played.plan(text)).changes == ()
    assert any("was retired and is never used again" in fault for fault in await played.faults(with_a('retires = "never"')))


async def test_the_day_is_put_off_or_taken_back_before_it_comes(played: Played) -> None:
    await played.apply(with_a('retires = "2027-03-01"'))
    assert "retires: 2027-03-01 → 2027-04-01" in plan_text(await played.plan(with_a('retires = "2027-04-01"')))
    await played.apply(with_a('retires = "never"'))
    assert (await catalogue(played)).until is None


async def test_a_renamed_scope_is_no_leftover_of_an_earlier_apply(played: Played) -> None:
    await played.apply(SMALL)
    plan = await played.plan("prune = true\n" + RENAMED)
    assert [change.sign for change in plan.changes] == ["~"]
    await played.apply("prune = true\n" + RENAMED)
    assert (await played.plan("prune = true\n" + RENAMED)).changes == ()
    gone = RENAMED.replace('"a:read" = { text = "Read a", aliases = ["read:a"] }\n', "").replace('"read:a", ', "").replace(', "read:a"', "")
    assert "- scope a:read" in plan_text(await played.plan("prune = true\n" + gone))
    await played.apply("prune = true\n" + gone)
    found = await catalogue(played)
    assert found.retired == {"a:read", "read:a"}
    assert any("never used again" in fault for fault in await played.faults(SMALL))


async def test_a_crash_anywhere_in_a_renaming_leaves_everything_as_it_was(played: Played) -> None:
    await played.apply(SMALL)
    tenant = await played.tenant()
    before = (await scopes_of(played.store, tenant), await namings_of(played.store, tenant))
    text = RENAMED.replace('aliases = ["read:a"]', 'aliases = ["read:a", "a"], retires = "2028-01-01", texts = { de = "Lesen" }')
    reading = read_text(text, played.file)

    async def act(store: object) -> Applied:
        return await apply(store, reading, played.clock.moment(), played.environ, "os:tester")  # type: ignore[arg-type]  # it crashes

    async def check(_: int) -> None:
        assert (await scopes_of(played.store, tenant), await namings_of(played.store, tenant)) == before

    _, crashes = await crash_everywhere(played.store, act, check)
    assert crashes > 10
    assert (await catalogue(played)).scopes_by_name["a"].name == "a:read"


async def test_implications_name_scopes_by_any_of_their_names_and_circles_are_refused(played: Played) -> None:
    await played.apply(SMALL)
    text = RENAMED.replace('"read:b" = "Read b"', '"read:b" = { text = "Read b", implies = ["read:a"] }')
    await played.apply(text)
    found = (await catalogue(played)).scopes_by_name
    assert found["read:b"].implies == (found["a:read"].id,)
    circle = text.replace('aliases = ["read:a"]', 'aliases = ["read:a"], implies = ["read:b"]')
    assert any("in a circle" in fault for fault in await played.faults(circle))
