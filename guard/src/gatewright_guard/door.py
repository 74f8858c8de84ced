"""What the doors of frameworks have in common: a refusal on its way out, the account that a path names, and who was admitted."""

from collections.abc import Mapping
from http import HTTPStatus

from msgspec import structs

from gatewright_guard.decide import Allowed, Refusal, Requirement, decide
from gatewright_guard.guard import Guard
from gatewright_guard.sync import SyncGuard
from gatewright_guard.verify import Claims

Caller = Claims
"""Who calls."""


class NotAllowed(Exception):
    """A request that was refused, on its way to the handler that answers it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def admitted(answer: Allowed | Refusal) -> Allowed:
    """The answer, if it is good; `NotAllowed` otherwise."""
    if isinstance(answer, Refusal):
        raise NotAllowed(answer)
    return answer


def caller_in(held: object) -> Caller:
    """Who was admitted, from where the door keeps its answer."""
    if not isinstance(held, Allowed):
        raise RuntimeError("nobody was admitted here: it lacks requires(…), or the middleware lacks its rule")  # noqa: TRY004 - nobody passed it
    return held.claims


def account_in(parameters: Mapping[str, object], name: str | None) -> str | None:
    """The account that a parameter of the path names, if it is to name one."""
    if name is None:
        return None
    if name not in parameters:
        raise RuntimeError(f"the path of this endpoint has no parameter {name!r}, which is to name the account")
    return str(parameters[name])


def again(guard: Guard | SyncGuard, requirement: Requirement, account: str | None, *, held: object, by: object) -> Allowed | Refusal | None:
    """The answer about a bound token that this guard admitted in this same request; None if the guard can just be asked.

    The proof beside the token was used up when it was admitted (RFC 9449 §11.1), and what is asked now is another question.
    """
    if by is not guard or not isinstance(held, Allowed) or not held.claims.bound:
        return None
    answer = decide(held.claims, requirement, account=account, now=guard.clock(), proved=True)
    return of_api(guard, answer) if isinstance(answer, Refusal) else answer


def of_api(guard: Guard | SyncGuard, refusal: Refusal) -> Refusal:
    """A refusal that was not the guard's answer, with the name of its API."""
    about = guard.resource
    return structs.replace(refusal, realm=guard.audience, resource_metadata=None if about is None else about.url)


def status_line(status: int) -> str:
    """A status with its phrase, as WSGI wants it."""
    return f"{status} {HTTPStatus(status).phrase}"
