"""Why was that call refused? What the link in an API's refusal leads to, for whoever is asked about it (`docs/decisions/0018`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.operation import Operation
from gatewright.clients.book import BY_ID
from gatewright.clients.registry import to_client
from gatewright.ledger.standing import STANDING
from gatewright.management.accounts import OWN_READ as READ_MEMBERS
from gatewright.management.accounts import READ as READ_ACCOUNTS
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import known
from gatewright.oauth.finding import DECISION, PATH, SHOWN_FOR, open_finding
from gatewright.oauth.inquiry import FOUND, Sight, inquire
from gatewright.tenants.book import DOMAINS

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Standing
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.finding import Finding
    from gatewright.oauth.inquiry import Check, ScopeLook

READ: Final = "gw:grants:read"
OWN_READ: Final = "gw:access:read"


class DecisionAt(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which refusal: by the link that the caller of the API was given, or by its last part."""

    decision: Annotated[
        str,
        Meta(description="The link in `more` of the API's answer, or its last part. What was refused is told for 7 days.", max_length=500),
    ]
    account: Annotated[str, Meta(description="The account that it was about, for whose rights end there.", max_length=100)] = ""


class CheckRecord(Struct, frozen=True):
    """One check: what it said then and would say now, `yes`, `no`, or `nothing` where one before it had said no."""

    check: str
    then: str
    now: str
    note: str


class JudgedScopeRecord(Struct, frozen=True):
    """One scope that was asked about; `scope` is empty where the API has none of that name."""

    scope: str
    then: Annotated[str, Meta(description="The verdict at the time.")]
    now: Annotated[str, Meta(description="The verdict on a new token now.")]
    cure: str
    checks: tuple[CheckRecord, ...]


class DecisionRecord(Struct, frozen=True, kw_only=True):
    """A refusal, check by check."""

    decision: Annotated[str, Meta(description="The id under which the server's log has it.")]
    at: str
    cause: str
    because: Annotated[str, Meta(description="What ended the access, where that was the cause.")]
    found: str
    cure: Annotated[str, Meta(description="What to do now.")]
    would_pass: Annotated[bool, Meta(description="Whether a new token would be enough now.")]
    client: str
    api: Annotated[str | None, Meta(description="The audience of the API that refused.")]
    user: Annotated[str | None, Meta(description="Shown to those who may read members.")]
    account: str | None
    authorization: str
    grant: str
    token: Annotated[str, Meta(description="`handle`, `jwt`, or `standing` for one that lives until it is revoked.")]
    issued_at: str | None
    expires_at: str | None
    checks: tuple[CheckRecord, ...]
    scopes: tuple[JudgedScopeRecord, ...]


async def show_decision(errand: Errand, where: DecisionAt) -> DecisionRecord:
    """Tell why an API refused a call: each check by itself, what it said then and would say now."""
    catalogue = (await known(errand)).catalogue
    finding = await _found(errand, where.decision, catalogue)
    standing = await errand.source.one(STANDING, id=finding.authorization, mark="")
    row = None if standing is None else await errand.source.one(BY_ID, id=standing.client, tenant=errand.tenant)
    if standing is None or row is None or errand.caller.account not in (0, standing.account):
        raise _nothing()
    if finding.too_old(errand.at.now):
        raise NotThere(f"what was refused is told for {SHOWN_FOR // 86400} days, and this was on {stamp(finding.at)}: make the call again")
    sight = _sight(errand, finding, standing)
    answer = inquire(finding, standing, to_client(row, []), catalogue, sight, errand.at.now)
    api = catalogue.apis.get(finding.api)
    return DecisionRecord(
        decision=finding.decision,
        at=stamp(finding.at),
        cause=finding.cause.value,
        because=finding.because,
        found=FOUND[finding.cause],
        cure=answer.cure,
        would_pass=answer.would_pass,
        client=row.client_id,
        api=None if api is None else api.audience,
        user=standing.person_email if sight.person else None,
        account=standing.account_slug,
        authorization=ids.show(ids.AUTHORIZATION, standing.id),
        grant=ids.show(ids.GRANT, standing.grant),
        token=finding.form.value,
        issued_at=stamp(finding.issued_at) if finding.issued_at else None,
        expires_at=stamp(finding.expires_at) if finding.expires_at else None,
        checks=_checks(answer.checks),
        scopes=tuple([_scope(look) for look in answer.scopes]),
    )


async def _found(errand: Errand, shown: str, catalogue: Catalogue) -> Finding:
    """Return what a link holds, whichever of the tenant's issuers made it."""
    if ids.read(DECISION, shown) is not None:
        raise NotThere(
            "a decision id alone finds the line in the server's log, where it says whose access it was about: for the checks, pass the link"
        )
    text = shown.rpartition(PATH)[2]
    for domain in await errand.source.all(DOMAINS, tenant=errand.tenant):
        finding = open_finding(text, errand.tenant, domain.origin, catalogue, errand.tools.sealer, errand.at.now)
        if finding is not None:
            return finding
    raise _nothing()


def _nothing() -> NotThere:
    return NotThere("there is no such decision here: pass the link as it stands in the API's answer")


def _sight(errand: Errand, finding: Finding, standing: Standing) -> Sight:
    caller = errand.caller
    person = caller.held is None or READ_ACCOUNTS in caller.held or (caller.account != 0 and READ_MEMBERS in caller.held)
    own = {standing.account_slug or "", ids.show(ids.ACCOUNT, standing.account)}
    return Sight(names=True, person=person, accounts=frozenset(own if caller.account else {finding.account}))


def _checks(checks: tuple[Check, ...]) -> tuple[CheckRecord, ...]:
    return tuple([CheckRecord(one.asks, one.then.value, one.now.value, one.note) for one in checks])


def _scope(look: ScopeLook) -> JudgedScopeRecord:
    return JudgedScopeRecord(look.name, look.then.value, look.now.value, look.cure, _checks(look.checks))


OPERATIONS: Final = (
    Operation(
        name="decision",
        method="GET",
        path="/decisions/{decision}",
        scope=READ,
        delegated=OWN_READ,
        run=show_decision,
        where=DecisionAt,
        gives=DecisionRecord,
    ),
)
