"""The secrets of an app at one address, for whoever it belongs to: read where that is set, made anew by a post (seeds 000 and 003).

A browser gets a page after a sign-in of the last five minutes; a program shows an access token and gets JSON. A request with a token is
one of the second kind, whatever cookies it brings (`security-rules` 40, 46).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatewright.audit.book import Act, entries
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.base.duration import seconds
from gatewright.clients import renewal
from gatewright.clients.book import client_named
from gatewright.clients.owners import READ_SECRETS, WRITE_SECRETS, may
from gatewright.oauth.access import NoAccess, present
from gatewright.oauth.catalogue import MANAGEMENT_API
from gatewright.oauth.client import SECRET_METHODS
from gatewright.oauth.errors import InsufficientScope, InvalidRequest, InvalidToken, OAuthError
from gatewright.oauth.userinfo import refusal
from gatewright.tenants.credentials import MOST_LIVE
from gatewright.users.book import BY_ID as USER_BY_ID
from gatewright.web import csrf, views
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, nothing_here, tell, visitor_of
from gatewright.web.pages.sign_in import visit_fresh
from gatewright.web.render import SECRET_HASH
from gatewright.web.reply import error_reply
from gatewright.web.views import Choice, SecretProblem

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.clients.book import ClientRow
    from gatewright.clients.renewal import Made, Read
    from gatewright.oauth.access import Access
    from gatewright.oauth.visit import Visitor
    from gatewright.store import Tx
    from gatewright.tenants.credentials import CredentialRow

FRESH_SECONDS: Final = 300
FORM_SECONDS: Final = 86_400
READS_SHOWN: Final = 5
_ID: Final = r"([A-Za-z0-9][A-Za-z0-9._~-]{0,98})"
PATHS: Final = re.compile(rf"/-/clients/{_ID}/secret|/{_ID}/secret")
METHODS: Final = ("GET", "POST")
_PURPOSE: Final = "client secret"
_PERIOD: Final = re.compile(r"[0-9]{1,6}[smhd]")
# What may become of the present secret, in seconds; None ends it now.
_OLD: Final[dict[str, int | None]] = {"now": None, "1d": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
_KEPT: Final = "keep"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for which client; `shown` is how the audit log names them."""

    client: ClientRow
    person: int

    @property
    def shown(self) -> str:
        """The user's id as it is shown."""
        return ids.show(ids.USER, self.person)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made, and what is to become of the present secret: it goes on, or ends at `until`, None being now."""

    label: str
    keep: bool
    until: int | None = None
    expires_at: int | None = None


async def show(page: PageAsk, house: House) -> PageReply:
    """Read the secrets."""
    if "authorization" in page.headers:
        return await _to_program(page, house)
    visitor = await visitor_of(page, house)
    if visitor is None or not _is_fresh(visitor, page.at):
        return await visit_fresh(page, house)
    caller = await _owner(page, house, visitor.person, READ_SECRETS)
    return await nothing_here(page, house) if caller is None else await _page(page, house, visitor, caller)


async def act(page: PageAsk, house: House) -> PageReply:
    """Make a secret, or end one."""
    if "authorization" in page.headers:
        return await _to_program(page, house)
    visitor = await visitor_of(page, house)
    if visitor is None or not _is_fresh(visitor, page.at):
        return await visit_fresh(page, house)
    caller = await _owner(page, house, visitor.person, WRITE_SECRETS)
    if caller is None:
        return await nothing_here(page, house)
    if not csrf.fits(page.field("csrf"), house.world.sealer, page.issuer, *_parts(caller, visitor, page.field("step"))):
        return await _page(page, house, visitor, caller, problem=SecretProblem.STALE)
    if page.field("choice") == Choice.END:
        await _end(page, house, caller)
        return go(page.path)
    # A page that is loaded again sends its form again, and would end what it has just made.
    name = f"form:{page.field('step')}"
    attempt, until = page.at.attempt(), page.at.now + FORM_SECONDS
    if not await house.world.ledger.first_time(name, tenant=page.issuer.tenant, attempt=attempt, until=until):
        return await _page(page, house, visitor, caller, problem=SecretProblem.USED)
    try:
        made = await _made(page, house, caller, _wish(page))
    except Refused as refusal:
        return await _page(page, house, visitor, caller, refusal=str(refusal))
    if page.field("choice") == Choice.DOWNLOAD:
        return _file(caller.client.client_id, made)
    return await _page(page, house, visitor, caller, made=made)


def _is_fresh(visitor: Visitor, at: Moment) -> bool:
    return at.now - visitor.auth_time <= FRESH_SECONDS


async def _owner(page: PageAsk, house: House, person: int, scope: str, *, within: int = 0) -> Caller | None:
    """Return the caller if the client that the address names is theirs."""
    found = PATHS.fullmatch(page.path)
    assert found is not None  # noqa: S101 - the route is this pattern
    tenant = page.issuer.tenant
    client = await client_named(house.store, tenant, found[1] or found[2])
    if client is None or client.disabled_at is not None:
        return None
    catalogue = await house.world.directory.catalogue(tenant)
    return Caller(client, person) if await may(house.store, client, person, catalogue, scope, within=within) else None


def _parts(caller: Caller, visitor: Visitor, nonce: str) -> tuple[str, ...]:
    return (_PURPOSE, visitor.proof, caller.client.client_id, nonce)


def _wish(page: PageAsk) -> Wish:
    """Return what the form says.

    Raises:
        Refused: it says what cannot be.
    """
    old = page.field("old") or "now"
    if old == _KEPT:
        return Wish(page.field("label").strip(), keep=True)
    if old not in _OLD:
        raise Refused(f'the field "old" is one of {", ".join([*_OLD, _KEPT])}')
    wait = _OLD[old]
    return Wish(page.field("label").strip(), keep=False, until=None if wait is None else page.at.now + wait)


async def _made(page: PageAsk, house: House, caller: Caller, wish: Wish) -> Made:
    async def unit(tx: Tx) -> Made:
        deed = Deed(tx, page.at, page.issuer.tenant, caller.shown)
        if wish.keep:
            return await renewal.make(deed, caller.client, house.wrapper, label=wish.label, expires_at=wish.expires_at)
        return await renewal.regenerate(deed, caller.client, house.wrapper, label=wish.label, expires_at=wish.expires_at, until=wish.until)

    return await house.store.run(unit)


async def _end(page: PageAsk, house: House, caller: Caller) -> None:
    number = ids.read(ids.SECRET, page.field("secret"))

    async def unit(tx: Tx) -> bool:
        deed = Deed(tx, page.at, page.issuer.tenant, caller.shown)
        return number is not None and await renewal.end(deed, caller.client, number)

    await house.store.run(unit)


async def _read(page: PageAsk, house: House, caller: Caller) -> tuple[Read, ...]:
    """Return the live secrets; that texts were read is in the audit log before anybody sees them."""

    async def unit(tx: Tx) -> tuple[Read, ...]:
        deed = Deed(tx, page.at, page.issuer.tenant, caller.shown)
        return await renewal.read(deed, caller.client, house.wrapper, address=page.address)

    return await house.store.run(unit)


async def _page(
    page: PageAsk,
    house: House,
    visitor: Visitor,
    caller: Caller,
    *,
    made: Made | None = None,
    problem: SecretProblem | None = None,
    refusal: str | None = None,
) -> PageReply:
    client, nonce = caller.client, page.at.text(12)
    rows = await renewal.live(house.store, client, page.at.now)
    # After a post the page shows what was made, and reads nothing: what was not looked at needs no entry.
    read = () if page.posted else await _read(page, house, caller)
    texts = {one.row.id: one.secret.reveal() for one in read if one.secret is not None}
    who = await _names(page, house, [row.made_by for row in rows])
    lines = [
        views.SecretLine(
            id=ids.show(ids.SECRET, row.id),
            label=row.label,
            made=row.created_at,
            made_by=who(row.made_by),
            ends=row.expires_at,
            used=row.used_at,
            used_from=row.used_from or "",
            text=texts.get(row.id),
        )
        for row in rows
        if made is None or row.id != made.id
    ]
    view = views.ClientSecret(
        brand=await brand_of(page, house),
        person=views.Person(name=visitor.name, email=visitor.email),
        now=page.at.now,
        client=client.terms.client_name,
        client_id=client.client_id,
        form=views.Form(action=page.path, csrf=csrf.token(house.world.sealer, page.issuer, *_parts(caller, visitor, nonce)), step=nonce),
        readable=client.terms.secret_readable,
        has_secrets=client.terms.token_endpoint_auth_method in SECRET_METHODS,
        most=MOST_LIVE,
        secrets=tuple(lines),
        made=None if made is None else made.secret.reveal(),
        reads=await _reads(page, house, client) if client.terms.secret_readable else (),
        problem=problem,
        refusal=refusal,
    )
    status = 400 if problem is not None else 409 if refusal is not None else 200
    return pages.show(view, status=status, script=SECRET_HASH)


class _Names:
    """Who stands behind the actors of the audit log, as the owner of a client may know them."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known

    def __call__(self, actor: str) -> str:
        return self._known.get(actor, "the operator" if actor.startswith("os:") or not actor else actor)


