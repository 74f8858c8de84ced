"""What an API reports of the use of scopes, as it travels: which scopes decided calls, under which authorizations, on which day.

It is closed on purpose: no address, no method, no user, no time of day has a place in it. The server reads it with the same types.
"""

from typing import Annotated, Final

import msgspec

MOST: Final = 400
"""Authorizations in one report."""

AUTHORIZATION: Final = r"^az_[0-9A-Za-z_-]+$"
SCOPE: Final = r"^[\x21\x23-\x5b\x5d-\x7e]+$"
LONGEST: Final = 200

Authorization = Annotated[str, msgspec.Meta(pattern=AUTHORIZATION, max_length=40)]
# RFC 6749 §3.3, scope-token.
Scope = Annotated[str, msgspec.Meta(pattern=SCOPE, max_length=LONGEST)]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One day's uses, as far as they were not reported before. An empty one says that there were none."""

    day: Day
    """In UTC (RFC 3339, full-date)."""
    uses: Annotated[dict[Authorization, Annotated[list[Scope], msgspec.Meta(max_length=100)]], msgspec.Meta(max_length=MOST)] = {}
    """The `gw_az` of access tokens, with the scopes that decided."""
    lost: bool = False
    """Whether uses that were not reported yet had to be forgotten, so that "never used" cannot be said of the time before."""
