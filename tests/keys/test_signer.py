"""Signing keys in a store: made once, published before they sign and after, one following the other."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any

import pytest

from gatewright.base.digest import b64
from gatewright.keys.book import KEYS_KIND, OF_TENANT, belongs
from gatewright.keys.root import KeyFault, RootKey
from gatewright.keys.sealer import Wrapper
from gatewright.keys.signer import AHEAD, AHEAD_BY_HAND, EVERY, KNOWN_FOR, LONGEST, SLACK, KeySigner, Rotated
from gatewright.keys.signing import ALGS
from gatewright.store import Query, Store, Tx
from gatewright_guard.jose import parse, read_jwks, verify
from tests.support.clock import NOON, TestClock
from tests.support.engines import Nodes

ROOT = RootKey(bytes(range(32)))
ONE, OTHER = 1001, 1002
MADE = ["key.made"] * len(ALGS)
_numbers = count()


class Node:
    """One process: a signer with a clock of its own; `deaf` to what others change."""

    def __init__(self, store: Store, clock: TestClock | None = None, *, root: RootKey = ROOT) -> None:
        self.clock = clock or TestClock(seed=f"node {next(_numbers)}")
        self.hears = True
        self.signer = KeySigner(store, self.clock, Wrapper(root), lambda: self.hears)

    async def kid(self, alg: str = "ES256", tenant: int = ONE) -> str:
        """The key that signs now."""
        return str(parse(await self.signer.sign(tenant, alg, "JWT", b"{}")).header.kid)

    async def published(self, alg: str = "ES256") -> list[str]:
        """The names of the keys of an algorithm in the JWKS, newest first."""
        return [key["kid"] for key in (await self.document())["keys"] if key["alg"] == alg]

    async def rotate(self, alg: str = "ES256") -> Rotated:
        """Rotate by hand, and return the key that follows the present one of an algorithm."""
        return of(await self.signer.rotate(self.clock.moment(), ONE, actor=""), alg)

    async def document(self, tenant: int = ONE) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(await self.signer.jwks(tenant))
        return document


def of(made: list[Rotated], alg: str = "ES256") -> Rotated:
    """The key of an algorithm; there is one of each."""
    assert len({one.alg for one in made}) == len(made)
    return next(one for one in made if one.alg == alg)


async def audited(store: Store) -> list[str]:
    return await store.all(Query(str, "SELECT act FROM audit ORDER BY id"))


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
async def test_what_is_signed_is_verified_with_what_is_published(store: Store, alg: str) -> None:
    node = Node(store)
    token = await node.signer.sign(ONE, alg, "at+jwt", b'{"sub":"us_1"}')
    found = verify(token, read_jwks(await node.document()))
    assert (found.payload, found.header.typ, found.header.alg) == ({"sub": "us_1"}, "at+jwt", alg)
    assert await node.signer.verify(ONE, token) == {"sub": "us_1"}
    assert await node.signer.typ(token) == "at+jwt"


async def test_a_key_is_made_once_and_then_kept(store: Store) -> None:
    node = Node(store)
    assert await node.kid() == await node.kid()
    assert await Node(store).kid() == await node.kid()
    assert await audited(store) == MADE


@pytest.mark.parametrize("alg", ALGS)
async def test_the_first_key_brings_those_of_all_algorithms_so_that_no_kept_document_lacks_one(store: Store, alg: str) -> None:
    node, other = Node(store), Node(store)
    await node.kid(alg)
    document = await other.document()
    assert sorted(key["alg"] for key in document["keys"]) == sorted(ALGS)
    assert {await node.kid(one) for one in ALGS} == {key["kid"] for key in document["keys"]}


async def test_successors_come_together_so_that_no_kept_document_has_one_without_the_others(store: Store) -> None:
    node = Node(store)
    await node.kid()
    before = store.counts.units
    made = await node.signer.rotate(node.clock.moment(), ONE, actor="")
    assert sorted(one.alg for one in made) == sorted(ALGS)
    assert store.counts.units == before + 1


async def test_a_signature_costs_no_statement(store: Store) -> None:
    node = Node(store)
    token = await node.signer.sign(ONE, "ES256", "JWT", b"{}")
    counts = store.counts
    before = (counts.reads, counts.listings, counts.verbs, counts.units)
    for _ in range(10):
        await node.signer.sign(ONE, "ES256", "JWT", b"{}")
        await node.signer.verify(ONE, token)
        await node.signer.jwks(ONE)
    assert (counts.reads, counts.listings, counts.verbs, counts.units) == before


async def test_however_many_need_the_first_key_one_is_made(store: Store, nodes: Nodes) -> None:
    several = [Node(store), Node(await nodes()), Node(await nodes())]
    kids = await asyncio.gather(*(node.kid(alg) for node in several for alg in ("ES256", "EdDSA") for _ in range(5)))
    assert len(set(kids)) == 2
    assert await audited(store) == MADE


async def test_a_caller_who_goes_away_leaves_the_others_their_key(store: Store) -> None:
    node = Node(store)
    callers = [asyncio.create_task(node.kid()) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1] == found[2] == await node.kid()


async def test_the_first_look_at_the_keys_finds_what_the_first_tokens_are_signed_with(store: Store) -> None:
    node = Node(store)
    assert await node.published("ES256") == [await node.kid("ES256")]
    assert await node.published("RS256") == [await node.kid("RS256")]
    assert await audited(store) == MADE


async def test_the_document_holds_nothing_private(store: Store) -> None:
    node = Node(store)
    await node.kid("EdDSA")
    text = await node.signer.jwks(ONE)
    for key in json.loads(text)["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
    rows = await store.all(OF_TENANT, tenant=ONE)
    assert all("PRIVATE" not in row.wrapped and row.wrapped not in text.decode() for row in rows)


async def test_each_tenant_has_keys_of_its_own(store: Store) -> None:
    node = Node(store)
    token = await node.signer.sign(ONE, "ES256", "JWT", b"{}")
    assert await node.kid(tenant=OTHER) != await node.kid(tenant=ONE)
    assert await node.signer.verify(OTHER, token) is None
    assert await node.signer.verify(9999, token) is None


async def test_a_private_half_copied_to_another_tenant_does_not_open(store: Store) -> None:
    node = Node(store)
    await node.kid(tenant=ONE)
    await store.run(_move_keys, ONE, OTHER)
    with pytest.raises(KeyFault, match="does not open"):
        await Node(store).kid(tenant=OTHER)


async def _move_keys(tx: Tx, one: int, other: int) -> None:
    await tx.do(Query(None, "UPDATE signing_key SET tenant = :other WHERE tenant = :one"), one=one, other=other)


async def test_a_successor_is_published_a_day_before_it_signs_and_the_old_one_for_a_day_after(store: Store) -> None:
    node = Node(store)
    old = await node.kid()
    node.clock.now = NOON + EVERY - AHEAD - 1
    assert await node.signer.rotate_due(node.clock.moment()) == []
    node.clock.now += 1
    made = of(await node.signer.rotate_due(node.clock.moment()))
    assert made.signs_from == NOON + EVERY
    assert await node.published() == [made.kid, old]
    assert await node.kid() == old
    node.clock.now = NOON + EVERY - 1
    last = await node.signer.sign(ONE, "ES256", "JWT", b"{}")
    assert parse(last).header.kid == old
    node.clock.now += 1
    assert await node.kid() == made.kid
    assert await node.published() == [made.kid, old]
    node.clock.now = NOON + EVERY + LONGEST + SLACK - 1
    assert await node.published() == [made.kid, old]
    node.clock.now += 1
    assert await node.published() == [made.kid]


async def test_a_due_key_is_followed_once_whichever_nodes_try(store: Store, nodes: Nodes) -> None:
    one, other = Node(store), Node(await nodes())
    await one.kid()
    one.clock.now = other.clock.now = NOON + EVERY
    found = await asyncio.gather(*(node.signer.rotate_due(node.clock.moment()) for node in (one, other, one)))
    assert sorted(made.alg for several in found for made in several) == sorted(ALGS)
    assert await one.signer.rotate_due(one.clock.moment()) == []


async def test_a_token_of_a_key_no_longer_published_is_still_known_for_a_sign_out(store: Store) -> None:
    node = Node(store)
    token = await node.signer.sign(ONE, "ES256", "JWT", b"{}")
    made = await node.rotate()
    gone = made.signs_from + LONGEST + SLACK
    node.clock.now = gone + KNOWN_FOR - 1
    await node.signer.rotate_due(node.clock.moment())
    assert await node.signer.verify(ONE, token) == {}
    node.clock.now = gone + KNOWN_FOR
    await node.signer.rotate_due(node.clock.moment())
    assert await Node(store, node.clock).signer.verify(ONE, token) is None


async def test_a_rotation_by_hand_gives_notice_and_happens_once(store: Store) -> None:
    node = Node(store)
    old, other = await node.kid("ES256"), await node.kid("EdDSA")
    made = await node.signer.rotate(node.clock.moment(), ONE, actor="os:me")
    assert sorted(one.alg for one in made) == sorted(ALGS)
    assert {one.signs_from for one in made} == {NOON + AHEAD_BY_HAND}
    assert await node.signer.rotate(node.clock.moment(), ONE, actor="os:me") == []
    assert (await node.kid("ES256"), await node.kid("EdDSA")) == (old, other)
    node.clock.pass_(AHEAD_BY_HAND)
    assert {await node.kid(alg) for alg in ALGS} == {one.kid for one in made}
    assert (await audited(store)).count("key.rotated") == len(ALGS)


async def test_a_retired_key_proves_nothing_from_now_on(store: Store) -> None:
    node = Node(store)
    token = await node.signer.sign(ONE, "ES256", "JWT", b"{}")
    kid = await node.kid()
    assert await node.signer.retire(node.clock.moment(), ONE, kid, actor="os:me")
    assert await node.signer.verify(ONE, token) is None
    assert await node.kid() != kid
    assert kid not in await node.published()
    assert not await node.signer.retire(node.clock.moment(), ONE, kid, actor="os:me")
    assert await audited(store) == [*MADE, "key.retired", "key.made"]


async def test_a_signature_that_was_right_is_known_again_for_its_own_tenant_and_keys_alone(store: Store) -> None:
    node = Node(store)
    token = await node.signer.sign(ONE, "ES256", "at+jwt", b"{}")
    first = await node.signer.verify(ONE, token)
    assert first is not None
    assert await node.signer.verify(ONE, token) is first, "nothing is computed twice"
    assert await node.signer.typ(token) == "at+jwt"
    assert await node.kid(tenant=OTHER)
    assert await node.signer.verify(OTHER, token) is None
    head, body, _ = token.split(".")
    other = await node.signer.sign(ONE, "ES256", "at+jwt", b'{"a":1}')
    assert await node.signer.verify(ONE, f"{head}.{body}.{other.rpartition('.')[2]}") is None
    await node.signer.retire(node.clock.moment(), ONE, await node.kid(), actor="os:me")
    assert await node.signer.verify(ONE, token) is None


async def test_a_retired_key_is_followed_at_once_by_the_one_that_waited_and_never_by_an_older(store: Store) -> None:
    node = Node(store)
    oldest = await node.kid()
    second = await node.rotate()
    node.clock.pass_(AHEAD_BY_HAND)
    assert await node.kid() == second.kid
    await node.signer.retire(node.clock.moment(), ONE, second.kid, actor="")
    third = await node.kid()
    assert third not in {oldest, second.kid}
    fourth = await node.rotate()
    await node.signer.retire(node.clock.moment(), ONE, third, actor="")
    assert await node.kid() == fourth.kid


async def test_a_key_made_elsewhere_is_found_when_a_token_names_it(store: Store) -> None:
    one, deaf = Node(store), Node(store)
    kid = await deaf.kid("EdDSA")
    await one.signer.retire(one.clock.moment(), ONE, kid, actor="")
    token = await one.signer.sign(ONE, "EdDSA", "JWT", b'{"a":1}')
    assert await deaf.signer.verify(ONE, token) == {"a": 1}
    assert await deaf.published("EdDSA") == [parse(token).header.kid]


async def test_a_name_that_a_stranger_invents_costs_one_look_by_an_index(store: Store) -> None:
    node = Node(store)
    token = await node.signer.sign(ONE, "ES256", "JWT", b"{}")
    head, body, signature = token.split(".")
    invented = json.dumps({"alg": "ES256", "kid": "invented"})
    before = (store.counts.reads, store.counts.listings)
    for _ in range(3):
        assert await node.signer.verify(ONE, f"{b64(invented.encode())}.{body}.{signature}") is None
    assert (store.counts.reads, store.counts.listings) == (before[0] + 3, before[1])
    # Ours by name, but of another algorithm: there is nothing to look for.
    confused = json.dumps({"alg": "RS256", "kid": parse(token).header.kid})
    for text in (f"{b64(confused.encode())}.{body}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", "x", "a.b.c", f"{head}.{body}"):
        assert await node.signer.verify(ONE, text) is None
    assert store.counts.reads == before[0] + 3


async def test_what_was_changed_elsewhere_is_read_when_it_is_heard(store: Store) -> None:
    one, other = Node(store), Node(store)
    await one.kid()
    await other.kid()
    made = await one.rotate()
    assert made.kid not in await other.published()
    other.signer.changed("client", ONE, 0)
    assert made.kid not in await other.published()
    other.signer.changed(KEYS_KIND, ONE, 0)
    assert made.kid in await other.published()


async def test_while_nothing_is_heard_everything_is_read(store: Store) -> None:
    one, deaf = Node(store), Node(store)
    await deaf.kid()
    deaf.hears = False
    made = await one.rotate()
    assert made.kid in await deaf.published()


async def test_after_a_gap_nothing_kept_is_believed(store: Store) -> None:
    one, other = Node(store), Node(store)
    await other.kid()
    made = await one.rotate()
    other.signer.forget_all()
    assert made.kid in await other.published()


async def test_a_key_of_a_clock_that_is_ahead_signs_all_the_same(store: Store) -> None:
    ahead, behind = Node(store, TestClock(NOON + 30, "ahead")), Node(store)
    kid = await ahead.kid()
    assert await behind.kid() == kid
    assert await audited(store) == MADE


async def test_another_root_key_opens_nothing(store: Store) -> None:
    await Node(store).kid()
    with pytest.raises(KeyFault, match="does not open"):
        await Node(store, root=RootKey(bytes(32))).kid()


async def test_a_store_belongs_to_the_first_root_key_that_it_meets(store: Store) -> None:
    await belongs(store, ROOT)
    await belongs(store, ROOT)
    with pytest.raises(KeyFault, match="made with another root key"):
        await belongs(store, RootKey(bytes(32)))
    await belongs(store, ROOT)


async def test_of_two_root_keys_that_meet_a_new_store_at_once_one_wins(store: Store) -> None:
    found = await asyncio.gather(*(belongs(store, RootKey(bytes([number] * 32))) for number in range(5)), return_exceptions=True)
    assert sum(one is None for one in found) == 1


async def test_an_algorithm_that_we_do_not_have_is_a_mistake_of_ours(store: Store) -> None:
    with pytest.raises(ValueError, match="no key is made"):
        await Node(store).kid("HS256")
