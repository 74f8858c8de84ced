"""What the guides say of the terminal is so."""

import re
import shlex
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.cli.conftest import Shell
from tests.platform.played import SMALL

GUIDES: Final = Path(__file__).resolve().parents[2] / "docs" / "guides"
JSON: Final = (GUIDES / "automate.md").read_text(encoding="utf-8").partition("### What --json prints")[2].partition("\n## ")[0]
# Where a command of the page names no place or client, the one that is there.
_OF: Final = {
    "members list": ["one"],
    "events list": ["--client", "web"],
    "clients secret --list": ["web"],
    "clients who-uses": ["password_grant"],
}


def commands(row: str) -> list[str]:
    """The commands that the row of this beginning names."""
    (line,) = [line for line in JSON.splitlines() if line.startswith(f"| {row}")]
    return re.findall(r"`([^`]+)`", line.split(" | ")[0])


def printed(shell: Shell, command: str) -> Any:  # noqa: ANN401 - whatever the command prints
    return shell.json(*shlex.split(command), *_OF.get(command, []))


@pytest.mark.parametrize("command", commands("a list that is also one of the management API"))
def test_lists_of_the_management_api_are_pages(shell: Shell, command: str) -> None:
    assert set(printed(shell.settled(), command)) == {"items", "next"}


@pytest.mark.parametrize("command", commands("a list made for the terminal"))
def test_lists_of_the_terminal_are_arrays(shell: Shell, command: str) -> None:
    assert isinstance(printed(shell.settled(), command), list)


def test_records_and_acts_are_objects(shell: Shell) -> None:
    shell.settled()
    assert shell.json("clients", "show", "web")["client_id"] == "web"
    assert shell.json("clients", "disable", "web")["changed"]
    assert not shell.json("clients", "disable", "web")["changed"]


def test_failures_are_documents_but_for_a_command_line_that_is_not_understood(shell: Shell) -> None:
    shell.settled()
    assert shell.gatewright("clients", "show", "nobody", "--json") == 1
    assert set(msgspec.json.decode(shell.out)) == {"error"}
    assert shell.gatewright("clients", "change", "web", "--client-name", "", "--json") == 1
    (fault,) = msgspec.json.decode(shell.out)["faults"]
    assert set(fault) == {"path", "line", "rule", "cure"}
    assert shell.gatewright("clients", "show", "--json") == 2
    assert shell.out == ""
    assert shell.err
    shell.environ["GATEWRIGHT_DATA"] = "elsewhere"
    assert shell.gatewright("clients", "list", "--json") == 3
    assert set(msgspec.json.decode(shell.out)) == {"error"}


def test_what_users_allowed_outlives_a_client_that_is_disabled_until_its_grants_are_ended(shell: Shell) -> None:
    grants = shell.settled(SMALL).given(2)
    shell.must("clients", "disable", "web")
    shell.must("clients", "enable", "web")
    assert {row["id"] for row in shell.json("grants", "list", "--client", "web")} == set(grants)
    shell.must("grants", "end", "--client", "web", "--yes")
    assert shell.json("grants", "list", "--client", "web") == []
