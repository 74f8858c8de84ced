"""Small platforms of any shape: APIs, scopes that imply each other, roles, clients, users, and what was approved before."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from gatewright.oauth.catalogue import OPENID_IDS, OPENID_SCOPES, Api, Catalogue, Role, Scope
from gatewright.oauth.client import Client, ClientSettings
from gatewright.oauth.decision import Bounds, Party
from tests.support.builders import a_client

APIS = (101, 102, 103)
SCOPES = tuple(range(201, 209))
ROLES = (301, 302, 303)
NAMES = {number: f"scope:{number}" for number in SCOPES} | {scope.id: scope.name for scope in OPENID_SCOPES}
EVERY_SCOPE = (*sorted(OPENID_IDS), *SCOPES)
_ASKED = (*NAMES.values(), "scope:unknown", "SCOPE:201", "scope:201 ", "", "réad")


class Case(Struct, frozen=True):
    """Everything that the decision looks at."""

    names: tuple[str, ...]
    apis: tuple[Api, ...]
    scopes: tuple[Scope, ...]
    roles: tuple[Role, ...]
    client: Client
    party: Party
    bounds: Bounds

    @property
    def catalogue(self) -> Catalogue:
        """What the tenant defines."""
        return Catalogue(list(self.apis), list(self.scopes), list(self.roles))

    @property
    def settings(self) -> ClientSettings:
        """What the client may."""
        return self.client.settings


def client_of(scopes: frozenset[int], roles: frozenset[int]) -> Client:
    """A client that is allowed these scopes, and is for users with these roles."""
    return a_client(scopes=tuple(sorted(scopes)), roles=tuple(sorted(roles)))


def some(numbers: tuple[int, ...]) -> st.SearchStrategy[frozenset[int]]:
    """Any of these; one draw, since hundreds of thousands of them are made."""
    return st.integers(0, (1 << len(numbers)) - 1).map(lambda bits: among(numbers, bits))


def among(numbers: tuple[int, ...], bits: int) -> frozenset[int]:
    """Those whose bit is set."""
    return frozenset([number for place, number in enumerate(numbers) if bits >> place & 1])


def _platform(
    homes: int, edges: list[tuple[int, int]], held: int, marks: int
) -> tuple[tuple[Api, ...], tuple[Scope, ...], tuple[Role, ...]]:
    """What three numbers say: each scope's API, each role's scopes, and each API's being open or disabled."""
    apis = tuple(
        Api(
            id=number,
            audience=f"https://{number}.test",
            name="An API",
            roles="off" if marks >> place & 1 else "required",
            disabled=marks >> 3 + 2 * place & 3 == 3,
        )
        for place, number in enumerate(APIS)
    )
    scopes = tuple(
        Scope(number, NAMES[number], APIS[homes // 3**place % 3], "Do something", implies=tuple(to for of, to in edges if of == number))
        for place, number in enumerate(SCOPES)
    )
    roles = tuple(Role(number, f"Role {number}", among(SCOPES, held >> 8 * place)) for place, number in enumerate(ROLES))
    return apis, scopes, roles


_platforms = st.builds(
    _platform,
    st.integers(0, 3**8 - 1),
    st.lists(st.tuples(st.sampled_from(SCOPES), st.sampled_from(SCOPES)), max_size=4),
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**9 - 1),
)
_parties = st.one_of(
    st.just(Party(user=False)),
    st.just(Party(user=True)),
    st.builds(Party, user=st.just(True), member=st.just(True), roles=some((*ROLES, 399))),
)
_bound = st.one_of(st.none(), some(EVERY_SCOPE))
names = st.lists(st.sampled_from(_ASKED), max_size=8).map(tuple)

cases = st.builds(
    lambda asked, it, client, party, bounds: Case(asked, it[0], it[1], it[2], client, party, bounds),
    names,
    _platforms,
    st.builds(client_of, some(EVERY_SCOPE), st.one_of(st.just(frozenset[int]()), some(ROLES))),
    _parties,
    st.builds(Bounds, consented=_bound, declined=some(EVERY_SCOPE), ceiling=_bound),
)


def with_settings(case: Case, *, scopes: frozenset[int] | None = None, roles: frozenset[int] | None = None) -> Case:
    """The same case with a client of other settings."""
    kept = case.settings
    return replace(
        case,
        client=client_of(frozenset(kept.scopes) if scopes is None else scopes, frozenset(kept.roles) if roles is None else roles),
    )
