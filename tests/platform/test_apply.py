import json

import pytest

from gatewright.accounts.book import MEMBERSHIPS_OF
from gatewright.apis.catalogues import Catalogues
from gatewright.base.digest import Kind, digest
from gatewright.clients.registry import Registry
from gatewright.oauth.catalogue import MANAGEMENT
from gatewright.platform.show import applied_text, plan_text
from gatewright.store import Query
from gatewright.tenants.book import tenant_named
from gatewright.tenants.sites import Sites
from gatewright.users.book import user_by_email
from gatewright.users.passwords import fits
from tests.platform.played import ENVIRON, EXAMPLE, SMALL, Played

HEADS = Query(int, "SELECT head FROM change_head WHERE id = 1")
AUDITED = Query(str, "SELECT act FROM audit ORDER BY id")


async def test_the_example_applies_as_it_is(played: Played) -> None:
    applied = await played.apply(EXAMPLE.read_text())
    assert {change.sign for change in applied.plan.changes} == {"+"}
    assert [change.name for change in applied.plan.changes if change.kind == "app"] == ["weekly-report"]
    assert applied.secrets == ()
    tenant = await played.tenant()
    catalogue = await Catalogues(played.store, played.clock, lambda: True).get(tenant)
    assert set(catalogue.apis_by_audience) - {MANAGEMENT.audience} == {
        "https://bank.acme.test",
        "https://events.acme.test",
        "https://imaging.acme.test",
        "http://127.0.0.1:8614/mcp",
    }
    bank = catalogue.apis_by_audience["https://bank.acme.test"]
    assert (bank.roles, bank.token_format, bank.token_lifetime) == ("off", "opaque", 7200)
    assert catalogue.scopes_by_name["transfer:funds"].risk == "high"
    assert catalogue.scopes_by_name["read:images"].reach == "tenant"
    assert catalogue.names(catalogue.roles_by_name["Organizer"].scopes) == ["create:events", "update:events"]


async def test_clients_of_the_example_are_what_the_file_says(played: Played) -> None:
    await played.apply(EXAMPLE.read_text())
    tenant = await played.tenant()
    registry = Registry(played.store, lambda: True)
    client = await registry.client(tenant, "budget-buddy")
    assert client is not None
    assert client.settings.party == "third"
    assert client.settings.redirect_uris == ("http://localhost:8601/callback", "https://budget.example/callback")
    assert client.settings.refresh_idle == 30 * 86_400
    assert client.settings.allowed_ips == ("127.0.0.0/8", "203.0.113.0/24", "2001:db8::/32")
    assert client.grant_types == {"authorization_code", "refresh_token"}
    assert len(client.scopes) == 5
    assert [secret.method for secret in client.secrets] == ["argon2id"]
    assert fits(client.secrets[0].digest, "short-one")
    web = await registry.client(tenant, "events-web")
    assert web is not None
    assert [(secret.method, secret.digest) for secret in web.secrets] == [
        ("sha256", digest(Kind.CLIENT_SECRET, tenant, ENVIRON["EVENTS_WEB_SECRET"]))
    ]
    service = await registry.client(tenant, "image-copier")
    assert service is not None
    assert service.settings.token_endpoint_auth_method == "secret"


async def test_users_and_memberships_of_the_example_are_what_the_file_says(played: Played) -> None:
    await played.apply(EXAMPLE.read_text())
    tenant = await played.tenant()
    user = await user_by_email(played.store, tenant, "Organizer@ACME.test")
    assert user is not None
    assert (user.kind, user.name, user.status) == ("person", "An organizer", "active")
    held = await played.store.all(MEMBERSHIPS_OF, person=user.id, tenant=tenant)
    assert sorted(len(membership.role_ids) for membership in held) == [1, 2]
    copier = await user_by_email(played.store, tenant, "copier@service.acme.test")
    assert copier is not None
    assert copier.kind == "service"


async def test_each_domain_of_the_example_is_an_issuer(played: Played) -> None:
    await played.apply(EXAMPLE.read_text())
    sites = Sites(played.store, lambda: True)
    first, second = await sites.find(b"ID.acme.test:443"), await sites.find(b"127.0.0.1:8600")
    assert first is not None
    assert second is not None
    assert (first.url, first.paths, first.name) == ("https://id.acme.test", ("standard", "o", "oauth"), "Acme")
    assert second.url == "http://127.0.0.1:8600"
    assert first.tenant == second.tenant
    assert (await sites.look(first.tenant)).color == "#0b6e4f"


