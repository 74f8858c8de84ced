"""The demo's imaging API once more, as a Flask application.

GATEWRIGHT_ISSUER=http://127.0.0.1:8600 flask --app examples.flask_api.app run --port 8621
"""

from __future__ import annotations

import os
from typing import Final

from flask import Blueprint, Flask

from gatewright_guard.decide import needs
from gatewright_guard.flask import SyncGuard, admit, caller, protect, requires

IMAGES: Final = ["mri-0001.dcm", "mri-0002.dcm", "mri-0003.dcm"]

guard = SyncGuard(os.environ["GATEWRIGHT_ISSUER"], "https://imaging.acme.test")
app = Flask(__name__)
protect(app, guard, scopes=["read:images", "delete:images"])
archive = Blueprint("archive", __name__, url_prefix="/archive")


@app.get("/images")
@requires("read:images")
def images() -> dict[str, object]:
    return {"images": IMAGES, "seen by": caller().client_id}


@app.delete("/images")
@requires("delete:images")
def delete() -> dict[str, str]:
    return {"done": "Deleted the images older than six months."}


@archive.before_request
def for_readers() -> None:
    admit(needs("read:images"))


@archive.get("/years")
async def years() -> list[int]:
    return [2024, 2025, 2026]


app.register_blueprint(archive)
