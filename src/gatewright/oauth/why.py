"""Why was this refused? What an API's guard asks when it refuses, so that its caller learns more than "no" (`decisions` §2).

Our own address, not RFC 7662's: introspection says nothing of a token that is over. It answers an API alone, of tokens for that
API alone, if they are authentic and ended at most a day ago; everybody else learns that the cause is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

from gatewright.base import ids
from gatewright.oauth.access import Access, Names, NoAccess, Token, names_of, present
from gatewright.oauth.api_auth import authenticate_api
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.authorization import Standing, decided
from gatewright.oauth.catalogue import OPENID_API, Api, Catalogue, Scope
from gatewright.oauth.client import Client
from gatewright.oauth.decision import Verdict
from gatewright.oauth.finding import Finding, Judged, link_of, seal_finding
from gatewright.oauth.ports import World

TOLD_FOR: Final = 86400  # seconds after its end for which the cause is told
_MOST: Final = 50  # scopes looked at in one question
_LONGEST_DETAIL: Final = 500  # characters that a guard hands on

DETAILS: Final[Mapping[str, str]] = {
    "withdrawn": "The user took the access back. Send the user to the authorization page to ask for it again.",
    "uninstalled": "The app was uninstalled.",
    "reinstalled": "The app was installed again: use the token of the new installation.",
    "by_admin": "An administrator ended the access.",
    "replay": "A code or refresh token was used twice, so everything that came of it has ended. Send the user to the authorization page.",
    "expired": "The time for which the access was given is over. Send the user to the authorization page.",
    "revoked": "The app itself gave the token back.",
    "signed_out": "The user signed out, and the access was good until then.",
}
"""What ended an authorization or grant → a sentence for whoever called the API."""


class Why(Struct, frozen=True):
    """The answer: one cause in one word, a sentence where the word leaves a question, and today's verdict on each scope asked about.

    `decision` is the id under which the log has it, `more` the address of the page on which the checks are answered one by one for
    whoever may see them; both are empty where nothing was refused, or the caller is told nothing.
    """

    cause: str
    detail: str = ""
    because: str = ""
    scopes: dict[str, str] = {}
    decision: str = ""
    more: str = ""


STRANGER: Final = Why("unknown")


async def why(ask: Ask, world: World) -> Reply:
    """Answer an API that asks why a token, or a scope of it, was refused. To ask with its own credentials is how an API opts in.

    Raises:
        InvalidClient: the caller is not an API that proved itself.
        InvalidRequest: there is no token in the request.
    """
    api = await authenticate_api(ask, world)
    text = ask.params.need("token")
    found = await present(text, ask.issuer, world, now=ask.at.now, address=ask.params.get("ip_address"))
    asked = tuple(dict.fromkeys((ask.params.get("scope") or "").split()))[:_MOST]
    return Reply(await told(found, api, asked, ask, world))


async def told(found: Access | NoAccess, api: Api, asked: tuple[str, ...], ask: Ask, world: World) -> Why:
    """Return what an API may know of a token that was shown to it, of scopes that it has or lacks, and of the `account` asked about."""
    if isinstance(found, NoAccess):
        return await _over(found, api, ask, world)
    if found.api is None or found.api.id != api.id:
        return STRANGER
    own = names_of(found.token, found.standing, found.catalogue)
    scopes = {name: verdict(name, api, found, own) for name in asked}
    cause = next((said for said in scopes.values() if said is not Verdict.GRANTED), Verdict.GRANTED)
    account = ask.params.get("account") or ""
    if account and not _opens(account, asked, found):
        cause = Verdict.WRONG_ACCOUNT
    if cause is Verdict.GRANTED:
        return Why(cause, scopes=_said(scopes))
    finding = _finding(found.token, found.standing, cause, ask)
    known = found.catalogue.scopes_by_name
    judged = tuple([Judged(known[name].id if name in known else None, said) for name, said in scopes.items()])
    finding = structs.replace(finding, scopes=judged, account=account if cause is Verdict.WRONG_ACCOUNT else "")
    more = _told(finding, found.catalogue, found.client.client_id, ask, world)
    detail = _named(cause, scopes, found) if found.client.settings.party == "first" else ""
    return Why(cause, detail, scopes=_said(scopes), decision=finding.decision, more=more)


async def _over(found: NoAccess, api: Api, ask: Ask, world: World) -> Why:
    token, standing = found.token, found.standing
    if found.cause is None or token is None or standing is None or token.api != api.id or not recent(token, standing, ask.at.now):
        return STRANGER
    finding = structs.replace(_finding(token, standing, found.cause, ask), because=found.because)
    catalogue = await world.directory.catalogue(ask.issuer.tenant)
    client = await world.directory.client_by_row(ask.issuer.tenant, standing.client)
    more = _told(finding, catalogue, "" if client is None else client.client_id, ask, world)
    return Why(found.cause, DETAILS.get(found.because, ""), found.because, decision=finding.decision, more=more)


def _finding(token: Token, standing: Standing, cause: Verdict, ask: Ask) -> Finding:
    return Finding(
        number=ask.at.id(),
        authorization=standing.id,
        api=token.api,
        at=ask.at.now,
        form=token.form,
        issued_at=token.iat or 0,
        expires_at=token.exp or 0,
        cause=cause,
    )


def _told(finding: Finding, catalogue: Catalogue, client: str, ask: Ask, world: World) -> str:
    """Tell the log, and return the address of the page that tells more."""
    world.usage.refused(finding, ask.issuer.tenant, client)
    return link_of(seal_finding(finding, ask.issuer, catalogue, world.sealer, ask.at), ask.issuer)


def _said(scopes: Mapping[str, Verdict]) -> dict[str, str]:
    return {name: said.value for name, said in scopes.items()}


def _opens(account: str, asked: tuple[str, ...], found: Access) -> bool:
    """Tell whether a token opens the account that an API names by its slug or id. Whether there is such an account is not looked at."""
    standing = found.standing
    if standing.account:
        return account in (standing.account_slug, ids.show(ids.ACCOUNT, standing.account))
    held, reach = set(found.scope.split()), set(found.allowed.reach.split())
    return bool(reach) and reach.issuperset(held.intersection(asked))


def _named(cause: Verdict, scopes: Mapping[str, Verdict], found: Access) -> str:
    """Return a sentence with the names of roles and of the token's account, which a first-party client may know (`security-rules` 52)."""
    standing, catalogue = found.standing, found.catalogue
    if cause is Verdict.WRONG_ACCOUNT and standing.account_slug:
        return printed(f"The access token is for the account {standing.account_slug}, and this is in another one.")
    if cause is not Verdict.ROLE_LACKS_SCOPE or not standing.account_slug:
        return ""
    name = next(name for name, said in scopes.items() if said is cause)
    roles = roles_with(catalogue.scopes_by_name[name], catalogue, found.client)
    who = f"An account admin can give one of these: {', '.join(roles)}." if roles else "No role gives it yet."
    return printed(f"The user has no role in the account {standing.account_slug} with the scope {name}. A refresh will not help. {who}")