async def _names(page: PageAsk, house: House, actors: list[str]) -> _Names:
    known = {}
    for actor in dict.fromkeys(actors):
        number = ids.read(ids.USER, actor)
        row = None if number is None else await house.store.one(USER_BY_ID, id=number, tenant=page.issuer.tenant)
        if row is not None:
            known[actor] = row.name or row.email
    return _Names(known)


async def _reads(page: PageAsk, house: House, client: ClientRow) -> tuple[views.SecretRead, ...]:
    """Return who read this client's secrets last: the owner is told."""
    found = await entries(house.store, page.issuer.tenant, act=Act.SECRET_READ, subject=client.client_id, count=READS_SHOWN)
    who = await _names(page, house, [entry.actor for entry in found])
    return tuple([views.SecretRead(who=who(entry.actor), at=entry.at) for entry in found])


def _file(client_id: str, made: Made) -> PageReply:
    """Return the secret as a file to keep, instead of a page."""
    name = f'attachment; filename="{client_id}.secret.txt"'.encode()
    text = f"client_id={client_id}\nclient_secret={made.secret.reveal()}\n"
    return tell(200, text.encode(), b"text/plain; charset=utf-8", (b"content-disposition", name))


# ---------------------------------------------------------------- programs


async def _to_program(page: PageAsk, house: House) -> PageReply:
    """Answer a request that shows an access token, with JSON whatever comes of it."""
    try:
        body, status = await _answered(page, house)
    except OAuthError as error:
        reply = error_reply(error)
        return tell(reply.status, reply.body, pages.JSON, *reply.headers)
    except Refused as refusal:
        return tell(409, {"error": "invalid_request", "error_description": str(refusal)}, pages.JSON)
    return tell(status, body, pages.JSON)


