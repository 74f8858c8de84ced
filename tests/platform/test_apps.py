"""Apps in a platform file: made from a manifest, published anew when it changes, withdrawn when they are named no longer."""

import json
from typing import Any

import pytest

from gatewright.market import apps
from gatewright.market.manifest import Manifest, read
from gatewright.market.records import AppRow
from gatewright.oauth.client import ClientSettings
from gatewright.platform.show import plan_text
from gatewright.store import Query
from tests.platform.many import add_grants, add_members
from tests.platform.played import SMALL, Played
from tests.platform.test_scopes import catalogue as catalogue_of

APP = '[[apps]]\nslug = "report"\nmanifest = "report.json"\n'
AUTH = {"redirect_uri": "https://report.example/installed", "scopes": ["read:a"]}
GOOD: dict[str, Any] = {"name": "Report", "description": "Reports weekly", "version": "1.0.0", "auth": AUTH}
ACCOUNT = Query(int, "SELECT id FROM account WHERE slug = 'one'")
ACTS = Query(str, "SELECT act FROM audit ORDER BY id")


def written(played: Played, **changed: object) -> str:
    """Write the manifest; the file that names it."""
    kept = {name: value for name, value in (GOOD | changed).items() if value is not None}
    (played.file.parent / "report.json").write_text(json.dumps(kept))
    return SMALL + APP


async def kept(played: Played) -> tuple[AppRow, ClientSettings]:
    found = await apps.app_named(played.store, await played.tenant(), "report")
    assert found is not None
    return found[0], found[1].terms


async def published(played: Played) -> Manifest:
    app, settings = await kept(played)
    row = await played.store.one(apps.VERSION, app=app.id, tenant=app.tenant, number=settings.manifest)
    assert row is not None
    return read(row.manifest)


async def test_an_app_is_made_with_its_client_its_version_and_its_secret(played: Played) -> None:
    applied = await played.apply(written(played))
    app, settings = await kept(played)
    assert app.version == settings.manifest == 1
    assert (settings.exchange, settings.party, settings.pkce, settings.scopes_policy) == ("app", "third", "optional", "manifest")
    assert settings.redirect_uris == ("https://report.example/installed",)
    assert settings.grant_types == ("authorization_code", "refresh_token")
    assert [made.client_id for made in applied.secrets] == ["web", "report"]
    assert (await played.client("report")).required == {one.scope for one in settings.asks}
    assert (await published(played)).auth is not None


async def test_the_same_manifest_again_is_nothing_to_do(played: Played) -> None:
    text = written(played)
    await played.apply(text)
    assert (await played.apply(text)).plan.changes == ()


async def test_a_manifest_without_auth_makes_a_client_that_may_ask_for_nothing(played: Played) -> None:
    await played.apply(written(played, auth=None))
    _, settings = await kept(played)
    assert (settings.grant_types, settings.redirect_uris, settings.asks) == ((), (), ())


async def test_a_new_version_asks_for_more_and_what_was_asked_before_stays_allowed(played: Played) -> None:
    await played.apply(written(played))
    first = (await kept(played))[1].scopes
    more = {**AUTH, "scopes": [{"scope": "read:b", "reason": "To compare", "required": False}]}
    found = await played.plan(written(played, version="1.1.0", auth=more))
    assert "    auth.scopes: +read:b (optional) -read:a" in plan_text(found)
    await played.apply(written(played, version="1.1.0", auth=more))
    app, settings = await kept(played)
    assert app.version == settings.manifest == 2
    assert set(first) < set(settings.scopes)
    assert [(one.required, one.reason) for one in settings.asks] == [(False, "To compare")]
    assert (await played.store.all(ACTS))[-3:] == ["client.changed", "app.published", "platform.applied"]


async def installed_by_three(played: Played) -> None:
    """Apply the app, and let three members who may read everything install it with what it asks for."""
    await played.apply(written(played))
    app, settings = await kept(played)
    catalogue = await catalogue_of(played)
    account = await played.store.one(ACCOUNT)
    assert account is not None
    await add_grants(played.store, 3, tenant=app.tenant, client=app.id, account=account, granted=str(settings.asks[0].scope))
    held = str(catalogue.roles_by_name["Reader"].id)
    await add_members(played.store, 1, 3, tenant=app.tenant, account=account, roles=held)


