"""The recipes for nginx and Apache run as they lie in `examples/proxies`, in front of an API that knows nothing of tokens."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.running import ROOT, Deployment, Node, free_port
from tests.support.waiting import until

RECIPES: Final = ROOT / "examples/proxies"
SECRETS: Final = {
    "BANK_API_SECRET": "secret-of-the-bank-api-0123456789abcdef",
    "NIGHT_JOB_SECRET": "secret-of-the-night-job-0123456789abcd",
}
CREDENTIALS: Final = b64encode(f"https://bank.acme.test:{SECRETS['BANK_API_SECRET']}".encode()).decode()
SPOOFED: Final = {
    "gatewright-user": "us_admin",
    "gatewright_user": "us_admin",
    "gatewright-account_id": "ac_1",
    "gatewright-account": "acme-prod",
    "gatewright-decision": "allowed",
}


class Api(BaseHTTPRequestHandler):
    """An API in any language: it believes its proxy."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Tell what arrived."""
        size = int(self.headers.get("content-length", "0"))
        sent = self.rfile.read(size).decode()
        told = {name.lower(): value for name, value in self.headers.items() if name.lower().startswith("gatewright")}
        body = json.dumps({"path": self.path, "method": self.command, "told": told, "sent": sent}).encode()
        self.send_response(401 if self.path.endswith("?own401") else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - so it calls them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
        """Say nothing."""


@dataclass
class Bank:
    """What a proxy stands between."""

    node: Node
    api_port: int

    def token(self, scope: str = "read:balance") -> str:
        """A token of the night job."""
        with self.node.client() as client:
            form = {"grant_type": "client_credentials", "scope": scope}
            answer = client.post("/token", data=form, auth=("night-job", SECRETS["NIGHT_JOB_SECRET"]))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """Gatewright with the platform of the recipes, and an API."""
    with open_bank(tmp_path_factory.mktemp("bank")) as opened:
        yield opened


@contextmanager
def open_bank(folder: Path, kept: str = "0s") -> Iterator[Bank]:
    """The same in a folder; proxies may keep what they are told for so long."""
    platform = (RECIPES / "platform.toml").read_text(encoding="utf-8").replace("http://127.0.0.1:8600", "{issuer}")
    deployment = Deployment(folder / "data", secrets=SECRETS)
    deployment.prepare(platform.replace('verify_max_age = "0s"', f'verify_max_age = "{kept}"'))
    api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=api.serve_forever, daemon=True)
    thread.start()
    with deployment.serve() as node:
        yield Bank(node, api.server_address[1])
    api.shutdown()
    api.server_close()
    thread.join()


@dataclass
class Proxy:
    """A running proxy."""

    port: int
    name: str

    def ask(self, method: str, target: str, token: str | None = None, *, content: str | None = None, **headers: str) -> httpx.Response:
        """Send a request whose target goes out as it is written."""
        given = {name.replace("_", "-"): value for name, value in headers.items()} | {"host": "api.acme.test"}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        talk = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            talk.putrequest(method, target, skip_host=True)
            for name, value in given.items():
                talk.putheader(name, value)
            body = None if content is None else content.encode()
            if body is not None:
                talk.putheader("content-length", str(len(body)))
            talk.endheaders(body)
            answer = talk.getresponse()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
        finally:
            talk.close()


def recipe(name: str, bank: Bank, port: int, gatewright: int | None = None) -> str:
    """A file of the recipes with this test's ports."""
    text = (RECIPES / name).read_text(encoding="utf-8")
    ports = {"8600": gatewright or bank.node.port, "9000": bank.api_port, "8080": port}
    return re.sub(r"\b(?:8600|9000|8080)\b", lambda found: str(ports[found[0]]), text)


