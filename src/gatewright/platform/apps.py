"""Apps of the marketplace in a platform file: their manifests are read and checked, and nothing else happens with them yet."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gatewright.base.check import check
from gatewright.platform.document import Manifest
from gatewright.platform.reading import Reading


def app_notices(reading: Reading) -> Iterator[str]:
    """Yield what became of each app."""
    for part in reading.apps:
        app = part.value
        file = reading.file.parent / app.manifest
        trouble = ""
        try:
            faults = check(msgspec.json.decode(file.read_bytes()), Manifest)
            trouble = "".join(f"; its manifest has a fault: {fault}" for fault in faults)
        except OSError:
            trouble = f"; its manifest {app.manifest} is not there"
        except msgspec.DecodeError as fault:
            trouble = f"; its manifest is no JSON: {fault}"
        yield f"ignored: app {app.slug} (apps are not yet supported){trouble}"
