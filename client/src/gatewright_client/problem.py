"""Why an API refused, and what to do about it: its `problem+json` body (RFC 9457) and its challenge (RFC 6750) in one value."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from gatewright_client.challenge import bearer_challenge
from gatewright_client.errors import ClientFault
from gatewright_client.origin import secure_url
from gatewright_client.wire import seconds, showable

_MAX_BODY: Final = 64 * 1024
_TYPE: Final = "application/problem+json"
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


class Answered(Protocol):
    """What responses of httpx and of requests have in common."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content(self) -> Any: ...  # noqa: ANN401 - bytes; requests' types say Any


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal. Programs decide by `cause`, `refresh_helps` and `ask_user`; people read `detail` and `what_to_do`."""

    status: int
    cause: str
    """One word of the list in docs/guides/call-an-api-from-python.md, or `unknown` if the API does not say."""
    detail: str
    """What the API says, in its own words."""
    what_to_do: str
    refresh_helps: bool
    """Whether a new token of the same sign-in may be taken where this one was not."""
    ask_user: bool
    """Whether the user can change the answer, in a new authorization request."""
    missing_scope: str = ""
    retry_after: float | None = None
    decision: str = ""
    """What finds the refusal in the server's log."""
    more: str = ""
    """A page that answers the checks one by one, for the people whose access it is about."""
    members: Mapping[str, object] = {}
    """Every other member of the body."""


class ApiRefused(ClientFault):
    """An API's refusal as an exception, for programs that prefer one."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.cause}: {problem.detail} {problem.what_to_do}".replace("  ", " "))
        self.problem = problem


class _Advice(msgspec.Struct, frozen=True):
    text: str
    refresh_helps: bool = False
    ask_user: bool = False


_NEW_TOKEN: Final = _Advice("Get a new token.", refresh_helps=True)
_ASK: Final = _Advice("Ask the user, in a new authorization request with this scope. A refresh will not help.", ask_user=True)
_PLATFORM: Final = _Advice("The platform has to change something. Neither a refresh nor the user can help.")
_ENDED: Final = _Advice("The access has ended: send the user to the authorization page, or give up.", ask_user=True)
_GONE: Final = _Advice("Nothing that the program or its user does will help: an admin of the account or of the platform can.")
_ACCOUNT: Final = _Advice("Use a token for the account of this resource; /v1/me says which account a token is for.", ask_user=True)
_PROOF: Final = _Advice("The token needs a new proof of its key with each request (RFC 9449), which this program does not send.")
_SIGN_IN_AGAIN: Final = _Advice("Ask the user to sign in again, as the challenge says (RFC 9470).", ask_user=True)
_CHECKLIST: Final = _Advice(
    "The API does not say why. Check in this order: may the user's role do this, and not only read; is the token for the account that"
    " the resource belongs to (/v1/me says which); has the user been removed or disabled; has the token expired."
)

ADVICE: Final[Mapping[str, _Advice]] = {
    "invalid_request": _Advice("Send one token, in the Authorization header."),
    "token_missing": _Advice("Send a token with the request.", refresh_helps=True),
    "invalid_token": _Advice("Get a new token; if that is refused too, sign in anew.", refresh_helps=True),
    "token_expired": _NEW_TOKEN,
    "token_early": _Advice("The token is not valid yet: compare the clocks of this machine, the API and the server."),
    "wrong_audience": _Advice("Ask for a token with this API as its resource."),
    "token_bound": _PROOF,
    "proof_wrong": _PROOF,
    "token_unbound": _Advice("Send the token as a bearer token: it is bound to no key."),
    "certificate_wrong": _Advice("Call with the client certificate that the token is bound to (RFC 8705)."),
    "token_revoked": _Advice(
        "The token was taken back. Try one new token; if it is refused too, the access has ended.", refresh_helps=True
    ),
    "grant_ended": _ENDED,
    "membership_ended": _GONE,
    "user_disabled": _GONE,
    "account_disabled": _GONE,
    "client_disabled": _GONE,
    "insufficient_scope": _Advice("Ask for the missing scope in a new authorization request. A refresh will not help.", ask_user=True),
    "scope_not_requested": _ASK,
    "not_consented": _ASK,
    "beyond_grant": _ASK,
    "declined_by_user": _Advice("The user said no to this scope. Do without, or say why it is needed and ask again.", ask_user=True),
    "scope_not_allowed_to_client": _PLATFORM,
    "scope_unknown": _PLATFORM,
    "ip_not_allowed": _PLATFORM,
    "role_lacks_scope": _Advice("A refresh will not help: an account admin has to give the user a role with this scope."),
    "role_missing": _Advice("A refresh will not help: an account admin has to give the user the role."),
    "wrong_account": _ACCOUNT,
    "resource_of_other_account": _ACCOUNT,
    "no_rule": _Advice("Nothing: the API opened this path to nobody."),
    "denied_by_api": _Advice("It is a rule of the API's own: nothing helps, unless its words say what."),
    "authentication_insufficient": _SIGN_IN_AGAIN,
    "insufficient_user_authentication": _SIGN_IN_AGAIN,
    "unavailable": _Advice("Try again later."),
}
"""What helps against each cause."""


def explain(response: Answered) -> Problem | None:
    """Say why a response is a refusal; None if it is none (neither 401 nor 403, nor a problem body that names a cause).

    A response of httpx that is streamed is explained by its headers alone, unless it was read.
    """
    members = _members(response)
    cause = members.pop("cause", None)
    if response.status_code not in (401, 403) and not isinstance(cause, str):
        return None
    challenge = bearer_challenge(response.headers.get("www-authenticate", ""))
    word = showable(cause) if isinstance(cause, str) else _guessed(response.status_code, challenge)
    said = challenge or {}
    advice = ADVICE.get(word, ADVICE["invalid_token"] if response.status_code == 401 else _CHECKLIST)
    return Problem(
        status=response.status_code,
        cause=word,
        detail=_text(members.pop("detail", None)) or showable(said.get("error_description", "")),
        what_to_do=advice.text,
        refresh_helps=advice.refresh_helps,
        ask_user=advice.ask_user,
        missing_scope=_text(members.pop("missing_scope", None)) or (showable(said.get("scope", "")) if response.status_code == 403 else ""),
        retry_after=seconds(response.headers.get("retry-after")),
        decision=_text(members.pop("decision", None)),
        more=_link(members.pop("more", None)),
        members={name: value for name, value in members.items() if name not in ("title", "status")},
    )


def raise_for_problem(response: Answered) -> None:
    """Do nothing with an answer that is no refusal.

    Raises:
        ApiRefused: it is one.
    """
    problem = explain(response)
    if problem is not None:
        raise ApiRefused(problem)


def _guessed(status: int, challenge: Mapping[str, str] | None) -> str:
    """The cause, as far as the challenge of an API without a problem body says it."""
    if challenge is None:
        return "unknown"
    if (error := challenge.get("error")) is not None:
        return showable(error)
    return "token_missing" if status == 401 else "unknown"


def _members(response: Answered) -> dict[str, object]:
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        return {}
    try:
        body = response.content
    except RuntimeError:  # streamed, and not read
        return {}
    try:
        return _decode(body) if len(body) <= _MAX_BODY else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _text(value: object) -> str:
    return showable(value) if isinstance(value, str) else ""


def _link(value: object) -> str:
    try:
        return secure_url(_text(value))
    except ValueError:
        return ""
