"""JWTs that are verified where they are used, and known again: an app shows the same token many times in its life."""

import hashlib
from typing import Final

from gatewright_guard.introspect import Terms
from gatewright_guard.jose import KeySet
from gatewright_guard.kept import Clock, Recent
from gatewright_guard.verify import Claims, verify_access_token

_KEPT: Final = 10_000


class KnownTokens:
    """What JWTs say. The same text under the same keys is right a second time, so its signature is checked once; its end always counts.

    A key that is gone from the issuer's set takes with it what it signed, since nothing is believed under another set without a check.
    Any thread may ask.
    """

    def __init__(self, terms: Terms, clock: Clock) -> None:
        self._terms = terms
        self._clock = clock
        # Only what was right is kept, so that a stranger's inventions push no good token out.
        self._right = Recent[tuple[KeySet, Claims]](_KEPT)

    def claims(self, token: str, keys: KeySet) -> Claims:
        """What a token says; `Refused` if it is not good here and now (RFC 9068 §4)."""
        now, terms = self._clock(), self._terms
        # The token itself is kept nowhere.
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._right.get(name, now)
        if known is not None and known[0][0] is keys:
            return known[0][1]
        claims = verify_access_token(token, keys, issuer=terms.issuer, audience=terms.audience, now=now, leeway=terms.leeway)
        if claims.exp is not None:
            self._right.put(name, (keys, claims), claims.exp + terms.leeway)
        return claims
