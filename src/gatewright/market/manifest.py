"""An app's manifest: the shape that its developer writes, how it is read, and the JSON Schema that says the same (2020-12)."""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from gatewright.base.check import Fault, Faults, check

LARGEST: Final = 256 * 1024  # bytes of a manifest with its icon in it
MOST_SCOPES: Final = 100

Name = Annotated[str, Meta(min_length=1, max_length=60, description="What the app is called")]
Text = Annotated[str, Meta(min_length=1, max_length=500, description="What the app does, in a sentence or two")]
Label = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,39}(?![\s\S])",
        description="The developer's name of this version; each version has its own",
        examples=["1.0.0", "2026-11"],
        extra={"form": "up to 40 letters, digits, dots, hyphens, plus signs and underscores are expected"},
    ),
]
Icon = Annotated[
    str,
    Meta(
        max_length=128 * 1024,
        pattern=r"^data:image/(?:png|jpeg|webp|svg\+xml);base64,[A-Za-z0-9+/]+={0,2}(?![\s\S])",
        description="The app's icon, as a data: address of a PNG, JPEG, WebP or SVG image",
        extra={"form": "an image is expected as data:image/png;base64,… (or jpeg, webp, svg+xml)"},
    ),
]
ScopeName = Annotated[str, Meta(min_length=1, max_length=200, description="The name of a scope of this platform, all of them required")]


class ManifestScope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A scope with what the user is told of it."""

    scope: Annotated[str, Meta(min_length=1, max_length=200, description="The name of a scope of this platform")]
    reason: Annotated[str, Meta(max_length=300, description="Why the app needs it, shown to the user in the developer's words")] = ""
    required: Annotated[bool, Meta(description="Whether the app is of no use without it; the user can leave out what is not")] = True


class ManifestAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the app wants of the user who installs it. Leave it out where the app needs no access to anything."""

    redirect_uri: Annotated[
        str, Meta(min_length=1, max_length=2000, description="Where the user is sent with a one-time code after the installation")
    ]
    scopes: Annotated[
        tuple[ScopeName | ManifestScope, ...],
        Meta(min_length=1, max_length=MOST_SCOPES, description="What the app may do; ask for the minimum that it needs"),
    ]
    popup_origin: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=300,
                description="The origin of redirect_uri, if the app opens a popup and wants its answer as a message",
            ),
        ]
        | None
    ) = None


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An app of the marketplace."""

    name: Name
    description: Text
    version: Label
    schema: Annotated[str, Meta(max_length=2000, description="The address of this schema")] | None = msgspec.field(
        default=None, name="$schema"
    )
    icon: Icon | None = None
    launch_uri: (
        Annotated[str, Meta(min_length=1, max_length=2000, description="Where the app is opened, and starts an authorization by itself")]
        | None
    ) = None
    event_url: (
        Annotated[str, Meta(min_length=1, max_length=2000, description="Where the app is told of installs and their ends")] | None
    ) = None
    auth: ManifestAuth | None = None

    @property
    def asked(self) -> tuple[ManifestScope, ...]:
        """Its scopes, each in the long form."""
        named = () if self.auth is None else self.auth.scopes
        return tuple([ManifestScope(scope=one) if isinstance(one, str) else one for one in named])

    @property
    def text(self) -> str:
        """The one text that says the same, for comparing."""
        return msgspec.json.encode(self, order="deterministic").decode()


class _Twice(Exception):
    """A key stands in an object twice."""


def parse(raw: bytes) -> object:
    """Return the document of a manifest's text.

    Raises:
        Faults: it is no JSON, too long, or names a key twice.
    """
    if len(raw) > LARGEST:
        raise Faults((Fault("", f"a manifest has at most {LARGEST // 1024} KB"),))
    try:
        document: object = json.loads(raw.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise Faults((Fault("", "the manifest is not UTF-8 text"),)) from None
    except _Twice as twice:
        raise Faults((Fault("", f'the key "{twice}" stands twice in the same object'),)) from None
    except (ValueError, RecursionError) as fault:
        raise Faults((Fault("", f"the manifest is no JSON: {fault}"),)) from None
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(name)
        found[name] = value
    return found


def shape_faults(document: object) -> tuple[Fault, ...]:
    """Return everything that is wrong with the shape of a manifest."""
    return check(document, Manifest)


def read(text: str) -> Manifest:
    """Return a manifest that was published."""
    return msgspec.json.decode(text, type=Manifest)


@cache
def json_schema() -> bytes:
    """Return the published JSON Schema of a manifest."""
    (reference,), parts = msgspec.json.schema_components([Manifest], ref_template="#/$defs/{name}")
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "App manifest",
        **reference,
        "$defs": parts,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
