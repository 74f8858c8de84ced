"""What the platforms of tests that run whole servers have in common; each test writes the rest of its own."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

ACCOUNTS: Final = {"acme-dev": "Acme (Dev)", "acme-prod": "Acme (Prod)"}


def acme(roles: Mapping[str, Sequence[str]], rest: str, *, who: str = "An organizer", tenant: str = "", user: str = "") -> str:
    """Acme's platform file: the accounts that are named, one user with these roles in them, and the rest.

    `{issuer}` stands for the address of the deployment, whose environment tells the user's PASSWORD. `who` ends with the first part of
    the user's address; `tenant` and `user` are lines for these two.
    """
    accounts = "".join(f'[[accounts]]\nslug = "{slug}"\nname = "{ACCOUNTS[slug]}"\n\n' for slug in roles)
    belongs = ", ".join(f"{{ account = {json.dumps(account)}, roles = {json.dumps(held)} }}" for account, held in roles.items())
    return f"""
[tenant]
slug    = "acme"
name    = "Acme"
domains = ["{{issuer}}"]
{tenant}
{accounts}[[users]]
email       = "{who.rpartition(" ")[2]}@acme.test"
name        = "{who}"
password    = {{ env = "PASSWORD" }}
memberships = [{belongs}]
{user}{rest}"""


def jwks(*keys: Any) -> str:  # noqa: ANN401 - joserfc's, of any kind
    """The public parts of these keys, for a client's `jwks`."""
    each = (", ".join(f"{name} = {json.dumps(value)}" for name, value in key.as_dict(private=False).items()) for key in keys)
    return "{ keys = [" + ", ".join(f"{{ {words} }}" for words in each) + "] }"
