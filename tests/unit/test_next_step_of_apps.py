"""What the user of an app must do next: an account always, a yes each time, and all that the app requires."""

import msgspec
import pytest

from gatewright.oauth.client import Client
from gatewright.oauth.decision import Verdict, requested
from gatewright.oauth.errors import InvalidScope
from gatewright.oauth.next_step import Answer, AskConsent, Refuse, Situation, Step, needs_account, next_step
from gatewright.oauth.request import Progress, Prompt
from gatewright.oauth.visit import Seat, Seats
from tests.support import builders as b
from tests.unit.test_next_step import CREATE, READ, SEND, a_request, a_seat, a_visitor, given

READ_NAME, SEND_NAME, CREATE_NAME = b.READ_BALANCE.name, b.TRANSFER.name, b.CREATE_EVENTS.name
CONSENTED = Progress(session=b.SESSION, consented=True, account=b.ACCOUNT)


def an_app(*asks: tuple[int, bool]) -> Client:
    written = [{"scope": scope, "required": required, "reason": "why"} for scope, required in asks or ((READ, True), (SEND, False))]
    return b.a_client(exchange="app", scopes_policy="manifest", pkce="optional", asks=written)


def step(app: Client, seat: Seat | None = None, done: Progress = CONSENTED, prompts: frozenset[Prompt] = frozenset()) -> Step:
    names = requested(None, b.CATALOGUE, app, [])
    seats = Seats(seat or a_seat(), 1)
    situation = Situation(
        request=a_request(names, prompts=prompts), progress=done, client=app, catalogue=b.CATALOGUE, visitor=a_visitor(), seats=seats
    )
    return next_step(situation)


def test_an_app_is_asked_about_each_time_even_where_all_was_given_before() -> None:
    fresh = Progress(session=b.SESSION, account=b.ACCOUNT)
    seat = a_seat(given=given(READ, SEND))
    found = step(an_app(), seat, fresh)
    assert isinstance(found, AskConsent)
    assert found.asked == found.held == {READ, SEND}
    assert found.required == {READ}
    answer = step(an_app(), seat)
    assert isinstance(answer, Answer)
    assert answer.granted == {READ, SEND}


def test_what_was_declined_is_asked_again_at_the_next_installation() -> None:
    found = step(an_app(), a_seat(given=given(READ, declined=(SEND,))), Progress(session=b.SESSION, account=b.ACCOUNT))
    assert isinstance(found, AskConsent)
    assert found.asked == {READ, SEND}


def test_nothing_is_answered_in_silence() -> None:
    found = step(an_app(), a_seat(given=given(READ, SEND)), Progress(), prompts=frozenset({"none"}))
    assert isinstance(found, Refuse)
    assert found.error.code == "consent_required"


def test_what_the_app_requires_and_the_role_lacks_is_a_refusal_that_names_it() -> None:
    app = an_app((READ, True), (CREATE, True))
    assert isinstance(step(app, a_seat(given=given(READ, CREATE))), Answer)
    found = step(app, a_seat(roles=(), given=given(READ)))
    assert isinstance(found, Refuse)
    assert found.error.code == "access_denied"
    assert CREATE_NAME in found.error.description


def test_what_is_optional_and_the_role_lacks_is_left_out() -> None:
    found = step(an_app((READ, True), (CREATE, False)), a_seat(roles=()), Progress(session=b.SESSION, account=b.ACCOUNT))
    assert isinstance(found, AskConsent)
    assert found.asked == {READ}
    assert found.lacking == {CREATE}


def test_an_app_needs_an_account_whatever_it_asks_for() -> None:
    app = an_app((1, True))
    assert needs_account(a_request(("openid",)), app, b.CATALOGUE)
    situation = Situation(
        request=a_request(("openid",)), progress=Progress(), client=app, catalogue=b.CATALOGUE, visitor=a_visitor(), seats=Seats()
    )
    found = next_step(situation)
    assert isinstance(found, Refuse)
    assert "member of no account" in found.error.description


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        (None, (READ_NAME, SEND_NAME)),
        (READ_NAME, (READ_NAME,)),
        (SEND_NAME, (READ_NAME, SEND_NAME)),
        (f"{SEND_NAME} {READ_NAME}", (READ_NAME, SEND_NAME)),
    ],
)
def test_the_manifest_is_what_is_asked_and_what_it_requires_always(scope: str | None, names: tuple[str, ...]) -> None:
    assert requested(scope, b.CATALOGUE, an_app(), []) == names


@pytest.mark.parametrize("scope", ["openid", CREATE_NAME, f"{READ_NAME} nonsense"])
def test_a_request_beyond_the_manifest_is_refused(scope: str) -> None:
    with pytest.raises(InvalidScope, match="manifest does not ask for"):
        requested(scope, b.CATALOGUE, an_app(), [])


def test_what_only_an_earlier_version_asked_for_is_allowed_and_not_asked() -> None:
    app = an_app((READ, True))
    assert requested(None, b.CATALOGUE, app, []) == (READ_NAME,)
    from gatewright.oauth.decision import Party, decide

    decision = decide((SEND_NAME,), b.CATALOGUE, app, Party(user=True, member=True))
    assert decision.refused == ()
    narrowed = msgspec.structs.replace(app, scopes=frozenset({READ}))
    assert decide((SEND_NAME,), b.CATALOGUE, narrowed, Party(user=True, member=True)).refused == (
        (SEND_NAME, Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT),
    )
