"""The statements that join other rooms' tables; nowhere else does one. Whatever checks an access token asks `STANDING` first,
whatever takes a code or a refresh token `REDEEMABLE`.

Each join is by primary key, so whichever of its parties ends, an authorization ends at the next look at it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gatewright.ledger.target import MEANT
from gatewright.oauth.authorization import Redeemable, Standing
from gatewright.store import Query

_COLUMNS: Final = """a.id, a.tenant, a.issuer, a.consent_grant, a.client, a.person, a.account, a.membership, a.session,
              a.epoch, a.scopes, a.resources, a.claims, a.auth_time, a.acr, a.amr, a.access_secret, a.session_bound,
              a.opened_at, a.ended_at, a.ended_because,
              g.granted, g.declined, g.expires_at, g.ended_at, g.ended_because,
              c.disabled_at, c.epoch - a.client_epoch,
              COALESCE(p.deleted_at, p.disabled_at), p.epoch - a.person_epoch, p.email, p.email_verified_at, p.name, p.profile,
              m.roles, m.ended_at,
              t.slug, COALESCE(t.deleted_at, t.disabled_at), t.epoch - a.account_epoch,
              s.ended_at, CASE WHEN s.idle_until < s.until THEN s.idle_until ELSE s.until END"""
_JOINED: Final = """{each} authorization_row AS a
              LEFT JOIN consent_grant AS g ON g.id = a.consent_grant AND g.tenant = a.tenant
              LEFT JOIN client AS c ON c.id = a.client AND c.tenant = a.tenant
              LEFT JOIN person AS p ON p.id = a.person AND p.tenant = a.tenant
              LEFT JOIN membership AS m ON m.id = a.membership AND m.tenant = a.tenant
              LEFT JOIN account AS t ON t.id = a.account AND t.tenant = a.tenant
              LEFT JOIN session AS s ON s.id = a.session AND s.tenant = a.tenant"""

# The mark is asked for in brackets: joined, PostgreSQL read every mark there is for each row as long as it believed the table small.
STANDING: Final = Query(
    Standing,
    f"""SELECT {_COLUMNS}, (SELECT k.until FROM mark AS k WHERE k.name = :mark), a.standing_digest,
              CASE WHEN a.opened_by = 'install_cleanup' THEN g.acting END
         FROM {_JOINED}
        WHERE a.id = :id""",  # noqa: S608 - our own columns
    each={"id": int, "mark": str},
)
REDEEMABLE: Final = Query(
    Redeemable,
    f"""SELECT {_COLUMNS}, CAST(NULL AS BIGINT), a.standing_digest, CAST(NULL AS BIGINT),
              a.nonce, a.code_digest, a.code_expires_at, a.code_challenge, a.redirect_uri, a.code_used_by,
              a.refresh_secret, a.generation, a.rotated_at, a.refresh_idle_until, a.refresh_until
         FROM {_JOINED}
        WHERE a.id = :id""",  # noqa: S608 - our own columns
    each={"id": int},
)


class Parties(Struct, frozen=True):
    """Who stands behind a client without an interactive user, as of now; what is missing is 0, `gone` tells of one not active."""

    account: int
    membership: int
    client_epoch: int
    person_epoch: int
    account_epoch: int
    gone: int


# A service user has one membership, so naming the user is enough.
PARTIES: Final = Query(
    Parties,
    """SELECT COALESCE(m.account, CAST(:account AS BIGINT)), COALESCE(m.id, 0), c.epoch, COALESCE(p.epoch, 0), COALESCE(t.epoch, 0),
              CASE WHEN c.disabled_at IS NOT NULL OR p.disabled_at IS NOT NULL OR p.deleted_at IS NOT NULL
                     OR t.disabled_at IS NOT NULL OR t.deleted_at IS NOT NULL THEN 1 ELSE 0 END
         FROM client AS c
              LEFT JOIN person AS p ON p.id = CAST(:person AS BIGINT) AND p.tenant = c.tenant
              LEFT JOIN membership AS m ON m.person = p.id AND m.ended_at IS NULL
                                       AND CAST(:account AS BIGINT) IN (0, m.account)
              LEFT JOIN account AS t ON t.id = COALESCE(m.account, CAST(:account AS BIGINT)) AND t.tenant = c.tenant
        WHERE c.id = :client AND c.tenant = :tenant""",
)


class Weighed(Struct, frozen=True):
    """A live grant with the roles that its user holds in the account today: all that today's decision on it looks at."""

    id: int
    client: int
    person: int
    account: int
    granted: str
    declined: str
    used_at: int | None
    roles: str | None


