"""Does an operation: checks what came, runs its function, in one transaction where it changes something, and says what came of it.

The management API, the terminal and the console all come through here, so that none of them can do what another cannot, and each refuses
with the same words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec
from msgspec import Struct, structs

from gatewright.audit.deed import Deed, Refused
from gatewright.audit.repeats import claim, keep
from gatewright.base.calendar import stamp
from gatewright.base.change import Detail, Hit, details, flat
from gatewright.base.check import Fault, Faults, check
from gatewright.base.digest import b64
from gatewright.base.mask import masked
from gatewright.base.operation import Operation, Paged
from gatewright.management.errand import Caller, Errand, NotThere, Tools
from gatewright.management.names import account_at

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.store import Store, Tx

LONGEST_KEY: Final = 255  # characters of an Idempotency-Key
ANY: Final = "*"
_BY_ITSELF: Final = frozenset({"changed_at"})  # what changes with every change tells nothing of it


class Outdated(Refused):
    """The record is not the one that the caller saw (RFC 9110 §13.1.1); the text is a sentence."""


class Unguarded(Refused):
    """The caller must say which state of the record is to be changed (RFC 6585 §3); the text is a sentence."""


class OtherRequest(Refused):
    """The Idempotency-Key was used for another request; the text is a sentence."""


class Vault(Protocol):
    """Seals the answers that are kept; `half` is what nobody but the caller has."""

    def mac(self, tenant: int, message: bytes) -> str: ...
    def seal(self, tenant: int, name: str, half: str, plain: bytes, *, nonce: bytes) -> str: ...
    def unseal(self, tenant: int, name: str, half: str, sealed: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Office:
    """What everybody's errands share: the store, the present moment, the tenant, who asks, and what slow work may use."""

    store: Store
    at: Moment
    tenant: int
    caller: Caller
    tools: Tools
    vault: Vault | None = None
    """Where answers are kept; none at the terminal, where nothing comes twice."""


