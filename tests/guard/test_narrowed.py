"""The memory of what became less: which tokens are asked about, since when, for how long, and what it does when it is full."""

import threading
from typing import Any

import msgspec
import pytest

from gatewright_guard.narrowed import Narrowed, Narrowing, read_narrowing
from gatewright_guard.revoked import KEEP, Ending
from gatewright_guard.verify import Claims, read_claims
from tests.guard.makers import AUDIENCE, ISSUER, NOW, some_claims

UNTIL = NOW + 900


def a_token(**changes: object) -> Claims:
    """A token of Ann's at Budget Buddy in one account, issued now, that says two scopes and a role."""
    usual: dict[str, Any] = {
        "jti": "j1", "gw_az": "az_5", "sub": "us_1", "client_id": "budget-buddy", "account_id": "ac_1",
        "scope": "openid read:balance pay:bills", "roles": ["Payer"], "iat": NOW,
    }  # fmt: skip
    return read_claims(some_claims(**(usual | changes)), issuer=ISSUER, audience=AUDIENCE, now=NOW + 600)


def after(*narrowings: Narrowing, now: float = NOW, limit: int = 1000) -> Narrowed:
    memory = Narrowed(limit)
    for narrowing in narrowings:
        memory.apply(narrowing, now)
    return memory


def less(until: int = UNTIL, issued_until: int = NOW + 60, **named: Any) -> Narrowing:  # noqa: ANN401 - the members of a narrowing
    return Narrowing(until=until, issued_until=issued_until, **named)


@pytest.mark.parametrize(
    ("narrowing", "meant"),
    [
        (less(), True),
        (less(issued_until=NOW), True),
        (less(issued_until=NOW - 1), False),
        (less(scopes=("pay:bills", "close:account")), True),
        (less(scopes=("close:account",)), False),
        (less(roles=("Payer",)), True),
        (less(roles=("Owner",)), False),
        (less(iss=ISSUER), True),
        (less(iss="https://another.example"), False),
        (less(authorizations=("az_4", "az_5")), True),
        (less(authorizations=("az_4",)), False),
        (less(authorizations=("az_5",), scopes=("pay:bills",)), True),
        (less(authorizations=("az_5",), scopes=("close:account",)), False),
        (less(authorizations=("az_5",), sub="us_2"), False),
        (less(authorizations=("az_5",), account_id="ac_2"), False),
        (less(sub="us_1", account_id="ac_1"), True),
        (less(sub="us_1", account_id="ac_2"), False),
        (less(sub="us_2", account_id="ac_1"), False),
        (less(client_id="budget-buddy", scopes=("pay:bills",)), True),
        (less(client_id="budget-buddy", scopes=("close:account",)), False),
        (less(client_id="another", scopes=("pay:bills",)), False),
    ],
)
def test_a_token_is_asked_about_that_has_all_that_is_named_and_is_old_enough(narrowing: Narrowing, meant: bool) -> None:
    assert (after(narrowing).since(a_token()) is not None) is meant


def test_the_latest_that_means_a_token_says_since_when() -> None:
    memory = after(less(sub="us_1"), now=NOW)
    memory.apply(less(scopes=("pay:bills",)), NOW + 5)
    memory.apply(less(scopes=("close:account",)), NOW + 9)
    assert memory.since(a_token()) == NOW + 5


@pytest.mark.parametrize("issued_until", [NOW + 60, NOW + 65, NOW + 30])
def test_what_is_told_once_more_may_have_happened_once_more(issued_until: int) -> None:
    """Within the same second, or numbered by a process whose clock is behind: what the server said in between is old."""
    memory = after(less(sub="us_1"))
    memory.apply(less(sub="us_1", issued_until=issued_until, until=issued_until + 900), NOW + 5)
    assert memory.since(a_token()) == NOW + 5
    assert memory.since(a_token(iat=max(issued_until, NOW + 60))) == NOW + 5
    assert len(memory) == 1
    memory.expire(UNTIL + KEEP - 1)
    assert len(memory) == 1, "the later end counts"


def test_however_much_was_narrowed_a_token_looks_at_little_of_it() -> None:
    memory = Narrowed()
    for number in range(500):
        memory.apply(less(roles=(f"Role{number}",)), NOW)
        memory.apply(less(scopes=("sign:things", f"do:{number}")), NOW)
        memory.apply(less(sub="us_2", scopes=(f"do:{number}",)), NOW)
        memory.apply_ending(Ending(until=UNTIL + number, at=NOW + number, before="az_4", sub="us_2"), NOW)
    longest = max(len(found) for keys in memory._kinds.values() for found in keys.values())
    assert longest <= 33
    assert len(memory) == 500 + 501 + 2
    assert len(memory._ends) < 1100
    assert memory.since(a_token()) is None
    assert memory.since(a_token(roles=["Role7"])) == NOW
    assert memory.since(a_token(scope="do:7")) == NOW
    assert memory.since(a_token(scope="sign:things")) == NOW
    # Of whoever lost so many things by so many acts all tokens are asked about.
    assert memory.since(a_token(sub="us_2")) == NOW
    memory.expire(UNTIL + KEEP)
    assert len(memory) == 1
    assert memory.since(a_token(sub="us_2", iat=NOW + 559, gw_az="az_4")) == NOW
    assert memory.since(a_token(sub="us_2", iat=NOW + 560, gw_az="az_4")) is None
    assert memory.since(a_token(sub="us_2", gw_az="az_5")) is None
    memory.expire(UNTIL + 499 + KEEP)
    assert (len(memory), memory._kinds, memory._ends) == (0, {}, [])


def test_it_is_remembered_until_the_last_token_of_it_is_over() -> None:
    memory = after(less(sub="us_1"), less(authorizations=("az_5", "az_6"), until=UNTIL + 100))
    memory.apply(less(sub="us_1", issued_until=NOW + 160, until=UNTIL + 100), NOW + 100)
    assert len(memory) == 3
    memory.expire(UNTIL + KEEP)
    assert len(memory) == 3, "it was told once more since"
    memory.expire(UNTIL + 100 + KEEP)
    assert len(memory) == 0
    assert memory.since(a_token()) is None
    memory.apply(less(sub="us_1"), UNTIL + KEEP)
    assert len(memory) == 0, "what is over is not taken in"


def test_full_it_says_that_it_is_not_whole_until_what_it_left_out_is_over() -> None:
    memory = after(less(sub="us_1"), less(sub="us_2"), less(sub="us_3", until=UNTIL + 50), limit=2)
    assert memory.since(a_token()) == NOW
    assert not memory.whole(UNTIL + 50 + KEEP - 1)
    assert memory.whole(UNTIL + 50 + KEEP)


@pytest.mark.parametrize("data", ["{}", '{"until":1}', '{"until":1,"issued_until":"x"}', "[]", '{"until":1,"issued_until":1,"scopes":"x"}'])
def test_another_form_is_not_taken_for_a_narrowing(data: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        read_narrowing(data)


def test_it_names_no_more_than_can_be_kept() -> None:
    with pytest.raises(ValueError, match="too much"):
        read_narrowing(msgspec.json.encode({"until": 1, "issued_until": 1, "scopes": ["x"] * 5000}))


def test_any_thread_may_ask_while_one_tells() -> None:
    memory, token, wrong = Narrowed(), a_token(), []
    memory.apply(less(sub="us_1"), NOW)
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            if memory.since(token) is None:
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2000):
        memory.apply(less(sub=f"us_{number}x", until=NOW + number % 50), NOW)
        memory.apply(less(client_id=f"c{number}", until=NOW + number % 50), NOW)
        memory.expire(NOW + KEEP + number % 40)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
