"""What a change does to what was given is what the decision says before and after it, whatever the platform."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gatewright.oauth.authorization import Basis, decided
from gatewright.oauth.catalogue import text_of
from gatewright.oauth.impact import NO_EFFECT, Scene, asks, effect, touched
from gatewright.oauth.impact import given as yields
from tests.property.platforms import EVERY_SCOPE, ROLES, Case, cases, some

numbers = some(EVERY_SCOPE)


def basis_of(case: Case, granted: frozenset[int], declined: frozenset[int]) -> Basis:
    """A grant of the case's party."""
    roles = text_of(case.party.roles) if case.party.member else None
    return (case.party.user, roles, text_of(granted), text_of(granted), text_of(declined - granted))


def scene(case: Case) -> Scene:
    """What decides in a case."""
    return Scene(case.catalogue, case.client)


@given(cases, cases, numbers, numbers)
def test_an_effect_is_the_difference_of_two_decisions(one: Case, other: Case, granted: frozenset[int], declined: frozenset[int]) -> None:
    basis, before, after = basis_of(one, granted, declined), scene(one), scene(other)
    found = effect(basis, before, after, roles_after=basis[1])
    had = decided(None, before.catalogue, one.client, basis).ids
    has = decided(None, after.catalogue, other.client, basis).ids
    assert (had - found.lost) | found.gained == has
    assert found.lost <= had
    assert found.lost.isdisjoint(found.gained)
    assert (found.lost | found.gained) <= granted, "no change gives more than was given, or takes what was not"


@given(cases, numbers, numbers)
def test_no_change_has_no_effect(case: Case, granted: frozenset[int], declined: frozenset[int]) -> None:
    basis = basis_of(case, granted, declined)
    assert effect(basis, scene(case), scene(case), roles_after=basis[1]) == NO_EFFECT
    assert touched(case.catalogue, case.catalogue) == frozenset()


@given(cases, numbers, numbers, numbers, st.sampled_from(ROLES))
def test_what_only_takes_away_is_never_said_to_give(
    case: Case, granted: frozenset[int], declined: frozenset[int], less: frozenset[int], role: int
) -> None:
    basis = basis_of(case, granted, declined)
    scopes = tuple(scope for scope in case.scopes if scope.id not in less)
    poorer = replace(case, scopes=scopes, roles=tuple(one for one in case.roles if one.id != role))
    assert effect(basis, scene(case), scene(poorer), roles_after=basis[1]).gained == frozenset()
    nothing = Scene(case.catalogue, None)
    assert effect(basis, scene(case), nothing, roles_after=basis[1]).lost == yields(basis, scene(case))
    assert not asks(basis, nothing)


@given(cases, cases, numbers, numbers)
def test_whatever_is_hit_by_what_a_tenant_defines_is_among_the_scopes_that_are_touched(
    one: Case, other: Case, granted: frozenset[int], declined: frozenset[int]
) -> None:
    basis = basis_of(one, granted, declined)
    same_client = replace(other, client=one.client)
    found = effect(basis, scene(one), scene(same_client), roles_after=basis[1])
    roles = set(one.client.settings.roles)
    if not roles:
        assert (found.lost | found.gained) <= touched(one.catalogue, same_client.catalogue)


@given(cases, numbers, numbers)
def test_nobody_is_asked_where_nobody_is_asked_today_or_nothing_is_left_to_ask(
    case: Case, granted: frozenset[int], declined: frozenset[int]
) -> None:
    basis = basis_of(case, granted, declined)
    trusted = replace(case.client, settings=replace(case.client.settings, party="first"))
    assert not asks(basis, Scene(case.catalogue, trusted))
    everything = basis_of(case, frozenset(EVERY_SCOPE), frozenset())
    assert not asks(everything, scene(case))
    assert not asks((False, *basis[1:]), scene(case))
