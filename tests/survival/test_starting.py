"""Starting: on data that is there, and where something is wrong, which is said in a sentence."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.running import Deployment, free_port
from tests.support.visitor import Visitor
from tests.support.waiting import until
from tests.survival.load import ASKING, exchange_of, refresh_of, request
from tests.survival.platform import DESK, PLATFORM, SECRETS


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said as it failed: one short thing, for a person."""
    assert done.returncode not in (0, None), done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    said = done.stderr.strip()
    assert said.splitlines()[-1].startswith("Error: "), said
    assert len(said.splitlines()) <= 3, said
    return said


def test_a_second_start_keeps_the_data(deployment: Deployment) -> None:
    with deployment.serve() as node, node.client() as http:
        visitor = Visitor(http, deployment.issuer)
        arrived = visitor.authorize(request("asking-app"))
        tokens = http.post("/token", data=exchange_of(arrived.params["code"]), auth=ASKING).json()
        cookies, keys = http.cookies, http.get("/jwks").json()
    deployment.apply(PLATFORM)
    with deployment.serve() as node, node.client() as http:
        assert http.get("/jwks").json() == keys
        assert http.post("/introspect", data={"token": tokens["access_token"]}, auth=DESK).json()["active"]
        assert http.post("/token", data=refresh_of(tokens["refresh_token"]), auth=ASKING).status_code == httpx.codes.OK
        http.cookies = cookies
        visitor = Visitor(http, deployment.issuer)
        assert "code" in visitor.authorize(request("asking-app")).params
        assert visitor.seen == [], "neither a sign-in nor a consent is asked for again"


def test_a_second_server_on_the_port_is_refused_and_the_first_goes_on(on_sqlite: Deployment) -> None:
    with on_sqlite.serve() as node:
        said = sentence(on_sqlite.run("serve"))
        assert re.search(rf"cannot listen on 127\.0\.0\.1:{node.port}: address already in use", said)
        assert "another port" in said
        assert "`gatewright domains add --origin http://127.0.0.1:PORT`" in said
        assert node.answers()


def test_a_server_that_nobody_would_reach_says_so_until_its_address_is_a_domain(deployment: Deployment) -> None:
    with deployment.serve(port=deployment.port) as node:
        assert "server.unreached" not in node.log
    with deployment.serve() as node:
        (line,) = [line for line in node.log.splitlines() if "server.unreached" in line]
        assert "WARNING" in line
        command = f"gatewright domains add --origin {node.url}"
        assert command in line
        refused = httpx.get(node.url, trust_env=False)
        told = f"no tenant is served under this host name; this server is {deployment.issuer} here\n"
        assert (refused.status_code, refused.text) == (421, told)
        deployment.gatewright(*command.split()[1:])
        until(lambda: httpx.get(node.url, trust_env=False).status_code == httpx.codes.OK, "the new domain to answer")
    with deployment.serve() as node:
        assert node.log.count("server.unreached") == 1, "the first start's line: both write into one file"


@pytest.mark.parametrize("command", ["serve", "apply"])
def test_a_store_without_its_key_is_not_opened(on_sqlite: Deployment, command: str) -> None:
    key = on_sqlite.folder / "root.key"
    kept = key.rename(key.with_suffix(".elsewhere"))
    file = on_sqlite.folder / "platform.toml"
    said = sentence(on_sqlite.run(command, *([str(file)] if command == "apply" else [])))
    assert str(key) in said
    kept.rename(key)
    with on_sqlite.serve():
        pass


def test_a_store_is_not_opened_with_the_key_of_another(deployment: Deployment, tmp_path: Path) -> None:
    other = Deployment(tmp_path / "other").prepare()
    (other.folder / "root.key").replace(deployment.folder / "root.key")
    assert "key" in sentence(deployment.run("serve"))


def test_a_key_that_others_may_read_is_refused(on_sqlite: Deployment) -> None:
    (on_sqlite.folder / "root.key").chmod(0o644)
    assert "root.key" in sentence(on_sqlite.run("serve"))


@pytest.mark.parametrize("command", [["keys", "init"], ["apply", "platform.toml"], ["serve"]], ids=["keys", "apply", "serve"])
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, command: list[str]) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    platform = tmp_path / "platform.toml"
    deployment = Deployment(in_the_way / "data", secrets=SECRETS, settings={"GATEWRIGHT_KEY": ""})
    platform.write_text(PLATFORM.replace("{issuer}", deployment.issuer))
    words = [str(platform) if word == "platform.toml" else word for word in command]
    assert str(in_the_way) in sentence(deployment.run(*words))


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed_to_us_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert str(closed) in sentence(Deployment(closed / "data", secrets=SECRETS).run("keys", "init"))


def test_a_store_that_is_no_database_is_named(on_sqlite: Deployment) -> None:
    store = on_sqlite.folder / "gatewright.sqlite3"
    for file in on_sqlite.folder.glob("gatewright.sqlite3*"):
        file.unlink()
    store.write_text("this is no database at all, whatever its name says")
    assert str(store) in sentence(on_sqlite.run("serve"))


def test_a_postgres_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"postgresql://gatewright@/gatewright?host={tmp_path}"
    deployment = Deployment(tmp_path / "data", store_url=url, secrets=SECRETS)
    deployment.folder.mkdir()
    deployment.gatewright("keys", "init")
    said = sentence(deployment.run("serve"))
    assert "PostgreSQL" in said or "database" in said


def test_a_missing_password_of_the_database_is_named(on_sqlite: Deployment) -> None:
    said = sentence(on_sqlite.run("serve", GATEWRIGHT_STORE_PASSWORD_FILE=str(on_sqlite.folder / "no-such-file")))
    assert "no-such-file" in said


def test_a_setting_that_is_misspelt_is_named_with_the_nearest_one(on_sqlite: Deployment) -> None:
    done = on_sqlite.run("serve", GATEWRIGHT_LISTEN_PROT="8600")
    assert done.returncode != 0
    assert "GATEWRIGHT_LISTEN_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_front_asks_at_an_address_of_its_own(deployment: Deployment) -> None:
    port = free_port()
    with deployment.serve(GATEWRIGHT_LISTEN_ASK=f"127.0.0.1:{port}") as node, node.client() as http:
        front = httpx.Client(base_url=f"http://127.0.0.1:{port}")
        assert front.get("/-/tls/ask", params={"domain": "127.0.0.1"}).status_code == httpx.codes.NOT_FOUND, (
            "plain http needs no certificate"
        )
        assert front.get("/jwks").status_code == httpx.codes.NOT_FOUND
        assert http.get("/jwks").status_code == httpx.codes.OK
        assert http.get("/-/tls/ask", params={"domain": "127.0.0.1"}).status_code == httpx.codes.NOT_FOUND
        front.close()
        assert f"127.0.0.1:{port}" in node.log
