"""Manifests in files: a developer keeps the icon beside its manifest, and both become one document."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Final

from gatewright.base.check import Fault, Faults
from gatewright.market.manifest import LARGEST, parse

LARGEST_ICON: Final = 64 * 1024  # bytes
_KINDS: Final = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".svg": "svg+xml"}


def read_document(file: Path) -> object:
    """Return the document of a manifest's file, with the icon that it names in it.

    Raises:
        Faults: it cannot be read, is no JSON, or its icon cannot be had.
    """
    try:
        if file.stat().st_size > LARGEST:
            raise Faults((Fault("", f"{file} is larger than any manifest"),))
        document = parse(file.read_bytes())
    except OSError as fault:
        raise Faults((Fault("", f"{file} cannot be read: {(fault.strerror or 'unknown fault').lower()}"),)) from None
    icon = document.get("icon") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(icon, str) or icon.startswith("data:"):
        return document
    return {**document, "icon": _inlined(icon, file.parent)}


def _inlined(name: str, folder: Path) -> str:
    kind = _KINDS.get(Path(name).suffix.lower())
    if kind is None:
        raise Faults((Fault("icon", f"an icon is one of {', '.join(_KINDS)}", keys=("icon",)),))
    try:
        content = (folder / name).read_bytes()
    except (OSError, ValueError):
        raise Faults((Fault("icon", f"{name} cannot be read beside the manifest", keys=("icon",)),)) from None
    if len(content) > LARGEST_ICON:
        raise Faults((Fault("icon", f"an icon has at most {LARGEST_ICON // 1024} KB", keys=("icon",)),))
    return f"data:image/{kind};base64,{b64encode(content).decode()}"
