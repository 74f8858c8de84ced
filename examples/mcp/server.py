"""Acme Notes: an MCP server with the notes of each account. It asks for no more than each tool needs."""

from __future__ import annotations

import argparse

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from examples.demo.layout import BASE_PORT, SECRETS, Layout
from gatewright_guard.mcp import Guard, GuardedServer, caller_of


def acme_notes(guard: Guard) -> GuardedServer:
    """Return the server: any good token may look around, `read:notes` reads, `write:notes` writes."""
    guarded = GuardedServer(MCPServer("Acme Notes", log_level="WARNING"), guard, scopes=["read:notes"])
    held: dict[str, list[str]] = {"acme-dev": ["Buy coffee"], "acme-prod": ["Renew the certificate"]}

    @guarded.tool("read:notes")
    async def read_notes(ctx: Context) -> list[str]:
        """Read the notes of your account."""
        return held.setdefault(caller_of(ctx).account or "", [])

    @guarded.tool("write:notes", account_in="account")
    async def write_note(account: str, text: str, ctx: Context) -> str:
        """Write a note into an account, named by its slug."""
        caller = caller_of(ctx)
        held.setdefault(caller.account or account, []).append(text)
        return f"Written into {account} for {caller.sub}."

    return guarded


def main() -> None:
    """Serve it for the demo platform, until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Run the demo's MCP server, on this machine only.")
    parser.add_argument("--port", type=int, default=BASE_PORT, help="the first port of the demo that it belongs to")
    layout = Layout(parser.parse_args().port)
    guard = Guard(layout.issuer, layout.notes, credentials=(layout.notes, SECRETS["NOTES_API_SECRET"]))
    print(f"Acme Notes, an MCP server: {layout.notes}", flush=True)
    uvicorn.run(acme_notes(guard).app(), host="127.0.0.1", port=layout.notes_port, log_level="warning")


if __name__ == "__main__":
    main()