def printed(text: str) -> str:
    """Return a sentence as the guard hands it on: nothing that does not print, and not too much of it."""
    return "".join([char for char in text if char.isprintable()])[:_LONGEST_DETAIL]


def roles_with(scope: Scope, catalogue: Catalogue, client: Client) -> list[str]:
    """Return the names of the roles that hold a scope for this client."""
    only = client.settings.roles
    holding = [
        role.name for role in catalogue.roles.values() if scope.id in catalogue.implied(role.scopes) and (not only or role.id in only)
    ]
    return sorted(holding)


def recent(token: Token, standing: Standing, now: int) -> bool:
    """Tell whether a token that is over was good less than a day ago, as far as the row and the token say when it ended."""
    session: tuple[int | None, ...] = (standing.session_ended_at, standing.session_until) if standing.session_bound else ()
    ends = (
        token.exp,
        standing.ended_at,
        standing.grant_ended_at,
        standing.grant_expires_at,
        standing.person_disabled_at,
        standing.account_disabled_at,
        standing.membership_ended_at,
        standing.client_disabled_at,
        *session,
    )
    past = [end for end in ends if end is not None and end <= now]
    if past:
        return now - min(past) <= TOLD_FOR
    # It stands, and is refused for something else; or what ended without a date (an epoch, a mark) ended within the token's own life,
    # which is a day at most.
    return token.exp is not None or standing.fault(now) is None


def verdict(name: str, api: Api, found: Access, own: Names) -> Verdict:
    """Return today's verdict on one scope of the asking API; those of other APIs are none of its business."""
    scope = found.catalogue.scopes_by_name.get(name)
    if scope is None or scope.api not in (api.id, OPENID_API):
        return Verdict.SCOPE_UNKNOWN
    said = today(scope, found.standing, found.catalogue, found.client)
    narrowed = own is not None and scope.id not in found.catalogue.ids_named(own)
    return Verdict.SCOPE_NOT_REQUESTED if said is Verdict.GRANTED and narrowed else said


def today(scope: Scope, standing: Standing, catalogue: Catalogue, client: Client) -> Verdict:
    """Return today's decision on one scope for a new token of an authorization."""
    # Without the row's ceiling, which would hide behind one word whether the user declined or the app never asked.
    basis = (standing.person != 0, standing.membership_roles, str(scope.id), standing.granted, standing.declined)
    decision = decided((scope.name,), catalogue, client, basis)
    said = decision.refused[0][1] if decision.refused else Verdict.GRANTED
    # What is in the ceiling was given once, so without consent it was taken away since.
    never = said in (Verdict.NOT_CONSENTED, Verdict.GRANTED) and scope.id not in standing.ceiling
    return Verdict.SCOPE_NOT_REQUESTED if never else said