WEIGHED: Final = {
    way: Query(
        Weighed,
        f"""SELECT g.id, g.client, g.person, g.account, g.granted, g.declined, g.used_at, m.roles
             FROM (SELECT id, client, person, account, granted, declined, used_at FROM consent_grant
                    WHERE {meant} AND id > :after ORDER BY id LIMIT :count) AS g
                  LEFT JOIN membership AS m ON m.person = g.person AND m.account = g.account AND m.ended_at IS NULL
         ORDER BY g.id""",  # noqa: S608 - our own words
    )
    for way, meant in MEANT.items()
}


class Held(Struct, frozen=True):
    """A live grant as the person who gave it sees it listed; `settings` is the client's document."""

    id: int
    client: int
    client_id: str
    settings: str
    account: int
    account_slug: str | None
    account_name: str | None
    granted: str
    declined: str
    source: str
    made_at: int
    changed_at: int
    expires_at: int | None
    used_at: int | None


class Published(Struct, frozen=True):
    """An app with what is published of it; `settings` and `manifest` are documents."""

    id: int
    slug: str
    settings: str
    disabled_at: int | None
    owner: str | None
    version: int
    label: str
    manifest: str
    created_at: int
    changed_at: int


PUBLISHED: Final = Query(
    Published,
    """SELECT a.id, c.client_id, c.settings, c.disabled_at, p.email, a.version, v.label, v.manifest, a.created_at,
              CASE WHEN c.changed_at > a.changed_at THEN c.changed_at ELSE a.changed_at END
         FROM app AS a
              JOIN client AS c ON c.id = a.id
              JOIN app_version AS v ON v.app = a.id AND v.number = a.version
              LEFT JOIN person AS p ON p.id = c.owner_person
        WHERE a.tenant = :tenant AND c.client_id > :after AND (:slug = '' OR c.client_id = :slug)
     ORDER BY c.client_id LIMIT :count""",
)


class Installed(Struct, frozen=True):
    """A live install as its user, its account's admin or its app's developer sees it listed; `settings` is the client's document.

    `tokens` counts the authorizations of its grant that stand, their parties included.
    """

    id: int
    app: int
    slug: str
    settings: str
    app_disabled_at: int | None
    account: int
    account_slug: str
    account_name: str
    installer: str
    acting: int
    acting_email: str
    acting_kind: str
    consent_grant: int
    version: int
    state: str
    made_at: int
    changed_at: int
    granted: str | None
    declined: str | None
    tokens: int


_INSTALLED: Final = """SELECT i.id, i.app, c.client_id, c.settings, c.disabled_at, i.account, t.slug, t.name, p.email, i.acting, q.email,
              q.kind, i.consent_grant, i.version, i.state, i.made_at, i.changed_at, g.granted, g.declined,
              (SELECT count(*) FROM authorization_row AS a
                WHERE a.consent_grant = i.consent_grant AND a.ended_at IS NULL AND a.code_used_by IS NOT NULL
                  AND a.client_epoch = c.epoch AND a.person_epoch = q.epoch AND a.account_epoch = t.epoch
                  AND g.ended_at IS NULL AND c.disabled_at IS NULL AND q.disabled_at IS NULL AND t.disabled_at IS NULL)
         FROM install AS i
              JOIN client AS c ON c.id = i.app
              JOIN account AS t ON t.id = i.account
              JOIN person AS p ON p.id = i.person
              JOIN person AS q ON q.id = i.acting
              LEFT JOIN consent_grant AS g ON g.id = i.consent_grant
        WHERE i.tenant = :tenant AND i.ended_at IS NULL AND"""
_OF_APP: Final = "(CAST(:app AS BIGINT) = 0 OR i.app = :app)"
_OF_ACCOUNT: Final = "(CAST(:account AS BIGINT) = 0 OR i.account = :account)"
_PAGE: Final = "i.id < :before ORDER BY i.id DESC LIMIT :count"
# One for each index by which they are found; what else is asked for is looked at in what that finds.
INSTALLED_ONE: Final = Query(Installed, f"{_INSTALLED} i.id = :id")
INSTALLED_OF_USER: Final = Query(Installed, f"{_INSTALLED} i.acting = :acting AND {_OF_APP} AND {_OF_ACCOUNT} AND {_PAGE}")
INSTALLED_OF_ACCOUNT: Final = Query(Installed, f"{_INSTALLED} i.account = :account AND {_OF_APP} AND {_PAGE}")
INSTALLED_OF_APP: Final = Query(Installed, f"{_INSTALLED} i.app = :app AND {_PAGE}")
INSTALLED: Final = Query(Installed, f"{_INSTALLED} {_PAGE}")


