"""Of a long work so much is told as a person can read."""

from __future__ import annotations

from gatewright.store.progress import SILENCE_MS, Brief

STEPS = [f"schema {schema} of 3, first: statement {number} of 4" for schema in (1, 2, 3) for number in (1, 2, 3, 4)]


class Watch:
    """A clock that goes on by so much whenever it is looked at."""

    def __init__(self, pace_ms: int) -> None:
        self.now_ms = 0
        self.pace_ms = pace_ms

    def __call__(self) -> int:
        self.now_ms += self.pace_ms
        return self.now_ms


def told(steps: list[str], pace_ms: int, *, schemas: bool = False) -> list[str]:
    said: list[str] = []
    brief = Brief(said.append, Watch(pace_ms), schemas=schemas)
    for step in steps:
        brief(step)
    return said


def test_what_is_quickly_done_is_not_told() -> None:
    assert told([*STEPS, "restoring person"], 1) == []


def test_each_schema_is_told_once_where_that_is_asked_for() -> None:
    assert told(STEPS, 1, schemas=True) == [f"schema {schema} of 3, first" for schema in (1, 2, 3)]


def test_what_takes_long_is_seen_to_go_on() -> None:
    assert told(STEPS, SILENCE_MS) == STEPS
    assert told(["restoring a", "restoring b", "restoring c"], SILENCE_MS // 2) == ["restoring b"]


def test_what_is_waited_for_is_told_at_once() -> None:
    assert told(["somebody is using what is to be changed; trying again"], 1) == ["somebody is using what is to be changed; trying again"]
