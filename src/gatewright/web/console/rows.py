"""A page of the console as a row: its address, the operations that it may ask for, and the functions that show it and act on it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatewright.web.pages.page import PageReply

if TYPE_CHECKING:
    from gatewright.web.console.desk import Desk

START: Final = "/-/console"
APIS: Final = f"{START}/apis"
CLIENTS: Final = f"{START}/clients"
ACCESS: Final = f"{START}/access"
REFUSALS: Final = f"{START}/refusals"
LOG: Final = f"{START}/log"

Show = Callable[["Desk"], Awaitable[PageReply]]


@dataclass(frozen=True, slots=True)
class Room:
    """A room of the console: what it is called, where it is, and the operation whose scope opens it ("" for any of management)."""

    name: str
    path: str
    opened_by: str


ROOMS: Final = (
    Room("Overview", START, ""),
    Room("APIs", APIS, "apis.list"),
    Room("Clients", CLIENTS, "clients.list"),
    Room("Access", ACCESS, "grants.list"),
    Room("Refusals", REFUSALS, "decision"),
    Room("Audit log", LOG, "audit.list"),
)
ROOM_AT: Final = {room.path: room for room in ROOMS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePage:
    """One page. Its address is that of its room, or below it with `tail`, whose group `name` is what the page is about.

    `asks` are the operations that it may have done: the scope of the first opens it. An act is one that changes something.
    """

    room: str
    show: Show
    asks: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Operations that it has done besides, for those alone who may: for others it says less."""
    tail: str = ""
    act: Show | None = None
    fresh: bool = False
    """Whether it is for somebody who has just signed in, whatever the session is good for elsewhere (`security-rules` 46)."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """Its addresses."""
        return re.compile(re.escape(self.room) + self.tail)
