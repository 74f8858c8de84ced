"""What the guide for any API shows is what lies in `examples/proxies`, which other tests run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs/guides/protect-any-api.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
FILES: Final = sorted(path.name for path in (ROOT / "examples/proxies").iterdir())


@pytest.mark.parametrize("name", FILES)
def test_the_guide_shows_each_recipe_as_it_is(name: str) -> None:
    assert (ROOT / "examples/proxies" / name).read_text(encoding="utf-8") in [text for _, text in BLOCKS]


def test_what_the_guide_shows_as_a_file_is_one() -> None:
    assert len([kind for kind, _ in BLOCKS if kind]) == len(FILES)
