"""Why a token is no good, said once: the guard's own causes and the exception that carries one."""

import enum


class Cause(enum.StrEnum):
    """What made us refuse a token; the list is closed."""

    TOKEN_MALFORMED = "token_malformed"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE_WRONG = "signature_wrong"
    TYPE_WRONG = "type_wrong"
    CLAIM_MALFORMED = "claim_malformed"
    ISSUER_WRONG = "issuer_wrong"
    AUDIENCE_WRONG = "audience_wrong"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_EARLY = "token_early"

    @property
    def authentic(self) -> bool:
        """Whether the one who presented the token held something that this issuer made."""
        return self in _AUTHENTIC


# Only its holder is told more than `invalid_token`, so only what stands behind a right signature of the right issuer is here.
_AUTHENTIC = frozenset({Cause.AUDIENCE_WRONG, Cause.TOKEN_EXPIRED, Cause.TOKEN_EARLY})


class Refused(Exception):
    """A token that is not accepted: the cause is for programs, `why` for our log, and neither quotes the token."""

    def __init__(self, cause: Cause, why: str) -> None:
        super().__init__(cause, why)
        self.cause = cause
        self.why = why
