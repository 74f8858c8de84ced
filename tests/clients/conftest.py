"""One server for all client libraries: two workers, so that what one of them makes the other has to know."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.clients.platform import OTHER_TENANT, SECRETS, platform
from tests.support.running import Deployment, Node
from tests.support.visitor import Visitor


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    deployment = Deployment(tmp_path_factory.mktemp("clients"), secrets=SECRETS).prepare(platform(), OTHER_TENANT)
    with deployment.serve(workers=2) as node:
        yield node


@pytest.fixture
def http(node: Node) -> Iterator[httpx.Client]:
    with node.client() as http:
        yield http


@pytest.fixture
def visitor(node: Node, http: httpx.Client) -> Visitor:
    """Somebody who has not signed in yet."""
    return Visitor(http, node.deployment.issuer)
