"""Whom a change would hit, counted before it is saved, and told as far as the reader may know."""

import msgspec
import pytest

from gatewright.audit.usage import Counters
from gatewright.clients.book import ClientRow, client_named
from gatewright.oauth.catalogue import Catalogue, Role, text_of
from gatewright.oauth.client import ClientSettings
from gatewright.platform import impact as module
from gatewright.platform.impact import Count, Impact, Proposal, Reader, impact, without_scopes
from gatewright.platform.show import plan_text
from gatewright.store import Query
from tests.platform.many import add_grants, add_members
from tests.platform.played import SMALL, Played
from tests.platform.test_scopes import catalogue

TWO = SMALL.replace("[[users]]", '[[accounts]]\nslug = "two"\nname = "Two"\n[[users]]')
_ACCOUNT = Query(int, "SELECT id FROM account WHERE slug = :slug")


class Scenery:
    """A platform whose client `web` was given something by many."""

    def __init__(self, played: Played) -> None:
        self.played = played
        self.ids: dict[str, int] = {}

    async def made(self, *, one: int = 7, two: int = 2, roles: str = "Reader") -> "Scenery":
        """Apply the file, and let so many members of each account give the client all that it asks for."""
        await self.played.apply(TWO)
        self.tenant = await self.played.tenant()
        self.before = await catalogue(self.played)
        found = await client_named(self.played.store, self.tenant, "web")
        assert found is not None
        self.client: ClientRow = found
        self.role = self.before.roles_by_name["Reader"]
        self.ids = {name: scope.id for name, scope in self.before.scopes_by_name.items()}
        granted = text_of(tuple(found.terms.scopes))
        first = 1
        for slug, count in (("one", one), ("two", two)):
            account = await self.played.store.one(_ACCOUNT, slug=slug)
            assert account is not None
            self.ids[slug] = account
            await add_grants(self.played.store, count, first=first, tenant=self.tenant, client=found.id, account=account, granted=granted)
            held = str(self.role.id) if roles else ""
            await add_members(self.played.store, first, count, tenant=self.tenant, account=account, roles=held)
            first += count
        return self

    def proposal(self, after: Catalogue | None = None, **more: object) -> Proposal:
        """A change of what the tenant defines, or of whatever is named."""
        plain = Proposal(tenant=self.tenant, before=self.before, after=after or self.before)
        return msgspec.structs.replace(plain, **more)

    def settings(self, **changed: object) -> ClientSettings:
        """The client's settings as they are to be."""
        return msgspec.structs.replace(self.client.terms, **changed)

    async def asked(self, proposal: Proposal, reader: Reader | None = None, **more: int) -> Impact:
        """What is said of a change."""
        return await impact(self.played.store, proposal, reader=reader or Reader(), **more)


@pytest.fixture
async def scenery(played: Played) -> Scenery:
    return await Scenery(played).made()


def without_role(before: Catalogue, role: Role) -> Catalogue:
    scopes = [scope for scope in before.scopes.values() if scope.api]
    return Catalogue(list(before.apis.values()), scopes, [one for one in before.roles.values() if one.id != role.id])


async def test_a_scope_that_goes_hits_the_clients_that_may_ask_for_it_and_the_grants_that_have_it(scenery: Scenery) -> None:
    found = await scenery.asked(scenery.proposal(without_scopes(scenery.before, [scenery.ids["read:b"]])))
    assert [(one.client_id, one.grants, one.last_used) for one in found.clients] == [("web", Count(9), None)]
    assert (found.client_count, found.grants, found.lost) == (Count(1), Count(9), (("read:b", Count(9)),))
    assert (found.asked, found.gaining, found.elsewhere) == (Count(), Count(), False)


async def test_a_role_that_goes_hits_the_grants_of_those_who_hold_it(scenery: Scenery) -> None:
    found = await scenery.asked(scenery.proposal(without_role(scenery.before, scenery.role)))
    assert found.grants == Count(9)
    assert [name for name, _ in found.lost] == ["read:a", "read:b"]


async def test_a_client_that_gets_less_more_or_nothing(scenery: Scenery) -> None:
    less = scenery.settings(scopes=(1, scenery.ids["read:a"]))
    found = await scenery.asked(scenery.proposal(client=scenery.client, settings=less))
    assert (found.grants, found.lost, found.asked) == (Count(9), (("read:b", Count(9)),), Count())
    more = scenery.settings(scopes=(*scenery.client.terms.scopes, 3))
    found = await scenery.asked(scenery.proposal(client=scenery.client, settings=more))
    assert (found.grants, found.asked) == (Count(), Count(9)), "nobody loses anything, and everybody is asked about e-mail"
    found = await scenery.asked(scenery.proposal(client=scenery.client, settings=msgspec.structs.replace(more, party="first")))
    assert found.asked == Count(), "a trusted client asks nobody"
    found = await scenery.asked(scenery.proposal(client=scenery.client, ends=True))
    assert found.grants == Count(9)


