"""The description is true: a program that knows nothing else sends what it allows, and more, to a running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from gatewright.base.operation import Nowhere, Operation
from gatewright.management.table import OPERATIONS
from gatewright.oauth.issuer import Issuer, Policy
from gatewright.web.openapi import PREFIX, document, schemas_of
from tests.management.desk import EVERYTHING, OWN, listed
from tests.support.running import ISSUER, Deployment

SCHEMA: Final = schemathesis.openapi.from_dict(
    document(Issuer(url="https://id.acme.test", tenant=1, host="id.acme.test", policy=Policy(), paths=("standard",), name="Acme"))
)
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.missing_required_header,
    checks.unsupported_method,
]
SECRET: Final = "gws_the-secret-of-a-service-that-may-everything"
PLATFORM: Final = f"""
[tenant]
slug = "acme"
name = "Acme"
domains = ["{ISSUER}"]

[[apis]]
audience = "https://bank.acme.test"
name = "Bank"
scopes = {{ "read:balance" = "See your balance" }}

[[roles]]
name = "Teller"
scopes = ["read:balance"]

[[accounts]]
slug = "acme-dev"
name = "Development"

[[users]]
email = "ann@acme.test"
memberships = [{{ account = "acme-dev", roles = ["Teller"] }}]

[[clients]]
client_id = "ops"
client_name = "Operations"
type = "service"
party = "first"
scopes = {listed([*EVERYTHING, *OWN])}
secret = {{ env = "OPS_SECRET" }}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A running server, and a client with a token for everything."""
    folder: Path = tmp_path_factory.mktemp("described") / "data"
    deployment = Deployment(folder, secrets={"OPS_SECRET": SECRET}).prepare(PLATFORM)
    with deployment.serve() as node, node.client() as client:
        form = {"grant_type": "client_credentials", "scope": " ".join([*EVERYTHING, *OWN])}
        answer = client.post("/token", data=form, auth=("ops", SECRET))
        assert answer.status_code == 200, answer.text
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


@schemathesis.check
def refused(context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]) -> bool | None:
    """What is not described is refused; a body that is too long is so by its length (RFC 9110 §15.5.14), whatever else is wrong with it."""
    return None if response.status_code == 413 else checks.negative_data_rejection(context, response, case)


def test_the_description_is_served_to_everybody(served: httpx.Client) -> None:
    answer = served.get(f"{PREFIX}/openapi.json", headers={"authorization": ""})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"] == "3.1.0"
    assert answer.json()["servers"][0]["url"].endswith(PREFIX)


def sent(operation: Operation, served: httpx.Client, mode: GenerationMode, looked_at: list[Any]) -> None:
    """Send what the description allows, or what it does not, and see that the answer is what it promises."""
    described = SCHEMA[operation.path][operation.method]
    url = f"{str(served.base_url).rstrip('/')}{PREFIX}"
    heads = {"authorization": served.headers["authorization"], "host": served.headers["host"]}

    @settings(max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=described.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case[Any]) -> None:
        assume(len(str(case.query)) < 2000)  # what the head of a request may be is another test's
        case.call_and_validate(base_url=url, headers=heads, checks=looked_at)

    holds()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_is_described_is_what_happens(operation: Operation, served: httpx.Client) -> None:
    sent(operation, served, GenerationMode.POSITIVE, CHECKS)


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.body is not None or one.where is not Nowhere], ids=lambda operation: operation.name
)
def test_what_is_not_described_is_refused(operation: Operation, served: httpx.Client) -> None:
    sent(operation, served, GenerationMode.NEGATIVE, [*CHECKS, refused])


@pytest.mark.parametrize("names", [("Thing", "ThingRecord"), ("Thing", "Thing")])
def test_two_forms_of_one_name_are_refused_since_readers_would_take_one_for_the_other(names: tuple[str, str]) -> None:
    one, other = (msgspec.defstruct(name, [(field, int)], module=f"room.{field}") for name, field in zip(names, ("a", "b"), strict=True))
    assert set(schemas_of([one], "#/{name}")) == {"Thing"}
    with pytest.raises(ValueError, match="Thing"):
        schemas_of([one, other], "#/{name}")