class Asked(Struct, frozen=True, kw_only=True):
    """What came: places and filters, a document where there is a body, and how it is to be done."""

    where: Mapping[str, Any] = {}
    body: Any = None
    if_match: tuple[str, ...] = ()
    key: str = ""
    """The Idempotency-Key."""
    preview: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of it: a record, a page of them with where the next goes on, or a preview."""

    value: Any = None
    etag: str = ""
    next: str = ""
    replayed: bool = False


class TouchedClient(Struct, frozen=True, kw_only=True):
    """A client that may ask for what changes: how many of its live grants lose something, and when it was last used (RFC 3339)."""

    client: str
    grants: int
    last_used: str | None


class Preview(Struct, frozen=True, kw_only=True):
    """What a change would do; nothing was changed."""

    operation: str
    changes: tuple[Detail, ...] = ()
    """What the record would say and what it says; None stands for nothing."""
    hits: tuple[Hit, ...] = ()
    """Whom it takes something from."""
    clients: tuple[TouchedClient, ...] = ()
    """The clients with the most to lose, where the caller may read the whole tenant."""


class _Undone(Exception):
    """Carries a preview out of the transaction, which is rolled back behind it."""

    def __init__(self, preview: Preview) -> None:
        super().__init__()
        self.preview = preview


async def perform(operation: Operation, asked: Asked, office: Office) -> Outcome:
    """Do an operation, or tell what it would do.

    Raises:
        Faults: everything that is wrong with what came.
        Refused: with a sentence for the caller; its subclasses say of which kind.
    """
    where, body = _taken(operation, asked)
    errand = _errand(office, office.store)
    if office.caller.account:
        await _own_account(operation, errand, where)
    if not operation.changes:
        return await _looked(operation, errand, where)
    if operation.careful and not asked.if_match:
        raise Unguarded("say in If-Match which state of the record is to be changed: the ETag of the answer that showed it")
    prepared = await operation.prepare(errand, where, body) if operation.prepare is not None else None
    if operation.alone:
        return Outcome(value=await _run(operation, errand, where, body))

    async def unit(tx: Tx) -> Outcome:
        return await _changed(operation, asked, office, _errand(office, tx, prepared, preview=asked.preview), where, body)

    try:
        return await office.store.run(unit)
    except _Undone as undone:
        return Outcome(value=undone.preview)


def stream(operation: Operation, asked: Asked, office: Office) -> AsyncIterator[Struct]:
    """Return the records of an operation that gives lines, one after the other.

    Raises:
        Faults: everything that is wrong with what came.
    """
    where, _ = _taken(operation, asked)
    return cast("AsyncIterator[Struct]", operation.run(_errand(office, office.store), where))


def etag_of(record: object) -> str:
    """Return the strong entity tag of a record (RFC 9110 §8.8.3): equal for equal records alone."""
    return f'"{b64(sha256(msgspec.json.encode(record)).digest()[:15])}"'


def _taken(operation: Operation, asked: Asked) -> tuple[Struct, Struct | None]:
    wrong = list(check(asked.where, operation.where))
    if operation.body is not None:
        wrong += check(asked.body, operation.body)
    elif asked.body is not None:
        wrong.append(Fault("", "this operation takes no body", "send none"))
    if wrong:
        raise Faults(tuple(wrong))
    body = None if operation.body is None else msgspec.convert(asked.body, operation.body)
    return msgspec.convert(asked.where, operation.where), body


def _errand(office: Office, source: Store | Tx, prepared: object = None, *, preview: bool = False) -> Errand:
    deed = None if source is office.store else Deed(cast("Tx", source), office.at, office.tenant, office.caller.by)
    return Errand(source, office.at, office.tenant, office.caller, office.tools, deed, prepared, preview)


async def _own_account(operation: Operation, errand: Errand, where: Struct) -> None:
    shown = getattr(where, "account", None)
    if not operation.delegated or not isinstance(shown, str):
        raise NotThere("this operation is for those alone whose rights reach over the whole tenant")
    await account_at(errand, shown)


async def _looked(operation: Operation, errand: Errand, where: Struct) -> Outcome:
    if not operation.many:
        record = await _run(operation, errand, where, None)
        return Outcome(value=record, etag=etag_of(record))
    if not isinstance(where, Paged):
        return Outcome(value=await _run(operation, errand, where, None))
    found = await _run(operation, errand, structs.replace(where, count=where.count + 1), None)
    page = found[: where.count]
    return Outcome(value=page, next=str(getattr(page[-1], operation.key)) if len(found) > len(page) else "")


async def _run(operation: Operation, errand: Errand, where: Struct, body: Struct | None) -> Any:  # noqa: ANN401 - each gives its own
    asked = (errand, where) if operation.body is None else (errand, where, body)
    return await cast("Awaitable[Any]", operation.run(*asked))


async def _changed(operation: Operation, asked: Asked, office: Office, errand: Errand, where: Struct, body: Struct | None) -> Outcome:
    """The unit: what is decided here is decided on what this transaction sees."""
    vault = office.vault
    named = _name(operation, asked, office)
    if named and vault is not None:
        request = vault.mac(office.tenant, _request(operation, asked))
        kept = await claim(errand.deed.tx, name=named, tenant=office.tenant, request=request, now=office.at.now)
        if kept is not None:
            if kept.request != request:
                raise OtherRequest("this Idempotency-Key came with another request before: take a new one for each")
            return _again(vault.unseal(office.tenant, named, asked.key, kept.answer))
    before = await operation.find(errand, where) if operation.find is not None else None
    if asked.if_match and ANY not in asked.if_match and etag_of(before) not in asked.if_match:
        raise Outdated("the record was changed since: read it again, and change what it is now")
    errand.given = asked.body if isinstance(asked.body, Mapping) else {}
    if asked.preview and operation.impact is not None:
        errand.hits.extend(await operation.impact(errand, where, body, before))
    after = await _run(operation, errand, where, body)
    if asked.preview:
        raise _Undone(_told(operation, before, after, errand))
    outcome = Outcome(value=after, etag=etag_of(after) if operation.find is not None and after is not None else "")
    if named and vault is not None:
        answer = msgspec.json.encode({"value": after, "etag": outcome.etag})
        sealed = vault.seal(office.tenant, named, asked.key, answer, nonce=office.at.dice.bytes(12))
        await keep(errand.deed.tx, name=named, tenant=office.tenant, answer=sealed)
    return outcome


def _name(operation: Operation, asked: Asked, office: Office) -> str:
    """Return the name under which the answer is kept: another caller's key of the same text is another key."""
    if not asked.key or asked.preview:
        return ""
    who = office.caller
    return b64(sha256(f"repeat\0{office.tenant}\0{who.actor}\0{who.client}\0{asked.key}".encode()).digest())


def _request(operation: Operation, asked: Asked) -> bytes:
    return msgspec.json.encode([operation.name, asked.where, asked.body], order="sorted")


def _again(answer: bytes) -> Outcome:
    kept = msgspec.json.decode(answer)
    return Outcome(value=kept["value"], etag=kept["etag"], replayed=True)


def _told(operation: Operation, before: Struct | None, after: object, errand: Errand) -> Preview:
    old, new = _document(before), _document(after)
    same_kind = before is None or after is None or type(before) is type(after)
    changes = [one for one in (details(old, new) if same_kind else details({}, new)) if one.key not in _BY_ITSELF]
    # A secret that a preview made is never seen: the row it would open is rolled back.
    hidden = cast("dict[str, Any]", masked({one.key: one.after for one in changes}))
    shown = tuple([Detail(one.key, one.before, hidden[one.key]) for one in changes])
    clients = [
        TouchedClient(client=one.client_id, grants=one.grants, last_used=None if one.last_used is None else stamp(one.last_used))
        for one in errand.hit_clients
    ]
    hits = tuple([hit for hit in errand.hits if hit.count])
    return Preview(operation=operation.name, changes=shown, hits=hits, clients=tuple(clients))


def _document(record: object) -> dict[str, Any]:
    if record is None:
        return {}
    return flat(cast("dict[str, Any]", msgspec.to_builtins(record)))
