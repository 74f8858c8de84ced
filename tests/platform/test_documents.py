"""What the guides show is applied as it stands there."""

import re
from pathlib import Path
from typing import get_args

import pytest

from tests.platform.played import SMALL, Played

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SCOPES = '"read:balance" = "B"\n"view:events" = "V"\n"read:images" = "I"\n'


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def blocks(guide: str) -> list[str]:
    return BLOCK.findall((GUIDES / guide).read_text())


async def test_the_platform_of_the_guide_applies(played: Played) -> None:
    applied = await played.apply(blocks("platform-file.md")[0])
    assert len(applied.plan.changes) == 9


async def test_every_client_of_the_guide_applies(played: Played) -> None:
    clients = [block for block in blocks("register-a-client.md") if block.startswith("[[clients]]")]
    assert len(clients) == 3
    platform = SMALL.replace('"read:a" = "Read a"\n', '"read:a" = "Read a"\n' + SCOPES)
    applied = await played.apply(platform + "".join(clients))
    assert [made.client_id for made in applied.secrets] == ["web", "budget-buddy", "image-copier"]


async def test_every_key_of_a_client_is_told_by_the_guide(played: Played) -> None:
    from gatewright.platform.document import ClientPart

    text = (GUIDES / "register-a-client.md").read_text()
    assert [key for key in ClientPart.__struct_fields__ if f"`{key}`" not in text and not re.search(rf"\b{key} +=", text)] == []


async def test_every_scope_of_the_guide_applies_in_turn(played: Played) -> None:
    first, *others = blocks("scopes.md")
    head = SMALL.split("[[apis]]", maxsplit=1)[0]
    await played.apply(head + first)
    assert len(others) == 3
    for block in others:
        (name,) = re.findall(r'^"([a-z:]+)" +=', block, re.MULTILINE)
        changed = re.sub(rf'^"(?:{name}|read:balance)" .*\n', "", first, flags=re.MULTILINE) if "aliases" in block else first
        kept = "\n".join(line for line in changed.splitlines() if not line.startswith(f'"{name}"')) + "\n"
        assert (await played.plan(head + kept + block)).changes


async def test_the_client_of_the_guide_is_tried_out(played: Played) -> None:
    (block,) = blocks("change-safely.md")
    await played.apply(SMALL + block.replace("[[clients]]\n", '[[clients]]\nscopes = ["openid"]\n'))
    assert (await played.client("budget-buddy")).settings.report_only == ("pkce",)


async def test_every_key_of_a_scope_and_every_rule_is_told_by_its_guide(played: Played) -> None:
    from gatewright.oauth.report_only import Rule
    from gatewright.platform.document import ScopePart

    scopes, safely = (GUIDES / "scopes.md").read_text(), (GUIDES / "change-safely.md").read_text()
    assert [key for key in ScopePart.__struct_fields__ if f"| `{key}` |" not in scopes] == []
    assert [rule for rule in get_args(Rule) if f"| `{rule}` |" not in safely] == []


async def test_a_key_in_the_place_of_a_secret_is_taken(played: Played) -> None:
    line = next(block for block in blocks("register-a-client.md") if block.startswith("jwks_uri"))
    assert (await played.apply(SMALL + line)).secrets == ()


async def test_the_domains_of_the_guide_apply(played: Played) -> None:
    (block,) = blocks("domains.md")
    applied = await played.apply(block)
    assert [(change.kind, change.name) for change in applied.plan.changes[1:]] == [
        ("domain", "https://id.acme.test"),
        ("domain", "https://login.shop.test"),
        ("api host", "https://api.acme.test"),
    ]


async def test_the_owner_of_the_guide_is_taken(played: Played) -> None:
    (block,) = blocks("secrets.md")
    owner = next(line for line in block.splitlines() if line.startswith("owner"))
    people = '[[accounts]]\nslug = "budget-inc"\nname = "Budget"\n[[users]]\nemail = "dev@budget.example"\n'
    applied = await played.apply(SMALL + owner + "\n" + people)
    (client,) = [change for change in applied.plan.changes if change.kind == "client"]
    assert {detail.key: detail.after for detail in client.details}["owner.user"] == "dev@budget.example"
