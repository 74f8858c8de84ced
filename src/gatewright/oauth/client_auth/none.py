"""No authentication: a public client says who it is, and that is all that is known of it (RFC 6749 §2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.oauth.client_auth.presented import Presented

if TYPE_CHECKING:
    from gatewright.oauth.ask import Ask
    from gatewright.oauth.client import Client
    from gatewright.oauth.ports import World

NAME: Final = "none"


def find(ask: Ask) -> Presented | None:
    """Return the client that a request names; asked only when no other method is used (RFC 6749 §3.2.1)."""
    client_id = ask.params.get("client_id")
    return None if client_id is None else Presented(NAME, client_id)


async def verify(client: Client, presented: Presented, ask: Ask, world: World) -> None:
    """Nothing can be verified; that this is the client's own method was asked before."""
