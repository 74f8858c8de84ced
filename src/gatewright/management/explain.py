"""Why does this client get this scope for this user in this account, or not? The one decision, asked ahead of time and put into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from gatewright.accounts import book as accounts
from gatewright.base import ids
from gatewright.base.operation import Operation
from gatewright.clients.registry import to_client
from gatewright.ledger import grants as ledger
from gatewright.management.accounts import OWN_READ as READ_MEMBERS
from gatewright.management.accounts import READ as READ_ACCOUNTS
from gatewright.management.errand import Errand, NotHeld, NotThere
from gatewright.management.names import Known, account_at, client_at, known, user_at
from gatewright.oauth.catalogue import MANAGEMENT_IDS, OPENID_API, Catalogue
from gatewright.oauth.client import Client
from gatewright.oauth.decision import NOBODY, Bounds, Party, Verdict, decide
from gatewright.users import book as users

if TYPE_CHECKING:
    from gatewright.accounts.records import AccountRow, MembershipRow
    from gatewright.ledger.grants import Grant
    from gatewright.users.records import UserRow

READ: Final = "gw:grants:read"
OWN_READ: Final = "gw:access:read"


class Question(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which client, for whom, where, and which scopes; all that the client is allowed where none is named."""

    client: Annotated[str, Meta(description="The client's id.", min_length=1, max_length=200)]
    user: Annotated[str, Meta(description="The user: id or e-mail address. Nobody, for a service of its own.", max_length=300)] = ""
    account: Annotated[str, Meta(description="The account: slug or id.", max_length=100)] = ""
    scope: Annotated[str, Meta(description="Scopes, with spaces between them.", max_length=4096)] = ""


class Reason(Struct, frozen=True, kw_only=True):
    """The verdict on one scope."""

    scope: str
    verdict: str
    factor: Annotated[
        str, Meta(description="What said no: `catalogue`, `client`, `user`, `account`, `membership`, `role` or `consent`.")
    ] = ""
    reason: str
    who: Annotated[str, Meta(description="Who could change it, and how.")] = ""


class Explanation(Struct, frozen=True, kw_only=True):
    """What a request would be given at this moment, and why."""

    client: str
    user: str | None
    account: str | None
    granted: str
    """The scopes that would be granted, as the parameter `scope` has them."""
    grant: Annotated[str | None, Meta(description="The live grant that there is.")]
    asked: Annotated[bool, Meta(description="Whether the user would be asked for consent.")]
    scopes: tuple[Reason, ...]


_FACTORS: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    Verdict.GRANTED: ("", "it would be granted", ""),
    Verdict.SCOPE_UNKNOWN: ("catalogue", "no open API of this tenant defines it", "whoever manages APIs: define it, or enable its API"),
    Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT: (
        "client",
        "the client is not allowed to ask for it",
        "whoever manages clients: add it to the client's scopes",
    ),
    Verdict.ROLE_LACKS_SCOPE: (
        "role",
        "no role that the user holds in this account gives it",
        "whoever manages the account's members: give a role that holds it",
    ),
    Verdict.MEMBERSHIP_ENDED: ("membership", "the user is no member of the account", "whoever manages the account's members: add the user"),
    Verdict.DECLINED_BY_USER: ("consent", "the user said no to it", "the user: the app asks again with prompt=consent"),
    Verdict.NOT_CONSENTED: ("consent", "the user has not given it to this client yet", "the user, when the app asks for it"),
    Verdict.CLIENT_DISABLED: ("client", "the client is disabled", "whoever manages clients: enable it"),
    Verdict.USER_DISABLED: ("user", "the user is disabled", "whoever manages users: enable the user"),
    Verdict.ACCOUNT_DISABLED: ("account", "the account is disabled", "whoever manages accounts: enable it"),
}


