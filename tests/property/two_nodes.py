"""Two nodes and the model beside them: how apps ask, what admins do, and what each answer must leave as it was."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from gatewright.accounts import book as accounts
from gatewright.apis.book import roles_of
from gatewright.clients import book as clients
from gatewright.users import book as users
from tests.property.model import (
    BANK,
    EVENTS,
    JWT,
    LIFETIMES,
    OPENID,
    PUBLIC,
    REPORTS,
    SCOPES,
    Chain,
    Model,
    Token,
    api_of,
)
from tests.support.approving import REDIRECTS, VERIFIER, authorized, sign_in, user
from tests.support.house import ACME, ENVIRON, GLOBEX, Answer, basic, bearer, open_nodes
from tests.support.listening import Reader

T = TypeVar("T")
SAME_TENANT = "login.acme.test"
API_SECRETS = {BANK: "BANK_SECRET", EVENTS: "EVENTS_SECRET", REPORTS: "REPORTS_SECRET"}
EVERY_SCOPE = tuple(sorted(OPENID.union(*SCOPES.values()) - {"offline_access"}))
INVALID_GRANT, INVALID_SCOPE = (400, "invalid_grant"), (400, "invalid_scope")
# What may not change when something is refused: how far each chain is, what has ended, what was revoked.
FINGERPRINT = """SELECT CAST(COALESCE(SUM(generation), 0) * 1000000007 + COUNT(ended_at) * 1000003 + COUNT(code_used_by) * 1009
                        + COALESCE(SUM(rotated_at), 0) + (SELECT COUNT(*) FROM mark) AS BIGINT) FROM authorization_row"""
WRITES = ("verbs", "units", "commits")


class TwoNodes(RuleBasedStateMachine):
    """Two nodes over one store, what they are asked, and what admins do. `place` returns the URL of a fresh copy of the store, and
    how it is thrown away.
    """

    def __init__(self, place: Callable[[Path], tuple[str, Callable[[], None]]]) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="gw-machine-")
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        url, self._drop = place(Path(self._folder.name))
        self.nodes = self.run(self._stack.enter_async_context(open_nodes(url, 2)))
        self.model = Model(self.nodes[0].time.now)
        self.tenant = self.run(self.nodes[0].tenant())
        self.foreign = self.run(self._foreign())
        self.reader = Reader(self.nodes[1], self.tenant, EVENTS)
        self.issued = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the one loop of this deployment."""
        return self._runner.run(work)

    def teardown(self) -> None:
        """Close the nodes and throw the store away."""
        self.run(self._stack.aclose())
        self._runner.close()
        self._drop()
        self._folder.cleanup()

    async def _foreign(self) -> str:
        """An access token of the other tenant, where nothing ever happens."""
        node = self.nodes[1]
        cookie = await sign_in(node, host=GLOBEX)
        redirect = "https://budget.example/callback"
        told = await authorized(node, cookie, "budget-buddy", "openid read:balance", host=GLOBEX, more={"redirect_uri": redirect})
        form = {"grant_type": "authorization_code", "code": told["code"], "code_verifier": VERIFIER}
        answer = await node.post("/token", form, basic("budget-buddy", ENVIRON["CLIENT_SECRET_2"]), host=GLOBEX)
        return str(answer.json["access_token"])

    def token(self, node: int, client: str, *, host: str = ACME, **form: str | None) -> Answer:
        """Ask the token endpoint as a client."""
        return self.run(self.asked_token(node, client, host, form))

    async def asked_token(self, node: int, client: str, host: str, form: dict[str, str | None]) -> Answer:
        """Ask the token endpoint as a client."""
        if client in PUBLIC:
            return await self.nodes[node].post("/token", {"client_id": client, **form}, host=host)
        return await self.nodes[node].post("/token", form, basic(client), host=host)

    def fingerprint(self) -> int | None:
        """What the store holds, as one number."""
        return self.run(self.nodes[0].number(FINGERPRINT))

    def refused(self, act: Callable[[], Answer], *errors: tuple[int, str], counted: bool = False) -> None:
        """What is refused leaves everything as it was, and writes nothing at all, unless it is `counted` as a guess."""
        before, written = self.fingerprint(), self.written()
        answer = act()
        assert answer.error in errors, answer
        assert self.fingerprint() == before, "a refusal changed something"
        assert counted or self.written() == written, "a refusal wrote"

    def punished(self, act: Callable[[], Answer]) -> None:
        """A replay is refused and ends the chain: at most one row changes."""
        answer = act()
        assert answer.error == INVALID_GRANT, answer

    def written(self) -> list[int]:
        """How often the nodes wrote."""
        return [node.counts[name] for node in self.nodes for name in WRITES]

    def chain(self, number: int) -> Chain:
        """One of the chains, the newest most often."""
        return self.model.chains[-1 - number % len(self.model.chains)]

    def live(self) -> list[Chain]:
        """The chains that can still lose something."""
        return [chain for chain in self.model.chains if not chain.over and chain.tokens]

    def form(self, chain: Chain, **changed: str | None) -> dict[str, str | None]:
        """The form that exchanges a chain's code."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": chain.code,
            "redirect_uri": REDIRECTS[chain.client],
            "code_verifier": VERIFIER,
        }
        return form | changed

    def exchanged(self, chain: Chain, node: int, client: str = "", host: str = ACME, **changed: str | None) -> Answer:
        """What comes of exchanging a chain's code."""
        return self.token(node, client or chain.client, host=host, **self.form(chain, **changed))

    def resource(self, chain: Chain, number: int) -> str | None:
        """One of the APIs that a chain opens today."""
        apis = sorted({api_of(name) for name in self.model.today(chain)} - {""})
        return apis[number % len(apis)] if apis else None

    def keep(self, chain: Chain, answer: Answer, resource: str | None, *, narrow: frozenset[str] | None = None) -> None:
        """Tokens came: they are what the model says, and no more."""
        assert answer.status == 200, answer
        api = resource or ""
        today, reply = self.model.today(chain), answer.json
        asked = chain.ceiling if narrow is None else narrow
        granted = {name for name in today & asked if api_of(name) in ("", api)}
        assert set(reply["scope"].split()) == granted
        assert reply["expires_in"] <= LIFETIMES[api]
        own = granted if api in JWT else {name for name in asked if api_of(name) in ("", api)}
        chain.tokens.append(Token(reply["access_token"], api, frozenset(own), self.model.now + reply["expires_in"]))
        self.issued += 1
        if not chain.refresh or reply["refresh_token"] != chain.refresh[-1]:
            chain.refresh.append(reply["refresh_token"])

    async def end_grant(self, number: int, client: str, person: str, account: str) -> None:
        """Take a grant back, as its user does."""
        node, at = self.nodes[number], self.nodes[number].house.clock.moment()
        who = (await user(node, person)).id
        row = await clients.client_named(node.house.store, self.tenant, client)
        place = await accounts.account_named(node.house.store, self.tenant, account) if account else None
        assert row is not None
        grant = await node.house.grants.find(self.tenant, row.id, who, 0 if place is None else place.id)
        if grant is not None:
            await node.house.grants.end(at, tenant=self.tenant, number=grant.id, because="withdrawn", actor="us_x")

    def change_user(self, node: int, person: str, how: str) -> None:
        """An admin disables or enables a user, or sets another password."""
        self.run(self._change_user(node, person, how))
        if how == "enable":
            self.model.disabled.discard(person)
            return
        if how == "disable":
            self.model.disabled.add(person)
        self.model.end("user", (None, person, None))

    async def _change_user(self, number: int, person: str, how: str) -> None:
        node = self.nodes[number]
        row = await user(node, person)
        if how == "password":
            await node.manage(self.tenant, users.set_password, row, "$argon2id$no-digest")
        else:
            await node.manage(self.tenant, users.disable_user if how == "disable" else users.enable_user, row)

    def change_membership(self, node: int, seat: tuple[str, str], roles: frozenset[str] | None) -> None:
        """An admin gives and takes roles, ends a membership, or begins one anew."""
        self.run(self._change_membership(node, seat, roles))
        if roles is not None:
            self.model.roles[seat] = roles
        elif self.model.roles.pop(seat, None) is not None:
            for place in [place for place in self.model.granted if place[1:] == seat]:
                self.model.withdraw(place)
            self.model.end("membership", (None, *seat))

    async def _change_membership(self, number: int, seat: tuple[str, str], roles: frozenset[str] | None) -> None:
        node = self.nodes[number]
        store = node.house.store
        who = (await user(node, seat[0])).id
        account = await accounts.account_named(store, self.tenant, seat[1])
        assert account is not None
        known = {row.name: row.id for row in await roles_of(store, self.tenant)}
        held = frozenset(known[name] for name in roles or ())
        membership = await store.one(accounts.MEMBERSHIP, person=who, account=account.id, tenant=self.tenant)
        if membership is None and roles is not None:
            await node.manage(self.tenant, accounts.join, person=who, account=account.id, roles=held)
        elif membership is not None and roles is None:
            await node.manage(self.tenant, accounts.end_membership, membership)
        elif membership is not None:
            await node.manage(self.tenant, accounts.set_roles, membership, held)

    def change_client(self, node: int, client: str, on: bool) -> None:
        """An admin disables or enables a client; the other node hears of it within a second."""
        self.run(self._change_client(node, client, on=on))
        if on:
            self.model.disabled.discard(client)
        elif client not in self.model.disabled:
            self.model.disabled.add(client)
            self.model.end("client", (client, None, None))

    async def _change_client(self, number: int, client: str, *, on: bool) -> None:
        node = self.nodes[number]
        row = await clients.client_named(node.house.store, self.tenant, client)
        assert row is not None
        await node.manage(self.tenant, clients.enable_client if on else clients.disable_client, row)
        # At once, the other node's caches not yet told: nothing of it is good any more.
        if not on:
            await self._all_dead(client)
        await self.nodes[1 - number].hear()

    async def _all_dead(self, client: str) -> None:
        for chain in self.model.chains:
            for token in chain.tokens[-1:] if chain.client == client else ():
                for node in self.nodes:
                    assert (await node.get("/userinfo", bearer(token.text))).status == 401

    def change_account(self, node: int, account: str, on: bool) -> None:
        """An admin disables or enables an account."""
        self.run(self._change_account(node, account, on=on))
        if on:
            self.model.disabled.discard(account)
        else:
            self.model.disabled.add(account)
            self.model.end("account", (None, None, account))

    async def _change_account(self, number: int, account: str, *, on: bool) -> None:
        node = self.nodes[number]
        row = await accounts.account_named(node.house.store, self.tenant, account)
        assert row is not None
        await node.manage(self.tenant, accounts.enable_account if on else accounts.disable_account, row)
