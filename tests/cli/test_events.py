"""`gatewright events`: what a client is told, as its developer sees it."""

from __future__ import annotations

import pytest

from gatewright.base import ids
from tests.cli.conftest import Shell
from tests.platform.played import SMALL

LISTENING = SMALL + 'event_url = "https://web.example/events"\n'
CLIENT = ("--client", "web")


@pytest.mark.parametrize("name", ["list", "show", "replay", "test", "endpoint", "secret"])
def test_each_command_explains_itself(name: str, shell: Shell) -> None:
    assert f"Usage: gatewright events {name}" in shell.must("events", name, "--help")


def test_a_client_without_an_address_is_told_so(shell: Shell) -> None:
    shell.settled()
    assert "web has no event_url" in shell.refused("events", "secret", *CLIENT)
    assert "nothing is sent to web" in shell.refused("events", "test", *CLIENT)
    assert shell.must("events", "list", *CLIENT) == "there are no such events\n"
    assert "there is no client wbe" in shell.refused("events", "list", "--client", "wbe")


def test_the_secret_is_made_when_it_is_first_asked_for_and_can_be_read_again(shell: Shell) -> None:
    shell.settled(LISTENING)
    (first,) = shell.json("events", "secret", *CLIENT)
    assert first["secret"].startswith("whsec_")
    assert shell.json("events", "secret", *CLIENT) == [first]
    audited = shell.must("audit")
    assert audited.count("event_secret.read") == 2
    assert first["secret"] not in audited


def test_a_secret_is_replaced_with_a_day_in_between_or_at_once(shell: Shell) -> None:
    shell.settled(LISTENING)
    (first,) = shell.json("events", "secret", *CLIENT)
    new, old = shell.json("events", "secret", *CLIENT, "--rotate")
    assert old["secret"] == first["secret"] != new["secret"]
    assert (new["expires_at"], old["expires_at"] is None) == (None, False)
    (only,) = shell.json("events", "secret", *CLIENT, "--rotate", "--now")
    assert only["secret"] not in (new["secret"], old["secret"])
    assert shell.gatewright("events", "secret", *CLIENT, "--now") == 2


def test_an_event_is_listed_shown_and_replayed(shell: Shell) -> None:
    shell.settled(LISTENING)
    shell.must("events", "test", *CLIENT)
    (event,) = shell.json("events", "list", *CLIENT, "--type", "test")
    assert (event["type"], event["state"], event["tries"], event["outcome"]) == ("test", "waiting", 0, None)
    shown = shell.json("events", "show", event["id"], *CLIENT)
    assert (shown["data"], shown["attempts"]) == ({"client_id": "web"}, [])
    assert "it was not tried yet" in shell.must("events", "show", event["id"], *CLIENT)
    assert shell.must("events", "replay", event["id"], *CLIENT) == "1 event will be delivered again\n"
    assert shell.json("events", "replay", "--given-up", *CLIENT) == {"replayed": 0}
    assert shell.json("events", "list", *CLIENT, "--state", "given_up") == []
    assert [one["type"] for one in shell.json("events", "list", *CLIENT, "--before", event["id"])] == ["secret.added"]


def test_an_event_that_is_not_there_is_refused(shell: Shell) -> None:
    shell.settled(LISTENING)
    unknown = ids.show(ids.EVENT, 5)
    assert f"web has no event {unknown}" in shell.refused("events", "show", unknown, *CLIENT)
    assert f"web has no event {unknown}" in shell.refused("events", "replay", unknown, *CLIENT)
    assert "is no event's id" in shell.refused("events", "show", "gr_1", *CLIENT)
    assert shell.gatewright("events", "replay", *CLIENT) == 2
    assert shell.gatewright("events", "list", *CLIENT, "--type", "no.such") == 2


def test_the_address_is_shown_with_its_state(shell: Shell) -> None:
    shell.settled(LISTENING)
    (row,) = shell.json("events", "endpoint", *CLIENT)
    assert row == {"event_url": "https://web.example/events", "state": "open", "failures": 0, "quiet_until": None}
    shell.must("clients", "disable", "web")
    assert shell.json("events", "endpoint", *CLIENT)[0]["state"] == "client disabled"
    shell.must("clients", "enable", "web")
    assert shell.json("events", "endpoint", *CLIENT, "--enable")[0]["state"] == "open"
    shell.must("apply", shell.write(SMALL + 'event_url = ""\n'))
    assert shell.json("events", "endpoint", *CLIENT)[0]["state"] == "removed"


def test_a_file_can_name_change_and_take_away_the_address(shell: Shell) -> None:
    shell.settled(LISTENING)
    moved = LISTENING.replace("/events", "/other")
    assert (
        "event_url: https://web.example/events → https://web.example/other" in shell.must("plan", shell.write(moved)).replace("->", "→")
        or "event_url" in shell.out
    )
    shell.must("apply", shell.write(moved))
    assert shell.json("events", "endpoint", *CLIENT)[0]["event_url"] == "https://web.example/other"
    assert "event_url: an https address is expected" in shell.refused("plan", shell.write(SMALL + 'event_url = "http://web.example/x"\n'))


def test_what_an_admin_does_at_the_terminal_is_told(shell: Shell) -> None:
    shell.settled(LISTENING)
    shell.must("clients", "secret", "web")
    assert [event["type"] for event in shell.json("events", "list", *CLIENT)].count("secret.added") >= 1
