"""Everything that one tenant has: ids, names, credentials and tokens, each beside one of the same look that nobody has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gatewright.accounts.book import MEMBERSHIPS_OF, account_named
from gatewright.apis.book import apis_of, roles_of, scopes_of
from gatewright.base import ids
from gatewright.base.digest import b64, unb64
from gatewright.clients.book import client_named
from gatewright.store import Query
from tests.http.talk import exchange
from tests.http.window import Window, asking, form_of
from tests.support import apps
from tests.support.approving import authorized, sign_in, user
from tests.support.house import ENVIRON, GLOBEX, Answer, Node, basic

# What only the other tenant has, beside the many names that both have.
GLOBEX_ONLY = """
[tenant]
slug = "globex"
name = "Globex"
domains = ["https://id.globex.test", "https://login.globex.test"]

[[apis]]
audience = "https://vault.globex.test"
name = "Globex Vault"
roles = "off"
token = { format = "opaque", lifetime = "1h" }
secret = { env = "BANK_SECRET_2" }
[apis.scopes]
"open:vault" = "Open the vault"

[[clients]]
client_id = "globex-portal"
client_name = "Globex Portal"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://portal.example/callback"]
scopes = ["openid", "open:vault"]
id_token_signed_response_alg = "ES256"
introspects = true
secret = { env = "CLIENT_SECRET_2" }
"""
# A device of each, under one name.
TELEVISION = """
[tenant]
slug = "{slug}"
name = "{slug}"
domains = ["https://id.{slug}.test", "https://login.{slug}.test"]

[[clients]]
client_id = "living-room"
client_name = "Living room"
type = "device"
scopes = ["openid"]
"""
SECRET = ENVIRON["CLIENT_SECRET_2"]


@dataclass(frozen=True)
class Thing:
    """Something of the other tenant's, and its like that does not exist. `names` are the parameters in which it could be shown."""

    what: str
    foreign: str
    unknown: str
    names: tuple[str, ...]


ANY_TOKEN = ("token", "access_token", "refresh_token", "code", "id_token_hint", "client_assertion", "client_secret")
SEALED = ("r", "step", "csrf")


def another(text: str) -> str:
    """A text of the same look that names no row and opens nothing."""
    if text.count(".") == 2 and "~" not in text:
        head, payload, signature = text.split(".")
        raw = unb64(signature) or b""
        return f"{head}.{payload}.{b64(bytes(byte ^ 255 for byte in raw))}"
    prefix, rest = text[:4], unb64(text[4:])
    assert rest is not None, text
    # The first eight bytes are a row's id, where there is one in clear.
    return prefix + b64(rest[:4] + bytes(byte ^ 85 for byte in rest[4:8]) + rest[8:-8] + bytes(byte ^ 255 for byte in rest[-8:]))


async def things_of_globex(node: Node) -> tuple[list[Thing], dict[str, str]]:
    """Fill the other tenant, and return what it has; and the cookies of its user's browser."""
    await node.apply(GLOBEX_ONLY)
    for slug in ("acme", "globex"):
        await node.apply(TELEVISION.format(slug=slug))
    texts, cookies = await _texts(node)
    found = [Thing(what, text, another(text), ANY_TOKEN if what != "sealed" else SEALED) for what, text in texts]
    found += [Thing(what, name, _like(name), names) for what, name, names in await _names(node)]
    waiting, allowed = [await _device(node) for _ in range(2)]
    await _let_in(node, cookies["__Host-gw_session"], allowed["user_code"])
    for what, begun in (("waits", waiting), ("was let in", allowed)):
        found.append(Thing(f"device that {what}", begun["device_code"], another(begun["device_code"]), ("device_code", *ANY_TOKEN)))
    found.append(Thing("user code", waiting["user_code"], "BCDF-GHJK", ("user_code",)))
    return found, cookies


