"""An authorization server for devices that nobody here wrote: oauthlib's, with a memory of its own, on a real socket."""

from __future__ import annotations

from typing import Any, Final

from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.endpoints import TokenEndpoint
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from oauthlib.oauth2.rfc6749.request_validator import RequestValidator
from oauthlib.oauth2.rfc6749.tokens import BearerToken
from oauthlib.oauth2.rfc8628.endpoints import DeviceApplicationServer
from oauthlib.oauth2.rfc8628.grant_types import DeviceCodeGrant

from gatewright_client.device import GRANT_TYPE
from tests.client.places import METADATA, Answer, Asked, Place

USER_CODE: Final = "WDJB-MJHT"
PENDING: Final = "authorization_pending"
AUTHORIZED: Final = "authorized"
# The types that others wrote for them are of an older oauthlib.
_DEVICES: Final[Any] = DeviceApplicationServer
_TOKENS: Final[Any] = TokenEndpoint


class Memory(RequestValidator):
    """What the server knows: one public client, and what became of each device code."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[str, str] = {}
        self.known = {"read:balance"}
        self.clients = {"cli", "bank-cli"}
        self.saved: list[dict[str, Any]] = []

    def authenticate_client(self, request: Request, *_: object) -> bool:
        return False

    def client_authentication_required(self, request: Request, *_: object) -> bool:
        return False

    def authenticate_client_id(self, client_id: str, request: Request, *_: object) -> bool:
        request.client = type("Client", (), {"client_id": client_id})()
        return client_id in self.clients

    def validate_client_id(self, client_id: str, request: Request, *_: object) -> bool:
        return client_id in self.clients

    def validate_grant_type(self, *_: object) -> bool:
        return True

    def validate_scopes(self, client_id: str, scopes: list[str], *_: object) -> bool:
        return set(scopes) <= self.known

    def get_default_scopes(self, *_: object) -> list[str]:
        return ["read:balance"]

    def get_original_scopes(self, *_: object) -> list[str]:
        return ["read:balance"]

    def validate_device_code(self, client_id: str, device_code: str, request: Request, *_: object) -> str | None:
        status = self.codes.get(device_code)
        if status == AUTHORIZED:
            request.user, request.scopes = "us_1", ["read:balance"]
            self.codes.pop(device_code)  # it buys tokens once
        return status

    def save_token(self, token: Any, request: Request, *args: Any, **more: Any) -> None:  # noqa: ANN401 - as oauthlib has it
        self.saved.append(token)

    def save_bearer_token(self, token: Any, request: Request, *args: Any, **more: Any) -> None:  # noqa: ANN401 - as oauthlib has it
        self.saved.append(token)


class Devices:
    """The server. `answers` is what the next polls find the user to have done."""

    def __init__(self) -> None:
        self.place = Place(self._answer)
        self.memory = Memory()
        self.answers: list[str] = []
        self.interval: int | None = 5
        grant = DeviceCodeGrant(self.memory)
        self._tokens = _TOKENS("", BearerToken(self.memory, expires_in=3600), {GRANT_TYPE: grant})
        self.more: dict[str, object] = {}  # members that the answer to the device gets instead

    def _answer(self, asked: Asked) -> Answer:
        url = self.place.url
        if asked.path == METADATA:
            endpoints = {"token_endpoint": f"{url}/token", "device_authorization_endpoint": f"{url}/device"}
            return Answer(body={"issuer": url, **endpoints})
        if asked.path == "/device":
            return self._begun(asked)
        code = asked.form.get("device_code", "")
        if self.answers and code in self.memory.codes:
            self.memory.codes[code] = self.answers.pop(0)
        headers, body, status = self._tokens.create_token_response(f"{url}/token", "POST", asked.body.decode(), _named(asked))
        return Answer(status, body.encode(), headers)

    def _begun(self, asked: Asked) -> Answer:
        server = _DEVICES(
            self.memory,
            f"{self.place.url}/activate",
            interval=self.interval,
            verification_uri_complete=f"{self.place.url}/activate?user_code={{user_code}}",
            user_code_generator=lambda: USER_CODE,
        )
        try:
            headers, body, status = server.create_device_authorization_response(
                f"{self.place.url}/device", "POST", asked.body.decode(), _named(asked)
            )
        except OAuth2Error as fault:  # a framework renders it
            return Answer(fault.status_code, fault.json.encode())
        self.memory.codes[body["device_code"]] = PENDING
        return Answer(status, body | self.more, headers)


def _named(asked: Asked) -> dict[str, str]:
    return {"Content-Type": asked.headers.get("content-type", "")}
