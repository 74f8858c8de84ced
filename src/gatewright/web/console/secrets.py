"""The secrets of an API or a client: one more is made and shown this once, or one is ended. Whoever does so has just signed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

import msgspec

from gatewright.audit.deed import Refused
from gatewright.base.check import Faults
from gatewright.management.errand import NotThere
from gatewright.management.perform import Asked, OtherRequest, etag_of
from gatewright.web import console_views
from gatewright.web.console.apis import kept, makers
from gatewright.web.console.desk import told
from gatewright.web.console.rows import APIS, CLIENTS, ConsolePage
from gatewright.web.console_views import Crumb, SecretsProblem
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import go
from gatewright.web.views import Choice

if TYPE_CHECKING:
    from gatewright.management.clients import SecretRecord
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply

NOW: Final = "now"
OVERLAPS: Final = ("7d", "1d")
NOTHING: Final[Mapping[str, str]] = {}
_TAIL: Final = "/secrets"


@dataclass(frozen=True, slots=True)
class Holder:
    """What has secrets: where its page is, the operations, and what they call it and the secret that they make."""

    room: str
    noun: str
    place: str
    named: str
    made: str

    def does(self, verb: str) -> str:
        """Return the name of an operation on its secrets."""
        return f"{self.noun}.secrets.{verb}"

    @property
    def asks(self) -> tuple[str, ...]:
        """The operations that its page may ask for."""
        return (self.does("create"), self.does("end"), self.does("list"), f"{self.noun}.show")


API: Final = Holder(APIS, "apis", "api", "name", "api_secret")
CLIENT: Final = Holder(CLIENTS, "clients", "client_id", "client_name", "client_secret")


async def show(holder: Holder, desk: Desk) -> PageReply:
    """Show the live secrets, and what can be done."""
    return await _page(holder, desk)


async def act(holder: Holder, desk: Desk) -> PageReply:
    """Make a secret, or end one, where what is live is what was shown."""
    page, where = desk.page, {holder.place: desk.name}
    if not desk.came_back():
        return await _page(holder, desk, problem=SecretsProblem.STALE)
    ends, wish = page.field("choice") == Choice.END, _wish(desk)
    # What ends something is done to what was looked at. One more beside it harms nothing, whatever is live by now.
    if (ends or wish.keys() != {"label"}) and page.field("step").partition(".")[0] != _seen(await _live(holder, desk)):
        return await _page(holder, desk, problem=SecretsProblem.CHANGED)
    try:
        if ends:
            await desk.do(holder.does("end"), Asked(where={**where, "secret_id": page.field("secret")}))
            return go(quote(page.path))
        # The same form sent twice, by a second click or a page that is loaded again, gets the same secret and makes none.
        made = (await desk.do(holder.does("create"), Asked(where=where, body=wish, key=page.field("csrf")))).value
    except NotThere:
        raise
    except OtherRequest:
        # The form was sent before, with another label: by way of the browser's button that leads back.
        return await _page(holder, desk, problem=SecretsProblem.CHANGED)
    except (Faults, Refused) as refusal:
        return await _page(holder, desk, refusal=told(str(refusal)))
    return await _page(holder, desk, made=cast("dict[str, str]", msgspec.to_builtins(made)))


def _wish(desk: Desk) -> dict[str, Any]:
    """Return what the form says as the operation's document."""
    old, said = desk.page.field("old"), {"label": desk.page.field("label").strip() or "console"}
    if old == NOW:
        return {**said, "end_others": True}
    return {**said, "overlap": old} if old in OVERLAPS else said


async def _live(holder: Holder, desk: Desk) -> list[SecretRecord]:
    found: list[SecretRecord] = await desk.look(holder.does("list"), {holder.place: desk.name})
    return found


def _seen(secrets: list[SecretRecord]) -> str:
    """Return a tag of which secrets are live until when; that one is used changes nothing of it."""
    return etag_of([(one.id, one.expires_at) for one in secrets])


async def _page(
    holder: Holder, desk: Desk, *, made: Mapping[str, str] = NOTHING, problem: SecretsProblem | None = None, refusal: str = ""
) -> PageReply:
    record = await desk.look(f"{holder.noun}.show", {holder.place: desk.name})
    secrets = await _live(holder, desk)
    if made and made["id"] not in {one.id for one in secrets}:
        # The form was sent before, and what it made has ended since.
        made, problem = NOTHING, SecretsProblem.CHANGED
    names = await makers(secrets, desk)
    name, here = getattr(record, holder.named), quote(desk.page.path.removesuffix(_TAIL))
    view = console_views.Secrets(
        brand=await desk.brand(),
        frame=desk.frame(Crumb(name=name, path=here)),
        form=desk.form(desk.page.path, f"{_seen(secrets)}.{desk.page.at.text(12)}"),
        name=name,
        known_as=desk.name,
        secrets=tuple([kept(one, names) for one in secrets if one.id != made.get("id")]),
        made=made.get(holder.made, ""),
        overlaps=OVERLAPS,
        problem=problem,
        refusal=refusal,
        back=here,
    )
    status = 409 if refusal else {None: 200, SecretsProblem.STALE: 400, SecretsProblem.CHANGED: 412}[problem]
    return pages.show(view, status=status)


def _row(holder: Holder, name: str) -> ConsolePage:
    return ConsolePage(
        room=holder.room,
        tail=f"/(?P<name>{name}){_TAIL}",
        show=partial(show, holder),
        act=partial(act, holder),
        asks=holder.asks,
        also=("users.show",),
        fresh=True,
    )


PAGES: Final = (_row(API, "ap_[0-9a-z]{13}"), _row(CLIENT, "[^/]{1,200}"))
