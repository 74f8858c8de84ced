"""`gatewright clients secret`: made, replaced, ended, reported leaked, listed, and what is said of it."""

import re

import pytest

from tests.cli.conftest import Shell
from tests.platform.played import SMALL

TEXT = re.compile(r"gws_[A-Za-z0-9_-]{43}")


def test_a_secret_is_printed_once_with_the_warning(shell: Shell) -> None:
    said = shell.settled().must("clients", "secret", "web", "--label", "server in Oslo")
    assert len(TEXT.findall(said)) == 1
    assert "keep it in a safe place: it is shown this once" in said
    listed = shell.json("clients", "secret", "web", "--list")
    assert [one["label"] for one in listed] == ["platform file", "server in Oslo"]
    assert all(one["made_by"].startswith("os:") for one in listed)
    assert all(one["last_used_at"] is None for one in listed)
    assert not TEXT.search(shell.must("clients", "secret", "web", "--list"))


def test_a_third_is_refused_and_the_two_are_named(shell: Shell) -> None:
    shell.settled().must("clients", "secret", "web", "--label", "second")
    said = shell.refused("clients", "secret", "web")
    assert "web has two live secrets already" in said
    assert '"platform file"' in said
    assert '"second"' in said


def test_a_secret_is_replaced_with_an_overlap_or_at_once(shell: Shell) -> None:
    shell.settled().must("clients", "secret", "web", "--label", "second", "--overlap", "7d", "--expires", "365d")
    listed = shell.json("clients", "secret", "web", "--list")
    assert [bool(one["expires_at"]) for one in listed] == [True, True]
    made = shell.json("clients", "secret", "web", "--end-others", "--label", "only")
    assert TEXT.fullmatch(made["client_secret"])
    assert made["client_secret_expires_at"] == 0
    assert [one["label"] for one in shell.json("clients", "secret", "web", "--list")] == ["only"]


def test_a_secret_is_written_to_a_file_that_only_its_owner_reads_and_over_no_other(shell: Shell) -> None:
    said = shell.settled().must("clients", "secret", "web", "--file", "web.secret")
    file = shell.folder / "web.secret"
    assert not TEXT.search(said)
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"client_id=web\nclient_secret=gws_[A-Za-z0-9_-]{43}\n", file.read_text())
    before = file.read_text()
    assert shell.gatewright("clients", "secret", "web", "--end-others", "--file", "web.secret") == 3
    assert "web.secret" in shell.err
    assert file.read_text() == before
    assert len(shell.json("clients", "secret", "web", "--list")) == 2, "and nothing was ended"


def test_a_leaked_secret_ends_and_the_access_with_it(shell: Shell) -> None:
    (one,) = shell.settled().json("clients", "secret", "web", "--list")
    said = shell.must("clients", "secret", "web", "--leaked", one["id"])
    assert "all that the client was given has ended" in said
    assert "has no live secret" in shell.must("clients", "secret", "web", "--list")
    assert [entry["act"] for entry in shell.json("audit")][:2] == ["client.access_ended", "secret.leaked"]
    shell.must("clients", "secret", "web", "--leaked", one["id"], "--keep-access")
    assert shell.json("audit")[0]["act"] == "secret.leaked"
    assert "no secret cs_0000000000001" in shell.refused("clients", "secret", "web", "--leaked", "cs_0000000000001")


def test_a_readable_secret_is_made_with_the_root_key_and_said_to_be_one(shell: Shell) -> None:
    said = shell.settled(SMALL + "secret_readable = true\n").must("clients", "secret", "web")
    assert "can be read again at its secret page, which is a weakness" in said
    assert "secret_readable" in shell.must("clients", "list")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--list", "--end", "cs_1"], "each stand alone"),
        (["--leaked", "cs_1", "--overlap", "7d"], "each stand alone"),
        (["--overlap", "7d", "--end-others"], "say one of them"),
        (["--keep-access"], "--keep-access belongs to --leaked"),
        (["--expires", "soon"], '"soon" is no duration'),
    ],
)
def test_what_does_not_go_together_is_told(shell: Shell, words: list[str], sentence: str) -> None:
    assert shell.settled().gatewright("clients", "secret", "web", *words) == 2
    assert sentence in shell.err
