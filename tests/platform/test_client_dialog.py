"""Every field of the dialog of seed 003 as a client's setting, in its words or ours; and what weakens a client only by name."""

from __future__ import annotations

import pytest

from gatewright.apis.book import apis_of
from gatewright.clients.rules import weaknesses
from gatewright.oauth.catalogue import OPENID, PROFILE
from gatewright.oauth.client import PasswordException
from gatewright.platform.document import ClientPart
from gatewright.platform.typed import ALIASES, LISTS
from gatewright.tenants.book import tenant_named
from tests.platform.played import SMALL, Played

DAY = 86_400
END = 'password_grant = { until = 2027-06-30, reason = "old connector" }\n'
DIALOG = (
    SMALL
    + """
[[clients]]
consumer_key = "marketplace-app"
client_name = "Marketplace app"
client_type = "web"
grant_types = ["authorization_code", "password", "refresh_token"]
redirect_urls = ["https://one.example/cb", "https://two.example/cb"]
scopes = ["openid", "profile", "read:a"]
roles = ["Reader"]
scopes_policy = "required"
allowed_ip_addresses = "192.0.2.7, 198.51.100.0/24,2001:db8::/32"
refresh = { idle = "14d", absolute = "90d" }
consumer_secret = { env = "EVENTS_WEB_SECRET" }
"""
    + END
)


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_every_field_of_the_dialog_is_a_setting_in_the_dialogs_own_words(played: Played) -> None:
    await played.apply(DIALOG)
    client = await played.client("marketplace-app")
    settings = client.settings
    assert settings.client_name == "Marketplace app"
    assert (settings.type, settings.grant_types) == ("web", ("authorization_code", "password", "refresh_token"))
    assert settings.redirect_uris == ("https://one.example/cb", "https://two.example/cb")
    assert {OPENID, PROFILE} <= client.scopes
    assert len(settings.roles) == 1
    assert settings.scopes_policy == "required"
    assert settings.allowed_ips == ("192.0.2.7", "198.51.100.0/24", "2001:db8::/32")
    assert (settings.refresh_idle, settings.refresh_absolute) == (14 * DAY, 90 * DAY)
    assert len(client.secrets) == 1
    assert settings.password_grant is not None
    assert settings.password_grant.reason == "old connector"


async def test_in_our_words_it_is_the_same_and_twice_changes_nothing(played: Played) -> None:
    await played.apply(DIALOG)
    ours = DIALOG
    for alias, name in ALIASES.items():
        ours = ours.replace(f"{alias} =", f"{name} =")
    ours = ours.replace('"192.0.2.7, 198.51.100.0/24,2001:db8::/32"', '["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"]')
    ours = ours.replace("until = 2027-06-30", 'until = "2027-06-30"')
    assert ours != DIALOG
    assert (await played.plan(ours)).changes == ()


async def test_the_persistent_sso_of_a_native_app_has_its_word_too(played: Played) -> None:
    await played.apply(
        SMALL
        + """
[[clients]]
consumer_key = "phone"
client_name = "Phone"
type = "native"
party = "first"
redirect_uris = ["com.example.phone:/cb"]
scopes = ["openid"]
persistent_sso = true
"""
    )
    assert (await played.client("phone")).settings.lasting_session


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ('"10.0.0.0/8"', ("10.0.0.0/8",)),
        ('" 192.0.2.1 ,, 192.0.2.2, "', ("192.0.2.1", "192.0.2.2")),
        ('""', ()),
        ("[]", ()),
        ('"::ffff:192.0.2.0/120, ::1"', ("::ffff:192.0.2.0/120", "::1")),
    ],
)
async def test_addresses_may_be_typed_as_one_text(played: Played, typed: str, kept: tuple[str, ...]) -> None:
    await played.apply(SMALL + f"allowed_ips = {typed}\n")
    assert (await played.client()).settings.allowed_ips == kept


async def test_a_key_under_both_its_names_is_a_fault_that_names_both(played: Played) -> None:
    (fault,) = await played.faults(SMALL + 'redirect_urls = ["https://x.example/cb"]\n')
    said = '"redirect_urls" is another word for "redirect_uris", which stands here too; leave one of them out'
    assert fault == f"line 26: clients[0].redirect_urls: {said}"


async def test_a_fault_in_a_key_of_another_name_is_told_with_its_line(played: Played) -> None:
    faults = await played.faults(DIALOG.replace("198.51.100.0/24", "198.51.100.0/33"))
    assert len(faults) == 1
    assert faults[0].startswith('line 36: clients[1].allowed_ips[1]: "198.51.100.0/33" is no address or network')


