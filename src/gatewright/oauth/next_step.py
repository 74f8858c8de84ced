"""What must the user do next? One pure function; every rule of prompt, max_age, acr, hints, account and consent is in this file.

It is asked again after each page, so no page knows another and none can be skipped.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gatewright.base import ids
from gatewright.oauth.catalogue import MANAGEMENT_API, OPENID_API, Catalogue
from gatewright.oauth.claims import ACR_PASSWORD
from gatewright.oauth.client import Client
from gatewright.oauth.decision import UNBOUND, Bounds, Decision, Party, decide, printable, refusal, with_implied
from gatewright.oauth.errors import (
    AccessDenied,
    AccountSelectionRequired,
    ConsentRequired,
    InteractionRequired,
    LoginRequired,
    OAuthError,
    UnmetAuthenticationRequirements,
)
from gatewright.oauth.redirect_uri import is_claimed, is_out_of_band
from gatewright.oauth.request import AuthorizationRequest, Progress
from gatewright.oauth.visit import Given, Seat, Seats, Visitor

REACHABLE: Final = (ACR_PASSWORD,)  # the authentication contexts that a sign-in here can reach, weakest first


class SignIn(Struct, frozen=True):
    """Somebody must sign in; `again` asks the one who already is, whose name is then `username`."""

    username: str = ""
    again: bool = False


class ChooseAccount(Struct, frozen=True):
    """One of several accounts must be chosen; `last` is the one that was chosen before."""

    last: int = 0


class ContinueAs(Struct, frozen=True):
    """The user must say that they want this, since the client cannot prove who it is (`security-rules` 32)."""

    seat: Seat | None


class AskConsent(Struct, frozen=True):
    """The user must say yes or no. `asked` is what is asked for, `possible` that and what it implies, `held` what was allowed before,
    `lacking` what the client asked for and this user's roles do not give, `required` what an app cannot do without.
    """

    seat: Seat | None
    asked: frozenset[int]
    possible: frozenset[int]
    held: frozenset[int] = frozenset()
    lacking: frozenset[int] = frozenset()
    required: frozenset[int] = frozenset()


class Answer(Struct, frozen=True):
    """Nothing is left to do: these scopes, there. `give` are those to be added to the grant first."""

    seat: Seat | None
    given: Given | None
    granted: frozenset[int]
    identity: frozenset[int]
    """The scopes whose claims may be told, beside those granted: the owners of claims that were asked for by name."""
    give: frozenset[int] = frozenset()


class Refuse(Struct, frozen=True):
    """The client is told no."""

    error: OAuthError


Pending = SignIn | ChooseAccount | ContinueAs | AskConsent
Step = Pending | Answer | Refuse


class Situation(Struct, frozen=True, kw_only=True):
    """Everything that the next step depends on, as it was read just now."""

    request: AuthorizationRequest
    progress: Progress
    client: Client
    catalogue: Catalogue
    visitor: Visitor | None = None
    seats: Seats = Seats()

    @property
    def silent(self) -> bool:
        """Whether no page may be shown (OpenID Connect Core §3.1.2.1, prompt=none)."""
        return "none" in self.request.prompts

    @property
    def done(self) -> Progress:
        """What the user did, as far as it was in the present session."""
        here = self.visitor is not None and self.progress.session == self.visitor.session
        return self.progress if here else Progress(refused=self.progress.refused)

    @property
    def trusted(self) -> bool:
        """Whether the user need not be asked for consent. For scopes of management everybody is (`security-rules` 36)."""
        if self.client.asks_user or "consent" in self.request.prompts or self.each_time:
            return False
        known = self.catalogue.scopes_by_name
        return not any(name in known and known[name].api == MANAGEMENT_API for name in self.request.scopes)

    @property
    def by_hand(self) -> bool:
        """Whether the user is shown the code, who then is asked each time and whoever the client is (`security-rules` 45)."""
        return is_out_of_band(self.request.back.redirect_uri)

    @property
    def each_time(self) -> bool:
        """Whether the user is asked each time: who carries a code, or lets in a device that may be anybody's (`security-rules` 32, 45)."""
        return self.by_hand or self.request.device is not None


def next_step(situation: Situation) -> Step:
    """Return what must happen next; asked again after each page."""
    visitor = situation.visitor
    step = _who(situation)
    if step is not None or visitor is None:
        return step or SignIn()
    step = _where(situation)
    if step is not None:
        return step
    seat = situation.seats.seat if needs_account(situation.request, situation.client, situation.catalogue) else None
    return _what(situation, seat)


