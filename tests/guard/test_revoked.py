"""The memory of what ended: which tokens it hits, for how long, and what it does when it is full."""

import threading
from typing import Any

import msgspec
import pytest

from gatewright_guard.narrowed import Narrowed
from gatewright_guard.revoked import KEEP, UNSURE, Ending, Revoked, read_ending
from gatewright_guard.verify import Claims, read_claims
from tests.guard.makers import AUDIENCE, ISSUER, NOW, some_claims

UNTIL = NOW + 900


def a_token(**changes: object) -> Claims:
    """A token of Ann's at Budget Buddy in one account."""
    usual: dict[str, Any] = {"jti": "j1", "gw_az": "az_5", "sub": "us_1", "client_id": "budget-buddy", "account_id": "ac_1"}
    return read_claims(some_claims(**(usual | changes)), issuer=ISSUER, audience=AUDIENCE, now=NOW)


def after(*endings: Ending, now: float = NOW, limit: int = 1000) -> Revoked:
    memory = Revoked(limit)
    for ending in endings:
        memory.apply(ending, now)
    return memory


def ended(**named: Any) -> Ending:  # noqa: ANN401 - the members of an ending
    return Ending(until=UNTIL, **named)


@pytest.mark.parametrize(
    ("ending", "hit"),
    [
        (ended(jti="j1"), True),
        (ended(jti="j2"), False),
        (ended(authorizations=("az_4", "az_5")), True),
        (ended(authorizations=("az_4",)), False),
        (ended(authorizations=("az_5",), sub="us_1"), True),
        (ended(authorizations=("az_5",), sub="us_2"), False),
        (ended(authorizations=("az_5",), client_id="another"), False),
        (ended(authorizations=("az_5",), account_id="ac_2"), False),
        (ended(sub="us_1", before="az_5"), True),
        (ended(sub="us_1", before="az_6"), True),
        (ended(sub="us_1", before="az_4"), False),
        (ended(sub="us_2", before="az_9"), False),
        (ended(client_id="budget-buddy", before="az_9"), True),
        (ended(client_id="another", before="az_9"), False),
        (ended(account_id="ac_1", before="az_9"), True),
        (ended(account_id="ac_2", before="az_9"), False),
        (ended(sub="us_1", account_id="ac_1", before="az_9"), True),
        (ended(sub="us_1", account_id="ac_2", before="az_9"), False),
        (ended(client_id="budget-buddy", sub="us_1", account_id="ac_1", before="az_9"), True),
        (ended(client_id="budget-buddy", sub="us_2", account_id="ac_1", before="az_9"), False),
    ],
)
def test_a_token_is_over_that_has_all_that_is_named(ending: Ending, hit: bool) -> None:
    assert after(ending).hits(a_token()) is hit


def test_what_was_opened_later_stands_although_the_same_people_are_named() -> None:
    memory = after(ended(sub="us_1", before="az_5"))
    assert memory.hits(a_token(gw_az="az_5"))
    assert not memory.hits(a_token(gw_az="az_6"))
    assert memory.hits(a_token(gw_az=None)), "nobody knows when it was opened"


def test_a_token_without_an_account_is_not_of_an_account() -> None:
    token = a_token(account_id=None, account=None)
    assert not after(ended(account_id="ac_1", before="az_9")).hits(token)
    assert after(ended(sub="us_1", before="az_9")).hits(token)


def test_an_ending_is_remembered_for_as_long_as_it_can_matter_and_no_longer() -> None:
    endings = [ended(jti="j1"), ended(authorizations=("az_5", "az_6")), ended(sub="us_1", before="az_9")]
    for ending in endings:
        memory = after(ending, ended(authorizations=("az_7",), sub="us_3"))
        memory.expire(UNTIL + KEEP - 1)
        assert memory.hits(a_token())
        memory.expire(UNTIL + KEEP)
        assert not memory.hits(a_token())
        assert len(memory) == 0
        memory.apply(ending, UNTIL + KEEP)
        assert len(memory) == 0, "it is over before it is told"


