"""Commands made from the rows of `management.table`: every operation has one, named as the operation is.

A command that stands in its group by hand keeps its place; what the group does not have is made here when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from gatewright.cli.terminal import Terminal, json_option, looked, print_json, run, show_rows, tenant_option, told

if TYPE_CHECKING:
    from msgspec import Struct

    from gatewright.base.operation import Operation
    from gatewright.management.perform import Asked, Outcome

_HELD_BACK: Final = frozenset({"password"})  # never an argument: whoever lists processes would read it


class DerivedGroup(click.Group):
    """A group with the commands that stand in it, and one for each operation of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of both kinds."""
        return list(dict.fromkeys([*self.commands, *_parts(_path(ctx, self))]))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command that stands here, or make it."""
        found = self.commands.get(cmd_name)
        return found if found is not None else made((*_path(ctx, self), cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with the first sentence of its help, whole."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in found if command is not None])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest one."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            from gatewright.base.check import choice

            raise click.UsageError(f'there is no command "{args[0]}"; {choice(args[0], known)}')
        return super().resolve_command(ctx, args)


def _first_sentence(text: str) -> str:
    first, stop, _ = " ".join(text.split("\n\n", maxsplit=1)[0].split()).partition(". ")
    return f"{first}." if stop else first


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of an operation's command: `clients.secrets.create` is `clients secrets create`."""
    return tuple(name.replace("_", "-").split("."))


def _path(ctx: click.Context, group: click.Group) -> tuple[str, ...]:
    names: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        names.insert(0, str(at.info_name))
        at = at.parent
    # A context may be that of the group above, when the command is only looked for.
    return tuple(names) if names and names[-1] == group.name else (*names, str(group.name))


def _parts(path: tuple[str, ...]) -> list[str]:
    """Return what comes behind these words in the names of operations."""
    from gatewright.management.table import OPERATIONS

    every = [words_of(operation.name) for operation in OPERATIONS]
    return list(dict.fromkeys(words[len(path)] for words in every if len(words) > len(path) and words[: len(path)] == path))


def made(path: tuple[str, ...], says: str = "") -> click.Command | None:
    """Return the command of an operation by its words, or the group of those that begin with them."""
    from gatewright.management.table import OPERATIONS

    for operation in OPERATIONS:
        if words_of(operation.name) == path:
            return command_of(operation)
    if _parts(path):
        return DerivedGroup(path[-1], help=says or f"{' '.join(path).capitalize()}: {', '.join(_parts(path))}.")
    return None


def command_of(operation: Operation) -> click.Command:
    """Return the command of an operation."""

    @click.pass_obj
    @(told if operation.changes else looked)
    def callback(terminal: Terminal, /, **values: Any) -> None:  # noqa: ANN401 - options are of many kinds
        _do(operation, terminal, values)

    made: click.Command = click.Command(
        words_of(operation.name)[-1], callback=callback, params=_params(operation), help=_help(operation), no_args_is_help=False
    )
    return json_option(tenant_option(made))


def _help(operation: Operation) -> str:
    more = " With --body FILE the whole document comes from a file, or from standard input (-)." if operation.body is not None else ""
    return operation.says + more


def _params(operation: Operation) -> list[click.Parameter]:
    from msgspec import structs

    found: list[click.Parameter] = [
        click.Argument([field.name]) if field.name in operation.places else _option(field.name, field.type, required=field.required)
        for field in structs.fields(operation.where)
    ]
    if operation.body is not None:
        found += _body_params(operation, operation.body)
    if operation.careful:
        found.append(
            click.Option(["--if-match"], default="*", help="Change it only if this is still its entity tag.  [default: whatever it is]")
        )
    if operation.changes and not operation.alone:
        found.append(click.Option(["--preview"], is_flag=True, help="Tell what would change, and change nothing."))
    if operation.warns:
        found.append(click.Option(["--yes"], is_flag=True, help="Do not ask."))
    return found


def _body_params(operation: Operation, body: type[Struct]) -> list[click.Parameter]:
    from msgspec import structs

    fields = structs.fields(body)
    found: list[click.Parameter] = [_option(field.name, field.type, prefix="in_") for field in fields if field.name not in _HELD_BACK]
    found.append(click.Option(["--body", "in__body"], type=click.File("rb"), help="A JSON document; options change it."))
    if operation.method == "PATCH":
        found.append(click.Option(["--unset", "in__unset"], multiple=True, metavar="KEY", help="Put the default of this key back."))
    if any(field.name in _HELD_BACK for field in fields):
        from gatewright.users.passwords import RULE

        found.append(
            click.Option(["--ask-password", "in__ask"], is_flag=True, help=f"Ask for the password, and show nothing of it. {RULE}")
        )
    return found


def _option(name: str, kind: Any, *, required: bool = False, prefix: str = "") -> click.Option:  # noqa: ANN401 - a type
    from msgspec import inspect

    info = _bare(inspect.type_info(kind))
    says = _described(kind)
    flag = "--" + name.replace("_", "-")
    key = prefix + name
    if isinstance(info, inspect.BoolType):
        return click.Option([f"{flag}/--no-{flag[2:]}", key], default=None, help=says)
    if isinstance(info, inspect.IntType):
        return click.Option([flag, key], type=int, required=required, help=says)
    if isinstance(info, inspect.LiteralType):
        return click.Option([flag, key], required=required, metavar="|".join(map(str, info.values)), help=says)
    if isinstance(info, inspect.VarTupleType) and not isinstance(_bare(info.item_type), inspect.StructType):
        return click.Option([flag, key], multiple=True, help=f"{says} May be repeated; empty for none.".strip())
    if isinstance(info, inspect.StructType | inspect.DictType | inspect.VarTupleType):
        return click.Option([flag, key], type=_Json(), metavar="JSON", help=(says + _example(kind)).strip())
    return click.Option([flag, key], required=required, help=says)


def _bare(info: Any) -> Any:  # noqa: ANN401 - one of many classes
    from msgspec import inspect

    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.UnionType):
        return _bare(next(one for one in info.types if not isinstance(one, inspect.NoneType)))
    return info


def _described(kind: Any) -> str:  # noqa: ANN401 - a type
    return str(_schema(kind).get("description", "")).replace("`", "")


def _example(kind: Any) -> str:  # noqa: ANN401 - a type
    import msgspec

    # On one line, with spaces at which a narrow terminal may break it.
    shown = [msgspec.json.format(msgspec.json.encode(example), indent=0).decode() for example in _schema(kind).get("examples", [])[:1]]
    return "".join(f" As in '{text}'." for text in shown)


def _schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a type
    """Return what a field's type says of it beside its form, also where null or nothing may stand for it."""
    from msgspec import inspect

    found: dict[str, Any] = {}
    waiting = [inspect.type_info(kind)]
    while waiting:
        info = waiting.pop()
        if isinstance(info, inspect.Metadata):
            found = (info.extra_json_schema or {}) | found
            waiting.append(info.type)
        elif isinstance(info, inspect.UnionType):
            waiting += info.types
    return found


class _Json(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks alone
    """A value as JSON writes it."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - any JSON
        """Return what a text stands for."""
        import msgspec

        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as fault:
            self.fail(f"{value!r} is no JSON: {fault}", param, ctx)


# ---------------------------------------------------------------- doing it


def _do(operation: Operation, terminal: Terminal, values: Mapping[str, Any]) -> None:
    from gatewright.management.perform import Asked

    if operation.warns and not values.get("yes") and not values.get("preview"):
        click.confirm(f"{operation.warns} Go on?", abort=True, err=True)
    where = {name: values[name] for name in operation.where.__struct_fields__ if values.get(name) not in (None, ())}
    asked = Asked(
        where=where,
        body=None if operation.body is None else _document(operation, values),
        if_match=(values["if_match"],) if values.get("if_match") else (),
        preview=bool(values.get("preview")),
    )
    if operation.lines:
        run(_lines(operation, terminal, values["tenant"], asked))
        return
    _show(operation, asked, run(_done(operation, terminal, values["tenant"], asked)), as_json=values["as_json"])


def _document(operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
    import msgspec

    from gatewright.audit.deed import Refused

    found: dict[str, Any] = {}
    if values.get("in__body") is not None:
        try:
            found = msgspec.json.decode(values["in__body"].read(), type=dict[str, Any])
        except msgspec.MsgspecError as fault:
            raise Refused(f"the body is no JSON object: {fault}") from None
    for name in operation.body.__struct_fields__ if operation.body is not None else ():
        value = values.get(f"in_{name}")
        if value not in (None, ()):
            found[name] = [one for one in value if one] if isinstance(value, tuple) else value
    found |= dict.fromkeys(values.get("in__unset", ()), None)
    if "password" not in found and (values.get("in__ask") or _needs_password(operation)):
        found["password"] = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return found


def _needs_password(operation: Operation) -> bool:
    from msgspec import structs

    return operation.body is not None and any(field.name == "password" and field.required for field in structs.fields(operation.body))


async def _done(operation: Operation, terminal: Terminal, tenant: str | None, asked: Asked) -> Outcome:
    from gatewright.management.perform import perform

    async with terminal.office(tenant) as office:
        return await perform(operation, asked, office)


async def _lines(operation: Operation, terminal: Terminal, tenant: str | None, asked: Asked) -> None:
    import msgspec

    from gatewright.management.perform import stream

    async with terminal.office(tenant) as office:
        async for record in stream(operation, asked, office):
            click.echo(msgspec.json.encode(record).decode())


def _show(operation: Operation, asked: Asked, outcome: Outcome, *, as_json: bool) -> None:
    import msgspec

    value = msgspec.to_builtins(outcome.value)
    if operation.many:
        if as_json:
            print_json({"items": value, "next": outcome.next or None})
            return
        heads = [name for name in _fields(operation) if not any(isinstance(row.get(name), dict) for row in value)]
        show_rows(heads, value, as_json=False, nothing="there is none")
        if outcome.next:
            click.echo(f"more: --after {outcome.next}", err=True)
    elif as_json:
        print_json({} if value is None else value)
    elif asked.preview:
        _preview(value)
    elif value is None:
        click.echo(f"done: {operation.name}")
    else:
        _record(value)


def _fields(operation: Operation) -> tuple[str, ...]:
    return () if operation.gives is None else operation.gives.__struct_fields__


def _record(value: Mapping[str, Any], indent: str = "") -> None:
    for name, one in value.items():
        if isinstance(one, list | tuple) and one and isinstance(one[0], dict):
            click.echo(f"{indent}{name}:")
            for part in one:
                _record(part, indent + "  ")
                click.echo()
        else:
            click.echo(f"{indent}{name}: {_worded(one)}")


def _preview(value: Mapping[str, Any]) -> None:
    if not value["changes"]:
        click.echo("nothing would change")
    for one in value["changes"]:
        click.echo(f"{one['key']}: {_worded(one['before'])} → {_worded(one['after'])}")
    for hit in value["hits"]:
        click.echo(f"hits {hit['count']} {hit['what']}")
    for client in value["clients"]:
        used = "never used" if client["last_used"] is None else f"last used {client['last_used']}"
        click.echo(f"client {client['client']}: {client['grants']} live grants, {used}")


def _worded(value: object) -> str:
    import msgspec

    from gatewright.cli.terminal import printable

    if isinstance(value, str):
        return printable(value)
    if value is None or value in ([], (), {}):
        return "nothing"
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return printable(", ".join(value))
    return printable(msgspec.json.encode(value).decode())