class Robot(Struct, frozen=True):
    """An active service user of an account, and its roles there."""

    id: int
    email: str
    name: str
    membership: int
    roles: str


ROBOTS: Final = Query(
    Robot,
    """SELECT p.id, p.email, p.name, m.id, m.roles FROM membership AS m JOIN person AS p ON p.id = m.person
        WHERE m.account = :account AND m.tenant = :tenant AND m.ended_at IS NULL
          AND p.kind = 'service' AND p.disabled_at IS NULL AND p.deleted_at IS NULL
     ORDER BY p.email LIMIT 200""",
)
# With whose roles an install acts, whoever that is.
ROLES_OF: Final = Query(
    str, "SELECT roles FROM membership WHERE person = :person AND account = :account AND tenant = :tenant AND ended_at IS NULL"
)


class Lapsed(Struct, frozen=True):
    """A live install of which a party has ended, and by what."""

    id: int
    tenant: int
    because: str


# Whatever ends a grant, a user, an account, a membership or a client ends the access by the joins above; this finds what is left of
# it, so that installs end too.
_LAPSED: Final = """SELECT i.id, i.tenant,
              CASE WHEN c.disabled_at IS NOT NULL THEN 'client_disabled'
                   WHEN q.deleted_at IS NOT NULL THEN 'user_deleted'
                   WHEN q.disabled_at IS NOT NULL THEN 'user_disabled'
                   WHEN t.disabled_at IS NOT NULL OR t.deleted_at IS NOT NULL THEN 'account_disabled'
                   WHEN m.id IS NULL THEN 'membership_ended'
                   ELSE COALESCE(g.ended_because, 'withdrawn') END
         FROM install AS i
              JOIN client AS c ON c.id = i.app
              JOIN account AS t ON t.id = i.account
              JOIN person AS q ON q.id = i.acting
              LEFT JOIN membership AS m ON m.person = i.acting AND m.account = i.account AND m.ended_at IS NULL
              LEFT JOIN consent_grant AS g ON g.id = i.consent_grant
        WHERE i.ended_at IS NULL
          AND (c.disabled_at IS NOT NULL OR q.disabled_at IS NOT NULL OR q.deleted_at IS NOT NULL
               OR t.disabled_at IS NOT NULL OR t.deleted_at IS NOT NULL OR m.id IS NULL
               OR (i.consent_grant <> 0 AND (g.id IS NULL OR g.ended_at IS NOT NULL)))"""
LAPSED_OF_USER: Final = Query(Lapsed, f"{_LAPSED} AND i.acting = :acting AND {_OF_ACCOUNT} LIMIT :count")
LAPSED_OF_ACCOUNT: Final = Query(Lapsed, f"{_LAPSED} AND i.account = :account LIMIT :count")
LAPSED_OF_APP: Final = Query(Lapsed, f"{_LAPSED} AND i.tenant = :tenant AND i.app = :app LIMIT :count")
# The job looks at a page after the other, so that no statement takes longer the more installs there are.
PAGE_OF_INSTALLS: Final = Query(int, "SELECT id FROM install WHERE id > :after ORDER BY id LIMIT :count")
LAPSED: Final = Query(Lapsed, f"{_LAPSED} AND i.id > :after AND i.id <= :upto ORDER BY i.id")


class Window(Struct, frozen=True):
    """What is left of an installation for its app, while it may clean up; `person_gone` tells of a user who is not active any more."""

    id: int
    account: int
    granted: str
    client_epoch: int
    account_epoch: int
    person_gone: int


WINDOW: Final = Query(
    Window,
    """SELECT g.id, g.account, g.granted, c.epoch, COALESCE(t.epoch, 0),
              CASE WHEN g.person <> 0 AND (p.id IS NULL OR p.disabled_at IS NOT NULL OR p.deleted_at IS NOT NULL) THEN 1 ELSE 0 END
         FROM consent_grant AS g
              JOIN client AS c ON c.id = g.client AND c.tenant = g.tenant
              LEFT JOIN person AS p ON p.id = g.person AND p.tenant = g.tenant
              LEFT JOIN account AS t ON t.id = g.account AND t.tenant = g.tenant
        WHERE g.tenant = :tenant AND g.client = :client AND g.acting = :install AND g.source = 'cleanup' AND g.ended_at IS NULL
          AND g.expires_at > :now""",
)


