"""When the supervisor goes on trying, and when it gives up."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from gatewright.cli.supervisor import GIVE_UP_AFTER, PAUSES_MS
from tests.support.running import ROOT


def played(story: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.supervised", story]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return msgspec.json.decode(done.stdout, type=dict[str, Any])


def test_a_worker_that_cannot_start_is_tried_again_while_another_serves() -> None:
    end = played("one_fails")
    longest = [PAUSES_MS[-1]] * (12 - len(PAUSES_MS))
    assert end["deaths"] == [[1, 0], *([1, pause] for pause in (*PAUSES_MS, *longest))], "each is told, with the pause after it"
    assert end["status"] == 0
    assert end["told"] == [1, 1], "both served until the server was stopped"


@pytest.mark.parametrize("story", ["none_comes_up", "none_comes_back"])
def test_a_server_of_which_no_worker_comes_up_gives_up(story: str) -> None:
    end = played(story)
    quick = [number for number, pause in end["deaths"] if pause]
    assert min(quick.count(0), quick.count(1)) == GIVE_UP_AFTER
    assert max(quick.count(0), quick.count(1)) <= GIVE_UP_AFTER + 1
    assert end["status"] == 1
