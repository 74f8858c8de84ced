"""The room of access: what users and accounts gave to clients, and ending it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from gatewright.audit.deed import Refused
from gatewright.base.calendar import day_begins, seconds_of
from gatewright.base.check import Faults
from gatewright.management.errand import NotThere
from gatewright.management.perform import Asked, Outdated
from gatewright.web import console_views, views
from gatewright.web.console.desk import AT_ONCE, refused, told
from gatewright.web.console.revocation import shown
from gatewright.web.console.rows import ACCESS, APIS, CLIENTS, LOG, ConsolePage
from gatewright.web.console_views import Crumb, EndProblem
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import go

if TYPE_CHECKING:
    from gatewright.management.grants import GrantRecord
    from gatewright.management.revocation import RevocationRecord
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply

SOURCES: Final = {
    "user": "The user said yes",
    "account_admin": "The account's admin gave it",
    "first_party": "Nobody was asked: the client is the platform's own",
    "operator": "The platform allowed it, without a user",
    "cleanup": "Left for some minutes after an uninstallation",
}
AFTERWARDS: Final = {
    "user": "The user may allow the client again when it asks.",
    "account_admin": "The service user is let in again as long as its account's admin lets the client have its password.",
    "first_party": "The client is the platform's own, so it is given again, unasked, when the user signs in to it next.",
    "operator": "The service is given it again with its next token, as long as it is allowed to.",
}


async def show_list(desk: Desk) -> PageReply:
    """Show live grants, the latest first."""
    filters = desk.filters
    ended = filters.pop("done", "") == "ended"
    problem, items, following = "", [], ""
    try:
        outcome = await desk.do("grants.list", Asked(where={**filters, "count": AT_ONCE}))
        items, following = outcome.value, outcome.next
    except (Faults, Refused) as refusal:
        problem = told(str(refusal))
    view = console_views.Access(
        brand=await desk.brand(),
        frame=desk.frame(),
        grants=tuple([_line(one) for one in items]),
        client=filters.get("client", ""),
        user=filters.get("user", ""),
        account=filters.get("account", ""),
        problem=problem,
        ended=ended,
        apis_path=APIS if ended and desk.may("apis.list") else "",
        paging=desk.paging(following, filters),
    )
    return pages.show(view, status=400 if problem else 200)


async def show_one(desk: Desk) -> PageReply:
    """Show a live grant; of one that has ended the log tells."""
    try:
        grant = await desk.look("grants.show", {"grant": desk.name})
    except NotThere as refusal:
        onward = Crumb(name="What the audit log has of it", path=f"{LOG}?{urlencode({'subject': desk.name})}")
        told_more = onward if desk.may("audit.list") else None
        return await refused(desk, "There is no such thing here", str(refusal), status=404, onward=told_more)
    view = console_views.Grant(
        brand=await desk.brand(),
        frame=desk.frame(),
        grant=_facts(grant),
        client_path=f"{CLIENTS}/{quote(grant.client, safe='')}" if desk.may("clients.show") else "",
        end_path=f"{ACCESS}/{grant.id}/end" if desk.may("grants.end") else "",
    )
    return pages.show(view)


async def show_end(desk: Desk) -> PageReply:
    """Show what ends with a grant, and ask."""
    return await _asked_whether(desk, None)


async def end(desk: Desk) -> PageReply:
    """End a grant as it was shown."""
    if not desk.came_back():
        return await _asked_whether(desk, EndProblem.STALE)
    try:
        await desk.do("grants.end", Asked(where={"grant": desk.name}, if_match=(desk.page.field("step"),)))
    except Outdated:
        return await _asked_whether(desk, EndProblem.CHANGED)
    return go(f"{ACCESS}?done=ended")


async def _asked_whether(desk: Desk, problem: EndProblem | None) -> PageReply:
    seen = await desk.do("grants.show", Asked(where={"grant": desk.name}))
    here = f"{ACCESS}/{seen.value.id}"
    view = console_views.EndGrant(
        brand=await desk.brand(),
        frame=desk.frame(Crumb(name=seen.value.client, path=here)),
        form=desk.form(desk.page.path, seen.etag),
        grant=_facts(seen.value),
        afterwards=AFTERWARDS.get(seen.value.source, ""),
        back=here,
        apis=await _times(desk, seen.value),
        problem=problem,
    )
    return pages.show(view, status={None: 200, EndProblem.STALE: 400, EndProblem.CHANGED: 412}[problem])


async def _times(desk: Desk, grant: GrantRecord) -> tuple[console_views.ApiTime, ...]:
    """Return how soon each API that the grant has scopes for refuses what was revoked, for who may see APIs."""
    if not desk.may("apis.list"):
        return ()
    named, told_of = frozenset(grant.scopes), {one.api: one for one in await desk.look("apis.revocation")}
    concerned = [api for api in await desk.look("apis.list") if not named.isdisjoint(api.scopes)]
    return tuple([_api_time(api, told_of[api.id], desk.page.at.now) for api in concerned])


def _api_time(api: Any, told_of: RevocationRecord, now: int) -> console_views.ApiTime:  # noqa: ANN401 - a record that is made from the platform file's
    found = shown(told_of, api.token.format, now)
    return console_views.ApiTime(name=api.name, path=f"{APIS}/{api.id}", worst=found.worst, alone=found.alone, follows=found.follows)


def _line(grant: GrantRecord) -> console_views.GivenLine:
    return console_views.GivenLine(
        path=f"{ACCESS}/{grant.id}",
        client=grant.client,
        user=grant.user or "",
        account=grant.account or "",
        scopes=len(grant.scopes),
        since=_time(grant.made_at),
        ends=None if grant.expires_at is None else _time(grant.expires_at),
    )


def _facts(grant: GrantRecord) -> console_views.GrantFacts:
    return console_views.GrantFacts(
        id=grant.id,
        client=grant.client,
        user=grant.user or "",
        account=grant.account or "",
        source=SOURCES.get(grant.source, grant.source),
        made=_time(grant.made_at),
        changed=_time(grant.changed_at),
        ends=None if grant.expires_at is None else _time(grant.expires_at),
        scopes=tuple([_scope(one) for one in grant.use]),
        declined=grant.declined,
    )


def _scope(use: Any) -> console_views.GivenScope:  # noqa: ANN401 - a record of a room that this one need not know
    last = None if use.last_used is None else day_begins(use.last_used)
    since = None if use.since is None else day_begins(use.since)
    return console_views.GivenScope(name=use.scope, used=views.ScopeUsed(use=use.use, last=last, since=since))


def _time(text: str) -> int:
    return seconds_of(text) or 0


_GRANT: Final = r"/(?P<name>gr_[0-9a-z]{13})"
PAGES: Final = (
    ConsolePage(room=ACCESS, show=show_list, asks=("grants.list",)),
    ConsolePage(room=ACCESS, tail=_GRANT, show=show_one, asks=("grants.show",)),
    ConsolePage(
        room=ACCESS, tail=_GRANT + "/end", show=show_end, act=end, asks=("grants.end", "grants.show"), also=("apis.list", "apis.revocation")
    ),
)
