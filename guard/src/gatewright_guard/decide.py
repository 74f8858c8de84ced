"""May this caller do this here? The decision and the refusal as values (RFC 6750 §3, RFC 9457). Pure."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from gatewright_guard.reasons import SERVER_KNOWS, Reason
from gatewright_guard.refused import Cause
from gatewright_guard.verify import Claims

PROBLEM_TYPE: Final = "urn:gatewright:problem:"
"""What the `type` of a refusal begins with; the rest is its `error`, or its cause where RFC 6750 has no error for it."""

# RFC 6749 §3.3, scope-token: no space, no quote, no backslash, ASCII only, so a scope can stand in a header as it is.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_MAX_DETAIL: Final = 500


class Requirement(msgspec.Struct, frozen=True):
    """The scopes that something needs: all of one list, and one of another if that is not empty."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()

    def missing(self, scopes: frozenset[str]) -> tuple[str, ...]:
        """What these scopes lack; of alternatives the first, which should be the least powerful one."""
        lacking = tuple(scope for scope in self.all_of if scope not in scopes)
        if scopes.isdisjoint(self.any_of) and self.any_of and self.any_of[0] not in lacking:
            return (*lacking, self.any_of[0])
        return lacking

    def least(self, scopes: frozenset[str]) -> tuple[str, ...]:
        """What a token needs at least, given the scopes that it has: the `scope` of a challenge (RFC 6750 §3)."""
        chosen = next((scope for scope in self.any_of if scope in scopes), self.any_of[0]) if self.any_of else None
        return self.all_of if chosen is None or chosen in self.all_of else (*self.all_of, chosen)


def needs(*scopes: str, any_of: Sequence[str] = ()) -> Requirement:
    """A requirement of scopes that are fit to be named in a header; a slip is told where it is made."""
    if isinstance(any_of, str):
        raise TypeError("any_of is a list of scopes, not one text")
    for scope in (*scopes, *any_of):
        if not _SCOPE.fullmatch(scope):
            raise ValueError(f"{scope!r} is no scope as RFC 6749 §3.3 has it: one word of visible ASCII without quote and backslash")
    return Requirement(all_of=tuple(dict.fromkeys(scopes)), any_of=tuple(dict.fromkeys(any_of)))


class Allowed(msgspec.Struct, frozen=True):
    """The caller may; who it is stands in the claims."""

    claims: Claims


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller may not, and all that it is told."""

    status: int
    reason: Reason
    error: str | None
    """RFC 6750 §3.1; None where no credentials were sent, and where the fault is not the caller's."""
    detail: str
    scope: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    realm: str = "api"

    def headers(self) -> list[tuple[str, str]]:
        """The response's header fields, names in lower case."""
        said = [("content-type", "application/problem+json"), ("cache-control", "no-store")]
        if self.reason is Reason.UNAVAILABLE:
            return [*said, ("retry-after", "2")]
        return [*said, ("www-authenticate", self.challenge())]

    def challenge(self) -> str:
        """The WWW-Authenticate value (RFC 6750 §3): it says only sentences and scopes that were written in code."""
        said = [("realm", self.realm)]
        if self.error is not None:
            said += [("error", self.error), ("error_description", self.reason.sentence)]
        if self.scope:
            said.append(("scope", " ".join(self.scope)))
        return "Bearer " + ", ".join(f"{name}={quoted(value)}" for name, value in said)

    def body(self) -> bytes:
        """The problem document (RFC 9457 §3)."""
        kind = self.error or self.reason
        members: dict[str, object] = {
            "type": f"{PROBLEM_TYPE}{kind}",
            "title": _TITLES[kind],
            "status": self.status,
            "detail": self.detail,
            "cause": self.reason,
        }
        if self.missing:
            members["missing_scope"] = " ".join(self.missing)
        return msgspec.json.encode(members)


_TITLES: Final = {
    "invalid_request": "The request's credentials are malformed",
    "token_missing": "An access token is needed",
    "invalid_token": "The access token is not valid",
    "insufficient_scope": "The access token does not allow this",
    "unavailable": "The access token cannot be checked",
}


