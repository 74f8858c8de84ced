"""An authorization server, a clock, and a client of the one by the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gatewright_client.proof import Public
from gatewright_client.server import Server
from gatewright_client.tokens import Tokens
from tests.client.deployment import PLATFORM, SECRETS
from tests.client.places import Issuer, Watch
from tests.support.running import Deployment, Node


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard beside these tests waits for the reason of a refusal, however long this machine takes."""
    monkeypatch.setattr("gatewright_guard.introspect._WHY_SECONDS", 30)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    with issuer.place.serving():
        yield issuer


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def server(issuer: Issuer, watch: Watch) -> Iterator[Server]:
    with Server(issuer.url, Public("cli"), clock=watch) as server:
        yield server


@pytest.fixture
def signed_in(server: Server, watch: Watch) -> Tokens:
    """What a sign-in of an hour ago left behind."""
    return Tokens(
        access_token="access-0", renew_at=watch.now - 60, expires_at=watch.now, refresh_token="refresh-0", whose=server.whose(None)
    )


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A running Gatewright."""
    deployment = Deployment(tmp_path_factory.mktemp("client"), secrets=SECRETS).prepare(PLATFORM)
    with deployment.serve() as node:
        yield node
