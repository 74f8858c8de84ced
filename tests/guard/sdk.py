"""The official SDK of MCP in the version that is installed: what the tests say to it, and what it takes."""

from typing import Any, Final

from gatewright_guard.mcp import _IS_VERSION_1

if not _IS_VERSION_1:
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
else:
    from mcp.server.fastmcp import Context  # type: ignore[attr-defined, no-redef]
    from mcp.server.fastmcp import FastMCP as MCPServer  # type: ignore[attr-defined, no-redef]

__all__ = ["ASKS", "PROTOCOL", "SETTINGS", "Context", "MCPServer"]

PROTOCOL: Final[str] = "2025-11-25" if _IS_VERSION_1 else "2026-07-28"
"""The newest version of the protocol that it speaks."""
ASKS: Final[str] = "ping" if _IS_VERSION_1 else "server/discover"
"""A method by which a server says something of itself."""
# In the protocol before the present one a message belongs to a session, unless the server wants none.
SETTINGS: Final[dict[str, Any]] = {"json_response": True} | ({"stateless_http": True} if _IS_VERSION_1 else {})
"""What `GuardedServer.app` is told, so that one message is one request and has one answer."""
