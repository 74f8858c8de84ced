"""The state machine: clients, users, an admin and an attacker act on two nodes over one store, and a model says what must come of it."""

from __future__ import annotations

import asyncio

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.property.model import (
    BANK,
    CLIENTS,
    JWT,
    LIFETIMES,
    MEMBERS,
    PUBLIC,
    ROLES,
    TRUSTED,
    Chain,
    Place,
    Token,
    api_of,
)
from tests.property.two_nodes import API_SECRETS, EVERY_SCOPE, INVALID_GRANT, INVALID_SCOPE, SAME_TENANT, TwoNodes
from tests.support.approving import VERIFIER, Consents, authorized, sign_in
from tests.support.house import ACME, CLIENT_SECRET, ENVIRON, GLOBEX, Answer, Node, basic, bearer

which = st.integers(0, 63)
a_node = st.integers(0, 1)
a_client = st.sampled_from(sorted(CLIENTS))
a_seat = st.sampled_from(sorted(MEMBERS))
scopes = st.frozensets(st.sampled_from(EVERY_SCOPE), min_size=1, max_size=4)
some_roles = st.frozensets(st.sampled_from(sorted(ROLES)))


class Deployment(TwoNodes):
    """What clients, users, an admin and an attacker may do next."""

    # ------------------------------------------------------------ users and their apps

    @rule(node=a_node, client=a_client, seat=a_seat, asked=scopes, untick=scopes)
    def authorize(self, node: int, client: str, seat: tuple[str, str], asked: frozenset[str], untick: frozenset[str]) -> None:
        """A user sends an app's request on, and says yes to all but some of it."""
        self._authorize(node, client, seat, asked, untick)

    @precondition(lambda self: self.live())
    @rule(node=a_node, number=which, untick=scopes)
    def reconsider(self, node: int, number: int, untick: frozenset[str]) -> None:
        """A user is asked once more for what an app has, and says no to some of it."""
        live = self.live()
        chain = live[-1 - number % len(live)]
        client, person, account = chain.place
        seat = next((seat for seat in sorted(MEMBERS) if seat[0] == person and account in ("", seat[1])), None)
        if seat is not None and chain.client not in self.model.disabled:
            self._authorize(node, client, seat, chain.ceiling, untick, prompt="consent")

    def _authorize(
        self, node: int, client: str, seat: tuple[str, str], asked: frozenset[str], untick: frozenset[str], prompt: str | None = None
    ) -> None:
        self._let_in(node, seat)
        model, (person, account) = self.model, seat
        in_account = any(api_of(name) and name in CLIENTS[client] for name in asked)
        place = (client, person, account if in_account else "")
        said: Consents = []
        told = self.run(self._asked(node, client, seat, asked, untick, said, prompt))
        possible = model.possible(place, asked)
        if client in model.disabled or not asked & CLIENTS[client] or ("openid" in asked and "openid" not in CLIENTS[client]):
            assert "code" not in told, told
            return
        for shown, ticked in said:
            assert client not in TRUSTED or prompt
            assert shown <= possible
            model.consent(place, shown, ticked)
        if client in TRUSTED and not prompt:
            model.granted[place] = model.granted.get(place, frozenset()) | (possible - model.declined.get(place, frozenset()))
        granted = possible & model.granted.get(place, frozenset())
        if prompt and not said:
            granted = frozenset()  # a yes to nothing is a no
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

    @initialize(client=a_client, seat=a_seat, asked=scopes, renewals=st.integers(0, 2), api=which)
    def begin(self, client: str, seat: tuple[str, str], asked: frozenset[str], renewals: int, api: int) -> None:
        """Two users have connected apps already, so that there is something to lose from the first step on."""
        self.connect(0, "budget-buddy", ("ann@acme.test", "acme-dev"), frozenset(EVERY_SCOPE), 1, api)
        self.connect(1, client, seat, asked, renewals, api)

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
        self,
        node: int,
        client: str,
        seat: tuple[str, str],
        asked: frozenset[str],
        untick: frozenset[str],
        said: Consents,
        prompt: str | None,
    ) -> dict[str, str]:
        from gatewright.oauth.errors import PageError

        cookie = await sign_in(self.nodes[node], seat[0])
        try:
            scope, more = " ".join(sorted(asked)), {"prompt": prompt}
            return await authorized(self.nodes[node], cookie, client, scope, account=seat[1], untick=untick, said=said, more=more)
        except PageError:
            return {"error": "a page"}

    @precondition(lambda self: self.model.chains)
    @rule(number=which, node=a_node, api=which)
    def exchange(self, number: int, node: int, api: int) -> None:
        """The app exchanges its code, perhaps again, perhaps too late."""
        chain, model = self.chain(number), self.model
        resource = self.resource(chain, api)

        def act() -> Answer:
            return self.exchanged(chain, node, resource=resource)

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
            self.keep(chain, act(), resource)
            chain.used = True
            chain.idle_until = model.now + 30 * 86400

    @rule(client=a_client, seat=a_seat, asked=scopes, api=which)
    def exchange_twice_at_once(self, client: str, seat: tuple[str, str], asked: frozenset[str], api: int) -> None:
        """Two use a code at the same moment, at both nodes: one gets tokens, and everything ends, since one of them stole it."""
        model, before = self.model, len(self.model.chains)
        self._authorize(0, client, seat, asked | {"openid"}, frozenset())
        if client in model.disabled or len(model.chains) == before:
            return
        chain = model.chains[-1]
        resource = self.resource(chain, api)

        async def both() -> list[Answer]:
            form = self.form(chain, resource=resource)
            return await asyncio.gather(*[self.asked_token(node, chain.client, ACME, form) for node in (0, 1)])

        answers = sorted(self.run(both()), key=lambda answer: answer.status)
        assert answers[1].error == INVALID_GRANT
        self.keep(chain, answers[0], resource)
        chain.used = True
        chain.end("replay")

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
        counted = wrong in ("client", "verifier", "no verifier", "redirect_uri")
        if counted:
            errors.append((503, "temporarily_unavailable"))  # wrong proofs of one code are slowed down
        self.refused(lambda: self.exchanged(chain, node, client, host, **faults.get(wrong, {})), *errors, counted=counted)

    # ------------------------------------------------------------ refresh

    @precondition(lambda self: any(chain.refresh for chain in self.model.chains))
    @rule(number=which, node=a_node, age=st.integers(0, 3), api=which, keep=scopes)
    def refresh(self, number: int, node: int, age: int, api: int, keep: frozenset[str]) -> None:
        """The app, or whoever has its credentials, uses one of the refresh tokens it ever got."""
        renewed = [chain for chain in self.model.chains if chain.refresh]
        chain, model = renewed[-1 - number % len(renewed)], self.model
        age = min(age, len(chain.refresh) - 1)
        text, resource = chain.refresh[-1 - age], self.resource(chain, api)
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
            self.keep(chain, act(), resource, narrow=narrow)
            chain.rotated_at, chain.idle_until = model.now, model.now + 30 * 86400
        elif age == 1 and model.now - chain.rotated_at <= model.overlap(chain):
            before = len(chain.refresh)
            self.keep(chain, act(), resource, narrow=narrow)
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
        resource, before = self.resource(chain, api), len(chain.refresh)
        form = {"grant_type": "refresh_token", "refresh_token": chain.refresh[-1], "resource": resource}

        async def both() -> list[Answer]:
            return await asyncio.gather(*[self.asked_token(node, chain.client, ACME, form) for node in (0, 1)])

        for answer in self.run(both()):
            self.keep(chain, answer, resource)
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

    @precondition(lambda self: self.live())
    @rule(number=which, node=a_node)
    def withdraw(self, number: int, node: int) -> None:
        """A user takes a grant back."""
        client, person, account = place = self.chain(number).place
        self.run(self.end_grant(node, client, person, account))
        self.model.withdraw(place)

    @precondition(lambda self: self.live())
    @rule(node=a_node, number=which, roles=some_roles, act=st.sampled_from(["disable", "password", "roles", "end", "client", "account"]))
    def administer(self, node: int, number: int, roles: frozenset[str], act: str) -> None:
        """An admin takes something from a user, a membership, a client or an account, most often where there is something to lose."""
        client, person, account = self._something_to_lose(number)
        match act:
            case "disable" | "password":
                self.change_user(node, person, act)
            case "roles" | "end":
                self.change_membership(node, (person, account), None if act == "end" else roles)
            case "client":
                self.change_client(node, client, on=False)
            case _:
                self.change_account(node, account, on=False)

    @precondition(lambda self: self.live())
    @rule(node=a_node, number=which, act=st.sampled_from(["user", "membership", "client", "account"]))
    def keep_out_and_let_in(self, node: int, number: int, act: str) -> None:
        """Somebody is kept out and let in again at once: what was ended by it stays so."""
        client, person, account = self._something_to_lose(number)
        match act:
            case "user":
                self.change_user(node, person, "disable")
                self.change_user(node, person, "enable")
            case "membership":
                self.change_membership(node, (person, account), None)
                self.change_membership(node, (person, account), frozenset({MEMBERS[person, account]}))
            case "client":
                self.change_client(node, client, on=False)
                self.change_client(node, client, on=True)
            case _:
                self.change_account(node, account, on=False)
                self.change_account(node, account, on=True)

    def _something_to_lose(self, number: int) -> Place:
        chains = self.live() or self.model.chains
        client, person, account = chains[-1 - number % len(chains)].place
        return client, person, account or "acme-prod"

    @precondition(lambda self: self.live())
    @rule(seconds=st.sampled_from([1, 1, 1, 5, 9, 10, 11, 30, 60, 61, 300, 600, 601, 900, 3600, 86400, 29 * 86400]))
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
    def what_a_jwt_says_is_so_or_its_api_was_told_otherwise(self) -> None:
        """Nobody believes a JWT alone that may do less than it says, and none is refused by the feed that is still good."""
        self.run(self.reader.hear())
        for chain in self.model.chains:
            today = self.model.today(chain)
            for token in chain.tokens:
                if token.api not in JWT or self.model.now >= token.expires_at:
                    continue
                good = self.model.active(chain, token)
                over = self.reader.over(token.text)
                assert not (good and over), (chain, "a good token would be refused")
                lost = {name for name in token.own - today if api_of(name) == token.api}
                assert over or (good and not lost) or self.reader.asked(token.text), (chain, lost)

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
