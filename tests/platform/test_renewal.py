"""A client's secrets over time, on both engines: two live, replaced, ended, leaked, read again, used; whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pytest

from gatewright.audit.book import entries
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.clients import renewal
from gatewright.clients.book import ClientRow, client_named
from gatewright.jobs.sweep import sweep
from gatewright.keys.root import KeyFault, RootKey
from gatewright.keys.sealer import Wrapper
from gatewright.store import Query, Store, StoreError, Tx
from gatewright.tenants.secret_uses import BATCH, SecretUses
from tests.platform.played import SMALL, Played
from tests.support.crash import crash_everywhere

T = TypeVar("T")
WRAPPER = Wrapper(RootKey(bytes(range(32))))
READABLE = SMALL + "secret_readable = true\n"
STATE = Query(str, "SELECT COALESCE(ended_because, '') || ' ' || COALESCE(expires_at, 0) || ' ' || label FROM credential ORDER BY id")
DAY = 86_400


@dataclass
class Place:
    """One client of a platform, and an admin in front of it."""

    played: Played
    tenant: int
    client: ClientRow

    async def act(self, unit: Callable[[Deed], Awaitable[T]], store: Store | None = None) -> T:
        at = self.played.clock.moment()

        async def run(tx: Tx) -> T:
            return await unit(Deed(tx, at, self.tenant, "us_admin"))

        return await (store or self.played.store).run(run)

    async def live(self) -> list[str]:
        return [row.label for row in await renewal.live(self.played.store, self.client, self.played.clock.now)]

    async def acts(self) -> list[str]:
        return [entry.act for entry in reversed(await entries(self.played.store, self.tenant, subject="web"))]


async def placed(played: Played, text: str = SMALL) -> Place:
    await played.apply(text)
    tenant = await played.tenant()
    client = await client_named(played.store, tenant, "web")
    assert client is not None
    return Place(played, tenant, client)


async def test_two_may_live_and_a_third_is_refused_by_a_sentence_that_names_them(played: Played) -> None:
    place = await placed(played)
    second = await place.act(lambda deed: renewal.make(deed, place.client, None, label="second"))
    with pytest.raises(Refused) as caught:
        await place.act(lambda deed: renewal.make(deed, place.client, None, label="third"))
    said = str(caught.value)
    assert said.startswith("web has two live secrets already: cs_")
    for part in ('"platform file"', '"second"', ids.show(ids.SECRET, second.id), "never used", "end one of them first"):
        assert part in said
    assert await place.live() == ["platform file", "second"]


async def test_one_that_ran_out_leaves_its_place(played: Played) -> None:
    place = await placed(played)
    await place.act(lambda deed: renewal.make(deed, place.client, None, label="short", expires_at=played.clock.now + 60))
    played.clock.pass_(60)
    await place.act(lambda deed: renewal.make(deed, place.client, None, label="next"))
    assert await place.live() == ["platform file", "next"]


async def test_of_several_who_make_one_in_the_same_moment_one_is_right(played: Played) -> None:
    place = await placed(played)

    async def one(label: str) -> bool:
        try:
            await place.act(lambda deed: renewal.make(deed, place.client, None, label=label))
        except (Refused, StoreError):
            return False
        return True

    done = await asyncio.gather(*(one(f"racer {number}") for number in range(6)))
    assert sum(done) == 1
    assert len(await place.live()) == 2


async def test_what_is_replaced_at_once_ends_at_once_and_with_an_overlap_at_its_date(played: Played) -> None:
    place = await placed(played)
    now = played.clock.now
    await place.act(lambda deed: renewal.regenerate(deed, place.client, None, label="second", until=now + DAY))
    assert await place.live() == ["platform file", "second"]
    played.clock.pass_(DAY)
    assert await place.live() == ["second"]
    await place.act(lambda deed: renewal.regenerate(deed, place.client, None, label="third"))
    assert await place.live() == ["third"]
    assert (await place.acts())[-2:] == ["secret.ended", "secret.added"]


async def test_an_overlap_never_makes_a_secret_live_longer_than_it_would(played: Played) -> None:
    place = await placed(played)
    now = played.clock.now
    await place.act(lambda deed: renewal.regenerate(deed, place.client, None, label="short", expires_at=now + 3600))
    await place.act(lambda deed: renewal.regenerate(deed, place.client, None, label="next", until=now + DAY))
    assert "short" in await place.live()
    played.clock.pass_(3600)
    assert await place.live() == ["next"]


async def test_an_overlap_with_two_live_secrets_is_refused_and_ending_both_is_not(played: Played) -> None:
    place = await placed(played)
    await place.act(lambda deed: renewal.make(deed, place.client, None, label="second"))
    with pytest.raises(Refused, match="or let both end now"):
        await place.act(lambda deed: renewal.regenerate(deed, place.client, None, until=played.clock.now + 60))
    await place.act(lambda deed: renewal.regenerate(deed, place.client, None, label="only"))
    assert await place.live() == ["only"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"label": "x" * 101}, "at most 100 characters"),
        ({"label": "a\nb"}, "one line"),
        ({"expires_at": 5}, "over before it begins"),
        ({"until": 5}, "which is past"),
    ],
)
async def test_what_cannot_be_is_refused_by_a_sentence_and_changes_nothing(played: Played, more: dict[str, Any], words: str) -> None:
    place = await placed(played)
    before = await played.store.all(STATE)
    with pytest.raises(Refused, match=words):
        await place.act(lambda deed: renewal.regenerate(deed, place.client, None, **more))
    assert await played.store.all(STATE) == before


async def test_a_client_that_proves_itself_otherwise_has_no_secret(played: Played) -> None:
    keyed = SMALL + 'token_endpoint_auth_method = "private_key_jwt"\njwks_uri = "https://web.example/jwks.json"\n'
    place = await placed(played, keyed)
    with pytest.raises(Refused, match="without a secret"):
        await place.act(lambda deed: renewal.make(deed, place.client, None))


# ---------------------------------------------------------------- leaked


async def test_a_leaked_secret_ends_with_all_that_the_client_was_given(played: Played) -> None:
    place = await placed(played)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    assert await place.act(lambda deed: renewal.report_leaked(deed, place.client, row.id))
    after = await client_named(played.store, place.tenant, "web")
    assert after is not None
    assert after.epoch == place.client.epoch + 1
    assert await place.live() == []
    assert (await place.acts())[-2:] == ["secret.leaked", "client.access_ended"]


async def test_the_access_goes_on_where_the_admin_says_so(played: Played) -> None:
    place = await placed(played)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    assert await place.act(lambda deed: renewal.report_leaked(deed, place.client, row.id, access_goes_on=True))
    after = await client_named(played.store, place.tenant, "web")
    assert after is not None
    assert after.epoch == place.client.epoch


async def test_a_leak_that_is_told_late_ends_the_access_all_the_same(played: Played) -> None:
    place = await placed(played)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    assert await place.act(lambda deed: renewal.end(deed, place.client, row.id))
    assert await place.act(lambda deed: renewal.report_leaked(deed, place.client, row.id))
    after = await client_named(played.store, place.tenant, "web")
    assert after is not None
    assert after.epoch == place.client.epoch + 1
    assert not await place.act(lambda deed: renewal.report_leaked(deed, place.client, row.id + 1))


# ---------------------------------------------------------------- read again


async def test_a_secret_is_read_again_only_where_the_setting_says_so(played: Played) -> None:
    place = await placed(played, READABLE)
    made = await place.act(lambda deed: renewal.make(deed, place.client, WRAPPER, label="second"))
    first, second = await place.act(lambda deed: renewal.read(deed, place.client, WRAPPER, address="192.0.2.1"))
    assert (first.secret, second.secret) == (None, made.secret), "without a wrapper the file's was kept as a digest alone"
    entry = (await entries(played.store, place.tenant, act="secret.read"))[0]
    assert msgspec.json.decode(entry.detail)["secret_ids"] == [ids.show(ids.SECRET, made.id)]
    shut = msgspec.structs.replace(
        place.client, settings=place.client.settings.replace('"secret_readable":true', '"secret_readable":false')
    )
    assert [one.secret for one in await place.act(lambda deed: renewal.read(deed, shut, WRAPPER, address=""))] == [None, None]


async def test_a_readable_secret_is_made_with_the_root_key_or_not_at_all(played: Played) -> None:
    place = await placed(played, READABLE)
    with pytest.raises(Refused, match="root key"):
        await place.act(lambda deed: renewal.make(deed, place.client, None))


async def test_the_text_opens_for_its_tenant_client_and_secret_alone(played: Played) -> None:
    place = await placed(played, READABLE)
    made = await place.act(lambda deed: renewal.make(deed, place.client, WRAPPER))
    (wrapped,) = await played.store.all(Query(str, "SELECT wrapped FROM credential WHERE wrapped IS NOT NULL"))
    assert made.secret.reveal() not in wrapped
    purpose, name = renewal.PURPOSE, f"{place.client.id}|{made.id}"
    assert WRAPPER.unwrap(purpose, place.tenant, name, wrapped).decode() == made.secret.reveal()
    for tenant, other, key in (
        (place.tenant + 1, name, WRAPPER),
        (place.tenant, f"{place.client.id + 1}|{made.id}", WRAPPER),
        (place.tenant, f"{place.client.id}|{made.id + 1}", WRAPPER),
        (place.tenant, name, Wrapper(RootKey(bytes(32)))),
    ):
        with pytest.raises(KeyFault):
            key.unwrap(purpose, tenant, other, wrapped)


async def test_what_ended_or_ran_out_is_not_kept_to_be_read(played: Played) -> None:
    place = await placed(played, READABLE)
    left = Query(int, "SELECT count(*) FROM credential WHERE wrapped IS NOT NULL")
    ended = await place.act(lambda deed: renewal.make(deed, place.client, WRAPPER))
    await place.act(lambda deed: renewal.end(deed, place.client, ended.id))
    assert await played.store.one(left) == 0
    await place.act(lambda deed: renewal.make(deed, place.client, WRAPPER, expires_at=played.clock.now + 60))
    played.clock.pass_(60)
    assert [one.secret for one in await place.act(lambda deed: renewal.read(deed, place.client, WRAPPER, address=""))] == [None]
    await sweep(played.store, played.clock.now)
    assert await played.store.one(left) == 0


async def test_a_readable_secret_is_a_weakness_that_apply_tells(played: Played) -> None:
    applied = await played.apply(READABLE)
    assert "weakness: client web: secret_readable" in applied.plan.notices


async def test_the_file_refuses_a_third_secret(played: Played) -> None:
    place = await placed(played, SMALL + 'secret = { env = "EVENTS_WEB_SECRET" }\n')
    await place.act(lambda deed: renewal.make(deed, place.client, None, label="second"))
    with pytest.raises(Refused, match="two live secrets already"):
        await played.plan(SMALL + 'secret = { env = "IMAGE_COPIER_SECRET" }\n')


# ---------------------------------------------------------------- owners


async def test_a_file_says_whose_a_client_is_and_twice_is_once(played: Played) -> None:
    owned = SMALL + 'owner = { user = "U@acme.test", account = "one" }\n'
    place = await placed(played, owned)
    assert place.client.owner_person > 0
    assert place.client.owner_account > 0
    assert (await played.plan(owned)).changes == ()
    assert (await played.plan(SMALL)).changes == (), "what the file does not name stays"
    (change,) = (await played.plan(SMALL + 'owner = { user = "v@acme.test" }\n[[users]]\nemail = "v@acme.test"\n')).changes[-1:]
    assert [(detail.key, detail.after) for detail in change.details] == [("owner.user", "v@acme.test")]


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        ('{ user = "nobody@acme.test" }', 'clients[0].owner.user: there is no user "nobody@acme.test"'),
        ('{ account = "two" }', 'clients[0].owner.account: there is no account "two"'),
        ('{ person = "x" }', "clients[0].owner.person: this key is not known"),
    ],
)
async def test_an_owner_who_cannot_be_is_told(played: Played, owner: str, words: str) -> None:
    assert any(words in fault for fault in await played.faults(SMALL + f"owner = {owner}\n"))


async def test_a_service_user_owns_nothing(played: Played) -> None:
    robot = '\n[[users]]\nemail = "r@acme.test"\nkind = "service"\nmemberships = [{ account = "one" }]\n'
    (fault,) = await played.faults(SMALL + 'owner = { user = "r@acme.test" }\n' + robot)
    assert "a client belongs to a person" in fault


# ---------------------------------------------------------------- used


async def test_the_last_use_is_written_in_batches_and_never_goes_back(played: Played) -> None:
    place = await placed(played)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    uses, late = SecretUses(), SecretUses()
    uses.used(place.tenant, row.id, "192.0.2.1", 100)
    uses.used(place.tenant, row.id, "192.0.2.2", 200)
    late.used(place.tenant, row.id, "192.0.2.3", 150)
    assert await uses.flush(played.store) == 1
    assert await uses.flush(played.store) == 0
    await late.flush(played.store)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    assert (row.used_at, row.used_from) == (200, "192.0.2.2")


async def test_a_use_that_cannot_be_written_is_kept_for_the_next_time(played: Played) -> None:
    place = await placed(played)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    uses = SecretUses()
    for number in range(BATCH + 1):
        uses.used(place.tenant, row.id + number, "192.0.2.1", 100)

    class Away:
        async def run(self, *_: object) -> None:
            raise StoreError("away")

    with pytest.raises(StoreError):
        await uses.flush(Away())  # type: ignore[arg-type]  # a store that is away
    assert await uses.flush(played.store) == BATCH + 1


async def test_the_use_of_a_secret_of_another_tenant_is_not_written(played: Played) -> None:
    place = await placed(played)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    uses = SecretUses()
    uses.used(place.tenant + 1, row.id, "192.0.2.1", 100)
    await uses.flush(played.store)
    assert (await renewal.live(played.store, place.client, played.clock.now))[0].used_at is None


# ---------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize("act", ["make", "overlap", "replace", "leak", "read"])
async def test_a_crash_at_any_statement_leaves_all_as_it_was(played: Played, act: str) -> None:
    place = await placed(played, READABLE)
    (row,) = await renewal.live(played.store, place.client, played.clock.now)
    now = played.clock.now
    acts: dict[str, Callable[[Deed], Awaitable[object]]] = {
        "make": lambda deed: renewal.make(deed, place.client, WRAPPER, label="second"),
        "overlap": lambda deed: renewal.regenerate(deed, place.client, WRAPPER, label="second", until=now + DAY),
        "replace": lambda deed: renewal.regenerate(deed, place.client, WRAPPER, label="second"),
        "leak": lambda deed: renewal.report_leaked(deed, place.client, row.id),
        "read": lambda deed: renewal.read(deed, place.client, WRAPPER, address=""),
    }
    await place.act(lambda deed: renewal.regenerate(deed, place.client, WRAPPER, label="first"))
    (row,) = await renewal.live(played.store, place.client, now)
    before, told = await played.store.all(STATE), await place.acts()

    async def unchanged(_: int) -> None:
        assert await played.store.all(STATE) == before
        assert await place.acts() == told

    _, crashes = await crash_everywhere(played.store, lambda store: place.act(acts[act], store), unchanged)
    assert crashes >= 2
    assert len(await place.acts()) > len(told)
