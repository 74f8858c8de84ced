"""What the operator sets before the server starts: one frozen tree from a TOML file and the environment.

Defaults suffice. A later source wins: default, file, environment, option of the command. What may change while the server runs is
policy and lives in the store. A field's `because` names the seed, the standard or the need that it answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, cast
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Meta, Struct, inspect

from gatewright.base.check import Fault, Faults, Findings, check, choice
from gatewright.base.duration import Duration, seconds
from gatewright.base.secret import Secret
from gatewright.base.source import SecretSource, reveal
from gatewright.base.toml import TomlFault, key_lines, parse

PREFIX: Final = "GATEWRIGHT_"
DEFAULT_FILE: Final = "gatewright.toml"
# Read elsewhere, and not part of the tree: the root key itself, and where the settings are.
OTHER_VARIABLES: Final = ("GATEWRIGHT_KEY", "GATEWRIGHT_SETTINGS")

_PASSWORD_IN_URL: Final = re.compile(r"(://[^/@:]*:)[^@]*@")

Network = IPv4Network | IPv6Network
Cidr = Annotated[str, Meta(min_length=1)]


class Listen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the server answers."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="The address to listen on. The default is reached from this machine alone: put a proxy with TLS in front of it.",
            extra={"because": "RFC 6749 §1.6, TLS everywhere but on loopback"},
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="The port to listen on; 0 takes a free one.", extra={"because": "the demo and its tests"})
    ] = 8600
    workers: Annotated[
        int,
        Meta(ge=1, le=256, description="Worker processes. One uses one core.", extra={"because": "several cores, SQLite and PostgreSQL"}),
    ] = 1
    drain: Annotated[
        Duration,
        Meta(
            description="How long requests under way may take to finish after a signal to stop.",
            extra={"because": "upgrades that nobody notices"},
        ),
    ] = "30s"
    ask: Annotated[
        str,
        Meta(
            description="Address and port, such as `127.0.0.1:8690`, at which a TLS front asks whether a host may have a certificate "
            "(`/-/tls/ask?domain=…`). Empty: nowhere.",
            extra={"because": "security-rules 49; custom domains (seed 001)"},
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[Cidr, ...],
        Meta(
            description="Networks (CIDR) whose X-Forwarded-For is believed. None: the caller's address is the connection's.",
            extra={"because": "security-rules 38; allowed IPs of clients (seed 003)"},
        ),
    ] = ()


class DomainSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How tenants prove that a domain is theirs."""

    own: Annotated[
        tuple[str, ...],
        Meta(
            description="Names that belong to this deployment, with all below them: no tenant claims them by itself.",
            extra={"because": "security-rules 39"},
        ),
    ] = ()
    resolvers: Annotated[
        tuple[str, ...],
        Meta(
            description="Name servers (`192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:53`) that are asked for TXT records. "
            "None: those of the machine.",
            extra={"because": "machines whose own resolver knows only the inside; tests"},
        ),
    ] = ()


class StoreSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where everything is kept."""

    url: Annotated[
        str,
        Meta(
            description="`sqlite:///FILE` or `postgresql://user@host/database`. Empty: the file gatewright.sqlite3 in the data folder.",
            extra={"because": "one machine to start with, several nodes later"},
        ),
    ] = ""
    password: Annotated[
        SecretSource | None,
        Meta(
            description="The database user's password, from the environment or a file.", extra={"because": "no secret in a settings file"}
        ),
    ] = None
    synchronous: Annotated[
        Literal["full", "normal"],
        Meta(
            description="SQLite only. `normal` is quicker, and may lose the last acknowledged writes when the power fails.",
            extra={"because": "nothing that was acknowledged is lost"},
        ),
    ] = "full"


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told on stderr."""

    style: Annotated[
        Literal["text", "json"],
        Meta(description="Lines for people, or one JSON object a line.", extra={"because": "log collectors read JSON, people do not"}),
    ] = "text"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least that is told; `debug` tells every request.", extra={"because": "finding out why a client fails"}),
    ] = "info"


class PasswordSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much checking passwords may cost."""

    threads: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Passwords hashed at the same time by one worker; each takes about 25 ms of a core and 19 MiB.",
            extra={"because": "a burst of sign-ins may not slow down tokens"},
        ),
    ] = 1
    queue: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Sign-ins that may wait for a thread; more are answered 503 at once.",
            extra={"because": "security-rules 63: wait at most 2 s"},
        ),
    ] = 64


class FetchSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the server itself may go: for the keys that a client publishes at its jwks_uri, and with events to its event_url."""

    private_networks: Annotated[
        tuple[Cidr, ...],
        Meta(
            description="Networks (CIDR) that may be called although they are not public. None: public addresses and https only.",
            extra={"because": "security-rules 48; clients inside a company's own network"},
        ),
    ] = ()


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole tree."""

    data: Annotated[
        str,
        Meta(
            min_length=1,
            description="The folder for everything without an address of its own: the SQLite file, the root key.",
            extra={"because": "one folder to back up"},
        ),
    ] = "gatewright-data"
    key_file: Annotated[
        str,
        Meta(
            description="The file with the root key. Empty: GATEWRIGHT_KEY where that is set, else root.key in the data folder.",
            extra={"because": "decisions §4: the key lives outside the database"},
        ),
    ] = ""
    listen: Listen = Listen()
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    passwords: PasswordSettings = PasswordSettings()
    fetch: FetchSettings = FetchSettings()
    domains: DomainSettings = DomainSettings()


class Setting(Struct, frozen=True):
    """One leaf of the tree, as documents and `gatewright settings` show it."""

    name: str
    variable: str
    default: object
    description: str
    because: str


class Loaded(Struct, frozen=True):
    """The settings, where each came from, and the folder from which relative names count."""

    settings: Settings
    origins: Mapping[str, str]
    folder: str
    key_in_environment: bool = False

    def path(self, name: str) -> Path:
        """Return a file or folder that the settings name."""
        return Path(self.folder) / name

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.path(self.settings.data)

    @property
    def key_file(self) -> Path | None:
        """The file of the root key, or None where GATEWRIGHT_KEY holds it."""
        if self.settings.key_file:
            return self.path(self.settings.key_file)
        return None if self.key_in_environment else self.data / "root.key"

    @property
    def drain_seconds(self) -> int:
        """How long requests under way may take to finish."""
        return seconds(self.settings.listen.drain)

    @property
    def store_url(self) -> str:
        """The address of the store, an SQLite file's as a whole path. Without its password."""
        url = self.settings.store.url
        if url and not url.startswith("sqlite:"):
            return url
        named = unquote(urlsplit(url).path) if url else str(self.data / "gatewright.sqlite3")
        return f"sqlite://{quote(str(self.path(named)))}"

    def store_password(self, environ: Mapping[str, str]) -> Secret | None:
        """Return the database user's password; raises SourceFault when it is not where it should be."""
        source = self.settings.store.password
        return None if source is None else reveal(source, environ, Path(self.folder))


def every_setting() -> tuple[Setting, ...]:
    """Return each leaf of the tree in its order."""
    return tuple(_leaves(Settings, Settings(), ()))


def value_of(settings: Settings, name: str) -> object:
    """Return the value of a leaf by its dotted name."""
    found: object = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


def shown_value(settings: Settings, name: str) -> str | int | list[str]:
    """Return a leaf's value as it may be shown: a password in an address is hidden."""
    value = value_of(settings, name)
    if isinstance(value, tuple):
        return [str(part) for part in value]
    if isinstance(value, int):
        return value
    return _PASSWORD_IN_URL.sub(r"\1(hidden)@", "" if value is None else str(value))


def load(environ: Mapping[str, str], *, file: Path | None = None, options: Mapping[str, object] | None = None) -> Loaded:
    """Return the settings of a file, the environment and a command's options (dotted names; None counts as not given).

    Raises:
        Faults: everything that is wrong with them.
    """
    file = file or _named_file(environ)
    text = "" if file is None else _read(file)
    try:
        document = parse(text)
    except TomlFault as fault:
        raise Faults((Fault("", f"{file}: {fault}"),)) from None
    lines = key_lines(text)
    origins = {name: f"{file}, line {lines[path]}" for name, path in _given(document)}
    findings = Findings(lines)
    _overlay_environment(document, environ, origins, findings)
    for name, value in (options or {}).items():
        if value is not None:
            _put(document, name, value)
            origins[name] = "option of the command"
    faults = [*findings.all(), *(_placed(fault, origins) for fault in check(document, Settings, lines))]
    if not faults:
        settings = msgspec.convert(document, Settings)
        faults = [_placed(fault, origins) for fault in _beyond_shape(settings, origins)]
        if not faults:
            every = {setting.name: origins.get(setting.name, "default") for setting in every_setting()}
            folder = (file.parent if file is not None else Path()).absolute()
            return Loaded(settings, every, str(folder), bool(environ.get("GATEWRIGHT_KEY")))
    raise Faults(tuple(faults))


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the networks that a checked setting names."""
    return tuple([ip_network(text) for text in texts])


def socket_address(text: str, usual: int | None = None) -> tuple[str, int]:
    """Return the address and port of `192.0.2.1:53` or `[2001:db8::1]:53`; without a port the `usual` one.

    Raises:
        ValueError: it is none.
    """
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, ""
    if not port and usual is None:
        raise ValueError("the port is missing")
    number = int(port or usual or 0) if not port or (port.isascii() and port.isdecimal()) else -1
    if not 0 <= number < 65_536:
        raise ValueError(f'"{port}" is no port')
    return str(ip_address(address)), number


def weaknesses(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the settings that make this deployment less safe than its defaults, and what each means."""
    found = []
    if settings.store.synchronous == "normal":
        found.append(("store.synchronous", "the last acknowledged writes may be lost when the power fails"))
    if settings.fetch.private_networks:
        found.append(("fetch.private_networks", "a client's jwks_uri or event_url may reach into these networks"))
    return tuple(found)


