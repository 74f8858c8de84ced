"""Where a program's access token comes from: kept while it is good, renewed by one at a time, saved before it is used.

However many threads and tasks want a token, one request goes out. It runs in a thread of its own, so that nobody who gives up
waiting can cut it off between the server's answer and the saving of it: a rotated refresh token would be lost with it.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, Self

import msgspec

from gatewright_client.errors import ClientFault, Refused, SignInNeeded, Unavailable
from gatewright_client.server import CLIENT_CREDENTIALS, Server
from gatewright_client.stores import Memory, Store
from gatewright_client.tokens import Tokens

_EARLY: Final = 60.0
_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 300.0

Obtain = Callable[[Tokens | None], Tokens]
"""What makes new tokens, given those that were kept."""


class TokenSource:
    """Gives access tokens for one API. Threads share it, and so do the tasks of any asyncio loop.

    Made by `client_credentials`, `refreshing` or `fixed`. A token is renewed `early` seconds before its end.
    """

    def __init__(self, obtain: Obtain, store: Store, clock: Callable[[], float], *, whose: str) -> None:
        self._obtain = obtain
        self._store = store
        self._clock = clock
        self._whose = whose
        self._lock = threading.Lock()
        self._kept: Tokens | None = None
        self._flight: Future[Tokens] | None = None
        self._hold: tuple[float, ClientFault] | None = None

    # ---------------------------------------------------------------- kinds

    @classmethod
    def client_credentials(
        cls,
        server: Server,
        *,
        scope: str = "",
        resource: str | None = None,
        account: str | None = None,
        store: Store | None = None,
        early: float = _EARLY,
    ) -> Self:
        """A service that acts for itself (RFC 6749 §4.4), at one API (RFC 8707), in one account if it has several."""
        form = {"grant_type": CLIENT_CREDENTIALS} | _named(scope=scope, resource=resource, account=account)

        def obtain(_: Tokens | None) -> Tokens:
            # What this grant gives can be had again at any time, so a refresh token would be one secret more to lose (§4.4.3).
            return msgspec.structs.replace(server.obtain(form, early=early), refresh_token=None)

        return cls(obtain, store or Memory(), server.clock, whose=server.whose_by(form))

    @classmethod
    def refreshing(cls, server: Server, store: Store, *, scope: str = "", resource: str | None = None, early: float = _EARLY) -> Self:
        """Whoever signed in, for as long as the refresh token in the store lives (RFC 6749 §6)."""
        renewal = _Renewal(server, store, _named(scope=scope, resource=resource), early)
        return cls(renewal, store, server.clock, whose=server.whose(resource))

    @classmethod
    def fixed(cls, token: str) -> Self:
        """One token that came from elsewhere and cannot be renewed."""

        def obtain(_: Tokens | None) -> Tokens:
            raise SignInNeeded("the API takes the given token no longer, and there is no way to renew it")

        return cls(obtain, Memory(Tokens(access_token=token)), lambda: 0.0, whose="")

    # ---------------------------------------------------------------- tokens

    def token(self) -> str:
        """A token that is good for now.

        Raises:
            SignInNeeded: nobody is signed in any more.
            Refused: the server said no.
            Unavailable: the server cannot be asked, and the last token has ended.
            StoreFault: new tokens could not be saved, so they are not used.
        """
        kept = self._usable(None)
        return (self._take_off(None).result() if kept is None else kept).access_token

    def renewed(self, refused: str) -> str:
        """A token other than the one that the API just refused, which others may have fetched already. It raises what `token` does."""
        kept = self._usable(refused)
        tokens = self._take_off(refused).result() if kept is None else kept
        # A flight that was under way already may have had no reason to doubt the token.
        return (self._take_off(refused).result() if tokens.access_token == refused else tokens).access_token

    async def token_async(self) -> str:
        """What `token` gives, without holding up the loop."""
        kept = self._usable(None)
        return (await asyncio.wrap_future(self._take_off(None)) if kept is None else kept).access_token

    async def renewed_async(self, refused: str) -> str:
        """What `renewed` gives, without holding up the loop."""
        kept = self._usable(refused)
        tokens = await asyncio.wrap_future(self._take_off(refused)) if kept is None else kept
        return (await asyncio.wrap_future(self._take_off(refused)) if tokens.access_token == refused else tokens).access_token

    def adopt(self, tokens: Tokens) -> None:
        """Go on with the tokens of a new sign-in; they are saved first.

        Raises:
            ValueError: they are of another issuer, client or API.
        """
        if tokens.whose != self._whose:
            raise ValueError(f"these tokens are of {tokens.whose!r}, and this source is for {self._whose!r}")
        with self._store.alone():
            self._store.save(tokens)
            self._kept, self._hold = tokens, None

    # ---------------------------------------------------------------- one flight for all

    def _usable(self, refused: str | None) -> Tokens | None:
        """What is kept, if it need not be renewed, or cannot be at the moment and still lives."""
        kept, hold, now = self._kept, self._hold, self._clock()
        if kept is None or kept.access_token == refused:
            return None
        held = hold is not None and now < hold[0] and kept.alive(now)
        return kept if held or kept.fresh(now) else None

    def _take_off(self, refused: str | None) -> Future[Tokens]:
        """The flight that is under way, or a new one."""
        with self._lock:
            if self._flight is not None:
                return self._flight
            flight: Future[Tokens] = Future()
            flight.set_running_or_notify_cancel()  # from here on who stops waiting cannot cancel it for the others
            if (kept := self._usable(refused)) is not None:
                flight.set_result(kept)
            elif self._hold is not None and self._clock() < self._hold[0]:
                flight.set_exception(self._hold[1])
            else:
                threading.Thread(target=self._fly, args=(flight, refused), name="gatewright-client").start()
                self._flight = flight  # it cannot land before we let go of the lock
            return flight

    def _fly(self, flight: Future[Tokens], refused: str | None) -> None:
        tokens, fault = None, None
        try:
            # What is kept changes only while the store is held, so that it and the store agree on which tokens are the last.
            with self._store.alone():
                tokens = self._kept = self._next(refused)
        except BaseException as raised:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            fault = raised
        with self._lock:
            self._flight = None
        if tokens is not None:
            flight.set_result(tokens)
        else:
            flight.set_exception(fault)

    def _next(self, refused: str | None) -> Tokens:
        """New tokens that are saved, or those of before, if they still live and there are no others at the moment."""
        kept = self._mine(self._store.load())
        now = self._clock()
        if kept is not None and kept.access_token != refused and kept.fresh(now):
            return kept  # another process was first
        try:
            new = self._obtain(kept)
        except (Unavailable, Refused) as fault:
            lives = kept is not None and kept.access_token != refused and kept.alive(now) and _temporary(fault)
            self._hold = self._holding(fault, at_least=_PAUSE if lives else 0.0)
            if kept is None or not lives:
                raise
            return kept
        # The order is the promise: what is lost in a crash was never used, and the old refresh token is still there to ask again.
        if new is not kept:
            self._store.save(new)
        self._hold = None
        return new

    def _mine(self, tokens: Tokens | None) -> Tokens | None:
        return None if tokens is None or tokens.whose != self._whose else tokens

    def _holding(self, fault: Unavailable | Refused, *, at_least: float) -> tuple[float, ClientFault] | None:
        pause = min(max(fault.retry_after or 0.0, at_least), _LONGEST_PAUSE)
        return (self._clock() + pause, fault) if pause else None


class _Renewal:
    """Buys new tokens with the refresh token that is kept."""

    def __init__(self, server: Server, store: Store, more: Mapping[str, str], early: float) -> None:
        self._server = server
        self._store = store
        self._more = more
        self._early = early
        self._dead: tuple[str, Refused] | None = None

    def __call__(self, kept: Tokens | None) -> Tokens:
        if kept is None:
            raise SignInNeeded("nobody is signed in")
        if kept.refresh_token is None:
            raise SignInNeeded("the access token has ended, and the server gave no refresh token with it")
        if self._dead is not None and self._dead[0] == kept.refresh_token:
            raise SignInNeeded(f"the sign-in has ended: {self._dead[1]}") from self._dead[1]
        try:
            return self._ask(kept.refresh_token)
        except Refused as fault:
            if fault.error != "invalid_grant":
                raise
            # In a store that cannot be locked another one may have been first.
            now = self._store.load()
            if now is not None and now.whose == kept.whose and now.refresh_token != kept.refresh_token:
                return now
            self._dead = (kept.refresh_token, fault)
            raise SignInNeeded(f"the sign-in has ended: {fault}") from fault

    def _ask(self, refresh_token: str) -> Tokens:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **self._more}
        try:
            new = self._server.obtain(form, early=self._early)
        except Unavailable as fault:
            if fault.answered:
                raise
            # The answer was lost, perhaps with the next refresh token in it. Servers give the same one again for a short while, so at once,
            # whatever a gateway says of when to come back.
            new = self._server.obtain(form, early=self._early)
        return new if new.refresh_token is not None else msgspec.structs.replace(new, refresh_token=refresh_token)


def _temporary(fault: Unavailable | Refused) -> bool:
    return isinstance(fault, Unavailable) or fault.temporary


def _named(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
