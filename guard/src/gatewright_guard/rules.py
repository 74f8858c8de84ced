"""Which requests need what: a table of rules over hosts, methods and paths, whatever received the request. Pure.

The same table stands before an ASGI or WSGI application (`match`, with the path as the server decoded it) and behind the server's
verify address (`match_target`, with the request target as the caller sent it, to a proxy and an application that we do not know).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from gatewright_guard.decide import Requirement

MAX_TARGET: Final = 8192
"""Characters of a request target that are looked at; the usual servers take no longer one."""

_DEEPEST: Final = 64  # segments of a path for which the rules are kept sorted out
_USUAL: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,30}")
_HOST: Final = re.compile(r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])\.?(?::[0-9]{1,5})?")
# RFC 3986 §3.3, pchar, without the semicolon.
_TARGET: Final = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-Fa-f]{2})*")
# What nearly every path is: nothing in it can be read in two ways.
_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9\-_~][A-Za-z0-9\-._~]*)+/?")
_ENCODED_AGAIN: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_STRANGE: Final = re.compile(r"[\x00-\x1f\x7f/\\;]")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a path needs; the first rule that fits a request counts."""

    path: str
    """Segments as they are, `{name}` for any one segment, and at the end `/*` for whatever follows, if anything does."""
    needs: Requirement | None
    """None opens the path to everybody, without a look at credentials."""
    methods: frozenset[str] | None = None
    """None for all. GET stands for HEAD too."""
    account_in: str | None = None
    """The `{name}` that holds the id or slug of the account that the resource belongs to."""
    host: str | None = None
    """The host name alone, without a port; None for all. Only a door that tells the host of a request can use it."""


class Match(msgspec.Struct, frozen=True):
    """The rule that fits a request, and the account that its path names, if the rule says that it names one."""

    rule: Rule
    account: str | None


class Rules:
    """A table of rules, taken apart once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._routes = tuple(_Route(rule) for rule in rules)
        # By method and number of segments: in a table of a hundred rules few are about such a request.
        self._sorted: dict[tuple[str, int], tuple[_Route, ...]] = {}
        self.scopes = tuple(dict.fromkeys(name for route in self._routes for name in route.scopes))
        """Every scope that a rule names."""
        self.by_host = any(route.host is not None for route in self._routes)
        """Whether a rule is for one host alone, so that the door has to tell which was called."""

    def match(self, method: str, path: str, *, host: str | None = None) -> Match | None:
        """The first rule that fits; None where none does, and for a path that somebody may read in another way."""
        segments = segments_of(path)
        # Frameworks make capitals of a method, so that a rule for POST would not be seen to fit one that does not look it.
        if segments is None or not is_method(method):
            return None
        name = host_of(host or "") if self.by_host else None
        # Of a request without a readable host nobody knows which of the rules the application would go by.
        if self.by_host and name is None:
            return None
        for route in self._about(method, len(segments)):
            if route.fits(segments, name):
                return Match(route.rule, route.account(segments))
        return None

    def match_target(self, method: str, target: str, host: str) -> Match | None:
        """The first rule that fits a request as its caller sent it; None where none does, or not everybody would read it alike.

        Who serves the request is unknown here: letters whose case differs from a rule's may be the same to it, and may not.
        """
        segments = segments_of_target(target)
        name = host_of(host) if self.by_host else None
        if segments is None or (self.by_host and name is None) or not is_method(method):
            return None
        # Where all letters are small on both sides, a rule that may fit does. An escape may stand for a letter that is not.
        small = "%" not in target and target == target.casefold()
        for route in self._about(method, len(segments)):
            if route.fits(segments, name):
                return Match(route.rule, route.account(segments))
            if not (small and route.small) and route.may_fit(segments, name):
                return None
        return None

    def _about(self, method: str, count: int) -> tuple["_Route", ...]:
        """The rules for a method and so many segments, in their order."""
        found = self._sorted.get((method, count))
        if found is None:
            found = tuple(route for route in self._routes if route.about(method, count))
            if method in _USUAL and count <= _DEEPEST:
                self._sorted[method, count] = found
        return found


def is_method(text: str) -> bool:
    """Whether a text is a method as everybody reads it: in capital letters."""
    return text in _USUAL or _METHOD.fullmatch(text) is not None


class _Route:
    """A rule taken apart once."""

    __slots__ = ("folded", "host", "least", "literals", "methods", "open_ended", "place", "rule", "segments", "small")

    def __init__(self, rule: Rule) -> None:
        if not rule.path.startswith("/"):
            raise ValueError(f"the path of a rule begins with a slash, unlike {rule.path!r}")
        path = rule.path.removesuffix("/*")
        self.rule = rule
        self.open_ended = path != rule.path
        self.segments = _split(path)
        self.least = len(self.segments)
        self.literals = tuple((place, segment) for place, segment in enumerate(self.segments) if not _is_name(segment))
        self.folded = tuple((place, segment.casefold()) for place, segment in self.literals)
        self.small = self.folded == self.literals
        if wrong := [method for method in rule.methods or () if not is_method(method)]:
            raise ValueError(f"a method is written in capital letters, unlike {wrong[0]!r}")
        self.methods = rule.methods if rule.methods is None or "GET" not in rule.methods else rule.methods | {"HEAD"}
        self.host = rule.host
        if "*" in path:
            raise ValueError(f"a star stands at the end of a rule's path only, unlike in {rule.path!r}")
        if rule.host is not None and host_of(rule.host) != rule.host:
            raise ValueError(f"the host of a rule is a name in small letters, without a port, unlike {rule.host!r}")
        if rule.account_in is not None and f"{{{rule.account_in}}}" not in self.segments:
            raise ValueError(f"the rule for {rule.path!r} has no segment {{{rule.account_in}}}")
        self.place = None if rule.account_in is None else self.segments.index(f"{{{rule.account_in}}}")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the rule names."""
        needs = self.rule.needs
        return () if needs is None else (*needs.all_of, *needs.any_of)

    def about(self, method: str, count: int) -> bool:
        """Whether the rule is for a method and a path of so many segments."""
        if count < self.least or (count > self.least and not self.open_ended):
            return False
        return self.methods is None or method in self.methods

    def fits(self, segments: Sequence[str], host: str | None) -> bool:
        """Whether the rule, being about such a request, is about this one."""
        if self.host is not None and self.host != host:
            return False
        for place, literal in self.literals:  # noqa: SIM110 - a generator is dearer, and this stands before each request
            if segments[place] != literal:
                return False
        return True

    def may_fit(self, segments: Sequence[str], host: str | None) -> bool:
        """Whether it is for an application to which small and capital letters are the same."""
        if self.host is not None and self.host != host:
            return False
        return all(segments[place].casefold() == literal for place, literal in self.folded)

    def account(self, segments: Sequence[str]) -> str | None:
        """The account that the path names, if the rule says that it names one."""
        return None if self.place is None else segments[self.place]