async def test_a_second_apply_changes_nothing_and_writes_nothing(played: Played) -> None:
    await played.apply(EXAMPLE.read_text())
    before = (await played.store.one(HEADS), await played.store.all(AUDITED), played.store.counts.units)
    again = await played.apply(EXAMPLE.read_text())
    assert again.plan.changes == ()
    assert (await played.store.one(HEADS), await played.store.all(AUDITED), played.store.counts.units) == before
    assert plan_text(again.plan).endswith("Tenant acme is as the file says.")


async def test_a_plan_changes_nothing(played: Played) -> None:
    found = await played.plan(EXAMPLE.read_text())
    assert len(found.changes) > 20
    assert await tenant_named(played.store, "acme") is None
    assert await played.store.all(AUDITED) == []
    text = plan_text(found)
    assert "+ client budget-buddy" in text
    assert "short-one" not in text


async def test_every_act_is_audited_in_the_name_of_the_operator(played: Played) -> None:
    await played.apply(EXAMPLE.read_text())
    acts = await played.store.all(AUDITED)
    assert acts[0] == "tenant.made"
    assert acts[-1] == "platform.applied"
    assert {"domain.added", "api.made", "scope.made", "role.made", "account.made", "user.made", "client.made", "secret.added"} <= set(acts)
    actors = await played.store.all(Query(str, "SELECT DISTINCT actor FROM audit"))
    assert actors == ["os:tester"]
    details = "".join(await played.store.all(Query(str, "SELECT detail FROM audit")))
    for secret in ENVIRON.values():
        assert secret not in details


async def test_no_secret_of_the_file_lies_in_the_store_in_clear(played: Played) -> None:
    await played.apply(EXAMPLE.read_text())
    kept = await played.store.all(Query(str, "SELECT digest FROM credential UNION ALL SELECT coalesce(password, '') FROM person"))
    assert not {secret for secret in ENVIRON.values() for row in kept if secret in row}


async def test_a_client_without_a_secret_gets_one_that_is_shown_once(played: Played) -> None:
    first = await played.apply(SMALL)
    assert [made.client_id for made in first.secrets] == ["web"]
    secret = first.secrets[0].secret.reveal()
    assert secret.startswith("gws_")
    assert secret in applied_text(first)
    assert secret not in repr(first)
    assert (await played.apply(SMALL)).secrets == ()
    client = await played.client()
    assert client.secrets[0].digest == digest(Kind.CLIENT_SECRET, client.tenant, secret)


async def test_a_new_secret_is_added_beside_the_one_that_is_live(played: Played) -> None:
    text = SMALL + 'secret = { env = "WEB" }\n'
    played.environ["WEB"] = "the first secret, which is long enough"
    await played.apply(text)
    played.environ["WEB"] = "the other secret, which is long enough"
    changed = await played.apply(text)
    assert [(change.sign, change.kind) for change in changed.plan.changes] == [("+", "client secret")]
    client = await played.client()
    assert len(client.secrets) == 2
    assert (await played.apply(text)).plan.changes == ()


@pytest.mark.parametrize("kind", ["api", "client"])
async def test_a_secret_of_the_file_that_ran_out_is_added_anew(played: Played, kind: str) -> None:
    played.environ["IT"] = "the secret of the file, which is long enough"
    lines = {"api": 'name = "API"\n', "client": 'client_name = "Web"\n'}
    text = SMALL.replace(lines[kind], lines[kind] + 'secret = { env = "IT" }\n')
    await played.apply(text)
    until = played.clock.now + 60
    ending = Query(None, "UPDATE credential SET expires_at = :until WHERE kind = :kind")
    await played.store.verb(ending, until=until, kind=kind)
    assert (await played.apply(text)).plan.changes == (), "it is still live"
    played.clock.pass_(60)
    changed = await played.apply(text)
    assert [(change.sign, change.kind) for change in changed.plan.changes] == [("+", f"{kind} secret")]
    assert (await played.apply(text)).plan.changes == ()


async def test_a_password_is_set_when_the_user_is_made_and_never_again(played: Played) -> None:
    text = SMALL.replace('email = "u@acme.test"', 'email = "u@acme.test"\npassword = { env = "PW" }')
    played.environ["PW"] = "the first"
    await played.apply(text)
    played.environ["PW"] = "another"
    assert (await played.apply(text)).plan.changes == ()
    del played.environ["PW"]
    assert (await played.apply(text)).plan.changes == ()
    kept = await played.store.one(Query(str, "SELECT password FROM person WHERE email_key = 'u@acme.test'"))
    assert fits(kept, "the first")


