"""The audit log: `record` writes an entry inside the transaction of the act, `entries` lists them. Nothing changes one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.base import ids
from gatewright.base.mask import masked, names_secret
from gatewright.base.moment import Moment
from gatewright.store.following import Then
from gatewright.store.query import Query, Value

if TYPE_CHECKING:
    from gatewright.store.port import Store, Tx


class Act(StrEnum):
    """Everything that is audited; a closed list. What happens a thousand times a second is counted instead (`decisions` §6)."""

    TENANT_MADE = "tenant.made"
    TENANT_CHANGED = "tenant.changed"
    DOMAIN_ADDED = "domain.added"
    DOMAIN_REMOVED = "domain.removed"
    DOMAIN_CHANGED = "domain.changed"
    DOMAIN_CLAIMED = "domain.claimed"
    DOMAIN_CLAIM_DROPPED = "domain.claim_dropped"
    DOMAIN_VERIFIED = "domain.verified"
    DOMAIN_FAILING = "domain.failing"
    DOMAIN_LOST = "domain.lost"
    DOMAIN_FREED = "domain.freed"
    USER_MADE = "user.made"
    USER_CHANGED = "user.changed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_DELETED = "user.deleted"
    PASSWORD_SET = "password.set"
    PASSWORD_CHANGED = "password.changed"
    ACCOUNT_MADE = "account.made"
    ACCOUNT_CHANGED = "account.changed"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_DELETED = "account.deleted"
    MEMBERSHIP_MADE = "membership.made"
    MEMBERSHIP_ROLES_SET = "membership.roles_set"
    MEMBERSHIP_ENDED = "membership.ended"
    API_MADE = "api.made"
    API_CHANGED = "api.changed"
    API_DISABLED = "api.disabled"
    API_ENABLED = "api.enabled"
    SCOPE_MADE = "scope.made"
    SCOPE_CHANGED = "scope.changed"
    SCOPE_RENAMED = "scope.renamed"
    SCOPE_RETIRED = "scope.retired"
    ROLE_MADE = "role.made"
    ROLE_CHANGED = "role.changed"
    ROLE_RETIRED = "role.retired"
    CLIENT_MADE = "client.made"
    CLIENT_CHANGED = "client.changed"
    CLIENT_DISABLED = "client.disabled"
    CLIENT_ENABLED = "client.enabled"
    CLIENT_OWNER_SET = "client.owner_set"
    CLIENT_ACCESS_ENDED = "client.access_ended"
    APP_MADE = "app.made"
    APP_PUBLISHED = "app.published"
    APP_WITHDRAWN = "app.withdrawn"
    APP_OFFERED = "app.offered"
    APP_BLOCKED = "app.blocked"
    APP_UNBLOCKED = "app.unblocked"
    INSTALL_APPROVED = "install.approved"
    INSTALL_ACTIVATED = "install.activated"
    INSTALL_REPLACED = "install.replaced"
    INSTALL_UPDATED = "install.updated"
    INSTALL_HANDED_OVER = "install.handed_over"
    INSTALL_ENDED = "install.ended"
    SECRET_ADDED = "secret.added"
    SECRET_ENDED = "secret.ended"
    SECRET_EXPIRY_SET = "secret.expiry_set"
    SECRET_LEAKED = "secret.leaked"
    SECRET_READ = "secret.read"
    EVENT_SECRET_MADE = "event_secret.made"
    EVENT_SECRET_READ = "event_secret.read"
    EVENTS_DISABLED = "events.disabled"
    EVENTS_ENABLED = "events.enabled"
    EVENTS_REPLAYED = "events.replayed"
    EVENTS_TESTED = "events.tested"
    INSTALL_CLEANUP_OPENED = "install_cleanup.opened"
    INSTALL_CLEANUP_ENDED = "install_cleanup.ended"
    PLATFORM_APPLIED = "platform.applied"
    KEY_MADE = "key.made"
    KEY_ROTATED = "key.rotated"
    KEY_RETIRED = "key.retired"
    SIGNED_IN = "sign_in.done"
    SIGN_IN_FAILED = "sign_in.failed"
    SIGN_IN_THROTTLED = "sign_in.throttled"
    SESSION_ENDED = "session.ended"
    GRANT_MADE = "grant.made"
    GRANT_CHANGED = "grant.changed"
    GRANT_NARROWED = "grant.narrowed"
    GRANT_ENDED = "grant.ended"
    AUTHORIZATION_ENDED = "authorization.ended"
    CODE_REPLAYED = "code.replayed"
    DEVICE_ALLOWED = "device.allowed"
    DEVICE_DENIED = "device.denied"
    REFRESH_REPLAYED = "refresh.replayed"
    TOKEN_REVOKED = "token.revoked"
    WEAKNESS_USED = "weakness.used"


class Entry(Struct, frozen=True):
    """One act as it was written; `detail` is a JSON document, `at` seconds since 1970."""

    id: int
    tenant: int
    at: int
    actor: str
    act: str
    subject: str
    detail: str
    client: str = ""
    address: str = ""


class By(Struct, frozen=True):
    """Who does it, through which client, from which address; the latter two are "" where there are none."""

    actor: str
    client: str = ""
    address: str = ""


Actor = str | By

WRITE: Final = Query(
    None,
    """INSERT INTO audit (id, tenant, at, actor, act, subject, detail, client, address)
       SELECT :id, :tenant, :at, :actor, :act, :subject, :detail, :client, :address {each} WHERE true""",
    each={
        "id": int, "tenant": int, "at": int, "actor": str, "act": str, "subject": str, "detail": str, "client": str, "address": str,
    },
)  # fmt: skip
LIST: Final = Query(
    Entry,
    """SELECT id, tenant, at, actor, act, subject, detail, client, address FROM audit
        WHERE tenant = :tenant AND id < :before AND at >= :since AND at < :until
          AND (:act = '' OR act = :act) AND (:actor = '' OR actor = :actor) AND (:subject = '' OR subject = :subject)
          AND (:client = '' OR client = :client)
     ORDER BY id DESC LIMIT :count""",
)
NEWEST: Final = (1 << 63) - 1
# The filters of a listing, and what each is where everything is wanted: `before` an entry's id, `since` and `until` a time.
EVERYTHING: Final[Mapping[str, int | str]] = {
    "before": NEWEST, "since": 0, "until": NEWEST, "act": "", "actor": "", "subject": "", "client": "",
}  # fmt: skip


async def record(tx: Tx, at: Moment, *, tenant: int, actor: Actor, act: Act, subject: str, detail: Mapping[str, object]) -> None:
    """Write one entry in the transaction of the act that it tells of.

    Raises:
        ValueError: a field of `detail` is named like a secret.
    """
    entry = entry_of(at, tenant=tenant, actor=actor, act=act, subject=subject, detail=detail)
    await tx.do(entry.query, **entry.args)


def entry_of(at: Moment, *, tenant: int, actor: Actor, act: Act, subject: str, detail: Mapping[str, object]) -> Then:
    """Return an entry that is written beside a verb, in its transaction.

    `actor` (or its `By`) and `subject` are shown ids (`us_…`), client ids, or `os:NAME` at the terminal. Values that look like a
    secret are hidden; a field that names one is a mistake in our code.

    Raises:
        ValueError: a field of `detail` is named like a secret.
    """
    named = [name for name in detail if names_secret(name)]
    if named:
        raise ValueError(f"an audit entry may not hold {named[0]!r}")
    text = msgspec.json.encode(masked(detail)).decode()
    by = By(actor) if isinstance(actor, str) else actor
    args: dict[str, Value] = {
        "id": at.id(),
        "tenant": tenant,
        "at": at.now,
        "actor": _named(by.actor),
        "act": act.value,
        "subject": _named(subject),
        "detail": text,
        "client": _named(by.client),
        "address": by.address,
    }
    return Then(WRITE, args)


def _named(text: str) -> str:
    """Return who or what is meant, with anything that looks like a secret hidden; one of our own ids is looked at no further."""
    return text if not text or ids.shown(text) else str(masked(text))


async def entries(store: Store | Tx, tenant: int, *, count: int = 50, **wanted: int | str) -> list[Entry]:
    """Return the newest entries of a tenant that have what is `wanted` (a filter of `EVERYTHING` each), newest first."""
    return await store.all(LIST, tenant=tenant, count=count, **{**EVERYTHING, **wanted})
