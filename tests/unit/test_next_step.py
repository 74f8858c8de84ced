"""What the user must do next: every rule of prompt, max_age, acr, hints, account and consent, as tables."""

from typing import Any

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.catalogue import EMAIL, OFFLINE_ACCESS, OPENID, PROFILE, Catalogue, Role
from gatewright.oauth.claims import ACR_PASSWORD
from gatewright.oauth.client import Client, ClientSettings
from gatewright.oauth.next_step import (
    Answer,
    AskConsent,
    ChooseAccount,
    ContinueAs,
    Refuse,
    SignIn,
    Situation,
    Step,
    needs_account,
    next_step,
)
from gatewright.oauth.redirect_uri import RedirectUri
from gatewright.oauth.request import AuthorizationRequest, Progress, ReturnTo
from gatewright.oauth.visit import Given, Seat, Seats, Visitor
from tests.support import builders as b
from tests.support.clock import NOON

OTHER_PERSON = 5002
NOTHING = Progress()
READ, SEND, CREATE, VIEW = b.READ_BALANCE.id, b.TRANSFER.id, b.CREATE_EVENTS.id, b.VIEW_EVENTS.id
BOTH = ("openid", "read:balance")
LOCAL = "http://127.0.0.1:5000/callback"


def a_visitor(*, session: int = b.SESSION, person: int = b.PERSON, signed_in: int = NOON - 60, acr: str = ACR_PASSWORD) -> Visitor:
    return Visitor(session, person, 0, "organizer@acme.test", "An organizer", signed_in, acr, "pwd", "digest")


def a_seat(
    number: int = b.ACCOUNT, *, given: Given | None = None, roles: tuple[int, ...] = (b.ORGANIZER.id,), chosen: int | None = None
) -> Seat:
    return Seat(b.MEMBERSHIP, number, 0, "acme-dev", "Acme (Dev)", frozenset(roles), chosen, given)


def given(*granted: int, declined: tuple[int, ...] = ()) -> Given:
    return Given(b.GRANT, frozenset(granted), frozenset(declined))


def a_request(scopes: tuple[str, ...] = BOTH, *, uri: str = "https://budget.example/callback", **changed: object) -> AuthorizationRequest:
    made = AuthorizationRequest(client_id="budget-buddy", back=ReturnTo(RedirectUri(uri)), scopes=scopes, asked_at=NOON)
    return msgspec.structs.replace(made, **changed)


def step(
    request: AuthorizationRequest | None = None,
    *,
    client: Client | None = None,
    visitor: Visitor | None = None,
    nobody: bool = False,
    seats: Seats | None = None,
    catalogue: Catalogue = b.CATALOGUE,
    done: Progress = NOTHING,
) -> Step:
    """The next step of an ordinary situation: somebody is signed in, has one account and consented, except for what is named."""
    return next_step(
        Situation(
            request=request or a_request(),
            progress=done,
            client=client or b.a_client(),
            catalogue=catalogue,
            visitor=None if nobody else visitor or a_visitor(),
            seats=seats or Seats(a_seat(given=given(OPENID, READ)), 1),
        )
    )


def did(**what: object) -> Progress:
    """What was done, in the ordinary session unless another is named."""
    return msgspec.convert({"session": b.SESSION} | what, Progress)


def code(found: Step) -> str:
    assert isinstance(found, Refuse)
    return found.error.code


def asking(
    *,
    prompt: str = "",
    essential_acr: str = "",
    subject: str = "",
    scopes: tuple[str, ...] = BOTH,
    uri: str = "https://budget.example/callback",
    **changed: object,
) -> AuthorizationRequest:
    claims: dict[str, object] = {}
    if essential_acr:
        claims["acr"] = {"essential": True, "values": essential_acr.split()}
    if subject:
        claims["sub"] = {"value": subject}
    text = msgspec.json.encode({"id_token": claims}).decode() if claims else ""
    return msgspec.structs.replace(a_request(scopes, uri=uri), prompts=frozenset(prompt.split()), claims_text=text, **changed)


US = ids.show(ids.USER, b.PERSON)
THEM = ids.show(ids.USER, OTHER_PERSON)


