"""The keys of clients that publish them themselves (`jwks_uri`): kept, so that signing in costs no fetch, yet never for long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from gatewright.oauth.client_auth.private_key_jwt import client_keys
from gatewright.oauth.ports import FetchFailed
from gatewright_guard.jose import BadKey, KeySet

FRESH: Final = 600  # seconds for which keys are used without a look: a key that a client takes away works no longer than that
RETRY: Final = 60  # seconds between two looks, whatever anybody asks for
LAST_GOOD: Final = 86400  # seconds for which keys are used while their address does not answer
_KEPT: Final = 4096


class Documents(Protocol):
    """What fetches a JSON document."""

    async def json(self, url: str) -> object:
        """Return it, or raise `FetchFailed`."""


@dataclass(slots=True)
class _Kept:
    """What is known of one address. `tried_at` is the last look, whether it succeeded or not."""

    tried_at: int
    fetched_at: int = 0
    keys: KeySet | None = None


class RemoteFetch:
    """The `Fetch` port: documents as they are now, and keys as they were a little while ago."""

    def __init__(self, web: Documents) -> None:
        self._web = web
        self._kept: dict[str, _Kept] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}

    async def json(self, url: str) -> object:
        """Return a document; raises `FetchFailed` otherwise."""
        return await self._web.json(url)

    async def keys(self, url: str, kid: str | None, *, now: int) -> KeySet:
        """Return the keys at an address; raises `FetchFailed` when there are none that may still be used.

        A `kid` that is not among them makes us look again, at most once in a minute: the client may have a new key, and a stranger
        who invents names must not make us call it for each.
        """
        kept = self._kept.get(url)
        if kept is None or (_look_again(kept, kid, now) and (url in self._looking or now - kept.tried_at >= RETRY)):
            await self._look(url, now)
            kept = self._kept[url]
        if kept.keys is None or now - kept.fetched_at >= LAST_GOOD:
            raise FetchFailed("the keys could not be fetched a moment ago")
        return kept.keys

    async def _look(self, url: str, now: int) -> None:
        task = self._looking.get(url)
        if task is None:
            task = self._looking[url] = asyncio.create_task(self._fetch(url, now))
            task.add_done_callback(lambda done: self._looked(url, done))
        # The look is everybody's: one caller who goes away must not end it for the others.
        await asyncio.shield(task)

    def _looked(self, url: str, task: asyncio.Task[None]) -> None:
        self._looking.pop(url, None)
        if not task.cancelled():
            task.exception()  # where everybody has gone away, nobody else takes note of it

    async def _fetch(self, url: str, now: int) -> None:
        before = self._kept.pop(url, None)
        entry = _Kept(now) if before is None else _Kept(now, before.fetched_at, before.keys)
        while len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[url] = entry
        try:
            entry.keys = client_keys(await self._web.json(url))
            entry.fetched_at = now
        except (FetchFailed, BadKey) as fault:
            if entry.keys is None:
                raise FetchFailed(str(fault)) from fault


def _look_again(kept: _Kept, kid: str | None, now: int) -> bool:
    if kept.keys is None or now - kept.fetched_at >= FRESH:
        return True
    return kid is not None and all(key.kid != kid for key in kept.keys.keys)