def needs_account(request: AuthorizationRequest, client: Client, catalogue: Catalogue) -> bool:
    """Tell whether the request is for something in an account."""
    return bool(request.account) or takes_place_in_one(request.scopes, client, catalogue)


def takes_place_in_one(names: tuple[str, ...], client: Client, catalogue: Catalogue) -> bool:
    """Tell whether an account is needed for these scopes: one is of an API, or the client is tied to an account or to roles, or an app."""
    if client.settings.account or client.settings.roles or client.is_app:
        return True
    known = catalogue.scopes_by_name
    scopes = [known[name] for name in names if name in known]
    return any(scope.api != OPENID_API and scope.id in client.scopes for scope in scopes)


# ---------------------------------------------------------------- who


def _who(situation: Situation) -> Step | None:
    """Return what is missing for somebody to be signed in as this request wants it, or None."""
    request, visitor, done = situation.request, situation.visitor, situation.done
    fault = _unreachable(request) or _contradiction(request)
    if fault is not None:
        return Refuse(fault)
    if visitor is None or done.refused == visitor.session:
        return _or_refuse(situation, SignIn(request.login_hint), LoginRequired("nobody is signed in"))
    if not _fresh(request, visitor, done):
        return _or_refuse(situation, SignIn(visitor.email, again=True), LoginRequired("the user must sign in again"))
    if wanted_person(request) not in (0, visitor.person):
        return Refuse(LoginRequired("another user is signed in than the one the request names"))
    return None


def _or_refuse(situation: Situation, step: Step, error: OAuthError) -> Step:
    return Refuse(error) if situation.silent else step


def _fresh(request: AuthorizationRequest, visitor: Visitor, done: Progress) -> bool:
    """Tell whether the sign-in is young and strong enough for this request (OpenID Connect Core §3.1.2.1).

    All is measured at the moment of the request: a user who takes their time over the consent page is not asked again for that.
    """
    since = done.signed_in or visitor.auth_time > request.asked_at
    if "login" in request.prompts and not since:
        return False
    age = request.asked_at - visitor.auth_time
    if request.max_age is not None and not since and (age > request.max_age or request.max_age == 0):
        return False
    wanted = request.claims.acr
    return wanted is None or not wanted.essential or not wanted.texts or visitor.acr in wanted.texts


def _unreachable(request: AuthorizationRequest) -> OAuthError | None:
    """Return the refusal of an essential acr that no sign-in here reaches (OpenID Connect Core §5.5.1.1); acr_values is a wish."""
    wanted = request.claims.acr
    if wanted is None or not wanted.essential or not wanted.texts or any(acr in REACHABLE for acr in wanted.texts):
        return None
    return UnmetAuthenticationRequirements("no sign-in here reaches the acr that was named essential")


def _contradiction(request: AuthorizationRequest) -> OAuthError | None:
    named = request.claims.subject
    if named is None:
        return None
    person = ids.read(ids.USER, named)
    if person is None or request.hint not in (0, person):
        return LoginRequired("the request names a user that cannot be signed in")
    return None


def wanted_person(request: AuthorizationRequest) -> int:
    """Return the one user that the answer may be about, 0 where any will do (OpenID Connect Core §3.1.2.1, §5.5.1)."""
    named = request.claims.subject
    return request.hint or (0 if named is None else ids.read(ids.USER, named) or 0)


# ---------------------------------------------------------------- where


def _where(situation: Situation) -> Step | None:
    """Return what is missing for an account to be certain, or None."""
    request, done, seats = situation.request, situation.done, situation.seats
    if not needs_account(request, situation.client, situation.catalogue):
        return None
    seat = seats.seat
    if request.account or situation.client.settings.account:
        # An account that this user is no member of answers like one that does not exist.
        return None if seat is not None and _is_named(seat, request) else Refuse(AccessDenied("the account is none of this user's"))
    if seats.total == 0 and situation.client.is_app:
        return Refuse(AccessDenied("the user is a member of no account, and an app is installed in one"))
    if seats.total == 0 or (seat is not None and (seats.total == 1 or done.account == seat.account)):
        return None
    last = seat.account if seat is not None and seat.chosen_at is not None else 0
    if last and situation.client.settings.party == "first" and "select_account" not in request.prompts:
        return None
    return _or_refuse(situation, ChooseAccount(last), AccountSelectionRequired("the user has several accounts: name one in 'account'"))


