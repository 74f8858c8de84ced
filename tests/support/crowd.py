"""Many who hold JWTs of every kind at two APIs, and what must be true of each after whatever an admin does.

Nobody may believe a JWT alone that says more than its introspection does, unless the feed told its API.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tests.support.approving import VERIFIER, authorized, redirect_of, sign_in
from tests.support.apps import add_app, installed
from tests.support.house import ENVIRON, Node, basic
from tests.support.listening import Reader, read

EVENTS: Final = "https://events.acme.test"
IMAGING: Final = "https://imaging.acme.test"
SECRETS: Final = {EVENTS: "EVENTS_SECRET", IMAGING: "IMAGING_SECRET"}
VIEW, CREATE, MANAGE, WATCH, READ, DELETE = (
    "view:events", "create:events", "manage:events", "watch:events", "read:images", "delete:images",
)  # fmt: skip


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What an admin may set: at first everybody has everything."""

    organizer: tuple[str, ...] = (VIEW, CREATE, WATCH)
    participant: tuple[str, ...] = (VIEW,)
    chief: tuple[str, ...] = (MANAGE, READ)
    ann: tuple[str, ...] = ("Organizer", "Chief")
    ben: tuple[str, ...] = ("Organizer",)
    robot: tuple[str, ...] = ("Organizer", "Participant")
    reader: tuple[str, ...] = (VIEW, CREATE, MANAGE, READ)
    for_roles: tuple[str, ...] = ()
    own: tuple[str, ...] = (VIEW, CREATE, MANAGE)
    own_for_roles: tuple[str, ...] = ("Organizer", "Participant", "Chief")
    job: tuple[str, ...] = (VIEW, CREATE)
    copier: tuple[str, ...] = (READ, DELETE)
    events_roles: str = "required"
    imaging_roles: str = "off"
    names_roles: bool = True
    implies: tuple[str, ...] = (VIEW, CREATE)
    aliases: tuple[str, ...] = ("see:events",)
    reach: str = "tenant"
    published: str = "all"
    """Which scopes a client with published credentials may have: all, or those that are marked for it."""
    marked: bool = True
    """Whether one is marked so."""

    def text(self) -> str:
        """The platform file that says it."""
        return f"""
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test", "https://login.acme.test"]
paths = ["standard", "o", "oauth"]

[[apis]]
audience = "{EVENTS}"
name = "Acme Events"
usage = true
roles = "{self.events_roles}"
token = {{ format = "jwt", lifetime = "15m", roles = {str(self.names_roles).lower()} }}
secret = {{ env = "EVENTS_SECRET" }}
[apis.scopes]
"create:events" = {{ text = "Create events", cleanup = true }}
"view:events" = {{ text = "See events", demo = {str(self.marked).lower()}, aliases = {_list(self.aliases)} }}
"manage:events" = {{ text = "Manage events", implies = {_list(self.implies)} }}
"watch:events" = "Watch events"

[[apis]]
audience = "{IMAGING}"
name = "Acme Imaging"
roles = "{self.imaging_roles}"
token = {{ format = "jwt", lifetime = "1h" }}
secret = {{ env = "IMAGING_SECRET" }}
[apis.scopes]
"read:images" = {{ text = "Read images", reach = "{self.reach}" }}
"delete:images" = {{ text = "Delete images", risk = "high", reach = "tenant" }}

[[roles]]
name = "Organizer"
scopes = {_list(self.organizer)}
[[roles]]
name = "Participant"
scopes = {_list(self.participant)}
[[roles]]
name = "Chief"
scopes = {_list(self.chief)}

[[users]]
email = "ann@acme.test"
memberships = [{{ account = "acme-dev", roles = {_list(self.ann)} }}]
[[users]]
email = "ben@acme.test"
memberships = [{{ account = "acme-prod", roles = {_list(self.ben)} }}]
[[users]]
email = "robot@service.acme.test"
kind = "service"
memberships = [{{ account = "acme-prod", roles = {_list(self.robot)} }}]

[[clients]]
client_id = "events-reader"
client_name = "Events reader"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["{redirect_of("events-reader")}"]
scopes = {_list(("openid", *self.reader))}
roles = {_list(self.for_roles)}
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "day-app"
client_name = "Day app"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["{redirect_of("day-app")}"]
scopes = {_list(("openid", "offline_access", VIEW))}
refresh = {{ when = "offline" }}
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "own-web"
client_name = "Our own"
party = "first"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["{redirect_of("own-web")}"]
scopes = {_list(("openid", *self.own))}
roles = {_list(self.own_for_roles)}
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "try-it"
client_name = "Try it"
type = "demo"
demo_scopes = "{self.published}"
redirect_uris = ["{redirect_of("try-it")}"]
scopes = {_list(("openid", VIEW, WATCH))}
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "events-job"
client_name = "Events job"
type = "service"
grant_types = ["client_credentials"]
scopes = {_list(self.job)}
service_user = "robot@service.acme.test"
secret = {{ env = "CLIENT_SECRET" }}
[[clients]]
client_id = "image-copier"
client_name = "Image copier"
type = "service"
grant_types = ["client_credentials"]
scopes = {_list(self.copier)}
secret = {{ env = "CLIENT_SECRET" }}
"""