def _leaves(kind: type[Struct], values: object, path: tuple[str, ...]) -> list[Setting]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - a Struct's is
    found: list[Setting] = []
    for field in info.fields:
        here = (*path, field.encode_name)
        value = getattr(values, field.name)
        if isinstance(field.type, inspect.StructType):
            found += _leaves(field.type.cls, value, here)
        else:
            schema, extra = _notes(field.type)
            name = ".".join(here)
            found.append(Setting(name, PREFIX + name.upper().replace(".", "_"), value, schema, extra))
    return found


def _notes(info: inspect.Type) -> tuple[str, str]:
    if not isinstance(info, inspect.Metadata):
        return "", ""
    return str((info.extra_json_schema or {}).get("description", "")), str((info.extra or {}).get("because", ""))


def _named_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("GATEWRIGHT_SETTINGS")
    if named:
        return Path(named)
    return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).exists() else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as fault:
        raise Faults((Fault("", f"the settings file {file} cannot be read: {(fault.strerror or 'unknown fault').lower()}"),)) from None
    except UnicodeDecodeError:
        raise Faults((Fault("", f"the settings file {file} is not UTF-8 text"),)) from None


def _given(document: Mapping[str, object], path: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...]]]:
    leaves = {setting.name for setting in every_setting()}
    found = []
    for name, value in document.items():
        here = (*path, name)
        dotted = ".".join(here)
        if dotted in leaves:
            found.append((dotted, here))
        elif isinstance(value, Mapping):
            found += _given(cast("Mapping[str, object]", value), here)
    return found


def _overlay_environment(document: dict[str, object], environ: Mapping[str, str], origins: dict[str, str], findings: Findings) -> None:
    known = {setting.variable: setting for setting in every_setting()}
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name not in OTHER_VARIABLES):
        setting = known.get(variable) or known.get(variable.removesuffix("_FILE"))
        if setting is None:
            findings.add((variable,), "this environment variable is not known", choice(variable, [*known, *OTHER_VARIABLES]))
            continue
        if isinstance(setting.default, SecretSource) or setting.name == "store.password":
            value: object = {"file": environ[variable]} if variable.endswith("_FILE") else {"env": variable}
        else:
            value = _from_text(environ[variable], setting.default)
        _put(document, setting.name, value)
        origins[setting.name] = f"environment variable {variable}"


def _from_text(text: str, default: object) -> object:
    if isinstance(default, int):
        return int(text) if text.lstrip("-").isdecimal() and text.isascii() else text
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _put(document: dict[str, object], name: str, value: object) -> None:
    *tables, last = name.split(".")
    here = document
    for table in tables:
        inner = here.get(table)
        if not isinstance(inner, dict):
            inner = here[table] = {}
        here = inner
    here[last] = value


def _placed(fault: Fault, origins: Mapping[str, str]) -> Fault:
    origin = origins.get(fault.path.partition("[")[0], "")
    if not origin or ", line " in origin:
        return fault
    return Fault(f"{fault.path} ({origin})", fault.rule, fault.cure)


def _beyond_shape(settings: Settings, origins: Mapping[str, str]) -> tuple[Fault, ...]:
    findings = Findings()
    for name in ("listen.trusted_proxies", "fetch.private_networks"):
        for text in cast("tuple[str, ...]", value_of(settings, name)):
            try:
                ip_network(text)
            except ValueError as fault:
                findings.add((*name.split("."),), f'"{text}" is no network: {fault}', 'write it like "10.0.0.0/8" or "2001:db8::/32"')
    _domain_faults(settings, findings)
    url = settings.store.url
    if url and not url.startswith(("sqlite:", "postgresql://", "postgres://")):
        findings.add(("store", "url"), 'an address that begins with "sqlite:" or "postgresql://" is expected')
    elif url.startswith("postgres") and urlsplit(url).password and not origins["store.url"].startswith("environment"):
        findings.add(("store", "url"), "a password may not stand in a settings file", "put it into store.password")
    return findings.all()


def _domain_faults(settings: Settings, findings: Findings) -> None:
    for text in settings.domains.resolvers:
        try:
            socket_address(text, 53)
        except ValueError as fault:
            findings.add(("domains", "resolvers"), f'"{text}" is no name server: {fault}', 'write it like "192.0.2.53:53"')
    for text in settings.domains.own:
        if text != text.lower() or text.strip(".") != text or not text.isascii() or " " in text:
            findings.add(("domains", "own"), f'"{text}" is no name', 'write it like "platform.example"')
    if settings.listen.ask:
        try:
            socket_address(settings.listen.ask)
        except ValueError as fault:
            findings.add(("listen", "ask"), f'"{settings.listen.ask}" is no address and port: {fault}', 'write it like "127.0.0.1:8690"')
