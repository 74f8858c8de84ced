"""What can go wrong between a program and its token, each with a sentence for whoever runs the program; none quotes a token."""

from typing import Final

_TEMPORARY: Final = frozenset({"temporarily_unavailable", "server_error"})


class ClientFault(Exception):
    """Anything that keeps this package from giving a token."""


class Unavailable(ClientFault):
    """The server gave no answer that we can use.

    `answered` is False if nothing came back, or what a gateway says in its place (5xx without an OAuth error): it may have acted all
    the same.
    """

    def __init__(self, why: str, *, answered: bool = True, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.answered = answered
        self.retry_after = retry_after


class Refused(ClientFault):
    """The server said no, in the words of RFC 6749 §5.2; `retry_after` are the seconds that it asks us to wait, if it does."""

    def __init__(self, error: str, description: str = "", *, status: int = 400, retry_after: float | None = None) -> None:
        super().__init__(f"{error}: {description}" if description else error)
        self.error = error
        self.description = description
        self.status = status
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status == 429 or self.status >= 500 or self.error in _TEMPORARY


class SignInNeeded(ClientFault):
    """Nobody is signed in, or the server renews the sign-in no longer: only a person can help, and a retry cannot."""


class NotSignedIn(ClientFault):
    """A sign-in at a device came to nothing (RFC 8628 §3.5): `error` is `access_denied` or `expired_token`."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


class WrongOrigin(ClientFault, ValueError):
    """A request to another place than the API for which the token was made. It was not sent."""


class StoreFault(ClientFault):
    """Where the tokens are kept cannot be used, or others can read it."""
