"""Writes the published JSON Schema of app manifests into the documents: `python -m tools.manifest_schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gatewright.market.manifest import json_schema

FILE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "app-manifest.schema.json"


def main() -> None:
    """Write the file."""
    FILE.write_bytes(json_schema())


if __name__ == "__main__":
    main()