async def test_an_implication_is_previewed_like_a_new_scope(played: Played) -> None:
    """`security-rules` 34: in roles it is live, in what was given it is not."""
    scenery = await Scenery(played).made()
    only_a = Role(scenery.role.id, "Reader", frozenset({scenery.ids["read:a"]}))
    scopes = [scope for scope in scenery.before.scopes.values() if scope.api]
    apis = list(scenery.before.apis.values())
    today = Catalogue(apis, scopes, [only_a])
    edge = [msgspec.structs.replace(one, implies=(scenery.ids["read:b"],)) if one.name == "read:a" else one for one in scopes]
    found = await scenery.asked(Proposal(tenant=scenery.tenant, before=today, after=Catalogue(apis, edge, [only_a])))
    assert (found.grants, found.gaining) == (Count(), Count(9)), "those who gave it, and could not pass it on, now can"
    back = await scenery.asked(Proposal(tenant=scenery.tenant, before=Catalogue(apis, edge, [only_a]), after=today))
    assert (back.grants, back.gaining) == (Count(9), Count())


async def test_who_may_read_one_account_learns_of_the_others_only_that_there_are_some(scenery: Scenery) -> None:
    """`security-rules` 50."""
    proposal = scenery.proposal(without_scopes(scenery.before, [scenery.ids["read:b"]]))
    found = await scenery.asked(proposal, Reader(accounts=frozenset({scenery.ids["one"]})))
    assert (found.grants, found.elsewhere) == (Count(7), True)
    nothing = await scenery.asked(proposal, Reader(accounts=frozenset({1})))
    assert (nothing.grants, nothing.lost, nothing.elsewhere) == (Count(), (), True)
    everything = Reader(accounts=frozenset({scenery.ids["one"], scenery.ids["two"]}))
    assert not (await scenery.asked(proposal, everything)).elsewhere


async def test_a_developer_learns_no_number_below_five(played: Played) -> None:
    """`security-rules` 50."""
    scenery = await Scenery(played).made(one=4, two=0)
    proposal = scenery.proposal(without_scopes(scenery.before, [scenery.ids["read:b"]]))
    found = await scenery.asked(proposal, Reader(developer=True))
    assert found.grants == Count(few=True)
    assert str(found.grants) == "fewer than 5"
    assert [one.grants for one in found.clients] == [count for _, count in found.lost] == [Count(few=True)]
    assert bool(found.grants)
    one_more = await Scenery(played).made(one=0, two=0)
    await add_grants(
        played.store, 1, first=100, tenant=one_more.tenant, client=one_more.client.id, account=one_more.ids["one"],
        granted=text_of(tuple(one_more.client.terms.scopes)),
    )  # fmt: skip
    found = await scenery.asked(proposal, Reader(developer=True))
    assert found.grants == Count(few=True), "the new one has no role, and loses nothing"


async def test_behind_the_bound_is_said_at_least(scenery: Scenery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    proposal = scenery.proposal(without_scopes(scenery.before, [scenery.ids["read:b"]]))
    assert (await scenery.asked(proposal, most=9)).grants == Count(9)
    found = await scenery.asked(proposal, most=5)
    assert found.grants == Count(5, more=True)
    assert str(found.grants) == "at least 5"


async def test_the_last_real_use_is_told(scenery: Scenery) -> None:
    usage, now = Counters(), scenery.played.clock.now
    for event, at in (("refresh_token", now - 500), ("introspected", now - 100), ("refresh_repeated", now)):
        usage.count(event, scenery.tenant, scenery.client.id)
        await usage.flush(scenery.played.store, at)
    found = await scenery.asked(scenery.proposal(without_scopes(scenery.before, [scenery.ids["read:b"]])))
    assert found.last_used == found.clients[0].last_used == now - 100


async def test_nothing_is_hit_by_words(played: Played) -> None:
    scenery = await Scenery(played).made()
    scopes = [msgspec.structs.replace(one, text="Other words") for one in scenery.before.scopes.values() if one.api]
    after = Catalogue(list(scenery.before.apis.values()), scopes, list(scenery.before.roles.values()))
    assert await scenery.asked(scenery.proposal(after)) == Impact()


async def test_a_plan_says_all_of_it(scenery: Scenery) -> None:
    played, now = scenery.played, scenery.played.clock.now
    usage = Counters()
    usage.count("authorization_code", scenery.tenant, scenery.client.id)
    await usage.flush(played.store, now)
    retiring = TWO.replace('"read:b" = "Read b"', '"read:b" = { text = "Read b", retires = "2027-03-01" }')
    said = plan_text(await played.plan(retiring))
    assert "retires: 2027-03-01\n    hits 1 clients\n    hits 9 live grants\n    client web: 9 live grants, last used on 2027-01-15" in said
    await played.apply(retiring)
    assert "! scope read:b retires on 2027-03-01: 1 clients may ask for it, 9 live grants" in plan_text(await played.plan(retiring))
    more = TWO.replace('"read:b" = "Read b"', '"read:b" = "Read b"\n"read:c" = "Read c"').replace(
        '"openid", "read:a"', '"openid", "read:c", "read:a"'
    )
    found = await played.plan(more)
    assert "scopes: +read:c\n    hits 9 users who may be asked again\n    client web: last used on 2027-01-15" in plan_text(found)
    assert not found.ends_access
    trusted = TWO + 'party = "first"\n'
    assert "hits" not in plan_text(await played.plan(trusted))
