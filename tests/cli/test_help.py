"""Help says what there is to say: every command in a whole sentence, every option with a word, every JSON option with its shape."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec
import pytest
from msgspec import structs

from gatewright.base.check import check
from gatewright.cli.derived import _schema, command_of
from gatewright.cli.main import group
from gatewright.management.table import OPERATIONS
from tests.cli.conftest import Shell


def walked(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield ctx.command_path, command, ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None, name
            yield from walked(inner, click.Context(inner, info_name=name, parent=ctx))


EVERY = list(walked(group, click.Context(group, info_name="gatewright")))
BODIES = [(operation.name, operation.body) for operation in OPERATIONS if operation.body is not None]


def test_no_line_of_a_list_of_commands_breaks_off(shell: Shell) -> None:
    lists = [path for path, command, _ in EVERY if isinstance(command, click.Group)]
    assert len(lists) > 15
    for path in lists:
        said = shell.must(*path.split()[1:], "--help")
        assert "..." not in said.partition("Commands:")[2], path


def test_every_option_has_a_word_of_help() -> None:
    silent = [
        f"{path} {option.opts[0]}"
        for path, command, _ in EVERY
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


def test_every_option_that_takes_json_shows_its_shape() -> None:
    options = [
        (path, option)
        for path, command, _ in EVERY
        for option in command.params
        if isinstance(option, click.Option) and option.metavar == "JSON"
    ]
    assert len(options) > 15
    assert [f"{path} {option.opts[0]}" for path, option in options if "As in '" not in (option.help or "")] == []


@pytest.mark.parametrize(("name", "body"), BODIES, ids=[name for name, _ in BODIES])
def test_an_example_fits_what_it_is_an_example_of(name: str, body: type[msgspec.Struct]) -> None:
    needed = {field.name for field in structs.fields(body) if field.required}
    for field in structs.fields(body):
        for example in _schema(field.type).get("examples", []):
            faults = [
                fault
                for fault in check({field.name: example}, body)
                if fault.path.partition(".")[0].partition("[")[0] not in needed - {field.name}
            ]
            assert faults == [], (name, field.name)


def test_help_of_a_command_tells_options_where_null_is_allowed_too() -> None:
    (change,) = [operation for operation in OPERATIONS if operation.name == "clients.change"]
    (refresh,) = [option for option in command_of(change).params if option.name == "in_refresh"]
    assert isinstance(refresh, click.Option)
    assert refresh.help is not None
    assert '{"idle": "30d"' in refresh.help
