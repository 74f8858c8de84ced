from pathlib import Path

import pytest

from gatewright.base.check import Faults
from gatewright.platform.reading import read_file
from tests.platform.played import SMALL, Played

TEN = """\
prun = true
[tenant]
slug = "Acme Ltd"
name = "Acme"
domains = ["http://id.acme.test"]
[[apis]]
audience = "bank"
name = "Bank"
token = { format = "jwt", lifetime = "until_revoked" }
[apis.scopes]
"openid" = "Taken"
[[roles]]
name = "Reader"
scopes = ["read:nothing"]
[[accounts]]
slug = "one"
name = "One"
[[accounts]]
slug = "one"
name = "Again"
[[users]]
email = "nobody"
memberships = [{ account = "onne" }]
[[clients]]
client_id = "us_web"
client_name = "Web"
redirect_uris = ["http://web.example/cb"]
"""


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_ten_faults_in_a_file_are_ten_faults_in_the_list(played: Played) -> None:
    assert await played.faults(TEN) == [
        'line 1: prun: this key is not known; did you mean "prune"?',
        "line 3: tenant.slug: small letters, digits and hyphens are expected, at most 63, beginning with a letter or digit",
        "line 5: tenant.domains[0]: plain http is for this machine alone (127.0.0.1, [::1], localhost); use https",
        'line 7: apis[0].audience: an absolute address such as "https://api.example.com" is expected',
        'line 9: apis[0].token.lifetime: a JWT cannot be valid until it is revoked: it is believed unasked; write format = "opaque"',
        "line 11: apis[0].scopes.openid: this name belongs to OpenID Connect",
        'line 14: roles[0].scopes[0]: there is no scope "read:nothing"; known here: openid',
        'line 19: accounts[1].slug: the account "one" stands here twice',
        "line 22: users[0].email: an e-mail address is expected",
        'line 23: users[0].memberships[0].account: there is no account "onne"; did you mean "one"?',
        'line 25: clients[0].client_id: a client id may not begin with "us_": a `sub` could then be a client or a user',
        "line 27: clients[0].redirect_uris[0]: use https; plain http is for this device alone (127.0.0.1, [::1], localhost)",
    ]


async def test_a_file_with_a_fault_changes_nothing(played: Played) -> None:
    with pytest.raises(Faults):
        await played.apply(SMALL.replace('name = "Reader"', "nmae = 1"))
    assert (await played.plan(SMALL)).changes[0].kind == "tenant"


def replaced(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new, 1)


