"""May this caller do this here? The decision and the refusal as values (RFC 6750 §3, RFC 9457). Pure."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from gatewright_guard.dpop import ALGORITHMS
from gatewright_guard.reasons import SERVER_KNOWS, Reason
from gatewright_guard.refused import Cause
from gatewright_guard.verify import Claims

PROBLEM_TYPE: Final = "urn:gatewright:problem:"
"""What the `type` of a refusal begins with; the rest is its `error`, or its cause where RFC 6750 has no error for it."""

# RFC 6749 §3.3, scope-token: no space, no quote, no backslash, ASCII only, so a scope can stand in a header as it is.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_MAX_DETAIL: Final = 500


class Requirement(msgspec.Struct, frozen=True):
    """What something needs: all scopes of one list, and one of another if that is not empty; seldom a role or a better sign-in."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    """One of these, if there are any; the server has to name roles to the API."""
    acr: tuple[str, ...] = ()
    """How the user must have been authenticated: one of these (RFC 9470 §3), if there are any."""
    max_age: int | None = None
    """How many seconds ago the user may have been authenticated at most (RFC 9470 §3)."""

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


def needs(
    *scopes: str, any_of: Sequence[str] = (), roles: Sequence[str] = (), acr: Sequence[str] = (), max_age: int | None = None
) -> Requirement:
    """A requirement of scopes that are fit to be named in a header; a slip is told where it is made.

    `any_of` lists alternatives, the least powerful first; of `roles` and of `acr` one will do; `max_age` is in seconds.
    """
    for name, listed in (("any_of", any_of), ("roles", roles), ("acr", acr)):
        if isinstance(listed, str):
            raise TypeError(f"{name} is a list, not one text")
    for value in acr:
        if not _SCOPE.fullmatch(value):
            raise ValueError(f"{value!r} is no acr: one word of visible ASCII without quote and backslash")
    if max_age is not None and max_age < 0:
        raise ValueError("max_age is a number of seconds, at least 0")
    for scope in (*scopes, *any_of):
        if not _SCOPE.fullmatch(scope):
            raise ValueError(f"{scope!r} is no scope as RFC 6749 §3.3 has it: one word of visible ASCII without quote and backslash")
    return Requirement(tuple(dict.fromkeys(scopes)), tuple(dict.fromkeys(any_of)), tuple(roles), tuple(acr), max_age)


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
    acr: tuple[str, ...] = ()
    max_age: int | None = None
    dpop: bool = False
    """Whether the challenge is one for a bound token (RFC 9449 §7.1)."""
    resource_metadata: str | None = None
    """Where the API describes itself (RFC 9728 §5.1)."""
    decision: str | None = None
    """What finds this refusal at the server, if the server was asked about it."""
    more: str | None = None
    """The server's page on which the checks are answered one by one, for whoever may see them."""

    def headers(self) -> list[tuple[str, str]]:
        """The response's header fields, names in lower case."""
        said = [("content-type", "application/problem+json"), ("cache-control", "no-store")]
        if self.reason is Reason.UNAVAILABLE:
            return [*said, ("retry-after", "2")]
        return [*said, ("www-authenticate", self.challenge())]

    def challenge(self) -> str:
        """The WWW-Authenticate value (RFC 6750 §3): it says only sentences, scopes and addresses that were written in code."""
        said = [("realm", self.realm)]
        if self.error is not None:
            said += [("error", self.error), ("error_description", self.reason.sentence)]
        if self.scope:
            said.append(("scope", " ".join(self.scope)))
        if self.acr:
            said.append(("acr_values", " ".join(self.acr)))
        if self.max_age is not None:
            said.append(("max_age", str(self.max_age)))
        if self.resource_metadata is not None:
            said.append(("resource_metadata", self.resource_metadata))
        if self.dpop:
            said.append(("algs", " ".join(ALGORITHMS)))
        return ("DPoP " if self.dpop else "Bearer ") + ", ".join(f"{name}={quoted(value)}" for name, value in said)

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
        if self.acr:
            members["acr_values"] = " ".join(self.acr)
        members |= {name: value for name in _OPTIONAL if (value := getattr(self, name)) is not None}
        return msgspec.json.encode(members)


