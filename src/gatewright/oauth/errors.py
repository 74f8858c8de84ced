"""The errors of the RFCs, one class per code; `web.reply` is the only renderer."""

from __future__ import annotations

from typing import ClassVar, Final


class OAuthError(Exception):
    """A refusal. `description` is for the developer at the other end, `why` only for our log."""

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 400

    def __init__(self, description: str, *, why: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.why = why


class InvalidRequest(OAuthError):
    """RFC 6749 §4.1.2.1, §5.2."""

    code = "invalid_request"


class UnsupportedBody(InvalidRequest):
    """RFC 9110 §15.5.16: the parameters came in a form that this client does not use."""

    status = 415


class InvalidClient(OAuthError):
    """RFC 6749 §5.2; 401, with a challenge when the Authorization header was used."""

    code = "invalid_client"
    status = 401

    def __init__(self, description: str, *, why: str = "", challenge: bool = False) -> None:
        super().__init__(description, why=why)
        self.challenge = challenge


class InvalidGrant(OAuthError):
    """RFC 6749 §5.2."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """RFC 6749 §4.1.2.1, §5.2."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """RFC 6749 §5.2."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """RFC 6749 §4.1.2.1."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """RFC 6749 §4.1.2.1, §5.2."""

    code = "invalid_scope"


class AccessDenied(OAuthError):
    """RFC 6749 §4.1.2.1, RFC 8628 §3.5."""

    code = "access_denied"


class AuthorizationPending(OAuthError):
    """RFC 8628 §3.5."""

    code = "authorization_pending"


class SlowDown(OAuthError):
    """RFC 8628 §3.5: from now on, five seconds more between two questions."""

    code = "slow_down"


class ExpiredToken(OAuthError):
    """RFC 8628 §3.5."""

    code = "expired_token"


class InvalidTarget(OAuthError):
    """RFC 8707 §2."""

    code = "invalid_target"


class LoginRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "login_required"


class ConsentRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "consent_required"


class InteractionRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "interaction_required"


class AccountSelectionRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "account_selection_required"


class UnmetAuthenticationRequirements(OAuthError):
    """OpenID Connect Core Error Code unmet_authentication_requirements 1.0."""

    code = "unmet_authentication_requirements"


class RequestNotSupported(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "request_uri_not_supported"


class RegistrationNotSupported(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "registration_not_supported"


class InvalidToken(OAuthError):
    """RFC 6750 §3.1."""

    code = "invalid_token"
    status = 401


class InsufficientScope(OAuthError):
    """RFC 6750 §3.1; `scope` is what the operation needs."""

    code = "insufficient_scope"
    status = 403

    def __init__(self, description: str, *, scope: str, why: str = "") -> None:
        super().__init__(description, why=why)
        self.scope = scope


class UnsupportedTokenType(OAuthError):
    """RFC 7009 §2.2.1."""

    code = "unsupported_token_type"


class ServerError(OAuthError):
    """RFC 6749 §4.1.2.1."""

    code = "server_error"
    status = 500


class TemporarilyUnavailable(OAuthError):
    """RFC 6749 §4.1.2.1; `retry_after` in seconds."""

    code = "temporarily_unavailable"
    status = 503

    def __init__(self, description: str, *, retry_after: int = 1, why: str = "") -> None:
        super().__init__(description, why=why)
        self.retry_after = retry_after


class PageError(Exception):
    """A fault before the redirect address is proved: shown as a page, never redirected (RFC 6749 §4.1.2.1)."""

    def __init__(self, error: OAuthError) -> None:
        super().__init__(error.description)
        self.error = error


ERRORS: Final[tuple[type[OAuthError], ...]] = (
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    AccessDenied,
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    InvalidTarget,
    LoginRequired,
    ConsentRequired,
    InteractionRequired,
    AccountSelectionRequired,
    UnmetAuthenticationRequirements,
    RequestNotSupported,
    RequestUriNotSupported,
    RegistrationNotSupported,
    InvalidToken,
    InsufficientScope,
    UnsupportedTokenType,
    ServerError,
    TemporarilyUnavailable,
)
