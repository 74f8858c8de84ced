"""The examples in Flask and Django as people start them, on sockets, beside a real server: also killed, and left alone by the server."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from examples.demo.layout import SECRETS, Layout
from tests.support.demo import free_base
from tests.support.running import ROOT, Deployment, free_port
from tests.support.waiting import until

FLASK: Final = ("-m", "flask", "--app", "examples.flask_api.app", "run", "--port", "{port}")
DJANGO: Final = {
    "runserver": ("-m", "django", "runserver", "{port}", "--noreload", "--settings", "examples.django_api.settings"),
    "gunicorn": (
        "-m",
        "gunicorn",
        "--preload",
        "--no-control-socket",
        "--workers",
        "2",
        "--bind",
        "127.0.0.1:{port}",
        "examples.django_api.wsgi:application",
    ),
    "uvicorn": ("-m", "uvicorn", "--port", "{port}", "--lifespan", "off", "examples.django_api.asgi:application"),
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The demo's platform."""
    base = free_base()
    made = Deployment(tmp_path_factory.mktemp("imaging") / "data", secrets=SECRETS, port=base)
    shutil.copytree(ROOT / "examples" / "apps", made.folder / "apps")
    return made.prepare(Layout(base).platform())


@pytest.fixture(scope="module")
def tokens(deployment: Deployment) -> dict[str, str]:
    """A token for each scope; they are good for as long as the tests run."""
    with deployment.serve() as node, node.client() as http:
        return {scope: token(http, scope) for scope in ("read:images", "delete:images")}


def token(http: httpx.Client, scope: str) -> str:
    said = {"grant_type": "client_credentials", "scope": scope}
    made: Any = http.post("/token", data=said, auth=("image-copier", SECRETS["IMAGE_COPIER_SECRET"])).raise_for_status().json()
    return str(made["access_token"])


@contextmanager
def started(deployment: Deployment, words: tuple[str, ...], readers: str = "") -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """One of the examples, until the block ends; it is asked to stop, unless it is gone."""
    port = free_port()
    command = [sys.executable, *(word.replace("{port}", str(port)) for word in words)]
    environment = {**os.environ, "GATEWRIGHT_ISSUER": deployment.issuer, "READ_ONLY_APPS": readers}
    log = deployment.folder / f"api-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
        try:
            until(lambda: process.poll() is not None or answers(http), "the API")
            assert process.poll() is None, log.read_text()
            yield http, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert "Traceback" not in log.read_text(), log.read_text()


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/images").status_code == 401
    except httpx.TransportError:
        return False


def said(reply: httpx.Response) -> tuple[int, str | None]:
    """The status, and the cause of a refusal."""
    refused = reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["cause"] if refused else None


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_the_flask_api_works_beside_the_server(deployment: Deployment, tokens: dict[str, str]) -> None:
    reads, deletes = bearing(tokens["read:images"]), bearing(tokens["delete:images"])
    with deployment.serve(), started(deployment, FLASK) as (http, _):
        assert said(http.get("/images")) == (401, "token_missing")
        assert http.get("/images", headers=reads).json()["seen by"] == "image-copier"
        refused = http.delete("/images", headers=reads)
        assert said(refused) == (403, "insufficient_scope")
        assert refused.json()["missing_scope"] == "delete:images"
        assert http.delete("/images", headers=deletes).json()["done"].startswith("Deleted")
        assert http.get("/archive/years", headers=reads).json() == [2024, 2025, 2026]
        assert said(http.get("/archive/years", headers=deletes)) == (403, "insufficient_scope")
        described = http.get("/.well-known/oauth-protected-resource").json()
        assert described["authorization_servers"] == [deployment.issuer]


@pytest.mark.parametrize("server", DJANGO)
def test_the_django_api_works_under_every_server(deployment: Deployment, tokens: dict[str, str], server: str) -> None:
    reads, deletes = bearing(tokens["read:images"]), bearing(tokens["delete:images"])
    with deployment.serve(), started(deployment, DJANGO[server]) as (http, _):
        assert said(http.get("/images")) == (401, "token_missing")
        assert http.get("/images", headers=reads).json()["seen by"] == "image-copier"
        assert http.get("/years", headers=reads).json() == {"years": [2024, 2025, 2026], "seen by": "image-copier"}
        assert said(http.get("/years", headers=deletes)) == (403, "insufficient_scope")
        assert said(http.delete("/images/old", headers=reads)) == (403, "insufficient_scope")
        assert http.delete("/images/old", headers=deletes).status_code == 200
        assert http.get("/reports", headers=reads).status_code == 200
        assert said(http.post("/reports", headers=reads)) == (403, "insufficient_scope")
        assert http.delete("/reports/old", headers=deletes).status_code == 200
        assert said(http.delete("/reports", headers=deletes)) == (403, "no_rule")
        described = http.get("/.well-known/oauth-protected-resource").json()
        assert described["scopes_supported"] == ["read:images", "delete:images"]


def test_an_api_that_was_killed_comes_back_and_waits_for_the_server(deployment: Deployment, tokens: dict[str, str]) -> None:
    reads = bearing(tokens["read:images"])
    with deployment.serve() as node:
        with started(deployment, FLASK) as (http, process):
            assert http.get("/images", headers=reads).status_code == 200
            process.kill()
        with started(deployment, FLASK) as (http, _):
            assert http.get("/images", headers=reads).status_code == 200
            # The keys at hand do while the server is away.
            node.stop()
            assert http.get("/images", headers=reads).status_code == 200
    with started(deployment, FLASK) as (http, _):
        away = http.get("/images", headers=reads)
        assert said(away) == (503, "unavailable")
        assert away.headers["retry-after"] == "2"
        with deployment.serve():
            until(lambda: http.get("/images", headers=reads).status_code == 200, "the server to be asked again")


def test_the_django_apis_own_rule_is_asked(deployment: Deployment, tokens: dict[str, str]) -> None:
    with deployment.serve(), started(deployment, DJANGO["gunicorn"], readers="image-copier") as (http, _):
        assert http.get("/images", headers=bearing(tokens["read:images"])).status_code == 200
        refused = http.delete("/images/old", headers=bearing(tokens["delete:images"]))
        assert said(refused) == (403, "denied_by_api")
        assert refused.json()["detail"] == "This app may only read at the moment."


def test_the_settings_of_the_django_api_pass_djangos_own_checks(deployment: Deployment) -> None:
    command = [sys.executable, "-m", "django", "check", "--fail-level", "WARNING", "--settings", "examples.django_api.settings"]
    environment = {**os.environ, "GATEWRIGHT_ISSUER": deployment.issuer}
    done = subprocess.run(command, cwd=Path(ROOT), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