def _is_named(seat: Seat, request: AuthorizationRequest) -> bool:
    return request.account in ("", seat.slug, ids.show(ids.ACCOUNT, seat.account))


# ---------------------------------------------------------------- what


def _what(situation: Situation, seat: Seat | None) -> Step:
    """Return the last steps: consent, a word from the user where the client proves nothing, the answer."""
    client = situation.client
    party = Party(user=True) if seat is None else seat.party
    if client.settings.roles and not party.roles.intersection(client.settings.roles):
        return Refuse(AccessDenied("the user has none of the roles that this client is for"))
    possible = _decision(situation, party)
    missing = client.required - possible.ids
    if missing:
        named = ", ".join(situation.catalogue.names(missing))
        return Refuse(AccessDenied(f"the user's roles in this account do not give what the app requires: {printable(named)}"))
    error = refusal(possible, client, situation.request.scopes)
    if error is not None:
        return Refuse(error)
    identity = situation.request.claims.owners & client.scopes
    given = situation.seats.given if seat is None else seat.given
    if situation.trusted:
        return _trusting(situation, seat, party, possible, identity)
    wanted = asked_ids(situation, possible) | identity
    yes, no = (frozenset[int](), frozenset[int]()) if given is None else (given.granted, given.declined)
    ask = AskConsent(seat, wanted, possible.ids | identity, wanted & yes, _lacking(situation, possible), wanted & client.required)
    if ("consent" in situation.request.prompts or situation.each_time) and not situation.done.consented:
        return _or_refuse(situation, ask, ConsentRequired("the user is asked each time"))
    if client.is_app and not situation.done.consented:
        # Each answer is an installation, whose token takes the place of the one before.
        return _or_refuse(situation, ask, ConsentRequired("the user must say yes to each installation of an app"))
    # Where it is all or nothing, an earlier no to a part of it was an answer to another question.
    undecided = wanted - yes if client.all_or_nothing else wanted - yes - no
    if (undecided or not wanted & yes) and not situation.done.consented:
        return _or_refuse(situation, ask, ConsentRequired("the user has not yet said yes to everything that is asked for"))
    decision = _decision(situation, party, Bounds(consented=yes, declined=no))
    error = refusal(decision, client, situation.request.scopes)
    if error is not None:
        return Refuse(error)
    return _proved(situation, Answer(seat, given, decision.ids, identity & yes))


def _trusting(situation: Situation, seat: Seat | None, party: Party, possible: Decision, identity: frozenset[int]) -> Step:
    """Return the steps of a client whose user is not asked. What the user once said no to, when asked, stays refused."""
    given = situation.seats.given if seat is None else seat.given
    held, refused = (frozenset[int](), frozenset[int]()) if given is None else (given.granted, given.declined)
    decision = possible
    if refused:
        decision = _decision(situation, party, Bounds(consented=possible.ids - refused, declined=refused))
        error = refusal(decision, situation.client, situation.request.scopes)
        if error is not None:
            return Refuse(error)
    told = identity - refused
    return _proved(situation, Answer(seat, given, decision.ids, told, (decision.ids | told) - held))


def _proved(situation: Situation, answer: Answer) -> Step:
    """Return the answer, or first a page: nobody gets one in silence who cannot prove to be the client (`security-rules` 32)."""
    done = situation.done
    proves = not situation.client.public or is_claimed(situation.request.back.redirect_uri)
    if (proves and "select_account" not in situation.request.prompts) or done.continued or done.consented or done.account:
        return answer
    return _or_refuse(situation, ContinueAs(answer.seat), InteractionRequired("the user must confirm that they want this"))


def _decision(situation: Situation, party: Party, bounds: Bounds = UNBOUND) -> Decision:
    """Return today's decision on what was asked and what that implies, which is settled now (`security-rules` 34)."""
    catalogue, client = situation.catalogue, situation.client
    return decide(with_implied(situation.request.scopes, catalogue, client), catalogue, client, party, bounds)


def asked_ids(situation: Situation, decision: Decision) -> frozenset[int]:
    """Return those granted scopes that the request names itself; what they imply comes along with them."""
    return decision.ids & situation.catalogue.ids_named(situation.request.scopes)


def _lacking(situation: Situation, decision: Decision) -> frozenset[int]:
    """Return the scopes that the client may ask for and this user cannot give."""
    known = situation.catalogue.scopes_by_name
    asked = frozenset(situation.request.scopes)
    told = [known[name].id for name, _ in decision.refused if name in asked and name in known]
    return frozenset([number for number in told if number in situation.client.scopes])
