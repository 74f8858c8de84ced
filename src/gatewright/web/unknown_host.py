"""What is said at a host that no tenant has: nothing to strangers, and to whoever sits at this machine where the server is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base.log import Event
from gatewright.tenants.loopback import loopback_origins
from gatewright.tenants.rules import host_key, is_loopback, name_of
from gatewright.web.ask import HttpFault

if TYPE_CHECKING:
    from gatewright.app import House
    from gatewright.base.moment import Moment
    from gatewright.web.ask import Scope

TOLD_EVERY_MS: Final = 60_000  # strangers send what they like: they may not fill the log
_SENTENCE: Final = "no tenant is served under this host name"
# A proxy on this machine makes every caller look like its neighbour.
_BY_A_PROXY: Final = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via")


class UnknownHosts:
    """Makes the refusals of one process; the log has a line at most once a minute, with how many there were since the last one."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._silent_until_ms = 0
        self._since = 0

    async def fault(self, scope: Scope, head: dict[bytes, bytes], at: Moment) -> HttpFault:
        """Return the refusal of a request (RFC 9110 §15.5.20)."""
        host = head.get(b"host", b"")
        self._tell(host, at)
        if not self._at_this_machine(scope, head, host):
            return HttpFault(421, _SENTENCE)
        origins = await loopback_origins(self._house.store)
        return HttpFault(421, f"{_SENTENCE}; this server is {' or '.join(origins)} here" if origins else _SENTENCE)

    def _tell(self, host: bytes, at: Moment) -> None:
        self._since += 1
        if at.now_ms >= self._silent_until_ms:
            self._house.log.tell(Event.HOST_UNKNOWN, host=host.decode("latin-1"), requests=self._since)
            self._silent_until_ms, self._since = at.now_ms + TOLD_EVERY_MS, 0

    def _at_this_machine(self, scope: Scope, head: dict[bytes, bytes], host: bytes) -> bool:
        client = scope.get("client")
        if self._house.trusted_proxies or not client or not is_loopback(str(client[0])) or any(name in head for name in _BY_A_PROXY):
            return False
        key = host_key(host)
        return key is not None and is_loopback(name_of(key))
