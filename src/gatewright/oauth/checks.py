"""The checks of an authorization request, in the order that is their meaning (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.2).

Up to and with `one_redirect_uri` a fault is shown to the user as a page; behind it the client is told at its own address.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from gatewright.oauth import pkce, redirect_uri
from gatewright.oauth.ask import Params
from gatewright.oauth.catalogue import OPENID, Catalogue
from gatewright.oauth.claims import parse_claims
from gatewright.oauth.client import Client
from gatewright.oauth.decision import Verdict, printable, requested
from gatewright.oauth.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    PageError,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from gatewright.oauth.language import preferences
from gatewright.oauth.logout import Hint
from gatewright.oauth.metadata import PROMPTS, RESPONSE_MODES
from gatewright.oauth.redirect_uri import RedirectUri
from gatewright.oauth.report_only import Breach, enforce
from gatewright.oauth.request import AuthorizationRequest, Prompt, ResponseMode, ReturnTo

MOST_RESOURCES: Final = 10
LONGEST_SCOPE: Final = 4096  # characters; 175 scopes of 20 characters fit
LONGEST_HINT: Final = 320  # characters of an e-mail address (RFC 5321 §4.5.3.1)
LONGEST_ACCOUNT: Final = 100

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E ]+")  # RFC 6749 §3.3
_AGE: Final = re.compile(r"[0-9]{1,9}")
_FREE_TEXT: Final = frozenset({"claims", "request"})  # JSON may be broken into lines


@dataclass(slots=True)
class Draft:
    """A request under examination: what came, and what the checks made of it so far."""

    params: Params
    client: Client | None
    catalogue: Catalogue
    hint: Hint | None
    now: int
    redirect_uri: RedirectUri = redirect_uri.NOWHERE
    mode: ResponseMode = "query"
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    prompts: frozenset[Prompt] = frozenset()
    max_age: int | None = None
    found: dict[str, str] = field(default_factory=dict)
    breaches: list[Breach] = field(default_factory=list)

    @property
    def known(self) -> Client:
        """The client, behind the first check."""
        assert self.client is not None  # noqa: S101 - the first check refused it
        return self.client

    @property
    def back(self) -> ReturnTo:
        """Where a refusal goes, once the address is proved."""
        return ReturnTo(self.redirect_uri, self.mode, self.params.get("state"))


class Refused(Exception):
    """A fault in a request whose address is proved: the client is told there."""

    def __init__(self, error: OAuthError, back: ReturnTo) -> None:
        super().__init__(error.description)
        self.error = error
        self.back = back


Check = Callable[[Draft], None]


def known_client(draft: Draft) -> None:
    """RFC 6749 §4.1.2.1: the client is registered here and active."""
    draft.params.need("client_id")
    if draft.client is None or draft.client.disabled:
        raise InvalidRequest("no active client is registered here under this client_id")


def one_redirect_uri(draft: Draft) -> None:
    """RFC 6749 §3.1.2.3, RFC 9700 §2.1; named always with `openid` (OpenID Connect Core §3.1.2.1)."""
    shown = draft.params.get("redirect_uri")
    if shown is not None:
        found = redirect_uri.match_exactly(shown, draft.known) or _below(shown, draft)
    elif "openid" in (draft.params.get("scope") or "").split():
        raise InvalidRequest("the parameter 'redirect_uri' is missing; an OpenID Connect request names it always")
    else:
        found = redirect_uri.only(draft.known)
    if found is None:
        wrong = "is not registered for this client, character by character" if shown else "is missing, and not exactly one is registered"
        raise InvalidRequest(f"the parameter 'redirect_uri' {wrong}")
    draft.redirect_uri = found


def _below(shown: str, draft: Draft) -> RedirectUri | None:
    found = redirect_uri.match_below(shown, draft.known)
    if found is not None and draft.known.settings.redirect_match == "exact":
        said = "is not registered for this client, character by character, but an address above it"
        fault = InvalidRequest(f"the parameter 'redirect_uri' {said}")
        draft.breaches.append(enforce("redirect_match", draft.known, fault, redirect_uri=found))
    return found


def response_mode(draft: Draft) -> None:
    """OAuth 2.0 Multiple Response Type Encoding Practices §2.1."""
    mode = draft.params.get("response_mode")
    if mode is not None:
        # Only for an app that registered where its popups are opened from, so it is published to nobody (`security-rules` 44).
        told = mode == "web_message" and draft.known.settings.popup_origin == redirect_uri.origin_of(draft.redirect_uri)
        if mode not in RESPONSE_MODES and not told:
            raise InvalidRequest(f"the parameter 'response_mode' is one of: {', '.join(RESPONSE_MODES)}")
        draft.mode = cast("ResponseMode", mode)


def characters(draft: Draft) -> None:
    """RFC 6749 appendix A: no parameter holds a control character."""
    for name, value in draft.params.items():
        if name not in _FREE_TEXT and _CONTROL.search(value):
            raise InvalidRequest(f"the parameter '{printable(name)}' holds a control character")


def response_type(draft: Draft) -> None:
    """RFC 6749 §3.1.1: `code` is all there is; nothing else has code here (RFC 9700 §2.1.2)."""
    if draft.params.need("response_type") != "code":
        raise UnsupportedResponseType("the parameter 'response_type' must be 'code'")
    if draft.known.settings.withdrawn:
        raise UnauthorizedClient("this app was withdrawn: it is not installed any more")
    if "authorization_code" not in draft.known.grant_types:
        raise UnauthorizedClient("this client may not use the grant type authorization_code")


def unsupported(draft: Draft) -> None:
    """OpenID Connect Core §6, §7.2.1: said, never ignored, since a request object could hold anything."""
    if "request" in draft.params:
        raise RequestNotSupported("the parameter 'request' is not supported: send the parameters themselves")
    if "request_uri" in draft.params:
        raise RequestUriNotSupported("the parameter 'request_uri' is not supported: send the parameters themselves")
    if "registration" in draft.params:
        raise RegistrationNotSupported("the parameter 'registration' is not supported")


def proof_key(draft: Draft) -> None:
    """RFC 7636 §4.3, §4.4.1; RFC 9700 §2.1.1: S256 always, but for confidential clients that were let off."""
    challenge, method = draft.params.get("code_challenge"), draft.params.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise InvalidRequest("the parameter 'code_challenge' is missing beside 'code_challenge_method'")
        # A code that its user carries was in no redirect; and of published credentials even PKCE would prove no more (`security-rules` 23).
        carried = draft.known.demo and redirect_uri.is_out_of_band(draft.redirect_uri)
        if not carried and (draft.known.public or draft.known.settings.pkce == "required"):
            fault = InvalidRequest("the parameter 'code_challenge' is missing: this client must use PKCE with S256")
            if draft.known.public:
                raise fault
            draft.breaches.append(enforce("pkce", draft.known, fault, redirect_uri=draft.redirect_uri))
    elif method != pkce.METHOD:
        raise InvalidRequest("the parameter 'code_challenge_method' must be 'S256'")
    elif not pkce.is_challenge(challenge):
        raise InvalidRequest("the parameter 'code_challenge' is no S256 challenge: 43 characters of base64url without padding")


def scope(draft: Draft) -> None:
    """RFC 6749 §3.3; `openid` is given or refused, never left out in silence (`security-rules` 28)."""
    text = draft.params.get("scope")
    if text is not None and (len(text) > LONGEST_SCOPE or _SCOPE.fullmatch(text) is None):
        raise InvalidScope(f"the parameter 'scope' is longer than {LONGEST_SCOPE} characters, or holds one that no scope may have")
    asked = None if text is None else " ".join(text.split()) or None
    draft.scopes = requested(asked, draft.catalogue, draft.known, draft.breaches)
    if "openid" in draft.scopes and OPENID not in draft.known.scopes:
        raise InvalidScope("the scope openid is not allowed to this client")
    known = draft.catalogue.scopes_by_name
    denied = [name for name in draft.scopes if known[name].id not in draft.known.scopes]
    if denied and draft.known.all_or_nothing:
        # Told at once, since no user could change it.
        said = f"{printable(denied[0])}: {Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT}"
        raise InvalidScope(f"this client wants all that it asks for, and not all can be given ({said})")
    if len(denied) == len(draft.scopes):
        raise InvalidScope("none of the requested scopes is known here and allowed to this client")


def resources(draft: Draft) -> None:
    """RFC 8707 §2: each names an API that is known here."""
    named = draft.params.resources
    if len(named) > MOST_RESOURCES:
        raise InvalidTarget(f"more than {MOST_RESOURCES} resources were named")
    found = dict.fromkeys([_audience(resource, draft.catalogue) for resource in named])
    draft.resources = tuple(found)


def _audience(resource: str, catalogue: Catalogue) -> str:
    api = catalogue.api_named(resource)
    if api is None or api.disabled:
        raise InvalidTarget(f"the resource is no API that is known here: {printable(resource)}")
    return api.audience


def claims(draft: Draft) -> None:
    """OpenID Connect Core §5.5; without `openid` there is nobody to tell a claim of, so the parameter is passed over."""
    text = draft.params.get("claims")
    if text is not None and "openid" in draft.scopes:
        parse_claims(text)
        draft.found["claims"] = text


def prompt(draft: Draft) -> None:
    """OpenID Connect Core §3.1.2.1: `none` stands alone."""
    words = frozenset((draft.params.get("prompt") or "").split())
    unknown = words - frozenset(PROMPTS)
    if unknown:
        raise InvalidRequest(f"the parameter 'prompt' holds '{printable(min(unknown))}', which is none of: {', '.join(PROMPTS)}")
    if "none" in words and len(words) > 1:
        raise InvalidRequest("the parameter 'prompt' holds 'none' beside other words")
    draft.prompts = cast("frozenset[Prompt]", words)


def max_age(draft: Draft) -> None:
    """OpenID Connect Core §3.1.2.1: seconds."""
    text = draft.params.get("max_age")
    if text is not None:
        if _AGE.fullmatch(text) is None:
            raise InvalidRequest("the parameter 'max_age' is a number of seconds")
        draft.max_age = int(text)


def hints(draft: Draft) -> None:
    """OpenID Connect Core §3.1.2.1: a hint may have expired, but we made it, here, for this client (`security-rules` 56)."""
    if "id_token_hint" in draft.params and (draft.hint is None or draft.hint.client_id != draft.known.client_id):
        raise InvalidRequest("the parameter 'id_token_hint' is no ID token that was issued here to this client")
    for name, longest in (("login_hint", LONGEST_HINT), ("account", LONGEST_ACCOUNT)):
        text = draft.params.get(name)
        if text is not None:
            if len(text) > longest:
                raise InvalidRequest(f"the parameter '{name}' is longer than {longest} characters")
            draft.found[name] = text
    # A wish, not a demand: what is not understood of it is passed over (OpenID Connect Core §3.1.2.1).
    draft.found["ui_locales"] = " ".join(preferences(draft.params.get("ui_locales") or "", ""))


CHECKS: Final[tuple[Check, ...]] = (
    known_client,
    one_redirect_uri,
    response_mode,
    characters,
    response_type,
    unsupported,
    proof_key,
    scope,
    resources,
    claims,
    prompt,
    max_age,
    hints,
)
_PROVED: Final = CHECKS.index(one_redirect_uri) + 1


def examine(
    params: Params, client: Client | None, catalogue: Catalogue, *, hint: Hint | None, now: int, breaches: list[Breach]
) -> AuthorizationRequest:
    """Return the request that these parameters are, after every check in turn. What passes only because its rule is tried out is added
    to `breaches`.

    Raises:
        PageError: a fault before the address of the answer is proved.
        Refused: any other.
    """
    draft = Draft(params, client, catalogue, hint, now, breaches=breaches)
    try:
        for check in CHECKS[:_PROVED]:
            check(draft)
    except OAuthError as error:
        raise PageError(error) from None
    try:
        for check in CHECKS[_PROVED:]:
            check(draft)
    except OAuthError as error:
        raise Refused(error, draft.back) from None
    return _made(draft)


def _made(draft: Draft) -> AuthorizationRequest:
    params = draft.params
    return AuthorizationRequest(
        client_id=draft.known.client_id,
        back=draft.back,
        redirect_sent="redirect_uri" in params,
        scopes=draft.scopes,
        resources=draft.resources,
        challenge=params.get("code_challenge"),
        nonce=params.get("nonce"),
        claims_text=draft.found.get("claims", ""),
        prompts=draft.prompts,
        max_age=draft.max_age,
        login_hint=draft.found.get("login_hint", ""),
        hint=0 if draft.hint is None else draft.hint.person,
        account=draft.found.get("account", ""),
        popup=draft.mode == "web_message",
        ui_locales=draft.found.get("ui_locales", ""),
        asked_at=draft.now,
    )