async def _texts(node: Node) -> tuple[list[tuple[str, str]], dict[str, str]]:
    portal = {"redirect_uri": "https://portal.example/callback"}
    cookie = await sign_in(node, host=GLOBEX)
    at_app = await authorized(node, cookie, "budget-buddy", "openid open:vault", host=GLOBEX, more={**portal, "client_id": "globex-portal"})
    unused = await authorized(node, cookie, "budget-buddy", "openid open:vault", host=GLOBEX, more={**portal, "client_id": "globex-portal"})
    texts = [("code", unused["code"]), ("session", cookie)]
    for scope, code in (("vault", at_app["code"]), *[(scope, await _buddy(node, cookie, scope)) for scope in ("create:events", "use:app")]):
        client = "globex-portal" if scope == "vault" else "budget-buddy"
        form = {**exchange(code), **(portal if scope == "vault" else {"redirect_uri": None})}
        got = _reply(await node.post("/token", form, basic(client, SECRET), host=GLOBEX))
        texts += [(f"{kind} of {scope}", got[kind]) for kind in ("access_token", "refresh_token", "id_token")]
    await apps.add_app(node, "globex-reporter", host=GLOBEX, scopes=["open:vault"])
    visitor = Window(node, GLOBEX)
    visitor.cookies["__Host-gw_session"] = cookie
    left, taken = [(await apps.install(visitor, "globex-reporter", "globex-prod"))["code"] for _ in range(2)]
    app = _reply(await apps.exchange(node, taken, "globex-reporter", host=GLOBEX))
    texts += [("code of an app", left), ("token of an app", app["access_token"])]
    window = Window(node, GLOBEX)
    page = await window.open(asking(scope="openid"))
    fields = {one.name: one.value for one in form_of(page).controls}
    texts.append(("sealed", fields["step"]))
    return texts, {**window.cookies, "__Host-gw_session": cookie, "csrf": fields["csrf"]}


async def _device(node: Node) -> dict[str, Any]:
    return _reply(await node.post("/device_authorization", {"client_id": "living-room", "scope": "openid"}, host=GLOBEX))


async def _let_in(node: Node, cookie: str, user_code: str) -> None:
    window = Window(node, GLOBEX)
    window.cookies["__Host-gw_session"] = cookie
    page = await window.submit(await window.open(f"/device?user_code={user_code}"), {"choice": "continue"})
    assert "go back to your device" in (await window.submit(page, {"choice": "allow"})).text


async def _buddy(node: Node, cookie: str, scope: str) -> str:
    return (await authorized(node, cookie, "budget-buddy", f"openid {scope}", host=GLOBEX))["code"]


def _reply(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    return answer.json


async def _names(node: Node) -> list[tuple[str, str, tuple[str, ...]]]:
    store, tenant = node.house.store, await node.tenant(GLOBEX)
    ben, prod = await user(node, "ben@globex.test", GLOBEX), await account_named(store, tenant, "globex-prod")
    portal = await client_named(store, tenant, "globex-portal")
    assert prod is not None
    assert portal is not None
    membership = (await store.all(MEMBERSHIPS_OF, person=ben.id, tenant=tenant))[0]
    numbers = {
        ids.TENANT: tenant,
        ids.USER: ben.id,
        ids.ACCOUNT: prod.id,
        ids.CLIENT: portal.id,
        ids.MEMBERSHIP: membership.id,
        ids.API: (await apis_of(store, tenant))[-1].id,
        ids.SCOPE: (await scopes_of(store, tenant))[-1].id,
        ids.ROLE: (await roles_of(store, tenant))[-1].id,
        ids.GRANT: await _newest(node, "consent_grant", tenant),
        ids.AUTHORIZATION: await _newest(node, "authorization_row", tenant),
        ids.SESSION: await _newest(node, "session", tenant),
        ids.INSTALL: await _newest(node, "install", tenant),
    }
    signing_in = ("client_id", "username", "login_hint", "logout_hint", "scope", "resource", "token")
    everywhere = (*signing_in, "account", "grant", "session", "install", "user")
    shown = [(f"id {prefix}", ids.show(prefix, number), everywhere) for prefix, number in numbers.items()]
    return [
        *shown,
        ("app", "globex-reporter", ("client_id", "account", "token", "step")),
        ("client id", "globex-portal", ("client_id", "account", "token")),
        ("account", "globex-prod", ("account",)),
        ("user", "ben@globex.test", ("login_hint", "account", "client_id")),
        ("audience", "https://vault.globex.test", ("resource", "client_id", "token")),
        ("scope", "open:vault", ("scope",)),
        ("redirect", "https://portal.example/callback", ("redirect_uri", "post_logout_redirect_uri")),
    ]


async def _newest(node: Node, table: str, tenant: int) -> int:
    number = await node.house.store.one(Query(int, f"SELECT MAX(id) FROM {table} WHERE tenant = :tenant"), tenant=tenant)  # noqa: S608 - ours
    assert number is not None
    return number


def _like(name: str) -> str:
    """A name of the same length and look that nobody has."""
    if re.fullmatch(r"[a-z]{2}_[0-9a-z]{13}", name):
        number = ids.read(name[:2], name)
        assert number is not None
        return ids.show(name[:2], number ^ 0x7777777)
    return name.replace("globex", "nobody").replace("vault", "salad").replace("portal", "nobody")
