import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from gatewright.accounts.book import account_named
from gatewright.base import ids
from gatewright.cli.main import group
from gatewright.cli.terminal import Terminal
from gatewright.clients.book import client_named
from gatewright.ledger.grants import Giving, Grants
from tests.platform.played import ENVIRON, EXAMPLE, SMALL
from tests.support.engines import postgres_server

__all__ = ["postgres_server"]


class Shell:
    """A terminal in an empty folder, with the environment that a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {**ENVIRON}
        self.out = self.err = ""
        self.status = 0

    def gatewright(self, *words: str, typed: str | None = None) -> int:
        """Run the command; what it said is in `out` and `err` afterwards."""
        clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("GATEWRIGHT_")}
        done = CliRunner().invoke(group, words, input=typed, env={**clean, **self.environ}, prog_name="gatewright")
        self.out, self.err, self.status = done.stdout, done.stderr, done.exit_code
        assert "Traceback" not in self.out + self.err, self.out + self.err
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return self.status

    def must(self, *words: str, typed: str | None = None) -> str:
        """Run the command, which must succeed."""
        assert self.gatewright(*words, typed=typed) == 0, self.err
        return self.out

    def json(self, *words: str) -> Any:  # noqa: ANN401 - whatever the command prints
        """Run the command and return the document that it prints."""
        return msgspec.json.decode(self.must(*words, "--json"))

    def refused(self, *words: str) -> str:
        """Run the command, which must be refused with a sentence."""
        assert self.gatewright(*words) == 1, self.out
        return self.err

    def write(self, text: str, name: str = "platform.toml") -> str:
        """Write a file and return its name; beside a platform with apps, their manifests."""
        if "[[apps]]" in text:
            shutil.copytree(EXAMPLE.parent / "apps", self.folder / "apps", dirs_exist_ok=True)
        (self.folder / name).write_text(text)
        return name

    def given(self, count: int) -> list[str]:
        """Let that many users give the client `web` all it asks for in the account `one`; return the ids of their grants."""

        async def giving() -> list[str]:
            async with Terminal(None).desk(None) as desk:
                tenant, at = desk.tenant.id, desk.clock.moment()
                client, account = await client_named(desk.store, tenant, "web"), await account_named(desk.store, tenant, "one")
                assert client is not None
                assert account is not None
                scopes = frozenset(client.terms.scopes)
                grants = Grants(desk.store)
                made = [
                    await grants.give(
                        at,
                        Giving(
                            tenant=tenant, client=client.id, source="user", actor="us_x", person=person, account=account.id, granted=scopes
                        ),
                    )
                    for person in range(1, count + 1)
                ]
                return [ids.show(ids.GRANT, grant.id) for grant in made]

        return asyncio.run(giving())

    def settled(self, text: str = SMALL) -> "Shell":
        """Make the root key and apply a platform."""
        self.must("keys", "init")
        self.must("apply", self.write(text))
        return self


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with inside(tmp_path):
        yield Shell(tmp_path)


@pytest.fixture
def example() -> str:
    return EXAMPLE.read_text()
