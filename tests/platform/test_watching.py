"""Rules that are tried out, from the setting to the list: since when, how often, and an example."""

import pytest

from gatewright.audit.usage import Counters
from gatewright.clients.watching import watches
from gatewright.oauth.report_only import Breach, Rule
from gatewright.store import StoreBusy
from tests.platform.played import SMALL, Played
from tests.support.crash import Crash, crash_everywhere

TRIED = SMALL + 'report_only = ["pkce", "unknown_scopes"]\n'


async def listed(played: Played) -> list[tuple[str, int, int, int | None, str]]:
    found = await watches(played.store, await played.tenant())
    return [(one.rule, one.since, one.total, one.last_at, one.example) for one in found]


async def refused(played: Played, usage: Counters, *rules: Rule, example: str = "x") -> None:
    client = await played.client()
    for rule in rules:
        usage.would_refuse(client.tenant, client.id, Breach(rule, example))


async def test_what_is_tried_out_is_listed_before_anything_would_have_been_refused(played: Played) -> None:
    await played.apply(TRIED)
    now = played.clock.now
    assert await listed(played) == [("pkce", now, 0, None, ""), ("unknown_scopes", now, 0, None, "")]
    assert (await played.plan(TRIED)).changes == ()
    assert "weakness: client web: pkce_report_only" in (await played.plan(TRIED)).notices


async def test_what_would_have_been_refused_is_counted_in_memory_and_flushed(played: Played) -> None:
    await played.apply(TRIED)
    since, usage = played.clock.now, Counters()
    await refused(played, usage, "pkce", "pkce", "unknown_scopes", example="first")
    assert (await listed(played))[0][2] == 0, "nothing is written while a token is made"
    played.clock.pass_(60)
    assert await usage.flush(played.store, played.clock.now) == 2
    await refused(played, usage, "pkce", example="second")
    played.clock.pass_(60)
    await usage.flush(played.store, played.clock.now)
    assert await listed(played) == [("pkce", since, 3, since + 120, "second"), ("unknown_scopes", since, 1, since + 60, "first")]
    assert await usage.flush(played.store, played.clock.now) == 0


async def test_other_settings_do_not_begin_the_count_anew_but_trying_out_again_does(played: Played) -> None:
    await played.apply(TRIED)
    since, usage = played.clock.now, Counters()
    await refused(played, usage, "pkce")
    await usage.flush(played.store, since)
    played.clock.pass_(10)
    await played.apply(TRIED.replace('"Web"', '"Wob"').replace(', "unknown_scopes"', ""))
    assert [(rule, total) for rule, _, total, *_ in await listed(played)] == [("pkce", 1)]
    await played.apply(SMALL + "report_only = []\n")
    await refused(played, usage, "pkce")
    await usage.flush(played.store, played.clock.now)
    assert await listed(played) == [], "a rule that is meant counts nothing"
    await played.apply(TRIED)
    assert (await listed(played))[0][1:3] == (since + 10, 0)


async def test_what_could_not_be_written_is_counted_again_later(played: Played) -> None:
    await played.apply(TRIED)
    usage = Counters()
    await refused(played, usage, "pkce", "pkce")

    class Busy:
        async def run(self, *_: object) -> None:
            raise StoreBusy("later")

    busy: object = Busy()
    with pytest.raises(StoreBusy):
        await usage.flush(busy, 1)  # type: ignore[arg-type]  # a store that is busy
    await refused(played, usage, "pkce")
    await usage.flush(played.store, played.clock.now)
    assert (await listed(played))[0][2] == 3


async def test_a_crash_anywhere_counts_each_once(played: Played) -> None:
    await played.apply(TRIED)
    usage = Counters()
    await refused(played, usage, "pkce", "unknown_scopes")

    async def act(store: object) -> int:
        try:
            return await usage.flush(store, played.clock.now)  # type: ignore[arg-type]  # it crashes
        except Crash:
            # The process is gone, and what it had in memory; here it begins again with as much.
            await refused(played, usage, "pkce", "unknown_scopes")
            raise

    async def check(_: int) -> None:
        assert [total for _, _, total, *_ in await listed(played)] == [0, 0]

    await crash_everywhere(played.store, act, check)
    assert [total for _, _, total, *_ in await listed(played)] == [1, 1]
