"""What the browser flow asks of the store. Counted, never timed: one statement more is seen here first."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatewright.oauth.catalogue import OPENID
from tests.budget.test_token_statements import Cost
from tests.support.browser import Browser, Rooms, Seen, open_rooms, public
from tests.support.world import Playground, open_playground

# Session with its user; seat with its account and grant; the row of the authorization.
SILENT = {"reads": 2, "verbs": 1}
JOURNEY_LIMIT = 700  # characters of an ordinary request on its way


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    """Rooms over a store of their own, with the usual client."""
    ground = await open_playground(tmp_path)
    await ground.add()
    made = await open_rooms(ground)
    yield made
    made.passwords.close()
    await ground.store.close()


@pytest.fixture
async def browser(rooms: Rooms) -> Browser:
    """A browser whose user has connected the client."""
    made = Browser(rooms)
    await made.authorize()
    await made.sign_in()
    await made.press("allow")
    return made


def ground_of(browser: Browser) -> Playground:
    return browser.rooms.ground


async def test_an_answer_with_session_and_consent_costs_two_reads_and_one_insert(browser: Browser) -> None:
    cost = Cost(ground_of(browser))
    for _ in range(5):
        assert "code" in (await browser.authorize()).answer
    assert cost.spent == {name: 5 * count for name, count in SILENT.items()}


@pytest.mark.parametrize(
    "changed", [{"prompt": "none"}, {"account": "acme-dev"}, {"max_age": "60"}, {"nonce": "n", "response_mode": "form_post"}]
)
async def test_whatever_else_the_request_says_costs_no_more(browser: Browser, changed: dict[str, str]) -> None:
    cost = Cost(ground_of(browser))
    assert "code" in (await browser.authorize(post=False, follow=True, **changed)).answer
    assert cost.spent == SILENT


async def test_an_answer_outside_any_account_costs_as_little(browser: Browser) -> None:
    client = await ground_of(browser).add()
    await ground_of(browser).grant(client, OPENID, account=0)
    cost = Cost(ground_of(browser))
    assert "code" in (await browser.authorize(scope="openid")).answer
    assert cost.spent == SILENT


async def test_a_trusted_client_costs_one_transaction_more_the_first_time(browser: Browser) -> None:
    await ground_of(browser).add(party="first")
    wanted = "openid read:balance transfer:funds"
    cost = Cost(ground_of(browser))
    await browser.authorize(scope=wanted)
    assert cost.spent == SILENT | {"units": 1}
    cost = Cost(ground_of(browser))
    await browser.authorize(scope=wanted)
    assert cost.spent == SILENT


async def test_once_a_minute_it_is_written_that_a_session_was_seen(browser: Browser) -> None:
    ground_of(browser).clock.pass_(60)
    cost = Cost(ground_of(browser))
    for _ in range(5):
        await browser.authorize()
    assert cost.spent == {"reads": 10, "verbs": 6}


async def test_a_stranger_costs_the_store_nothing(rooms: Rooms) -> None:
    cost = Cost(rooms.ground)
    for _ in range(3):
        browser = Browser(rooms)
        assert (await browser.authorize()).title.startswith("Sign in")
        assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"
        assert (await browser.authorize(post=True)).title.startswith("Sign in")
        assert (await browser.authorize(client_id="nobody")).status == 400
    assert cost.spent == {}


async def test_a_made_up_cookie_costs_one_read_at_most(rooms: Rooms) -> None:
    browser = Browser(rooms)
    browser.cookies["__Host-gw_session"] = "rubbish"
    cost = Cost(rooms.ground)
    await browser.authorize(prompt="none")
    assert cost.spent == {}
    browser.cookies["__Host-gw_session"] = (await Browser(rooms).signed_in()).cookies["__Host-gw_session"][:-2] + "AA"
    cost = Cost(rooms.ground)
    await browser.authorize(prompt="none")
    assert cost.spent == {"reads": 1}


async def test_a_sign_in_costs_four_reads_and_two_transactions(rooms: Rooms) -> None:
    browser = Browser(rooms)
    await browser.authorize()
    cost = Cost(rooms.ground)
    page = browser.page
    assert page is not None
    await browser.press("continue", follow=False, username="organizer@acme.test", password="correct horse")
    # Three counters and the user; then what the next step depends on.
    assert cost.spent == {"reads": 4 + 2, "units": 2}


async def test_a_wrong_password_costs_no_more_than_a_right_one(rooms: Rooms) -> None:
    browser = Browser(rooms)
    await browser.authorize()
    cost = Cost(rooms.ground)
    await browser.sign_in(password="wrong")
    assert cost.spent == {"reads": 4, "units": 2}


async def test_saying_yes_costs_one_transaction_and_the_row(rooms: Rooms) -> None:
    browser = Browser(rooms)
    await browser.authorize()
    await browser.sign_in()
    cost = Cost(rooms.ground)
    assert "code" in (await browser.press("allow")).answer
    assert cost.spent == {"reads": 4, "units": 1, "verbs": 1}


async def test_an_ordinary_request_is_short_on_its_way(rooms: Rooms) -> None:
    seen = await Browser(rooms).authorize(follow=False, nonce="n" * 43, state="s" * 43)
    assert len(step_of(seen)) <= JOURNEY_LIMIT


async def test_a_client_that_proves_nothing_costs_a_page_and_no_write(browser: Browser) -> None:
    await ground_of(browser).add(public())
    cost = Cost(ground_of(browser))
    seen = await browser.authorize(redirect_uri="http://127.0.0.1:5000/callback")
    assert seen.title.startswith("Continue to an app")
    assert "verbs" not in cost.spent
    assert "units" not in cost.spent


def step_of(seen: Seen) -> str:
    """The request as it travels."""
    assert seen.location is not None
    return seen.location.partition("?r=")[2]