# ---------------------------------------------------------------- who


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (asking(), SignIn()),
        (asking(prompt="login"), SignIn()),
        (asking(prompt="consent"), SignIn()),
        (asking(prompt="select_account"), SignIn()),
        (asking(login_hint="a@acme.test"), SignIn("a@acme.test")),
        (asking(max_age=0), SignIn()),
        (asking(hint=b.PERSON), SignIn()),
        (asking(subject=US), SignIn()),
    ],
)
def test_nobody_goes_on_without_signing_in(request_: AuthorizationRequest, expected: SignIn) -> None:
    assert step(request_, nobody=True) == expected


@pytest.mark.proves("OpenID Connect Core", "3.1.2.6")
@pytest.mark.parametrize(
    "request_",
    [asking(prompt="none"), asking(prompt="none", max_age=10_000), asking(prompt="none", hint=b.PERSON), asking(prompt="none", subject=US)],
)
def test_in_silence_nobody_signed_in_is_an_error(request_: AuthorizationRequest) -> None:
    assert code(step(request_, nobody=True)) == "login_required"


@pytest.mark.proves("OpenID Connect Core", "3.1.2.1")
@pytest.mark.parametrize(
    ("request_", "signed_in", "again"),
    [
        (asking(prompt="login"), NOON - 1, True),
        (asking(prompt="login"), NOON, True),  # in the same second, yet for something else
        (asking(prompt="login"), NOON + 1, False),
        (asking(prompt="login consent"), NOON - 1, True),
        (asking(max_age=60), NOON - 61, True),
        (asking(max_age=60), NOON - 60, False),
        (asking(max_age=60), NOON - 59, False),
        (asking(max_age=1), NOON + 30, False),
        (asking(max_age=0), NOON - 1, True),
        (asking(max_age=0), NOON, True),
        (asking(max_age=0), NOON + 1, False),
        (asking(), NOON - 10**6, False),
    ],
)
def test_a_sign_in_must_be_as_young_as_the_request_says(request_: AuthorizationRequest, signed_in: int, again: bool) -> None:
    found = step(request_, visitor=a_visitor(signed_in=signed_in))
    assert (found == SignIn("organizer@acme.test", again=True)) is again


@pytest.mark.parametrize("request_", [asking(prompt="login"), asking(max_age=0), asking(prompt="login", max_age=5)])
def test_a_sign_in_for_this_request_satisfies_it_even_within_the_same_second(request_: AuthorizationRequest) -> None:
    assert isinstance(step(request_, visitor=a_visitor(signed_in=NOON), done=did(signed_in=True)), Answer)


def test_what_was_done_in_another_session_does_not_count() -> None:
    done = did(session=b.SESSION + 1, signed_in=True, continued=True, consented=True, account=b.ACCOUNT)
    assert isinstance(step(asking(prompt="login"), done=done), SignIn)
    assert isinstance(step(asking(prompt="consent"), done=done), AskConsent)
    assert isinstance(step(asking(prompt="select_account"), done=done), ContinueAs)


@pytest.mark.parametrize(("max_age", "signed_in"), [(60, NOON - 61), (0, NOON - 1)])
def test_in_silence_a_sign_in_too_old_is_an_error(max_age: int, signed_in: int) -> None:
    assert code(step(asking(prompt="none", max_age=max_age), visitor=a_visitor(signed_in=signed_in))) == "login_required"


@pytest.mark.proves("OpenID Connect Core", "5.5.1.1")
@pytest.mark.parametrize("nobody", [True, False])
def test_an_essential_acr_that_no_sign_in_reaches_is_refused_at_once(nobody: bool) -> None:
    assert code(step(asking(essential_acr="phr phrh"), nobody=nobody)) == "unmet_authentication_requirements"


def test_an_essential_acr_that_a_password_reaches_is_fine() -> None:
    assert isinstance(step(asking(essential_acr=f"phr {ACR_PASSWORD}")), Answer)


def test_a_sign_in_weaker_than_the_essential_acr_is_repeated() -> None:
    assert isinstance(step(asking(essential_acr=ACR_PASSWORD), visitor=a_visitor(acr="0")), SignIn)
    assert code(step(asking(essential_acr=ACR_PASSWORD, prompt="none"), visitor=a_visitor(acr="0"))) == "login_required"


