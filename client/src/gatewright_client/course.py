"""What to do after an API has answered: renew once, wait once, or let the program have the answer. Decided here, done by the doors."""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from gatewright_client.challenge import bearer_challenge
from gatewright_client.problem import Problem
from gatewright_client.wire import seconds

LONGEST_WAIT: Final = 10.0
_HARMLESS_TWICE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})  # RFC 9110 §9.2.2


class Renew(msgspec.Struct, frozen=True):
    """Send the request again with another token."""


class Wait(msgspec.Struct, frozen=True):
    """Send the request again after so many seconds."""

    seconds: float


class Facts(msgspec.Struct, frozen=True):
    """An answer, as far as it decides what follows."""

    status: int
    headers: Mapping[str, str]
    method: str
    replayable: bool
    """Whether the body can be sent a second time."""
    at_home: bool
    """Whether the API itself answered, and not where it redirected to."""


class Explained(Protocol):
    """Reads the refusal, once it is needed."""

    def __call__(self) -> Problem | None: ...


class Course:
    """The course of one request: it is sent at most three times."""

    def __init__(self, longest_wait: float = LONGEST_WAIT) -> None:
        self._longest_wait = longest_wait
        self._renewed = False
        self._waited = False

    def renews(self, facts: Facts) -> bool:
        """Whether this is a refusal that another token may cure (RFC 6750 §3.1). A 403 never is: the token was understood."""
        if facts.status != 401 or self._renewed or not facts.at_home or not facts.replayable:
            return False
        challenge = bearer_challenge(facts.headers.get("www-authenticate", ""))
        return challenge is not None and challenge.get("error") == "invalid_token"

    def after(self, facts: Facts, explained: Explained) -> Renew | Wait | None:
        """What to do next; None: the program gets the answer."""
        if self.renews(facts):
            self._renewed = True
            problem = explained()
            return Renew() if problem is None or problem.refresh_helps else None
        pause = seconds(facts.headers.get("retry-after"))
        again = facts.replayable and facts.at_home and facts.method.upper() in _HARMLESS_TWICE
        if facts.status == 503 and again and pause is not None and pause <= self._longest_wait and not self._waited:
            self._waited = True
            return Wait(pause)
        return None
