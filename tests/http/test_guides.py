"""The guides for integrations and older clients: their tables are applied and their commands run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.http.window import Window
from tests.support.house import CLIENT_SECRET, ENVIRON, Answer, Node, basic

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
HEAD = '[tenant]\nslug = "acme"\nname = "Acme"\ndomains = ["https://id.acme.test", "https://login.acme.test"]\n'
SECRETS = {"$SECRET": CLIENT_SECRET, "$PASSWORD": ENVIRON["ANN_PASSWORD"]}


def tables(guide: str) -> list[str]:
    """The tables of a platform file that a guide shows, its tenant's aside."""
    found = re.findall(r"^```toml\n(.*?)^```", (GUIDES / guide).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for text in found if text.startswith("[[")]


def commands(guide: str) -> list[tuple[list[str], str]]:
    """The curl commands of a guide, each with what it says that comes back."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^```\n(\$ curl .*?)^```", text, re.MULTILINE | re.DOTALL):
        command, _, told = block.replace("\\\n", " ").partition("\n")
        found.append((shlex.split(command.removeprefix("$ ")), told.strip()))
    return found


async def run(node: Node, words: list[str], token: str = "") -> Answer:
    """Do what a curl command does."""
    known = SECRETS | {"$TOKEN": token}
    words = [_filled(word, known) for word in words[1:]]
    url, form, heads = "", {}, []
    while words:
        word = words.pop(0)
        if word in ("-d", "--data-urlencode"):
            name, _, value = words.pop(0).partition("=")
            form[name] = value
        elif word == "-u":
            name, _, secret = words.pop(0).partition(":")
            heads.append(basic(name, secret))
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            heads.append((name, value))
        else:
            url = word
    parts = urlsplit(url)
    return await (node.post(parts.path, form, *heads, host=parts.netloc) if form else node.get(parts.path, *heads, host=parts.netloc))


def _filled(word: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        word = word.replace(name, value)
    return word


def like(told: object, found: object) -> bool:
    """Tell whether an answer is the one that a guide shows, where `…` stands for anything."""
    if isinstance(told, dict) and isinstance(found, dict):
        return set(told) == set(found) and all(like(told[name], found[name]) for name in told)
    if isinstance(told, str) and "…" in told:
        return isinstance(found, str) and found.startswith(told.partition("…")[0])
    return told == found


async def furnished(node: Node, guide: str) -> None:
    """Apply what a guide shows, with secrets and passwords that the test knows."""
    text = "".join(f"{table}\n" for table in tables(guide))
    text = text.replace('name        = "Copies invoices"', 'name        = "Copies invoices"\npassword    = { env = "ANN_PASSWORD" }')
    text = text.replace("ACME_DEMO_SECRET", "CLIENT_SECRET")
    text = re.sub(r'(client_id +=.*"(?:invoice-copier|connector|terminal)"\n)', r'\1secret = { env = "CLIENT_SECRET" }\n', text)
    await node.apply(HEAD + text)


async def test_a_service_user_as_the_guide_has_it(node: Node) -> None:
    await furnished(node, "service-users.md")
    token = ""
    for words, told in commands("service-users.md"):
        answer = await run(node, words, token)
        assert answer.status == 200, answer
        found: dict[str, Any] = msgspec.json.decode(answer.body)
        assert like(msgspec.json.decode(told), found), found
        token = found.get("access_token", token)
    assert token


async def test_an_older_client_as_the_guide_has_it(node: Node) -> None:
    await furnished(node, "move-an-older-client.md")
    for words, _ in commands("move-an-older-client.md"):
        with_user = [word.replace("organizer@acme.test", "ben@acme.test") for word in words]
        known = [word.replace("$PASSWORD", ENVIRON["BEN_PASSWORD"]) for word in with_user]
        assert (await run(node, known)).status == 200
    for client in ("terminal", "acme-demo"):
        page = await Window(node).open(
            f"/oauth/authorize?client_id={client}&redirect_uri=urn:ietf:wg:oauth:2.0:oob&response_type=code&scope=view:events"
        )
        assert page.status == (400 if client == "terminal" else 200), "the one needs PKCE, the other is asked to sign in"


@pytest.mark.parametrize("guide", ["service-users.md", "move-an-older-client.md"])
def test_each_guide_shows_tables_and_commands(guide: str) -> None:
    assert tables(guide)
    assert commands(guide)
