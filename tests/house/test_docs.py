"""Documents: every link leads somewhere, every page is led to, decisions are numbered and listed, news is collected."""

import re
from pathlib import Path
from urllib.parse import unquote

from tests.house.checkout import ROOT, files, name

DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
STARTS = (ROOT / "README.md", DOCS / "index.md")
LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^()\s<>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
KINDS = {"added", "changed", "fixed", "security", "removed"}


def pages() -> list[Path]:
    """Every Markdown page of the repository."""
    return [path for path in files() if path.suffix == ".md"]


def prose(page: Path) -> str:
    """A page without what is inside code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page: Path) -> list[tuple[str, str]]:
    """The links of a page that stay in the repository: path and anchor."""
    inside = [target for target in LINK.findall(prose(page)) if not re.match(r"[a-z][a-z0-9+.-]*:", target)]
    return [(unquote(target.partition("#")[0]), target.partition("#")[2]) for target in inside]


def anchors(page: Path) -> set[str]:
    """The anchors that a renderer makes of a page's headings."""
    headings = re.findall(r"^#+ +(.+?) *#*$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def target(page: Path, path: str) -> Path:
    """The file that a link of this page means."""
    return (page.parent / path).resolve() if path else page


def test_every_link_leads_to_a_file() -> None:
    dead = [f"{name(page)}: {path}" for page in pages() for path, _ in links(page) if not target(page, path).exists()]
    assert dead == []


def test_every_anchor_leads_to_a_heading() -> None:
    inside = [(page, target(page, path), anchor) for page in pages() for path, anchor in links(page) if anchor]
    dead = [f"{name(page)}: {anchor}" for page, there, anchor in inside if there.suffix == ".md" and anchor not in anchors(there)]
    assert dead == []


def test_no_link_leaves_the_repository_by_a_path() -> None:
    away = [f"{name(page)}: {path}" for page in pages() for path, _ in links(page) if not target(page, path).is_relative_to(ROOT)]
    assert away == []


def test_every_page_of_the_documents_is_led_to() -> None:
    reached: set[Path] = set()
    ahead = [start for start in STARTS if start.exists()]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        ahead += [target(page, path) for path, _ in links(page)]
    assert [name(page) for page in pages() if page.is_relative_to(DOCS) and page not in reached] == []


def decisions() -> list[Path]:
    """The decision records, in order."""
    return sorted(path for path in pages() if path.parent == DECISIONS and path.name != "README.md")


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [re.fullmatch(r"(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md", path.name) for path in decisions()]
    assert [int(found.group(1)) if found else 0 for found in numbers] == list(range(1, len(numbers) + 1))


def test_a_decision_opens_with_its_number() -> None:
    assert [name(path) for path in decisions() if not path.read_text().startswith(f"# {int(path.name[:4])}. ")] == []


def test_every_decision_is_listed_by_its_title() -> None:
    index = (DECISIONS / "README.md").read_text()
    rows = [f"[{path.read_text().splitlines()[0].removeprefix('# ').partition('. ')[2]}]({path.name})" for path in decisions()]
    assert [row for row in rows if row not in index] == []


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    first = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first
    assert first.group(1) == "Unreleased"


def test_every_news_fragment_has_a_kind_and_says_something() -> None:
    fragments = [path for path in files() if path.parent == ROOT / "changes" and path.name != "README.md"]
    shape = re.compile(rf"[a-z0-9-]+\.({'|'.join(sorted(KINDS))})\.md")
    assert [name(path) for path in fragments if not shape.fullmatch(path.name) or not path.read_text().strip()] == []
