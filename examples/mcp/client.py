"""Notes assistant: an MCP client on the user's own machine. It signs in with the browser, and again when a tool needs more."""

from __future__ import annotations

import argparse
import asyncio
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp.types import CallToolResult, TextContent

from examples.demo.layout import BASE_PORT, Layout

CLIENT_ID: Final = "notes-assistant"
_PAGE: Final = "<!doctype html><title>Notes assistant</title><p>You can close this page and go back to the terminal."


class Memory:
    """The client's tokens, for as long as it runs, and what the platform registered for it at this issuer and at no other.

    Once the server takes client ID metadata documents, `client` starts as None and the provider is given `client_metadata_url`;
    with dynamic registration it starts as None, and the SDK keeps here what it was given.
    """

    def __init__(self, issuer: str, client_id: str) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = OAuthClientInformationFull(
            client_id=client_id, token_endpoint_auth_method="none", issuer=issuer
        )

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens that were kept."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Who we are."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep who we are."""
        self.client = client_info


class Loopback:
    """Waits on a free port of this machine for the browser to come back (RFC 8252 §7.3)."""

    def __init__(self) -> None:
        self.redirect_uri = ""
        self._arrived: asyncio.Queue[AuthorizationCodeResult] = asyncio.Queue()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Loopback]:
        """Listen until the block ends."""
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            self.redirect_uri = f"http://127.0.0.1:{port}/callback"
            yield self

    async def result(self) -> AuthorizationCodeResult:
        """What the server sent the browser back with."""
        return await self._arrived.get()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode("ascii")
        said = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        if target.startswith("/callback?"):
            # Without a code the SDK says so itself; what went wrong is for the person at the terminal.
            print(said.get("error_description", ""), end="")
            await self._arrived.put(AuthorizationCodeResult(code=said.get("code", ""), state=said.get("state"), iss=said.get("iss")))
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n{_PAGE}".encode())
        await writer.drain()
        writer.close()


def signing_in(url: str, memory: Memory, loopback: Loopback, browse: Callable[[str], Awaitable[None]]) -> OAuthClientProvider:
    """Return what gets tokens for the server at an address; `browse` shows an address to the user."""
    metadata = OAuthClientMetadata.model_validate({"client_name": "Notes assistant", "redirect_uris": [loopback.redirect_uri]})
    return OAuthClientProvider(url, metadata, memory, redirect_handler=browse, callback_handler=loopback.result)


@asynccontextmanager
async def connected(url: str, auth: OAuthClientProvider) -> AsyncIterator[Client]:
    """Talk to a server as whom the provider signs in."""
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


def said(result: CallToolResult) -> str:
    """What a tool answered, as text."""
    return " · ".join(part.text for part in result.content if isinstance(part, TextContent))


async def open_browser(url: str) -> None:
    """Show an address to the user."""
    print(f"\nSign in and allow it, in your browser:\n  {url}\n", flush=True)
    await asyncio.to_thread(webbrowser.open, url)


async def run(issuer: str, url: str, account: str, browse: Callable[[str], Awaitable[None]] = open_browser) -> None:
    """Read the notes, write one, and read them again."""
    async with Loopback().listening() as loopback:
        auth = signing_in(url, Memory(issuer, CLIENT_ID), loopback, browse)
        async with connected(url, auth) as client:
            print("Tools:", ", ".join(tool.name for tool in (await client.list_tools()).tools))
            print("Notes:", said(await client.call_tool("read_notes", {})))
            print("Writing needs another scope, so you are asked again.")
            print(said(await client.call_tool("write_note", {"account": account, "text": "Written by an assistant"})))
            print("Notes:", said(await client.call_tool("read_notes", {})))


def main() -> None:
    """Use the demo's MCP server."""
    parser = argparse.ArgumentParser(description="Use the demo's MCP server as organizer@acme.test.")
    parser.add_argument("--port", type=int, default=BASE_PORT, help="the first port of the demo")
    parser.add_argument("--account", default="acme-dev", help="the slug of the account that you choose when you sign in")
    chosen = parser.parse_args()
    layout = Layout(chosen.port)
    asyncio.run(run(layout.issuer, layout.notes, chosen.account))


if __name__ == "__main__":
    main()
