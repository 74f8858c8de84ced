"""Signing in at a device (RFC 8628), against a server that nobody here wrote; against Gatewright's own see `test_gatewright`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from gatewright_client.device import Prompt, sign_in
from gatewright_client.errors import NotSignedIn, Refused, SignInNeeded, Unavailable
from gatewright_client.proof import Public
from gatewright_client.server import Server
from gatewright_client.source import TokenSource
from gatewright_client.stores import Memory
from tests.client.devices import USER_CODE, Devices
from tests.client.places import Answer, Issuer, Watch

PENDING, SLOWER, DENIED, EXPIRED, DONE = "authorization_pending", "slow_down", "access_denied", "expired_token", "authorized"


@pytest.fixture
def devices() -> Iterator[Devices]:
    devices = Devices()
    with devices.place.serving():
        yield devices


@pytest.fixture
def server(devices: Devices, watch: Watch) -> Iterator[Server]:
    with Server(devices.place.url, Public("cli"), clock=watch) as server:
        yield server


class Person:
    """Sees what is shown, and lets time pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.seen: list[Prompt] = []
        self.waited: list[float] = []

    def pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.watch.now += seconds


@pytest.fixture
def person(watch: Watch) -> Person:
    return Person(watch)


def polls(devices: Devices) -> int:
    return sum(asked.path == "/token" for asked in devices.place.asked)


def test_a_user_who_allows_it_is_signed_in(devices: Devices, server: Server, person: Person, watch: Watch) -> None:
    devices.answers = [PENDING, PENDING, DONE]
    tokens = sign_in(server, person.seen.append, scope="read:balance", pause=person.pause)
    url = devices.place.url
    assert person.seen == [Prompt(USER_CODE, f"{url}/activate", f"{url}/activate?user_code={USER_CODE}", 1800)]
    assert person.waited == [5, 5, 5]
    assert devices.memory.saved[-1]["access_token"] == tokens.access_token
    assert (tokens.scope, tokens.expires_at) == ("read:balance", watch.now + 3600)
    source = TokenSource.refreshing(server, Memory())
    with pytest.raises(SignInNeeded):
        source.token()
    source.adopt(tokens)
    assert source.token() == tokens.access_token


@pytest.mark.proves("RFC 8628", "3.5")
def test_a_server_that_wants_fewer_questions_gets_them_five_seconds_further_apart(devices: Devices, server: Server, person: Person) -> None:
    devices.answers = [PENDING, SLOWER, PENDING, SLOWER, DONE]
    sign_in(server, person.seen.append, pause=person.pause)
    assert person.waited == [5, 5, 10, 10, 15]


@pytest.mark.parametrize(("interval", "waited"), [(2, 2), (0, 1), (30, 30)])
@pytest.mark.proves("RFC 8628", "3.2")
def test_the_server_says_how_often_it_is_asked(devices: Devices, server: Server, person: Person, interval: int, waited: int) -> None:
    devices.interval, devices.answers = interval, [PENDING, DONE]
    sign_in(server, person.seen.append, pause=person.pause)
    assert person.waited == [waited, waited]


def test_without_a_word_it_is_asked_every_five_seconds(devices: Devices, server: Server, person: Person) -> None:
    devices.interval, devices.answers = None, [DONE]
    sign_in(server, person.seen.append, pause=person.pause)
    assert person.waited == [5]


@pytest.mark.parametrize(("answer", "why"), [(DENIED, "the user said no"), (EXPIRED, "nobody answered in time")])
@pytest.mark.proves("RFC 8628", "3.5")
def test_the_end_is_told_and_nothing_more_is_asked(devices: Devices, server: Server, person: Person, answer: str, why: str) -> None:
    devices.answers = [PENDING, answer]
    with pytest.raises(NotSignedIn, match=why) as fault:
        sign_in(server, person.seen.append, pause=person.pause)
    assert fault.value.error == answer
    assert polls(devices) == 2