SERVICE = '[[clients]]\nclient_id = "s"\nclient_name = "S"\ntype = "service"\n'
DEVICE = SERVICE.replace("service", "device")
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
SPA = '[[clients]]\nclient_id = "s"\nclient_name = "S"\ntype = "spa"\nredirect_uris = ["https://s.example/cb"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (replaced("[tenant]", "[tenent]"), "tenant: this key is missing"),
        (replaced('"https://id.acme.test"', '"https://id.acme.test/path"'), "no path, query, fragment or user name"),
        (replaced('["https://id.acme.test"]', '["https://a.test", "https://A.test:443"]'), 'the host "a.test" stands here twice'),
        (replaced('["https://id.acme.test"]', "[]"), "tenant.domains: at least one is needed"),
        (replaced('"read:a" = "Read a"', '"read a" = "Read a"'), "without space, quotation mark and backslash"),
        (replaced('"read:a" = "Read a"', '"read:a" = { text = "A", implies = ["read:x"] }'), 'there is no scope "read:x"'),
        (
            replaced(
                '"read:a" = "Read a"\n"read:b" = "Read b"',
                '"read:a" = { text = "A", implies = ["read:b"] }\n"read:b" = { text = "B", implies = ["read:a"] }',
            ),
            "scopes imply each other in a circle: read:a → read:b → read:a",
        ),
        (replaced('"read:a" = "Read a"', '"read:a" = { text = "A", risk = "hihg" }'), 'did you mean "high"?'),
        (replaced('name = "API"', 'name = "API"\ntoken = { format = "opaque", lifetime = "2d" }'), "an access token lives at most 24h"),
        (replaced('name = "API"', 'name = "API"\ntoken = { lifetime = "0s" }'), "a lifetime of nothing"),
        (replaced('name = "API"', 'name = "API"\ntoken = { lifetime = "soon" }'), 'a duration or "until_revoked" is expected'),
        (replaced('name = "API"', 'name = "API"\nsecret = "in clear"'), "apis[0].secret: a table is expected, not a text"),
        (replaced('name = "API"', 'name = "API"\nsecret = { env = "NOT_SET" }'), "the environment variable NOT_SET is not set"),
        (replaced('name = "API"', 'name = "API"\nsecret = { file = "none" }'), "none cannot be read"),
        (replaced('name = "API"', 'name = "API"\nsecret = { env = "SHORT" }'), "an API's secret has at least 32 characters"),
        (replaced('name = "API"', 'name = "API"\nsecret = {}'), "say where the secret is"),
        (replaced('scopes = ["read:a", "read:b"]', 'scopes = ["openid"]'), "scopes of OpenID Connect need no role"),
        (
            replaced('scopes = ["read:a", "read:b"]', 'scopes = ["gw:cliens:read"]'),
            'there is no scope "gw:cliens:read"; did you mean "gw:clients:read"?',
        ),
        (replaced('"read:a" = "Read a"', '"gw:mine" = "Mine"'), 'names that begin with "gw:" belong to the management API'),
        (
            replaced('"read:a" = "Read a"', '"read:a" = { text = "A", implies = ["gw:keys:write"] }'),
            "no scope brings one of the management API",
        ),
        (replaced('"https://api.acme.test"', '"urn:gatewright:management"'), "this is the audience of the management API"),
        (
            replaced('scopes = ["openid", ', 'scopes = ["gw:keys:read", "openid", '),
            "the scopes of the management API are for first-party clients",
        ),
        (replaced('roles = ["Reader"] }', 'roles = ["Raeder"] }'), 'there is no role "Raeder"; did you mean "Reader"?'),
        (replaced('email = "u@acme.test"', 'email = "u@acme.test"\nprofile = { nick = "U" }'), "no standard claim"),
        (replaced('email = "u@acme.test"', 'email = "u@acme.test"\nprofile = { nickname = 5 }'), "a text is expected"),
        (replaced('email = "u@acme.test"', 'email = "u@acme.test"\npassword = { env = "LONG" }'), "a password has at most 1024 bytes"),
        (replaced('email = "u@acme.test"', 'email = "u@acme.test"\npassword = { env = "TINY" }'), "a password has at least 8 characters"),
        (
            replaced('email = "u@acme.test"', 'email = "organizer@acme.test"\npassword = { env = "OWN" }'),
            "not the user's own e-mail address",
        ),
        (replaced('memberships = [{ account = "one", roles = ["Reader"] }]', 'kind = "service"'), "exactly one account"),
        (SMALL + "[[users]]\nemail = 'U@Acme.TEST'\n", 'the user "u@acme.test" stands here twice'),
        (replaced('scopes = ["openid", ', 'scopes = ["opnid", '), 'there is no scope "opnid"'),
        (replaced('redirect_uris = ["https://web.example/cb"]\n', ""), "clients[0].redirect_uris: at least one is needed"),
        (replaced('"https://web.example/cb"', '"https://web.example/cb#x"'), "an address with a fragment"),
        (replaced('"https://web.example/cb"', '"https://web.example/*"'), "there are no wildcards"),
        (replaced('"https://web.example/cb"', '"com.example:/cb"'), "only native clients"),
        (
            SMALL + 'denied = "refuse"\nscopes_policy = "all_allowed"\n',
            'clients[0].denied: "refuse" is about scopes that are asked for by name',
        ),
        (SMALL + 'denied = "ignore"\n', "clients[0].denied: one of"),
        (SMALL + 'allowed_ips = ["10.0.0.1/8"]\n', '"10.0.0.1/8" is no address or network'),
        (SMALL + 'grant_types = ["implicit"]\n', "clients[0].grant_types[0]: one of"),
        (SMALL + 'grant_types = ["refresh_token"]\n', '"refresh_token" renews what "authorization_code" began'),
        (SMALL + 'token_endpoint_auth_method = "none"\n', 'a web client proves itself: "none" is for spa, native and device'),
        (SMALL + 'token_endpoint_auth_method = "private_key_jwt"\n', "needs the client's public keys"),
        (SMALL + 'jwks_uri = "http://web.example/jwks"\n', "https is expected"),
        (SMALL + 'jwks_uri = "http://localhost.web.example/jwks"\n', "https is expected"),
        (SMALL + 'jwks_uri = "https://keys..example/jwks"\n', "no host name"),
        (SMALL + f'jwks_uri = "https://{"a" * 64}.example/jwks"\n', "no host name"),
        (SMALL + 'jwks_uri = "https://[keys.example/jwks"\n', "no URL"),
        (SMALL + 'event_url = "https://hooks..example/x"\n', "no host name"),
        (SMALL + 'jwks = { keys = [{ kty = "EC", d = "x" }] }\n', "this holds a private or secret key"),
        (SMALL + "jwks = { keys = [] }\n", "a key set with at least one key is expected"),
        (SMALL + 'secret = { env = "TINY" }\n', "a secret has at least 8 characters"),
        (SMALL + 'refresh = { idle = "forever" }\n', "a duration is expected"),
        (SMALL + "lasting_session = true\n", "native first-party clients alone"),
        (SMALL + 'service_user = "u@acme.test"\n', "this is a person: a client acts for service users alone"),
        (SMALL + 'account = "two"\n', 'there is no account "two"'),
        (SMALL + SERVICE + 'grant_types = ["authorization_code"]\n', "a service has no user"),
        (SMALL + SERVICE + 'scopes = ["openid"]\n', "the scopes of OpenID Connect tell of a user"),
        (SMALL + SERVICE + 'redirect_uris = ["https://s.example/cb"]\n', 'nothing goes there without the grant type "authorization_code"'),
        (SMALL + SPA + 'secret = { env = "LONG" }\n', "this client proves itself without a secret"),
        (SMALL + SPA + 'pkce = "optional"\n', "nothing but PKCE"),
        (SMALL + SPA + 'grant_types = ["client_credentials"]\n', "is for clients that can keep a secret"),
        (SMALL + SPA + f'grant_types = ["{DEVICE_CODE}"]\n', "is for clients of type device, native, web, whose users sign in elsewhere"),
        (SMALL + SERVICE + f'grant_types = ["{DEVICE_CODE}"]\n', "a service has no user at a page"),
        (SMALL + 'grant_types = ["device_code"]\n', "clients[0].grant_types[0]: one of"),
        (SMALL + DEVICE + 'redirect_uris = ["https://s.example/cb"]\n', 'nothing goes there without the grant type "authorization_code"'),
        (SMALL + DEVICE + 'grant_types = ["authorization_code"]\n', "at least one is needed, since the answer of a sign-in goes there"),
        (SMALL + SPA + SPA, 'the client "s" stands here twice'),
        (SMALL + SPA.replace('"s"', '"a b"', 1), "a client id has at most 99 letters"),
        (SMALL + '[[apps]]\nslug = "x"\n', "apps[0].manifest: this key is missing"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence(text: str, said: str, played: Played) -> None:
    played.environ |= {"SHORT": "x" * 31, "LONG": "x" * 1100, "TINY": "1234567", "OWN": "organizer"}
    assert [fault for fault in await played.faults(text) if said in fault]


async def test_a_device_needs_neither_a_secret_nor_an_address_nor_the_name_of_its_grant(played: Played) -> None:
    await played.apply(SMALL + DEVICE)
    client = await played.client("s")
    assert client.settings.grant_types == (DEVICE_CODE, "refresh_token")
    assert (client.public, client.settings.redirect_uris) == (True, ())
    both = f'grant_types = ["authorization_code", "{DEVICE_CODE}"]\nredirect_uris = ["http://127.0.0.1/cb"]\n'
    await played.apply(SMALL + DEVICE.replace('"device"', '"native"') + both)
    assert (await played.client("s")).settings.type == "native"


async def test_what_there_is_already_may_be_referred_to(played: Played) -> None:
    await played.apply(SMALL)
    head = SMALL.split("[[apis]]")[0]
    await played.apply(head + '[[roles]]\nname = "Second"\nscopes = ["read:a"]\n')
    more = '[[users]]\nemail = "v@acme.test"\nmemberships = [{ account = "one", roles = ["Reader", "Second"] }]\n'
    assert [change.kind for change in (await played.apply(head + more)).plan.changes] == ["user", "membership"]


async def test_a_users_kind_and_a_scopes_api_never_change(played: Played) -> None:
    await played.apply(SMALL)
    text = replaced('email = "u@acme.test"', 'email = "u@acme.test"\nkind = "service"').replace(
        "[[roles]]", '[[apis]]\naudience = "https://other.acme.test"\nname = "Other"\n[apis.scopes]\n"read:c" = "C"\n[[roles]]', 1
    )
    assert [fault for fault in await played.faults(text) if "this user is a person user, which cannot change" in fault]
    moved = text.replace('"read:b" = "Read b"\n', "", 1).replace('"read:c" = "C"', '"read:b" = "B"')
    assert [fault for fault in await played.faults(moved) if "this scope belongs to https://api.acme.test" in fault]


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read: no such file"), (b"\xff", "is not UTF-8"), (b"a = ", "not TOML")])
def test_a_file_that_cannot_be_read_is_a_sentence(content: bytes | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Faults, match=said):
        read_file(file)


async def test_weaknesses_are_named_by_the_plan(played: Played) -> None:
    played.environ["SHORT"] = "123456789"
    text = SMALL + 'pkce = "optional"\nscopes_policy = "all_allowed"\nsecret = { env = "SHORT" }\n'
    assert [notice for notice in (await played.plan(text)).notices if notice.startswith("weakness")] == [
        "weakness: client web: pkce_optional",
        "weakness: client web: scopes_all_allowed",
        "weakness: the secret of client web has fewer than 32 characters",
    ]