@pytest.mark.parametrize(
    "request_",
    [
        asking(hint=OTHER_PERSON),
        asking(hint=OTHER_PERSON, prompt="none"),
        asking(subject=THEM),
        asking(subject=THEM, prompt="none"),
        asking(subject="somebody"),
        asking(subject="us_0000000000000"),
        asking(subject="us_0000000000000", prompt="none"),
        asking(subject="somebody", prompt="none"),
        asking(hint=b.PERSON, subject=THEM),
        asking(hint=OTHER_PERSON, subject=US),
    ],
)
def test_an_answer_about_another_user_than_the_one_named_is_never_given(request_: AuthorizationRequest) -> None:
    assert code(step(request_)) == "login_required"


@pytest.mark.parametrize("request_", [asking(hint=b.PERSON), asking(subject=US), asking(hint=b.PERSON, subject=US, prompt="none")])
def test_the_user_who_was_named_is_answered(request_: AuthorizationRequest) -> None:
    assert isinstance(step(request_), Answer)


def test_who_does_not_want_this_session_signs_in_anew() -> None:
    assert step(asking(login_hint="x@acme.test"), done=did(refused=b.SESSION)) == SignIn("x@acme.test")
    assert isinstance(step(done=did(refused=b.SESSION + 1)), Answer)


# ---------------------------------------------------------------- where

TWO = Seats(a_seat(given=given(OPENID, READ)), 2)
TWO_CHOSEN = Seats(a_seat(given=given(OPENID, READ), chosen=NOON - 9), 2)
FIRST = b.a_client(party="first")


@pytest.mark.parametrize(
    ("client", "request_", "seats", "expected"),
    [
        (None, asking(), TWO, ChooseAccount()),
        (None, asking(), TWO_CHOSEN, ChooseAccount(b.ACCOUNT)),
        (FIRST, asking(), TWO, ChooseAccount()),
        (FIRST, asking(prompt="select_account"), TWO_CHOSEN, ChooseAccount(b.ACCOUNT)),
    ],
)
def test_of_several_accounts_one_is_picked(client: Client | None, request_: AuthorizationRequest, seats: Seats, expected: Step) -> None:
    assert step(request_, client=client, seats=seats) == expected


def test_a_trusted_client_gets_the_account_that_was_picked_last() -> None:
    found = step(client=FIRST, seats=TWO_CHOSEN)
    assert isinstance(found, Answer)
    assert found.seat == TWO_CHOSEN.seat


def test_in_silence_several_accounts_are_an_error_unless_one_is_certain() -> None:
    assert code(step(asking(prompt="none"), seats=TWO)) == "account_selection_required"
    assert code(step(asking(prompt="none"), seats=TWO_CHOSEN)) == "account_selection_required"
    assert isinstance(step(asking(prompt="none"), client=FIRST, seats=TWO_CHOSEN), Answer)
    assert isinstance(step(asking(prompt="none", account="acme-dev"), seats=TWO), Answer)


def test_the_picked_account_is_used() -> None:
    assert isinstance(step(seats=TWO, done=did(account=b.ACCOUNT)), Answer)
    assert isinstance(step(seats=TWO, done=did(account=b.ACCOUNT + 1)), ChooseAccount)
    assert isinstance(step(seats=Seats(None, 2), done=did(account=b.ACCOUNT)), ChooseAccount)


@pytest.mark.parametrize("named", ["acme-dev", ids.show(ids.ACCOUNT, b.ACCOUNT)])
def test_a_named_account_is_used_without_asking(named: str) -> None:
    found = step(asking(account=named), seats=TWO)
    assert isinstance(found, Answer)
    assert found.seat == TWO.seat


def test_an_account_of_others_answers_like_none() -> None:
    foreign, unknown = step(asking(account="other"), seats=Seats(None, 2)), step(asking(account="nowhere"), seats=Seats())
    assert code(foreign) == code(unknown) == "access_denied"
    assert isinstance(foreign, Refuse)
    assert isinstance(unknown, Refuse)
    assert foreign.error.description == unknown.error.description


