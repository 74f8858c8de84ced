"""When a delivery is tried again, what an answer means, and how a message is written and signed."""

from __future__ import annotations

import time
from email.utils import formatdate
from itertools import pairwise

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gatewright.base import ids
from gatewright.base.mask import MASK, mask
from gatewright.base.secret import Secret
from gatewright.webhooks.records import MEANINGS, EventRow, EventType, Outcome
from gatewright.webhooks.rules import (
    GIVE_UP_AFTER,
    LONGEST_DELAY,
    LONGEST_RETRY_AFTER,
    asked_to_wait,
    body_of,
    delay,
    headers_of,
    new_secret,
    outcome_of,
    pause,
    url_fault,
)
from tests.support.clock import NOON, SeededDice


def an_event(**changed: object) -> EventRow:
    ordinary: dict[str, object] = dict.fromkeys(EventRow.__struct_fields__)
    ordinary |= {"id": 77, "client": 5, "type": "test", "data": '{"a":"ä"}', "at": NOON, "state": "waiting", "since": NOON, "tries": 0}
    return msgspec.convert(ordinary | changed, EventRow)


# ---------------------------------------------------------------- the message and its signature


def test_a_library_that_nobody_here_wrote_verifies_a_message() -> None:
    secret, now = new_secret(SeededDice()), int(time.time())
    body = body_of(an_event(), "budget-buddy")
    headers = headers_of(an_event(), body, [secret], now)
    told = Webhook(secret.reveal()).verify(body, headers)
    assert told == {"type": "test", "timestamp": "2027-01-15T08:00:00Z", "data": {"client_id": "budget-buddy", "a": "ä"}}


def test_of_two_secrets_each_verifies_and_a_third_does_not() -> None:
    old, new, other = (new_secret(SeededDice(seed)) for seed in ("old", "new", "other"))
    body, now = body_of(an_event(), "app"), int(time.time())
    headers = headers_of(an_event(), body, [new, old], now)
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Webhook(secret.reveal()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other.reveal()).verify(body, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_a_changed_message_is_not_verified(changed: str) -> None:
    secret, now = new_secret(SeededDice()), int(time.time())
    body = body_of(an_event(), "app")
    headers = headers_of(an_event(), body, [secret], now)
    if changed == "body":
        body = body.replace(b"app", b"App")
    else:
        headers[changed] = {"webhook-id": "ev_other", "webhook-timestamp": str(now + 1)}[changed]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(body, headers)


def test_every_attempt_has_the_same_name_and_the_same_bytes() -> None:
    first, second = an_event(), an_event(tries=3, last_at=NOON + 5)
    assert body_of(first, "app") == body_of(second, "app")
    secrets = [new_secret(SeededDice())]
    assert headers_of(first, b"", secrets, NOON)["webhook-id"] == headers_of(second, b"", secrets, NOON + 9)["webhook-id"]
    assert headers_of(first, b"", secrets, NOON)["webhook-id"] == ids.show("ev", 77)


def test_a_secret_is_long_and_hides_itself_in_every_text() -> None:
    secret = new_secret(SeededDice())
    assert secret.reveal().startswith("whsec_")
    assert repr(secret) == "Secret(hidden)"
    assert mask(f"it is {secret.reveal()} here") == f"it is {MASK} here"


# ---------------------------------------------------------------- trying again


def test_delays_grow_to_half_a_day_and_fill_three_days() -> None:
    planned = [delay(tries, SeededDice()) for tries in range(1, 30)]
    assert 9 <= planned[0] <= 11
    assert all(later > earlier for earlier, later in pairwise(planned[:7]))
    assert max(planned) <= LONGEST_DELAY * 11 // 10
    tries, passed = 0, 0
    while passed <= GIVE_UP_AFTER:
        tries += 1
        passed += delay(tries, SeededDice(str(tries)))
    assert 10 <= tries <= 15


def test_delays_are_spread() -> None:
    drawn = {delay(7, SeededDice(str(n))) for n in range(50)}
    assert len(drawn) > 40
    assert all(40_960 * 9 // 10 <= seconds <= 40_960 * 11 // 10 + 1 for seconds in drawn)


def test_an_address_that_takes_nothing_has_longer_and_longer_pauses() -> None:
    assert [pause(failures) for failures in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert pause(100) == 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("-5", 0),
        ("soon", 0),
        ("1.5", 0),
        ("9" * 400, LONGEST_RETRY_AFTER),
        ("²", 0),
        (formatdate(NOON + 90, usegmt=True), 90),
        (formatdate(NOON - 90, usegmt=True), 0),
        (formatdate(NOON + 10 * 86_400, usegmt=True), LONGEST_RETRY_AFTER),
        ("Fri, 99 Foo 2027 99:99:99 GMT", 0),
        ("", 0),
    ],
)
@pytest.mark.proves("RFC 9110", "10.2.3")
def test_an_answer_may_ask_for_time_within_bounds(text: str | None, seconds: int) -> None:
    assert asked_to_wait(text, NOON) == seconds


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "delivered"), (204, "delivered"), (301, "redirected"), (308, "redirected"), (410, "gone"), (404, "refused"), (500, "refused")],
)
def test_only_a_status_of_two_hundred_something_is_a_delivery(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


# ---------------------------------------------------------------- addresses and the closed lists


@pytest.mark.parametrize(
    "url", ["https://app.example/events", "https://app.example:8443/e?x=1", "http://127.0.0.1:9/e", "http://localhost/e"]
)
def test_an_address_for_events_is_https_or_on_this_machine(url: str) -> None:
    assert url_fault(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://app.example/events", "an https address is expected"),
        ("ftp://app.example", "https address"),
        ("app.example/events", "https address"),
        ("https://", "https address"),
        ("https://u:p@app.example/", "no user"),
        ("https://app.example/#x", "fragment"),
        ("https://app.example/ x", "characters"),
        ("https://app.example\\@evil.example", "characters"),
        ("https://app.example:99999/", "no URL"),
        ("https://äpp.example/", "characters"),
        ("https://hooks..example/", "no host name"),
        ("https://" + "a" * 64 + ".example/", "no host name"),
        ("https://" + "a." * 126 + "example/", "no host name"),
        ("https://app.example./", "no host name"),
        ("https://app%2eexample/", "no host name"),
        ("https://app.example/" + "x" * 2000, "2000"),
    ],
)
def test_any_other_address_is_refused_with_its_reason(url: str, said: str) -> None:
    assert said in (url_fault(url) or "")


def test_events_tell_of_a_person_nothing_but_an_id() -> None:
    telling = {"email", "name", "profile", "token", "code", "secret", "access_token", "refresh_token", "username", "ip", "address"}
    for type in EventType:
        assert telling.isdisjoint(type.members), type.label
        assert type.meaning.endswith(".")
    assert len({type.label for type in EventType}) == len(EventType)


def test_every_outcome_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Outcome)


def test_a_secret_given_without_its_prefix_signs_the_same() -> None:
    secret = new_secret(SeededDice())
    bare = Secret(secret.reveal().removeprefix("whsec_"))
    assert headers_of(an_event(), b"x", [bare], NOON) == headers_of(an_event(), b"x", [secret], NOON)
