"""Why a token is no good, said once: the guard's own causes and the exception that carries one."""

import enum


class Cause(enum.StrEnum):
    """What made us refuse a token; the list is closed."""

    REQUEST_MALFORMED = "request_malformed"
    TOKEN_MALFORMED = "token_malformed"
    KEY_UNKNOWN = "key_unknown"
    KEY_WITHDRAWN = "key_withdrawn"
    SIGNATURE_WRONG = "signature_wrong"
    TYPE_WRONG = "type_wrong"
    CLAIM_MALFORMED = "claim_malformed"
    ISSUER_WRONG = "issuer_wrong"
    AUDIENCE_WRONG = "audience_wrong"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_EARLY = "token_early"
    TOKEN_INACTIVE = "token_inactive"
    TOKEN_REVOKED = "token_revoked"
    TOKEN_BOUND = "token_bound"
    BINDING_UNKNOWN = "binding_unknown"
    TOKEN_UNBOUND = "token_unbound"
    PROOF_WRONG = "proof_wrong"
    CERTIFICATE_WRONG = "certificate_wrong"


class Refused(Exception):
    """A token that is not accepted: the cause is for programs, `why` for our log, and neither quotes the token."""

    def __init__(self, cause: Cause, why: str) -> None:
        super().__init__(cause, why)
        self.cause = cause
        self.why = why
