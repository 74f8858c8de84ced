"""Domains that tenants claim by themselves, on both engines: proved, missing, lost, given up; first come, first served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from gatewright.audit.book import entries
from gatewright.audit.deed import Deed, Refused
from gatewright.base.check import Faults
from gatewright.keys.root import RootKey
from gatewright.keys.sealer import RootSealer
from gatewright.store import Query, Store, Tx
from gatewright.tenants import book, claims
from gatewright.tenants.claims import ClaimRow
from gatewright.tenants.ownership import DAY, GRACE, SILENCE, proof, record_name
from gatewright.tenants.records import HOLD
from gatewright.tenants.rules import parse_origin
from gatewright.tenants.sites import Sites
from gatewright.tenants.txt import NoAnswer
from tests.platform.played import SMALL, Played
from tests.support.crash import crash_everywhere

T = TypeVar("T")
SEALER = RootSealer(RootKey(bytes(range(32))))
SHOP = "https://id.shop.example"
OTHER = SMALL.replace('slug = "acme"', 'slug = "globex"').replace("id.acme.test", "id.globex.test")
STATE = Query(
    str,
    """SELECT state || ' ' || checked_at FROM domain_claim UNION ALL SELECT origin || ' ' || kind FROM domain
       UNION ALL SELECT host || ' ' || released_at FROM released_domain ORDER BY 1""",
)


class Zone:
    """The `Txt` port: what a test puts into the zone; None is a name server that is away."""

    def __init__(self) -> None:
        self.texts_of: dict[str, tuple[str, ...] | None] = {}

    async def texts(self, name: str) -> tuple[str, ...]:
        found = self.texts_of.get(name, ())
        if found is None:
            raise NoAnswer("timed out")
        return found


class Place:
    """A tenant with a zone."""

    def __init__(self, played: Played, tenant: int, zone: Zone) -> None:
        self.played, self.tenant, self.zone = played, tenant, zone

    async def act(self, unit: Callable[[Deed], Awaitable[T]], store: Store | None = None) -> T:
        at = self.played.clock.moment()

        async def run(tx: Tx) -> T:
            return await unit(Deed(tx, at, self.tenant, "us_admin"))

        return await (store or self.played.store).run(run)

    async def claim(self, origin: str = SHOP, own: tuple[str, ...] = ()) -> ClaimRow:
        await self.act(lambda deed: claims.claim(deed, parse_origin(origin), own))
        return await self.row(origin)

    async def row(self, origin: str = SHOP) -> ClaimRow:
        found = await self.played.store.one(claims.OF_HOST, tenant=self.tenant, host=origin.removeprefix("https://"))
        assert found is not None
        return found

    async def refused(self, origin: str) -> str:
        with pytest.raises(Refused) as caught:
            await self.claim(origin)
        return str(caught.value)

    async def look(self, origin: str = SHOP, store: Store | None = None) -> str | None:
        at, row = self.played.clock.moment(), await self.row(origin)
        return (await claims.check(store or self.played.store, at, self.zone, SEALER, row))[0]

    async def look_after(self, seconds: int) -> str | None:
        """Let time pass, looking each day as the job does, and once more at its end."""
        for _ in range(seconds // DAY):
            self.played.clock.pass_(DAY)
            await self.look()
        self.played.clock.pass_(seconds % DAY)
        return await self.look()

    def publish(self, origin: str = SHOP) -> None:
        host = origin.removeprefix("https://")
        self.zone.texts_of[record_name(host)] = ("v=spf1 -all", proof(SEALER, self.tenant, host))

    async def answers(self, origin: str = SHOP) -> bool:
        return await Sites(self.played.store, lambda: True).find(origin.removeprefix("https://").encode()) is not None

    async def acts(self) -> list[str]:
        found = await entries(self.played.store, self.tenant, subject=SHOP)
        return [entry.act.removeprefix("domain.") for entry in reversed(found)]


@pytest.fixture
async def place(played: Played) -> Place:
    await played.apply(SMALL)
    return Place(played, await played.tenant(), Zone())


@pytest.fixture
async def other(place: Place) -> Place:
    await place.played.apply(OTHER)
    row = await book.tenant_named(place.played.store, "globex")
    assert row is not None
    return Place(place.played, row.id, place.zone)


async def test_a_claim_takes_nothing_until_it_is_proved(place: Place) -> None:
    row = await place.claim()
    assert (row.state, await place.answers()) == ("pending", False)
    assert await place.look() == "pending"
    assert (await place.row()).told == "_gatewright-challenge.id.shop.example has no TXT record"
    place.publish()
    assert await place.look() == "verified"
    assert await place.answers()
    assert await place.acts() == ["claimed", "verified", "added"]


async def test_what_is_found_instead_is_told(place: Place) -> None:
    await place.claim()
    place.zone.texts_of[record_name("id.shop.example")] = ("gatewright-domain=tn_0000000000001.xyz",)
    await place.look()
    assert "has 1 other TXT record, and not the proof" in (await place.row()).told
    place.zone.texts_of[record_name("id.shop.example")] = None
    await place.look()
    assert "no name server could tell" in (await place.row()).told


async def test_a_live_domain_outlives_a_week_without_its_record_and_a_month_of_silence_and_no_more(place: Place) -> None:
    await place.claim()
    place.publish()
    await place.look()
    place.zone.texts_of.clear()
    for wait, state in ((0, "failing"), (GRACE - 1, "failing"), (1, "lost")):
        assert await place.look_after(wait) == state
        assert await place.answers() is (state != "lost")
    place.publish()
    assert await place.look() == "verified"
    assert await place.answers()
    place.zone.texts_of[record_name("id.shop.example")] = None
    for wait, state in ((DAY, "verified"), (SILENCE - DAY - 1, "failing"), (1, "lost")):
        assert await place.look_after(wait) == state
    assert await place.acts() == [
        *("claimed", "verified", "added", "failing", "lost", "removed"),
        *("verified", "added", "failing", "lost", "removed"),
    ]


async def test_a_domain_of_two_tenants_is_whose_proof_is_found_first(place: Place, other: Place) -> None:
    await place.claim()
    await other.claim()
    place.zone.texts_of[record_name("id.shop.example")] = tuple(proof(SEALER, one.tenant, "id.shop.example") for one in (place, other))
    assert await other.look() == "verified"
    assert await place.look() == "pending"
    assert "belongs to another tenant already" in (await place.row()).told
    issuer = await Sites(place.played.store, lambda: True).find(b"id.shop.example")
    assert issuer is not None
    assert issuer.tenant == other.tenant


async def test_of_two_tenants_that_prove_in_the_same_moment_one_has_the_domain(place: Place, other: Place) -> None:
    for number in range(20):  # what two transactions find of each other differs from time to time
        host = f"id{number}.shop{number}.example"
        for one in (place, other):
            await one.claim(f"https://{host}")
        place.zone.texts_of[record_name(host)] = tuple(proof(SEALER, one.tenant, host) for one in (place, other))
        states = await asyncio.gather(place.look(f"https://{host}"), other.look(f"https://{host}"))
        assert sorted(map(str, states)) == ["pending", "verified"]


async def test_two_looks_at_the_same_time_are_one(place: Place) -> None:
    await place.claim()
    place.publish()
    row, at = await place.row(), place.played.clock.moment()
    done = [await claims.check(place.played.store, at, place.zone, SEALER, row) for _ in range(2)]
    assert [state for state, _ in done] == ["verified", None]
    assert (await place.acts()).count("added") == 1


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("https://id.globex.test", "it belongs to another tenant already"),
        ("https://id.acme.test", "it belongs to this tenant already"),
        ("https://shop.id.globex.test", "id.globex.test, which lies above it, belongs to another tenant"),
        ("https://globex.test", "a domain below it belongs to another tenant"),
        ("https://co.uk", "is a public suffix"),
    ],
)
async def test_what_cannot_be_claimed_is_refused_with_the_reason(place: Place, other: Place, origin: str, words: str) -> None:
    said = await place.refused(origin)
    assert said.startswith(f"{origin} cannot be claimed: ")
    assert words in said


async def test_what_lies_above_or_below_a_domain_of_the_same_tenant_is_claimed(place: Place) -> None:
    await place.claim("https://acme.test")
    await place.claim("https://more.id.acme.test")
    assert "claimed already" in await place.refused("https://acme.test")


async def test_what_was_given_up_goes_to_no_other_tenant_for_90_days(place: Place, other: Place) -> None:
    await place.claim()
    place.publish()
    await place.look()
    row = await place.row()
    await place.act(lambda deed: claims.drop(deed, row))
    assert not await place.answers()
    assert "it was another tenant's until" in await other.refused(SHOP)
    with pytest.raises(Refused, match=r"gatewright domains free id\.shop\.example"):
        await other.act(lambda deed: book.add_domain(deed, parse_origin(SHOP), 5))
    with pytest.raises(Faults, match="was another tenant's until"):
        await other.played.apply(OTHER.replace('["https://id.globex.test"]', f'["https://id.globex.test", "{SHOP}"]'))
    await place.claim()  # its own tenant may come back
    row = await place.row()
    await place.act(lambda deed: claims.drop(deed, row))
    place.played.clock.pass_(HOLD)
    await other.claim()


async def test_the_operator_lets_a_host_go_earlier(place: Place, other: Place) -> None:
    await place.act(lambda deed: book.add_domain(deed, parse_origin(SHOP), 5))
    domain = await place.played.store.one(book.DOMAIN_OF_HOST, host="id.shop.example")
    assert domain is not None
    await place.act(lambda deed: book.remove_domain(deed, domain))
    assert await other.act(lambda deed: book.free(deed, "id.shop.example"))
    assert not await other.act(lambda deed: book.free(deed, "id.shop.example"))
    await other.claim()


async def test_the_operators_word_ends_a_claim(place: Place) -> None:
    await place.claim()
    await place.played.apply(SMALL.replace('["https://id.acme.test"]', f'["https://id.acme.test", "{SHOP}"]'))
    assert await place.answers()
    assert await place.played.store.all(claims.OF_TENANT, tenant=place.tenant) == []


async def test_a_claim_that_nobody_proves_is_dropped_after_a_month(place: Place) -> None:
    await place.claim()
    place.played.clock.pass_(30 * DAY)
    assert await place.look() == "pending"
    assert await place.played.store.all(claims.OF_TENANT, tenant=place.tenant) == []
    assert await place.acts() == ["claimed", "claim_dropped"]


async def test_a_tenant_claims_a_hundred_domains_and_no_more(place: Place) -> None:
    for number in range(claims.MOST):
        await place.claim(f"https://d{number}.example")
    assert "at most 100 domains" in await place.refused("https://one.more.example")


@pytest.mark.parametrize("step", ["claim", "verify", "lose", "drop"])
async def test_a_crash_at_any_statement_leaves_all_as_it_was(place: Place, step: str) -> None:
    if step != "claim":
        await place.claim()
        place.publish()
    if step in ("lose", "drop"):
        await place.look()
    if step == "lose":
        place.zone.texts_of.clear()
        await place.look()
        await place.look_after(GRACE - 1)
        place.played.clock.pass_(1)
    before, told = await place.played.store.all(STATE), await place.acts()
    row = None if step == "claim" else await place.row()

    async def act(store: Store) -> object:
        if step == "claim":
            return await place.act(lambda deed: claims.claim(deed, parse_origin(SHOP), ()), store)
        if step == "drop":
            assert row is not None
            return await place.act(lambda deed: claims.drop(deed, row), store)
        return await place.look(store=store)

    async def unchanged(_: int) -> None:
        assert await place.played.store.all(STATE) == before
        assert await place.acts() == told

    _, crashes = await crash_everywhere(place.played.store, act, unchanged)
    assert crashes >= 3
    assert await place.played.store.all(STATE) != before
