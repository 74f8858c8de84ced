"""No act exists in one way in only: what can be managed is in the API, in its description and at the terminal."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import click
import pytest
from msgspec import Struct, structs

from gatewright.audit.book import Act
from gatewright.base.operation import Operation, Paged
from gatewright.cli.derived import words_of
from gatewright.cli.main import group
from gatewright.management.table import BY_NAME, OPERATIONS
from gatewright.oauth.catalogue import MANAGEMENT_SCOPES
from gatewright.oauth.issuer import Issuer, Policy
from gatewright.web.openapi import document
from gatewright.web.rest import routes

ISSUER = Issuer(url="https://id.acme.test", tenant=1, host="id.acme.test", policy=Policy(), paths=("standard",), name="Acme")
# Of the deployment, not of a tenant: who can read key and store is the operator (`security-rules` 36).
OF_THE_DEPLOYMENT = {"init", "serve", "plan", "apply", "backup", "restore", "migrate", "settings", "keys init", "domains free"}
# A file is looked at and nothing is changed: over HTTP that is a preview, and a document that everybody may read.
OF_FILES = {"apps validate", "apps schema"}
# An operation's older, shorter name, or what it is called where the operator is asked and needs no proof.
ALSO = {
    "domains claim": "domains.add",
    "domains drop": "domains.remove",
    "clients secret": "clients.secrets.create",
    "events secret": "events.secrets.create",
    "users roles": "members.change",
    "audit": "audit.list",
    "clients who-uses": "weaknesses.list",
    "report-only": "clients.report_only",
}
# What nobody does by an act of management: what happens, and what a platform file and `init` do as a whole.
HAPPENS = {
    Act.TENANT_MADE, Act.PLATFORM_APPLIED, Act.PASSWORD_CHANGED, Act.KEY_MADE, Act.SIGNED_IN, Act.SIGN_IN_FAILED, Act.SIGN_IN_THROTTLED,
    Act.SESSION_ENDED, Act.GRANT_MADE, Act.AUTHORIZATION_ENDED, Act.CODE_REPLAYED, Act.REFRESH_REPLAYED, Act.TOKEN_REVOKED,
    Act.WEAKNESS_USED, Act.SECRET_READ, Act.DOMAIN_FREED, Act.DEVICE_ALLOWED, Act.DEVICE_DENIED,
    Act.EVENT_SECRET_READ, Act.EVENTS_DISABLED, Act.INSTALL_CLEANUP_OPENED, Act.INSTALL_CLEANUP_ENDED,
    Act.INSTALL_APPROVED, Act.INSTALL_ACTIVATED, Act.INSTALL_REPLACED, Act.INSTALL_UPDATED,
}  # fmt: skip

by_name = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def commands(command: click.Command, context: click.Context, words: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command there is, by its words."""
    if not isinstance(command, click.Group):
        return {" ".join(words): command}
    found: dict[str, click.Command] = {" ".join(words): command} if command.invoke_without_command else {}
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        found |= commands(inner, click.Context(inner, info_name=name, parent=context), (*words, name))
    return found


def terminal() -> dict[str, click.Command]:
    """The commands of `gatewright`."""
    return commands(group, click.Context(group, info_name="gatewright"))


def test_every_operation_has_a_name_and_an_address_of_its_own() -> None:
    assert len(BY_NAME) == len(OPERATIONS)
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_operation_is_a_command_and_every_command_an_operation() -> None:
    found = terminal()
    by_words = {" ".join(words_of(operation.name)): operation.name for operation in OPERATIONS} | ALSO
    assert set(by_words.values()) == set(BY_NAME)
    missing = [name for words, name in by_words.items() if words not in found and name not in ALSO.values()]
    assert missing == []
    assert set(found) - set(by_words) == OF_THE_DEPLOYMENT | OF_FILES


def test_every_operation_is_a_route_and_is_described() -> None:
    described = document(ISSUER)["paths"]
    routed = {operation.name for several in routes().values() for route in several for operation in route.operations.values()}
    assert routed == set(BY_NAME)
    assert {one["operationId"] for methods in described.values() for one in methods.values()} == set(BY_NAME)


def test_every_audited_act_of_management_can_be_done_by_an_operation() -> None:
    done = {act for operation in OPERATIONS for act in operation.acts}
    assert set(Act) - done == HAPPENS


def test_every_scope_of_management_opens_something() -> None:
    used = {scope for operation in OPERATIONS for scope in (operation.scope, operation.delegated) if scope}
    at_one_address = {"gw:client_secrets:read", "gw:client_secrets:write"}  # `web.pages.client_secret`
    assert used | at_one_address == {scope.name for scope in MANAGEMENT_SCOPES}


@by_name
def test_a_row_says_what_its_function_takes_and_gives(operation: Operation) -> None:
    names = list(inspect.signature(operation.run).parameters)
    assert names == (["errand", "where"] if operation.body is None else ["errand", "where", "body"])
    assert operation.says.endswith("."), "the first line of the docstring is a sentence"
    assert set(operation.places) <= set(operation.where.__struct_fields__)
    hints = get_type_hints(operation.run)
    if hints["where"] is not object:
        assert hints["where"] is operation.where
    if operation.body is not None and hints["body"] is not Struct:
        assert hints["body"] is operation.body
    if operation.gives is None:
        assert hints["return"] is type(None)


@by_name
def test_a_row_keeps_the_promises_of_its_kind(operation: Operation) -> None:
    assert operation.scope.endswith(":write" if operation.changes else ":read")
    assert not operation.delegated or operation.delegated.endswith(operation.scope.rpartition(":")[2])
    assert bool(operation.acts) == operation.changes
    if operation.delegated:
        assert "account" in operation.where.__struct_fields__
    if operation.method == "PATCH":
        assert operation.careful, "whoever changes a record says which state of it"
    if operation.careful:
        assert operation.find is not None
    if operation.many and issubclass(operation.where, Paged):
        assert operation.gives is not None
        assert operation.key in operation.gives.__struct_fields__
    for kind in (operation.where, operation.body):
        if kind is not None:
            assert kind.__struct_config__.forbid_unknown_fields, "an unknown key is a fault"


@by_name
def test_no_record_gives_a_secret_but_where_it_is_made(operation: Operation) -> None:
    from gatewright.base.mask import names_secret

    if operation.gives is None:
        return
    secret = [
        field.name
        for field in structs.fields(operation.gives)
        if names_secret(field.name) and field.name not in ("token", "has_password", "state")
    ]
    assert not secret or operation.name.endswith("create")
