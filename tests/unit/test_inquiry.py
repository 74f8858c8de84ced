"""A refusal check by check: there is a question, a sentence and a cure for each verdict, and exactly one check that said no."""

from __future__ import annotations

import pytest

from gatewright.oauth.access import Form
from gatewright.oauth.decision import Verdict
from gatewright.oauth.finding import Finding, Judged
from gatewright.oauth.inquiry import ASKS, CURES, FOUND, NOW_GOOD, Said, Sight, Step, inquire
from tests.support import builders as b
from tests.support.clock import NOON

REFUSED = [verdict for verdict in Verdict if verdict is not Verdict.GRANTED]
BLIND = Sight()


@pytest.mark.parametrize("verdict", REFUSED)
def test_every_verdict_has_its_words(verdict: Verdict) -> None:
    assert FOUND[verdict].endswith(".")
    assert CURES[verdict].endswith(".")


def test_every_check_is_a_question() -> None:
    assert set(ASKS) == set(Step)
    assert all(text.endswith("?") for text in ASKS.values())


def a_finding(cause: Verdict, *scopes: Judged) -> Finding:
    return Finding(
        number=1, authorization=b.AUTHORIZATION, api=b.EVENTS.id, at=NOON, form=Form.JWT, cause=cause, scopes=scopes, account="other-co"
    )


OF_SCOPES = [
    Verdict.SCOPE_UNKNOWN, Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT, Verdict.ROLE_LACKS_SCOPE, Verdict.DECLINED_BY_USER,
    Verdict.NOT_CONSENTED, Verdict.SCOPE_NOT_REQUESTED, Verdict.BEYOND_GRANT,
]  # fmt: skip


@pytest.mark.parametrize("cause", REFUSED)
def test_exactly_one_check_said_no_and_none_behind_it_said_anything(cause: Verdict) -> None:
    finding = a_finding(cause, *([Judged(b.VIEW_EVENTS.id, cause)] if cause in OF_SCOPES else []))
    found = inquire(finding, b.a_standing(), b.a_client(), b.CATALOGUE, BLIND, NOON)
    answers = [[one.then for one in checks] for checks in (found.checks, *[look.checks for look in found.scopes])]
    assert sum(each.count(Said.NO) for each in answers) == 1
    for each in answers:
        first = each.index(Said.NO) if Said.NO in each else len(each)
        assert set(each[:first]) <= {Said.YES}
        assert set(each[first + 1 :]) <= {Said.NOTHING}


@pytest.mark.parametrize(
    ("sight", "said"),
    [
        (BLIND, "The token is for one account, and the call was about another one."),
        (Sight(names=True), "The token is for the account acme-dev, and the call was about another one."),
        (Sight(accounts=frozenset({"other-co"})), "The token is for one account, and the call was about the account other-co."),
    ],
)
def test_accounts_are_named_to_whoever_may_know_them(sight: Sight, said: str) -> None:
    found = inquire(a_finding(Verdict.WRONG_ACCOUNT), b.a_standing(), b.a_client(), b.CATALOGUE, sight, NOON)
    assert [one.note for one in found.checks if one.step is Step.PLACE] == [said]
    assert not found.would_pass


def test_a_token_that_ran_out_is_not_good_again_and_a_new_one_is() -> None:
    found = inquire(a_finding(Verdict.TOKEN_EXPIRED), b.a_standing(), b.a_client(), b.CATALOGUE, BLIND, NOON)
    token = next(one for one in found.checks if one.step is Step.TOKEN)
    assert (token.then, token.now) == (Said.NO, Said.NO)
    assert (found.would_pass, found.cure) == (True, NOW_GOOD)


def test_what_ended_meanwhile_is_said_of_now_alone() -> None:
    finding = a_finding(Verdict.ROLE_LACKS_SCOPE, Judged(b.VIEW_EVENTS.id, Verdict.ROLE_LACKS_SCOPE))
    standing = b.a_standing(grant_ended_at=NOON, grant_ended_because="withdrawn")
    found = inquire(finding, standing, b.a_client(), b.CATALOGUE, BLIND, NOON)
    assert [(one.then, one.now) for one in found.checks if one.step in (Step.ACCESS, Step.CLIENT)] == [
        (Said.YES, Said.NO),
        (Said.YES, Said.NOTHING),
    ]
    assert (found.cause, found.cure) == (Verdict.ROLE_LACKS_SCOPE, CURES[Verdict.GRANT_ENDED])


def test_a_role_is_asked_about_only_where_one_is_needed() -> None:
    bank = a_finding(Verdict.SCOPE_NOT_REQUESTED, Judged(b.TRANSFER.id, Verdict.SCOPE_NOT_REQUESTED))
    found = inquire(bank, b.a_standing(), b.a_client(), b.CATALOGUE, BLIND, NOON)
    assert Step.ROLE not in [one.step for one in found.scopes[0].checks]
    picky = inquire(bank, b.a_standing(), b.a_client(roles=(b.PARTICIPANT.id,)), b.CATALOGUE, BLIND, NOON)
    assert [one.now for one in picky.scopes[0].checks if one.step is Step.ROLE] == [Said.NO]


def test_nobody_is_asked_about_a_user_or_an_account_where_there_is_none() -> None:
    standing = b.a_standing(person=0, account=0, membership=0, account_slug=None)
    found = inquire(a_finding(Verdict.TOKEN_EXPIRED), standing, b.a_client(), b.CATALOGUE, BLIND, NOON)
    assert [one.step for one in found.checks] == [Step.ACCESS, Step.CLIENT, Step.TOKEN]
