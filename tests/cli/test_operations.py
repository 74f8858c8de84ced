"""Commands that are made from operations: what they take, what they print, what they ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gatewright.management.table import OPERATIONS
from tests.cli.conftest import Shell

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS if operation.name != "audit.list"])
def test_each_made_command_explains_itself(name: str, shell: Shell) -> None:
    words = name.replace("_", "-").split(".")
    assert f"Usage: gatewright {' '.join(words)}" in shell.must(*words, "--help")


def test_a_record_is_made_shown_changed_and_taken_away(shell: Shell) -> None:
    shell.settled()
    made = shell.json("roles", "create", "--name", "Writer", "--scopes", "read:a", "--scopes", "read:b")
    assert (made["name"], made["scopes"]) == ("Writer", ["read:a", "read:b"])
    assert "scopes: read:a, read:b" in shell.must("roles", "show", "Writer")
    assert shell.json("roles", "change", "Writer", "--scopes", "")["scopes"] == []
    assert "Writer" in shell.must("roles", "list")
    assert shell.gatewright("roles", "retire", "Writer") == 1, "it asks first"
    assert shell.json("roles", "retire", "Writer", "--yes")["status"] == "retired"


def test_the_routes_of_an_api_are_changed_as_a_document(shell: Shell) -> None:
    shell.settled()
    table = '[{"path": "/health", "public": true}, {"path": "/a", "scopes": ["read:a"]}]'
    changed = shell.json("apis", "change", "https://api.acme.test", "--routes", table)
    assert [(one["path"], one["scopes"]) for one in changed["routes"]] == [("/health", []), ("/a", ["read:a"])]
    assert "path: /health" in shell.must("apis", "show", "https://api.acme.test")
    said = shell.must("apis", "change", "https://api.acme.test", "--routes", "[]", "--preview")
    assert said.startswith("routes: [")
    assert shell.json("apis", "change", "https://api.acme.test", "--unset", "routes")["routes"] == []


def test_a_preview_tells_and_changes_nothing(shell: Shell) -> None:
    shell.settled()
    said = shell.must("roles", "change", "Reader", "--scopes", "read:a", "--preview")
    assert "scopes: read:a, read:b → read:a\nhits 1 members who lose read:b" in said
    assert shell.json("roles", "show", "Reader")["scopes"] == ["read:a", "read:b"]
    assert shell.json("roles", "change", "Reader", "--scopes", "read:a", "--preview")["operation"] == "roles.change"


def test_all_faults_are_sentences_for_people_and_a_document_for_machines(shell: Shell) -> None:
    shell.settled()
    words = ("clients", "create", "--client-id", "a", "--client-name", "A", "--scopes", "read:c", "--pkce", "of")
    said = shell.refused(*words)
    assert "pkce: one of" in said
    assert shell.gatewright(*words, "--json") == 1
    assert msgspec.json.decode(shell.out)["faults"][0]["path"] == "pkce"
    assert "there is no role" in shell.refused("roles", "show", "Reeder")


def test_a_document_comes_from_a_file_and_options_change_it(shell: Shell) -> None:
    shell.settled()
    file = shell.write('{"client_name": "From a file", "refresh": {"idle": "3d"}}', "change.json")
    changed = shell.json("clients", "change", "web", "--body", file, "--refresh", '{"idle": "4d"}')
    assert (changed["client_name"], changed["refresh"]["idle"]) == ("From a file", "4d")
    assert shell.json("clients", "change", "web", "--unset", "refresh")["refresh"]["idle"] is None
    assert "no JSON object" in shell.refused("clients", "change", "web", "--body", shell.write("[]", "list.json"))
    assert shell.gatewright("clients", "change", "web", "--refresh", "{") == 2


def test_a_state_that_is_gone_is_not_changed(shell: Shell) -> None:
    shell.settled()
    assert "changed since" in shell.refused("clients", "change", "web", "--client-name", "X", "--if-match", '"nothing"')


def test_a_password_is_asked_for_and_never_an_argument(shell: Shell) -> None:
    shell.settled()
    shell.must("users", "set-password", "u@acme.test", typed="a new one\na new one\n")
    assert "a new one" not in shell.out
    assert shell.gatewright("users", "set-password", "u@acme.test", "--password", "x") == 2
    made = shell.json("users", "create", "--email", "v@acme.test", "--memberships", '[{"account": "one", "roles": ["Reader"]}]')
    assert made["has_password"] is False


def test_a_password_that_anybody_would_try_is_refused_where_it_is_set(shell: Shell) -> None:
    shell.settled()
    for password, why in (
        ("x", "at least 8 characters are needed"),
        ("e\u0301" * 7, "at least 8 characters"),
        ("u@acme.test", "e-mail address"),
    ):
        typed = f"{password}\n{password}\n"
        assert shell.gatewright("users", "set-password", "u@acme.test", typed=typed) == 1
        assert why in shell.err
        assert shell.json("users", "show", "u@acme.test")["has_password"] is False
    for password in ("x", "organizer@acme.test", "organizer"):
        assert (
            shell.gatewright("users", "create", "--email", "organizer@acme.test", "--ask-password", typed=f"{password}\n{password}\n") == 1
        )
    assert "there is no user" in shell.refused("users", "show", "organizer@acme.test")
    assert "At least 8 characters" in " ".join(shell.must("users", "create", "--help").split())


def test_a_list_goes_on_where_it_ended(shell: Shell) -> None:
    shell.settled()
    shell.must("accounts", "create", "--slug", "two", "--name", "Two")
    page = shell.json("accounts", "list", "--count", "1")
    assert page["next"] == "one"
    shell.must("accounts", "list", "--count", "1")
    assert shell.err == "more: --after one\n"
    assert [one["slug"] for one in shell.json("accounts", "list", "--after", "one")["items"]] == ["two"]


def test_the_log_is_exported_as_lines(shell: Shell) -> None:
    shell.settled()
    shell.must("clients", "disable", "web")
    lines = [msgspec.json.decode(line) for line in shell.must("audit", "export").splitlines()]
    assert lines[0]["act"] == "client.disabled"
    assert len(lines) == len(shell.json("audit"))
    assert [one["act"] for one in map(msgspec.json.decode, shell.must("audit", "export", "--act", "role.made").splitlines())] == [
        "role.made"
    ]


def test_a_decision_is_explained_in_words(shell: Shell) -> None:
    shell.settled()
    said = shell.must("explain", "--client", "web", "--user", "u@acme.test", "--account", "one", "--scope", "read:a read:x")
    assert "verdict: not_consented" in said
    assert "reason: no open API of this tenant defines it" in said
    assert "who: the user, when the app asks for it" in said


def test_the_shell_completes_groups_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        environ = {**os.environ, "PYTHONPATH": "src:guard/src", "_GATEWRIGHT_COMPLETE": "bash_complete"}
        environ |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        code = "from gatewright.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
        return [line.partition(",")[2] for line in done.stdout.split()]

    assert completed("gatewright cli") == ["clients"]
    assert completed("gatewright clients se") == ["secret", "secrets"]
    assert completed("gatewright clients secrets cr") == ["create"]
    assert "--end-others" in completed("gatewright clients secrets create --end")[0]