async def test_what_the_file_does_not_name_is_left_alone(played: Played) -> None:
    await played.apply(SMALL)
    less = SMALL.split("[[clients]]", maxsplit=1)[0].replace('"read:b" = "Read b"\n', "").replace(', "read:b"', "")
    found = await played.apply(less)
    assert [(change.sign, change.kind, change.name) for change in found.plan.changes] == [("~", "role", "Reader")]
    assert [notice for notice in found.plan.notices if "client web" in notice]
    client = await played.client()
    assert not client.disabled


async def test_a_key_that_the_file_does_not_name_keeps_its_value(played: Played) -> None:
    await played.apply(SMALL + 'consent = "always"\nallowed_ips = ["10.0.0.0/8"]\n')
    assert (await played.apply(SMALL)).plan.changes == ()
    client = await played.client()
    assert client.settings.consent == "always"


async def test_a_change_says_what_it_was_and_what_it_will_be(played: Played) -> None:
    await played.apply(SMALL)
    text = SMALL.replace('"read:a", "read:b"]\n', '"read:b"]\n').replace('name = "Acme"', 'name = "Acme Ltd"')
    found = plan_text(await played.plan(text))
    assert "~ tenant acme\n    name: Acme → Acme Ltd" in found
    assert "~ client web\n    scopes: -read:a" in found


GIVE = Query(
    None,
    """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at, changed_at)
       VALUES (:id, :tenant, :client, :account, :person, 0, :granted, '', '', 'user', 0, 0)""",
)


async def given(played: Played) -> None:
    """A grant of every scope of the tenant to the client, by the user in the account."""
    tenant = await played.tenant()
    catalogue = await Catalogues(played.store, played.clock, lambda: True).get(tenant)
    client = await Registry(played.store, lambda: True).client(tenant, "web")
    user = await user_by_email(played.store, tenant, "u@acme.test")
    assert client is not None
    assert user is not None
    account = (await played.store.all(MEMBERSHIPS_OF, person=user.id, tenant=tenant))[0].account
    scopes = " ".join(str(number) for number in sorted(catalogue.scopes))
    await played.store.verb(GIVE, id=77, tenant=tenant, client=client.id, account=account, person=user.id, granted=scopes)


async def test_a_plan_says_whom_it_hits(played: Played) -> None:
    await played.apply(SMALL)
    await given(played)
    text = SMALL.replace('scopes = ["read:a", "read:b"]', 'scopes = ["read:a"]').replace('roles = ["Reader"] }', "roles = [] }")
    text = text.replace('scopes = ["openid", "read:a", "read:b"]', 'scopes = ["openid", "read:a"]')
    found = plan_text(await played.plan(text))
    assert "~ role Reader\n    scopes: -read:b\n    hits 1 members who lose read:b" in found
    assert "~ membership u@acme.test in one\n    roles: -Reader\n    hits 1 live grants" in found
    assert "hits 1 live grants with read:b" in found


async def test_pruning_takes_away_what_an_earlier_apply_made_and_says_whom_it_hits(played: Played) -> None:
    await played.apply(SMALL)
    await given(played)
    rest = "prune = true\n" + SMALL.split("[[apis]]", maxsplit=1)[0]
    found = await played.plan(rest)
    assert [(change.sign, change.kind, change.name) for change in found.changes] == [
        ("-", "client", "web"),
        ("-", "membership", "u@acme.test in one"),
        ("-", "user", "u@acme.test"),
        ("-", "account", "one"),
        ("-", "role", "Reader"),
        ("-", "scope", "read:a"),
        ("-", "scope", "read:b"),
        ("-", "api", "https://api.acme.test"),
    ]
    assert found.ends_access
    hits = {change.name: [(hit.count, hit.what) for hit in change.hits] for change in found.changes}
    assert hits["web"] == [(1, "live grants")]
    assert hits["one"] == [(1, "members"), (1, "live grants")]
    assert hits["read:a"] == [(1, "clients"), (1, "live grants")]
    assert hits["Reader"] == [(1, "members who hold it"), (1, "live grants")]
    await played.apply(rest)
    assert (await played.apply(rest)).plan.changes == ()
    tenant = await played.tenant()
    catalogue = await Catalogues(played.store, played.clock, lambda: True).get(tenant)
    assert "read:a" not in catalogue.scopes_by_name
    assert catalogue.roles == {}
    client = await Registry(played.store, lambda: True).client(tenant, "web")
    assert client is not None
    assert client.disabled
    ended = await played.store.one(Query(str, "SELECT ended_because FROM consent_grant WHERE id = 77"))
    assert ended == "membership_ended"


