"""The tenants' logos: image files that the operator put into the folder `logos` beside the store; named in the platform file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

LIMIT: Final = 256 * 1024  # bytes; a larger logo is not served
# An SVG is a document that may hold script: whoever opens it by itself opens it in a sandbox (`security-rules` 40).
POLICY: Final = b"default-src 'none'; style-src 'unsafe-inline'; sandbox"
_TYPES: Final = {
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".jpg": b"image/jpeg",
    ".jpeg": b"image/jpeg",
    ".webp": b"image/webp",
    ".ico": b"image/x-icon",
}


class Logos:
    """Files of one folder; a name was checked to have no folder in it (`tenants.records.LogoName`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, name: str) -> bool:
        """Tell whether there is such a file, so that no page shows a broken image."""
        return self.find(name) is not None

    def find(self, name: str) -> tuple[bytes, bytes] | None:
        """Return content and content type, or None."""
        path = self._folder / name
        try:
            state = path.stat()
        except OSError:
            return None
        kind = _TYPES.get(path.suffix.lower())
        if kind is None or state.st_size > LIMIT:
            return None
        content = _read(path, state.st_mtime_ns)
        return None if content is None else (content, kind)


@lru_cache(maxsize=64)
def _read(path: Path, _version: int) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
