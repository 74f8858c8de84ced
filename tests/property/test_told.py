"""Whatever a platform file changes: no API believes a JWT that says more than is so."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.crowd import CREATE, DELETE, MANAGE, READ, VIEW, WATCH, Crowd, Platform
from tests.support.house import open_nodes, sqlite_copy

EXAMPLES = 20 * max(int(os.environ.get("PROPERTY_EXAMPLES", "0")), 1)


def some(*names: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Any of these."""
    return st.integers(0, (1 << len(names)) - 1).map(lambda bits: tuple(name for place, name in enumerate(names) if bits >> place & 1))


ROLES = some("Organizer", "Participant", "Chief")
platforms = st.builds(
    Platform,
    organizer=some(VIEW, CREATE, WATCH),
    participant=some(VIEW),
    chief=some(MANAGE, READ),
    ann=ROLES,
    ben=ROLES,
    robot=ROLES,
    reader=some(VIEW, CREATE, MANAGE, READ),
    for_roles=st.one_of(st.just(()), ROLES),
    own=some(VIEW, CREATE, MANAGE),
    own_for_roles=st.one_of(st.just(()), ROLES),
    job=st.sampled_from([(VIEW, CREATE), (VIEW,), (CREATE,)]),
    copier=st.sampled_from([(READ, DELETE), (READ,), (DELETE,)]),
    events_roles=st.sampled_from(["required", "off"]),
    imaging_roles=st.sampled_from(["required", "off"]),
    names_roles=st.booleans(),
    implies=some(VIEW, CREATE),
    aliases=some("see:events"),
    reach=st.sampled_from(["tenant", "account"]),
    published=st.sampled_from(["all", "marked"]),
    marked=st.booleans(),
)
# One thing at a time, so that nothing is told by the way of another.
FIELDS = Platform.__struct_fields__
changes = st.lists(st.tuples(platforms, st.sampled_from([*FIELDS, "all"])), min_size=2, max_size=6)


@pytest.mark.timeout(240)
@settings(max_examples=EXAMPLES)
@given(changes=changes)
def test_what_a_jwt_says_is_so_or_its_api_was_told_otherwise(changes: list[tuple[Platform, str]]) -> None:
    asyncio.run(_checked(changes))


async def _checked(changes: list[tuple[Platform, str]]) -> None:
    with tempfile.TemporaryDirectory(prefix="gw-told-") as folder:
        async with open_nodes(sqlite_copy(Path(folder))) as (node,):
            crowd = await Crowd.gathered(node)
            assert await crowd.losers() == set()
            now = Platform()
            for wanted, field in changes:
                node.time.pass_(61)
                now = wanted if field == "all" else _with(now, field, wanted)
                await node.apply(now.text())
                await crowd.losers()
                await crowd.more()
                await crowd.losers()


def _with(before: Platform, field: str, after: Platform) -> Platform:
    from msgspec.structs import replace

    return replace(before, **{field: getattr(after, field)})