_OPTIONAL: Final = ("max_age", "decision", "more")
_TITLES: Final = {
    "invalid_request": "The request's credentials are malformed",
    "token_missing": "An access token is needed",
    "invalid_token": "The access token is not valid",
    "insufficient_scope": "The access token does not allow this",
    "insufficient_user_authentication": "The user's sign-in is not enough for this",
    "invalid_dpop_proof": "The proof beside the access token does not hold",
    "role_missing": "The user has no role for this",
    "denied_by_api": "The API does not allow this",
    "unavailable": "The access token cannot be checked",
}


def quoted(text: str) -> str:
    """A quoted-string of RFC 9110 §5.6.4; what may not stand in one is left out, so that nothing ends it or the line."""
    visible = "".join(char for char in text if " " <= char <= "~")
    return '"' + visible.replace("\\", "\\\\").replace('"', '\\"') + '"'


def decide(
    claims: Claims | None, requirement: Requirement, *, account: str | None = None, now: float = 0, proved: bool = False
) -> Allowed | Refusal:
    """Whether these claims meet the requirement, in the account whose id or slug is given if the resource belongs to one.

    `now`, in epoch seconds, is looked at where a `max_age` is asked; `proved` tells that the caller holds what the token is bound to.
    """
    if claims is None:
        return NO_TOKEN
    # RFC 9449 §7.2, RFC 8705 §3: without its key's proof a bound token is nobody's.
    if not proved and claims.bound:
        return _refusal(401, Reason.TOKEN_BOUND, "invalid_token")
    scopes = claims.scopes
    if account is not None:
        here = _scopes_in(claims, account)
        # The same words whether the account is another's or does not exist: we do not know, and nobody shall learn it here.
        if here is None or (requirement.missing(here) and not requirement.missing(scopes)):
            return _refusal(403, Reason.WRONG_ACCOUNT, "insufficient_scope")
        scopes = here
    missing = requirement.missing(scopes)
    if missing:
        return lacking(missing, requirement.least(scopes))
    if requirement.roles and claims.roles.isdisjoint(requirement.roles):
        return _refusal(403, Reason.ROLE_MISSING, None)
    return _stepped_up(claims, requirement, now) or Allowed(claims)


def _stepped_up(claims: Claims, requirement: Requirement, now: float) -> Refusal | None:
    """The refusal of a token whose user has to sign in anew or better (RFC 9470 §3); None if that is not so."""
    acr, max_age = requirement.acr, requirement.max_age
    weak = bool(acr) and claims.acr not in acr
    old = max_age is not None and (claims.auth_time is None or now - claims.auth_time > max_age)
    if not (weak or old):
        return None
    refusal = _refusal(401, Reason.AUTHENTICATION_INSUFFICIENT, "insufficient_user_authentication")
    return msgspec.structs.replace(refusal, acr=acr if weak else (), max_age=max_age if old else None)


def _scopes_in(claims: Claims, account: str) -> frozenset[str] | None:
    """The scopes that the token has in an account; None if it does not open it."""
    if claims.account is None and claims.account_id is None:
        # A token without an account passes only with scopes that the platform's admin gave reach over all accounts.
        return (claims.scopes & claims.reach) or None
    return claims.scopes if account and account in (claims.account, claims.account_id) else None


def decided_by(claims: Claims, requirement: Requirement, account: str | None = None) -> tuple[str, ...]:
    """The scopes that let a call through: all that are needed together, and of alternatives the first that the token has."""
    all_of, any_of, scopes = requirement.all_of, requirement.any_of, claims.scopes
    if not any_of:
        return all_of
    if account is not None and claims.account is None and claims.account_id is None:
        scopes = scopes & claims.reach
    # Beside every call, so nothing is made that is not needed.
    for scope in any_of:
        if scope in scopes:
            return all_of if scope in all_of else (*all_of, scope)
    return all_of


