"""One act of management: who does it, in which tenant, when, and the transaction in which it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gatewright.audit.book import Act, Actor, record
from gatewright.base.moment import Moment
from gatewright.store.changes import announce

if TYPE_CHECKING:
    from gatewright.store import Tx

# What is kept in caches, by the kind under which its changes are announced. The subject is the row; 0 where the tenant is meant.
TENANT_KIND: Final = "tenant"
CATALOGUE_KIND: Final = "catalogue"
API_KIND: Final = "api"
CLIENT_KIND: Final = "client"


class Refused(Exception):
    """An act that the present state does not allow; the text is a sentence for whoever tried."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What every unit of management is handed."""

    tx: Tx
    at: Moment
    tenant: int
    actor: Actor
    _told: set[tuple[str, int]] = field(default_factory=set)

    @property
    def who(self) -> str:
        """Who does it, without the client and the address that it is done through."""
        return self.actor if isinstance(self.actor, str) else self.actor.actor

    async def note(self, act: Act, subject: str, **detail: object) -> None:
        """Write the act into the audit log."""
        await record(self.tx, self.at, tenant=self.tenant, actor=self.actor, act=act, subject=subject, detail=detail)

    async def announce(self, kind: str, subject: int = 0) -> None:
        """Tell every process that what it keeps of this is outdated; once in a transaction is enough."""
        if (kind, subject) in self._told:
            return
        self._told.add((kind, subject))
        await announce(self.tx, tenant=self.tenant, kind=kind, subject=subject, at=self.at.now)
