"""Yes or no: what the client asks for in words, what is risky about it, what the user's role leaves out (OpenID Connect Core §3.1.2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from gatewright.base.networks import UNKNOWN, in_site, is_loopback
from gatewright.market.rules import reasons
from gatewright.oauth.authorize import allow
from gatewright.oauth.catalogue import OPENID_API
from gatewright.oauth.device_approval import allow as let_in
from gatewright.oauth.language import chosen as chosen_language
from gatewright.oauth.language import preferences
from gatewright.oauth.next_step import AskConsent, Situation
from gatewright.oauth.redirect_uri import host_of, is_local
from gatewright.web import csrf, views
from gatewright.web.device_views import DeviceAsking
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of
from gatewright.web.pages.running import ACCESS, Running, again, ends_at, expired, finish, move_on, open_running, say_no
from gatewright.web.pages.steps import account_of, chosen, person_of, signed_in
from gatewright.web.render import WAKE_HASH

if TYPE_CHECKING:
    from gatewright.oauth.catalogue import Catalogue, Scope

PATH: Final = "/-/consent"
_NO_REASONS: Final[Mapping[int, str]] = {}
_NO_USES: Final[Mapping[int, views.ScopeUsed]] = {}
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


async def show(running: Running, situation: Situation, step: AskConsent) -> PageReply:
    """Show what is asked for."""
    script = WAKE_HASH if running.popup else ""
    return pages.show(await _view(running, situation, step), ends_at=ends_at(situation), script=script)


async def act(page: PageAsk, house: House) -> PageReply:
    """Remember yes and no, for exactly what stood on the page; if that changed meanwhile it is shown again."""
    running = open_running(page, house)
    if running is None:
        return await expired(page, house)
    found = await chosen(running, AskConsent)
    if isinstance(found, PageReply):
        return found
    step = found.step
    if not isinstance(step, AskConsent) or page.field("shown") != (await _view(running, found.situation, step)).shown:
        return again(running)
    if found.situation.request.device is not None:
        sent = await let_in(found.situation, step, page.fields("scope"), page.issuer, house.front, page.at, address=page.address)
        return await finish(running, sent, found.situation.client.settings.client_name)
    if not await allow(found.situation, step, page.fields("scope"), house.front, page.at):
        return await say_no(running)
    return await move_on(running, replace(found.progress, consented=True))


async def _view(running: Running, situation: Situation, step: AskConsent) -> views.Consent:
    catalogue, client, uri = situation.catalogue, situation.client, situation.request.back.redirect_uri
    visitor, why = signed_in(situation), reasons(client)
    named = {catalogue.scopes[number].name: text for number, text in why.items() if number in catalogue.scopes}
    wanted = preferences(situation.request.ui_locales, running.page.headers.get("accept-language", ""))
    view = views.Consent(
        brand=await brand_of(running.page, running.house),
        popup=running.popup,
        form=running.form(PATH, visitor.session),
        client=client.settings.client_name,
        third_party=client.settings.party == "third",
        # Below a registered address there may be anybody's page, so all of it is told (`security-rules` 42).
        returns_to=uri if client.takes_paths_below and uri not in client.settings.redirect_uris else host_of(uri),
        local=is_local(uri),
        by_hand=situation.by_hand,
        device=_device(situation, running.page),
        person=person_of(visitor),
        account=account_of(step.seat),
        openid=views.openid_lines(_openid(step.asked, catalogue), _openid(step.held, catalogue), named),
        groups=groups(
            step.asked, catalogue, wanted, held=step.held, required=step.asked if client.all_or_nothing else step.required, why=why
        ),
        whole=client.all_or_nothing,
        left_out=tuple([phrase(catalogue.scopes[number], wanted) for number in sorted(step.lacking) if number in catalogue.scopes]),
        access_page=ACCESS,
        app=await _card(running, situation) if client.is_app else None,
    )
    # The brand may change while somebody reads; everything else is what they say yes to.
    told = _encode(
        (
            replace(view, brand=None, form=views.Form(action="", csrf="")),
            situation.request.scopes,
            situation.request.claims_text,
            client.settings.manifest,
        )
    )
    return replace(view, shown=csrf.token(running.house.world.sealer, running.page.issuer, "shown", told.decode()))


def _device(situation: Situation, page: PageAsk) -> DeviceAsking | None:
    """Return what a user can tell their own device by: its code, and where it asked from, seen from where they are themselves."""
    waiting = situation.request.device
    if waiting is None:
        return None
    network, here = waiting.network, in_site(waiting.network, page.address)
    # From outside nobody comes from loopback: that is a proxy which the operator did not name, and it stands before a thief too.
    if network == UNKNOWN or (page.issuer.secure and is_loopback(network)):
        network, here = "", None
    return DeviceAsking(code=waiting.user_code, at=waiting.asked_at, network=network, here=here, proved=not situation.client.public)


async def _card(running: Running, situation: Situation) -> views.AppCard | None:
    manifest = await running.house.market.manifest(situation.client)
    seat = situation.seats.seat
    again = seat is not None and seat.given is not None
    return None if manifest is None else views.AppCard(description=manifest.description, icon=manifest.icon, again=again)


def _openid(scopes: frozenset[int], catalogue: Catalogue) -> frozenset[str]:
    return frozenset([catalogue.scopes[number].name for number in scopes if catalogue.scopes[number].api == OPENID_API])


def phrase(scope: Scope, wanted: tuple[str, ...]) -> views.Phrase:
    """Return a scope's text in the language that somebody reads best."""
    texts = dict(scope.texts)
    lang = chosen_language(texts, wanted)
    return views.Phrase(text=scope.text) if lang is None else views.Phrase(text=texts[lang], lang=lang)


def _line(
    scope: Scope, wanted: tuple[str, ...], *, held: bool, optional: bool, reason: str, used: views.ScopeUsed | None
) -> views.ScopeLine:
    words = phrase(scope, wanted)
    return views.ScopeLine(
        name=scope.name,
        text=words.text,
        lang=words.lang,
        retires_at=scope.retires_at,
        high_risk=scope.risk == "high",
        optional=optional,
        held=held,
        reason=reason,
        used=used,
    )


def groups(
    scopes: frozenset[int],
    catalogue: Catalogue,
    wanted: tuple[str, ...],
    *,
    held: frozenset[int] = frozenset(),
    required: frozenset[int] = frozenset(),
    why: Mapping[int, str] = _NO_REASONS,
    used: Mapping[int, views.ScopeUsed] = _NO_USES,
) -> tuple[views.ScopeGroup, ...]:
    """Return scopes in words, grouped by their APIs, in the first of the languages that each has, with the developer's reasons."""
    known = [catalogue.scopes[number] for number in sorted(scopes) if number in catalogue.scopes]
    apis = [catalogue.apis[number] for number in dict.fromkeys([scope.api for scope in known]) if number in catalogue.apis]
    return tuple(
        views.ScopeGroup(
            api=api.name,
            scopes=tuple(
                _line(
                    scope,
                    wanted,
                    held=scope.id in held,
                    optional=scope.id not in required,
                    reason=why.get(scope.id, ""),
                    used=used.get(scope.id),
                )
                for scope in known
                if scope.api == api.id
            ),
        )
        for api in apis
    )
