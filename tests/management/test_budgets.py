"""What a call of the management API asks of the store: counted, never timed, and the same however many records there are."""

from __future__ import annotations

from tests.management.desk import EVERYTHING, Manager, service
from tests.management.samples import NEW
from tests.support.house import Answer, Node

TOKEN = 1  # the one statement that every token is held against


async def warm(node: Node, scope: str = " ".join(EVERYTHING)) -> Manager:
    """A service whose settings are in the node's memory."""
    found = await service(node, scope=scope)
    await found.ask("GET", "/keys")
    return found


async def spent(ops: Manager, method: str, path: str) -> tuple[int, int]:
    """How many statements outside of units and in them a call asked for."""
    async with ops.node.unmoved():
        return await changed(ops, method, path)


async def changed(ops: Manager, method: str, path: str, document: object = None, headers: dict[str, str] | None = None) -> tuple[int, int]:
    """The same of a call that changes something, while the node does not move."""
    counts = ops.node.house.store.counts
    before = (counts.reads + counts.listings + counts.verbs, counts.statements)
    answer: Answer = await ops.ask(method, path, document, headers)
    assert answer.status < 300, answer
    return counts.reads + counts.listings + counts.verbs - before[0], counts.statements - before[1]


async def test_a_record_is_shown_with_a_handful_of_statements(node: Node) -> None:
    ops = await warm(node)
    for path, most in (
        ("/clients/budget-buddy", 5), ("/roles/Organizer", 4), ("/scopes/read:balance", 4), ("/users/ann@acme.test", 1),
        ("/accounts/acme-dev", 1), ("/accounts/acme-dev/members/ann@acme.test", 7), ("/tenant", 2), ("/audit?count=1", 1),
    ):  # fmt: skip
        assert await spent(ops, "GET", path) == (TOKEN + most, 0), path


async def test_a_list_costs_the_same_however_long_it_is(node: Node) -> None:
    ops = await warm(node)
    for path, more in (
        ("/accounts/acme-dev/members", 6),
        ("/grants", 7),  # two of them for the use of scopes
        ("/users", 1),
        ("/accounts", 1),
        ("/users/ann@acme.test/memberships", 6),
    ):
        few = await spent(ops, "GET", path)
        assert few == (TOKEN + more, 0), path
    for number in range(5):
        await ops.must(
            "POST", "/users", {"email": f"m{number}@acme.test", "memberships": [{"account": "acme-dev", "roles": ["Participant"]}]}
        )
    assert await spent(ops, "GET", "/accounts/acme-dev/members") == (TOKEN + 6, 0)
    assert await spent(ops, "GET", "/users") == (TOKEN + 1, 0)


async def test_clients_are_listed_with_one_statement_each_for_those_who_act_for_somebody(ops: Manager) -> None:
    everybody = len((await ops.must("GET", "/clients?count=1000"))["items"])
    outside, _ = await spent(ops, "GET", "/clients?count=1000")
    assert everybody > 8
    assert outside == TOKEN + 5 + 1, "only night-job acts for a service user"


async def test_a_change_reads_once_what_it_must_and_is_one_transaction(both: Node) -> None:
    ops = await warm(both)
    counts = both.house.store.counts
    # Once it has heard of its own change it reads again what it kept.
    async with both.unmoved():
        before = counts.commits
        outside, inside = await changed(ops, "PATCH", "/roles/Organizer", {"scopes": ["view:events"]}, {"if-match": "*"})
        assert counts.commits - before == 1
        assert outside == TOKEN
        assert inside <= 30
        outside, inside = await changed(ops, "POST", "/clients", NEW, {"idempotency-key": "k"})
        assert outside == TOKEN
        assert inside <= 40
        outside, inside = await changed(ops, "POST", "/clients/new-app/disable")
        assert outside == TOKEN
        assert inside <= 17, "what ended is told to the APIs by one"


async def test_a_refused_call_asks_for_nothing_behind_its_token(ops: Manager) -> None:
    store = ops.node.house.store
    weak, ops = await warm(ops.node, "gw:keys:read"), await warm(ops.node)
    async with ops.node.unmoved():
        for who, method, path in ((weak, "GET", "/clients"), (ops, "POST", "/clients"), (ops, "GET", "/clients?count=x")):
            before = store.counts.reads + store.counts.listings + store.counts.units
            assert (await who.ask(method, path, {} if method == "POST" else None)).status in (403, 422)
            assert store.counts.reads + store.counts.listings + store.counts.units - before == TOKEN
        before = store.counts.reads + store.counts.listings + store.counts.units
        await Manager(ops.node, "gwa_nonsense").ask("GET", "/clients")
        assert store.counts.reads + store.counts.listings + store.counts.units == before, "what was never ours costs nothing"
