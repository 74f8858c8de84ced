"""The client, the server and the guard together, each in its place: over real sockets, with tokens that the server made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests

from gatewright_client.device import Prompt, sign_in
from gatewright_client.errors import NotSignedIn, Refused, SignInNeeded
from gatewright_client.files import FileStore
from gatewright_client.httpx import BearerAuth
from gatewright_client.private_key import es256
from gatewright_client.problem import explain
from gatewright_client.proof import Assertion, Proof, Public, Secret
from gatewright_client.requests import BearerAuth as ForRequests
from gatewright_client.server import Server
from gatewright_client.source import TokenSource
from gatewright_client.stores import Memory
from tests.client.deployment import BANK, KEY, SECRETS, VAULT, bank, listening, signed_in
from tests.support.running import Node
from tests.support.visitor import Visitor

SECRET = SECRETS["CLIENT_SECRET"]
PROOFS: list[Proof] = [
    Secret("reports", SECRET),
    Secret("reports", SECRET, method="client_secret_post"),
    Assertion("reports-by-key", es256(KEY.as_pem(private=True)), kid="k1"),
]


@pytest.fixture(scope="module")
def bank_url(node: Node) -> Iterator[str]:
    with listening(bank(node.deployment.issuer, BANK)) as url:
        yield url


@pytest.fixture(scope="module")
def vault_url(node: Node) -> Iterator[str]:
    with listening(bank(node.deployment.issuer, VAULT, "vault:")) as url:
        yield url


@pytest.fixture
def cli(node: Node) -> Iterator[Server]:
    with Server(node.deployment.issuer, Public("bank-cli")) as server:
        yield server


@pytest.mark.parametrize("proof", PROOFS, ids=["basic", "post", "private_key_jwt"])
def test_a_service_calls_the_bank(node: Node, bank_url: str, proof: Proof) -> None:
    with Server(node.deployment.issuer, proof) as server:
        source = TokenSource.client_credentials(server, scope="read:balance", resource=BANK)
        with httpx.Client(base_url=bank_url, auth=BearerAuth(source, bank_url)) as api:
            assert api.get("/accounts/acme-dev/balance").json() == {"user": proof.client_id, "account": "acme-dev"}
            other = explain(api.get("/accounts/acme-prod/balance"))
            lacking = explain(api.post("/transfers"))
    assert other is not None
    assert (other.status, other.cause, other.refresh_helps) == (403, "wrong_account", False)
    assert lacking is not None
    assert (lacking.cause, lacking.missing_scope, lacking.ask_user) == ("scope_not_requested", "transfer:funds", True)


def test_a_user_stays_signed_in_across_programs(node: Node, cli: Server, bank_url: str, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "tokens.json")
    first = signed_in(node, "read:balance", BANK)
    store.save(first)
    for _ in range(2):
        source = TokenSource.refreshing(cli, store, resource=BANK)
        with requests.Session() as session:
            session.auth = ForRequests(source, bank_url)
            assert session.get(f"{bank_url}/balance", timeout=10).json()["account"] == "acme-dev"
    kept = store.load()
    assert kept is not None
    assert kept.refresh_token not in (None, first.refresh_token)


async def test_a_role_that_lacks_the_scope_is_not_cured_by_asking_again(node: Node, cli: Server, vault_url: str) -> None:
    tokens = signed_in(node, "vault:read:balance vault:transfer:funds", VAULT)
    assert tokens.scope == "vault:read:balance"
    source = TokenSource.refreshing(cli, Memory(tokens), resource=VAULT)
    async with httpx.AsyncClient(base_url=vault_url, auth=BearerAuth(source, vault_url)) as api:
        problem = explain(await api.post("/transfers"))
    assert problem is not None
    assert (problem.cause, problem.missing_scope) == ("role_lacks_scope", "vault:transfer:funds")
    assert (problem.refresh_helps, problem.ask_user) == (False, False)
    assert problem.decision
    assert problem.more.startswith(f"{node.deployment.issuer}/")


def test_a_token_that_was_taken_back_is_replaced_by_itself(node: Node, vault_url: str) -> None:
    with Server(node.deployment.issuer, Secret("reports", SECRET)) as server:
        source = TokenSource.client_credentials(server, scope="vault:read:balance", resource=VAULT)
        with httpx.Client(base_url=vault_url, auth=BearerAuth(source, vault_url)) as api:
            assert api.get("/balance").status_code == 200
            before = source.token()
            server.revoke(before)
            assert api.get("/balance").status_code == 200
            assert source.token() != before


def test_a_sign_in_that_was_taken_back_is_told_by_the_api_and_by_the_source(node: Node, cli: Server, vault_url: str) -> None:
    source = TokenSource.refreshing(cli, store := Memory(signed_in(node, "vault:read:balance", VAULT)), resource=VAULT)
    with httpx.Client(base_url=vault_url, auth=BearerAuth(source, vault_url)) as api:
        assert api.get("/balance").status_code == 200
        kept = store.load()
        assert kept is not None
        assert kept.refresh_token is not None
        cli.revoke(kept.refresh_token)
        problem = explain(api.get("/balance"))
    assert problem is not None
    assert (problem.status, problem.cause) in {(401, "token_revoked"), (401, "grant_ended")}
    with pytest.raises(SignInNeeded, match="invalid_grant"):
        source.renewed(kept.access_token)


def test_a_lost_answer_signs_nobody_out(node: Node, cli: Server) -> None:
    # The server gives the same refresh token again for ten seconds, while its successor is unused.
    old = signed_in(node, "read:balance", BANK)
    first = TokenSource.refreshing(cli, lost := Memory(old), resource=BANK)
    second = TokenSource.refreshing(cli, found := Memory(old), resource=BANK)
    first.token()
    second.token()
    one, other = lost.load(), found.load()
    assert one is not None
    assert other is not None
    assert one.refresh_token == other.refresh_token != old.refresh_token


class Gateway(httpx.HTTPTransport):
    """A proxy that lost patience: the first token is made, and a page of the proxy's comes back in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if request.url.path != "/token":
            return answer
        self.asked += 1
        if self.asked > 1:
            return answer
        assert answer.status_code == 200
        answer.close()
        return httpx.Response(504, stream=httpx.ByteStream(b"<h1>504 Gateway Time-out</h1>"))