def lacking(missing: tuple[str, ...], scope: tuple[str, ...]) -> Refusal:
    """The refusal of a token that is good but not good enough (RFC 6750 §3.1)."""
    detail = f"The access token lacks the scope {' '.join(missing)}."
    return Refusal(status=403, reason=Reason.INSUFFICIENT_SCOPE, error="insufficient_scope", detail=detail, scope=scope, missing=missing)


def _refusal(status: int, reason: Reason, error: str | None) -> Refusal:
    return Refusal(status=status, reason=reason, error=error, detail=reason.sentence)


NO_TOKEN: Final = _refusal(401, Reason.TOKEN_MISSING, None)
NO_RULE: Final = _refusal(403, Reason.NO_RULE, "insufficient_scope")
UNAVAILABLE: Final = _refusal(503, Reason.UNAVAILABLE, None)

# What stands behind a right signature of the right issuer, so that whoever holds the token may know it.
_TOLD: Final = {
    Cause.TOKEN_EXPIRED: Reason.TOKEN_EXPIRED,
    Cause.TOKEN_EARLY: Reason.TOKEN_EARLY,
    Cause.AUDIENCE_WRONG: Reason.WRONG_AUDIENCE,
    Cause.TOKEN_REVOKED: Reason.TOKEN_REVOKED,
    Cause.TOKEN_BOUND: Reason.TOKEN_BOUND,
    Cause.BINDING_UNKNOWN: Reason.TOKEN_BOUND,
    Cause.TOKEN_UNBOUND: Reason.TOKEN_UNBOUND,
    Cause.PROOF_WRONG: Reason.PROOF_WRONG,
    Cause.CERTIFICATE_WRONG: Reason.CERTIFICATE_WRONG,
}
_ASKS_FOR_PROOF: Final = (Cause.TOKEN_BOUND, Cause.PROOF_WRONG)


def refused(cause: Cause) -> Refusal:
    """The refusal of a token that is not accepted at all: only its rightful holder learns more than that (RFC 6750 §3.1)."""
    if cause is Cause.REQUEST_MALFORMED:
        return _refusal(400, Reason.INVALID_REQUEST, "invalid_request")
    error = "invalid_dpop_proof" if cause is Cause.PROOF_WRONG else "invalid_token"
    refusal = _refusal(401, _TOLD.get(cause, Reason.INVALID_TOKEN), error)
    return msgspec.structs.replace(refusal, dpop=True) if cause in _ASKS_FOR_PROOF else refusal


def denied(sentence: str | None = None) -> Refusal:
    """The refusal by the API's own rule, in its own words if it has any."""
    refusal = _refusal(403, Reason.DENIED_BY_API, None)
    return refusal if sentence is None else msgspec.structs.replace(refusal, detail=sentence)


def explained(refusal: Refusal, cause: str, detail: str, *, decision: str | None = None, more: str | None = None) -> Refusal:
    """The refusal with what the server knows of it; as it was, if the server says something that we do not know."""
    if cause not in SERVER_KNOWS:
        return refusal
    reason = Reason(cause)
    refusal = msgspec.structs.replace(refusal, decision=_visible(decision), more=_visible(more))
    sentence = detail if 0 < len(detail) <= _MAX_DETAIL and detail.isprintable() else reason.sentence
    if reason.ends_token:
        # 401 is the answer to a token that is over, whatever it lacks besides: nothing that it could ask for would help.
        return msgspec.structs.replace(refusal, status=401, error="invalid_token", reason=reason, detail=sentence, scope=(), missing=())
    if reason is Reason.IP_NOT_ALLOWED:
        # Introspection says of it what it says of a token that is over, but the token is good: another one would be refused here too.
        return msgspec.structs.replace(
            refusal, status=403, error="insufficient_scope", reason=reason, detail=sentence, scope=(), missing=()
        )
    return msgspec.structs.replace(refusal, reason=reason, detail=sentence)


def _visible(text: str | None) -> str | None:
    return text if text is not None and 0 < len(text) <= _MAX_DETAIL and text.isascii() and text.isprintable() else None
