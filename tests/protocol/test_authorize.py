"""The authorization endpoint without pages: what an answer holds and what is remembered behind it."""

import msgspec
import pytest

from gatewright.base.digest import Kind
from gatewright.consents.front import RoomConsents
from gatewright.oauth import pkce
from gatewright.oauth.answer import Sent
from gatewright.oauth.authorize import accept, advance, look
from gatewright.oauth.catalogue import EMAIL, OFFLINE_ACCESS, OPENID, text_of
from gatewright.oauth.next_step import AskConsent, Pending
from gatewright.oauth.request import Progress
from gatewright.oauth.visit import Front
from gatewright.signin.sessions import NewSession, Sessions, begin
from gatewright.store import Query, Tx
from tests.support import builders as b
from tests.support.world import REDIRECT, VERIFIER, Param, Playground

READ = b.READ_BALANCE.id
ORDINARY: dict[str, Param] = {
    "response_type": "code",
    "client_id": "budget-buddy",
    "redirect_uri": REDIRECT,
    "scope": "openid read:balance",
    "state": "s",
    "code_challenge": pkce.challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


class Desk:
    """A playground whose person is signed in."""

    def __init__(self, ground: Playground) -> None:
        self.ground = ground
        self.sessions = Sessions(ground.store)
        self.front = Front(ground.world, self.sessions, RoomConsents(ground.store, ground.grants))
        self.cookie = ""
        self.session = 0

    async def signed_in(self) -> "Desk":
        """Make a session."""
        at = self.ground.clock.moment()
        new = NewSession(
            issuer=self.ground.issuer, person=b.PERSON, person_epoch=0, acr="1", amr="pwd", agent="", address="", lasting=False
        )

        async def unit(tx: Tx) -> tuple[str, int]:
            begun = await begin(tx, at, new, None)
            return begun.cookie, begun.id

        self.cookie, self.session = await self.ground.store.run(unit)
        return self

    async def asked(self, **changed: Param) -> Sent | Pending:
        """Send an authorization request."""
        ask = self.ground.ask(ORDINARY | changed)
        request = await accept(ask, self.front)
        situation = await look(request, Progress(), self.cookie, ask.issuer, self.front, ask.at)
        return await advance(situation, ask.issuer, self.front, ask.at)


@pytest.fixture
async def desk(ground: Playground) -> Desk:
    await ground.add()
    return await Desk(ground).signed_in()


def code_of(found: Sent | Pending) -> str:
    assert isinstance(found, Sent)
    return found.target.partition("code=")[2].partition("&")[0]


async def test_what_was_consented_to_is_answered_by_one_row_that_knows_it_all(desk: Desk) -> None:
    ground = desk.ground
    client = await ground.add()
    grant = await ground.grant(client, OPENID, READ)
    found = await desk.asked(nonce="n", resource=("https://bank.acme.test",))
    assert isinstance(found, Sent)
    assert found.target.startswith(f"{REDIRECT}?code={Kind.CODE}")
    assert found.target.endswith("&state=s&iss=https%3A%2F%2Fid.acme.test")
    row = await ground.row()
    now = ground.clock.now
    assert (row.tenant, row.issuer, row.client, row.person) == (b.TENANT, b.URL, client.id, b.PERSON)
    assert (row.account, row.membership, row.grant, row.session) == (b.ACCOUNT, b.MEMBERSHIP, grant.id, desk.session)
    assert (row.scopes, row.resources, row.nonce) == (text_of((OPENID, READ)), "https://bank.acme.test", "n")
    assert (row.auth_time, row.acr, row.amr) == (now, "1", "pwd")
    assert (row.code_expires_at, row.code_challenge, row.redirect_uri) == (now + 60, pkce.challenge_of(VERIFIER), REDIRECT)
    assert (row.generation, row.session_bound, row.opened_at) == (0, 0, now)
    assert row.refresh_until == now + 365 * 86_400
    assert row.fault(now) is None


async def test_the_code_buys_tokens(desk: Desk) -> None:
    client = await desk.ground.add()
    await desk.ground.grant(client, OPENID, READ)
    bought = await desk.ground.exchange(code_of(await desk.asked()))
    assert bought["scope"] == "openid read:balance"


async def test_every_answer_has_a_code_and_an_authorization_of_its_own(desk: Desk) -> None:
    client = await desk.ground.add()
    await desk.ground.grant(client, OPENID, READ)
    codes = {code_of(await desk.asked()) for _ in range(5)}
    assert len(codes) == 5
    assert await desk.ground.number("SELECT count(*) FROM authorization_row") == 5


async def test_an_address_that_was_not_named_need_not_be_named_again(desk: Desk) -> None:
    client = await desk.ground.add()
    await desk.ground.grant(client, READ)
    code = code_of(await desk.asked(scope="read:balance", redirect_uri=None))
    assert (await desk.ground.row()).redirect_uri is None
    assert (await desk.ground.exchange(code, redirect_uri=None))["scope"] == "read:balance"


@pytest.mark.parametrize(
    ("settings", "scope", "bound", "issued"),
    [
        ({"refresh": "always"}, "openid read:balance", False, True),
        ({"refresh": "offline"}, "openid read:balance", True, True),
        ({"refresh": "offline"}, "openid read:balance offline_access", False, True),
        ({"grant_types": ("authorization_code",)}, "openid read:balance", False, False),
    ],
)
async def test_how_long_an_authorization_renews_itself_is_settled_when_it_is_opened(
    desk: Desk, settings: dict[str, object], scope: str, bound: bool, issued: bool
) -> None:
    client = await desk.ground.add(**settings)
    await desk.ground.grant(client, OPENID, READ, OFFLINE_ACCESS)
    await desk.asked(scope=scope)
    row = await desk.ground.row()
    assert (bool(row.session_bound), row.refresh_secret is not None) == (bound, issued)


async def test_claims_asked_for_by_name_are_remembered_if_they_were_allowed(desk: Desk) -> None:
    client = await desk.ground.add()
    wanted = '{"userinfo":{"email":{"essential":true},"phone_number":null},"id_token":{"email":null}}'
    assert isinstance(await desk.asked(claims=wanted), AskConsent)
    await desk.ground.grant(client, OPENID, READ, EMAIL)
    await desk.asked(claims=wanted)
    row = await desk.ground.row()
    assert msgspec.json.decode(row.claims) == {"userinfo": ["email"], "id_token": ["email"]}
    assert row.scopes == text_of((OPENID, READ))


async def test_a_trusted_client_gets_its_grant_with_the_answer_and_once_only(desk: Desk) -> None:
    await desk.ground.add(party="first")
    await desk.asked()
    await desk.asked()
    assert await desk.ground.audited() == ["grant.made"]
    assert await desk.ground.store.all(Query(str, "SELECT source FROM consent_grant")) == ["first_party"]
    await desk.asked(scope="openid read:balance transfer:funds")
    assert await desk.ground.audited() == ["grant.made", "grant.changed"]


async def test_a_grant_that_ended_or_ran_out_is_none(desk: Desk) -> None:
    client = await desk.ground.add()
    grant = await desk.ground.grant(client, OPENID, READ, expires_at=desk.ground.clock.now + 10)
    assert isinstance(await desk.asked(), Sent)
    desk.ground.clock.pass_(10)
    assert isinstance(await desk.asked(), AskConsent)
    await desk.ground.sql("UPDATE consent_grant SET expires_at = NULL, ended_at = 1 WHERE id = :id", id=grant.id)
    assert isinstance(await desk.asked(), AskConsent)


async def test_openid_alone_is_given_outside_any_account(desk: Desk) -> None:
    client = await desk.ground.add()
    await desk.ground.grant(client, OPENID, account=0)
    bought = await desk.ground.exchange(code_of(await desk.asked(scope="openid")))
    assert "account" not in bought
    row = await desk.ground.row()
    assert (row.account, row.membership) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE membership SET ended_at = 1",
        "UPDATE account SET disabled_at = 1",
        "UPDATE account SET deleted_at = 1",
        "UPDATE membership SET tenant = 1002",
        "UPDATE account SET tenant = 1002",
    ],
)
async def test_a_membership_or_account_that_is_over_is_none(desk: Desk, change: str) -> None:
    client = await desk.ground.add()
    await desk.ground.grant(client, READ)
    await desk.ground.sql(change)
    found = await desk.asked(scope="read:balance")
    assert isinstance(found, Sent)
    assert "error=access_denied" in found.target


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE consent_grant SET client = client + 1",
        "UPDATE consent_grant SET person = person + 1",
        "UPDATE consent_grant SET tenant = tenant + 1",
        "UPDATE consent_grant SET account = account + 1",
        "UPDATE consent_grant SET acting = 1",
    ],
)
async def test_the_grant_of_another_client_user_tenant_or_account_is_not_looked_at(desk: Desk, change: str) -> None:
    client = await desk.ground.add()
    await desk.ground.grant(client, OPENID, READ)
    assert isinstance(await desk.asked(), Sent)
    await desk.ground.sql(change)
    assert isinstance(await desk.asked(), AskConsent)
