"""Where an answer may go: the addresses that may be registered, and the one comparison with them (RFC 9700 §2.1, RFC 8252 §7)."""

from __future__ import annotations

import re
from typing import Final, NewType

from gatewright.oauth.client import Client, ClientType

RedirectUri = NewType("RedirectUri", str)
"""An address that `match` found to be registered; nothing else makes one."""

OUT_OF_BAND: Final = "urn:ietf:wg:oauth:2.0:oob"
"""Stands for no address at all: the user is shown the code and carries it to the app."""

NOWHERE: Final = RedirectUri("")
"""The answer goes to no browser: a device waits for it."""

LONGEST: Final = 2000  # characters; older browsers and proxies cut longer addresses

_ALLOWED: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/?\[\]-]+")
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?]*))?([^?]*)(?:\?(.*))?", re.DOTALL)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([1-9][0-9]{0,4}))?")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSAFE_ESCAPE: Final = re.compile(r"%(?:0[0-9A-F]|1[0-9A-F]|7F|2E|2F|5C)", re.IGNORECASE)
# RFC 8252 §7.3: the port of a loopback redirect is the app's to choose, so it is left out of the comparison.
_LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([1-9][0-9]{0,4}))?((?:/.*)?)", re.DOTALL)
_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})
_REVERSE_DOMAIN: Final = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+")
_OURS: Final = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
_HIGHEST_PORT: Final = 65535
# What some program on the way might read as another path (`security-rules` 42).
_AMBIGUOUS: Final = re.compile(r"//|\\|;|%(?:2E|2F|5C|00|25|3B)", re.IGNORECASE)


def match(shown: str, client: Client) -> RedirectUri | None:
    """Return the address that a request names if an answer may go there: a registered one, or for a client that an admin set so, one
    below it.
    """
    found = match_exactly(shown, client)
    return match_below(shown, client) if found is None and client.takes_paths_below else found


def match_exactly(shown: str, client: Client) -> RedirectUri | None:
    """Return the address that a request names if it is registered for the client, character by character.

    One exception: a native client's loopback IP redirect may use any port (RFC 8252 §7.3).
    """
    registered = client.settings.redirect_uris
    if shown in registered:
        # Stands for a page of ours, and only where an admin allowed that by name.
        return None if is_out_of_band(shown) and not client.settings.out_of_band else RedirectUri(shown)
    if client.settings.type != "native":
        return None
    wanted = _without_port(shown)
    if wanted is not None and any(_without_port(uri) == wanted for uri in registered):
        return RedirectUri(shown)
    return None


def match_below(shown: str, client: Client) -> RedirectUri | None:
    """Return the address that a request names if it is a path below a registered one, and the client proves itself otherwise."""
    if client.public or not any(is_below(shown, uri) for uri in client.settings.redirect_uris):
        return None
    return RedirectUri(shown)


def is_below(shown: str, registered: str) -> bool:
    """Tell whether an address is a path below a registered one, segment by segment; all else of it is the same (`security-rules` 42).

    Nothing is decoded and nothing is put in order: what anybody could read as another path is none.
    """
    if len(shown) > LONGEST or _ALLOWED.fullmatch(shown) is None or _BROKEN_ESCAPE.search(shown):
        return False
    found, known = _URI.fullmatch(shown), _URI.fullmatch(registered)
    if found is None or known is None or not known[2]:
        return False
    # Scheme, host, port and query are the registered ones, character by character: so no user name, no other port.
    if (found[1], found[2], found[4]) != (known[1], known[2], known[4]):
        return False
    path, above = found[3], known[3]
    if _AMBIGUOUS.search(path) or _UNSAFE_ESCAPE.search(path):
        return False
    segments, base = path.split("/"), above.rstrip("/").split("/")
    if any(segment in (".", "..") for segment in segments):
        return False
    return len(segments) > len(base) and segments[: len(base)] == base


def only(client: Client) -> RedirectUri | None:
    """Return the one registered address, for a request that names none (RFC 6749 §3.1.2.3), or None."""
    registered = client.settings.redirect_uris
    return match(registered[0], client) if len(registered) == 1 else None


def _without_port(uri: str) -> tuple[str, str] | None:
    found = _LOOPBACK.fullmatch(uri)
    if found is None or int(found[2] or 80) > _HIGHEST_PORT:
        return None
    return found[1], found[3]


def is_out_of_band(uri: str) -> bool:
    """Tell whether an answer is shown to the user instead of being sent to an address."""
    return uri == OUT_OF_BAND


def is_claimed(uri: str) -> bool:
    """Tell whether only the owner of a domain receives what is sent there (RFC 8252 §7.2)."""
    return uri.startswith("https://")


def is_local(uri: str) -> bool:
    """Tell whether an answer sent there stays on the user's own device: loopback, or an app's own scheme."""
    found = _URI.fullmatch(uri)
    if found is None or found[1] not in ("https", "http"):
        return True
    host = _HOST.fullmatch(found[2] or "")
    return host is not None and host[1] in _LOOPBACK_HOSTS


def origin_of(uri: str) -> str:
    """Return the origin of a web address (RFC 6454 §4), "" where it has none."""
    found = _URI.fullmatch(uri)
    return f"{found[1]}://{found[2]}".lower() if found is not None and found[1] in ("https", "http") and found[2] else ""


def host_of(uri: str) -> str:
    """Return what a person reads of an address: host and port, or the scheme of an app's own."""
    found = _URI.fullmatch(uri)
    if found is None:
        return uri
    return found[2] or f"{found[1]}:"


def fault(uri: str, kind: ClientType) -> str | None:
    """Return why an address may not be registered for a client of this type, or None (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1)."""
    found = _URI.fullmatch(uri)
    if found is None or len(uri) > LONGEST:
        return f"an absolute address of at most {LONGEST} characters is expected"
    if "#" in uri:
        return "an address with a fragment (#) cannot receive an answer"
    if _ALLOWED.fullmatch(uri) is None:
        return "it holds a space or another character that an address cannot have"
    scheme, authority, path, query = found[1], found[2], found[3], found[4]
    if scheme != scheme.lower():
        return "write the scheme in lower case"
    return _place_fault(scheme, authority, kind) or _path_fault(path, query)


def _place_fault(scheme: str, authority: str | None, kind: ClientType) -> str | None:
    if scheme not in ("https", "http"):
        if kind != "native":
            return "only native clients may have a scheme of their own; use https"
        known = _REVERSE_DOMAIN.fullmatch(scheme) is not None
        return None if known else "a scheme of one's own is a domain turned round, such as com.example.app (RFC 8252 §7.1)"
    host = _HOST.fullmatch(authority or "")
    if host is None or "@" in (authority or "") or int(host[3] or 1) > _HIGHEST_PORT:
        return "a host is expected, without user name, with a port if need be"
    if scheme == "http" and host[1] not in _LOOPBACK_HOSTS:
        return "use https; plain http is for this device alone (127.0.0.1, [::1], localhost)"
    return None


def _path_fault(path: str, query: str | None) -> str | None:
    if "//" in path or "\\" in path or any(part in (".", "..") for part in path.split("/")):
        return "the path holds empty, '.' or '..' segments, which not every program reads alike"
    if _BROKEN_ESCAPE.search(path + (query or "")) or _UNSAFE_ESCAPE.search(path):
        return "the path holds an escape that not every program reads alike"
    if "*" in path:
        return "an address is registered whole: there are no wildcards"
    named = {part.partition("=")[0] for part in (query or "").split("&")} & _OURS
    return f"the query may not hold '{min(named)}', which the answer brings" if named else None
