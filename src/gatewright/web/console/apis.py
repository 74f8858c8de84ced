"""The room of the APIs: what each is for, its scopes and secrets, and how soon it refuses what was revoked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gatewright.base import ids
from gatewright.base.calendar import day_begins, seconds_of
from gatewright.base.duration import seconds
from gatewright.management.errand import NotThere
from gatewright.platform.document import UNTIL_REVOKED_WORD
from gatewright.web import console_views
from gatewright.web.console.desk import AT_ONCE
from gatewright.web.console.revocation import shown, words
from gatewright.web.console.rows import APIS, ConsolePage
from gatewright.web.pages import page as pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewright.management.clients import SecretRecord
    from gatewright.management.revocation import RevocationRecord
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply


async def show_list(desk: Desk) -> PageReply:
    """Show the APIs by name."""
    after = desk.filters.get("after", "")
    every = sorted(await desk.look("apis.list"), key=lambda one: (one.name.casefold(), one.id))
    part, following = _part(every, after)
    revocation = {one.api: one for one in await desk.look("apis.revocation")}
    view = console_views.Apis(
        brand=await desk.brand(),
        frame=desk.frame(),
        apis=tuple([_line(one, revocation[one.id], desk.page.at.now) for one in part]),
        paging=desk.paging(following),
    )
    return pages.show(view)


async def show_one(desk: Desk) -> PageReply:
    """Show an API."""
    filters = desk.filters
    api = await desk.look("apis.show", {"api": desk.name})
    every = sorted(await desk.look("scopes.list", {"api": api.id}), key=lambda one: (one.status != "active", one.name))
    scopes, following = _part(every, filters.get("after", ""))
    secrets = await desk.look("apis.secrets.list", {"api": api.id})
    (revocation,) = await desk.look("apis.revocation", {"api": api.id})
    names = await makers(secrets, desk)
    view = console_views.Api(
        brand=await desk.brand(),
        frame=desk.frame(),
        id=api.id,
        name=api.name,
        audience=api.audience,
        disabled=api.status != "active",
        token=token_in_words(api),
        roles=api.roles,
        told_roles=api.token.roles,
        reports_use=api.usage,
        kept_for=words(seconds(api.verify_max_age)),
        revocation=shown(revocation, api.token.format, desk.page.at.now),
        scopes=tuple([_scope(one) for one in scopes]),
        paging=desk.paging(following, filters),
        secrets=tuple([kept(one, names) for one in secrets]),
        secrets_path=f"{APIS}/{api.id}/secrets" if desk.may("apis.secrets.create") else "",
        routes=tuple([_route(one) for one in api.routes]),
    )
    return pages.show(view)


def _part(every: Sequence[Any], after: str) -> tuple[Sequence[Any], str]:
    """Return the part of a list behind a record's id, as much as one page shows, and behind which the next goes on."""
    start = next((place for place, one in enumerate(every, 1) if one.id == after), 0)
    part = every[start : start + AT_ONCE]
    return part, part[-1].id if start + AT_ONCE < len(every) else ""


def _line(api: Any, revocation: RevocationRecord, now: int) -> console_views.ApiLine:  # noqa: ANN401 - a record that is made from the platform file's
    found = shown(revocation, api.token.format, now)
    return console_views.ApiLine(
        path=f"{APIS}/{api.id}",
        name=api.name,
        audience=api.audience,
        token=token_in_words(api),
        scopes=len(api.scopes),
        worst=found.worst,
        alone=found.alone,
        disabled=api.status != "active",
        follows=found.follows,
    )


def token_in_words(api: Any) -> str:  # noqa: ANN401 - a record that is made from the platform file's
    """Return what kind of tokens an API has, and how long they live."""
    lasting = "until revoked" if api.token.lifetime == UNTIL_REVOKED_WORD else f"for {words(seconds(api.token.lifetime))}"
    return f"{f'JWT ({api.token.alg})' if api.token.format == 'jwt' else 'Opaque'}, {lasting}"


def _scope(scope: Any) -> console_views.ApiScope:  # noqa: ANN401 - a record that is made from the platform file's
    return console_views.ApiScope(
        name=scope.name,
        text=scope.text,
        high_risk=scope.risk == "high",
        tenant_wide=scope.reach == "tenant",
        retired=scope.status == "retired",
        retires=None if scope.retires is None else day_begins(scope.retires),
        aliases=tuple(scope.aliases),
        implies=tuple(scope.implies),
    )


async def makers(secrets: Sequence[SecretRecord], desk: Desk) -> dict[str, str]:
    """Return by id what the users are called who made secrets, for who may see users; whoever was deleted has no name any more."""
    found: dict[str, str] = {}
    for maker in {one.made_by for one in secrets if ids.read(ids.USER, one.made_by) is not None} if desk.may("users.show") else ():
        with suppress(NotThere):
            found[maker] = (await desk.look("users.show", {"user": maker})).email
    return found


def kept(secret: SecretRecord, names: Mapping[str, str]) -> console_views.KeptSecret:
    """Return a live secret as pages show it; `names` are those of its makers."""
    return console_views.KeptSecret(
        id=secret.id,
        label=secret.label,
        made=seconds_of(secret.created_at) or 0,
        made_by="the operator" if secret.made_by.startswith("os:") else names.get(secret.made_by, secret.made_by),
        ends=None if secret.expires_at is None else seconds_of(secret.expires_at),
        used=None if secret.last_used_at is None else seconds_of(secret.last_used_at),
        used_from=secret.last_used_from or "",
    )


def _route(route: Any) -> console_views.RouteLine:  # noqa: ANN401 - a record that is made from the platform file's
    return console_views.RouteLine(
        path=route.path,
        host=route.host or "",
        methods=", ".join(route.methods) or "any method",
        public=route.public,
        scopes=tuple(route.scopes),
        any_of=tuple(route.any_of),
        account_in=route.account_in or "",
    )


PAGES: Final = (
    ConsolePage(room=APIS, show=show_list, asks=("apis.list", "apis.revocation")),
    ConsolePage(
        room=APIS,
        tail=r"/(?P<name>ap_[0-9a-z]{13})",
        show=show_one,
        asks=("apis.show", "scopes.list", "apis.secrets.list", "apis.revocation"),
        also=("users.show",),
    ),
)
