"""A refusal looked into: each check by itself, what it said then and what it would say now, and what to do (`docs/decisions/0018`).

Nothing is decided here. What was said then stands in the finding; what would be said now is `Standing.fault` and today's one decision.
Whoever looks has a sight: the names of roles and accounts are in it or not, and so is who the user is (`security-rules` 50, 52).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.oauth.catalogue import OPENID_API
from gatewright.oauth.decision import Verdict
from gatewright.oauth.why import DETAILS, roles_with, today

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Standing
    from gatewright.oauth.catalogue import Catalogue, Scope
    from gatewright.oauth.client import Client
    from gatewright.oauth.finding import Finding, Judged


class Sight(Struct, frozen=True, kw_only=True):
    """What of an inquiry somebody may see beside the verdicts."""

    names: bool = False
    """The names of roles, and of the account."""
    person: bool = False
    """Who the user is, and which roles he holds."""
    accounts: frozenset[str] = frozenset()
    """The ids and slugs of further accounts that he may know of."""


class Said(StrEnum):
    """What a check said: yes, no, or nothing, since one before it had said no or since it cannot be asked again."""

    YES = "yes"
    NO = "no"
    NOTHING = "nothing"


class Step(StrEnum):
    """The checks, in the order in which they are made: those of the call, then those of each scope."""

    TOKEN = "token"
    ACCESS = "access"
    CLIENT = "client"
    USER = "user"
    ACCOUNT = "account"
    MEMBERSHIP = "membership"
    ADDRESS = "address"
    PLACE = "place"
    DEFINED = "defined"
    ALLOWED = "allowed"
    ROLE = "role"
    CONSENT = "consent"
    REQUESTED = "requested"


_OF_CALL: Final = (Step.ACCESS, Step.CLIENT, Step.USER, Step.ACCOUNT, Step.MEMBERSHIP, Step.TOKEN, Step.ADDRESS, Step.PLACE)
_OF_SCOPE: Final = (Step.DEFINED, Step.ALLOWED, Step.ROLE, Step.CONSENT, Step.REQUESTED)

_SAYS_NO: Final[Mapping[Verdict, Step]] = {
    Verdict.GRANT_ENDED: Step.ACCESS,
    Verdict.CLIENT_DISABLED: Step.CLIENT,
    Verdict.USER_DISABLED: Step.USER,
    Verdict.ACCOUNT_DISABLED: Step.ACCOUNT,
    Verdict.MEMBERSHIP_ENDED: Step.MEMBERSHIP,
    Verdict.TOKEN_EXPIRED: Step.TOKEN,
    Verdict.TOKEN_REVOKED: Step.TOKEN,
    Verdict.IP_NOT_ALLOWED: Step.ADDRESS,
    Verdict.WRONG_ACCOUNT: Step.PLACE,
    Verdict.RESOURCE_OF_OTHER_ACCOUNT: Step.PLACE,
    Verdict.SCOPE_UNKNOWN: Step.DEFINED,
    Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT: Step.ALLOWED,
    Verdict.ROLE_LACKS_SCOPE: Step.ROLE,
    Verdict.DECLINED_BY_USER: Step.CONSENT,
    Verdict.NOT_CONSENTED: Step.CONSENT,
    Verdict.SCOPE_NOT_REQUESTED: Step.REQUESTED,
    Verdict.BEYOND_GRANT: Step.REQUESTED,
}

ASKS: Final[Mapping[Step, str]] = {
    Step.ACCESS: "Does the access that was given still stand?",
    Step.CLIENT: "Is the app enabled?",
    Step.USER: "Is the user active?",
    Step.ACCOUNT: "Is the account active?",
    Step.MEMBERSHIP: "Does the user belong to the account?",
    Step.TOKEN: "Is the access token good?",
    Step.ADDRESS: "May the app be used from where the call came from?",
    Step.PLACE: "Is the call about the account that the token is for?",
    Step.DEFINED: "Does this API have the scope?",
    Step.ALLOWED: "Is the app allowed the scope?",
    Step.ROLE: "Does a role of the user hold the scope in the account?",
    Step.CONSENT: "Did the user agree to the scope?",
    Step.REQUESTED: "Did the app ask for the scope?",
}
"""Each check as a question; `yes` is what lets a call through."""

FOUND: Final[Mapping[Verdict, str]] = {
    Verdict.GRANT_ENDED: "The access that the app was given has ended.",
    Verdict.CLIENT_DISABLED: "The app is disabled.",
    Verdict.USER_DISABLED: "The user is disabled, or was since the app was given access.",
    Verdict.ACCOUNT_DISABLED: "The account is disabled, or was since the app was given access.",
    Verdict.MEMBERSHIP_ENDED: "The user no longer belongs to the account.",
    Verdict.TOKEN_EXPIRED: "The access token had expired.",
    Verdict.TOKEN_REVOKED: "The access token was revoked.",
    Verdict.IP_NOT_ALLOWED: "The app may not be used from the address that the call came from.",
    Verdict.WRONG_ACCOUNT: "The access token is for another account.",
    Verdict.RESOURCE_OF_OTHER_ACCOUNT: "What the call was about belongs to another account.",
    Verdict.SCOPE_UNKNOWN: "The API asked for a scope that it does not have.",
    Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT: "The app is not allowed the scope that was needed.",
    Verdict.ROLE_LACKS_SCOPE: "The user has no role with the scope that was needed.",
    Verdict.DECLINED_BY_USER: "The user said no to the scope that was needed.",
    Verdict.NOT_CONSENTED: "The scope that was needed is not, or not any more, part of what the app was given.",
    Verdict.SCOPE_NOT_REQUESTED: "The app did not ask for the scope that was needed.",
    Verdict.BEYOND_GRANT: "The scope that was needed is beyond what was granted.",
}
"""What was found, in a sentence for whoever looks."""

CURES: Final[Mapping[Verdict, str]] = {
    Verdict.GRANT_ENDED: "Send the user to the authorization page again.",
    Verdict.CLIENT_DISABLED: "Only whoever manages apps on this platform can enable the app again.",
    Verdict.USER_DISABLED: "Only whoever manages the users of this platform can enable the user; then the app asks again.",
    Verdict.ACCOUNT_DISABLED: "Only whoever manages the accounts of this platform can enable the account; then the app asks again.",
    Verdict.MEMBERSHIP_ENDED: "An account admin can add the user to the account again; then the app asks again.",
    Verdict.TOKEN_EXPIRED: "Get a new access token with the refresh token, or send the user to the authorization page.",
    Verdict.TOKEN_REVOKED: "Get a new access token; if the refresh token is refused too, send the user to the authorization page.",
    Verdict.IP_NOT_ALLOWED: "Call from one of the addresses that are set for the app, or have this one added.",
    Verdict.WRONG_ACCOUNT: "Get a token for the other account: name it in the parameter account of the authorization request.",
    Verdict.RESOURCE_OF_OTHER_ACCOUNT: "Get a token for the other account: name it in the parameter account of the authorization request.",
    Verdict.SCOPE_UNKNOWN: "Check how the API spells the scope. Whoever manages the API can define it.",
    Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT: "Whoever manages apps on this platform can allow it to the app.",
    Verdict.ROLE_LACKS_SCOPE: "An account admin can give the user a role that holds it. A new token alone will not help.",
    Verdict.DECLINED_BY_USER: "The app can ask again with prompt=consent, and should say what it needs the scope for.",
    Verdict.NOT_CONSENTED: "Send the user to the authorization page, with the scope in the request.",
    Verdict.SCOPE_NOT_REQUESTED: "The app has to ask for it: put it into the scope of the authorization request.",
    Verdict.BEYOND_GRANT: "The app has to ask for it in a new authorization request.",
}
"""What to do about each verdict, by whoever can."""

NOW_GOOD: Final = "That would work now: make the call again, with a new access token."


class Check(Struct, frozen=True, kw_only=True):
    """One check: what it said then, what it would say now, and a sentence where something is to be said or done."""

    step: Step
    asks: str
    then: Said
    now: Said
    note: str = ""


class ScopeLook(Struct, frozen=True, kw_only=True):
    """One scope with its checks; `name` is empty where the API has none of the name that it asked about."""

    name: str
    text: str
    then: Verdict
    now: Verdict
    cure: str
    checks: tuple[Check, ...]


class Inquiry(Struct, frozen=True, kw_only=True):
    """A refusal as whoever has the sight may see it. `would_pass` tells that a new token would be enough now."""

    cause: Verdict
    cure: str
    would_pass: bool
    checks: tuple[Check, ...]
    scopes: tuple[ScopeLook, ...]


def inquire(finding: Finding, standing: Standing, client: Client, catalogue: Catalogue, sight: Sight, now: int) -> Inquiry:
    """Return the checks of a refusal one by one; `standing` and `client` are as they are now."""
    scopes = tuple([_scope(judged, standing, client, catalogue, sight) for judged in finding.scopes])
    fault = Verdict.CLIENT_DISABLED if client.disabled else standing.fault(now)
    over = fault if fault is not None else Verdict.TOKEN_EXPIRED if 0 < finding.expires_at <= now else None
    # Where a call came from and what it was about is not asked again.
    once = _SAYS_NO[finding.cause] in (Step.ADDRESS, Step.PLACE)
    good = fault is None and not once
    would_pass = good and all(look.now is Verdict.GRANTED for look in scopes)
    return Inquiry(
        cause=finding.cause,
        cure=NOW_GOOD if would_pass else _cure(finding, scopes, fault),
        would_pass=would_pass,
        checks=tuple([_check(step, finding, standing, over, sight) for step in _steps(finding, standing)]),
        scopes=scopes,
    )


def _cure(finding: Finding, scopes: tuple[ScopeLook, ...], fault: Verdict | None) -> str:
    if fault is not None:
        return CURES[fault]
    refused = next((look for look in scopes if look.now is not Verdict.GRANTED), None)
    once = _SAYS_NO[finding.cause] in (Step.ADDRESS, Step.PLACE)
    return CURES[finding.cause] if refused is None or once else refused.cure


def _steps(finding: Finding, standing: Standing) -> list[Step]:
    """Return the checks that concern such a call."""
    left_out = {
        Step.USER: not standing.person,
        Step.ACCOUNT: not standing.account,
        Step.MEMBERSHIP: not standing.membership,
        Step.ADDRESS: finding.cause is not Verdict.IP_NOT_ALLOWED,
        Step.PLACE: _SAYS_NO[finding.cause] is not Step.PLACE,
    }
    return [step for step in _OF_CALL if not left_out.get(step)]


def _step_of(cause: Verdict, because: str) -> Step:
    # The row says "revoked" of the access of an app that was uninstalled as of one token that was given back.
    return Step.ACCESS if cause is Verdict.TOKEN_REVOKED and because not in ("", "revoked") else _SAYS_NO[cause]


def _check(step: Step, finding: Finding, standing: Standing, over: Verdict | None, sight: Sight) -> Check:
    then, now = _then(step, finding), Said.YES
    if over is not None:
        said_no = _step_of(over, standing.ended_because or standing.grant_ended_because or "")
        now = _in_order(step, said_no, _OF_CALL)
    if step is Step.TOKEN and then is Said.NO:
        now = Said.NO  # A token that was refused once is never good again.
    if step in (Step.ADDRESS, Step.PLACE):
        now = Said.NOTHING
    return Check(step=step, asks=ASKS[step], then=then, now=now, note=_note(step, finding, standing, sight, then))


def _then(step: Step, finding: Finding) -> Said:
    if _SAYS_NO[finding.cause] in _OF_SCOPE:
        return Said.YES
    return _in_order(step, _step_of(finding.cause, finding.because), _OF_CALL)


def _in_order(step: Step, said_no: Step, steps: tuple[Step, ...]) -> Said:
    if said_no not in steps or steps.index(step) < steps.index(said_no):
        return Said.YES
    return Said.NO if step is said_no else Said.NOTHING


def _note(step: Step, finding: Finding, standing: Standing, sight: Sight, then: Said) -> str:
    if step in (Step.ACCESS, Step.TOKEN) and then is Said.NO:
        return DETAILS.get(finding.because, "")
    if step is not Step.PLACE:
        return ""
    mine = standing.account_slug if standing.account else None
    own = "no account" if mine is None else f"the account {mine}" if sight.names else "one account"
    other = f"the account {finding.account}" if finding.account in sight.accounts else "another one"
    return f"The token is for {own}, and the call was about {other}."


def _scope(judged: Judged, standing: Standing, client: Client, catalogue: Catalogue, sight: Sight) -> ScopeLook:
    scope = None if judged.scope is None else catalogue.scopes.get(judged.scope)
    now = Verdict.SCOPE_UNKNOWN if scope is None else today(scope, standing, catalogue, client)
    return ScopeLook(
        name="" if scope is None else scope.name,
        text="" if scope is None else scope.text,
        then=judged.verdict,
        now=now,
        cure="" if now is Verdict.GRANTED else _with_roles(now, scope, client, catalogue, sight),
        checks=tuple(
            [
                _factor(step, judged.verdict, now, scope, standing, catalogue, sight)
                for step in _factors(scope, standing, catalogue, frozenset({judged.verdict, now}))
            ]
        ),
    )


def _with_roles(now: Verdict, scope: Scope | None, client: Client, catalogue: Catalogue, sight: Sight) -> str:
    if now is not Verdict.ROLE_LACKS_SCOPE or scope is None or not sight.names:
        return CURES[now]
    roles = roles_with(scope, catalogue, client)
    if not roles:
        return "No role holds it yet: whoever manages roles can put it into one, and an account admin can give that to the user."
    return f"An account admin can give the user a role that holds it: {', '.join(roles)}. A new token alone will not help."


def _factors(scope: Scope | None, standing: Standing, catalogue: Catalogue, said: frozenset[Verdict]) -> list[Step]:
    """Return the checks that concern such a scope: roles only where a user acts and the API, or the client, asks for them."""
    api = None if scope is None or scope.api == OPENID_API else catalogue.apis.get(scope.api)
    by_role = Verdict.ROLE_LACKS_SCOPE in said or (standing.person and api is not None and api.roles == "required")
    return [step for step in _OF_SCOPE if step is not Step.ROLE or by_role]


def _factor(step: Step, then: Verdict, now: Verdict, scope: Scope | None, standing: Standing, catalogue: Catalogue, sight: Sight) -> Check:
    note = ""
    if step is Step.ROLE and sight.person and scope is not None:
        held = sorted(catalogue.roles[number].name for number in standing.party.roles if number in catalogue.roles)
        note = f"The user's roles now: {', '.join(held)}." if held else "The user holds no role now."
    return Check(step=step, asks=ASKS[step], then=_of_scope(step, then), now=_of_scope(step, now), note=note)


def _of_scope(step: Step, said: Verdict) -> Said:
    if said is Verdict.GRANTED:
        return Said.YES
    said_no = _SAYS_NO[said]
    return _in_order(step, said_no, _OF_SCOPE) if said_no in _OF_SCOPE else Said.NOTHING