class ScopeName(Struct, frozen=True):
    """What a scope is called."""

    id: int
    name: str


SCOPE_NAMES: Final = Query(ScopeName, "SELECT s.id, s.name FROM scope AS s WHERE s.tenant = :tenant ORDER BY s.id")


class Naming(Struct, frozen=True):
    """A name under which a scope is said, with its API."""

    scope: int
    api: int
    name: str


NAMES: Final = Query(
    Naming,
    """SELECT n.scope, s.api, n.name FROM scope_naming AS n JOIN scope AS s ON s.id = n.scope
        WHERE n.tenant = :tenant AND n.ended_at IS NULL ORDER BY n.id""",
)


class ForRoles(Struct, frozen=True):
    """A client that may be for users with some roles alone; `settings` is its document."""

    id: int
    settings: str


FOR_ROLES: Final = Query(ForRoles, """SELECT id, settings FROM client WHERE tenant = :tenant AND settings LIKE '%"roles":[%' ORDER BY id""")

# What an app has for cleaning up after itself is nothing that its user still gives.
HELD: Final = Query(
    Held,
    """SELECT g.id, g.client, c.client_id, c.settings, g.account, t.slug, t.name, g.granted, g.declined, g.source, g.made_at,
              g.changed_at, g.expires_at, g.used_at
         FROM consent_grant AS g
              JOIN client AS c ON c.id = g.client
              LEFT JOIN account AS t ON t.id = g.account
        WHERE g.person = :person AND g.tenant = :tenant AND g.ended_at IS NULL AND g.source <> 'cleanup'
          AND (g.expires_at IS NULL OR g.expires_at > :now)
     ORDER BY g.changed_at DESC, g.id DESC""",
)


class Member(Struct, frozen=True):
    """A live membership with its user, as those who manage an account see it listed; `roles` is a list of ids."""

    id: int
    person: int
    kind: str
    email: str
    name: str
    roles: str
    created_at: int
    disabled_at: int | None


MEMBERS: Final = Query(
    Member,
    """SELECT m.id, m.person, p.kind, p.email, p.name, m.roles, m.created_at, p.disabled_at
         FROM membership AS m JOIN person AS p ON p.id = m.person
        WHERE m.tenant = :tenant AND m.account = :account AND m.ended_at IS NULL AND m.id > :after
          AND (:kind = '' OR p.kind = :kind)
     ORDER BY m.id LIMIT :count""",
)


class Place(Struct, frozen=True):
    """A live membership with its account, as it is listed of a user; `roles` is a list of ids."""

    id: int
    account: int
    slug: str
    name: str
    roles: str
    created_at: int


PLACES: Final = Query(
    Place,
    """SELECT m.id, m.account, t.slug, t.name, m.roles, m.created_at
         FROM membership AS m JOIN account AS t ON t.id = m.account
        WHERE m.tenant = :tenant AND m.person = :person AND m.ended_at IS NULL
     ORDER BY m.id""",
)


class Given(Struct, frozen=True):
    """A live grant with the names of its parties, as those who manage it see it listed."""

    id: int
    client_id: str
    person: int
    person_email: str | None
    account: int
    account_slug: str | None
    granted: str
    declined: str
    source: str
    made_at: int
    changed_at: int
    expires_at: int | None


# 0 stands for every client, user, account or grant.
GIVEN: Final = Query(
    Given,
    """SELECT g.id, c.client_id, g.person, p.email, g.account, t.slug, g.granted, g.declined, g.source, g.made_at, g.changed_at,
              g.expires_at
         FROM consent_grant AS g
              JOIN client AS c ON c.id = g.client
              LEFT JOIN person AS p ON p.id = g.person
              LEFT JOIN account AS t ON t.id = g.account
        WHERE g.tenant = :tenant AND g.ended_at IS NULL AND g.id < :before AND (g.expires_at IS NULL OR g.expires_at > :now)
          AND (CAST(:number AS BIGINT) = 0 OR g.id = :number)
          AND (CAST(:client AS BIGINT) = 0 OR g.client = :client)
          AND (CAST(:person AS BIGINT) = 0 OR g.person = :person)
          AND (CAST(:account AS BIGINT) = 0 OR g.account = :account)
     ORDER BY g.id DESC LIMIT :count""",
)