async def _answered(page: PageAsk, house: House) -> tuple[dict[str, object], int]:
    scope = WRITE_SECRETS if page.posted else READ_SECRETS
    access = await _access(page, house, scope)
    standing = access.standing
    caller = await _owner(page, house, standing.person, scope, within=standing.account)
    if caller is None:
        return {"error": "not_found", "error_description": "there is no such client, or it is not this user's"}, 404
    if page.posted:
        made = await _made(page, house, caller, _program_wish(page))
        return {**_told_of(caller.client, await renewal.live(house.store, caller.client, page.at.now)), **_told_secret(made)}, 201
    read = await _read(page, house, caller)
    latest = next((one for one in reversed(read) if one.secret is not None), None)
    found = _told_of(caller.client, [one.row for one in read])
    if latest is None or latest.secret is None:
        sentence = "no live secret of this client can be read again: a POST here makes a new one"
        return {**found, "readable": False, "hint": sentence}, 200
    return {
        **found,
        "readable": True,
        "client_secret": latest.secret.reveal(),
        "client_secret_id": ids.show(ids.SECRET, latest.row.id),
        "client_secret_expires_at": latest.row.expires_at or 0,
    }, 200


async def _access(page: PageAsk, house: House, scope: str) -> Access:
    """Return what the token may, if it is one for the management API.

    Raises:
        InvalidToken, InsufficientScope: it is not good, or not for this.
    """
    kind, _, token = page.headers["authorization"].partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise InvalidToken("", why="no bearer token")
    access = await present(token.strip(), page.issuer, house.world, now=page.at.now, address=page.address)
    if isinstance(access, NoAccess):
        raise refusal(access)
    # The names of these scopes are reserved, so no other API has them; a token for another one may not be shown here all the same.
    if access.token.api != MANAGEMENT_API or scope not in [one.name for one in access.scopes]:
        raise InsufficientScope(f"the scope {scope} is needed here", scope=scope)
    return access


def _program_wish(page: PageAsk) -> Wish:
    """Return what a program asks for: without anything, a new secret in the place of the present ones.

    Raises:
        InvalidRequest: a field is none.
    """
    label, overlap, expires_in = page.field("label").strip(), page.field("overlap"), page.field("expires_in")
    if expires_in and not (expires_in.isascii() and expires_in.isdecimal() and 0 < len(expires_in) < 10 and int(expires_in)):
        raise InvalidRequest("expires_in is a number of seconds")
    expires_at = page.at.now + int(expires_in) if expires_in else None
    if overlap == _KEPT:
        return Wish(label, keep=True, expires_at=expires_at)
    if overlap and not _PERIOD.fullmatch(overlap):
        raise InvalidRequest('overlap is how long the present secret goes on: "7d", "12h", or "keep" for until it is ended')
    wait = seconds(overlap) if overlap else 0
    return Wish(label, keep=False, until=page.at.now + wait if wait else None, expires_at=expires_at)


def _told_secret(made: Made) -> dict[str, object]:
    return {
        "client_secret": made.secret.reveal(),
        "client_secret_id": ids.show(ids.SECRET, made.id),
        "client_secret_expires_at": made.expires_at or 0,
    }


def _told_of(client: ClientRow, rows: list[CredentialRow]) -> dict[str, object]:
    """Return what a program learns of a client's secrets beside their texts, in the words of RFC 7591 §3.2.1 where it has one."""
    secrets = [
        {
            "id": ids.show(ids.SECRET, row.id),
            "label": row.label,
            "created_at": row.created_at,
            "expires_at": row.expires_at or 0,
            "last_used_at": row.used_at,
            "last_used_from": row.used_from,
        }
        for row in rows
    ]
    return {"client_id": client.client_id, "secrets": secrets}
