"""Every statement that may take access away is known here, with what tells of it: a new one must say it before it is let in."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from typing import Final

import gatewright
from gatewright.store import EVERY

# What `ledger.standing` joins, and what a catalogue, a client and the keys are made of.
DECIDING: Final = frozenset(
    {
        "account", "api", "authorization_row", "client", "consent_grant", "domain", "mark", "membership", "person", "role", "scope",
        "scope_naming", "session", "signing_key",
    }
)  # fmt: skip
_WRITES: Final = re.compile(r"\s*(?:UPDATE|DELETE FROM)\s+(\w+)")
TOLD: Final = {
    ("accounts.book", "account"): (4, "disabled, deleted: `ended`; a name and coming back take nothing"),
    ("accounts.book", "authorization_row"): (1, "of a membership that ends: `ended` of its parties, and of clean-ups"),
    ("accounts.book", "consent_grant"): (1, "the same"),
    ("accounts.book", "membership"): (3, "roles: `narrowed` where one is lost; the others end it, or its account"),
    ("apis.book", "api"): (
        4,
        "`narrowed` where it asks for roles, or hears of none; disabled: its feed ends; routes and opening take nothing",
    ),
    ("apis.book", "membership"): (1, "of a role that is retired: `losing.with_role`"),
    ("apis.book", "role"): (3, "fewer scopes: `narrowed`; retired: `losing.with_role`; a revived one is held by nobody"),
    ("apis.book", "scope"): (3, "changed: `losing.with_scope`; retired: `narrowed`; the old name of a renamed one is understood"),
    ("apis.book", "scope_naming"): (2, "an alias that ends: `narrowed`"),
    ("clients.book", "client"): (5, "disabled, all ended: `ended`; settings: `_tell_less`; owner and coming back take nothing"),
    ("consents.front", "membership"): (1, "which account was chosen last"),
    ("jobs.sweep", "authorization_row"): (2, "long after the last token of it is dead"),
    ("jobs.sweep", "consent_grant"): (2, "the same"),
    ("jobs.sweep", "mark"): (1, "of a token that has expired"),
    ("jobs.sweep", "session"): (1, "long after it lapsed"),
    ("keys.book", "signing_key"): (3, "withdrawn: told by its `kid`; the two others lie behind every token's life"),
    ("ledger.back_end", "authorization_row"): (2, "`ended` of one that is closed; its ceiling follows its grant, which tells"),
    ("ledger.book", "authorization_row"): (
        8,
        "ended, replaced, of a session: `ended`; passed on: of the user before; a raised ceiling, a used code and a rotation take nothing",
    ),
    ("ledger.cleanup", "consent_grant"): (1, "`ended` by `dying.of_grant`"),
    ("ledger.grants", "consent_grant"): (6, "changed: `_less`; ended: `dying`; handed over: `market.handover` tells of the user before"),
    ("ledger.last_use", "consent_grant"): (1, "when it was used last"),
    ("ledger.managing", "consent_grant"): (8, "narrowed: `narrowing.of_target`; ended since nothing is left: `dying.of_grants`"),
    ("signin.by_password", "person"): (1, "the same password under a better digest"),
    ("signin.sessions", "authorization_row"): (1, "it goes on with the user's next session"),
    ("signin.sessions", "session"): (2, "ended: `end_of_session`; seen: it lasts longer"),
    ("tenants.book", "domain"): (3, "removed: `narrowed` by its issuer; looks and places take nothing"),
    ("users.book", "authorization_row"): (1, "`ended` of the user, and of clean-ups"),
    ("users.book", "consent_grant"): (2, "the same"),
    ("users.book", "membership"): (1, "the same"),
    ("users.book", "person"): (
        5,
        "disabled, deleted, another password: `_end_access`; what is told of somebody and coming back take nothing",
    ),
    ("users.book", "session"): (1, "`ended` of the user"),
}
"""Module and table, how many statements change or delete rows of it there, and what tells the APIs of what they take."""


def test_every_statement_that_may_take_access_away_says_what_tells_of_it() -> None:
    for module in pkgutil.walk_packages(gatewright.__path__, "gatewright."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = Counter[tuple[str, str]]()
    for query in EVERY:
        written = _WRITES.match(query.sqlite)
        place = query.where.rpartition(":")[0].removeprefix("gatewright.")
        if written and written[1] in DECIDING and query.where.startswith("gatewright."):
            found[place, written[1]] += 1
    assert found == {place: count for place, (count, _) in TOLD.items()}
    assert all(reason for _, reason in TOLD.values())
