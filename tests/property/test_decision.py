"""The one decision, over platforms of any shape: never more than its inputs, never more after something was taken away."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gatewright.oauth.catalogue import OPENID_API, Catalogue
from gatewright.oauth.client import Client
from gatewright.oauth.decision import Bounds, Decision, Party, Verdict, decide, nothing_granted, open_to, refusal
from gatewright.oauth.errors import AccessDenied, InvalidScope
from gatewright.web.reply import ascii_text
from tests.property.platforms import EVERY_SCOPE, ROLES, SCOPES, Case, cases, names, some, with_settings
from tests.support.builders import a_client

EVERYTHING = frozenset(EVERY_SCOPE)


def decided(case: Case) -> Decision:
    """The decision on a case."""
    return decide(case.names, case.catalogue, case.client, case.party, case.bounds)


def by_name(decision: Decision) -> dict[str, Verdict]:
    """Every name with what was said of it."""
    return {scope.name: Verdict.GRANTED for scope in decision.granted} | dict(decision.refused)


@given(cases)
def test_every_name_that_was_asked_for_gets_exactly_one_answer(case: Case) -> None:
    decision = decided(case)
    answered = [scope.name for scope in decision.granted] + [name for name, _ in decision.refused]
    assert sorted(answered) == sorted(set(case.names))
    assert Verdict.GRANTED not in dict(decision.refused).values()
    granted = [scope.name for scope in decision.granted]
    assert granted == [name for name in dict.fromkeys(case.names) if name in granted], "in the order in which they were asked for"


@given(cases)
def test_nothing_is_granted_beyond_any_single_input(case: Case) -> None:
    catalogue, decision = case.catalogue, decided(case)
    asked = {catalogue.scopes_by_name[name].id for name in case.names if name in catalogue.scopes_by_name}
    assert decision.ids <= asked
    assert decision.ids <= case.client.scopes
    for bound in (case.bounds.ceiling, case.bounds.consented):
        assert bound is None or decision.ids <= bound
    for scope in decision.granted:
        if scope.api != OPENID_API:
            api = catalogue.apis[scope.api]
            assert not api.disabled
            assert not case.party.user or case.party.member
            assert not case.party.user or api.roles == "off" or scope.id in open_to(catalogue, case.client, case.party)


@given(cases)
def test_what_every_input_allows_is_granted(case: Case) -> None:
    catalogue = case.catalogue
    held = open_to(catalogue, case.client, case.party)
    user = {
        scope.id
        for scope in catalogue.scopes.values()
        if scope.api == OPENID_API
        or not case.party.user
        or (case.party.member and (catalogue.apis[scope.api].roles == "off" or scope.id in held))
    }
    alive = {scope.id for scope in catalogue.scopes.values() if scope.api == OPENID_API or not catalogue.apis[scope.api].disabled}
    consented = EVERYTHING if case.bounds.consented is None else case.bounds.consented
    ceiling = EVERYTHING if case.bounds.ceiling is None else case.bounds.ceiling
    asked = {catalogue.scopes_by_name[name].id for name in case.names if name in catalogue.scopes_by_name}
    assert decided(case).ids == asked & case.client.scopes & user & alive & consented & ceiling


@given(cases, st.integers(0, 7))
def test_the_order_and_number_of_the_requested_scopes_do_not_matter(case: Case, turn: int) -> None:
    other = (*case.names[turn:][::-1], *case.names[:turn], *case.names)
    assert by_name(decided(replace(case, names=other))) == by_name(decided(case))


@given(cases)
def test_what_was_granted_is_granted_again(case: Case) -> None:
    first = decided(case)
    names_again = tuple(scope.name for scope in first.granted)
    assert decided(replace(case, names=names_again)) == Decision(first.granted, ())
    within = decided(replace(case, bounds=Bounds(consented=first.ids, declined=frozenset(), ceiling=first.ids)))
    assert within.granted == first.granted


@given(cases, names)
def test_each_name_is_decided_by_itself(case: Case, others: tuple[str, ...]) -> None:
    alone, together = by_name(decided(case)), by_name(decided(replace(case, names=(*others, *case.names))))
    assert {name: together[name] for name in alone} == alone


def poorer(case: Case, less: frozenset[int], role: int) -> dict[str, Case]:
    """The same case after one thing was taken away, by what that was."""
    bounds, party, kept = case.bounds, case.party, case.settings
    consented = EVERYTHING if bounds.consented is None else bounds.consented
    ceiling = EVERYTHING if bounds.ceiling is None else bounds.ceiling
    fewer = {role} if not kept.roles else frozenset(kept.roles) - {role}
    return {
        "a role of the user": replace(case, party=replace(party, roles=party.roles - {role})),
        "scopes of the roles": replace(case, roles=tuple(replace(one, scopes=one.scopes - less) for one in case.roles)),
        "a role of the tenant": replace(case, roles=tuple(one for one in case.roles if one.id != role)),
        "the membership": replace(case, party=Party(user=party.user)),
        "scopes of the client": with_settings(case, scopes=case.client.scopes - less),
        "roles that the client is for": with_settings(case, roles=frozenset(fewer)) if fewer else case,
        "consents": replace(case, bounds=replace(bounds, consented=consented - less)),
        "the ceiling": replace(case, bounds=replace(bounds, ceiling=ceiling - less)),
        "the APIs": replace(case, apis=tuple(replace(api, disabled=True) for api in case.apis)),
        "their openness": replace(case, apis=tuple(replace(api, roles="required") for api in case.apis)),
        "scopes of the tenant": replace(case, scopes=tuple(scope for scope in case.scopes if scope.id not in less)),
        "implications": replace(case, scopes=tuple(replace(scope, implies=()) for scope in case.scopes)),
    }


@given(cases, some(EVERY_SCOPE), st.sampled_from(ROLES))
def test_taking_something_away_never_adds_a_scope(case: Case, less: frozenset[int], role: int) -> None:
    before = decided(case).ids
    grew = {what: decided(left).ids - before for what, left in poorer(case, less, role).items()}
    assert {what: added for what, added in grew.items() if added} == {}


@given(cases, some(EVERY_SCOPE))
def test_a_remembered_no_only_names_the_reason(case: Case, declined: frozenset[int]) -> None:
    other = replace(case, bounds=replace(case.bounds, declined=declined))
    assert decided(other).granted == decided(case).granted


@given(cases)
def test_the_refusal_of_everything_blames_the_client_or_the_user_in_characters_of_the_rfc(case: Case) -> None:
    decision = decided(case)
    refusal = nothing_granted(Decision((), decision.refused))
    users = {Verdict.DECLINED_BY_USER, Verdict.ROLE_LACKS_SCOPE, Verdict.MEMBERSHIP_ENDED}
    blamed = users & {verdict for _, verdict in decision.refused}
    assert type(refusal) is (AccessDenied if blamed else InvalidScope)
    assert ascii_text(refusal.description) == refusal.description


@given(cases, names)
def test_who_wants_all_or_nothing_gets_exactly_what_was_asked_for_or_is_told_what_is_denied(case: Case, others: tuple[str, ...]) -> None:
    whole = a_client(scopes=tuple(sorted(case.client.scopes)), roles=case.settings.roles, denied="refuse")
    implied = tuple(name for name in others if name not in case.names)
    # What is only implied is nobody's demand, so its being denied refuses nothing.
    decision = decide((*case.names, *implied), case.catalogue, whole, case.party, case.bounds)
    assert decision == decide((*case.names, *implied), case.catalogue, case.client, case.party, case.bounds), "the verdicts are the same"
    error = refusal(decision, whole, case.names)
    denied = [(name, verdict) for name, verdict in decision.refused if name in case.names]
    assert (error is None) == (bool(decision.granted) and not denied)
    if error is not None:
        assert isinstance(error, AccessDenied | InvalidScope)
        assert ascii_text(error.description) == error.description
        if decision.granted:
            assert str(denied[0][1]) in error.description
    dropping = refusal(decision, case.client, case.names)
    assert (dropping is None) == bool(decision.granted), "without the setting what is denied is left out"


@given(cases, some(SCOPES), some(SCOPES))
def test_implication_is_a_closure(case: Case, one: frozenset[int], other: frozenset[int]) -> None:
    catalogue: Catalogue = case.catalogue
    assert one <= catalogue.implied(one) == catalogue.implied(catalogue.implied(one))
    assert catalogue.implied(one) <= catalogue.implied(one | other) == catalogue.implied(one) | catalogue.implied(other)


def of_type(case: Case, demo_scopes: Literal["marked", "all"]) -> Client:
    """The client of a case with its credentials published."""
    return replace(case.client, settings=replace(case.settings, type="demo", demo_scopes=demo_scopes))


@given(cases, st.sets(st.sampled_from(sorted(EVERY_SCOPE))))
def test_published_credentials_are_given_only_what_is_marked_for_them_and_never_more_than_others(case: Case, marked: set[int]) -> None:
    catalogue = Catalogue(
        list(case.catalogue.apis.values()),
        [replace(scope, demo=scope.id in marked) for scope in case.catalogue.scopes.values() if scope.api != OPENID_API],
        list(case.catalogue.roles.values()),
    )
    usual = decide(case.names, catalogue, case.client, case.party, case.bounds)
    demo = decide(case.names, catalogue, of_type(case, "marked"), case.party, case.bounds)
    assert demo.ids <= usual.ids
    assert all(scope.demo or scope.api == OPENID_API for scope in demo.granted)
    opened = decide(case.names, catalogue, of_type(case, "all"), case.party, case.bounds)
    assert opened == usual
