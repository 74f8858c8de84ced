"""Tells a TLS front whether a host may have a certificate: 200 or 404 and nothing else, at a listener of its own (`security-rules` 49).

A front that makes certificates on demand asks for every name that a stranger connects with, so what is unknown is remembered for some
seconds, and looked for only so often.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from gatewright.store import StoreError
from gatewright.tenants.rules import host_key
from gatewright.web.reply import NO_STORE, send_raw

if TYPE_CHECKING:
    from gatewright.base.moment import Clock
    from gatewright.tenants.sites import Sites
    from gatewright.web.ask import Receive, Scope, Send

PATH: Final = "/-/tls/ask"
LONGEST_QUERY: Final = 1000
REFUSED_FOR_MS: Final = 10_000  # how long a host that nobody has is not looked for again
REFUSED_KEPT: Final = 10_000
BURST: Final = 200  # looks at the store at once
PER_SECOND: Final = 20


class TlsAsk:
    """The ASGI application of the second listener."""

    def __init__(self, sites: Sites, clock: Clock) -> None:
        self._sites = sites
        self._clock = clock
        self._refused: OrderedDict[str, int] = OrderedDict()  # host → when it was looked for in vain
        self._ours: set[str] = set()  # hosts that were ours when last asked for: they are looked at whatever strangers do
        self._left = float(BURST)
        self._at_ms = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        if scope["type"] != "http":
            return
        allowed = scope["path"] == PATH and scope["method"] in ("GET", "HEAD") and await self.may(scope["query_string"])
        await send_raw(send, 200 if allowed else 404, b"", [NO_STORE])

    async def may(self, query: bytes) -> bool:
        """Tell whether the one host that a query names is one of ours; whatever is wrong is a no."""
        if len(query) > LONGEST_QUERY:
            return False
        named = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=None).get("domain", [])
        host = host_key(named[0].encode("utf-8", "replace")) if len(named) == 1 else None
        if host is None or ":" in named[0]:
            return False
        now = self._clock.moment().now_ms
        if now - self._refused.get(host, now - REFUSED_FOR_MS) < REFUSED_FOR_MS or (host not in self._ours and not self._may_look(now)):
            return False
        try:
            site = await self._sites.at(host.encode())
        except StoreError:
            return False  # the front asks again
        if site is not None and site.url.startswith("https://"):
            self._ours.add(host)
            return True
        self._ours.discard(host)
        self._refused[host] = now
        while len(self._refused) > REFUSED_KEPT:
            self._refused.popitem(last=False)
        return False

    def _may_look(self, now: int) -> bool:
        self._left = min(float(BURST), self._left + (now - self._at_ms) * PER_SECOND / 1000)
        self._at_ms = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