def test_a_client_tied_to_an_account_works_in_no_other() -> None:
    tied = b.a_client(account=b.ACCOUNT)
    assert isinstance(step(client=tied, seats=TWO), Answer)
    assert isinstance(step(asking(account="acme-dev"), client=tied, seats=TWO), Answer)
    assert code(step(asking(account="acme-prod"), client=tied, seats=TWO)) == "access_denied"
    assert code(step(client=tied, seats=Seats(None, 1))) == "access_denied"


def test_openid_alone_needs_no_account() -> None:
    openid = asking(scopes=("openid", "profile"))
    found = step(openid, seats=Seats(given=given(OPENID, PROFILE)))
    assert isinstance(found, Answer)
    assert found.seat is None
    assert not needs_account(openid, b.a_client(), b.CATALOGUE)


@pytest.mark.parametrize(
    ("request_", "client", "needed"),
    [
        (asking(scopes=("read:balance",)), b.a_client(), True),
        (asking(scopes=("openid",), account="acme-dev"), b.a_client(), True),
        (asking(scopes=("openid",)), b.a_client(account=b.ACCOUNT), True),
        (asking(scopes=("openid",)), b.a_client(roles=(b.ORGANIZER.id,)), True),
        (asking(scopes=("openid", "read:images")), b.a_client(), False),  # a scope that this client may not have anyway
        (asking(scopes=("openid", "unheard:of")), b.a_client(), False),
    ],
)
def test_an_account_is_needed_where_something_in_it_is_asked_for(request_: AuthorizationRequest, client: Client, needed: bool) -> None:
    assert needs_account(request_, client, b.CATALOGUE) is needed


def test_who_has_no_account_gets_what_needs_none() -> None:
    found = step(seats=Seats(given=None), client=FIRST)
    assert isinstance(found, Answer)
    assert found.granted == {OPENID}
    assert code(step(asking(scopes=("read:balance",)), client=FIRST, seats=Seats())) == "access_denied"


# ---------------------------------------------------------------- what


@pytest.mark.parametrize(
    ("held", "asked_for", "expected"),
    [
        (None, BOTH, AskConsent),
        (given(), BOTH, AskConsent),
        (given(OPENID), BOTH, AskConsent),
        (given(OPENID, READ), BOTH, Answer),
        (given(OPENID, READ, SEND), BOTH, Answer),
        (given(OPENID, declined=(READ,)), BOTH, Answer),
        (given(OPENID, READ, declined=(SEND,)), (*BOTH, "transfer:funds"), Answer),
        (given(OPENID, READ), (*BOTH, "transfer:funds"), AskConsent),
        (given(OPENID, READ), (*BOTH, "offline_access"), AskConsent),
        (given(OPENID, READ, OFFLINE_ACCESS), (*BOTH, "offline_access"), Answer),
        (given(declined=(READ,)), ("read:balance",), AskConsent),
    ],
)
def test_consent_is_asked_once_for_everything_new(held: Given | None, asked_for: tuple[str, ...], expected: type[Step]) -> None:
    assert isinstance(step(asking(scopes=asked_for), seats=Seats(a_seat(given=held), 1)), expected)


@pytest.mark.proves("OpenID Connect Core", "3.1.2.6")
@pytest.mark.parametrize("held", [None, given(), given(OPENID), given(READ)])
def test_in_silence_missing_consent_is_an_error(held: Given | None) -> None:
    assert code(step(asking(prompt="none"), seats=Seats(a_seat(given=held), 1))) == "consent_required"


def test_in_silence_a_remembered_no_is_respected() -> None:
    found = step(asking(prompt="none"), seats=Seats(a_seat(given=given(OPENID, declined=(READ,))), 1))
    assert isinstance(found, Answer)
    assert found.granted == {OPENID}


def test_the_consent_page_shows_what_can_be_given_and_what_the_role_lacks() -> None:
    asked_for = asking(scopes=("openid", "create:events", "view:events"))
    found = step(asked_for, seats=Seats(a_seat(given=given(OPENID)), 1))
    assert isinstance(found, AskConsent)
    assert [found.asked, found.held, found.lacking] == [{OPENID, CREATE}, {OPENID}, {VIEW}]


