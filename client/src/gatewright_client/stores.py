"""Where tokens are kept between renewals."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from gatewright_client.tokens import Tokens


class Store(Protocol):
    """Keeps the tokens of one source. `save` returns when they would outlast a crash; only then are they used."""

    def load(self) -> Tokens | None:
        """What was saved last."""

    def save(self, tokens: Tokens) -> None:
        """Keep these instead."""

    def alone(self) -> AbstractContextManager[None]:
        """While this is held nobody else who shares the store renews; loading and saving happen inside."""


class Memory:
    """Keeps tokens for the life of the process."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()

    def load(self) -> Tokens | None:
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._lock:
            yield


class Callbacks:
    """Keeps tokens wherever two functions of yours do: a row of a database, a secrets manager.

    `alone` is a lock of theirs, if several processes share the place; without one only the threads of this process wait for each other.
    """

    def __init__(
        self,
        load: Callable[[], Tokens | None],
        save: Callable[[Tokens], None],
        alone: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._load = load
        self._save = save
        self._alone = alone
        self._lock = threading.Lock()

    def load(self) -> Tokens | None:
        return self._load()

    def save(self, tokens: Tokens) -> None:
        self._save(tokens)

    @contextmanager
    def alone(self) -> Iterator[None]:
        if self._alone is None:
            with self._lock:
                yield
        else:
            with self._alone():
                yield
