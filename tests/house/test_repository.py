"""What is in the repository belongs in it: no machine's paths, no registry's addresses, no key, nothing that a run leaves behind."""

import re
import tomllib

import pytest

from tests.house.checkout import ROOT, files, name, texts

# Written in pieces, so that this file does not hold what it looks for.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("py" + "pi", "org"),
        ("python" + "hosted", "org"),
        ("np" + "mjs", "org"),
        ("np" + "mjs", "com"),
        ("deb" + ".debian", "org"),
        ("crates" + "", "io"),
        ("proxy.go" + "lang", "org"),
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.:])/(?:home/[a-z]|ro" + r"ot/|Users/[A-Za-z]|wo" + r"rk/(?:main|shared)|tmp/gw)|[A-Z]:\\Users\\")
# A heading alone is no key; one with a body is.
PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\\n\"']*[A-Za-z0-9+/]{40}")


def holding(pattern: re.Pattern[str]) -> list[str]:
    """Every line of a text file in which the pattern is found."""
    return [
        f"{name(path)}:{number}"
        for path, text in texts()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert holding(MACHINE_PATHS) == []


@pytest.mark.parametrize("registry", REGISTRIES)
def test_no_file_names_a_package_registry(registry: str) -> None:
    assert holding(re.compile(r"\b" + re.escape(registry) + r"\b")) == []


def test_no_file_holds_a_private_key() -> None:
    assert [name(path) for path, text in texts() if PRIVATE_KEY.search(text)] == []


def test_nothing_that_a_run_leaves_behind_is_kept() -> None:
    left = {".pyc", ".sqlite3", ".db", ".log", ".whl", ".key", ".pem"}
    assert [name(path) for path in files() if path.suffix in left or "node_modules" in path.parts] == []


def test_no_file_is_larger_than_a_megabyte() -> None:
    assert [name(path) for path in files() if path.stat().st_size > 1_000_000] == []


def test_every_folder_with_code_is_type_checked() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    unchecked = {name(path) for path in files() if path.suffix == ".py" and not any(path.is_relative_to(ROOT / at) for at in checked)}
    assert unchecked == set()


def test_the_shipped_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
