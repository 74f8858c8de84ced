"""Where a secret comes from: a variable of the environment or a file, never the text that names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from gatewright.base.secret import Secret

_LARGEST: Final = 64 * 1024


class SourceFault(Exception):
    """The secret is not there; the sentence says what was looked for."""


class SecretSource(Struct, frozen=True, forbid_unknown_fields=True):
    """`{ env = "NAME" }` or `{ file = "path" }`."""

    env: Annotated[str, Meta(min_length=1)] | None = None
    file: Annotated[str, Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError('say where the secret is: either { env = "NAME" } or { file = "path" }')

    def __str__(self) -> str:
        return f"environment variable {self.env}" if self.env is not None else f"file {self.file}"


def reveal(source: SecretSource, environ: Mapping[str, str], folder: Path) -> Secret:
    """Return the secret; a file's name counts from `folder`, and one line ending at its end does not belong to it.

    Raises:
        SourceFault: it is not there, is empty, or is no text.
    """
    if source.env is not None:
        value = environ.get(source.env, "")
        if not value:
            raise SourceFault(f"the environment variable {source.env} is not set")
        return _clean(value, f"the environment variable {source.env}")
    file = folder / (source.file or "")
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST + 1)
    except OSError as fault:
        raise SourceFault(f"the file {file} cannot be read: {(fault.strerror or 'unknown fault').lower()}") from None
    if len(raw) > _LARGEST:
        raise SourceFault(f"the file {file} is larger than any secret")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise SourceFault(f"the file {file} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SourceFault(f"the file {file} is empty")
    return _clean(text, f"the file {file}")


def _clean(text: str, where: str) -> Secret:
    if "\0" in text or not text.isprintable():
        raise SourceFault(f"{where} holds a line break or another control character")
    return Secret(text)
