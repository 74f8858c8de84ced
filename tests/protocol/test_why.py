"""Why was it refused? What an API learns of a token for it, and nobody else (`decisions` §2, `security-rules` 52)."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.catalogue import OPENID, Catalogue, Role
from gatewright.oauth.decision import Verdict
from gatewright.oauth.errors import InvalidClient, InvalidRequest
from gatewright.oauth.finding import PATH, Judged, open_finding
from gatewright.oauth.why import DETAILS, Why, why
from gatewright_guard.reasons import SERVER_KNOWS
from tests.protocol.asking import a_pair, as_api, basic, explained, introspected, members, revoked
from tests.support import builders as b
from tests.support.world import SECRET, Playground, claims_of

STRANGER = {"cause": "unknown", "detail": "", "because": "", "scopes": {}, "decision": "", "more": ""}
DAY = 86400


async def cause(ground: Playground, token: str, header: str | None = None) -> str:
    return str((await explained(ground, token, header))["cause"])


async def cause_of(ground: Playground, token: str, scope: str) -> str:
    return str((await explained(ground, token, scope=scope))["cause"])


async def test_of_a_good_token_each_scope_is_judged_today(ground: Playground) -> None:
    await ground.add(scopes=(OPENID, b.CREATE_EVENTS.id, b.VIEW_EVENTS.id, b.READ_BALANCE.id))
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    header = as_api(ground, b.EVENTS)
    assert await explained(ground, pair["access_token"], header) == STRANGER | {"cause": "granted"}
    asked = "create:events view:events read:balance nonsense"
    found = await explained(ground, pair["access_token"], header, scope=asked)
    assert found["cause"] == "role_lacks_scope"
    assert found["scopes"] == {
        "create:events": "granted",
        "view:events": "role_lacks_scope",
        "read:balance": "scope_unknown",
        "nonsense": "scope_unknown",
    }


async def test_what_was_never_asked_for_is_told_from_what_was_declined(ground: Playground) -> None:
    client = await ground.add()
    pair = await a_pair(ground, b.READ_BALANCE.id)
    found = await explained(ground, pair["access_token"], scope="transfer:funds")
    assert found["cause"] == "scope_not_requested"
    await ground.sql("UPDATE consent_grant SET declined = :ids", ids=str(b.TRANSFER.id))
    assert (await explained(ground, pair["access_token"], scope="transfer:funds"))["cause"] == "declined_by_user"
    await ground.add(b.a_client(secrets=client.secrets, scopes=(b.READ_BALANCE.id,)))
    assert (await explained(ground, pair["access_token"], scope="transfer:funds"))["cause"] == "scope_not_allowed_to_client"


async def test_what_was_given_and_taken_away_since_is_told_from_what_was_never_asked_for(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id, b.TRANSFER.id)
    await ground.sql("UPDATE consent_grant SET granted = :ids", ids=str(b.READ_BALANCE.id))
    found = await explained(ground, pair["access_token"], scope="read:balance transfer:funds")
    assert found["cause"] == "not_consented"
    assert found["scopes"] == {"read:balance": "granted", "transfer:funds": "not_consented"}


async def test_a_scope_that_this_token_left_out_was_not_requested(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id, b.TRANSFER.id)
    narrowed = await ground.renew(pair["refresh_token"], scope="read:balance")
    found = await explained(ground, narrowed["access_token"], scope="read:balance transfer:funds")
    assert found["scopes"] == {"read:balance": "granted", "transfer:funds": "scope_not_requested"}


async def test_a_scope_beyond_the_row_was_not_requested_whatever_the_token_says(ground: Playground) -> None:
    client = await ground.add()
    await ground.sql("UPDATE membership SET roles = :roles", roles=f"{b.ORGANIZER.id} {b.PARTICIPANT.id}")
    await ground.grant(client, b.CREATE_EVENTS.id, b.VIEW_EVENTS.id)
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    claims = claims_of(pair["access_token"]) | {"scope": "create:events view:events"}
    token = await ground.signer.sign(b.TENANT, "ES256", "at+jwt", msgspec.json.encode(claims))
    found = await explained(ground, token, as_api(ground, b.EVENTS), scope="create:events view:events")
    assert found["scopes"] == {"create:events": "granted", "view:events": "scope_not_requested"}


async def test_a_lost_role_is_told_as_such(ground: Playground) -> None:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    await ground.sql("UPDATE membership SET roles = ''")
    found = await explained(ground, pair["access_token"], as_api(ground, b.EVENTS), scope="create:events")
    assert (found["cause"], found["scopes"]) == ("role_lacks_scope", {"create:events": "role_lacks_scope"})


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("UPDATE authorization_row SET ended_at = :now, ended_because = 'withdrawn'", "grant_ended"),
        ("UPDATE consent_grant SET ended_at = :now, ended_because = 'withdrawn'", "grant_ended"),
        ("UPDATE authorization_row SET ended_at = :now, ended_because = 'uninstalled'", "token_revoked"),
        ("UPDATE person SET disabled_at = :now, epoch = epoch + 1", "user_disabled"),
        ("UPDATE account SET disabled_at = :now", "account_disabled"),
        ("UPDATE membership SET ended_at = :now", "membership_ended"),
        ("UPDATE client SET disabled_at = :now", "client_disabled"),
        ("UPDATE authorization_row SET epoch = epoch + 1 + 0 * :now", "token_revoked"),
    ],
)
async def test_of_a_token_that_is_over_one_word_tells_the_cause(ground: Playground, ending: str, said: str) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await ground.sql(ending, now=ground.clock.now)
    found = await explained(ground, pair["access_token"], scope="read:balance")
    assert (found["cause"], found["scopes"]) == (said, {})


@pytest.mark.parametrize("because", sorted(DETAILS))
async def test_what_ended_it_is_a_sentence_too(ground: Playground, because: str) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await ground.sql("UPDATE authorization_row SET ended_at = :now, ended_because = :because", now=ground.clock.now, because=because)
    found = await explained(ground, pair["access_token"])
    assert (found["because"], found["detail"]) == (because, DETAILS[because])


async def test_a_revoked_and_an_expired_token_are_told_apart(ground: Playground) -> None:
    pair, other = await a_pair(ground, b.READ_BALANCE.id), await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, other["access_token"])
    assert await cause(ground, pair["access_token"]) == "granted"
    assert await cause(ground, other["access_token"]) == "token_revoked"
    ground.clock.pass_(7200)
    assert await cause(ground, pair["access_token"]) == "token_expired"


async def test_a_jwt_is_explained_too(ground: Playground) -> None:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    header = as_api(ground, b.EVENTS)
    ground.clock.pass_(900)
    assert await cause(ground, pair["access_token"], header) == "token_expired"
    ground.clock.pass_(DAY)
    assert await cause(ground, pair["access_token"], header) == "token_expired"
    ground.clock.pass_(1)
    assert await explained(ground, pair["access_token"], header) == STRANGER


async def test_what_ended_more_than_a_day_ago_is_forgotten(ground: Playground) -> None:
    await ground.add(scopes=(b.USE_APP.id,))
    pair = await a_pair(ground, b.USE_APP.id)
    header = as_api(ground, b.APPS)
    assert await cause(ground, pair["access_token"], header) == "granted"
    await ground.sql("UPDATE authorization_row SET ended_at = :now, ended_because = 'uninstalled'", now=ground.clock.now)
    ground.clock.pass_(DAY)
    assert await cause(ground, pair["access_token"], header) == "token_revoked"
    ground.clock.pass_(1)
    assert await explained(ground, pair["access_token"], header) == STRANGER


async def test_what_ended_without_a_date_is_not_told_of_a_token_without_an_end(ground: Playground) -> None:
    await ground.add(scopes=(b.USE_APP.id,))
    pair = await a_pair(ground, b.USE_APP.id)
    await ground.sql("UPDATE person SET epoch = epoch + 1")
    assert await explained(ground, pair["access_token"], as_api(ground, b.APPS)) == STRANGER


async def test_another_api_learns_nothing_of_a_token_good_or_over(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    header = as_api(ground, b.EVENTS)
    assert await explained(ground, pair["access_token"], header, scope="read:balance") == STRANGER
    await ground.sql("UPDATE consent_grant SET ended_at = :now", now=ground.clock.now)
    assert await explained(ground, pair["access_token"], header) == STRANGER


async def test_nobody_learns_of_a_token_that_is_not_authentic(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    token = pair["access_token"]
    for text in (token[:-1] + ("A" if token[-1] != "A" else "B"), pair["refresh_token"], "x", "gwa_AAAA", "a.b.c"):
        assert await explained(ground, text) == STRANGER


async def test_only_an_api_that_proves_itself_may_ask(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await ground.add(introspects=True)
    for header in (basic("budget-buddy", SECRET), basic(ids.show(ids.API, b.BANK.id), "wrong"), f"Bearer {pair['access_token']}"):
        with pytest.raises(InvalidClient):
            await explained(ground, pair["access_token"], header)
    with pytest.raises(InvalidClient):
        await members(ground, why, None, {"token": pair["access_token"]})
    with pytest.raises(InvalidRequest):
        await members(ground, why, as_api(ground), {})


async def test_an_address_that_the_client_may_not_use_is_told(ground: Playground) -> None:
    await ground.add(allowed_ips=("127.0.0.0/8",))
    pair = await a_pair(ground, b.READ_BALANCE.id)
    assert (await explained(ground, pair["access_token"], ip_address="192.0.2.7"))["cause"] == "ip_not_allowed"


async def test_a_disabled_apis_tokens_are_over(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    header = as_api(ground)
    ground.directory.catalogues[b.TENANT] = Catalogue([msgspec.structs.replace(b.BANK, disabled=True)], [b.READ_BALANCE], [])
    with pytest.raises(InvalidClient):
        await explained(ground, pair["access_token"], header)


async def test_what_ended_long_ago_beside_the_token_is_no_end_of_it(ground: Playground) -> None:
    await ground.add(scopes=(b.USE_APP.id,), allowed_ips=("127.0.0.0/8",))
    pair = await a_pair(ground, b.USE_APP.id)
    header = as_api(ground, b.APPS)
    await ground.sql("UPDATE session SET ended_at = :then", then=ground.clock.now - 3 * DAY)
    found = await explained(ground, pair["access_token"], header, ip_address="192.0.2.7")
    assert found["cause"] == "ip_not_allowed"
    await ground.sql("UPDATE authorization_row SET ended_at = :now, ended_because = 'withdrawn'", now=ground.clock.now)
    assert await cause(ground, pair["access_token"], header) == "grant_ended"


async def test_a_session_that_ran_out_ends_what_hangs_on_it_and_is_forgotten_a_day_later(ground: Playground) -> None:
    await ground.add(scopes=(b.USE_APP.id,))
    pair = await a_pair(ground, b.USE_APP.id)
    header = as_api(ground, b.APPS)
    await ground.sql("UPDATE authorization_row SET session_bound = 1")
    await ground.sql("UPDATE session SET until = :now", now=ground.clock.now)
    assert await cause(ground, pair["access_token"], header) == "token_revoked"
    ground.clock.pass_(DAY + 1)
    assert await explained(ground, pair["access_token"], header) == STRANGER


async def test_a_client_for_certain_roles_is_judged_as_its_tokens_are(ground: Playground) -> None:
    client = await ground.add()
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await ground.add(b.a_client(secrets=client.secrets, roles=(b.PARTICIPANT.id,)))
    # Of an API that asks for no roles: introspection says nothing of the scope, so there must be a reason.
    assert (await introspected(ground, pair["access_token"]))["scope"] == ""
    assert await cause_of(ground, pair["access_token"], "read:balance") == "role_lacks_scope"


async def test_another_account_comes_before_what_the_token_lacks(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    token = pair["access_token"]
    for own in ("acme-dev", ids.show(ids.ACCOUNT, b.ACCOUNT)):
        assert (await explained(ground, token, scope="read:balance", account=own))["cause"] == "granted"
    for other in ("acme-prod", "no-such-account", ids.show(ids.ACCOUNT, b.ACCOUNT + 1)):
        found = await explained(ground, token, scope="read:balance transfer:funds", account=other)
        assert found["cause"] == "wrong_account"
        assert found["detail"] == ""


async def test_a_token_without_account_opens_one_with_scopes_of_that_reach_alone(ground: Playground) -> None:
    await ground.add(scopes=(b.READ_IMAGES.id, b.CREATE_EVENTS.id), grant_types=("client_credentials",))
    token = (await ground.serve(scope="read:images"))["access_token"]
    header = as_api(ground, b.IMAGING)
    assert (await explained(ground, token, header, scope="read:images", account="any"))["cause"] == "granted"
    other = (await ground.serve(scope="create:events"))["access_token"]
    found = await explained(ground, other, as_api(ground, b.EVENTS), scope="create:events", account="any")
    assert found["cause"] == "wrong_account"


@pytest.mark.parametrize(("party", "named"), [("third", False), ("first", True)])
async def test_only_a_first_party_client_is_told_roles_and_the_account(ground: Playground, party: str, *, named: bool) -> None:
    await ground.add(party=party)
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    header = as_api(ground, b.EVENTS)
    lacks = (await explained(ground, pair["access_token"], header, scope="view:events"))["detail"]
    assert ("Participant" in lacks and "acme-dev" in lacks and "view:events" in lacks) is named
    other = (await explained(ground, pair["access_token"], header, scope="create:events", account="secret-co"))["detail"]
    assert ("acme-dev" in other) is named
    assert "secret-co" not in other
    assert bool(lacks) is named


async def test_a_sentence_with_the_names_of_many_roles_stays_short_and_printable(ground: Playground) -> None:
    roles = [Role(400 + n, f"Role\n{n} " + "x" * 90, frozenset({b.VIEW_EVENTS.id})) for n in range(20)]
    ground.directory.catalogues[b.TENANT] = Catalogue([b.EVENTS], [b.CREATE_EVENTS, b.VIEW_EVENTS], [b.ORGANIZER, *roles])
    await ground.add(party="first")
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    detail = (await explained(ground, pair["access_token"], as_api(ground, b.EVENTS), scope="view:events"))["detail"]
    assert len(detail) == 500
    assert detail.isprintable()


async def test_every_refusal_has_an_id_and_a_link_and_what_is_not_refused_has_none(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    token = pair["access_token"]
    good = await explained(ground, token, scope="read:balance")
    assert (good["decision"], good["more"]) == ("", "")
    first, second = [await explained(ground, token, scope="transfer:funds") for _ in range(2)]
    assert first["decision"] != second["decision"]
    assert first["decision"].startswith("de_")
    text = first["more"].removeprefix(b.URL + PATH)
    found = open_finding(text, b.TENANT, b.URL, b.CATALOGUE, ground.sealer, ground.clock.now)
    assert found is not None
    assert (found.decision, found.cause) == (first["decision"], Verdict.SCOPE_NOT_REQUESTED)
    assert found.scopes == (Judged(b.TRANSFER.id, Verdict.SCOPE_NOT_REQUESTED),)
    await ground.sql("UPDATE consent_grant SET ended_at = :now, ended_because = 'withdrawn'", now=ground.clock.now)
    over = await explained(ground, token)
    opened = open_finding(over["more"].removeprefix(b.URL + PATH), b.TENANT, b.URL, b.CATALOGUE, ground.sealer, ground.clock.now)
    assert opened is not None
    assert (opened.cause, opened.because) == (Verdict.GRANT_ENDED, "withdrawn")
    assert [(one.decision, client) for one, client in ground.usage.refusals] == [
        (answer["decision"], "budget-buddy") for answer in (first, second, over)
    ]


def test_the_guide_names_whatever_is_asked_and_answered() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "why-refused.md").read_text(encoding="utf-8")
    for name in ("token", "scope", "account", "ip_address", *Why.__struct_fields__):
        assert re.search(rf"^\|.*`{name}`.*\| .* \|$", guide, re.MULTILINE), name


def test_every_sentence_is_fit_for_a_header() -> None:
    for sentence in DETAILS.values():
        assert sentence.isascii()
        assert sentence.isprintable()
        assert '"' not in sentence
        assert len(sentence) <= 500


def test_the_guard_knows_every_cause_that_we_give() -> None:
    assert set(Verdict) - {Verdict.GRANTED} <= set(SERVER_KNOWS)