async def test_a_plan_says_who_is_offered_what_a_new_version_asks_for(played: Played) -> None:
    await installed_by_three(played)
    more = {**AUTH, "scopes": ["read:a", {"scope": "read:b", "reason": "To compare", "required": False}]}
    found = plan_text(await played.plan(written(played, version="1.1.0", auth=more)))
    assert "    hits 3 users who may be asked again\n    client report: " in found
    elsewhere = {**AUTH, "redirect_uri": "https://report.example/elsewhere"}
    assert "hits" not in plan_text(await played.plan(written(played, version="1.1.0", auth=elsewhere)))


async def test_a_plan_counts_nobody_for_what_the_users_roles_do_not_give(played: Played) -> None:
    await installed_by_three(played)
    more = {**AUTH, "scopes": ["read:a", "read:c"]}
    with_c = '"read:b" = "Read b"\n"read:c" = "Read c"'
    await played.apply(written(played).replace('"read:b" = "Read b"', with_c))
    assert "asked again" not in plan_text(
        await played.plan(written(played, version="1.1.0", auth=more).replace('"read:b" = "Read b"', with_c))
    )


async def test_what_was_published_under_a_version_never_changes(played: Played) -> None:
    await played.apply(written(played))
    said = 'apps[0].manifest.version: version "1.0.0" was published already, and says something else; give this one another version'
    assert [fault.split(": ", 1)[1] for fault in await played.faults(written(played, name="Other"))] == [said]
    await played.apply(written(played, name="Other", version="2"))
    assert [fault.split(": ", 1)[1] for fault in await played.faults(written(played))] == [said]


async def test_an_admin_decides_on_the_developer_and_on_paths_below(played: Played) -> None:
    text = written(played)
    await played.apply(text)
    more = 'redirect_match = "subpath"\ndeveloper = "U@acme.test"\n'
    found = await played.apply(text + more)
    assert "weakness: app report: redirect_subpath" in found.plan.notices
    row = (await apps.app_named(played.store, await played.tenant(), "report") or [])[1]
    assert row.owner_person
    assert row.terms.redirect_match == "subpath"
    assert (await played.apply(text + more)).plan.changes == ()
    assert (await played.apply(text)).plan.changes == (), "what is not named stays"


async def test_an_app_that_is_named_no_longer_is_withdrawn_and_named_again_is_offered(played: Played) -> None:
    text = written(played)
    await played.apply(text)
    gone = await played.apply("prune = true\n" + SMALL)
    assert [(change.sign, change.kind, change.name) for change in gone.plan.changes] == [("-", "app", "report")]
    assert (await kept(played))[1].withdrawn
    again = await played.apply(text)
    assert [(change.sign, change.name) for change in again.plan.changes] == [("~", "report")]
    assert not (await kept(played))[1].withdrawn
    assert not (await played.client("report")).disabled


async def test_an_icon_beside_the_manifest_becomes_a_part_of_it(played: Played) -> None:
    (played.file.parent / "icon.png").write_bytes(b"\x89PNG")
    await played.apply(written(played, icon="icon.png"))
    assert (await published(played)).icon == "data:image/png;base64,iVBORw=="


TEN = {
    "nme": "Report",
    "description": "",
    "version": "one and a half",
    "icon": "data:text/html;base64,PGI+",
    "launch_uri": 7,
    "auth": {"redirect_url": "https://x.example/", "scopes": [{"scope": "read:a", "optional": True}, 3, ""], "popup_origin": False},
}
SAID_OF_TEN = [
    'nme: this key is not known; did you mean "name"?',
    "name: this key is missing",
    "description: this may not be empty",
    "version: up to 40 letters",
    "icon: an image is expected",
    "launch_uri: a text is expected, not a whole number",
    'auth.redirect_url: this key is not known; did you mean "redirect_uri"?',
    "auth.redirect_uri: this key is missing",
    "auth.scopes[0].optional: this key is not known",
    "auth.scopes[1]: a text or a table is expected, not a whole number",
    "auth.scopes[2]: this may not be empty",
    "auth.popup_origin: a text is expected, not true or false",
]