async def test_what_the_dialog_does_not_name_is_as_safe_as_a_new_client(played: Played) -> None:
    await played.apply(SMALL)
    settings = (await played.client()).settings
    assert (settings.scopes_policy, settings.pkce, settings.refresh_idle) == ("required", "required", None)
    assert weaknesses(settings) == ()


# ---------------------------------------------------------------- the requested-scopes policy


async def test_the_tenants_default_counts_for_new_clients_and_leaves_existing_ones(played: Played) -> None:
    lax = SMALL.replace('name = "Acme"\n', 'name = "Acme"\nscopes_policy = "all_allowed"\n', 1)
    await played.apply(lax)
    assert (await played.client()).settings.scopes_policy == "all_allowed"
    strict = lax.replace('"all_allowed"', '"required"')
    await played.apply(strict + '[[clients]]\nclient_id = "newer"\nclient_name = "Newer"\nredirect_uris = ["https://n.example/cb"]\n')
    assert (await played.client()).settings.scopes_policy == "all_allowed"
    assert (await played.client("newer")).settings.scopes_policy == "required"
    assert (await played.plan(SMALL)).changes == ()


async def test_a_client_may_say_otherwise(played: Played) -> None:
    lax = SMALL.replace('name = "Acme"\n', 'name = "Acme"\nscopes_policy = "all_allowed"\n', 1)
    await played.apply(lax + 'scopes_policy = "required"\n')
    assert (await played.client()).settings.scopes_policy == "required"


# ---------------------------------------------------------------- lifetimes by preset


@pytest.mark.parametrize(
    ("paths", "token", "seconds"),
    [
        ('["oauth"]', '{ format = "opaque" }', 7200),
        ('["oauth", "o"]', '{ format = "opaque" }', 7200),
        ('["standard", "oauth"]', '{ format = "opaque" }', 3600),
        ('["oauth"]', '{ format = "opaque", lifetime = "30m" }', 1800),
        ('["oauth"]', '{ format = "jwt" }', 900),
    ],
)
async def test_a_tenant_that_publishes_the_oauth_paths_has_its_lifetime(played: Played, paths: str, token: str, seconds: int) -> None:
    text = SMALL.replace("domains = [", f"paths = {paths}\ndomains = [", 1).replace('name = "API"', f'name = "API"\ntoken = {token}')
    await played.apply(text)
    assert [api.token_lifetime for api in await apis_of(played.store, await played.tenant())] == [seconds]
    row = await tenant_named(played.store, "acme")
    assert row is not None
    assert row.rules.openid_token_lifetime == (3600 if "standard" in paths else 7200), "a token for userinfo alone is opaque as well"


# ---------------------------------------------------------------- weaknesses, by name


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ('grant_types = ["authorization_code", "password"]\n' + END, ("password_grant",)),
        ('party = "first"\ninternal = true\ngrant_types = ["authorization_code", "password"]\n' + END, ("password_grant_for_people",)),
        ("out_of_band = true\n", ("out_of_band",)),
        ('type = "demo"\n', ("published_credentials",)),
        ('type = "demo"\ndemo_scopes = "all"\n', ("published_credentials_for_all_scopes",)),
    ],
)
async def test_what_weakens_a_client_is_named_at_plan_and_apply(played: Played, lines: str, found: tuple[str, ...]) -> None:
    text = SMALL + lines
    if "out_of_band" in lines:
        text = text.replace('"https://web.example/cb"', '"urn:ietf:wg:oauth:2.0:oob"')
    assert list((await played.plan(text)).notices) == [f"weakness: client web: {name}" for name in found]
    await played.apply(text)
    assert weaknesses((await played.client()).settings) == found


async def test_an_exception_lasts_to_the_end_of_its_day_and_is_shown_by_that_day(played: Played) -> None:
    text = SMALL + 'grant_types = ["authorization_code", "password"]\n' + END
    await played.apply(text)
    kept = (await played.client()).settings.password_grant
    assert kept == PasswordException(until=1_814_400_000, reason="old connector")
    changed = await played.plan(text.replace("2027-06-30", "2027-07-31"))
    assert [detail.key for change in changed.changes for detail in change.details] == ["password_grant"]
    assert changed.changes[0].details[0].before == {"until": "2027-06-30", "reason": "old connector"}
    assert (await played.plan(text)).changes == ()


