"""An MCP server behind the guard, and an MCP client that signs in, both with the official SDK.

Start `./dev demo`, beside it `python -m examples.mcp.server`, and then `python -m examples.mcp.client`.
"""
