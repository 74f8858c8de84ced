"""How an authorization begins: one statement, and its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.oauth.catalogue import text_of
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.oauth.authorization import NewAuthorization
    from gatewright.store import Value

# The same row again, after a connection was lost at the commit, is known by its random secret.
OPEN: Final = Query(
    int,
    """INSERT INTO authorization_row (id, tenant, issuer, opened_by, consent_grant, client, person, account, membership, session,
              client_epoch, person_epoch, account_epoch, epoch, scopes, resources, claims, nonce, auth_time, acr, amr,
              access_secret, code_digest, code_expires_at, code_challenge, redirect_uri, refresh_secret, generation,
              refresh_idle_until, refresh_until, session_bound, opened_at, sweep_at)
       SELECT :id, :tenant, :issuer, :opened_by, :consent_grant, :client, :person, :account, :membership, :session,
              :client_epoch, :person_epoch, :account_epoch, 0, :scopes, :resources, :claims, :nonce, :auth_time, :acr, :amr,
              :access_secret, :code_digest, :code_expires_at, :code_challenge, :redirect_uri, :refresh_secret, 0,
              :refresh_idle_until, :refresh_until, :session_bound, :opened_at, :sweep_at {each}
        WHERE true
           ON CONFLICT (id) DO UPDATE SET id = excluded.id WHERE authorization_row.access_secret = excluded.access_secret
    RETURNING id""",
    each={
        "id": int, "tenant": int, "issuer": str, "opened_by": str, "consent_grant": int, "client": int, "person": int,
        "account": int, "membership": int, "session": int, "client_epoch": int, "person_epoch": int, "account_epoch": int,
        "scopes": str, "resources": str, "claims": str, "nonce": str, "auth_time": int, "acr": str, "amr": str,
        "access_secret": str, "code_digest": str, "code_expires_at": int, "code_challenge": str, "redirect_uri": str,
        "refresh_secret": str, "refresh_idle_until": int, "refresh_until": int, "session_bound": int, "opened_at": int,
        "sweep_at": int,
    },
)  # fmt: skip


def row_of(new: NewAuthorization) -> dict[str, Value]:
    """Return the arguments of the statement that opens an authorization."""
    code = new.code
    return {
        "id": new.id,
        "tenant": new.tenant,
        "issuer": new.issuer,
        "opened_by": new.opened_by,
        "consent_grant": new.grant,
        "client": new.client,
        "person": new.person,
        "account": new.account,
        "membership": new.membership,
        "session": new.session,
        "client_epoch": new.client_epoch,
        "person_epoch": new.person_epoch,
        "account_epoch": new.account_epoch,
        "scopes": text_of(new.scopes),
        "resources": " ".join(new.resources),
        "claims": new.claims,
        "nonce": new.nonce,
        "auth_time": new.auth_time,
        "acr": new.acr,
        "amr": new.amr,
        "access_secret": new.access_secret,
        "code_digest": None if code is None else code.digest,
        "code_expires_at": None if code is None else code.expires_at,
        "code_challenge": None if code is None else code.challenge,
        "redirect_uri": None if code is None else code.redirect_uri,
        "refresh_secret": new.refresh_secret,
        "refresh_idle_until": new.refresh_idle_until,
        "refresh_until": new.refresh_until,
        "session_bound": int(new.session_bound),
        "opened_at": new.opened_at,
        "sweep_at": new.sweep_at,
    }