async def test_a_client_with_an_exception_has_the_grant_type_by_that(played: Played) -> None:
    await played.apply(SMALL + END)
    assert (await played.client()).settings.grant_types == ("authorization_code", "refresh_token", "password")
    text = SMALL + '[[clients]]\nclient_id = "job"\nclient_name = "Job"\ntype = "service"\n' + END
    await played.apply(text)
    assert (await played.client("job")).settings.grant_types == ("client_credentials", "password", "refresh_token")


PASSWORD = 'grant_types = ["authorization_code", "password"]\n'
PUBLIC = '[[clients]]\nclient_id = "s"\nclient_name = "S"\ntype = "spa"\nredirect_uris = ["https://s.example/cb"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + PASSWORD, "password_grant: the password grant is an exception with an end: password_grant = {"),
        (SMALL + 'grant_types = ["authorization_code"]\n' + END, 'nothing is excepted without "password"'),
        (SMALL + PASSWORD + END.replace("2027-06-30", '"soon"'), "a day is expected"),
        (SMALL + PASSWORD + END.replace("2027-06-30", "2027-06-30T10:00:00Z"), "a day is expected"),
        (SMALL + PASSWORD + END.replace("2027-06-30", '"2027-02-30"'), "there is no day 2027-02-30"),
        (SMALL + PASSWORD + END.replace("2027-06-30", "2099-01-01"), "an exception ends within two years"),
        (SMALL + PASSWORD + "password_grant = { until = 2027-06-30 }\n", "password_grant.reason: this key is missing"),
        (
            SMALL + PASSWORD + END + "internal = true\n",
            'only the platform\'s own clients are internal, whose users are not asked: party = "first"',
        ),
        (SMALL + PASSWORD + END + 'internal = true\nparty = "first"\nconsent = "always"\n', "whose users are not asked"),
        (SMALL + 'internal = true\nparty = "first"\n', "which is missing"),
        (SMALL + PUBLIC + END, "only as the platform's own: internal = true"),
        (SMALL + 'cors_origins = ["https://a.example"]\n', "which is missing"),
        (SMALL + PASSWORD + END + 'cors_origins = ["https://a.example/x"]\n', "no path"),
        (SMALL + PASSWORD + END + 'cors_origins = ["*"]\n', 'begins with "https://"'),
        (SMALL + PASSWORD + END + 'cors_origins = ["https://A.example:443"]\n', "browsers write this origin as https://a.example"),
        (SMALL + PASSWORD + END + 'cors_origins = ["http://a.example"]\n', "plain http is for this machine alone"),
        (SMALL + PASSWORD + END + 'cors_origins = "https://a.example, https://a.example"\n', "this stands here twice"),
        (SMALL.replace('"https://web.example/cb"', '"urn:ietf:wg:oauth:2.0:oob"'), "to allow that: out_of_band = true"),
        (SMALL + "out_of_band = true\n", 'is missing among the redirect_uris: "urn:ietf:wg:oauth:2.0:oob"'),
        (
            SMALL + PUBLIC.replace("https://s.example/cb", "urn:ietf:wg:oauth:2.0:oob") + "out_of_band = true\n",
            "a spa client gets it by itself",
        ),
        (SMALL + 'post_logout_redirect_uris = ["urn:ietf:wg:oauth:2.0:oob"]\n', "a sign-out leads to an address"),
        (SMALL + 'demo_scopes = "all"\n', 'this is for clients of type "demo"'),
        (SMALL + 'type = "demo"\nparty = "first"\n', "a third party to everybody"),
        (SMALL + 'type = "demo"\ngrant_types = ["client_credentials"]\n', "open nothing by themselves"),
        (SMALL + 'type = "demo"\n' + PASSWORD + END, "open nothing by themselves"),
        (SMALL + 'type = "demo"\nintrospects = true\n', "would learn of others' tokens"),
        (SMALL + 'type = "demo"\npkce = "optional"\n', "nothing but PKCE"),
        (SMALL + 'type = "demo"\njwks_uri = "https://web.example/jwks"\n', "published: a secret, or none"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence(text: str, said: str, played: Played) -> None:
    assert [fault for fault in await played.faults(text) if said in fault], await played.faults(text)


def test_the_words_of_the_dialog_are_none_of_ours() -> None:
    ours = set(ClientPart.__struct_fields__)
    assert set(ALIASES.values()) | LISTS <= ours
    assert not set(ALIASES) & ours
