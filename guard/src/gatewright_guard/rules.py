"""Which requests need what: a table of rules over methods and paths, whatever received the request. Pure.

The same table stands before an ASGI or WSGI application and behind the server's verify address.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gatewright_guard.decide import Requirement


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


class Match(msgspec.Struct, frozen=True):
    """The rule that fits a request, and the account that its path names, if the rule says that it names one."""

    rule: Rule
    account: str | None


class Rules:
    """A table of rules, taken apart once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._routes = tuple(_Route(rule) for rule in rules)
        self.scopes = tuple(dict.fromkeys(name for route in self._routes for name in route.scopes))
        """Every scope that a rule names."""

    def match(self, method: str, path: str) -> Match | None:
        """The first rule that fits; None where none does, and for a path that somebody may read in another way."""
        segments = segments_of(path)
        if segments is None:
            return None
        for route in self._routes:
            if route.fits(method, segments):
                return Match(route.rule, route.account(segments))
        return None


class _Route:
    """A rule taken apart once."""

    __slots__ = ("methods", "open_ended", "place", "rule", "segments")

    def __init__(self, rule: Rule) -> None:
        if not rule.path.startswith("/"):
            raise ValueError(f"the path of a rule begins with a slash, unlike {rule.path!r}")
        path = rule.path.removesuffix("/*")
        self.rule = rule
        self.open_ended = path != rule.path
        self.segments = _split(path)
        self.methods = rule.methods if rule.methods is None or "GET" not in rule.methods else rule.methods | {"HEAD"}
        if "*" in path:
            raise ValueError(f"a star stands at the end of a rule's path only, unlike in {rule.path!r}")
        if rule.account_in is not None and f"{{{rule.account_in}}}" not in self.segments:
            raise ValueError(f"the rule for {rule.path!r} has no segment {{{rule.account_in}}}")
        self.place = None if rule.account_in is None else self.segments.index(f"{{{rule.account_in}}}")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the rule names."""
        needs = self.rule.needs
        return () if needs is None else (*needs.all_of, *needs.any_of)

    def fits(self, method: str, segments: Sequence[str]) -> bool:
        """Whether the rule is about such a request."""
        if self.methods is not None and method not in self.methods:
            return False
        if len(segments) < len(self.segments) or (len(segments) > len(self.segments) and not self.open_ended):
            return False
        return all(ours == theirs or _is_name(ours) for ours, theirs in zip(self.segments, segments, strict=False))

    def account(self, segments: Sequence[str]) -> str | None:
        """The account that the path names, if the rule says that it names one."""
        return None if self.place is None else segments[self.place]


def _is_name(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _split(path: str) -> list[str]:
    # With a slash at the end it is the same path: whether the application thinks so is not for us to bet on.
    return path.removesuffix("/").split("/")[1:]


def segments_of(path: str) -> list[str] | None:
    """The segments of a decoded path; None for one that somebody may read in another way."""
    segments = _split(path)
    # Servers, routers and proxies differ about these, and where two differ about a path one of them is a way around the other.
    strange = any(segment in ("", ".", "..") or "\\" in segment for segment in segments)
    return None if strange or not path.startswith("/") else segments
