"""Why was this refused? What an API's guard asks when it refuses, so that its caller learns more than "no" (`decisions` §2).

Our own address, not RFC 7662's: introspection says nothing of a token that is over. It answers an API alone, of tokens for that
API alone, if they are authentic and ended at most a day ago; everybody else learns that the cause is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from gatewright.oauth.access import Access, Names, NoAccess, Token, names_of, present
from gatewright.oauth.api_auth import authenticate_api
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.authorization import Standing
from gatewright.oauth.catalogue import OPENID_API, Api, ids_of
from gatewright.oauth.decision import Bounds, Verdict, decide
from gatewright.oauth.ports import World

TOLD_FOR: Final = 86400  # seconds after its end for which the cause is told
_MOST: Final = 50  # scopes looked at in one question

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
    """The answer: one cause in one word, a sentence where the word leaves a question, and today's verdict on each scope asked about."""

    cause: str
    detail: str = ""
    because: str = ""
    scopes: dict[str, str] = {}


STRANGER: Final = Why("unknown")


async def why(ask: Ask, world: World) -> Reply:
    """Answer an API that asks why a token, or a scope of it, was refused.

    Raises:
        InvalidClient: the caller is not an API that proved itself.
        InvalidRequest: there is no token in the request.
    """
    api = await authenticate_api(ask, world)
    text = ask.params.need("token")
    found = await present(text, ask.issuer, world, now=ask.at.now, address=ask.params.get("ip_address"))
    if isinstance(found, NoAccess):
        return Reply(_over(found, api, ask.at.now))
    if found.api is None or found.api.id != api.id:
        return Reply(STRANGER)
    asked = tuple(dict.fromkeys((ask.params.get("scope") or "").split()))[:_MOST]
    own = names_of(found.token, found.standing, found.catalogue)
    scopes = {name: verdict(name, api, found, own) for name in asked}
    cause = next((said for said in scopes.values() if said is not Verdict.GRANTED), Verdict.GRANTED)
    return Reply(Why(cause, scopes={name: said.value for name, said in scopes.items()}))


def _over(found: NoAccess, api: Api, now: int) -> Why:
    token, standing = found.token, found.standing
    if found.cause is None or token is None or standing is None or token.api != api.id or not recent(token, standing, now):
        return STRANGER
    return Why(found.cause, DETAILS.get(found.because, ""), found.because)


def recent(token: Token, standing: Standing, now: int) -> bool:
    """Tell whether a token that is over was good less than a day ago, as far as the row and the token say when it ended."""
    ends = (
        token.exp,
        standing.ended_at,
        standing.grant_ended_at,
        standing.grant_expires_at,
        standing.person_disabled_at,
        standing.account_disabled_at,
        standing.membership_ended_at,
        standing.client_disabled_at,
        standing.session_ended_at,
    )
    past = [end for end in ends if end is not None and end <= now]
    # What ended without a date (an epoch, a mark) ended within the token's own life, which is a day at most.
    return now - min(past) <= TOLD_FOR if past else token.exp is not None


def verdict(name: str, api: Api, found: Access, own: Names) -> Verdict:
    """Return today's verdict on one scope of the asking API; those of other APIs are none of its business."""
    standing, catalogue = found.standing, found.catalogue
    scope = catalogue.scopes_by_name.get(name)
    if scope is None or scope.api not in (api.id, OPENID_API):
        return Verdict.SCOPE_UNKNOWN
    # Without the row's ceiling, which would hide behind one word whether the user declined or the app never asked.
    bounds = Bounds(consented=ids_of(standing.granted or ""), declined=ids_of(standing.declined or ""))
    decision = decide((name,), catalogue, found.client, standing.party, bounds)
    said = decision.refused[0][1] if decision.refused else Verdict.GRANTED
    within = scope.id in standing.ceiling and (own is None or scope.id in catalogue.ids_named(own))
    return Verdict.SCOPE_NOT_REQUESTED if said is Verdict.NOT_CONSENTED or (said is Verdict.GRANTED and not within) else said
