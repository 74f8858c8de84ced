"""What was given to clients: one live record each, made and changed by dated events, ended by one update."""

import asyncio

import pytest

from gatewright.ledger import book, grants
from gatewright.ledger.grants import Grant
from gatewright.ledger.opening import OPEN, row_of
from gatewright.oauth.authorization import EndedBecause, NewAuthorization
from gatewright.oauth.catalogue import EMAIL, OPENID, PROFILE, text_of
from gatewright.oauth.decision import Verdict
from gatewright.oauth.handle import mark_of
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import Playground


async def live(ground: Playground, *, person: int = b.PERSON, account: int = b.ACCOUNT) -> Grant | None:
    return await ground.grants.find(b.TENANT, b.CLIENT, person, account)


async def test_a_first_consent_makes_the_grant_and_is_audited(ground: Playground) -> None:
    client = await ground.add()
    assert await live(ground) is None
    made = await ground.grant(client, OPENID, EMAIL, declined=frozenset({PROFILE}), claims='{"id_token":["email"]}')
    assert await live(ground) == made
    assert (made.granted, made.declined, made.made_at) == (text_of((OPENID, EMAIL)), text_of((PROFILE,)), NOON)
    assert await ground.audited() == ["grant.made"]


async def test_a_later_consent_is_merged_and_the_last_word_on_a_scope_counts(ground: Playground) -> None:
    client = await ground.add()
    await ground.grant(client, OPENID, EMAIL, declined=frozenset({PROFILE}))
    ground.clock.pass_(60)
    merged = await ground.grant(client, PROFILE, declined=frozenset({EMAIL}))
    assert merged.scopes == {OPENID, PROFILE}
    assert merged.declined_scopes == {EMAIL}
    assert (merged.made_at, merged.changed_at) == (NOON, NOON + 60)
    assert await ground.audited() == ["grant.made", "grant.changed"]


async def test_a_scope_both_given_and_declined_is_given(ground: Playground) -> None:
    made = await ground.grant(await ground.add(), EMAIL, declined=frozenset({EMAIL}))
    assert made.scopes == {EMAIL}
    assert not made.declined_scopes


async def test_an_exact_giving_takes_the_place_of_all_before(ground: Playground) -> None:
    client = await ground.add()
    await ground.grant(client, OPENID, EMAIL, declined=frozenset({PROFILE}))
    assert (await ground.grant(client, OPENID, exact=True)).declined_scopes == frozenset()
    assert (await ground.grant(client, OPENID, exact=True)).scopes == {OPENID}


async def test_asked_again_and_answered_alike_is_an_event_too(ground: Playground) -> None:
    client = await ground.add()
    await ground.grant(client, OPENID)
    ground.clock.pass_(1)
    assert (await ground.grant(client, OPENID)).changed_at == NOON + 1
    assert await ground.audited() == ["grant.made", "grant.changed"]


async def test_where_nobody_was_asked_and_nothing_is_new_nothing_is_written(ground: Playground) -> None:
    client = await ground.add()
    first = await ground.grant(client, OPENID, source="first_party")
    ground.clock.pass_(1)
    assert await ground.grant(client, OPENID, source="first_party") == first
    assert await ground.audited() == ["grant.made"]


async def test_of_many_consents_at_once_none_is_lost(ground: Playground) -> None:
    client = await ground.add()
    await asyncio.gather(*[ground.grant(client, number) for number in range(1, 21)])
    found = await live(ground)
    assert found is not None
    assert found.scopes == frozenset(range(1, 21))
    assert await ground.number("SELECT COUNT(*) FROM consent_grant") == 1


async def test_each_account_has_a_grant_of_its_own(ground: Playground) -> None:
    client = await ground.add()
    here, nowhere = await ground.grant(client, OPENID), await ground.grant(client, OPENID, account=0)
    assert here.id != nowhere.id
    assert await live(ground, account=0) == nowhere


async def test_ending_a_grant_ends_everything_under_it_by_one_update(ground: Playground) -> None:
    client = await ground.add()
    tokens = [(await ground.exchange(await ground.code(client, OPENID)))["refresh_token"] for _ in range(2)]
    given = await live(ground)
    assert given is not None
    assert await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=given.id, because="withdrawn", actor="us_x")
    for token in tokens:
        row = await ground.row(token)
        assert (row.ended_at, row.fault(NOON), row.grant_ended_because) == (None, Verdict.GRANT_ENDED, "withdrawn")
    assert await live(ground) is None
    assert (await ground.audited())[-1] == "grant.ended"


async def test_a_grant_ends_once_and_only_in_its_own_tenant(ground: Playground) -> None:
    given = await ground.grant(await ground.add(), OPENID)
    at = ground.clock.moment()
    assert not await ground.grants.end(at, tenant=b.TENANT + 1, number=given.id, because="by_admin", actor="us_x")
    assert await ground.grants.end(at, tenant=b.TENANT, number=given.id, because="withdrawn", actor="us_x")
    assert not await ground.grants.end(at, tenant=b.TENANT, number=given.id, because="by_admin", actor="us_x")
    assert await ground.audited() == ["grant.made", "grant.ended"]


async def test_consent_after_an_end_is_a_new_grant_and_revives_nothing(ground: Playground) -> None:
    client = await ground.add()
    token = (await ground.exchange(await ground.code(client, OPENID)))["refresh_token"]
    old = await live(ground)
    assert old is not None
    await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=old.id, because="withdrawn", actor="us_x")
    new = await ground.grant(client, OPENID)
    assert new.id != old.id
    assert (await ground.row(token)).fault(NOON) is Verdict.GRANT_ENDED