async def test_pruning_leaves_what_was_there_before(played: Played) -> None:
    await played.apply(SMALL.split("[[clients]]", maxsplit=1)[0])
    await played.store.verb(Query(None, "DELETE FROM applied WHERE kind = 'role'"))
    found = await played.plan("prune = true\n" + SMALL.split("[[roles]]", maxsplit=1)[0])
    assert "role" not in {change.kind for change in found.changes}


async def test_what_was_pruned_comes_back_when_it_is_named_again(played: Played) -> None:
    await played.apply(SMALL)
    await played.apply("prune = true\n" + SMALL.split("[[roles]]", maxsplit=1)[0])
    back = await played.apply(SMALL)
    assert ("~", "client", "web") in {(change.sign, change.kind, change.name) for change in back.plan.changes}
    client = await played.client()
    assert not client.disabled
    assert client.epoch == 1
    assert (await played.apply(SMALL)).plan.changes == ()


async def test_a_retired_scope_never_comes_back(played: Played) -> None:
    await played.apply(SMALL)
    await played.apply("prune = true\n" + SMALL.split("[[apis]]", maxsplit=1)[0])
    assert [said for said in await played.faults(SMALL) if "was retired and is never used again" in said]


async def test_what_an_admin_disabled_stays_disabled(played: Played) -> None:
    await played.apply(SMALL)
    await played.store.verb(Query(None, "UPDATE client SET disabled_at = 1"))
    again = await played.apply(SMALL)
    assert again.plan.changes == ()
    assert "client web is disabled; apply leaves that as it is" in again.plan.notices


async def test_one_tenant_is_not_the_other(played: Played) -> None:
    await played.apply(SMALL)
    other = SMALL.replace('slug = "acme"', 'slug = "other"')
    assert (await played.faults(other))[0].startswith("line 5: tenant.domains[0]: its host is taken already by the tenant acme; ")
    applied = await played.apply(other.replace("id.acme.test", "id.other.test"))
    assert {change.sign for change in applied.plan.changes} == {"+"}


async def test_scopes_may_imply_others_whatever_their_order(played: Played) -> None:
    text = SMALL.replace('"read:a" = "Read a"', '"read:a" = { text = "Read a", implies = ["read:b"] }')
    await played.apply(text)
    catalogue = await Catalogues(played.store, played.clock, lambda: True).get(await played.tenant())
    names = catalogue.scopes_by_name
    assert names["read:a"].implies == (names["read:b"].id,)
    assert (await played.apply(text)).plan.changes == ()
    unsaid = await played.apply(text.replace(', implies = ["read:b"]', ""))
    assert unsaid.plan.changes == ()
    taken = await played.apply(text.replace('implies = ["read:b"]', "implies = []"))
    assert [change.name for change in taken.plan.changes] == ["read:a"]


async def test_a_client_may_act_for_a_service_user(played: Played) -> None:
    text = SMALL + (
        '[[users]]\nemail = "s@acme.test"\nkind = "service"\nmemberships = [{ account = "one", roles = ["Reader"] }]\n'
        '[[clients]]\nclient_id = "robot"\nclient_name = "Robot"\ntype = "service"\nscopes = ["read:a"]\nservice_user = "S@acme.test"\n'
    )
    await played.apply(text)
    tenant = await played.tenant()
    client = await Registry(played.store, lambda: True).client(tenant, "robot")
    user = await user_by_email(played.store, tenant, "s@acme.test")
    assert client is not None
    assert user is not None
    assert client.settings.service_user == user.id
    assert client.settings.account == (await played.store.all(MEMBERSHIPS_OF, person=user.id, tenant=tenant))[0].account
    assert (await played.apply(text)).plan.changes == ()
    assert (await played.apply(text.replace('service_user = "S@acme.test"\n', 'party = "first"\n'))).plan.changes[0].name == "robot"
    kept = await played.client("robot")
    assert kept.settings.service_user == user.id


async def test_a_client_with_keys_needs_no_secret(played: Played) -> None:
    text = SMALL + 'jwks = { keys = [{ kty = "EC", crv = "P-256", x = "a", y = "b", kid = "1" }] }\n'
    applied = await played.apply(text)
    assert applied.secrets == ()
    client = await played.client()
    assert client.settings.token_endpoint_auth_method == "private_key_jwt"
    assert json.loads(client.settings.jwks or "")["keys"][0]["kid"] == "1"
    assert (await played.apply(text)).plan.changes == ()