def quoted(text: str) -> str:
    """A quoted-string of RFC 9110 §5.6.4; what may not stand in one is left out, so that nothing ends it or the line."""
    visible = "".join(char for char in text if " " <= char <= "~")
    return '"' + visible.replace("\\", "\\\\").replace('"', '\\"') + '"'


def decide(claims: Claims | None, requirement: Requirement, *, account: str | None = None) -> Allowed | Refusal:
    """Whether these claims meet the requirement, in the account whose id or slug is given if the resource belongs to one."""
    if claims is None:
        return _refusal(401, Reason.TOKEN_MISSING, None)
    # RFC 9449 §7.2, RFC 8705 §3: without its key's proof, which this guard cannot check, a bound token is nobody's.
    if claims.bound:
        return _refusal(401, Reason.TOKEN_BOUND, "invalid_token")
    scopes = claims.scopes
    if account is not None:
        here = _scopes_in(claims, account)
        # The same words whether the account is another's or does not exist: we do not know, and nobody shall learn it here.
        if here is None or (requirement.missing(here) and not requirement.missing(scopes)):
            return _refusal(403, Reason.WRONG_ACCOUNT, "insufficient_scope")
        scopes = here
    missing = requirement.missing(scopes)
    return lacking(missing, requirement.least(scopes)) if missing else Allowed(claims)


def _scopes_in(claims: Claims, account: str) -> frozenset[str] | None:
    """The scopes that the token has in an account; None if it does not open it."""
    if claims.account is None and claims.account_id is None:
        # A token without an account passes only with scopes that the platform's admin gave reach over all accounts.
        return (claims.scopes & claims.reach) or None
    return claims.scopes if account and account in (claims.account, claims.account_id) else None


def lacking(missing: tuple[str, ...], scope: tuple[str, ...]) -> Refusal:
    """The refusal of a token that is good but not good enough (RFC 6750 §3.1)."""
    detail = f"The access token lacks the scope {' '.join(missing)}."
    return Refusal(status=403, reason=Reason.INSUFFICIENT_SCOPE, error="insufficient_scope", detail=detail, scope=scope, missing=missing)


def _refusal(status: int, reason: Reason, error: str | None) -> Refusal:
    return Refusal(status=status, reason=reason, error=error, detail=reason.sentence)


NO_RULE: Final = _refusal(403, Reason.NO_RULE, "insufficient_scope")
UNAVAILABLE: Final = _refusal(503, Reason.UNAVAILABLE, None)

# What stands behind a right signature of the right issuer, so that whoever holds the token may know it.
_TOLD: Final = {
    Cause.TOKEN_EXPIRED: Reason.TOKEN_EXPIRED,
    Cause.TOKEN_EARLY: Reason.TOKEN_EARLY,
    Cause.AUDIENCE_WRONG: Reason.WRONG_AUDIENCE,
}


def refused(cause: Cause) -> Refusal:
    """The refusal of a token that is not accepted at all: only its rightful holder learns more than that (RFC 6750 §3.1)."""
    if cause is Cause.REQUEST_MALFORMED:
        return _refusal(400, Reason.INVALID_REQUEST, "invalid_request")
    return _refusal(401, _TOLD.get(cause, Reason.INVALID_TOKEN), "invalid_token")


def explained(refusal: Refusal, cause: str, detail: str) -> Refusal:
    """The refusal with the cause that the server knows; as it was, if the server says something that we do not know."""
    if cause not in SERVER_KNOWS:
        return refusal
    reason = Reason(cause)
    sentence = detail if 0 < len(detail) <= _MAX_DETAIL and detail.isprintable() else reason.sentence
    if reason.ends_token:
        # 401 is the answer to a token that is over, whatever it lacks besides: nothing that it could ask for would help.
        return msgspec.structs.replace(refusal, status=401, error="invalid_token", reason=reason, detail=sentence, scope=(), missing=())
    return msgspec.structs.replace(refusal, reason=reason, detail=sentence)