def _is_name(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _split(path: str) -> list[str]:
    # With a slash at the end it is the same path: whether the application thinks so is not for us to bet on.
    return path.removesuffix("/").split("/")[1:]


def host_of(text: str) -> str | None:
    """The name in a Host header: small letters, no port, no dot at the end; None for what is no host (RFC 9110 §7.2)."""
    found = _HOST.fullmatch(text.lower())
    return None if found is None else found[1]


def segments_of(path: str) -> list[str] | None:
    """The segments of a decoded path; None for one that somebody may read in another way."""
    segments = _split(path)
    # Servers, routers and proxies differ about these, and where two differ about a path one of them is a way around the other.
    strange = any(segment in ("", ".", "..") or "\\" in segment for segment in segments)
    return None if strange or not path.startswith("/") else segments


def segments_of_target(target: str) -> list[str] | None:
    """The decoded segments of a request target (RFC 9112 §3.2.1); None for one that somebody may read in another way.

    Beside what `segments_of` refuses: slashes, backslashes and control characters in an escape, escapes of escapes, path parameters
    (`;`, which some servers cut off before they look), names of dots and spaces alone, and bytes that are no UTF-8.
    """
    if len(target) > MAX_TARGET:
        return None
    path = target.partition("?")[0]
    if _PLAIN.fullmatch(path):
        return _split(path)
    if not _TARGET.fullmatch(path):
        return None
    segments = _split(path)
    if "%" in path:
        try:
            segments = [unquote_to_bytes(segment).decode() for segment in segments]
        except UnicodeDecodeError:
            return None
    return None if any(map(_may_be_read_otherwise, segments)) else segments


def _may_be_read_otherwise(segment: str) -> bool:
    return not segment.strip(" .") or _STRANGE.search(segment) is not None or _ENCODED_AGAIN.search(segment) is not None
