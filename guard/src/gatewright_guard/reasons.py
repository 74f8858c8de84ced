"""What a caller may be told about a refusal: one closed table of reasons, each with the sentence that helps.

The first part is what the guard sees itself, the second is what the server knows and tells the guard on request. The sentences
go into a header too, so they keep to the characters of RFC 6750 §3: no quote, no backslash, ASCII only.
"""

import enum
from typing import Final


class Reason(enum.StrEnum):
    """The member `cause` of a refusal."""

    INVALID_REQUEST = "invalid_request"
    TOKEN_MISSING = "token_missing"
    INVALID_TOKEN = "invalid_token"
    TOKEN_EARLY = "token_early"
    TOKEN_BOUND = "token_bound"
    TOKEN_UNBOUND = "token_unbound"
    PROOF_WRONG = "proof_wrong"
    CERTIFICATE_WRONG = "certificate_wrong"
    WRONG_AUDIENCE = "wrong_audience"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    ROLE_MISSING = "role_missing"
    AUTHENTICATION_INSUFFICIENT = "authentication_insufficient"
    DENIED_BY_API = "denied_by_api"
    NO_RULE = "no_rule"
    UNAVAILABLE = "unavailable"

    TOKEN_EXPIRED = "token_expired"
    WRONG_ACCOUNT = "wrong_account"
    SCOPE_UNKNOWN = "scope_unknown"
    SCOPE_NOT_REQUESTED = "scope_not_requested"
    SCOPE_NOT_ALLOWED_TO_CLIENT = "scope_not_allowed_to_client"
    ROLE_LACKS_SCOPE = "role_lacks_scope"
    DECLINED_BY_USER = "declined_by_user"
    NOT_CONSENTED = "not_consented"
    BEYOND_GRANT = "beyond_grant"
    RESOURCE_OF_OTHER_ACCOUNT = "resource_of_other_account"
    MEMBERSHIP_ENDED = "membership_ended"
    ACCOUNT_DISABLED = "account_disabled"
    USER_DISABLED = "user_disabled"
    CLIENT_DISABLED = "client_disabled"
    IP_NOT_ALLOWED = "ip_not_allowed"
    TOKEN_REVOKED = "token_revoked"
    GRANT_ENDED = "grant_ended"

    @property
    def sentence(self) -> str:
        """What went wrong and what to do about it, for the developer of the calling app."""
        return _SENTENCES[self]

    @property
    def ends_token(self) -> bool:
        """Whether the token is over, so that the answer is 401 whatever it lacked besides."""
        return self in _ENDS


_ENDS: Final = frozenset(
    {
        Reason.TOKEN_EXPIRED,
        Reason.TOKEN_REVOKED,
        Reason.GRANT_ENDED,
        Reason.USER_DISABLED,
        Reason.ACCOUNT_DISABLED,
        Reason.MEMBERSHIP_ENDED,
        Reason.CLIENT_DISABLED,
    }
)

SERVER_KNOWS: Final = frozenset(reason for reason in list(Reason)[list(Reason).index(Reason.TOKEN_EXPIRED) :])
"""The reasons that the server may give; another word from it is taken for no answer."""

_SENTENCES: Final = {
    Reason.INVALID_REQUEST: "Send one access token, in one Authorization header: Bearer, a space, the token; never in the address.",
    Reason.TOKEN_MISSING: "This needs an access token in the Authorization header: Bearer, a space, the token.",
    Reason.INVALID_TOKEN: "The access token is not valid here.",
    Reason.TOKEN_EARLY: "The access token is not valid yet: a clock may be wrong.",
    Reason.TOKEN_BOUND: "The access token is bound to a key and cannot be used as a bearer token.",
    Reason.TOKEN_UNBOUND: "The access token is bound to no key: send it as a bearer token.",
    Reason.PROOF_WRONG: "The access token is bound to a key, and the DPoP proof does not hold: make one for each request.",
    Reason.CERTIFICATE_WRONG: "The access token is bound to a client certificate, and the connection has not shown it.",
    Reason.WRONG_AUDIENCE: "The access token was made for another API. Ask for one with this API as its resource.",
    Reason.INSUFFICIENT_SCOPE: "The access token lacks a scope that this needs.",
    Reason.ROLE_MISSING: "This needs a role that the user is not known to have in this account. An account admin can give it.",
    Reason.AUTHENTICATION_INSUFFICIENT: "This needs a newer or stronger sign-in: send the user to the authorization page.",
    Reason.DENIED_BY_API: "The API does not allow this here, whatever the access token allows.",
    Reason.NO_RULE: "Nobody may do this here: the API has no rule for it.",
    Reason.UNAVAILABLE: "The access token cannot be checked at the moment. Try again soon.",
    Reason.TOKEN_EXPIRED: "The access token has expired. Get a new one with the refresh token, or ask the user again.",
    Reason.WRONG_ACCOUNT: "The access token does not open this account.",
    Reason.SCOPE_UNKNOWN: "No API of this platform has the scope.",
    Reason.SCOPE_NOT_REQUESTED: "The app did not ask for the scope. Ask for it in the authorization request.",
    Reason.SCOPE_NOT_ALLOWED_TO_CLIENT: "The app is not allowed the scope. The platform has to allow it first.",
    Reason.ROLE_LACKS_SCOPE: "The user has no role with the scope in this account. A refresh will not help; an account admin can.",
    Reason.DECLINED_BY_USER: "The user declined the scope.",
    Reason.NOT_CONSENTED: "The scope is not, or not any more, part of what the app was given. Send the user to the authorization page.",
    Reason.BEYOND_GRANT: "The scope is beyond what was granted. Ask for it in a new authorization request.",
    Reason.RESOURCE_OF_OTHER_ACCOUNT: "The access token does not open the account of this resource.",
    Reason.MEMBERSHIP_ENDED: "The user is no longer a member of the account.",
    Reason.ACCOUNT_DISABLED: "The account is disabled.",
    Reason.USER_DISABLED: "The user is disabled.",
    Reason.CLIENT_DISABLED: "The app is disabled.",
    Reason.IP_NOT_ALLOWED: "The app may not be used from this address.",
    Reason.TOKEN_REVOKED: "The access token was revoked.",
    Reason.GRANT_ENDED: "The access was ended. Send the user to the authorization page.",
}