async def test_a_grant_that_ran_out_is_followed_by_a_new_one(ground: Playground) -> None:
    client = await ground.add()
    old = await ground.grant(client, OPENID, EMAIL, expires_at=NOON + 10)
    assert not old.over(NOON)
    ground.clock.pass_(10)
    new = await ground.grant(client, PROFILE)
    assert new.id != old.id
    assert new.scopes == {PROFILE}
    assert new.expires_at is None
    assert await ground.audited() == ["grant.made", "grant.ended", "grant.made"]


@pytest.mark.parametrize(("party", "number"), [("person", b.PERSON), ("client", b.CLIENT), ("account", b.ACCOUNT)])
async def test_all_grants_of_a_party_end_together(ground: Playground, party: str, number: int) -> None:
    client = await ground.add()
    await ground.grant(client, OPENID)
    stranger = await ground.grant(client, OPENID, person=b.PERSON + 7, account=b.ACCOUNT + 7)
    at = ground.clock.moment()
    assert await ground.store.run(grants.end_matching, at, tenant=b.TENANT + 1, **{party: number}, because="by_admin", actor="us_x") == 0
    ended = await ground.store.run(grants.end_matching, at, tenant=b.TENANT, **{party: number}, because="by_admin", actor="us_x")
    assert ended == (2 if party == "client" else 1)
    assert await live(ground) is None
    others = await ground.grants.find(b.TENANT, b.CLIENT, b.PERSON + 7, b.ACCOUNT + 7)
    assert others == (None if party == "client" else stranger)
    assert (await ground.audited()).count("grant.ended") == 1


async def test_a_person_sees_what_was_given_and_not_taken_back(ground: Playground) -> None:
    client = await ground.add()
    here = await ground.grant(client, OPENID, EMAIL)
    ground.clock.pass_(5)
    nowhere = await ground.grant(client, OPENID, account=0, expires_at=NOON + 20)
    listed = await ground.grants.of_person(b.TENANT, b.PERSON, NOON + 5)
    assert [held.id for held in listed] == [nowhere.id, here.id]
    assert (listed[1].client_name, listed[1].client_id, listed[1].account_slug) == ("Budget Buddy", "budget-buddy", "acme-dev")
    assert listed[1].scopes == {OPENID, EMAIL}
    assert listed[0].account_slug is None
    assert [held.id for held in await ground.grants.of_person(b.TENANT, b.PERSON, NOON + 20)] == [here.id]
    assert await ground.grants.of_person(b.TENANT + 1, b.PERSON, NOON) == []
    await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=here.id, because="withdrawn", actor="us_x")
    assert [held.id for held in await ground.grants.of_person(b.TENANT, b.PERSON, NOON + 5)] == [nowhere.id]


async def test_a_session_takes_along_what_was_bound_to_it(ground: Playground) -> None:
    bound = (await ground.exchange(await ground.code(await ground.add(refresh="offline"), OPENID)))["refresh_token"]
    free = (await ground.exchange(await ground.code(await ground.add(), OPENID)))["refresh_token"]
    assert await ground.store.run(book.end_of_session, ground.clock.moment(), b.TENANT, b.SESSION) == 1
    assert (await ground.row(bound)).ended_because == "signed_out"
    assert (await ground.row(free)).ended_at is None


async def test_an_authorization_ends_once_and_its_end_is_audited(ground: Playground) -> None:
    token = (await ground.exchange(await ground.code(await ground.add(), OPENID)))["refresh_token"]
    number = (await ground.row(token)).id
    causes: tuple[EndedBecause, ...] = ("revoked", "by_admin")
    for because in causes:
        await ground.ledger.end(await ground.row(number), because=because, now=NOON)
    assert (await ground.row(number)).ended_because == "revoked"
    assert (await ground.audited()).count("authorization.ended") == 1


async def test_a_mark_is_set_once_and_belongs_to_its_tenant(ground: Playground) -> None:
    async def first(tenant: int, attempt: str) -> bool:
        return await ground.ledger.first_time("jti", tenant=tenant, attempt=attempt, until=NOON + 60)

    assert [await first(1, "a"), await first(1, "a"), await first(1, "b"), await first(2, "b")] == [True, True, False, True]
    answers = await asyncio.gather(*[ground.ledger.first_time("race", tenant=1, attempt=f"{n}", until=NOON) for n in range(20)])
    assert sum(answers) == 1


async def test_a_mark_shows_on_the_rows_of_its_own_tenant_alone(ground: Playground) -> None:
    token = (await ground.exchange(await ground.code(await ground.add(), OPENID)))["refresh_token"]
    number = (await ground.row(token)).id
    await ground.ledger.first_time("at:x", tenant=b.TENANT + 1, attempt="a", until=NOON + 60)
    unmarked = await ground.ledger.standing(number, mark=mark_of(b.TENANT, "x"))
    await ground.ledger.first_time("at:x", tenant=b.TENANT, attempt="a", until=NOON + 60)
    marked = await ground.ledger.standing(number, mark=mark_of(b.TENANT, "x"))
    assert unmarked is not None
    assert marked is not None
    assert (unmarked.marked, marked.marked) == (None, NOON + 60)
    assert await ground.ledger.standing(number + 1) is None


async def test_opening_again_after_a_lost_answer_is_the_same_opening(ground: Playground) -> None:
    new = NewAuthorization(
        id=77, tenant=1, issuer=b.URL, opened_by="authorization_code", grant=1, client=1, client_epoch=0, access_secret="mine", opened_at=1,
        sweep_at=1,
    )  # fmt: skip
    for _ in range(2):
        assert await ground.store.verb(OPEN, **row_of(new)) == 77
    other = row_of(new) | {"access_secret": "another's"}
    assert await ground.store.verb(OPEN, **other) is None
