"""What a guard reports of the use of scopes: everything that was used, nothing else, and never in the way of a request."""

import asyncio
import logging
import sys
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import structs

from gatewright_guard import report, usage
from gatewright_guard.decide import Requirement, decided_by, needs
from gatewright_guard.introspect import Credentials
from gatewright_guard.report import MOST, Report
from gatewright_guard.usage import OLDEST, Usage
from gatewright_guard.verify import Claims, read_claims
from tests.guard.makers import AUDIENCE, ISSUER, NOW, some_claims
from tests.guard.server import CREDENTIALS, AClock, AServer, unreachable

URL = f"{ISSUER}/-/usage"
DAY = 86_400
BALANCE = needs("read:balance")
TODAY, TOMORROW = "2027-01-15", "2027-01-16"


def caller(authorization: str | None = "az_1", scope: str = "read:balance transfer:funds", **changes: object) -> Claims:
    return read_claims(some_claims(gw_az=authorization, scope=scope, **changes), issuer=ISSUER, audience=AUDIENCE, now=NOW)


@dataclass
class Desk:
    """One API that reports to a server."""

    server: AServer = field(default_factory=AServer)
    clock: AClock = field(default_factory=AClock)

    def __post_init__(self) -> None:
        self.wants(True)

    def wants(self, reporting: bool) -> None:
        self.server.bodies["/-/usage"] = msgspec.json.encode({"reporting": reporting})

    def usage(self, http: httpx.AsyncClient | None = None, **settings: Any) -> Usage:  # noqa: ANN401 - the collector's own
        return Usage(http or self.server.client(), self.clock, Credentials(*CREDENTIALS), URL, **settings)

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The reports that came, decoded as the server does."""
        return [
            msgspec.to_builtins(msgspec.json.decode(form["report"], type=Report))
            for path, _, form in self.server.forms
            if path == "/-/usage"
        ]

    @property
    def told(self) -> dict[str, set[str]]:
        """What all of them say together."""
        found: dict[str, set[str]] = {}
        for one in self.reports:
            for authorization, scopes in one["uses"].items():
                found.setdefault(authorization, set()).update(scopes)
        return found


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("requirement", "scope", "decided"),
    [
        (needs("a", "b"), "a b c", ("a", "b")),
        (needs(any_of=["a", "b"]), "b c", ("b",)),
        (needs(any_of=["a", "b"]), "a b", ("a",)),
        (needs("c", any_of=["a", "b"]), "b c", ("c", "b")),
        (needs("a", any_of=["a", "b"]), "a b", ("a",)),
        (needs(), "a", ()),
    ],
)
def test_what_decided_is_what_was_needed_and_of_alternatives_the_one_that_the_token_has(
    requirement: Requirement, scope: str, decided: tuple[str, ...]
) -> None:
    assert decided_by(caller(scope=scope), requirement) == decided


def test_in_an_account_a_tenant_wide_token_was_let_in_by_what_reaches_there() -> None:
    claims = caller(scope="a b", gw_reach="b", account=None, account_id=None)
    assert decided_by(claims, needs(any_of=["a", "b"])) == ("a",)
    assert decided_by(claims, needs(any_of=["a", "b"]), "acme-dev") == ("b",)


async def test_of_what_is_implied_the_scope_that_the_token_holds_is_told(desk: Desk) -> None:
    told = desk.usage(implies={"admin": frozenset({"write", "read"}), "write": frozenset({"read"})})

    def calling(scope: str, authorization: str = "az_1") -> Claims:
        # As the guard hands it over: with all that is implied among the scopes.
        return structs.replace(caller(authorization, scope), scopes=frozenset({"admin", "write", "read"}))

    told.seen(calling("read write"), needs("read"))
    told.seen(calling("write admin", "az_2"), needs("read"))
    told.seen(calling("admin", "az_3"), needs("write", any_of=["read"]))
    told.seen(structs.replace(caller("az_1", "write"), scopes=frozenset({"write", "read"})), needs("read"))
    assert await told.flush()
    assert desk.told == {"az_1": {"read", "write"}, "az_2": {"write", "admin"}, "az_3": {"admin"}}


async def test_each_scope_of_each_authorization_is_told_once_a_day_with_the_apis_credentials(desk: Desk) -> None:
    told = desk.usage()
    for _ in range(3):
        told.seen(caller(), BALANCE)
        told.seen(caller(), needs("transfer:funds"))
        told.seen(caller("az_2"), BALANCE)
    assert await told.flush()
    assert desk.reports == [{"day": TODAY, "uses": {"az_1": ["read:balance", "transfer:funds"], "az_2": ["read:balance"]}, "lost": False}]
    assert desk.server.forms[0][1].startswith("Basic ")
    told.seen(caller(), BALANCE)
    assert await told.flush()
    assert desk.reports[1:] == [{"day": TODAY, "uses": {}, "lost": False}], "nothing is told twice, but that nothing was used"
    desk.clock.now += DAY
    told.seen(caller(), BALANCE)
    assert await told.flush()
    assert desk.reports[2:] == [{"day": TOMORROW, "uses": {"az_1": ["read:balance"]}, "lost": False}]


async def test_what_was_used_yesterday_is_told_of_yesterday(desk: Desk) -> None:
    told = desk.usage()
    told.seen(caller(), BALANCE)
    desk.clock.now += DAY
    told.seen(caller(), BALANCE)
    assert await told.flush()
    assert [one["day"] for one in desk.reports] == [TODAY, TOMORROW]


async def test_a_token_of_no_authorization_is_not_told_of(desk: Desk) -> None:
    told = desk.usage()
    told.seen(caller(None), BALANCE)
    told.seen(caller("az_1 or something else"), BALANCE)
    told.seen(caller("us_1"), BALANCE)
    told.seen(caller(scope="two words"), Requirement(all_of=("two words", "x" * 300)))
    assert await told.flush()
    assert desk.told == {}


def test_a_report_has_no_place_for_an_address_or_a_user() -> None:
    assert Report.__struct_fields__ == ("day", "uses", "lost")
    for more in ("url", "path", "method", "sub", "user", "account", "client_id", "address", "at"):
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.json.decode(msgspec.json.encode({"day": TODAY, more: "x"}), type=Report)
    for wrong in (
        {"uses": {"us_1": ["a"]}},
        {"uses": {"az_1": ["two words"]}},
        {"uses": {"az_1": [{"a": 1}]}},
        {"day": "yesterday"},
        {"day": TODAY + "T10:00:00Z"},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode({"day": TODAY, **wrong}), type=Report)


async def test_no_word_of_the_token_but_its_authorization_leaves_the_api(desk: Desk) -> None:
    told = desk.usage()
    claims = caller(
        sub="us_secret", client_id="app_secret", account="acme_secret", account_id="ac_secret", jti="j_secret", email="e_secret"
    )
    told.seen(claims, BALANCE, account="acme_secret")
    assert await told.flush()
    assert "secret" not in desk.server.forms[0][2]["report"]


# ---------------------------------------------------------------- bounds


async def test_many_authorizations_go_in_reports_that_the_server_takes(desk: Desk) -> None:
    told = desk.usage()
    for number in range(2 * MOST + 1):
        told.seen(caller(f"az_{number}"), BALANCE)
    assert await told.flush()
    assert [len(one["uses"]) for one in desk.reports] == [MOST, MOST, 1]
    assert len(desk.told) == 2 * MOST + 1


async def test_many_and_long_scopes_go_in_reports_that_the_server_takes(desk: Desk) -> None:
    told = desk.usage()
    scopes = [f"https://api.example/{'%' * 150}/{number}" for number in range(130)]
    for number in range(3):
        for scope in scopes:
            told.seen(caller(f"az_{number}", scope=" ".join(scopes)), needs(scope))
    assert await told.flush()
    assert desk.told == {f"az_{number}": set(scopes) for number in range(3)}
    for _, _, form in desk.server.forms:
        assert len(str(httpx.QueryParams(form))) < 60 * 1024


async def test_the_memory_is_bounded_and_what_was_forgotten_is_said(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    told = desk.usage(kept=3)
    with caplog.at_level(logging.ERROR, "gatewright_guard"):
        for number in range(10):
            told.seen(caller(f"az_{number}"), BALANCE)
    assert len([record for record in caplog.records if "forgotten" in record.message]) == 1, "said once, not for each"
    assert await told.flush()
    assert desk.reports == [{"day": TODAY, "uses": {f"az_{number}": ["read:balance"] for number in range(3)}, "lost": True}]
    assert await told.flush()
    assert not desk.reports[-1]["lost"], "a loss is told once"


async def test_a_full_memory_of_what_was_told_loses_nothing(desk: Desk) -> None:
    told = desk.usage(kept=3)
    for _ in range(2):
        for number in range(9):
            told.seen(caller(f"az_{number}"), BALANCE)
            if number % 3 == 2:
                assert await told.flush()
    assert len(desk.told) == 9
    assert not any(one["lost"] for one in desk.reports)


# ---------------------------------------------------------------- a server that is away, or does not want it


async def test_what_could_not_be_told_is_told_later(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    told = desk.usage()
    told.seen(caller(), BALANCE)
    desk.server.status = 503
    with caplog.at_level(logging.WARNING, "gatewright_guard"):
        assert not await told.flush()
        told.seen(caller("az_2"), BALANCE)
        assert not await told.flush()
        desk.server.status, desk.clock.now = 200, desk.clock.now + DAY
        desk.server.forms.clear()
        assert await told.flush()
    said = [record.levelname for record in caplog.records if record.name == "gatewright_guard"]
    assert said == ["ERROR", "WARNING"], "said when it begins and when it ends"
    assert desk.reports == [{"day": TODAY, "uses": {"az_1": ["read:balance"], "az_2": ["read:balance"]}, "lost": False}]


async def test_a_wrong_secret_is_named(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    told = desk.usage()
    told.seen(caller(), BALANCE)
    desk.server.status = 401
    with caplog.at_level(logging.ERROR, "gatewright_guard"):
        assert not await told.flush()
    assert "answered 401: the API's id or secret is wrong" in caplog.text


async def test_what_could_not_be_told_for_days_is_forgotten_and_that_is_said(desk: Desk) -> None:
    told = desk.usage(httpx.AsyncClient(transport=httpx.MockTransport(unreachable)))
    told.seen(caller(), BALANCE)
    assert not await told.flush()
    told._http = desk.server.client()
    desk.clock.now += (OLDEST + 1) * DAY
    assert await told.flush()
    assert [(one["uses"], one["lost"]) for one in desk.reports] == [({}, True)]


async def test_a_loss_that_could_not_be_told_is_not_forgotten(desk: Desk) -> None:
    told = desk.usage(kept=1)
    told.seen(caller("az_1"), BALANCE)
    told.seen(caller("az_2"), BALANCE)
    desk.server.status = 500
    assert not await told.flush()
    desk.server.status = 200
    assert await told.flush()
    assert desk.reports[-1]["lost"]


async def test_a_use_during_a_report_is_told_by_the_next_one(desk: Desk) -> None:
    told = desk.usage()
    told.seen(caller(), BALANCE)
    desk.server.hold = asyncio.Event()
    under_way = asyncio.create_task(told.flush())
    await desk.server.reached.wait()
    told.seen(caller(), needs("transfer:funds"))
    desk.server.hold.set()
    assert await under_way
    assert await told.flush()
    assert [one["uses"] for one in desk.reports] == [{"az_1": ["read:balance"]}, {"az_1": ["transfer:funds"]}]


async def test_a_server_that_wants_no_reports_gets_none_but_a_question_now_and_then(desk: Desk) -> None:
    desk.wants(False)
    told = desk.usage()
    told.seen(caller(), BALANCE)
    assert await told.flush()
    told.seen(caller("az_2"), BALANCE)
    assert await told.flush()
    assert [one["uses"] for one in desk.reports] == [{"az_1": ["read:balance"]}, {}]
    desk.wants(True)
    assert await told.flush()
    told.seen(caller(), BALANCE)
    assert await told.flush()
    assert desk.reports[-1]["uses"] == {"az_1": ["read:balance"]}


# ---------------------------------------------------------------- the task beside the requests


async def test_reports_go_out_by_themselves_and_the_last_one_when_it_ends(desk: Desk) -> None:
    told = desk.usage(every=0.001)
    told.seen(caller(), BALANCE)
    told.start()
    told.start()
    async with asyncio.timeout(10):
        await desk.server.reached.wait()
    await told.aclose()
    slow = desk.usage(every=3600)
    slow.start()
    slow.seen(caller("az_2"), BALANCE)
    await slow.aclose()
    assert desk.told == {"az_1": {"read:balance"}, "az_2": {"read:balance"}}


async def test_the_end_does_not_wait_for_a_server_that_does_not_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "_LAST_SECONDS", 0.01)
    desk.server.hold = asyncio.Event()
    told = desk.usage()
    told.start()
    told.seen(caller(), BALANCE)
    async with asyncio.timeout(10):
        await told.aclose()
    assert desk.server.asked["/-/usage"] == 1


async def test_the_end_does_not_fail_where_the_client_was_closed_before(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    http = desk.server.client()
    told = desk.usage(http)
    told.seen(caller(), BALANCE)
    await http.aclose()
    await told.aclose()
    assert "could not be reported: RuntimeError" in caplog.text


async def test_a_loss_whose_report_was_cut_off_at_the_end_is_told_all_the_same(desk: Desk) -> None:
    told = desk.usage(every=0.001, kept=1)
    told.seen(caller("az_1"), BALANCE)
    told.seen(caller("az_2"), BALANCE)
    desk.server.hold = asyncio.Event()
    told.start()
    async with asyncio.timeout(10):
        await desk.server.reached.wait()
        desk.server.forms.clear()
        desk.server.hold = None
        await told.aclose()
    assert [(one["uses"], one["lost"]) for one in desk.reports] == [({"az_1": ["read:balance"]}, True)]


async def test_silence_is_broken_after_an_hour_even_if_nothing_is_used(desk: Desk) -> None:
    told = desk.usage(every=0.001)
    told.start()
    async with asyncio.timeout(10):
        while not desk.reports:
            await desk.server.reached.wait()
            await asyncio.sleep(0)
        first = len(desk.reports)
        desk.server.reached.clear()
        desk.clock.now += 3600
        await desk.server.reached.wait()
    await told.aclose()
    assert first == 1
    assert all(one["uses"] == {} for one in desk.reports)


def test_processes_that_start_together_do_not_report_together_and_failures_make_pauses_longer(desk: Desk) -> None:
    pauses = [desk.usage(every=60, dice=lambda number=number: number / 4)._pause() for number in range(5)]
    assert pauses == [45.0, 52.5, 60.0, 67.5, 75.0]
    told = desk.usage(every=60, dice=lambda: 0.5)
    longer = []
    for _ in range(6):
        longer.append(told._pause())
        told._failures += 1
    assert longer == [60, 120, 240, 480, 600, 600]


async def test_an_answer_that_is_nonsense_disturbs_nobody(desk: Desk) -> None:
    desk.server.bodies["/-/usage"] = b"<html>"
    told = desk.usage()
    told.seen(caller(), BALANCE)
    assert not await told.flush()
    desk.wants(True)
    assert await told.flush()
    assert desk.told == {"az_1": {"read:balance"}}


def test_what_travels_needs_no_http_client_to_be_read() -> None:
    assert not any(name in vars(report) for name in ("httpx", "asyncio"))
    assert "gatewright_guard.report" in sys.modules


def test_a_pause_of_nothing_is_refused(desk: Desk) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        desk.usage(every=0)