async def test_every_fault_of_a_manifest_is_told_at_once(played: Played) -> None:
    (played.file.parent / "report.json").write_text(json.dumps(TEN))
    found = await played.faults(SMALL + APP)
    assert len(found) == len(SAID_OF_TEN)
    for fault, said in zip(sorted(found), sorted(SAID_OF_TEN), strict=True):
        assert f"apps[0].manifest.{said}" in fault
    assert await played.store.one(Query(int, "SELECT COUNT(*) FROM tenant")) == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"auth": {**AUTH, "scopes": ["read:c"]}}, 'auth.scopes[0]: there is no scope "read:c"; did you mean "read:'),
        ({"auth": {**AUTH, "scopes": ["read:a", {"scope": "read:a"}]}}, 'auth.scopes[1].scope: the scope "read:a" stands here twice'),
        ({"auth": {**AUTH, "scopes": ["read:a", "offline_access"]}}, "auth.scopes[1]: an app's access lasts until it is taken back"),
        ({"auth": {**AUTH, "scopes": ["read:a", "read:z"]}}, "auth.scopes[1]: this scope belongs to https://other.acme.test"),
        ({"auth": {**AUTH, "redirect_uri": "http://report.example/"}}, "auth.redirect_uri: use https"),
        ({"auth": {**AUTH, "redirect_uri": "https://report.example/*"}}, "auth.redirect_uri: an address is registered whole"),
        ({"auth": {**AUTH, "popup_origin": "https://report.example/"}}, 'write "https://report.example"'),
        ({"auth": {**AUTH, "popup_origin": "https://elsewhere.example"}}, "auth.popup_origin: this is not the origin of redirect_uri"),
        ({"event_url": "http://report.example/events"}, "event_url: an https address is expected"),
        ({"launch_uri": "javascript:alert(1)"}, "launch_uri: an https address is expected"),
        ({"name": "Re\u0007port"}, "name: this holds a control character"),
        ({"icon": "icon.exe"}, "icon: an icon is one of .png"),
        ({"icon": "missing.png"}, "icon: missing.png cannot be read beside the manifest"),
    ],
)
async def test_what_does_not_fit_the_platform_is_told_with_its_cure(played: Played, changed: dict[str, object], said: str) -> None:
    other = '[[apis]]\naudience = "https://other.acme.test"\nname = "Other"\n[apis.scopes]\n"read:z" = "Z"\n'
    text = written(played, **changed).replace("[[roles]]", f"{other}[[roles]]")
    assert [fault for fault in await played.faults(text) if f"apps[0].manifest.{said}" in fault or said in fault]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON"),
        (b"\xff", "is not UTF-8"),
        (b'{"name": "a", "name": "b"}', 'the key "name" stands twice'),
        (b"[]", "a table is expected, not a list"),
        (b"[" * 5000, "is no JSON"),
        (None, "cannot be read"),
    ],
)
async def test_what_is_no_manifest_at_all_is_a_sentence(played: Played, content: bytes | None, said: str) -> None:
    if content is not None:
        (played.file.parent / "report.json").write_bytes(content)
    found = await played.faults(SMALL + APP)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("slug", "said"), [("o", "are the server's own"), ("oauth", "are the server's own"), ("web", "there is a client of this id")]
)
async def test_an_app_cannot_be_called_as_something_else_is(played: Played, slug: str, said: str) -> None:
    text = written(played).replace('slug = "report"', f'slug = "{slug}"')
    assert [fault for fault in await played.faults(text) if "apps[0].slug" in fault and said in fault]


async def test_the_client_of_an_app_is_not_described_twice(played: Played) -> None:
    text = written(played)
    await played.apply(text)
    more = '[[clients]]\nclient_id = "report"\nclient_name = "R"\nredirect_uris = ["https://r.example/"]\n'
    assert [fault for fault in await played.faults(SMALL + more) if "name it under [[apps]]" in fault]
    assert [fault for fault in await played.faults(text + more) if "there is a client of this id" in fault]


async def test_only_an_app_asks_for_what_its_manifest_says(played: Played) -> None:
    text = SMALL.replace('client_name = "Web"', 'client_name = "Web"\nscopes_policy = "manifest"')
    assert [fault for fault in await played.faults(text) if "clients[0].scopes_policy: only an app" in fault]


async def test_no_app_asks_for_the_management_api(played: Played) -> None:
    text = written(played, auth={**AUTH, "scopes": ["gw:users:read"]})
    assert [fault for fault in await played.faults(text) if 'there is no scope "gw:users:read"' in fault]
