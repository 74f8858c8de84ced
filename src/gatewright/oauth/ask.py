"""A protocol message in (`Ask`, `Params`) and out (`Reply`), free of any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gatewright.oauth.errors import InvalidRequest

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer

# RFC 6749 §3.1, §3.2: request parameters must not be included more than once. A parameter that we do not know is ignored,
# also when it is repeated; `resource` may repeat (RFC 8707 §2).
ONCE: Final = frozenset(
    [
        "grant_type",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "redirect_uri",
        "refresh_token",
        "scope",
        "account",
        "client_assertion",
        "client_assertion_type",
        "token",
        "token_type_hint",
        "response_type",
        "response_mode",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "max_age",
        "ui_locales",
        "login_hint",
        "id_token_hint",
        "acr_values",
        "claims",
        "display",
        "request",
        "request_uri",
        "registration",
        "post_logout_redirect_uri",
        "logout_hint",
        "access_token",
        "username",
        "password",
    ]
)


class Params:
    """Request parameters: each known one at most once, an empty value counts as absent (RFC 6749 §3.1)."""

    __slots__ = ("_values", "resources")

    def __init__(self, values: Mapping[str, str], resources: tuple[str, ...] = ()) -> None:
        self._values = values
        self.resources = resources

    @classmethod
    def of(cls, pairs: list[tuple[str, str]]) -> Params:
        """Return the parameters of decoded pairs.

        Raises:
            InvalidRequest: a known parameter came twice.
        """
        values: dict[str, str] = {}
        resources: list[str] = []
        for name, value in pairs:
            if not value:
                continue
            if name == "resource":
                resources.append(value)
            elif name not in values:
                values[name] = value
            elif name in ONCE:
                raise InvalidRequest(f"the parameter '{name}' was sent more than once")
        return cls(values, tuple(resources))

    def get(self, name: str) -> str | None:
        """Return a parameter, or None when it is absent or empty."""
        return self._values.get(name)

    def need(self, name: str) -> str:
        """Return a parameter.

        Raises:
            InvalidRequest: it is absent or empty.
        """
        value = self._values.get(name)
        if value is None:
            raise InvalidRequest(f"the parameter '{name}' is missing")
        return value

    def having(self, name: str, value: str) -> Params:
        """Return the same parameters with one more, or in the place of what was there."""
        return Params({**self._values, name: value}, self.resources)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def items(self) -> list[tuple[str, str]]:
        """Return all pairs, `resource` as often as it came."""
        return [*self._values.items(), *(("resource", value) for value in self.resources)]


class Ask:
    """What came over the wire to one endpoint of one issuer, at one moment. `json` tells of a body that was no form."""

    __slots__ = ("address", "at", "authorization", "issuer", "json", "origin", "params", "path")

    def __init__(
        self,
        params: Params,
        issuer: Issuer,
        at: Moment,
        *,
        authorization: str | None = None,
        address: str = "",
        origin: str | None = None,
        json: bool = False,
    ) -> None:
        self.params = params
        self.issuer = issuer
        self.at = at
        self.authorization = authorization
        self.address = address
        self.origin = origin
        self.json = json
        self.path = ""


@dataclass(slots=True)
class Reply:
    """A JSON answer: `body` is anything msgspec encodes (or None), `headers` come beside the ones every reply has."""

    body: object
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
