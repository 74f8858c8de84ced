"""What a link to a refusal holds: whole, short, ours alone, and worthless to everybody else."""

from __future__ import annotations

from typing import Final, get_args

import msgspec
import pytest

from gatewright.base.digest import Kind, b64, unb64
from gatewright.keys.sealer import RootSealer
from gatewright.oauth.access import Form
from gatewright.oauth.authorization import EndedBecause
from gatewright.oauth.catalogue import EMAIL, Catalogue, Scope
from gatewright.oauth.decision import Verdict
from gatewright.oauth.finding import LONGEST, MOST_SCOPES, Finding, Judged, open_finding, seal_finding
from gatewright.oauth.handle import open_handle
from tests.support import builders as b
from tests.support.clock import NOON, TestClock
from tests.support.world import ROOT

SEALER: Final = RootSealer(ROOT)
ISSUER: Final = b.an_issuer()
DAY: Final = 86400


def a_finding(**changed: object) -> Finding:
    """An ordinary finding, except for what is named."""
    fields: dict[str, object] = {
        "number": (1 << 63) - 1, "authorization": (1 << 63) - 2, "api": b.EVENTS.id, "at": NOON, "form": Form.JWT, "issued_at": NOON - 60,
        "expires_at": NOON + 840, "cause": Verdict.ROLE_LACKS_SCOPE, "scopes": (Judged(b.VIEW_EVENTS.id, Verdict.ROLE_LACKS_SCOPE),),
    }  # fmt: skip
    return msgspec.structs.replace(Finding(**(fields | changed)))  # type: ignore[arg-type]


def sealed(finding: Finding, catalogue: Catalogue = b.CATALOGUE) -> str:
    return seal_finding(finding, ISSUER, catalogue, SEALER, TestClock().moment())


def opened(text: str, now: int = NOON, catalogue: Catalogue = b.CATALOGUE) -> Finding | None:
    return open_finding(text, b.TENANT, b.URL, catalogue, SEALER, now)


@pytest.mark.parametrize("cause", [verdict for verdict in Verdict if verdict is not Verdict.GRANTED])
def test_every_cause_comes_back_as_it_went(cause: Verdict) -> None:
    finding = a_finding(cause=cause, scopes=(Judged(b.VIEW_EVENTS.id, cause), Judged(EMAIL, Verdict.GRANTED), Judged(None, cause)))
    found = opened(sealed(finding))
    assert found is not None
    assert found.cause is cause
    assert set(found.scopes) == set(finding.scopes)
    assert msgspec.structs.replace(found, scopes=()) == msgspec.structs.replace(finding, scopes=())


@pytest.mark.parametrize("because", ["", *get_args(EndedBecause)])
def test_what_ended_it_comes_back(because: str) -> None:
    found = opened(sealed(a_finding(because=because)))
    assert found is not None
    assert found.because == because


@pytest.mark.parametrize("form", list(Form))
def test_each_form_of_a_token_comes_back(form: Form) -> None:
    found = opened(sealed(a_finding(form=form)))
    assert found is not None
    assert found.form is form


def test_it_is_short_whatever_was_asked_and_keeps_what_was_refused() -> None:
    scopes = [Scope(1000 + n, f"scope:{n}", b.EVENTS.id, "A scope", place=n) for n in range(50)]
    catalogue = Catalogue([b.EVENTS], scopes, [])
    judged = tuple(Judged(scope.id, Verdict.ROLE_LACKS_SCOPE if n % 5 == 4 else Verdict.GRANTED) for n, scope in enumerate(scopes))
    text = sealed(a_finding(scopes=judged, account="a" * 40), catalogue)
    assert len(text) <= LONGEST
    found = opened(text, catalogue=catalogue)
    assert found is not None
    assert len(found.scopes) == MOST_SCOPES
    assert {one for one in judged if one.verdict is not Verdict.GRANTED} <= set(found.scopes)
    assert found.account == "a" * 40


def test_an_account_of_another_length_is_left_out_whole() -> None:
    found = opened(sealed(a_finding(account="ä" * 21)))
    assert found is not None
    assert found.account == ""


def test_a_scope_that_is_no_more_has_no_name() -> None:
    text = sealed(a_finding())
    found = opened(text, catalogue=Catalogue([b.EVENTS], [], []))
    assert found is not None
    assert found.scopes == (Judged(None, Verdict.ROLE_LACKS_SCOPE),)


def test_a_scope_of_another_api_is_not_taken_for_one_of_this() -> None:
    assert b.TRANSFER.place == b.VIEW_EVENTS.place
    found = opened(sealed(a_finding(scopes=(Judged(b.TRANSFER.id, Verdict.SCOPE_UNKNOWN),))))
    assert found is not None
    assert found.scopes == (Judged(None, Verdict.SCOPE_UNKNOWN),)


def test_what_another_version_sealed_is_nothing() -> None:
    plain = SEALER.unseal(b.TENANT, f"decision at {b.URL}", unb64(sealed(a_finding())) or b"", now=NOON)
    assert plain is not None

    def again(changed: bytes) -> Finding | None:
        return opened(b64(SEALER.seal(b.TENANT, f"decision at {b.URL}", changed, now=NOON, nonce=bytes(12))))

    assert again(plain) is not None
    assert again(b"\x02" + plain[1:]) is None
    assert again(plain[:-1] + b"\xff") is None  # a verdict of tomorrow


def test_whatever_is_changed_opens_nothing() -> None:
    text = sealed(a_finding())
    assert opened(text) is not None
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        assert opened(text[:place] + other + text[place + 1 :]) is None
    for wrong in ("", "x", text + "A", text[:-1], "A" * (LONGEST + 1), "é", "\udcff", " " + text):
        assert opened(wrong) is None


def test_it_is_no_token_and_no_token_is_one() -> None:
    text = sealed(a_finding())
    assert open_handle(Kind.ACCESS + text, ISSUER, SEALER, NOON) is None
    raw = SEALER.seal(b.TENANT, b.URL, bytes(80), now=NOON, nonce=bytes(12))
    assert opened(b64(raw)) is None


def test_it_is_shown_for_a_week_and_known_for_a_month() -> None:
    finding = a_finding()
    text = sealed(finding)
    assert not finding.too_old(NOON + 7 * DAY)
    assert finding.too_old(NOON + 7 * DAY + 1)
    assert opened(text, NOON + 30 * DAY) is not None
    assert opened(text, NOON + 31 * DAY) is None