def test_prompt_consent_asks_although_everything_was_allowed() -> None:
    found = step(asking(prompt="consent"))
    assert isinstance(found, AskConsent)
    assert found.held == {OPENID, READ}
    assert isinstance(step(asking(prompt="consent"), done=did(consented=True)), Answer)


def test_prompt_consent_asks_for_a_trusted_client_too() -> None:
    assert isinstance(step(asking(prompt="consent"), client=FIRST), AskConsent)


def test_whoever_said_no_to_everything_just_now_is_not_asked_again() -> None:
    request_ = asking(scopes=("read:balance",))
    assert code(step(request_, seats=Seats(a_seat(given=given(declined=(READ,))), 1), done=did(consented=True))) == "access_denied"


def test_a_trusted_client_is_given_what_it_asks_for() -> None:
    found = step(client=FIRST, seats=Seats(a_seat(), 1))
    assert isinstance(found, Answer)
    assert found.given is None
    assert [found.granted, found.give] == [{OPENID, READ}, {OPENID, READ}]


def test_a_trusted_client_that_has_its_grant_causes_no_write() -> None:
    found = step(client=FIRST)
    assert isinstance(found, Answer)
    assert [found.give, found.given] == [frozenset(), given(OPENID, READ)]


def test_a_trusted_client_set_to_ask_asks() -> None:
    always = b.a_client(party="first", consent="always")
    assert isinstance(step(client=always, seats=Seats(a_seat(), 1)), AskConsent)
    assert isinstance(step(client=always), Answer)


def test_a_no_that_was_said_to_a_trusted_client_stays() -> None:
    found = step(client=FIRST, seats=Seats(a_seat(given=given(OPENID, declined=(READ,))), 1))
    assert isinstance(found, Answer)
    assert found.granted == {OPENID}
    refused = asking(scopes=("read:balance",))
    assert code(step(refused, client=FIRST, seats=Seats(a_seat(given=given(declined=(READ,))), 1))) == "access_denied"


def test_a_role_lost_since_the_consent_is_lost_for_the_answer() -> None:
    held = given(OPENID, CREATE)
    found = step(asking(scopes=("openid", "create:events")), seats=Seats(a_seat(given=held, roles=()), 1))
    assert isinstance(found, Answer)
    assert found.granted == {OPENID}


@pytest.mark.parametrize(
    ("scopes", "roles", "expected"),
    [
        (("view:events",), (b.ORGANIZER.id,), "access_denied"),
        (("create:events",), (), "access_denied"),
        (("read:images",), (b.ORGANIZER.id,), "invalid_scope"),
        (("read:images", "view:events"), (b.ORGANIZER.id,), "access_denied"),
    ],
)
def test_a_request_of_which_nothing_can_be_given_is_refused(scopes: tuple[str, ...], roles: tuple[int, ...], expected: str) -> None:
    assert code(step(asking(scopes=scopes), seats=Seats(a_seat(roles=roles), 1))) == expected


def test_a_client_for_certain_roles_is_for_nobody_else() -> None:
    organizers = b.a_client(roles=(b.ORGANIZER.id,))
    assert isinstance(step(client=organizers), Answer)
    assert code(step(client=organizers, seats=Seats(a_seat(given=given(OPENID, READ), roles=(b.PARTICIPANT.id,)), 1))) == "access_denied"
    assert code(step(asking(scopes=("openid",)), client=organizers, seats=Seats())) == "access_denied"


def test_a_claim_asked_for_by_name_is_asked_like_the_scope_that_owns_it() -> None:
    request_ = a_request(claims_text='{"userinfo":{"email":{"essential":true}}}')
    found = step(request_)
    assert isinstance(found, AskConsent)
    assert EMAIL in found.asked
    allowed = step(request_, seats=Seats(a_seat(given=given(OPENID, READ, EMAIL)), 1))
    assert isinstance(allowed, Answer)
    assert [allowed.granted, allowed.identity] == [{OPENID, READ}, {EMAIL}]
    declined = step(request_, seats=Seats(a_seat(given=given(OPENID, READ, declined=(EMAIL,))), 1))
    assert isinstance(declined, Answer)
    assert declined.identity == frozenset()


