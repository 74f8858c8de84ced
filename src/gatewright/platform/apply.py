"""Plan and apply: read, examine, compare; then, for an apply, make it true in one transaction that finds the same differences again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act
from gatewright.audit.deed import Deed
from gatewright.base import ids
from gatewright.base.calendar import day
from gatewright.base.check import Faults
from gatewright.base.moment import Moment
from gatewright.base.secret import Secret
from gatewright.base.toml import Path as Keys
from gatewright.clients.rules import SHORT_SECRET, weaknesses
from gatewright.keys.sealer import Wrapper
from gatewright.market.manifest import Manifest
from gatewright.platform.apps import app_steps
from gatewright.platform.client_steps import client_steps
from gatewright.platform.current import Current, load
from gatewright.platform.definition import api_steps, role_steps, tenant_steps
from gatewright.platform.hits import counted, retiring
from gatewright.platform.naming import by_present_names
from gatewright.platform.people import account_steps, user_steps
from gatewright.platform.present import named_settings
from gatewright.platform.pruning import left_over, prune_steps
from gatewright.platform.reading import Reading
from gatewright.platform.rules import examine
from gatewright.platform.steps import ASKED_AGAIN, Change, MadeSecret, Names, SlowWork, Step, Unprepared, Work
from gatewright.platform.terms import client_terms, tenant_policy
from gatewright.store import NotUnique, Query, StoreBusy
from gatewright.tenants.book import held_when_released
from gatewright.tenants.records import HOLD
from gatewright.tenants.rules import parse_origin

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

_TRIES: Final = 5
_REMEMBER: Final = Query(
    None,
    """INSERT INTO applied (id, tenant, kind, name) VALUES (:id, :tenant, :kind, :name)
       ON CONFLICT (tenant, kind, name) DO NOTHING""",
)
_FORGET: Final = Query(None, "DELETE FROM applied WHERE tenant = :tenant AND kind = :kind AND name = :name")


class Plan(Struct, frozen=True):
    """What an apply would do, whom it would hit, and what the reader should know besides."""

    tenant: str
    changes: tuple[Change, ...]
    notices: tuple[str, ...]

    @property
    def ends_access(self) -> bool:
        """Whether somebody loses something."""
        return any(change.sign == "-" or any(hit.what != ASKED_AGAIN for hit in change.hits) for change in self.changes)


class Applied(Struct, frozen=True):
    """What an apply did, and the secrets that it made; they are shown once."""

    plan: Plan
    secrets: tuple[MadeSecret, ...] = ()


@dataclass(slots=True)
class _Job:
    """One file on its way: what it says, the secrets that it names, slow digests, the id that a new tenant gets."""

    reading: Reading
    at: Moment
    actor: str
    new_tenant: int
    slow: SlowWork
    secrets: dict[Keys, Secret]
    manifests: dict[str, Manifest]

    def steps(self, current: Current) -> list[Step]:
        """Return what is to be done, in its order."""
        assert self.reading.tenant is not None  # noqa: S101 - without a tenant there are faults
        reading = by_present_names(self.reading, current)
        found = [
            *tenant_steps(self.reading.tenant, current),
            *api_steps(reading, current, self.secrets),
            *role_steps(reading, current),
            *account_steps(reading, current),
            *user_steps(reading, current, self.secrets, self.slow),
            *client_steps(reading, current, self.secrets, self.slow),
            *app_steps(reading, current, self.manifests, self.secrets, self.slow),
        ]
        return found + (list(prune_steps(reading, current)) if reading.prune else [])


async def plan(store: Store, reading: Reading, at: Moment, environ: Mapping[str, str]) -> Plan:
    """Return what an apply would do; nothing is changed.

    Raises:
        Faults: everything that is wrong with the file.
    """
    _, found, _ = await _prepared(store, reading, at, "", environ)
    return found


async def apply(
    store: Store, reading: Reading, at: Moment, environ: Mapping[str, str], actor: str, wrapper: Wrapper | None = None
) -> Applied:
    """Make true what a file says, whole or not at all. A second time changes nothing and writes nothing.

    Without a `wrapper`, secrets are kept as digests alone, whatever their clients' settings say.

    Raises:
        Faults: everything that is wrong with the file.
        Refused: somebody else changed the same in this moment.
    """
    for _ in range(_TRIES):
        job, found, steps = await _prepared(store, reading, at, actor, environ)
        if not steps:
            return Applied(found)
        job.slow.closed = True
        try:
            return Applied(found, await store.run(_carry_out, job, wrapper))
        except (Unprepared, NotUnique):
            continue  # somebody changed the same in between: look again
    raise StoreBusy("what the file names is being changed by somebody else; apply it again")


async def _prepared(store: Store, reading: Reading, at: Moment, actor: str, environ: Mapping[str, str]) -> tuple[_Job, Plan, list[Step]]:
    current = await load(store, reading, at.now)
    reading = by_present_names(reading, current)
    examined = examine(reading, current, environ, at.now)
    if examined.faults or reading.tenant is None:
        raise Faults(examined.faults)
    number = current.tenant.id if current.tenant is not None else 0
    job = _Job(reading, at, actor, at.id(), SlowWork(at), examined.secrets, examined.manifests)
    steps = job.steps(current)
    changes = [await counted(store, number, step.change, current, at.now) for step in steps if step.shown]
    going = await retiring(store, number, current, at.now) if number else []
    notices = (*_notices(reading, current, examined.secrets), *_releases(changes, at.now), *going)
    found = Plan(reading.tenant.value.slug, tuple(changes), notices)
    return job, found, steps


async def _carry_out(tx: Tx, job: _Job, wrapper: Wrapper | None) -> tuple[MadeSecret, ...]:
    """The unit: the differences are found again inside the transaction, so that nothing is done twice or on old knowledge."""
    current = await load(tx, job.reading, job.at.now)
    tenant = current.tenant.id if current.tenant is not None else job.new_tenant
    work = Work(Deed(tx, job.at, tenant, job.actor), Names.of(current), job.slow, wrapper)
    steps = job.steps(current)
    for step in steps:
        await step.run(work)
        if step.forget is not None:
            await tx.do(_FORGET, tenant=tenant, kind=step.forget[0], name=step.forget[1])
        if step.remember is not None:
            await tx.do(_REMEMBER, id=job.at.id(), tenant=tenant, kind=step.remember[0], name=step.remember[1])
    if steps:
        counts = {word: sum(step.shown and step.change.sign == sign for step in steps) for sign, word in _WORDS.items()}
        await work.deed.note(Act.PLATFORM_APPLIED, ids.show(ids.TENANT, tenant), file=job.reading.file.name, **counts)
    return tuple(work.made)


_WORDS: Final = {"+": "made", "~": "changed", "-": "taken_away"}


def _notices(reading: Reading, current: Current, secrets: Mapping[Keys, Secret]) -> tuple[str, ...]:
    found: list[str] = []
    named = {part.value.client_id for part in reading.clients}
    disabled = [name for name, row in current.clients.items() if row.disabled_at is not None and name in named]
    found += [
        f"client {name} is disabled; apply leaves that as it is" for name in disabled if ("pruned client", name) not in current.applied
    ]
    for part in reading.clients:
        row = current.clients.get(part.value.client_id)
        rules = tenant_policy(reading.tenant, current.tenant)
        terms = client_terms(part, None if row is None else named_settings(row, current), rules)
        found += [f"weakness: client {part.value.client_id}: {weakness}" for weakness in weaknesses(terms.settings)]
        secret = secrets.get((*part.keys, "secret"))
        if secret is not None and len(secret.reveal()) < SHORT_SECRET:
            found.append(f"weakness: the secret of client {part.value.client_id} has fewer than {SHORT_SECRET} characters")
    for app in reading.apps:
        if app.value.redirect_match == "subpath":
            found.append(f"weakness: app {app.value.slug}: redirect_subpath")
    if not reading.prune:
        for kind, names in left_over(reading, current).items():
            found.append(f"no longer named, but left alone without prune = true: {kind} {', '.join(names)}")
    return tuple(found)


def _releases(changes: list[Change], now: int) -> Iterator[str]:
    """Yield what happens to domains that are given up."""
    for change in changes:
        if change.kind == "domain" and change.sign == "-" and held_when_released(parse_origin(change.name).host):
            yield f"domain {change.name}: this tenant may take it back at once, another one not before {day(now + HOLD)}"
