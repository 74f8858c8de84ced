"""What an API says of itself where nobody else does: the address that the challenges of the verify address name (RFC 9728 §3, §5.1)."""

from __future__ import annotations

from typing import Final

from gatewright.app import House
from gatewright.base import ids
from gatewright.base.moment import Moment
from gatewright.oauth.issuer import Issuer
from gatewright.web.ask import HttpFault, Receive, Scope, Send
from gatewright.web.reply import CORS_ANY, NOSNIFF, send_raw
from gatewright_guard.resource import HEADERS, Description, Resource

PREFIX: Final = "/-/resource/"
_NONE: Final = "no API of this platform has this id"

_HEAD: Final = [
    *[(name.encode(), value.encode()) for name, value in HEADERS if not name.startswith("access-control")],
    *CORS_ANY,
    NOSNIFF,
]


class ResourceDoor:
    """Answers with the metadata of the API whose id the path names."""

    def __init__(self, house: House) -> None:
        self._directory = house.world.directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send, head: dict[bytes, bytes], site: Issuer, at: Moment) -> None:
        """Answer one request.

        Raises:
            HttpFault: there is no such API here, or its audience is no address that a client could have come from.
        """
        number = ids.read(ids.API, scope["path"].removeprefix(PREFIX))
        catalogue = await self._directory.catalogue(site.tenant)
        api = None if number is None else catalogue.apis.get(number)
        if api is None or api.disabled or scope["method"] not in ("GET", "HEAD"):
            raise HttpFault(404, _NONE)
        scopes = tuple([one.name for one in catalogue.scopes.values() if one.api == api.id])
        # Behind a proxy nobody takes a proof of a key or a certificate.
        about = Resource(api.audience, [site.url], Description(name=api.name, scopes=scopes), certificates=False, proofs=False)
        if about.path is None:
            raise HttpFault(404, _NONE)
        await send_raw(send, 200, about.document(), _HEAD)
