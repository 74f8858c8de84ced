"""The demo platform's three APIs: ordinary FastAPI apps, each protected by the guard in a few lines."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI

from examples.demo.layout import SECRETS, Layout
from gatewright_guard.fastapi import Caller, Guard, protect, requires

EVENTS: dict[str, list[str]] = {"acme-dev": ["Hack day"], "acme-prod": ["Summer party", "Customer day"]}
IMAGES = ["mri-0001.dcm", "mri-0002.dcm", "mri-0003.dcm"]


def bank_api(layout: Layout) -> FastAPI:
    """Acme Bank: opaque tokens, asked about at the server for each call, so that a removed access shows at once."""
    audience = "https://bank.acme.test"
    guard = Guard(layout.issuer, audience, credentials=(audience, SECRETS["BANK_API_SECRET"]), mode="opaque", max_stale=0)
    app = FastAPI(title="Acme Bank")
    protect(app, guard)

    @app.get("/{account}/balance")
    async def balance(account: str, caller: Annotated[Caller, requires("read:balance", account_in="account")]) -> dict[str, str]:
        return {"holder": account, "balance": "1,234.56", "seen by": caller.client_id}

    @app.post("/{account}/transfers")
    async def transfer(account: str, caller: Annotated[Caller, requires("transfer:funds", account_in="account")]) -> dict[str, str]:
        return {"done": f"25.00 went from {account} to savings, asked for by {caller.client_id}."}

    return app


def events_api(layout: Layout) -> FastAPI:
    """Acme Events: JWTs, verified right here; the server is only asked why a scope is missing."""
    audience = "https://events.acme.test"
    guard = Guard(layout.issuer, audience, credentials=(audience, SECRETS["EVENTS_API_SECRET"]))
    app = FastAPI(title="Acme Events")
    protect(app, guard)

    @app.get("/{account}/events")
    async def events(account: str, _caller: Annotated[Caller, requires("view:events", account_in="account")]) -> dict[str, list[str]]:
        return {"events": EVENTS.get(account, [])}

    @app.post("/{account}/events")
    async def create(account: str, _caller: Annotated[Caller, requires("create:events", account_in="account")]) -> dict[str, str]:
        held = EVENTS.setdefault(account, [])
        held.append(f"Event {len(held) + 1}")
        return {"done": f"{held[-1]} was created in {account}."}

    @app.post("/{account}/registrations")
    async def register(account: str, _caller: Annotated[Caller, requires("register:events", account_in="account")]) -> dict[str, str]:
        held = EVENTS.get(account) or ["nothing yet"]
        return {"done": f"Registered for {held[-1]} of {account}."}

    return app


def imaging_api(layout: Layout) -> FastAPI:
    """Acme Imaging: a back-end service calls it with a JWT that stands for no user."""
    guard = Guard(layout.issuer, "https://imaging.acme.test")
    app = FastAPI(title="Acme Imaging")
    protect(app, guard)

    @app.get("/images")
    async def images(_caller: Annotated[Caller, requires("read:images")]) -> dict[str, str]:
        return {"done": f"Copied {len(IMAGES)} images off site: {', '.join(IMAGES)}."}

    @app.delete("/images")
    async def delete(_caller: Annotated[Caller, requires("delete:images")]) -> dict[str, str]:
        return {"done": "Deleted the images older than six months."}

    return app
