"""How much of a long work is told: what a person can read. Every step says what it does; most are over before that is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gatewright.store.runner import Say

SILENCE_MS: Final = 1000  # a work that takes longer is seen to go on
_STEP: Final = re.compile(r"schema \d+ of \d+, \w+: statement (\d+) of \d+|restoring \w+")


class Brief:
    """Hands on one step a second at most, and at once whatever is no step, such as that something is waited for.

    With `schemas`, the beginning of each schema is told as well, however quickly it is done.
    """

    __slots__ = ("_now_ms", "_said_ms", "_say", "_schemas")

    def __init__(self, say: Say, now_ms: Callable[[], int], *, schemas: bool = False) -> None:
        self._say = say
        self._now_ms = now_ms
        self._schemas = schemas
        self._said_ms = now_ms()

    def __call__(self, sentence: str) -> None:
        """Hear of a step before it is done."""
        step, now = _STEP.fullmatch(sentence), self._now_ms()
        begins = step is not None and step[1] == "1" and self._schemas
        if step is None or begins or now - self._said_ms >= SILENCE_MS:
            self._said_ms = now
            self._say(sentence.partition(":")[0] if begins else sentence)