def test_a_gateway_without_patience_signs_nobody_out(node: Node) -> None:
    store = Memory(old := signed_in(node, "read:balance", BANK))
    with httpx.Client(transport=(gateway := Gateway())) as http, Server(node.deployment.issuer, Public("bank-cli"), http=http) as server:
        source = TokenSource.refreshing(server, store, resource=BANK)
        assert source.token() != old.access_token
    new = store.load()
    assert new is not None
    assert new.refresh_token != old.refresh_token
    assert gateway.asked == 2


class Sofa:
    """Somebody who reads what a device shows, and answers it at a browser; time passes only where the server is asked again."""

    def __init__(self, node: Node, *, allow: bool = True) -> None:
        self.node, self.allow = node, allow
        self.prompt: Prompt | None = None
        self.told = ""
        self.waited: list[float] = []

    def read(self, prompt: Prompt) -> None:
        self.prompt = prompt

    def answer(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) == 1 and self.prompt is not None:
            with self.node.client() as http:
                visitor = Visitor(http, self.node.deployment.issuer, allow=self.allow)
                self.told = visitor.let_in(self.prompt.verification_uri_complete or "")


def test_somebody_signs_in_at_a_device_and_uses_the_bank(node: Node, cli: Server, bank_url: str) -> None:
    sofa = Sofa(node)
    tokens = sign_in(cli, sofa.read, scope="read:balance", resource=BANK, pause=sofa.answer)
    assert (sofa.told, sofa.waited) == ("You can go back to your device", [5])
    assert sofa.prompt is not None
    assert sofa.prompt.verification_uri == f"{node.deployment.issuer}/device"
    assert (sofa.prompt.expires_in, tokens.scope) == (600, "read:balance")
    source = TokenSource.refreshing(cli, Memory(tokens), resource=BANK)
    with httpx.Client(base_url=bank_url, auth=BearerAuth(source, bank_url)) as api:
        assert api.get("/accounts/acme-dev/balance").status_code == 200
        source.renewed(source.token())
        assert api.get("/balance").json()["account"] == "acme-dev"


def test_the_account_that_a_device_names_is_the_one_that_is_used(node: Node, cli: Server) -> None:
    sofa = Sofa(node)
    sign_in(cli, sofa.read, scope="vault:read:balance", resource=VAULT, account="acme-dev", pause=sofa.answer)
    assert sofa.told == "You can go back to your device"


def test_a_no_is_told_at_the_device(node: Node, cli: Server) -> None:
    sofa = Sofa(node, allow=False)
    with pytest.raises(NotSignedIn, match="the user said no") as fault:
        sign_in(cli, sofa.read, scope="read:balance", resource=BANK, pause=sofa.answer)
    assert (fault.value.error, sofa.told) == ("access_denied", "You said no")


def test_who_asks_faster_than_the_server_says_is_slowed_and_asks_less_often(node: Node, cli: Server) -> None:
    waited: list[float] = []

    def impatient(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sign_in(cli, lambda _: None, scope="read:balance", resource=BANK, pause=impatient)
    assert waited == [5, 5, 10, 15]


def test_a_client_that_is_not_set_up_for_devices_is_told_so(node: Node) -> None:
    with Server(node.deployment.issuer, Secret("reports", SECRET)) as server, pytest.raises(Refused, match="unauthorized_client"):
        sign_in(server, lambda _: None, scope="read:balance")
