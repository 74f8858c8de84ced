"""The state machine: clients, users, an admin and an attacker act on two nodes over one store, and a model says what must come of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gatewright.accounts import book as accounts
from gatewright.apis.book import roles_of
from gatewright.clients import book as clients
from gatewright.users import book as users
from tests.property.model import (
    BANK,
    CLIENTS,
    EVENTS,
    JWT,
    LIFETIMES,
    MEMBERS,
    OPENID,
    PUBLIC,
    REPORTS,
    ROLES,
    SCOPES,
    TRUSTED,
    Chain,
    Model,
    Token,
    api_of,
)
from tests.support.approving import REDIRECTS, VERIFIER, Consents, authorized, sign_in, user
from tests.support.house import ACME, CLIENT_SECRET, ENVIRON, GLOBEX, Answer, Node, basic, bearer, open_nodes

T = TypeVar("T")
SAME_TENANT = "login.acme.test"
API_SECRETS = {BANK: "BANK_SECRET", EVENTS: "EVENTS_SECRET", REPORTS: "REPORTS_SECRET"}
EVERY_SCOPE = tuple(sorted(OPENID.union(*SCOPES.values()) - {"offline_access"}))
INVALID_GRANT, INVALID_SCOPE = (400, "invalid_grant"), (400, "invalid_scope")
# What may not change when something is refused: how far each chain is, what has ended, what was revoked.
FINGERPRINT = """SELECT CAST(COALESCE(SUM(generation), 0) * 1000000007 + COUNT(ended_at) * 1000003 + COUNT(code_used_by) * 1009
                        + COALESCE(SUM(rotated_at), 0) + (SELECT COUNT(*) FROM mark) AS BIGINT) FROM authorization_row"""
WRITES = ("verbs", "units", "commits")

which = st.integers(0, 63)
a_node = st.integers(0, 1)
a_client = st.sampled_from(sorted(CLIENTS))
a_seat = st.sampled_from(sorted(MEMBERS))
scopes = st.frozensets(st.sampled_from(EVERY_SCOPE), min_size=1, max_size=4)
some_roles = st.frozensets(st.sampled_from(sorted(ROLES)))


class Deployment(RuleBasedStateMachine):
    """Two nodes. `place` returns the URL of a fresh copy of the store, and how it is thrown away."""

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

    # ------------------------------------------------------------ what is asked

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
        return self.run(self._token(node, client, host, form))

    async def _token(self, node: int, client: str, host: str, form: dict[str, str | None]) -> Answer:
        if client in PUBLIC:
            return await self.nodes[node].post("/token", {"client_id": client, **form}, host=host)
        return await self.nodes[node].post("/token", form, basic(client), host=host)

    def fingerprint(self) -> int | None:
        """What the store holds, as one number."""
        return self.run(self.nodes[0].number(FINGERPRINT))

    def refused(self, act: Callable[[], Answer], *errors: tuple[int, str]) -> None:
        """What is refused leaves everything as it was, and writes nothing at all."""
        before, written = self.fingerprint(), self.written()
        answer = act()
        assert answer.error in errors, answer
        assert self.fingerprint() == before, "a refusal changed something"
        assert self.written() == written, "a refusal wrote"

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

    # ------------------------------------------------------------ users and their apps

    @rule(node=a_node, client=a_client, seat=a_seat, asked=scopes, untick=scopes)
    def authorize(self, node: int, client: str, seat: tuple[str, str], asked: frozenset[str], untick: frozenset[str]) -> None:
        """A user sends an app's request on, and says yes to all but some of it."""
        self._let_in(node, seat)
        model, (person, account) = self.model, seat
        in_account = any(api_of(name) and name in CLIENTS[client] for name in asked)
        place = (client, person, account if in_account else "")
        said: Consents = []
        told = self.run(self._asked(node, client, seat, asked, untick, said))
        possible = model.possible(place, asked)
        if client in model.disabled or not asked & CLIENTS[client] or ("openid" in asked and "openid" not in CLIENTS[client]):
            assert "code" not in told, told
            return
        for shown, ticked in said:
            assert client not in TRUSTED
            assert shown <= possible
            model.consent(place, shown, ticked)
        if client in TRUSTED and possible:
            model.granted[place] = model.granted.get(place, frozenset()) | possible
        granted = possible & model.granted.get(place, frozenset())
        assert ("code" in told) == bool(granted), told
        if granted:
            model.chains.append(Chain(place, granted, told["code"], model.now))

    def _let_in(self, node: int, seat: tuple[str, str]) -> None:
        """Whoever was kept out is let in first: what is asked here is whether that revives anything."""
        if seat[0] in self.model.disabled:
            self.change_user(node, seat[0], "enable")
        if seat[1] in self.model.disabled:
            self.change_account(node, seat[1], on=True)
        if seat not in self.model.roles:
            self.change_membership(node, seat, frozenset({MEMBERS[seat]}))

    @rule(node=a_node, client=a_client, seat=a_seat, asked=scopes, renewals=st.integers(0, 2), api=which)
    def connect(self, node: int, client: str, seat: tuple[str, str], asked: frozenset[str], renewals: int, api: int) -> None:
        """The usual way: the user allows everything, the app gets its tokens and renews them."""
        if client in self.model.disabled:
            self.change_client(node, client, on=True)
        before = len(self.model.chains)
        self.authorize(node, client, seat, asked | {"openid"}, frozenset())
        if len(self.model.chains) > before:
            self.exchange(0, node, api)
            for _ in range(renewals):
                self.refresh(0, 1 - node, 0, api, asked)

    async def _asked(
        self, node: int, client: str, seat: tuple[str, str], asked: frozenset[str], untick: frozenset[str], said: Consents
    ) -> dict[str, str]:
        from gatewright.oauth.errors import PageError

        cookie = await sign_in(self.nodes[node], seat[0])
        try:
            return await authorized(self.nodes[node], cookie, client, " ".join(sorted(asked)), account=seat[1], untick=untick, said=said)
        except PageError:
            return {"error": "a page"}

    @precondition(lambda self: self.model.chains)
    @rule(number=which, node=a_node, api=which)
    def exchange(self, number: int, node: int, api: int) -> None:
        """The app exchanges its code, perhaps again, perhaps too late."""
        chain, model = self.chain(number), self.model
        resource = self._resource(chain, api)

        def act() -> Answer:
            return self._exchanged(chain, node, resource=resource)

        if chain.client in model.disabled:
            self.refused(act, (401, "invalid_client"))
        elif chain.used and not chain.over:
            self.punished(act)
            chain.end("replay")
        elif chain.over or model.now >= chain.opened_at + 60:
            self.refused(act, INVALID_GRANT)
        elif not model.today(chain):
            self.refused(act, INVALID_SCOPE)
        else:
            self._issued(chain, act(), resource)
            chain.used = True
            chain.idle_until = model.now + 30 * 86400

    @precondition(lambda self: self.model.chains)
    @rule(
        number=which, node=a_node, wrong=st.sampled_from(["client", "verifier", "no verifier", "redirect_uri", "issuer", "tenant", "code"])
    )
    def exchange_wrongly(self, number: int, node: int, wrong: str) -> None:
        """Somebody who has the code, and not all else, can neither use it nor use it up."""
        chain = self.chain(number)
        client = chain.client if wrong != "client" else next(other for other in sorted(CLIENTS) if other != chain.client)
        if not (client not in self.model.disabled):
            return
        faults: dict[str, dict[str, str | None]] = {
            "verifier": {"code_verifier": "w" * 43},
            "no verifier": {"code_verifier": None},
            "redirect_uri": {"redirect_uri": "https://evil.example/"},
            "code": {"code": chain.code[:-2] + ("AA" if chain.code[-2:] != "AA" else "BA")},
        }
        host = {"issuer": SAME_TENANT, "tenant": GLOBEX}.get(wrong, ACME)
        errors = [INVALID_GRANT, (401, "invalid_client")] if host == GLOBEX else [INVALID_GRANT]
        self.refused(lambda: self._exchanged(chain, node, client, host, **faults.get(wrong, {})), *errors)

    def _exchanged(self, chain: Chain, node: int, client: str = "", host: str = ACME, **changed: str | None) -> Answer:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": chain.code,
            "redirect_uri": REDIRECTS[chain.client],
            "code_verifier": VERIFIER,
        }
        return self.token(node, client or chain.client, host=host, **(form | changed))

    def _resource(self, chain: Chain, number: int) -> str | None:
        """One of the APIs that a chain opens today."""
        apis = sorted({api_of(name) for name in self.model.today(chain)} - {""})
        return apis[number % len(apis)] if apis else None

    def _issued(self, chain: Chain, answer: Answer, resource: str | None, *, narrow: frozenset[str] | None = None) -> None:
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

    # ------------------------------------------------------------ refresh

    @precondition(lambda self: any(chain.refresh for chain in self.model.chains))
    @rule(number=which, node=a_node, age=st.integers(0, 3), api=which, keep=scopes)
    def refresh(self, number: int, node: int, age: int, api: int, keep: frozenset[str]) -> None:
        """The app, or whoever has its credentials, uses one of the refresh tokens it ever got."""
        renewed = [chain for chain in self.model.chains if chain.refresh]
        chain, model = renewed[-1 - number % len(renewed)], self.model
        age = min(age, len(chain.refresh) - 1)
        text, resource = chain.refresh[-1 - age], self._resource(chain, api)
        narrow = keep & chain.ceiling
        named = {api_of(name) for name in narrow & model.today(chain)} - {""}
        if len(named) > 1 or (named and resource not in named) or not narrow & model.today(chain) or number % 2:
            narrow = chain.ceiling
        elif not named:
            resource = None
        scope = None if narrow == chain.ceiling else " ".join(sorted(narrow))

        def act() -> Answer:
            return self.token(node, chain.client, grant_type="refresh_token", refresh_token=text, resource=resource, scope=scope)

        if chain.client in model.disabled:
            self.refused(act, (401, "invalid_client"))
        elif chain.over or model.expired(chain):
            self.refused(act, INVALID_GRANT)
        elif not model.today(chain):
            self.refused(act, INVALID_SCOPE)
        elif age == 0:
            self._issued(chain, act(), resource, narrow=narrow)
            chain.rotated_at, chain.idle_until = model.now, model.now + 30 * 86400
        elif age == 1 and model.now - chain.rotated_at <= model.overlap(chain):
            before = len(chain.refresh)
            self._issued(chain, act(), resource, narrow=narrow)
            assert len(chain.refresh) == before, "the same refresh token comes again"
        else:
            self.punished(act)
            chain.end("replay")

    @precondition(lambda self: any(chain.refresh for chain in self.model.chains))
    @rule(number=which, api=which)
    def refresh_twice_at_once(self, number: int, api: int) -> None:
        """Two workers of an app refresh at the same moment, at both nodes: both go on, with one chain."""
        renewed = [chain for chain in self.model.chains if chain.refresh]
        chain, model = renewed[-1 - number % len(renewed)], self.model
        if not (chain.client not in model.disabled and not chain.over and not model.expired(chain) and model.today(chain)):
            return
        resource, before = self._resource(chain, api), len(chain.refresh)
        form = {"grant_type": "refresh_token", "refresh_token": chain.refresh[-1], "resource": resource}

        async def both() -> list[Answer]:
            return await asyncio.gather(*[self._token(node, chain.client, ACME, form) for node in (0, 1)])

        for answer in self.run(both()):
            self._issued(chain, answer, resource)
        assert len(chain.refresh) == before + 1, "both got the same refresh token"
        assert chain.tokens[-1].text != chain.tokens[-2].text
        chain.rotated_at, chain.idle_until = model.now, model.now + 30 * 86400

    @precondition(lambda self: any(chain.refresh for chain in self.model.chains))
    @rule(number=which, node=a_node, place=st.sampled_from(["client", "issuer", "tenant"]), age=st.integers(0, 2))
    def refresh_elsewhere(self, number: int, node: int, place: str, age: int) -> None:
        """A refresh token is good for its own client at its own issuer, and shown elsewhere it ends nothing."""
        renewed = [chain for chain in self.model.chains if chain.refresh]
        chain = renewed[-1 - number % len(renewed)]
        text = chain.refresh[-1 - min(age, len(chain.refresh) - 1)]
        client = chain.client if place != "client" else next(other for other in sorted(CLIENTS) if other != chain.client)
        if not (client not in self.model.disabled):
            return
        host = {"issuer": SAME_TENANT, "tenant": GLOBEX}.get(place, ACME)
        errors = [INVALID_GRANT, (401, "invalid_client")] if host == GLOBEX else [INVALID_GRANT]
        self.refused(lambda: self.token(node, client, host=host, grant_type="refresh_token", refresh_token=text), *errors)

    # ------------------------------------------------------------ what ends access

    @precondition(lambda self: any(chain.tokens for chain in self.model.chains))
    @rule(number=which, token=which, node=a_node, other=st.booleans(), whole=st.booleans())
    def revoke(self, number: int, token: int, node: int, other: bool, whole: bool) -> None:
        """A client gives back an access token, or a refresh token and with it everything; what is another's stays."""
        with_tokens = [chain for chain in self.model.chains if chain.tokens]
        chain = with_tokens[-1 - number % len(with_tokens)]
        given = chain.tokens[token % len(chain.tokens)]
        text = chain.refresh[token % len(chain.refresh)] if whole and chain.refresh else given.text
        client = chain.client if not other else next(one for one in sorted(CLIENTS) if one != chain.client)
        if not (client not in self.model.disabled):
            return
        before = self.fingerprint()
        form = {"token": text, "client_id": client if client in PUBLIC else None}
        answer = self.run(self.nodes[node].post("/revoke", form, *([] if client in PUBLIC else [basic(client)])))
        assert (answer.status, answer.body) == (200, b"")
        if other:
            assert self.fingerprint() == before, "a stranger ended something"
        elif text != given.text:
            chain.end("revoked")
        elif not chain.over or self.model.now < given.expires_at:
            given.revoked = True

    @precondition(lambda self: self.model.chains)
    @rule(number=which, node=a_node)
    def withdraw(self, number: int, node: int) -> None:
        """A user takes a grant back."""
        client, person, account = place = self.chain(number).place
        self.run(self._withdraw(node, client, person, account))
        self.model.withdraw(place)

    async def _withdraw(self, number: int, client: str, person: str, account: str) -> None:
        node, at = self.nodes[number], self.nodes[number].house.clock.moment()
        who = (await user(node, person)).id
        row = await clients.client_named(node.house.store, self.tenant, client)
        place = await accounts.account_named(node.house.store, self.tenant, account) if account else None
        assert row is not None
        grant = await node.house.grants.find(self.tenant, row.id, who, 0 if place is None else place.id)
        if grant is not None:
            await node.house.grants.end(at, tenant=self.tenant, number=grant.id, because="withdrawn", actor="us_x")

    @rule(node=a_node, number=which, roles=some_roles, act=st.integers(0, 11))
    def administer(self, node: int, number: int, roles: frozenset[str], act: int) -> None:
        """An admin changes something about a user, a membership, a client or an account, most often of one that has something to lose."""
        live = [chain.place for chain in self.model.chains if not chain.over]
        everywhere = [(client, *seat) for client in sorted(CLIENTS) for seat in sorted(MEMBERS)]
        client, person, account = (live or everywhere)[number % len(live or everywhere)]
        seat = (person, account or "acme-prod")
        match act:
            case 0 | 1:
                self.change_user(node, person, ("disable", "password")[act])
            case 2 | 3 | 4:
                self.change_membership(node, seat, roles)
            case 5:
                self.change_membership(node, seat, None)
            case 6:
                self.change_client(node, client, on=False)
            case 7:
                self.change_account(node, seat[1], on=False)
            case _:
                self._out_and_in(node, client, seat, act)

    def _out_and_in(self, node: int, client: str, seat: tuple[str, str], act: int) -> None:
        """Somebody is kept out and let in again at once: what was ended meanwhile stays so."""
        match act:
            case 8:
                self.change_user(node, seat[0], "disable")
                self.change_user(node, seat[0], "enable")
            case 9:
                self.change_membership(node, seat, None)
                self.change_membership(node, seat, frozenset({MEMBERS[seat]}))
            case 10:
                self.change_client(node, client, on=False)
                self.change_client(node, client, on=True)
            case _:
                self.change_account(node, seat[1], on=False)
                self.change_account(node, seat[1], on=True)

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

    @rule(seconds=st.sampled_from([1, 1, 5, 9, 10, 11, 60, 61, 300, 600, 601, 899, 3600, 7200, 86400, 29 * 86400]))
    def time_passes(self, seconds: int) -> None:
        """Time passes on both nodes."""
        self.nodes[0].time.pass_(seconds)
        self.model.now += seconds

    # ------------------------------------------------------------ the attacker

    @precondition(lambda self: self.model.secrets())
    @rule(number=which, node=a_node, client=a_client, host=st.sampled_from([ACME, SAME_TENANT, GLOBEX]), change=st.integers(-1, 60))
    def steal(self, number: int, node: int, client: str, host: str, change: int) -> None:
        """Somebody shows a stolen secret everywhere where it does not belong, perhaps with a character changed."""
        secrets = self.model.secrets()
        text = secrets[-1 - number % len(secrets)]
        before, written = self.fingerprint(), self.written()
        if change >= 0:
            at = 4 + change % (len(text) - 4)
            text = text[:at] + ("A" if text[at] != "A" else "Q") + text[at + 1 :]
        legit = [token.text for chain in self.model.chains for token in chain.tokens] if host == ACME else []
        for answer in self.run(self._shown(node, client, host, text, own=change < 0, api_too=text not in legit)):
            assert answer.status in (400, 401) or (answer.status == 200 and answer.body == b'{"active":false}'), answer
        assert self.fingerprint() == before, "a stolen secret changed something where it does not belong"
        assert self.written() == written

    async def _shown(self, number: int, client: str, host: str, text: str, *, own: bool, api_too: bool) -> list[Answer]:
        """Everything that the text is not, when it is not changed; everything at all, when it is."""
        node, proof = self.nodes[number], [] if client in PUBLIC else [basic(client)]
        name = client if client in PUBLIC else None
        answers = []
        if not (own and text.startswith("gwc_")):
            form = {"grant_type": "authorization_code", "code": text, "code_verifier": VERIFIER, "client_id": name}
            answers.append(await node.post("/token", form, *proof, host=host))
        if not (own and text.startswith("gwr_")):
            form = {"grant_type": "refresh_token", "refresh_token": text, "client_id": name}
            answers.append(await node.post("/token", form, *proof, host=host))
        if api_too:
            answers.append(await node.get("/userinfo", bearer(text), host=host))
            for api, secret in API_SECRETS.items():
                answers.append(
                    await node.post("/introspect", {"token": text}, basic(api, ENVIRON[secret]), host=ACME if host == ACME else host)
                )
        answers.append(await node.post("/introspect", {"token": text}, basic("budget-buddy", CLIENT_SECRET + "?"), host=host))
        return answers

    # ------------------------------------------------------------ what holds after every step

    @invariant()
    def every_token_is_as_good_as_the_model_says_on_both_nodes(self) -> None:
        """Nothing outlives what it rests on, nothing is revived, and no scope is wider than every one of its sources."""
        self.run(self._judge())

    async def _judge(self) -> None:
        for chain in self.model.chains[-6:]:
            today = self.model.today(chain)
            for token in chain.tokens[-3:]:
                good = self.model.active(chain, token)
                for node in self.nodes:
                    await self._judge_token(node, chain, token, today if good else None)

    async def _judge_token(self, node: Node, chain: Chain, token: Token, today: frozenset[str] | None) -> None:
        answer = await node.get("/userinfo", bearer(token.text))
        if today is None:
            assert answer.error == (401, "invalid_token"), (chain, answer)
        elif "openid" in token.own & today:
            assert answer.status == 200, (chain, answer)
        else:
            assert answer.error == (403, "insufficient_scope"), (chain, answer)
        if token.api:
            told = (await node.post("/introspect", {"token": token.text}, basic(token.api, ENVIRON[API_SECRETS[token.api]]))).json
            assert told["active"] == (today is not None), (chain, told)
            if today is not None:
                assert set(told["scope"].split()) == {name for name in token.own & today if api_of(name) == token.api}, (chain, told)
            else:
                assert told == {"active": False}

    @invariant()
    def a_code_was_good_for_one_chain_alone(self) -> None:
        """However often a code is used, the store has one row for it, and one present refresh token."""
        rows = self.run(self.nodes[0].number("SELECT COUNT(*) FROM authorization_row WHERE tenant = :tenant", tenant=self.tenant))
        assert rows == len(self.model.chains)
        assert len(set(self.model.secrets())) == len(self.model.secrets()), "no secret comes twice"

    @invariant()
    def the_other_tenant_sees_nothing_of_it(self) -> None:
        """Its token is good at its own host for as long as it lives, and unknown here."""
        node = self.nodes[0]
        expected = 200 if self.model.now < node.time.now + 1 and self._foreign_lives() else 401
        assert self.run(node.get("/userinfo", bearer(self.foreign), host=GLOBEX)).status == expected
        assert self.run(node.get("/userinfo", bearer(self.foreign))).status == 401

    def _foreign_lives(self) -> bool:
        from tests.support.clock import NOON

        return self.model.now < NOON + LIFETIMES[BANK]