def test_a_code_that_is_over_is_not_asked_about(devices: Devices, server: Server, person: Person) -> None:
    devices.more = {"expires_in": 17}
    with pytest.raises(NotSignedIn, match="nobody answered in time") as fault:
        sign_in(server, person.seen.append, pause=person.pause)
    assert (fault.value.error, polls(devices)) == ("expired_token", 3)


@pytest.mark.parametrize("answer", [Answer(0), Answer(500, b"<h1>"), Answer(503, {"error": "temporarily_unavailable"})])
@pytest.mark.proves("RFC 8628", "3.5")
def test_a_server_that_is_away_is_asked_less_often(devices: Devices, server: Server, person: Person, answer: Answer) -> None:
    ordinary, away = devices.place.answer, [answer, answer]
    devices.answers = [DONE]
    devices.place.answer = lambda asked: away.pop() if asked.path == "/token" and away else ordinary(asked)
    sign_in(server, person.seen.append, pause=person.pause)
    assert person.waited == [5, 10, 20]


def test_another_refusal_ends_it_with_its_code(devices: Devices, server: Server, person: Person) -> None:
    devices.answers = ["a word that no RFC has"]  # oauthlib makes invalid_grant of it
    with pytest.raises(Refused, match="invalid_grant"):
        sign_in(server, person.seen.append, pause=person.pause)
    with pytest.raises(Refused, match="invalid_scope"):
        sign_in(server, person.seen.append, scope="transfer:funds", pause=person.pause)
    assert len(person.seen) == 1


@pytest.mark.parametrize(
    "more", [{"verification_uri": "http://id.acme.test/"}, {"verification_uri_complete": "javascript:x"}, {"device_code": None}]
)
def test_a_user_is_sent_to_no_place_that_is_not_safe(devices: Devices, server: Server, person: Person, more: dict[str, object]) -> None:
    devices.more = more
    with pytest.raises(Unavailable, match="no code that we can use"):
        sign_in(server, person.seen.append, pause=person.pause)
    assert person.seen == []


def test_a_code_cannot_steer_the_terminal_that_shows_it(devices: Devices, server: Server, person: Person) -> None:
    devices.more, devices.answers = {"user_code": "WDJB\x1b[2J"}, [DONE]
    sign_in(server, person.seen.append, pause=person.pause)
    assert person.seen[0].user_code == "WDJB [2J"


def test_a_server_without_the_grant_is_told_by_its_metadata(issuer: Issuer, watch: Watch, person: Person) -> None:
    with Server(issuer.url, Public("cli"), clock=watch) as server, pytest.raises(Unavailable, match="device_authorization_endpoint"):
        sign_in(server, person.seen.append)


def test_the_api_and_the_account_are_named_where_the_server_wants_them(devices: Devices, server: Server, person: Person) -> None:
    devices.answers = [DONE]
    tokens = sign_in(server, person.seen.append, resource="https://bank.acme.test", account="acme-dev", pause=person.pause)
    begun, polled = (asked.form for asked in devices.place.asked if asked.method == "POST")
    assert begun == {"resource": "https://bank.acme.test", "account": "acme-dev", "client_id": "cli"}
    assert (polled["resource"], polled["client_id"]) == ("https://bank.acme.test", "cli")
    TokenSource.refreshing(server, Memory(), resource="https://bank.acme.test").adopt(tokens)


async def test_a_loop_goes_on_while_the_user_is_waited_for(devices: Devices, server: Server, person: Person) -> None:
    devices.answers = [PENDING, DONE]
    show: Callable[[Prompt], None] = person.seen.append
    assert (await asyncio.to_thread(sign_in, server, show, pause=person.pause)).scope == "read:balance"


def test_the_code_is_not_in_a_readable_form(devices: Devices, server: Server, person: Person) -> None:
    devices.answers = [DENIED]
    with pytest.raises(NotSignedIn) as fault:
        sign_in(server, person.seen.append, pause=person.pause)
    code = next(iter(devices.memory.codes))
    assert code not in repr(fault.value) + str(fault.value.__cause__) + repr(person.seen)
