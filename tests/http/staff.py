"""People who manage a platform, each with one scope of management, and what they find at the console."""

from __future__ import annotations

from typing import Final

from gatewright.base import ids
from gatewright.oauth.catalogue import MANAGEMENT_SCOPES
from gatewright.web.pages import CONSOLE
from tests.http.window import Window
from tests.support.approving import authorized, sign_in
from tests.support.house import ACME, GLOBEX, Node

START: Final = "/-/console"
TENANT_WIDE: Final = tuple([scope.name for scope in MANAGEMENT_SCOPES if scope.reach == "tenant"])
OF_ACCOUNTS: Final = tuple([scope.name for scope in MANAGEMENT_SCOPES if scope.reach != "tenant"])


def email_of(name: str, slug: str = "acme") -> str:
    """The e-mail address of whoever holds this."""
    return f"{name.replace(':', '.').replace(' ', '.')}@{slug}.test"


def staff(slug: str = "acme", domains: str = '["https://id.acme.test", "https://login.acme.test"]') -> str:
    """What is added to a platform: for each scope a role and a user with it, one with all and one with all but each."""
    roles = {name: (name,) for name in (*TENANT_WIDE, *OF_ACCOUNTS)} | {"everything": TENANT_WIDE}
    roles |= {f"not {name}": tuple([one for one in TENANT_WIDE if one != name]) for name in TENANT_WIDE}
    text = f'[tenant]\nslug = "{slug}"\nname = "{slug.title()}"\ndomains = {domains}\npaths = ["standard", "o", "oauth"]\n'
    for name, scopes in roles.items():
        listed = ", ".join(f'"{scope}"' for scope in scopes)
        text += f'[[roles]]\nname = "{name}"\nscopes = [{listed}]\n[[users]]\nemail = "{email_of(name, slug)}"\n'
        text += 'password = { env = "ANN_PASSWORD" }\n' if name == "everything" else ""
        text += f'memberships = [{{ account = "{slug}-dev", roles = ["{name}"] }}]\n'
    return text


async def at_console(node: Node, name: str = "everything", host: str = ACME, slug: str = "acme") -> Window:
    """A browser in which somebody of the staff is signed in."""
    return await signed_in(node, email_of(name, slug), host)


async def signed_in(node: Node, email: str, host: str = ACME) -> Window:
    """A browser in which a user is signed in."""
    window = Window(node, host)
    window.cookies["__Host-gw_session"] = await sign_in(node, email, host)
    return window


async def api_id(node: Node, audience: str, host: str = ACME) -> str:
    """The id of an API."""
    query = "SELECT id FROM api WHERE tenant = :tenant AND audience = :audience"
    number = await node.number(query, tenant=await node.tenant(host), audience=audience)
    assert number is not None
    return ids.show(ids.API, number)


async def a_grant(
    node: Node, scope: str = "openid read:balance", host: str = ACME, *, email: str = "ann@acme.test", account: str = "acme-dev"
) -> tuple[str, str]:
    """A user gives an app access; return the grant's id and the code that the app gets."""
    cookie = await sign_in(node, email, host)
    code = (await authorized(node, cookie, "budget-buddy", scope, host=host, account=account, more={"account": account}))["code"]
    number = await node.number("SELECT MAX(id) FROM consent_grant WHERE tenant = :tenant", tenant=await node.tenant(host))
    assert number is not None
    return ids.show(ids.GRANT, number), code


async def addresses(node: Node) -> dict[str, str]:
    """An address of every page that there is, by the pattern of its row."""
    bank, (grant, _) = await api_id(node, "https://bank.acme.test"), await a_grant(node)
    named = {"/-/console/apis": bank, "/-/console/clients": "budget-buddy", "/-/console/access": grant}
    found = {row.pattern.pattern: _filled(row.room, row.tail, named.get(row.room, "")) for row in CONSOLE}
    assert all(row.pattern.fullmatch(found[row.pattern.pattern]) for row in CONSOLE)
    return found


def _filled(room: str, tail: str, name: str) -> str:
    return room if not tail else f"{room}/{name}" + tail.rpartition(")")[2]


__all__ = ["GLOBEX", "START", "TENANT_WIDE", "a_grant", "addresses", "api_id", "at_console", "email_of", "signed_in", "staff"]
