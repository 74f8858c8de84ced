"""The guide's code runs as it stands there, against a server on a real socket, and its answers are the ones that it shows."""

import asyncio
import json
import re
import socket
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import uvicorn

from gatewright_guard.reasons import Reason
from tests.guard.makers import a_jwk, a_token, some_claims
from tests.guard.server import AServer

GUIDE: Final = (Path(__file__).parents[2] / "docs/guides/protect-a-fastapi-api.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
PROGRAMS: Final = {match[1]: text for kind, text in BLOCKS if kind == "python" and (match := re.match(r"# (\w+)\.py\n", text))}

# The guide's guard looks at the real clock.
AT_ANY_TIME: Final[dict[str, Any]] = {"iat": 1, "exp": 2**40}


@pytest.fixture
async def issuer() -> AsyncIterator[str]:
    """The address of a server that knows two opaque tokens and signs with one key."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    answering = AServer(
        jwks=[a_jwk()],
        metadata={"issuer": url, "jwks_uri": f"{url}/jwks", "introspection_endpoint": f"{url}/introspect"},
        tokens={
            "gwa_reads": some_claims(iss=url, **AT_ANY_TIME, scope="read:balance"),
            "gwa_sends": some_claims(iss=url, **AT_ANY_TIME, scope="read:balance transfer:funds"),
        },
        whys={"gwa_reads": {"cause": "role_lacks_scope", "detail": Reason.ROLE_LACKS_SCOPE.sentence}},
    )
    server = uvicorn.Server(uvicorn.Config(answering, log_level="warning", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield url
    server.should_exit = True
    await serving


@pytest.fixture
def programs(issuer: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The guide's programs, as the modules whose names they say."""
    for name, value in {"ISSUER": issuer, "BANK_API_ID": "ap_1", "BANK_API_SECRET": "s"}.items():
        monkeypatch.setenv(name, value)
    loaded: dict[str, Any] = {}
    for name, text in PROGRAMS.items():
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - the guide is ours
        loaded[name] = module
    return loaded


async def ask(app: Any, method: str, path: str, token: str | None = None) -> httpx.Response:  # noqa: ANN401 - any application
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank.test") as client:
        return await client.request(method, path, headers={} if token is None else {"authorization": f"Bearer {token}"})


def shown(reply: httpx.Response) -> str:
    """A reply's head as the guide shows it, with the fields that it shows."""
    said = [f"HTTP/1.1 {reply.status_code} {reply.reason_phrase}"]
    said += [f"{name}: {reply.headers[name]}" for name in ("www-authenticate", "content-type")]
    return "\n".join(said)


async def test_the_bank_of_the_guide_works(issuer: str, programs: dict[str, Any]) -> None:
    bank = programs["bank"]
    async with bank.app.router.lifespan_context(bank.app):
        jwt = a_token(iss=issuer, **AT_ANY_TIME)
        assert (await ask(bank.app, "GET", "/balance", jwt)).json() == {"user": "us_1", "app": "budget-buddy"}
        assert (await ask(bank.app, "GET", "/balance", "gwa_reads")).status_code == 200
        assert (await ask(bank.app, "GET", "/accounts/acme-dev/balance", jwt)).json() == {"user": "us_1", "account": "acme-dev"}
        assert (await ask(bank.app, "GET", "/accounts/other/balance", jwt)).json()["cause"] == "wrong_account"
        assert (await ask(bank.app, "POST", "/transfers?amount=5", "gwa_sends")).json() == {"sent": 5}
        assert (await ask(bank.app, "POST", "/transfers?amount=5000", "gwa_sends")).json()["missing_scope"] == "transfer:large"


async def test_the_answers_are_those_that_the_guide_shows(programs: dict[str, Any]) -> None:
    bank = programs["bank"]
    async with bank.app.router.lifespan_context(bank.app):
        without = await ask(bank.app, "GET", "/balance")
        lacking = await ask(bank.app, "POST", "/transfers?amount=5", "gwa_reads")
    heads = [text.strip() for kind, text in BLOCKS if kind == "http"]
    assert heads == ["\n".join(shown(without).splitlines()[:2]), shown(lacking)]
    assert [json.loads(text) for kind, text in BLOCKS if kind == "json"] == [lacking.json()]


async def test_the_other_programs_of_the_guide_work(issuer: str, programs: dict[str, Any]) -> None:
    reports = programs["reports"].app
    async with reports.router.lifespan_context(reports):
        report = await ask(reports, "GET", "/report", a_token(iss=issuer, **AT_ANY_TIME))
    assert report.json() == {"for": "us_1"}

    wrapped, bank = programs["wrapped"].app, programs["bank"].app
    async with programs["wrapped"].guard, bank.router.lifespan_context(bank):
        await the_middleware_holds(wrapped, issuer)


async def the_middleware_holds(wrapped: Any, issuer: str) -> None:  # noqa: ANN401 - any application
    assert (await ask(wrapped, "GET", "/docs")).status_code == 200
    assert (await ask(wrapped, "GET", "/balance", a_token(iss=issuer, **AT_ANY_TIME))).status_code == 200
    assert (await ask(wrapped, "GET", "/balance")).status_code == 401
    assert (await ask(wrapped, "GET", "/openapi.json")).status_code == 200
    assert (await ask(wrapped, "GET", "/redoc", a_token(iss=issuer, **AT_ANY_TIME))).json()["cause"] == "no_rule"


def test_the_guide_names_every_cause() -> None:
    table = GUIDE.split("| status |", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"`([a-z]+_[a-z_]+|unavailable)`", table)) - {"missing_scope", "acr_values", "max_age"} == set(Reason)
