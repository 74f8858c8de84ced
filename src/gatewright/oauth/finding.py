"""What was found when an API refused a call, as a text that only we can read: nothing is stored for a refusal (`docs/decisions/0018`).

The text stands in the link that the API's caller is given. It holds what was found at the time and whose access it was about; who may
read it is asked when the link is opened. So a flood of refusals writes no row, and the link tells a stranger nothing.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import TYPE_CHECKING, Final, get_args

from msgspec import Struct

from gatewright.base import ids
from gatewright.base.digest import b64, unb64
from gatewright.oauth.access import Form
from gatewright.oauth.authorization import EndedBecause
from gatewright.oauth.catalogue import OPENID_API
from gatewright.oauth.decision import Verdict

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.catalogue import Catalogue, Scope
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import Sealer

PATH: Final = "/-/decision/"
SHOWN_FOR: Final = 7 * 86400  # seconds for which whoever may see it sees what was found
_KEPT_DAYS: Final = 30  # days for which a text is known to be ours, so that its people are told that it is too old
LONGEST: Final = 200  # characters
DECISION: Final = "de"  # of an id that no row has, so client ids may begin with it
MOST_SCOPES: Final = 12
_LONGEST_ACCOUNT: Final = 40  # bytes; longer names are not kept

_NONCE_BYTES: Final = 12
_FIXED: Final = Layout(">BQQQIIIBBBB")
_LAYOUT: Final = 1  # what a text of this version begins with
_SCOPE: Final = Layout(">HB")
_OPENID: Final = 0xFF00  # where the places of OpenID's scopes begin
_NO_PLACE: Final = 0xFFFF

# Both are written down by their places here, so new ones go to the end.
_VERDICTS: Final = tuple(Verdict)
_BECAUSE: Final[tuple[str, ...]] = ("", *get_args(EndedBecause))
_FORMS: Final = tuple(Form)


class Judged(Struct, frozen=True):
    """One scope that was asked about, and what was said. `scope` is None where the API has none of that name."""

    scope: int | None
    verdict: Verdict


class Finding(Struct, frozen=True, kw_only=True):
    """Why a call was refused: the cause at the time `at`, of which token of which authorization, at which API.

    `number` is the decision id. `issued_at` and `expires_at` are the token's, 0 where it says none. `because` is what ended the access.
    `account` is the account in which the resource is, as the API named it, where that was the cause.
    """

    number: int
    authorization: int
    api: int
    at: int
    form: Form
    issued_at: int = 0
    expires_at: int = 0
    cause: Verdict
    because: str = ""
    scopes: tuple[Judged, ...] = ()
    account: str = ""

    @property
    def decision(self) -> str:
        """The id by which the line in the log is found."""
        return ids.show(DECISION, self.number)

    def too_old(self, now: int) -> bool:
        """Tell whether what was found is shown no more."""
        return now - self.at > SHOWN_FOR


def seal_finding(finding: Finding, issuer: Issuer, catalogue: Catalogue, sealer: Sealer, at: Moment) -> str:
    """Return a finding as the last part of its link: at most 200 characters, whatever was asked."""
    plain = _packed(finding, catalogue)
    return b64(sealer.seal(issuer.tenant, _place(issuer.url), plain, now=at.now, nonce=at.dice.bytes(_NONCE_BYTES)))


def link_of(text: str, issuer: Issuer) -> str:
    """Return the address of the page on which the checks are answered one by one."""
    return issuer.url + PATH + text


def open_finding(text: str, tenant: int, issuer: str, catalogue: Catalogue, sealer: Sealer, now: int) -> Finding | None:
    """Return the finding of such a text, or None when it is none of the issuer with this URL, or older than a month.

    What a newer version of the server sealed, while nodes are upgraded one by one, is none either.
    """
    if len(text) > LONGEST or not text.isascii():
        return None
    sealed = unb64(text)
    plain = None if sealed is None else sealer.unseal(tenant, _place(issuer), sealed, now=now, days=_KEPT_DAYS)
    try:
        return None if plain is None else _unpacked(plain, catalogue)
    except IndexError:  # a word that is not yet known here
        return None


def _place(issuer: str) -> str:
    # An issuer's URL begins with http, so no access token is ever taken for one of these, nor the other way round.
    return f"decision at {issuer}"


def _packed(finding: Finding, catalogue: Catalogue) -> bytes:
    # What was refused comes first: that is what is asked about, and there may be more than fits.
    scopes = sorted(finding.scopes, key=lambda one: one.verdict is Verdict.GRANTED)[:MOST_SCOPES]
    because = _BECAUSE.index(finding.because) if finding.because in _BECAUSE else 0
    fixed = _FIXED.pack(
        _LAYOUT,
        finding.number,
        finding.authorization,
        finding.api,
        finding.at,
        finding.issued_at,
        finding.expires_at,
        _FORMS.index(finding.form),
        _VERDICTS.index(finding.cause),
        because,
        len(scopes),
    )
    account = finding.account.encode()
    judged = b"".join([_SCOPE.pack(_written(one.scope, finding.api, catalogue), _VERDICTS.index(one.verdict)) for one in scopes])
    return fixed + judged + (account if len(account) <= _LONGEST_ACCOUNT else b"")


def _written(number: int | None, api: int, catalogue: Catalogue) -> int:
    scope = None if number is None else catalogue.scopes.get(number)
    # A place means something at its own API alone.
    if scope is None or scope.api not in (api, OPENID_API) or (scope.api != OPENID_API and scope.place >= _OPENID):
        return _NO_PLACE
    return _placed(scope)


def _unpacked(plain: bytes, catalogue: Catalogue) -> Finding | None:
    if plain[0] != _LAYOUT:
        return None  # sealed by another version of the server
    _, number, authorization, api, at, issued, expires, form, cause, because, count = _FIXED.unpack_from(plain)
    end = _FIXED.size + count * _SCOPE.size
    places = {_placed(scope): scope.id for scope in catalogue.scopes.values() if scope.api in (api, OPENID_API)}
    judged = [Judged(places.get(place), _VERDICTS[verdict]) for place, verdict in _SCOPE.iter_unpack(plain[_FIXED.size : end])]
    return Finding(
        number=number,
        authorization=authorization,
        api=api,
        at=at,
        issued_at=issued,
        expires_at=expires,
        form=_FORMS[form],
        cause=_VERDICTS[cause],
        because=_BECAUSE[because],
        scopes=tuple(judged),
        account=plain[end:].decode(),
    )


def _placed(scope: Scope) -> int:
    return _OPENID + scope.id if scope.api == OPENID_API else scope.place