def test_a_claim_that_the_client_may_not_have_is_left_out_in_silence() -> None:
    client = b.a_client(scopes=(OPENID, READ))
    found = step(a_request(claims_text='{"userinfo":{"email":null,"phone_number":null}}'), client=client)
    assert isinstance(found, Answer)
    assert found.identity == frozenset()


def test_what_a_scope_implies_comes_along_when_consent_is_given_and_not_later() -> None:
    manage = msgspec.structs.replace(b.CREATE_EVENTS, implies=(VIEW,))
    role = msgspec.structs.replace(b.ORGANIZER, scopes=frozenset({CREATE, VIEW}))
    catalogue = Catalogue([b.EVENTS], [manage, b.VIEW_EVENTS], [role])
    request_ = asking(scopes=("create:events",))
    ask = step(request_, catalogue=catalogue, seats=Seats(a_seat(), 1))
    assert isinstance(ask, AskConsent)
    assert [ask.asked, ask.possible] == [{CREATE}, {CREATE, VIEW}]
    earlier = step(request_, catalogue=catalogue, seats=Seats(a_seat(given=given(CREATE)), 1))
    assert isinstance(earlier, Answer)
    assert earlier.granted == {CREATE}
    later = step(request_, catalogue=catalogue, seats=Seats(a_seat(given=given(CREATE, VIEW)), 1))
    assert isinstance(later, Answer)
    assert later.granted == {CREATE, VIEW}


# ---------------------------------------------------------------- nobody answers in silence to who proves nothing

PUBLIC: dict[str, Any] = {
    "token_endpoint_auth_method": "none",
    "type": "native",
    "redirect_uris": ("http://127.0.0.1/callback", "com.example.app:/x"),
}


@pytest.mark.proves("RFC 8252", "8.6")
@pytest.mark.parametrize("party", ["first", "third"])
@pytest.mark.parametrize("uri", [LOCAL, "http://[::1]:5000/callback", "http://localhost:5000/callback", "com.example.app:/x"])
def test_a_client_that_proves_nothing_gets_no_answer_in_silence(party: str, uri: str) -> None:
    client = b.a_client(**PUBLIC, party=party)
    assert isinstance(step(asking(uri=uri), client=client), ContinueAs)
    assert isinstance(step(asking(uri=uri), client=client, done=did(signed_in=True)), ContinueAs)
    assert code(step(asking(uri=uri, prompt="none"), client=client)) == "interaction_required"


@pytest.mark.parametrize("done", [did(continued=True), did(consented=True), did(account=b.ACCOUNT)])
def test_a_page_that_names_client_user_and_account_is_enough(done: Progress) -> None:
    assert isinstance(step(asking(uri=LOCAL), client=b.a_client(**PUBLIC), done=done), Answer)


