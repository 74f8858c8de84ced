"""Scopes named by their places: what was written is read again, whatever else was made, retired or approved since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatewright.oauth import handle, places
from gatewright.oauth.catalogue import MANAGEMENT_API, MANAGEMENT_SCOPES, OPENID_IDS, OPENID_SCOPES, Api, Catalogue, Scope

API, OTHER = 101, 102
far = st.sets(st.one_of(st.integers(0, 300), st.integers(0, 3000)), min_size=1, max_size=60)
openid = st.sets(st.sampled_from(OPENID_SCOPES))


def scopes(numbers: set[int], api: int = API) -> dict[int, Scope]:
    """Scopes at these places of an API; their ids tell nothing of them."""
    return {place: Scope(1000 * api + 7919 * place % 90_001, f"{api}:{place}", api, "Do something", place=place) for place in numbers}


def catalogue(*made: dict[int, Scope]) -> Catalogue:
    """What a tenant with two such APIs defines."""
    apis = [Api(id=number, audience=f"https://{number}.test", name="An API") for number in (API, OTHER)]
    return Catalogue(apis, [scope for some in made for scope in some.values()], [])


@given(far, far, far, openid, st.integers(10, 60), st.data())
def test_what_was_written_is_read_again_and_nothing_else(
    at: set[int], later: set[int], elsewhere: set[int], of_openid: set[Scope], room: int, data: st.DataObject
) -> None:
    mine, others = scopes(at | later), scopes(elsewhere, OTHER)
    wanted = [mine[place] for place in data.draw(st.sets(st.sampled_from(sorted(at))))] + sorted(of_openid, key=lambda scope: scope.id)
    text = places.write(wanted, room)
    if text is None:
        return
    assert len(text) <= room
    now = catalogue(mine, others)
    # The row may hold more by now than it did, of this API and of others: the token still has what it had.
    found = places.names(text, frozenset(now.scopes), API, now)
    assert set(found) == {scope.name for scope in wanted}
    assert places.names(text, OPENID_IDS, API, now) == now.names(frozenset(scope.id for scope in of_openid))
    # A retired scope leaves its place to nobody.
    gone = wanted[0].name if wanted and wanted[0].api == API else None
    left = catalogue({place: scope for place, scope in mine.items() if scope.name != gone}, others)
    assert set(places.names(text, frozenset(left.scopes), API, left)) == {scope.name for scope in wanted} - {gone}


@given(st.sets(st.integers(0, 455)), openid)
def test_every_choice_among_hundreds_of_scopes_fits_a_token(at: set[int], of_openid: set[Scope]) -> None:
    assert places.write([*scopes(at).values(), *of_openid], handle.room()) is not None


@given(st.sets(st.integers(0, 199)), st.sets(st.integers(0, 135)))
def test_a_token_that_is_tied_to_a_key_has_room_for_fewer(at: set[int], fewer: set[int]) -> None:
    assert places.write(scopes(at).values(), handle.room(bound=True)) is not None
    assert places.write(scopes(fewer).values(), handle.room(bound=True, acting=True)) is not None


@given(st.sets(st.integers(500, 65_527), max_size=29))
def test_a_few_scopes_of_thousands_fit_too(at: set[int]) -> None:
    assert places.write(scopes(at).values(), handle.room()) is not None


def test_no_two_built_in_scopes_of_an_api_have_one_place() -> None:
    text = places.write(MANAGEMENT_SCOPES[:1], handle.room())
    assert text is not None
    every = catalogue()
    assert places.names(text, frozenset(every.scopes), MANAGEMENT_API, every) == [MANAGEMENT_SCOPES[0].name]
    assert [scope.place for scope in MANAGEMENT_SCOPES] == [scope.id - 11 for scope in MANAGEMENT_SCOPES], "for good, like their ids"


def test_what_does_not_fit_is_said() -> None:
    assert places.write(scopes(set(range(500, 530))).values(), handle.room()) is None
    assert places.write(scopes({65_528}).values(), handle.room()) is None
