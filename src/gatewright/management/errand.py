"""What the function of an operation is handed: for whom it works, in which tenant, from where it reads and what it may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from gatewright.audit.book import By
from gatewright.audit.deed import Deed, Refused
from gatewright.base.change import Hit, HitClient
from gatewright.base.moment import Moment
from gatewright.oauth.catalogue import MANAGEMENT_IDS, MANAGEMENT_SCOPES, Catalogue

if TYPE_CHECKING:
    from gatewright.keys.sealer import Wrapper
    from gatewright.keys.signer import KeySigner
    from gatewright.oauth.ports import Sealer
    from gatewright.store import Store, Tx
    from gatewright.tenants.txt import Txt

_MANAGEMENT: Final = {scope.id: scope.name for scope in MANAGEMENT_SCOPES}
# Whoever may do it in every account may let others do it in theirs.
_COVERS: Final = {
    "gw:accounts:read": "gw:members:read",
    "gw:accounts:write": "gw:members:write",
    "gw:grants:read": "gw:access:read",
    "gw:grants:write": "gw:access:write",
    "gw:clients:read": "gw:client_secrets:read",
    "gw:clients:write": "gw:client_secrets:write",
}


class NotThere(Refused):
    """What an operation is about does not exist, as far as its caller may know; the text is a sentence."""


class NotHeld(Refused):
    """The caller would give away what he does not hold (`security-rules` 36); the text is a sentence."""


class Caller(Struct, frozen=True, kw_only=True):
    """Who acts, through what, from where, and with which rights."""

    actor: str
    client: str = ""
    address: str = ""
    held: frozenset[str] | None = None
    """The scopes of the management API that are held; None for the operator, who can read key and store."""
    account: int = 0
    """The account at which the rights end; 0 where they reach over the tenant."""
    gives: frozenset[int] = frozenset()
    """The scopes of APIs that are held in the account, and so may be given to others there."""

    @property
    def by(self) -> By:
        """The caller for the audit log."""
        return By(self.actor, self.client, self.address)


class Hasher(Protocol):
    """Makes slow digests outside of the loop."""

    async def make(self, password: str, salt: bytes) -> str:
        """Return the digest of a new password."""


class Tools(Protocol):
    """What work outside of a transaction may use."""

    @property
    def passwords(self) -> Hasher: ...
    @property
    def signer(self) -> KeySigner: ...
    @property
    def wrapper(self) -> Wrapper: ...
    @property
    def sealer(self) -> Sealer: ...
    @property
    def txt(self) -> Txt: ...
    @property
    def own_names(self) -> tuple[str, ...]: ...


@dataclass(slots=True)
class Errand:
    """One run of an operation."""

    source: Store | Tx
    """Where to read: in a change, its transaction."""
    at: Moment
    tenant: int
    caller: Caller
    tools: Tools
    doing: Deed | None = None
    prepared: object = None
    preview: bool = False
    hits: list[Hit] = field(default_factory=list)
    """Whom the change takes something from, where a preview asks."""
    hit_clients: list[HitClient] = field(default_factory=list)
    """The clients that are hit, where the caller may read the whole tenant."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """The body as it was sent: which keys were named."""

    @property
    def deed(self) -> Deed:
        """What the units of the rooms are handed; there is one in every change."""
        assert self.doing is not None  # noqa: S101 - only a GET has none
        return self.doing

    def may_give(self, scopes: Iterable[int], catalogue: Catalogue) -> None:
        """See that the caller holds what is about to be given to somebody.

        In the tenant, `gw:roles:write` and its like are the right to give what the tenant's own APIs define; scopes of management are
        given by those alone who hold them. At an account's door everything that is given must be held there.

        Raises:
            NotHeld: something is not.
        """
        held = self.caller.held
        if held is None:
            return
        wanted = catalogue.implied(frozenset(scopes))
        if not self.caller.account:
            held |= {_COVERS[name] for name in held & _COVERS.keys()}
        lacking = {number for number in wanted & MANAGEMENT_IDS if _MANAGEMENT[number] not in held}
        if self.caller.account:
            lacking |= wanted - self.caller.gives - MANAGEMENT_IDS
        if lacking:
            names = ", ".join(catalogue.names(frozenset(lacking)))
            raise NotHeld(f"nobody gives what he does not hold, and you do not hold {names}{' here' if self.caller.account else ''}")
