"""Whose a client is, and who may therefore see and replace its secrets (`security-rules` 46)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.accounts import book as accounts

if TYPE_CHECKING:
    from gatewright.accounts.records import MembershipRow
    from gatewright.clients.book import ClientRow
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.store import Store, Tx

READ_SECRETS: Final = "gw:client_secrets:read"
WRITE_SECRETS: Final = "gw:client_secrets:write"


async def may(store: Store | Tx, client: ClientRow, person: int, catalogue: Catalogue, scope: str, *, within: int = 0) -> bool:
    """Tell whether a user may do at a client what a scope is for; `within` is the account that a token speaks for, 0 for none.

    The user who made it may, as long as they are a member of the account that it belongs to, where it belongs to one. So may every
    member of that account to whom a role gives the scope there. A client that belongs to nobody is the operator's alone.
    """
    if not person:
        return False
    if not client.owner_account:
        return client.owner_person == person
    if within not in (0, client.owner_account):
        return False
    membership = await _membership(store, client, person)
    if membership is None:
        return False
    return client.owner_person == person or holds(catalogue, membership.role_ids, scope)


async def _membership(store: Store | Tx, client: ClientRow, person: int) -> MembershipRow | None:
    """Return the user's live membership in the account of the client, if that is active."""
    account = await store.one(accounts.BY_ID, id=client.owner_account, tenant=client.tenant)
    if account is None or account.status != "active":
        return None
    return await store.one(accounts.MEMBERSHIP, person=person, account=client.owner_account, tenant=client.tenant)


def holds(catalogue: Catalogue, roles: frozenset[int], name: str) -> bool:
    """Tell whether one of these roles gives a scope."""
    scope = catalogue.scopes_by_name.get(name)
    given = [catalogue.roles[number].scopes for number in roles if number in catalogue.roles]
    return scope is not None and any(scope.id in catalogue.implied(scopes) for scopes in given)
