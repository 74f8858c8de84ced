"""A user's way through an authorization request without its pages: the core is asked what comes next, and the user does it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from gatewright.audit.deed import Deed
from gatewright.oauth import authorize, pkce
from gatewright.oauth.answer import Sent, refuse
from gatewright.oauth.ask import Ask, Params
from gatewright.oauth.catalogue import OPENID_SCOPES
from gatewright.oauth.checks import Refused
from gatewright.oauth.claims import ACR_PASSWORD
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.next_step import AskConsent, ChooseAccount, ContinueAs, Pending, Situation
from gatewright.oauth.request import Progress
from gatewright.signin.sessions import NewSession, begin
from gatewright.users.book import user_by_email
from gatewright.users.records import UserRow
from gatewright.users.rules import email_key
from tests.support.house import ACME, PEER, Node

Consents = list[tuple[frozenset[str], frozenset[str]]]
OPENID_NAMES = frozenset(scope.name for scope in OPENID_SCOPES)
VERIFIER = "v" * 43
REDIRECTS: Final = MappingProxyType(
    {
        "budget-buddy": "https://budget.example/callback",
        "events-web": "https://events.example/callback?from=acme",
        "browser-app": "https://spa.example/callback",
        "phone-app": "http://127.0.0.1:43210/callback",
        "old-library": "https://old.example/one",
        "office-only": "https://office.example/callback",
    }
)


def redirect_of(client_id: str) -> str:
    """Where a client of these tests is sent back to, whether of the example platform or of a test's own."""
    return REDIRECTS.get(client_id, f"https://{client_id}.example/callback")


async def issuer_of(node: Node, host: str = ACME) -> Issuer:
    """The issuer that answers at a host."""
    found = await node.house.sites.find(host.encode())
    assert found is not None
    return found


async def user(node: Node, email: str, host: str = ACME) -> UserRow:
    """A user as stored."""
    found = await user_by_email(node.house.store, await node.tenant(host), email_key(email))
    assert found is not None
    return found


async def sign_in(node: Node, email: str = "ann@acme.test", host: str = ACME) -> str:
    """Sign a user in as the password page does once the password is right; return the session's cookie."""
    person = await user(node, email, host)
    new = NewSession(
        issuer=await issuer_of(node, host),
        person=person.id,
        person_epoch=person.epoch,
        acr=ACR_PASSWORD,
        amr="pwd",
        agent="A browser",
        address=PEER,
        lasting=False,
    )

    async def started(deed: Deed) -> str:
        return (await begin(deed.tx, deed.at, new, None)).cookie

    return await node.manage(person.tenant, started)


async def authorized(
    node: Node,
    cookie: str,
    client_id: str,
    scope: str,
    *,
    account: str = "acme-dev",
    untick: Collection[str] = (),
    host: str = ACME,
    said: Consents | None = None,
    more: Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    """Let a user answer an authorization request, saying yes to all but what is unticked; return what the app is told.

    `said` is where the user writes down what was asked, and what of it was allowed; `more` are parameters of the request.
    """
    issuer, front = await issuer_of(node, host), node.house.front
    at = node.house.clock.moment()
    sent: dict[str, str | None] = {
        "client_id": client_id,
        "redirect_uri": redirect_of(client_id),
        "response_type": "code",
        "scope": scope,
        "state": "a state",
        "code_challenge": pkce.challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **(more or {}),
    }
    pairs = [(name, value) for name, value in sent.items() if value is not None]
    try:
        request = await authorize.accept(Ask(Params.of(pairs), issuer, at), front)
    except Refused as refused:
        return told(refuse(refused.error, refused.back, issuer))
    progress = Progress()
    for _ in range(5):
        situation = await authorize.look(request, progress, cookie, issuer, front, at)
        outcome = await authorize.advance(situation, issuer, front, at)
        if isinstance(outcome, Sent):
            return told(outcome)
        done = await _done(node, situation, outcome, account, untick, [] if said is None else said)
        if done is None:
            return told(authorize.deny(request, issuer))
        progress = done
    raise AssertionError("no end in sight")


async def _done(node: Node, situation: Situation, step: Pending, account: str, untick: Collection[str], said: Consents) -> Progress | None:
    """What the user has done once this step is done as well; None is a no."""
    assert situation.visitor is not None, "nobody is signed in"
    front, at = node.house.front, node.house.clock.moment()
    done = replace(situation.done, session=situation.visitor.session)
    match step:
        case ChooseAccount():
            seats = await front.consents.all_seats(situation.client.tenant, situation.visitor.person)
            return replace(done, account=next(seat.account for seat in seats if seat.slug == account))
        case ContinueAs():
            return replace(done, continued=True)
        case AskConsent():
            asked = frozenset(situation.catalogue.names(step.asked))
            # What is of OpenID Connect is asked as a whole and cannot be unticked.
            ticked = asked - (set(untick) - set(OPENID_NAMES))
            if not await authorize.allow(situation, step, ticked, front, at):
                return None
            said.append((asked, ticked))
            return replace(done, consented=True)
        case _:
            raise AssertionError(f"{situation.client.client_id} would have to wait for {step}")


def told(sent: Sent) -> dict[str, str]:
    """What an answer tells the app."""
    if sent.form is not None:
        return dict(sent.form)
    return dict(parse_qsl(urlsplit(sent.target).query, keep_blank_values=True))
