"""What the password grant refuses: everything that a stranger could learn from with one answer, everything else with its cure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.authorization import NewAuthorization
from gatewright.oauth.catalogue import MANAGEMENT_SCOPES, OPENID
from gatewright.oauth.errors import (
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    TemporarilyUnavailable,
    UnauthorizedClient,
)
from gatewright.oauth.grant_types.password import WRONG
from gatewright.oauth.showing import Weakness
from gatewright.signin import throttle as rules
from gatewright.store import Query
from tests.protocol.test_password import ROBOTS, an_old_client, another_account, internal, shown
from tests.protocol.test_password import with_passwords as furnished
from tests.support import builders as b
from tests.support.browser import EMAIL as ANNS
from tests.support.browser import PASSWORD
from tests.support.clock import NOON
from tests.support.world import Playground

WRITTEN = ("SELECT COUNT(*) FROM authorization_row", "SELECT COUNT(*) FROM consent_grant", "SELECT COUNT(*) FROM weakness_use")


async def nothing_written(ground: Playground) -> None:
    assert [await ground.number(text) for text in WRITTEN] == [0, 0, 0]


async def disabled(ground: Playground) -> None:
    await ground.sql("UPDATE person SET disabled_at = 1, epoch = epoch + 1")


async def deleted(ground: Playground) -> None:
    await ground.sql("UPDATE person SET deleted_at = 1, disabled_at = 1")


async def guarded_twice(ground: Playground) -> None:
    await ground.sql("UPDATE person SET second_factor_at = 1")


async def no_password(ground: Playground) -> None:
    await ground.sql("UPDATE person SET password = NULL")


async def elsewhere(ground: Playground) -> None:
    await ground.sql("UPDATE person SET tenant = tenant + 1")


async def unchanged(ground: Playground) -> None:
    """Nothing."""


@pytest.mark.proves("RFC 6749", "5.2")
@pytest.mark.parametrize(
    ("state", "username", "password"),
    [
        (unchanged, ANNS, "wrong"),
        (unchanged, "nobody@acme.test", PASSWORD),
        (unchanged, "x" * 100_000, PASSWORD),
        (unchanged, ANNS, "x" * 1025),
        (unchanged, ANNS, PASSWORD + " "),
        (disabled, ANNS, PASSWORD),
        (deleted, ANNS, PASSWORD),
        (guarded_twice, ANNS, PASSWORD),
        (no_password, ANNS, PASSWORD),
        (elsewhere, ANNS, PASSWORD),
    ],
)
async def test_one_answer_to_everything_that_must_not_be_told_apart(
    ground: Playground, state: Callable[[Playground], Awaitable[None]], username: str, password: str
) -> None:
    await furnished(ground)
    await ground.add(internal())
    await state(ground)
    with pytest.raises(InvalidGrant) as refusal:
        await shown(ground, username, password, scope="read:balance")
    assert (refusal.value.description, refusal.value.why) == (WRONG, "")
    await nothing_written(ground)


async def test_a_persons_password_opens_nothing_to_a_client_that_is_not_internal(ground: Playground) -> None:
    await furnished(ground)
    for client in (an_old_client(), an_old_client(party="first"), internal(consent="always")):
        await ground.add(client)
        with pytest.raises(InvalidGrant, match=WRONG):
            await shown(ground, ANNS, scope="read:balance")
    await nothing_written(ground)


@pytest.mark.parametrize(
    ("state", "password", "why"),
    [
        (unchanged, "wrong", "mismatch"),
        (disabled, PASSWORD, "disabled"),
        (guarded_twice, PASSWORD, "second factor"),
        (no_password, PASSWORD, "mismatch"),
        (deleted, PASSWORD, "unknown"),
    ],
)
async def test_the_audit_log_alone_knows_why(
    ground: Playground, state: Callable[[Playground], Awaitable[None]], password: str, why: str
) -> None:
    await furnished(ground)
    await ground.add(internal())
    await state(ground)
    with pytest.raises(InvalidGrant):
        await shown(ground, ANNS, password, scope="read:balance")
    text = await ground.store.one(Query(str, "SELECT detail FROM audit WHERE act = 'sign_in.failed'"))
    assert msgspec.json.decode(text or "{}") == {"why": why, "network": "127.0.0.0/24", "client": ids.show(ids.CLIENT, b.CLIENT)}
    assert any(why in line for line in ground.lines)
    assert not any(PASSWORD in line or ANNS in line for line in ground.lines)


# ---------------------------------------------------------------- the exception


async def test_a_client_without_the_grant_type_is_told_so(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(an_old_client(grant_types=("client_credentials",), password_grant=None))
    with pytest.raises(UnauthorizedClient, match="not set up for the grant type 'password'"):
        await shown(ground)


async def test_when_the_exception_is_over_it_says_since_when_and_what_to_do(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(an_old_client(password_grant={"until": NOON + 100, "reason": "soon over"}))
    assert await shown(ground)
    ground.clock.pass_(100)
    with pytest.raises(UnauthorizedClient, match=r"ended with 2027-.*use the authorization code grant"):
        await shown(ground)


async def test_nothing_is_hashed_counted_or_looked_up_for_a_client_that_may_not_ask(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(an_old_client(password_grant={"until": NOON, "reason": "over"}))
    before = ground.store.counts.reads, ground.store.counts.units
    with pytest.raises(UnauthorizedClient):
        await shown(ground)
    assert (ground.store.counts.reads, ground.store.counts.units) == before


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://app.acme.test:444", "http://app.acme.test", "HTTPS://APP.ACME.TEST"]
)
async def test_a_page_of_another_origin_is_refused_before_anything_is_hashed(ground: Playground, origin: str) -> None:
    await furnished(ground)
    await ground.add(internal(cors_origins=("https://app.acme.test",)))
    ground.origin = origin
    with pytest.raises(UnauthorizedClient, match="cors_origins"):
        await shown(ground, ANNS, "wrong", scope="read:balance")
    assert not await ground.number("SELECT COUNT(*) FROM throttle")
    ground.origin = "https://app.acme.test"
    assert await shown(ground, ANNS, scope="read:balance")


# ---------------------------------------------------------------- the request


@pytest.mark.proves("RFC 6749", "4.3.2")
@pytest.mark.parametrize("missing", ["username", "password"])
@pytest.mark.parametrize("value", [None, ""])
async def test_a_name_and_a_password_are_needed(ground: Playground, missing: str, value: str | None) -> None:
    await furnished(ground)
    await ground.add(an_old_client())
    sent = {"username": ROBOTS, "password": PASSWORD, missing: value}
    with pytest.raises(InvalidRequest, match=missing):
        await ground.post(grant_type="password", **sent)


@pytest.mark.proves("RFC 6749", "3.2")
@pytest.mark.parametrize("twice", ["username", "password"])
async def test_neither_comes_twice(ground: Playground, twice: str) -> None:
    await furnished(ground)
    await ground.add(an_old_client())
    sent: dict[str, object] = {"username": ROBOTS, "password": PASSWORD, twice: ("one", "two")}
    with pytest.raises(InvalidRequest, match="more than once"):
        await ground.post(grant_type="password", **sent)  # type: ignore[arg-type] # a tuple repeats one


async def test_of_several_accounts_none_wins_in_silence(ground: Playground) -> None:
    await furnished(ground)
    await another_account(ground)
    await ground.sql(
        "UPDATE membership SET chosen_at = 1 WHERE person = :person AND account = :account", person=b.PERSON, account=b.ACCOUNT
    )
    await ground.add(internal())
    with pytest.raises(InvalidRequest, match="'account'"):
        await shown(ground, ANNS, scope="view:events")
    await nothing_written(ground)


@pytest.mark.parametrize("named", ["acme-prod", "nowhere", ids.show(ids.ACCOUNT, 6002), "ac_x"])
async def test_an_account_that_is_none_of_the_users_is_like_one_that_is_not_there(ground: Playground, named: str) -> None:
    await furnished(ground)
    await another_account(ground)
    await ground.add(an_old_client())
    with pytest.raises(InvalidRequest, match="none of this user's accounts"):
        await shown(ground, account=named)
    await nothing_written(ground)


@pytest.mark.parametrize("number", [6002, b.ACCOUNT])
async def test_a_client_tied_to_an_account_works_in_no_other(ground: Playground, number: int) -> None:
    await furnished(ground)
    await another_account(ground)
    await ground.add(internal(account=number))
    assert (await shown(ground, ANNS, scope="read:balance"))["account"] == ("acme-prod" if number == 6002 else "acme-dev")
    with pytest.raises(InvalidRequest, match="none of this user's accounts"):
        await shown(ground, ANNS, scope="read:balance", account="acme-dev" if number == 6002 else "acme-prod")
    await ground.sql("UPDATE membership SET ended_at = 1 WHERE account = :account", account=number)
    with pytest.raises(InvalidRequest, match="none of this user's accounts"):
        await shown(ground, ANNS, scope="read:balance")


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("no:such", "unknown scope"),
        ("create:events", "cannot give"),
        ("read:images", "scope_not_allowed_to_client"),
    ],
)
async def test_scopes_that_cannot_be_given_are_refused(ground: Playground, scope: str, said: str) -> None:
    await furnished(ground)
    await ground.sql("UPDATE membership SET roles = ''")
    await ground.add(internal())
    with pytest.raises(InvalidScope, match=said):
        await shown(ground, ANNS, scope=scope)
    await nothing_written(ground)


async def test_a_client_that_must_ask_for_scopes_must_ask_here_too(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(an_old_client(scopes_policy="required"))
    with pytest.raises(InvalidScope, match="no scope was requested"):
        await shown(ground)


async def test_openid_is_given_or_refused_and_never_left_out(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(an_old_client(scopes=(b.READ_BALANCE.id,)))
    with pytest.raises(InvalidScope, match="openid is not allowed"):
        await shown(ground, scope="openid read:balance")


async def test_the_platform_is_not_managed_by_a_password_in_somebodys_form(ground: Playground) -> None:
    await furnished(ground)
    scope = MANAGEMENT_SCOPES[0]
    await ground.add(internal(scopes=(b.READ_BALANCE.id, scope.id)))
    with pytest.raises(InvalidScope, match="asked for at a page"):
        await shown(ground, ANNS, scope=f"read:balance {scope.name}")
    assert (await shown(ground, ANNS))["scope"] == "read:balance", "nor does all_allowed mean it"


async def test_a_client_that_wants_all_or_nothing_gets_no_less(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(internal(denied="refuse"))
    with pytest.raises(InvalidScope, match=r"not all can be given \(view:events: role_lacks_scope\)"):
        await shown(ground, ANNS, scope="create:events view:events")
    assert (await shown(ground, ANNS, scope="create:events"))["scope"] == "create:events"


async def test_everything_declined_is_nothing_given(ground: Playground) -> None:
    await furnished(ground)
    client = await ground.add(internal())
    await ground.grant(client, OPENID, declined=frozenset({b.READ_BALANCE.id}))
    with pytest.raises(InvalidScope, match="declined"):
        await shown(ground, ANNS, scope="read:balance")


async def test_a_client_for_certain_roles_gives_nothing_to_others(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(internal(roles=(b.PARTICIPANT.id,)))
    with pytest.raises(InvalidScope, match="none of the roles"):
        await shown(ground, ANNS, scope="read:balance")


async def test_several_apis_need_a_resource(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(internal())
    with pytest.raises(InvalidTarget, match=b.EVENTS.audience):
        await shown(ground, ANNS, scope="read:balance create:events")
    await nothing_written(ground)


async def test_without_a_membership_a_user_gives_no_apis_scope(ground: Playground) -> None:
    await furnished(ground)
    await ground.sql("UPDATE membership SET ended_at = 1")
    await ground.add(internal())
    with pytest.raises(InvalidScope):
        await shown(ground, ANNS, scope="read:balance")
    assert "account" not in await shown(ground, ANNS, scope="openid")


async def test_a_refusal_behind_a_right_password_is_no_guess(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(internal())
    for _ in range(rules.PAIR.free + 2):
        with pytest.raises(InvalidScope):
            await shown(ground, ANNS, scope="no:such")
        with pytest.raises(InvalidTarget):
            await shown(ground, ANNS, scope="read:balance create:events")


# ---------------------------------------------------------------- guessing


async def test_guesses_are_slowed_down_by_the_counters_of_the_sign_in_page(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(internal())
    for _ in range(rules.PAIR.free):
        with pytest.raises(InvalidGrant):
            await shown(ground, ANNS, "wrong", scope="read:balance")
    with pytest.raises(TemporarilyUnavailable, match="too many attempts") as refusal:
        await shown(ground, ANNS, scope="read:balance")
    assert refusal.value.retry_after == 1
    ground.clock.pass_(1)
    assert await shown(ground, ANNS, scope="read:balance")
    assert (await ground.audited()).count("sign_in.throttled") == 1


async def test_guesses_at_a_name_that_nobody_has_are_slowed_down_alike(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(internal())
    for _ in range(rules.PAIR.free):
        with pytest.raises(InvalidGrant):
            await shown(ground, "nobody@acme.test", scope="read:balance")
    with pytest.raises(TemporarilyUnavailable):
        await shown(ground, "nobody@acme.test", scope="read:balance")


async def test_a_hundred_guesses_at_once_are_a_hundred(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(internal())
    ground.pool.patience = 60
    found = await asyncio.gather(*[shown(ground, ANNS, f"guess {n}", scope="read:balance") for n in range(30)], return_exceptions=True)
    assert sum(isinstance(one, InvalidGrant) for one in found) == rules.PAIR.free
    assert sum(isinstance(one, TemporarilyUnavailable) for one in found) == 30 - rules.PAIR.free


async def test_a_full_queue_is_said_and_counts_for_nothing(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(an_old_client())
    ground.pool.close()
    with pytest.raises(TemporarilyUnavailable, match="many people"):
        await shown(ground)
    assert not await ground.number("SELECT SUM(failures) FROM throttle")


# ---------------------------------------------------------------- what ends meanwhile


async def test_a_user_disabled_in_this_very_moment_gets_nothing(ground: Playground) -> None:
    await furnished(ground)
    await ground.add(an_old_client())

    class Late:
        """A ledger in front of which an admin is quicker."""

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the ledger has
            return getattr(ground.ledger, name)

        async def open(self, new: NewAuthorization, *, weakness: Weakness | None = None) -> None:
            await ground.sql("UPDATE person SET disabled_at = :now, epoch = epoch + 1", now=NOON)
            await ground.ledger.open(new, weakness=weakness)

    ground.world = replace(ground.world, ledger=Late())
    with pytest.raises(InvalidGrant, match=WRONG):
        await shown(ground)
