"""The answer to an authorization request: its parameters, and how they travel (RFC 6749 §4.1.2, RFC 9207, Form Post Response Mode)."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from gatewright.oauth.device import Told
from gatewright.oauth.errors import OAuthError
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.redirect_uri import is_out_of_band, origin_of
from gatewright.oauth.request import ReturnTo


class Sent(Struct, frozen=True):
    """An answer on its way. With `form` the browser posts it to `target`; without, `target` is where it goes.

    Out of band it goes nowhere: a page shows what `form` holds. With `message_to` a page tells `form` to the window that opened it, if
    that shows this origin; else it goes to `target`. With `device` it goes to the device that waits, and a page tells the user what came
    of it; with a `form` beside it, why they could not say yes.
    """

    target: str
    form: tuple[tuple[str, str], ...] | None = None
    message_to: str = ""
    device: Told | None = None


def approve(code: str, back: ReturnTo, issuer: Issuer, *, install: str = "") -> Sent:
    """Return the answer that brings a code (RFC 6749 §4.1.2); `iss` says who gives it (RFC 9207 §2), `install` what an app became."""
    return _sent([("code", code), *([("install_id", install)] if install else [])], back, issuer)


def refuse(error: OAuthError, back: ReturnTo, issuer: Issuer) -> Sent:
    """Return the answer that says no (RFC 6749 §4.1.2.1)."""
    return _sent(_said(error), back, issuer)


def told_here(error: OAuthError) -> Sent:
    """Return the answer that tells a user why they could not let a device in."""
    return Sent("", tuple(_said(error)), device=Told.DENIED)


def _said(error: OAuthError) -> list[tuple[str, str]]:
    return [("error", error.code), ("error_description", _ascii(error.description))]


def _sent(fields: list[tuple[str, str]], back: ReturnTo, issuer: Issuer) -> Sent:
    if back.state is not None:
        fields.append(("state", back.state))
    fields.append(("iss", issuer.url))
    if is_out_of_band(back.redirect_uri) or back.mode == "form_post":
        return Sent(back.redirect_uri, tuple(fields))
    target = _joined(back.redirect_uri, "&".join([f"{name}={quote(value, safe='')}" for name, value in fields]))
    if back.mode == "web_message":
        return Sent(target, tuple(fields), origin_of(back.redirect_uri))
    return Sent(target)


def _joined(uri: str, query: str) -> str:
    """Return an address with more query; what it has is kept as it is (RFC 6749 §3.1.2)."""
    if "?" not in uri:
        return f"{uri}?{query}"
    return f"{uri}{query}" if uri.endswith(("?", "&")) else f"{uri}&{query}"


def _ascii(text: str) -> str:
    # RFC 6749 §4.1.2.1: no quote, no backslash, nothing beyond printable ASCII.
    return "".join(["'" if char == '"' else char if " " <= char <= "~" and char != "\\" else "?" for char in text])