@pytest.mark.parametrize(
    ("settings", "uri"),
    [
        ({"token_endpoint_auth_method": "none", "type": "spa"}, "https://spa.example/"),
        ({"token_endpoint_auth_method": "none", "type": "native"}, "https://app.example/claimed"),
        ({}, "http://localhost:8601/callback"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks": "{}"}, LOCAL),
    ],
)
def test_a_client_that_proves_itself_is_answered_in_silence(settings: dict[str, Any], uri: str) -> None:
    assert isinstance(step(asking(uri=uri, prompt="none"), client=b.a_client(**settings)), Answer)


def test_prompt_select_account_lets_a_user_of_one_account_switch() -> None:
    assert isinstance(step(asking(prompt="select_account")), ContinueAs)
    assert isinstance(step(asking(prompt="select_account"), done=did(continued=True)), Answer)
    assert isinstance(step(asking(prompt="select_account", scopes=("openid",)), seats=Seats(given=given(OPENID))), ContinueAs)


# ---------------------------------------------------------------- all or nothing

WHOLE = b.a_client(denied="refuse")


def refused(found: Step) -> tuple[str, str]:
    assert isinstance(found, Refuse)
    return found.error.code, found.error.description.partition("(")[2].rstrip(")")


@pytest.mark.parametrize(
    ("client", "scopes", "held", "expected"),
    [
        (
            b.a_client(denied="refuse"),
            ("openid", "create:events", "view:events"),
            given(),
            ("access_denied", "view:events: role_lacks_scope"),
        ),
        (
            b.a_client(denied="refuse", party="first"),
            ("openid", "view:events"),
            given(),
            ("access_denied", "view:events: role_lacks_scope"),
        ),
        (b.a_client(denied="refuse"), ("openid", "read:images"), given(), ("invalid_scope", "read:images: scope_not_allowed_to_client")),
        (
            b.a_client(denied="refuse", party="first"),
            BOTH,
            given(OPENID, declined=(READ,)),
            ("access_denied", "read:balance: declined_by_user"),
        ),
    ],
)
def test_who_wants_all_or_nothing_is_told_what_is_denied_before_anybody_is_asked(
    client: Client, scopes: tuple[str, ...], held: Given, expected: tuple[str, str]
) -> None:
    assert refused(step(asking(scopes=scopes), client=client, seats=Seats(a_seat(given=held), 1))) == expected


def test_who_wants_all_or_nothing_asks_again_for_what_was_once_declined() -> None:
    seats = Seats(a_seat(given=given(OPENID, declined=(READ,))), 1)
    assert isinstance(step(seats=seats), Answer)
    assert isinstance(step(client=WHOLE, seats=seats), AskConsent)
    assert code(step(asking(prompt="none"), client=WHOLE, seats=seats)) == "consent_required"
    assert refused(step(client=WHOLE, seats=seats, done=did(consented=True))) == ("access_denied", "read:balance: declined_by_user")


def test_who_wants_all_or_nothing_and_may_have_it_all_gets_it() -> None:
    found = step(client=WHOLE)
    assert isinstance(found, Answer)
    assert found.granted == {OPENID, READ}


def test_a_scope_that_is_only_implied_is_nobodys_demand() -> None:
    view = msgspec.structs.replace(b.CREATE_EVENTS, implies=(VIEW,))
    catalogue = Catalogue([b.BANK, b.EVENTS], [b.READ_BALANCE, view, b.VIEW_EVENTS], [b.ORGANIZER])
    lacking = Catalogue([b.BANK, b.EVENTS], [b.READ_BALANCE, view, b.VIEW_EVENTS], [Role(b.ORGANIZER.id, "Organizer", frozenset())])
    narrow = b.a_client(denied="refuse", scopes=(OPENID, CREATE))
    found = step(asking(scopes=("openid", "create:events")), client=narrow, catalogue=catalogue)
    assert isinstance(found, AskConsent)
    assert VIEW not in found.possible
    assert code(step(asking(scopes=("openid", "create:events")), client=narrow, catalogue=lacking)) == "access_denied"


# ---------------------------------------------------------------- a code that the user carries

CARRIED = "urn:ietf:wg:oauth:2.0:oob"


@pytest.mark.parametrize("client", [None, FIRST, b.a_client(type="demo")])
@pytest.mark.parametrize("done", [NOTHING, did(continued=True), did(account=b.ACCOUNT)])
def test_who_carries_a_code_is_asked_each_time_and_whoever_the_client_is(client: Client | None, done: Progress) -> None:
    seats = Seats(a_seat(given=given(OPENID, READ)), 1)
    client = client if client is None or not client.demo else msgspec.structs.replace(client, settings=_open_demo(client))
    assert isinstance(step(a_request(uri=CARRIED), client=client, seats=seats, done=done), AskConsent)
    assert isinstance(step(a_request(uri=CARRIED), client=client, seats=seats, done=did(consented=True)), Answer)


def _open_demo(client: Client) -> ClientSettings:
    return msgspec.structs.replace(client.settings, demo_scopes="all")


def test_in_silence_no_code_is_shown_to_anybody() -> None:
    seats = Seats(a_seat(given=given(OPENID, READ)), 1)
    assert code(step(a_request(uri=CARRIED, prompts=frozenset({"none"})), client=FIRST, seats=seats)) == "consent_required"


def test_published_credentials_make_no_trusted_client() -> None:
    demo = b.a_client(type="demo", party="first")
    assert demo.asks_user
    assert demo.public
    assert not demo.knows_people
    found = step(client=demo, seats=Seats(a_seat(), 1))
    assert isinstance(found, AskConsent)
    assert found.asked == {OPENID}, "what is not marked for such clients is not even asked for"
