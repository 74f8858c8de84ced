"""Records as tests need them: whole and ordinary, except for what a test names."""

import msgspec

from gatewright.oauth.authorization import Redeemable
from gatewright.oauth.catalogue import Api, Catalogue, Role, Scope, text_of
from gatewright.oauth.client import Client, ClientSecret, ClientSettings
from gatewright.oauth.issuer import Issuer, Policy
from tests.support.clock import NOON

TENANT = 1001
CLIENT = 2001
GRANT = 3001
AUTHORIZATION = 4001
PERSON = 5001
ACCOUNT = 6001
MEMBERSHIP = 7001
SESSION = 8001
URL = "https://id.acme.test"

BANK = Api(id=101, audience="https://bank.acme.test", name="Acme Bank", roles="off", token_format="opaque", token_lifetime=7200)
EVENTS = Api(id=102, audience="https://events.acme.test", name="Acme Events", token_format="jwt", token_lifetime=900)
IMAGING = Api(id=103, audience="https://imaging.acme.test", name="Acme Imaging", token_format="jwt", token_lifetime=3600)
APPS = Api(id=104, audience="https://apps.acme.test", name="Acme Apps", roles="off", token_format="opaque", token_lifetime=0)

READ_BALANCE = Scope(201, "read:balance", BANK.id, "See the balance of your bank accounts")
TRANSFER = Scope(202, "transfer:funds", BANK.id, "Send money from your bank accounts", risk="high", place=1)
CREATE_EVENTS = Scope(203, "create:events", EVENTS.id, "Create events")
VIEW_EVENTS = Scope(204, "view:events", EVENTS.id, "See events", place=1)
READ_IMAGES = Scope(205, "read:images", IMAGING.id, "Read images", reach="tenant")
DELETE_IMAGES = Scope(206, "delete:images", IMAGING.id, "Delete images", risk="high", reach="tenant", place=1)
USE_APP = Scope(207, "use:app", APPS.id, "Use the app")

ORGANIZER = Role(301, "Organizer", frozenset({CREATE_EVENTS.id}))
PARTICIPANT = Role(302, "Participant", frozenset({VIEW_EVENTS.id}))

CATALOGUE = Catalogue(
    [BANK, EVENTS, IMAGING, APPS],
    [READ_BALANCE, TRANSFER, CREATE_EVENTS, VIEW_EVENTS, READ_IMAGES, DELETE_IMAGES, USE_APP],
    [ORGANIZER, PARTICIPANT],
)


def an_issuer(url: str = URL, *, tenant: int = TENANT, **policy: int) -> Issuer:
    """An issuer, with the default policy except for what is named."""
    return Issuer(url=url, tenant=tenant, host=url.removeprefix("https://"), policy=msgspec.convert(policy, Policy), name="Acme")


def a_client(number: int = CLIENT, /, secrets: tuple[ClientSecret, ...] = (), **settings: object) -> Client:
    """A third-party web client with codes and refresh tokens, except for what is named."""
    ordinary: dict[str, object] = {
        "client_name": "Budget Buddy",
        "grant_types": ("authorization_code", "refresh_token"),
        "redirect_uris": ("https://budget.example/callback",),
        "scopes": (1, 2, 3, 6, READ_BALANCE.id, TRANSFER.id, CREATE_EVENTS.id, VIEW_EVENTS.id),
    }
    kept = msgspec.convert(ordinary | settings, ClientSettings)
    return Client(
        id=number,
        tenant=TENANT,
        client_id="budget-buddy",
        epoch=0,
        disabled=False,
        settings=kept,
        scopes=frozenset(kept.scopes),
        grant_types=frozenset(kept.grant_types),
        secrets=secrets,
    )


def a_standing(**changed: object) -> Redeemable:
    """An authorization that stands, for a person in an account, except for what is named."""
    scopes = text_of((1, READ_BALANCE.id))
    ordinary: dict[str, object] = dict.fromkeys(Redeemable.__struct_fields__)
    ordinary |= {
        "id": AUTHORIZATION,
        "tenant": TENANT,
        "issuer": URL,
        "grant": GRANT,
        "client": CLIENT,
        "person": PERSON,
        "account": ACCOUNT,
        "membership": MEMBERSHIP,
        "session": SESSION,
        "epoch": 0,
        "scopes": scopes,
        "resources": "",
        "claims": "",
        "auth_time": NOON - 60,
        "acr": "pwd",
        "amr": "pwd",
        "access_secret": "row's own access secret",
        "refresh_secret": "row's own refresh secret",
        "generation": 0,
        "session_bound": 0,
        "opened_at": NOON - 30,
        "granted": scopes,
        "declined": "",
        "client_drift": 0,
        "person_drift": 0,
        "person_email": "organizer@acme.test",
        "person_name": "An organizer",
        "person_profile": "{}",
        "membership_roles": text_of((ORGANIZER.id,)),
        "account_slug": "acme-dev",
        "account_drift": 0,
    }
    return msgspec.convert(ordinary | changed, Redeemable)
