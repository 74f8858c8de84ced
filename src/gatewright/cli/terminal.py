"""What every command shares: the settings, the store, how it prints, and a sentence instead of a traceback.

Exit status: 0 done; 1 refused, the sentence says why; 2 wrong use; 3 the deployment cannot be reached or read;
141 nobody read on.
"""

from __future__ import annotations

import functools
import getpass
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from gatewright.audit.deed import Deed
    from gatewright.base.moment import Clock
    from gatewright.keys.sealer import Wrapper
    from gatewright.keys.signer import KeySigner
    from gatewright.management.perform import Office
    from gatewright.oauth.ports import Sealer
    from gatewright.settings import Loaded
    from gatewright.store import Store, Tx
    from gatewright.tenants.records import TenantRow
    from gatewright.tenants.txt import Txt

P = ParamSpec("P")
T = TypeVar("T")

REFUSED: Final = 1
UNREACHABLE: Final = 3
CUT_OFF: Final = 128 + signal.SIGPIPE  # as a shell shows programs that the signal ended

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
tenant_option = click.option("--tenant", help="The tenant's slug; not needed where there is one tenant.")


@dataclass(frozen=True, slots=True)
class Desk:
    """An open store, one tenant of it, and who sits in front of it."""

    store: Store
    clock: Clock
    tenant: TenantRow
    actor: str

    async def act(self, unit: Callable[[Deed], Awaitable[T]]) -> T:
        """Run an act of management in one transaction."""
        from gatewright.audit.deed import Deed

        at = self.clock.moment()

        async def in_transaction(tx: Tx) -> T:
            return await unit(Deed(tx, at, self.tenant.id, self.actor))

        return await self.store.run(in_transaction)


class Terminal:
    """One run of the command."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._options: dict[str, object] = {}

    @property
    def names_a_file(self) -> bool:
        """Whether the settings file was named on the command line."""
        return self._file is not None

    def given(self, **options: object) -> None:
        """Take options of the command in the place of settings; a name's `__` stands for its dot, None for nothing given."""
        self._options |= {name.replace("__", "."): value for name, value in options.items()}

    def load(self) -> Loaded:
        """Return the settings."""
        from gatewright.settings import load

        return load(os.environ, file=self._file, options=self._options)

    @asynccontextmanager
    async def store(self, *, prepared: bool = False, talkative: bool = False) -> AsyncIterator[tuple[Store, Clock]]:
        """Open the store; `prepared` makes it and its schema where need be, and sees that the root key is its own.

        `talkative` has each step of that told.
        """
        from gatewright.app import open_the_store, prepare
        from gatewright.base.log import Level, Log
        from gatewright.base.moment import SystemClock

        loaded, clock = self.load(), SystemClock()
        if prepared:
            await prepare(loaded, clock, Log(clock, level=Level.INFO if talkative else Level.WARNING))
        elif not exists(loaded):
            raise Missing(f"there is no store at {loaded.store_url}: `gatewright init` or `gatewright apply FILE` makes one")
        store = await open_the_store(loaded, os.environ)
        try:
            yield store, clock
        finally:
            await store.close()

    def wrapper(self) -> Wrapper:
        """Return what encrypts secrets that can be read again, under the root key."""
        from gatewright.app import root_key
        from gatewright.keys.sealer import Wrapper

        return Wrapper(root_key(self.load(), os.environ))

    @asynccontextmanager
    async def desk(self, tenant: str | None) -> AsyncIterator[Desk]:
        """Open the store for one of its tenants."""
        async with self.store() as (store, clock):
            yield Desk(store, clock, await the_tenant(store, tenant), operator())

    @asynccontextmanager
    async def office(self, tenant: str | None) -> AsyncIterator[Office]:
        """Open the store for operations on one of its tenants; who can read it may do everything (`decisions` §8)."""
        from gatewright.management.errand import Caller
        from gatewright.management.perform import Office

        async with self.store() as (store, clock):
            row = await the_tenant(store, tenant)
            yield Office(store, clock.moment(), row.id, Caller(actor=operator()), LateTools(self, store, clock))


class LateTools:
    """The `Tools` of operations at the terminal, each made when it is needed: most acts need no root key."""

    def __init__(self, terminal: Terminal, store: Store, clock: Clock) -> None:
        self._terminal = terminal
        self._store = store
        self._clock = clock

    @property
    def passwords(self) -> LateTools:
        """What makes slow digests."""
        return self

    async def make(self, password: str, salt: bytes) -> str:
        """Return the digest of a new password; nobody else waits at a terminal."""
        from gatewright.users.passwords import digest_of

        return digest_of(password, salt)

    @property
    def signer(self) -> KeySigner:
        """The signing keys, under the root key."""
        from gatewright.keys.signer import KeySigner

        return KeySigner(self._store, self._clock, self.wrapper, lambda: False)

    @property
    def wrapper(self) -> Wrapper:
        """What encrypts secrets that can be read again."""
        return self._terminal.wrapper()

    @property
    def sealer(self) -> Sealer:
        """What proofs of domains are made with."""
        from gatewright.app import root_key
        from gatewright.keys.sealer import RootSealer

        return RootSealer(root_key(self._terminal.load(), os.environ))

    @property
    def txt(self) -> Txt:
        """What asks the domain name system."""
        from gatewright.app import txt_records

        return txt_records(self._terminal.load())

    @property
    def own_names(self) -> tuple[str, ...]:
        """The deployment's own names."""
        return self._terminal.load().settings.domains.own


