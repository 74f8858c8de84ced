import json
import logging
from pathlib import Path

import pytest

from gatewright.base.digest import Kind, b64
from gatewright.base.log import Bridge, Event, Level, Log, Style, incident
from gatewright.base.mask import MASK, mask, masked, names_secret
from gatewright.base.moment import IdMaker, Moment, SystemDice
from gatewright.base.secret import Secret

NOW_MS = 1_795_240_800_123  # 2026-11-21T06:00:00.123Z


class StillClock:
    def __init__(self) -> None:
        self._dice = SystemDice()
        self._ids = IdMaker(self._dice)

    def moment(self) -> Moment:
        return Moment(NOW_MS, self._dice, self._ids)


def a_log(lines: list[str], style: Style = "json", level: Level = Level.DEBUG) -> Log:
    return Log(StillClock(), style=style, level=level, write=lines.append)


JWT = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJ1c18xIn0.c2lnbmF0dXJlLWJ5dGVzLXBhcnQ"
SECRETS = [
    *(kind + b64(bytes(range(40))) for kind in Kind),
    "gwz_" + "abcDEF012345",
    JWT,
    JWT.rsplit(".", 1)[0] + ".",
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
    "-----BEGIN " + "PRIVATE KEY-----",
]


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_passes_whatever_it_is_wrapped_in(secret: str, style: Style) -> None:
    lines: list[str] = []
    log = a_log(lines, style).about(request=f"/x?code={secret}")
    log.tell(Event.REQUEST_REFUSED, why=f"bad: {secret}, refused", tried=[secret, {"deep": secret}], path=f"/cb?x={secret}#y")
    log.crashed(Event.REQUEST_FAILED, ValueError(f"cannot read '{secret}'"), incident="AAAA-BBBB")
    Bridge(log).emit(logging.LogRecord("lib", logging.WARNING, __file__, 1, "said %s", (secret,), None))
    text = "".join(lines)
    assert len(lines) == 3
    assert secret[4:] not in text
    assert MASK in text


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_field_named_like_a_secret_is_hidden_whatever_it_holds(style: Style) -> None:
    lines: list[str] = []
    a_log(lines, style).tell(Event.REQUEST, password="hunter2", client_secret="short", code="abc", Authorization_Header="Basic eDp5", n=3)
    assert "hunter2" not in lines[0]
    assert "short" not in lines[0]
    assert "abc" not in lines[0]
    assert "eDp5" not in lines[0]


def test_a_secret_object_is_hidden_anywhere() -> None:
    lines: list[str] = []
    a_log(lines).tell(Event.REQUEST, value=Secret("hunter2"), several=[Secret("hunter2")], raw=b"hunter2")
    assert "hunter2" not in lines[0]


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef123456",
        "authorization: Basic dXNlcjpwYXNz",
        "client_secret=topsecret&x=1",
        '"password": "hunter2!"',
        "DPoP abcdef.ghi",
    ],
)
def test_credentials_in_running_text_are_hidden(text: str) -> None:
    hidden = mask(text)
    assert MASK in hidden
    for word in ("abcdef", "dXNlcjpwYXNz", "topsecret", "hunter2"):
        assert word not in hidden


@pytest.mark.parametrize(
    "text",
    [
        "us_01h2v5c8n4k7e",
        "client budget-buddy was refused",
        "GET /authorize",
        "https://id.acme.test",
        "invalid_grant",
        "read:balance",
        "gateway_timeout",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("client_secret", True),
        ("Refresh-Token", True),
        ("code_verifier", True),
        ("secret_id", False),
        ("token_lifetime", False),
        ("scopes", False),
    ],
)
def test_the_last_word_of_a_name_says_what_it_holds(name: str, secret: bool) -> None:
    assert names_secret(name) is secret


def test_a_long_value_is_cut() -> None:
    assert len(str(masked("x" * 100_000))) < 10_000


def test_a_json_line_is_one_object_with_time_level_and_event() -> None:
    lines: list[str] = []
    a_log(lines).about(request="R1").tell(Event.SERVER_STARTED, port=8600)
    assert lines[0].endswith("}\n")
    assert json.loads(lines[0]) == {
        "at": "2026-11-21T06:00:00.123Z",
        "level": "info",
        "event": "server.started",
        "request": "R1",
        "port": 8600,
    }


def test_a_text_line_reads_from_left_to_right() -> None:
    lines: list[str] = []
    a_log(lines, "text").tell(Event.SERVER_STARTED, url="http://127.0.0.1:8600", note="two words")
    assert lines == ['2026-11-21T06:00:00.123Z INFO    server.started url=http://127.0.0.1:8600 note="two words"\n']


@pytest.mark.parametrize("style", ["text", "json"])
def test_nobody_forges_a_line(style: Style) -> None:
    lines: list[str] = []
    a_log(lines, style).tell(Event.REQUEST_REFUSED, path="/\r\n2026-11-21T06:00:00.123Z INFO server.stopped\x1b[2J\u2028x")
    assert lines[0].count("\n") == 1
    assert "\x1b" not in lines[0]
    assert "\r" not in lines[0]


def test_below_its_level_a_log_is_silent() -> None:
    lines: list[str] = []
    log = a_log(lines, level=Level.WARNING)
    log.tell(Event.SERVER_STARTED)
    assert not log.tells(Event.SERVER_STARTED)
    log.tell(Event.STORE_BUSY)
    assert [json.loads(line)["event"] for line in lines] == ["store.busy"]


def test_a_crash_comes_with_its_traceback_indented_below_the_line() -> None:
    lines: list[str] = []
    a_log(lines, "text").crashed(Event.REQUEST_FAILED, RuntimeError("boom"), incident="AAAA-BBBB")
    first, *rest = lines[0].splitlines()
    assert "request.failed incident=AAAA-BBBB" in first
    assert rest[-1].strip() == "RuntimeError: boom"
    assert all(line.startswith("    ") for line in rest)


def test_a_library_that_logs_nonsense_hurts_nobody() -> None:
    lines: list[str] = []
    Bridge(a_log(lines)).emit(logging.LogRecord("lib", logging.ERROR, __file__, 1, "%d", ("not a number",), None))
    assert json.loads(lines[0])["level"] == "error"


def test_an_incident_can_be_read_out() -> None:
    moment = StillClock().moment()
    names = {incident(moment) for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == 9 and name[4] == "-" for name in names)


def test_every_event_has_a_name_and_a_meaning() -> None:
    assert len({event.label for event in Event}) == len(Event)
    assert all(event.meaning.endswith(".") for event in Event)


def test_nobody_else_writes_logs() -> None:
    source = Path(__file__).resolve().parents[2] / "src" / "gatewright"
    guilty = [
        str(file)
        for file in source.rglob("*.py")
        if "logging.getLogger(" in file.read_text() and file.relative_to(source).parts[0] != "cli"
    ]
    assert guilty == []