@contextmanager
def running(command: list[str], port: int, folder: Path, **environment: str) -> Iterator[None]:
    """Run a proxy until the block ends."""
    log = folder / "proxy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **environment})
    try:
        until(lambda: process.poll() is not None or _listens(port), "the proxy to listen")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(bank: Bank, folder: Path, *, gatewright: int | None = None, credentials: str = CREDENTIALS) -> Iterator[Proxy]:
    """nginx with the recipe; only its folders are moved to where a test may write."""
    port = free_port()
    text = recipe("nginx.conf", bank, port, gatewright).replace("/dev/shm/gatewright-verify", str(folder / "kept"))
    own = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = text.replace("http {\n", f"http {{\n    access_log off;\n{own}", 1)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    (folder / "gatewright-api.conf").write_text(f'proxy_set_header Gatewright-Api "Basic {credentials}";\n', encoding="utf-8")
    user = "user root; " if os.geteuid() == 0 else ""
    main = f"daemon off; {user}pid {folder}/nginx.pid; error_log {folder}/error.log;"
    with running(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", main], port, folder):
        yield Proxy(port, "nginx")


_HTTPD: Final = """
ServerRoot /usr/lib/apache2
ServerName api.acme.test
PidFile {folder}/httpd.pid
ErrorLog {folder}/error.log
DefaultRuntimeDir {folder}
Mutex file:{folder} default
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
LoadModule lua_module modules/mod_lua.so
{user}
Include {folder}/site.conf
"""


@contextmanager
def apache(bank: Bank, folder: Path, *, gatewright: int | None = None, credentials: str = CREDENTIALS) -> Iterator[Proxy]:
    """Apache with the recipe as its only site."""
    port = free_port()
    asked = gatewright or bank.node.port
    text = recipe("apache.conf", bank, port).replace("/etc/apache2/gatewright.lua", str(RECIPES / "gatewright.lua"))
    (folder / "site.conf").write_text(text, encoding="utf-8")
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    (folder / "httpd.conf").write_text(_HTTPD.format(folder=folder, user=user), encoding="utf-8")
    told = {
        "GATEWRIGHT_VERIFY": f"http://127.0.0.1:{asked}/-/verify",
        "GATEWRIGHT_HOST": f"127.0.0.1:{bank.node.port}",
        "GATEWRIGHT_API": credentials,
    }
    with running(["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(folder / "httpd.conf")], port, folder, **told):
        yield Proxy(port, "apache")


PROXIES: Final = {"nginx": nginx, "apache": apache}


@pytest.fixture(scope="module", params=list(PROXIES))
def proxy(request: pytest.FixtureRequest, bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Each proxy in turn, in front of the bank."""
    with PROXIES[request.param](bank, tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


def test_a_good_request_reaches_the_api_with_who_calls(bank: Bank, proxy: Proxy) -> None:
    answer = proxy.ask(
        "GET", "/accounts/acme-dev/balance?since=1", bank.token(), **{name.replace("-", "_"): v for name, v in SPOOFED.items()}
    )
    assert answer.status_code == 200
    told = answer.json()["told"]
    assert answer.json()["path"] == "/accounts/acme-dev/balance?since=1"
    assert told["gatewright-client"] == "night-job"
    assert told["gatewright-user"] == "night-job"
    assert told["gatewright-account"] == "acme-dev"
    assert told["gatewright-scope"] == "read:balance"
    assert told["gatewright-account-id"].startswith("ac_")
    assert told["gatewright-authorization"].startswith("az_")


def test_a_public_request_needs_no_token_and_what_a_caller_says_of_itself_does_not_arrive(proxy: Proxy) -> None:
    answer = proxy.ask("GET", "/health", **{name.replace("-", "_"): value for name, value in SPOOFED.items()})
    assert answer.status_code == 200
    told = answer.json()["told"]
    assert "gatewright-user" not in told
    assert "gatewright-account" not in told


def test_a_preflight_passes_and_the_request_behind_it_does_not(proxy: Proxy) -> None:
    more = {"origin": "https://app.example", "access_control_request_method": "GET"}
    assert proxy.ask("OPTIONS", "/accounts/acme-dev/balance", **more).status_code == 200
    assert proxy.ask("GET", "/accounts/acme-dev/balance", origin="https://app.example").status_code == 401


def test_a_refusal_says_why_in_challenge_and_body(bank: Bank, proxy: Proxy) -> None:
    bare = proxy.ask("GET", "/accounts/acme-dev/balance")
    challenge, _, about = bare.headers["www-authenticate"].partition(", resource_metadata=")
    assert (bare.status_code, challenge) == (401, 'Bearer realm="https://bank.acme.test"')
    assert httpx.get(about.strip('"'), trust_env=False).json()["resource"] == "https://bank.acme.test"
    assert bare.json()["cause"] == "token_missing"
    wrong = proxy.ask("GET", "/accounts/acme-dev/balance", "gwa_wrong")
    assert (wrong.status_code, wrong.json()["cause"]) == (401, "invalid_token")
    lacking = proxy.ask("POST", "/accounts/acme-dev/transfers", bank.token(), content="{}")
    assert (lacking.status_code, lacking.json()["cause"]) == (403, "scope_not_allowed_to_client")
    assert 'error="insufficient_scope"' in lacking.headers["www-authenticate"]
    assert 'scope="transfer:funds"' in lacking.headers["www-authenticate"]
    other = proxy.ask("GET", "/accounts/acme-prod/balance", bank.token())
    assert (other.status_code, other.json()["cause"]) == (403, "wrong_account")
    for refused in (bare, wrong, lacking, other):
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["cache-control"] == "no-store"
        assert len(refused.headers.get_list("www-authenticate")) == 1


def test_a_head_request_is_judged_as_a_get(bank: Bank, proxy: Proxy) -> None:
    assert proxy.ask("HEAD", "/accounts/acme-dev/balance", bank.token()).status_code == 200
    refused = proxy.ask("HEAD", "/accounts/acme-dev/balance")
    assert (refused.status_code, refused.content) == (401, b"")


def test_what_the_api_itself_refuses_is_its_own_answer(bank: Bank, proxy: Proxy) -> None:
    answer = proxy.ask("GET", "/rates/x?own401", bank.token())
    assert (answer.status_code, answer.json()["path"]) == (401, "/rates/x?own401")


def test_a_body_is_not_shown_to_gatewright_and_reaches_the_api(bank: Bank, proxy: Proxy) -> None:
    answer = proxy.ask("POST", "/rates/x", bank.token(), content="x" * 200_000)
    assert (answer.status_code, len(answer.json()["sent"])) == (200, 200_000)


@pytest.mark.parametrize(
    "target",
    [
        "/rates/../accounts/acme-dev/transfers",
        "/health/../accounts/acme-dev/balance",
        "/health%2f..%2faccounts/acme-dev/balance",
        "/health/%2e%2e/accounts/acme-dev/balance",
        "//health",
        "/HEALTH",
        "/health;x",
        "/health%00",
        "/health%5c..",
        "/accounts/acme-dev%2Fx/balance",
    ],
)
def test_a_path_that_two_may_read_in_two_ways_does_not_reach_the_api(bank: Bank, proxy: Proxy, target: str) -> None:
    for token in (None, bank.token()):
        answer = proxy.ask("GET", target, token)
        # The proxies refuse some by themselves, before anybody is asked.
        assert answer.status_code in (400, 401, 403, 404), answer.text
        assert b'"told"' not in answer.content


def test_no_header_of_the_caller_is_taken_for_the_request(bank: Bank, proxy: Proxy) -> None:
    for family, path in (("x_original", "uri"), ("x_forwarded", "uri")):
        said = {f"{family}_method": "GET", f"{family}_{path}": "/health", f"{family}_host": "api.acme.test"}
        answer = proxy.ask("GET", "/accounts/acme-dev/balance", **said)
        assert answer.status_code == 401
        assert proxy.ask("GET", "/accounts/acme-dev/balance", bank.token(), **said).status_code == 200
    stolen = proxy.ask("GET", "/accounts/acme-dev/balance", gatewright_api="Basic x")
    assert stolen.status_code == 401
    assert proxy.ask("GET", "/.gatewright").status_code in (401, 403, 404)


@pytest.mark.parametrize("name", list(PROXIES))
def test_without_right_credentials_nobody_gets_through_and_nothing_is_told(bank: Bank, tmp_path: Path, name: str) -> None:
    with PROXIES[name](bank, tmp_path, credentials=b64encode(b"https://bank.acme.test:wrong").decode()) as proxy:
        for target in ("/health", "/accounts/acme-dev/balance"):
            answer = proxy.ask("GET", target, bank.token())
            assert (answer.status_code, answer.content) == (403, b"")
            assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("name", list(PROXIES))
def test_while_gatewright_is_away_nobody_gets_through_and_is_told_to_come_again(bank: Bank, tmp_path: Path, name: str) -> None:
    with PROXIES[name](bank, tmp_path, gatewright=free_port()) as proxy:
        answer = proxy.ask("GET", "/accounts/acme-dev/balance", bank.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["status"] == 503


def test_an_ended_token_is_refused_at_the_next_request(bank: Bank, proxy: Proxy) -> None:
    token = bank.token()
    assert proxy.ask("GET", "/rates/x", token).status_code == 200
    with bank.node.client() as client:
        client.post("/revoke", data={"token": token}, auth=("night-job", SECRETS["NIGHT_JOB_SECRET"]))
    answer = proxy.ask("GET", "/rates/x", token)
    assert (answer.status_code, answer.json()["cause"]) == (401, "token_revoked")


def test_nginx_keeps_what_it_may_for_this_very_request_alone(tmp_path: Path) -> None:
    with open_bank(tmp_path, "60s") as bank, nginx(bank, tmp_path) as proxy:
        token, other = bank.token(), bank.token()
        assert proxy.ask("GET", "/rates/x", token).status_code == 200
        assert proxy.ask("GET", "/rates/x").status_code == 401, "without the token it is another request"
        assert proxy.ask("POST", "/accounts/acme-dev/transfers", token).status_code == 403
        with bank.node.client() as client:
            for ended in (token, other):
                client.post("/revoke", data={"token": ended}, auth=("night-job", SECRETS["NIGHT_JOB_SECRET"]))
        assert proxy.ask("GET", "/rates/x", token).json()["told"]["gatewright-client"] == "night-job", "kept, as the setting says"
        assert proxy.ask("GET", "/rates/y", token).status_code == 401, "of another path nothing is kept"
        assert proxy.ask("HEAD", "/rates/x", token).status_code == 401, "nor of another method"
        assert proxy.ask("GET", "/rates/x", other).status_code == 401, "nor of another token"