class Missing(Exception):
    """What the command needs is not there; the text is a sentence."""


def exists(loaded: Loaded) -> bool:
    """Tell whether the store is there, as far as this machine can see."""
    from urllib.parse import unquote, urlsplit

    url = loaded.store_url
    return not url.startswith("sqlite:") or Path(unquote(urlsplit(url).path)).exists()


def operator() -> str:
    """Return who sits at the terminal, as the audit log names them (`decisions` §8)."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"os:{os.getuid()}"


async def the_tenant(store: Store, slug: str | None) -> TenantRow:
    """Return the tenant that was named, or the only one.

    Raises:
        Refused: there is none, or there are several.
    """
    from gatewright.audit.deed import Refused
    from gatewright.base.check import choice
    from gatewright.tenants.book import EVERY, tenant_named

    if slug is not None:
        found = await tenant_named(store, slug)
        if found is None:
            known = [row.slug for row in await store.all(EVERY, after=0, count=50)]
            raise Refused(f'there is no tenant "{slug}"; {choice(slug, known)}')
        return found
    rows = await store.all(EVERY, after=0, count=2)
    if not rows:
        raise Refused("there is no tenant yet: `gatewright apply FILE` or `gatewright init` makes one")
    if len(rows) > 1:
        raise Refused("there are several tenants: name one with --tenant")
    return rows[0]


def told(command: Callable[P, T]) -> Callable[P, T]:
    """Print a sentence, and no traceback, when a command fails for a reason that its user can mend."""
    return _telling(command, "; nothing was changed")


def looked(command: Callable[P, T]) -> Callable[P, T]:
    """Do the same for a command that changes nothing in any case, and does not boast of it."""
    return _telling(command, "")


def _telling(command: Callable[P, T], comfort: str) -> Callable[P, T]:
    @functools.wraps(command)
    def telling(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:
            # Whoever read has enough, as `head` does. What is flushed on the way out would break once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(CUT_OFF)
        except Exception as error:
            status = _status(error)
            if status is None:
                raise
            _complain(error, comfort, as_json=bool(kwargs.get("as_json")))
            sys.exit(status)

    return telling


def _status(error: Exception) -> int | None:
    """Return the exit status for an error that is a sentence; None for one that is a fault of ours."""
    from gatewright.audit.deed import Refused
    from gatewright.base.check import Faults
    from gatewright.base.source import SourceFault
    from gatewright.keys.root import KeyFault
    from gatewright.store import BadQuery, StoreError

    if isinstance(error, Faults | Refused | SourceFault):
        return REFUSED
    if isinstance(error, KeyFault | Missing | OSError) or (isinstance(error, StoreError) and not isinstance(error, BadQuery)):
        return UNREACHABLE
    return None


def _complain(error: Exception, comfort: str, *, as_json: bool) -> None:
    from gatewright.base.check import Faults

    if isinstance(error, Faults):
        if as_json:
            from gatewright.platform.show import faults_document

            print_json(faults_document(error.faults))
            return
        for fault in error.faults:
            click.echo(str(fault), err=True)
        count = len(error.faults)
        click.echo(f"Error: {count} fault{'s' if count > 1 else ''}{comfort}", err=True)
        return
    sentence = _sentence(error)
    if as_json:
        print_json({"error": sentence})
    else:
        click.echo(f"Error: {sentence}", err=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}"
    return str(error)


def run(work: Awaitable[T]) -> T:
    """Wait for a command's work."""
    import asyncio

    async def main() -> T:
        return await work

    return asyncio.run(main())


def print_json(document: object) -> None:
    """Print a JSON document."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def say(sentence: str, document: Mapping[str, object], *, as_json: bool) -> None:
    """Print what was done, as a sentence or as a document."""
    if as_json:
        print_json(document)
    else:
        click.echo(sentence)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """Print rows in columns as wide as they need to be."""
    texts = [[printable(cell) for cell in row] for row in rows]
    if not texts:
        click.echo(nothing)
        return
    widths = [max(len(row[place]) for row in [list(heads), *texts]) for place in range(len(heads))]
    for row in [list(heads), *texts]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def printable(cell: object) -> str:
    """Return a value as a terminal may show it."""
    # What others chose is shown without the power to move the cursor or to colour the terminal.
    return "".join(char if char.isprintable() else "?" for char in ("" if cell is None else str(cell)))


def show_rows(heads: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool, nothing: str = "") -> None:
    """Print records as JSON, or as a table of the columns named."""
    if as_json:
        print_json(rows)
    else:
        print_table(heads, [[_joined(row[head]) for head in heads] for row in rows], nothing)


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
