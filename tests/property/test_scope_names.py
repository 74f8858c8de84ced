"""Other names of scopes, and scopes that retire, over platforms of any shape: nothing is decided by what a scope is called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gatewright.oauth.authorization import decided
from gatewright.oauth.catalogue import Catalogue, said, text_of
from gatewright.oauth.decision import Decision, Verdict, decide
from tests.property.platforms import NAMES, SCOPES, Case, cases, some


def renamed(case: Case, which: frozenset[int]) -> Case:
    """The same platform after these scopes were renamed, their old names kept."""
    scopes = [replace(one, name=f"new:{one.id}", aliases=(one.name,)) if one.id in which else one for one in case.scopes]
    return replace(case, scopes=tuple(scopes))


def asked(case: Case, names: tuple[str, ...]) -> Decision:
    """The decision on some names."""
    return decide(names, case.catalogue, case.client, case.party, case.bounds)


def new_name(name: str, which: frozenset[int]) -> str:
    """How a scope is called after it was renamed."""
    return next((f"new:{number}" for number in which if NAMES[number] == name), name)


@given(cases, some(SCOPES))
def test_a_renaming_changes_no_decision(case: Case, which: frozenset[int]) -> None:
    after = renamed(case, which)
    before = asked(case, case.names)
    for names in (case.names, tuple(new_name(name, which) for name in case.names)):
        found = asked(after, names)
        assert found.ids == before.ids
        assert {verdict for _, verdict in found.refused} == {verdict for _, verdict in before.refused}


@given(cases, some(SCOPES))
def test_asked_for_by_all_its_names_a_scope_is_given_once(case: Case, which: frozenset[int]) -> None:
    after = renamed(case, which)
    names = (*case.names, *(new_name(name, which) for name in case.names))
    granted = [scope.id for scope in asked(after, names).granted]
    assert len(granted) == len(set(granted))
    assert frozenset(granted) == asked(case, case.names).ids


@given(cases, some(SCOPES))
def test_what_a_token_says_is_understood_again_and_means_the_same(case: Case, which: frozenset[int]) -> None:
    after = renamed(case, which)
    granted = asked(after, case.names)
    assert asked(after, tuple(said(granted.granted).split())).ids == granted.ids
    old = tuple(asked(case, case.names).scope.split())
    assert asked(after, old).ids == granted.ids, "a token from before the renaming means what it meant"
    assert set(old) <= set(granted.scope.split()), "whoever looks for the old name finds it"


@given(cases, some(SCOPES))
def test_the_end_of_a_name_gives_nothing_to_anybody(case: Case, which: frozenset[int]) -> None:
    after = renamed(case, which)
    ended = replace(after, scopes=tuple(replace(one, aliases=()) for one in after.scopes))
    assert asked(ended, case.names).ids <= asked(after, case.names).ids
    gone = {name for name in case.names if new_name(name, which) != name}
    assert all(verdict is Verdict.SCOPE_UNKNOWN for name, verdict in asked(ended, case.names).refused if name in gone)


@given(cases, some(SCOPES))
def test_a_scope_that_retires_takes_itself_and_nothing_else(case: Case, gone: frozenset[int]) -> None:
    flat = replace(case, scopes=tuple(replace(one, implies=()) for one in case.scopes))
    left = replace(flat, scopes=tuple(one for one in flat.scopes if one.id not in gone))
    assert asked(left, case.names).ids == asked(flat, case.names).ids - gone


@given(cases, some(SCOPES), st.sampled_from(SCOPES), st.sampled_from(SCOPES))
def test_an_edge_that_is_made_later_widens_no_grant(case: Case, granted: frozenset[int], of: int, to: int) -> None:
    """`security-rules` 34."""
    basis = (case.party.user, text_of(case.party.roles) if case.party.member else None, text_of(granted), text_of(granted), "")
    edge = [replace(one, implies=(*one.implies, to)) if one.id == of else one for one in case.scopes]
    later = Catalogue(list(case.apis), edge, list(case.roles))
    assert decided(None, later, case.client, basis).ids <= granted
