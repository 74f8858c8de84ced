"""What must be true of a deployment, kept beside it in the simplest way: sets, lists and dates, and no store."""

from __future__ import annotations

from dataclasses import dataclass, field

OPENID = frozenset({"openid", "profile", "email", "offline_access"})
BANK, EVENTS, REPORTS, IMAGING, APPS = (f"https://{name}.acme.test" for name in ("bank", "events", "reports", "imaging", "apps"))
SCOPES = {
    BANK: frozenset({"read:balance", "transfer:funds"}),
    EVENTS: frozenset({"create:events", "view:events"}),
    REPORTS: frozenset({"read:reports"}),
}
FOR_EVERYBODY = SCOPES[BANK]
JWT = frozenset({EVENTS})
LIFETIMES = {"": 3600, BANK: 7200, EVENTS: 900, REPORTS: 3600}
ROLES = {
    "Organizer": frozenset({"create:events", "view:events", "read:reports"}),
    "Participant": frozenset({"view:events"}),
}
CLIENTS = {
    "budget-buddy": OPENID | SCOPES[BANK] | SCOPES[EVENTS] | SCOPES[REPORTS],
    "browser-app": frozenset({"openid", "email", "read:balance", "read:reports"}),
    "events-web": frozenset({"openid", "profile"}) | SCOPES[EVENTS] | SCOPES[REPORTS],
}
PUBLIC = frozenset({"browser-app"})
TRUSTED = frozenset({"events-web"})
MEMBERS = {
    ("ann@acme.test", "acme-dev"): "Organizer",
    ("ann@acme.test", "acme-prod"): "Participant",
    ("ben@acme.test", "acme-prod"): "Organizer",
}
CODE_LIVES = 60
IDLE = 30 * 86400
ABSOLUTE_THIRD_PARTY = 365 * 86400
Place = tuple[str, str, str]
"""Client, user and account: what a grant is for. The account is empty where nothing of an account was given."""


def api_of(scope: str) -> str:
    """The API of a scope, "" for one of OpenID Connect."""
    return next((api for api, scopes in SCOPES.items() if scope in scopes), "")


@dataclass
class Token:
    """An access token: for which API, and what it says of itself at most."""

    text: str
    api: str
    own: frozenset[str]
    expires_at: int
    revoked: bool = False


@dataclass
class Chain:
    """One approval: its code, its refresh tokens by generation, its access tokens, and whether it is over."""

    place: Place
    ceiling: frozenset[str]
    code: str
    opened_at: int
    over: str = ""
    used: bool = False
    refresh: list[str] = field(default_factory=list)
    rotated_at: int = 0
    idle_until: int = 0
    tokens: list[Token] = field(default_factory=list)

    @property
    def client(self) -> str:
        """Whose it is."""
        return self.place[0]

    @property
    def until(self) -> int:
        """When it is over in any case."""
        return 2**62 if self.client in TRUSTED else self.opened_at + ABSOLUTE_THIRD_PARTY

    def end(self, because: str) -> None:
        """End it; the first cause wins."""
        self.over = self.over or because


@dataclass
class Model:
    """The tenant that is attacked."""

    now: int
    chains: list[Chain] = field(default_factory=list)
    granted: dict[Place, frozenset[str]] = field(default_factory=dict)
    declined: dict[Place, frozenset[str]] = field(default_factory=dict)
    roles: dict[tuple[str, str], frozenset[str]] = field(
        default_factory=lambda: {seat: frozenset({role}) for seat, role in MEMBERS.items()}
    )
    disabled: set[str] = field(default_factory=set)
    """Users, clients and accounts that are disabled now, by their names."""

    def open_to(self, place: Place) -> frozenset[str]:
        """What a user may pass on in an account today."""
        _, person, account = place
        roles = self.roles.get((person, account))
        if roles is None:
            return OPENID
        return OPENID.union(FOR_EVERYBODY, *(ROLES[role] for role in roles))

    def possible(self, place: Place, asked: frozenset[str]) -> frozenset[str]:
        """What a client could get from a user, consent aside."""
        return asked & CLIENTS[place[0]] & self.open_to(place)

    def today(self, chain: Chain) -> frozenset[str]:
        """What a chain may yield today: its ceiling, the consent, the client and the roles, all of them."""
        return chain.ceiling & self.granted.get(chain.place, frozenset()) & self.possible(chain.place, chain.ceiling)

    def consent(self, place: Place, asked: frozenset[str], ticked: frozenset[str]) -> None:
        """Remember what a user said."""
        no = asked - ticked
        self.granted[place] = (self.granted.get(place, frozenset()) - no) | ticked
        self.declined[place] = (self.declined.get(place, frozenset()) | no) - ticked

    def withdraw(self, place: Place) -> None:
        """End a grant and everything under it."""
        self.granted.pop(place, None)
        self.declined.pop(place, None)
        self.end("withdrawn", place)

    def end(self, because: str, place: tuple[str | None, str | None, str | None]) -> None:
        """End every chain at a place; None stands for any client, user or account."""
        for chain in self.chains:
            if all(wanted in (None, own) for wanted, own in zip(place, chain.place, strict=True)):
                chain.end(because)

    def expired(self, chain: Chain) -> bool:
        """Whether a chain can be renewed no more."""
        return chain.idle_until <= self.now or chain.until <= self.now

    def overlap(self, chain: Chain) -> int:
        """For how long the refresh token before the present one is answered."""
        return 10 if chain.client in PUBLIC else 600

    def active(self, chain: Chain, token: Token) -> bool:
        """Whether a token is good now."""
        return not chain.over and not token.revoked and self.now < token.expires_at

    def secrets(self) -> list[str]:
        """Everything that somebody could have stolen."""
        return [text for chain in self.chains for text in (chain.code, *chain.refresh, *(token.text for token in chain.tokens))]