def test_what_is_told_twice_is_remembered_once_and_of_two_the_longer_counts() -> None:
    memory = after(ended(authorizations=("az_5",)), ended(authorizations=("az_5",)))
    assert len(memory) == 1
    memory.apply(Ending(until=UNTIL + 100, authorizations=("az_5",)), NOW)
    memory.apply(Ending(until=UNTIL + 100, jti="j1"), NOW)
    memory.apply(Ending(until=UNTIL, jti="j1"), NOW)
    memory.apply(Ending(until=UNTIL, sub="us_1", before="az_9"), NOW)
    memory.apply(Ending(until=UNTIL + 100, sub="us_1", before="az_8"), NOW)
    memory.expire(UNTIL + KEEP)
    assert memory.hits(a_token(jti="another"))
    assert memory.hits(a_token(gw_az="az_1", sub="us_2"))
    assert memory.hits(a_token(jti="another", gw_az="az_8"))
    assert not memory.hits(a_token(jti="another", gw_az="az_9"))
    memory.expire(UNTIL + 100 + KEEP)
    assert len(memory) == 0


def test_a_full_memory_forgets_nothing_and_says_that_it_is_not_whole() -> None:
    memory = after(ended(jti="j1"), ended(authorizations=("az_6", "az_7")), limit=3)
    assert memory.whole(NOW)
    memory.apply(Ending(until=UNTIL + 50, jti="j9"), NOW)
    assert not memory.whole(NOW)
    assert len(memory) == 3
    assert memory.hits(a_token())
    assert not memory.whole(UNTIL + 50 + KEEP - 1)
    assert memory.whole(UNTIL + 50 + KEEP), "what it could not take concerns no living token any more"
    memory.apply(ended(jti="j8"), UNTIL + KEEP - 1)
    assert not memory.whole(UNTIL + 50)
    with pytest.raises(ValueError, match="at least 1"):
        Revoked(0)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        "[]",
        '{"until":1}',
        '{"until":"soon","jti":"j1"}',
        '{"jti":"j1"}',
        '{"until":1,"authorizations":[]}',
        '{"until":1,"sub":5}',
    ],
)
def test_what_names_nothing_or_is_no_ending_is_refused(data: str) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        read_ending(data)


def test_more_authorizations_than_anybody_names_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        read_ending(msgspec.json.encode(ended(authorizations=tuple(f"az_{n}" for n in range(4097)))))


def test_any_thread_may_ask_while_one_is_told() -> None:
    memory, over = Revoked(), threading.Event()
    faults: list[Exception] = []

    def ask() -> None:
        token = a_token()
        try:
            while not over.is_set():
                memory.hits(token)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is what this test looks for
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(3000):
        now = NOW + turn * (KEEP + 1)
        for named in ({"sub": "us_1"}, {"client_id": "c"}, {"account_id": "ac_1"}, {"authorizations": ("az_5",), "sub": "us_2"}):
            memory.apply(Ending(until=now, before="az_1", **named), now)
        memory.expire(now + KEEP)
    over.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(memory) == 0


@pytest.mark.parametrize(("issued", "sure"), [(NOW - 1, True), (NOW, False), (NOW + UNSURE, False), (NOW + UNSURE + 1, True)])
def test_of_parties_it_is_not_sure_about_what_was_issued_when_they_ended(issued: int, sure: bool) -> None:
    ending = ended(at=NOW, sub="us_1", before="az_9")
    token = read_claims(some_claims(gw_az="az_5", sub="us_1", iat=issued), issuer=ISSUER, audience=AUDIENCE, now=issued)
    assert after(ending).hits(token) is sure
    less = Narrowed()
    less.apply_ending(ending, NOW)
    assert (less.since(token) is not None) is not sure, "the server is asked"
    younger = read_claims(some_claims(gw_az="az_a", sub="us_1", iat=issued), issuer=ISSUER, audience=AUDIENCE, now=issued)
    assert not after(ending).hits(younger)
    assert less.since(younger) is None


def test_members_that_are_new_to_it_do_not_matter() -> None:
    assert read_ending('{"until":5,"jti":"j1","at":1,"more":[1]}') == Ending(until=5, at=1, jti="j1")
