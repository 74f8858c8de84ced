"""The room of the clients: what may ask for access, how each is set, what weakens it, and when it was last used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from gatewright.audit.deed import Refused
from gatewright.base.calendar import seconds_of
from gatewright.base.check import Faults
from gatewright.base.duration import seconds
from gatewright.management.perform import Asked
from gatewright.web import console_views
from gatewright.web.console.apis import kept, makers
from gatewright.web.console.desk import AT_ONCE, told
from gatewright.web.console.revocation import words
from gatewright.web.console.rows import ACCESS, CLIENTS, ConsolePage
from gatewright.web.console_views import Fact, FactGroup, Weakness
from gatewright.web.pages import page as pages

if TYPE_CHECKING:
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply

TRIED_OUT: Final = "_report_only"
WEAKNESSES: Final = {
    "pkce_optional": "It may leave out PKCE, so a code that is caught can be used by whoever caught it.",
    "redirect_subpath": "The answer may go to any path below a registered address.",
    "token_until_revoked": "Its tokens do not expire by themselves.",
    "scopes_all_allowed": "A request that names no scope gets all that are allowed to it.",
    "secret_readable": "Its secret is kept so that it can be read again.",
    "first_party_without_secret": "It is trusted, and proves itself by nothing.",
    "third_party_management": "Somebody else's client may have scopes of the management API.",
    "long_refresh": "Somebody else's client keeps its access for more than 90 days without use, and has no end.",
    "password_grant": "It shows the passwords of service users.",
    "password_grant_for_people": "People type their passwords into it.",
    "out_of_band": "The user is shown a code and copies it, and may be talked into giving it away.",
    "published_credentials": "Everybody knows its secret.",
    "published_credentials_for_all_scopes": "Everybody knows its secret, and it may have more than the scopes that are marked for that.",
}
TYPES: Final = {
    "web": "Web",
    "spa": "Single-page",
    "native": "Native",
    "device": "Device",
    "service": "Service",
    "demo": "Demo",
}
PARTIES: Final = {"first": "First-party", "third": "Third-party"}
_WITHOUT_PAGES: Final = frozenset({"client_credentials", "password", "refresh_token"})
# What is asked of a client only where it sends users to the server.
_OF_PEOPLE: Final = frozenset({"pkce", "redirect_match"})
WITHOUT_SECRET: Final = ("none", "private_key_jwt")
# The settings of a client as its page groups them: what each is called, and its key; what is typed as it stands has True.
_GROUPS: Final[tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...]] = (
    (
        "What it may ask for",
        (
            ("Grant types", "grant_types", True),
            ("Scopes", "scopes", True),
            ("Without a scope asked", "scopes_policy", True),
            ("Scopes nobody knows", "unknown_scopes", True),
            ("Scopes that are denied", "denied", True),
            ("For users with", "roles", False),
            ("Several APIs at once", "audience", True),
            ("Account", "account", True),
            ("Acts for", "service_user", False),
        ),
    ),
    (
        "How it proves itself",
        (
            ("Method", "token_endpoint_auth_method", True),
            ("PKCE", "pkce", True),
            ("Keys at", "jwks_uri", True),
            ("Allowed addresses", "allowed_ips", True),
            ("Tried out only", "report_only", True),
        ),
    ),
    (
        "Where answers go",
        (
            ("Redirect addresses", "redirect_uris", True),
            ("They must match", "redirect_match", True),
            ("After signing out", "post_logout_redirect_uris", True),
            ("Pages that may ask", "cors_origins", True),
            ("Events", "event_url", True),
        ),
    ),
)


async def show_list(desk: Desk) -> PageReply:
    """Show clients by id."""
    filters = desk.filters
    problem, items, following = "", [], ""
    used: dict[str, str | None] = {}
    try:
        where = {**filters, "count": AT_ONCE}
        outcome = await desk.do("clients.list", Asked(where=where))
        items, following = outcome.value, outcome.next
        used = {one.client_id: one.last_used_at for one in await desk.look("clients.last_used", where)}
    except (Faults, Refused) as refusal:
        problem = told(str(refusal))
    view = console_views.Clients(
        brand=await desk.brand(),
        frame=desk.frame(),
        clients=tuple([_line(one, used.get(one.client_id)) for one in items]),
        status=filters.get("status", ""),
        problem=problem,
        paging=desk.paging(following, filters),
    )
    return pages.show(view, status=400 if problem else 200)


async def show_one(desk: Desk) -> PageReply:
    """Show a client."""
    client = await desk.look("clients.show", {"client_id": desk.name})
    secrets = await desk.look("clients.secrets.list", {"client_id": desk.name})
    names = await makers(secrets, desk)
    used = await desk.look("clients.last_used", {"client": desk.name})
    view = console_views.Client(
        brand=await desk.brand(),
        frame=desk.frame(),
        name=client.client_name,
        client_id=client.client_id,
        type=TYPES[client.type],
        party=PARTIES[client.party],
        disabled=client.status != "active",
        made=seconds_of(client.created_at) or 0,
        changed=seconds_of(client.changed_at) or 0,
        used=_time(used[0].last_used_at),
        weaknesses=tuple([Weakness(word=word, means=meaning(word)) for word in client.weaknesses]),
        groups=tuple([FactGroup(name=name, facts=_facts(client, rows)) for name, rows in _GROUPS] + [_lasting(client)]),
        has_secrets=client.token_endpoint_auth_method not in WITHOUT_SECRET,
        secrets=tuple([kept(one, names) for one in secrets]),
        secrets_path=f"{CLIENTS}/{quote(client.client_id, safe='')}/secrets" if desk.may("clients.secrets.create") else "",
        access_path=f"{ACCESS}?{urlencode({'client': client.client_id})}" if desk.may("grants.list") else "",
    )
    return pages.show(view)


def meaning(weakness: str) -> str:
    """Return what a weakness means."""
    if weakness.endswith(TRIED_OUT):
        return f"The rule {weakness.removesuffix(TRIED_OUT)} is only tried out: what it would refuse passes, and is counted."
    return WEAKNESSES.get(weakness, "")


def _line(client: Any, used: str | None) -> console_views.ClientLine:  # noqa: ANN401 - a record that is made from the platform file's
    return console_views.ClientLine(
        path=f"{CLIENTS}/{quote(client.client_id, safe='')}",
        name=client.client_name,
        client_id=client.client_id,
        type=TYPES[client.type],
        party=PARTIES[client.party],
        disabled=client.status != "active",
        weaknesses=len(client.weaknesses),
        used=_time(used),
    )


def _facts(client: Any, rows: tuple[tuple[str, str, bool], ...]) -> tuple[Fact, ...]:  # noqa: ANN401 - as above
    found = []
    for name, key, code in rows:
        value = getattr(client, key)
        values = (value,) if isinstance(value, str) else tuple(value or ())
        if any(values) and (key not in _OF_PEOPLE or _asks_people(client)):
            found.append(Fact(name=name, values=values, code=code))
    return tuple(found)


def _asks_people(client: Any) -> bool:  # noqa: ANN401 - as above
    """Tell whether the client asks users for access: to one that does not, codes, consent and ID tokens mean nothing."""
    return not _WITHOUT_PAGES.issuperset(client.grant_types)


def _lasting(client: Any) -> FactGroup:  # noqa: ANN401 - as above
    """How long what it gets lasts, and whose it is."""
    refresh, owner = client.refresh, client.owner
    when = {"always": "Always", "offline": "Only with offline_access"}[refresh.when]
    renews, people = "refresh_token" in client.grant_types, _asks_people(client)
    facts = []
    if people:
        facts.append(Fact(name="Consent", values=({"auto": "As its party says", "always": "Always asked"}[client.consent],)))
    if people or renews:
        facts.append(Fact(name="Refresh tokens", values=(when if renews else "None",)))
    if renews:
        facts.append(Fact(name="End without use", values=(_span(refresh.idle),)))
        facts.append(Fact(name="End in any case", values=(_span(refresh.absolute),)))
    if people:
        facts.append(Fact(name="ID tokens", values=(client.id_token_signed_response_alg,), code=True))
    facts.append(Fact(name="Owner", values=tuple(filter(None, (owner.user, owner.account))) or ("The platform",)))
    if client.password_grant is not None:
        facts.append(Fact(name="Passwords until", values=(f"{client.password_grant.until}: {client.password_grant.reason}",)))
    return FactGroup(name="How long, and whose", facts=tuple(facts))


def _span(text: str | None) -> str:
    return "As the platform has it" if text is None else words(seconds(text))


def _time(text: str | None) -> int | None:
    return None if text is None else seconds_of(text)


PAGES: Final = (
    ConsolePage(room=CLIENTS, show=show_list, asks=("clients.list", "clients.last_used")),
    ConsolePage(
        room=CLIENTS,
        tail=r"/(?P<name>[^/]{1,200})",
        show=show_one,
        asks=("clients.show", "clients.secrets.list", "clients.last_used"),
        also=("users.show",),
    ),
)