async def explain(errand: Errand, where: Question) -> Explanation:
    """Tell what a client would be given for a user in an account, and for each scope who said no and could say yes."""
    names = await known(errand)
    row = await client_at(errand, where.client)
    client, catalogue = to_client(row, []), names.catalogue
    user = await _user(errand, where, client)
    account = await _account(errand, where, client)
    held = await _held(errand, user, account)
    if user is not None and account is not None:
        _may_read_members(errand)
    if user is not None and held is None and errand.caller.account:
        # Or none here, which is the same to whose rights end here.
        raise NotThere(f"there is no user {where.user}" if where.user else f"{client.client_id} acts for no user of this account")
    parties = {"person": 0 if user is None else user.id, "account": 0 if account is None else account.id}
    grant = await errand.source.one(ledger.FIND, tenant=errand.tenant, client=client.id, acting=0, **parties)
    if grant is None and user is not None and user.kind == "service":
        # An app that was handed over to this service user.
        grant = await errand.source.one(ledger.FIND, tenant=errand.tenant, client=client.id, acting=user.id, **parties)
    if grant is not None and grant.over(errand.at.now):
        grant = None
    wanted = tuple(dict.fromkeys(where.scope.split())) or tuple(catalogue.names(client.scopes))
    closed = _closed(client, user, account)
    reasons = [_reason(name, closed, client, user, held, grant, names, catalogue) for name in wanted]
    return Explanation(
        client=client.client_id,
        user=None if user is None else user.email,
        account=None if account is None else account.slug,
        granted=" ".join([one.scope for one in reasons if one.verdict == Verdict.GRANTED]),
        grant=None if grant is None else ids.show(ids.GRANT, grant.id),
        asked=user is not None and user.kind == "person" and any(one.verdict == Verdict.NOT_CONSENTED for one in reasons),
        scopes=tuple(reasons),
    )


async def _user(errand: Errand, where: Question, client: Client) -> UserRow | None:
    if where.user:
        return await user_at(errand, where.user)
    if client.settings.service_user:
        return await errand.source.one(users.BY_ID, id=client.settings.service_user, tenant=errand.tenant)
    return None


async def _account(errand: Errand, where: Question, client: Client) -> AccountRow | None:
    if where.account:
        return await account_at(errand, where.account)
    if client.settings.account:
        return await errand.source.one(accounts.BY_ID, id=client.settings.account, tenant=errand.tenant)
    return None


async def _held(errand: Errand, user: UserRow | None, account: AccountRow | None) -> MembershipRow | None:
    if user is None or account is None:
        return None
    return await errand.source.one(accounts.MEMBERSHIP, person=user.id, account=account.id, tenant=errand.tenant)


def _may_read_members(errand: Errand) -> None:
    held = errand.caller.held
    if held is not None and READ_ACCOUNTS not in held and not (errand.caller.account and READ_MEMBERS in held):
        raise NotHeld(f"to explain what a member may, reading members is needed: {READ_ACCOUNTS}, or {READ_MEMBERS} in the account")


def _closed(client: Client, user: UserRow | None, account: AccountRow | None) -> Verdict | None:
    if client.disabled:
        return Verdict.CLIENT_DISABLED
    if user is not None and user.status != "active":
        return Verdict.USER_DISABLED
    if account is not None and account.status != "active":
        return Verdict.ACCOUNT_DISABLED
    return None


def _reason(
    name: str,
    closed: Verdict | None,
    client: Client,
    user: UserRow | None,
    held: MembershipRow | None,
    grant: Grant | None,
    names: Known,
    catalogue: Catalogue,
) -> Reason:
    party = NOBODY if user is None else Party(user=True, member=held is not None, roles=frozenset() if held is None else held.role_ids)
    scope = catalogue.scopes_by_name.get(name)
    verdict = closed
    if verdict is None and _beyond_roles(client, party):
        verdict = Verdict.ROLE_LACKS_SCOPE
    if verdict is None and user is None and scope is not None and scope.api == OPENID_API:
        return Reason(scope=name, verdict=Verdict.SCOPE_NOT_REQUESTED, factor="user", reason="it needs a user, and none is named", who="")
    if verdict is None:
        person = user is not None and user.kind == "person"
        asks = person and (client.asks_user or (scope is not None and scope.id in MANAGEMENT_IDS))
        consented = (frozenset() if grant is None else grant.scopes) if asks else None
        bounds = Bounds(consented=consented, declined=frozenset() if grant is None else grant.declined_scopes)
        decision = decide((name,), catalogue, client, party, bounds)
        verdict = decision.refused[0][1] if decision.refused else Verdict.GRANTED
    factor, reason, who = _FACTORS[verdict]
    if verdict is Verdict.ROLE_LACKS_SCOPE and scope is not None:
        holding = sorted(role.name for role in catalogue.roles.values() if scope.id in catalogue.implied(role.scopes))
        who += f" ({', '.join(holding)})" if holding else "; no role holds it yet"
    return Reason(scope=name, verdict=verdict, factor=factor, reason=reason, who=who)


def _beyond_roles(client: Client, party: Party) -> bool:
    """Tell whether a client for certain roles meets a user with none of them (`decisions` §2)."""
    return bool(client.settings.roles) and party.user and not party.roles.intersection(client.settings.roles)


OPERATIONS: Final = (
    Operation(
        name="explain", method="GET", path="/explain", scope=READ, delegated=OWN_READ, run=explain, where=Question, gives=Explanation
    ),
)