START: Final = Platform()


def _list(names: tuple[str, ...]) -> str:
    return msgspec.json.encode(names).decode()


class Crowd:
    """Those who hold tokens."""

    def __init__(self, node: Node, tenant: int) -> None:
        self.node = node
        self.tokens: dict[str, tuple[str, str]] = {}
        """Each token by what it is, with its API."""
        self.install = ""
        self._readers = {api: Reader(node, tenant, api) for api in SECRETS}

    @classmethod
    async def gathered(cls, node: Node, platform: Platform = START) -> Crowd:
        """Make the platform, and have everybody get tokens."""
        await node.apply(platform.text())
        asked: Any = [{"scope": VIEW, "reason": "To show them"}, {"scope": CREATE, "reason": "To make them"}]
        await add_app(node, event_url="https://reporter.example/events", scopes=asked)
        await node.house.endings.look()
        node.time.pass_(61)  # what was taken by this is behind us
        crowd = cls(node, await node.tenant())
        await crowd.more()
        return crowd

    async def more(self) -> None:
        """Have everybody get tokens once more, as far as they still may."""
        ann, ben = await sign_in(self.node), await sign_in(self.node, "ben@acme.test")
        await self._bought("a reader", ann, "events-reader", "openid see:events create:events manage:events")
        await self._bought("a reader of images", ann, "events-reader", READ, IMAGING)
        await self._bought("by the day", ann, "day-app", "openid view:events")
        await self._bought("our own", ben, "own-web", "openid view:events create:events", account="acme-prod")
        await self._bought("ours for a chief", ann, "own-web", "openid manage:events view:events")
        await self._bought("a trial", ann, "try-it", "view:events watch:events")
        await self._given("a job", "events-job", "view:events create:events", EVENTS)
        await self._given("a copier", "image-copier", "read:images delete:images", IMAGING)
        if not self.install:
            has = await installed(self.node)
            self.install = has["install_id"]
            self.tokens["an app"] = (has["access_token"], EVENTS)

    async def _bought(self, what: str, cookie: str, client: str, scope: str, api: str = EVENTS, account: str = "acme-dev") -> None:
        told = await authorized(self.node, cookie, client, scope, account=account, more={"resource": api})
        if "code" not in told:
            return
        form = {"grant_type": "authorization_code", "redirect_uri": redirect_of(client), "code_verifier": VERIFIER}
        answer = await self.node.post("/token", form | {"code": told["code"], "resource": api}, basic(client))
        if answer.status == 200:
            self.tokens[f"{what} of {len(self.tokens)}"] = (answer.json["access_token"], api)

    async def _given(self, what: str, client: str, scope: str, api: str) -> None:
        answer = await self.node.post("/token", {"grant_type": "client_credentials", "scope": scope}, basic(client))
        if answer.status == 200:
            self.tokens[f"{what} of {len(self.tokens)}"] = (answer.json["access_token"], api)

    async def said(self, what: str) -> dict[str, Any]:
        """What its API is told of a token that it asks about."""
        token, api = self.tokens[what]
        return (await self.node.post("/introspect", {"token": token}, basic(api, ENVIRON[SECRETS[api]]))).json

    async def losers(self) -> set[str]:
        """Look at everybody: who says more than is so is known to have lost something, and who is good is not refused unasked.

        Return those who lost something.
        """
        for reader in self._readers.values():
            await reader.hear()
        lost = set()
        for what, (token, api) in self.tokens.items():
            claims, said, reader = read(token), await self.said(what), self._readers[api]
            if (claims.exp or 0) <= self.node.time.now:
                continue
            # What was handed over goes on, and a token that names the user of before does not.
            active = said["active"] and said["sub"] == claims.sub
            has = set(said.get("scope", "").split()) | {f"role {name}" for name in said.get("roles", ())}
            own = {name for name in claims.scopes if ":" in name} | {f"role {name}" for name in claims.roles}
            # In a token that names no account, these are good in every one.
            if active and not claims.account_id:
                has |= {f"everywhere {name}" for name in said.get("gw_reach", "").split()}
                own |= {f"everywhere {name}" for name in claims.reach}
            assert not (active and reader.over(token)), f"{what} would be refused unasked"
            if not active or own - has:
                lost.add(what)
                assert reader.over(token) or reader.asked(token), f"{what} is believed to have {own - has if active else 'anything'}"
        return lost

    async def told(self, api: str) -> list[dict[str, Any]]:
        """All that an API was told."""
        await self._readers[api].hear()
        return self._readers[api].said

    async def untouched(self) -> set[str]:
        """Those who are believed by their signatures."""
        for reader in self._readers.values():
            await reader.hear()
        return {
            what for what, (token, api) in self.tokens.items() if not self._readers[api].over(token) and not self._readers[api].asked(token)
        }
