"""What proves that a form was ours, in this browser, for this step: tokens, the requests under way, and where a post came from.

SameSite does not tell sibling hosts apart, so every form has a token, the sign-in's too (`security-rules` 40, 54).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base.digest import b64, same

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import Sealer

MOST_JOURNEYS: Final = 8  # tabs that may be signing in at once; the oldest gives way
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 16
_PURPOSE: Final = "form"


def token(sealer: Sealer, issuer: Issuer, *parts: str) -> str:
    """Return the token of a form: a MAC over what it is for, which browser and which session it was shown to."""
    message = "\0".join((issuer.url, *parts)).encode()
    return b64(sealer.mac(_PURPOSE, issuer.tenant, message))


def fits(shown: str, sealer: Sealer, issuer: Issuer, *parts: str) -> bool:
    """Tell whether a form came back with its token."""
    return same(shown, token(sealer, issuer, *parts))


def from_here(issuer: Issuer, origin: str | None, fetch_site: str | None) -> bool:
    """Tell whether a post may come from a page of ours, as far as the browser says (Fetch Metadata §2.4, RFC 6454 §7).

    With no-referrer, which our pages ask for, a form's Origin is `null`; the token decides then.
    """
    if fetch_site is not None:
        return fetch_site in ("same-origin", "none")
    return origin in (None, "null", issuer.url)


class Journeys:
    """The requests under way in one browser, each with a secret, as its cookie lists them: the newest first."""

    __slots__ = ("_secrets",)

    def __init__(self, cookie: str) -> None:
        self._secrets: dict[str, str] = {}
        for part in cookie.split("~")[:MOST_JOURNEYS]:
            number, dot, secret = part.partition(".")
            if dot and number and secret:
                self._secrets.setdefault(number, secret)

    def secret(self, number: str) -> str | None:
        """Return the secret of a request that began in this browser and is not answered yet."""
        return self._secrets.get(number)

    def begin(self, at: Moment) -> str:
        """Add a request and return its id."""
        number = b64(at.dice.bytes(_ID_BYTES))
        self._secrets = {number: b64(at.dice.bytes(_SECRET_BYTES)), **self._secrets}
        return number

    def end(self, number: str) -> None:
        """Take a request away: it was answered."""
        self._secrets.pop(number, None)

    @property
    def cookie(self) -> str:
        """The value of the cookie."""
        return "~".join([f"{number}.{secret}" for number, secret in list(self._secrets.items())[:MOST_JOURNEYS]])
