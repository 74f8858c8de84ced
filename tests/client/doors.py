"""The three ways in which a program sends requests, as one: what holds for one of them has to hold for all."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import requests

from gatewright_client.httpx import BearerAuth as ForHttpx
from gatewright_client.requests import BearerAuth as ForRequests
from gatewright_client.source import TokenSource

Response = httpx.Response | requests.Response


@dataclass(slots=True)
class Door(ABC):
    """A program with one token source for one API."""

    source: TokenSource
    api: str
    waited: list[float] = field(default_factory=list)

    @abstractmethod
    def send(self, method: str, url: str, *, body: bytes | Iterator[bytes] | None = None) -> Response: ...

    def get(self, url: str) -> Response:
        return self.send("GET", url)


class ByHttpx(Door):
    def send(self, method: str, url: str, *, body: bytes | Iterator[bytes] | None = None) -> Response:
        auth = ForHttpx(self.source, self.api, pause=self.waited.append)
        with httpx.Client(auth=auth, follow_redirects=True, trust_env=False) as http:
            return http.request(method, url, content=body)


class ByAsyncHttpx(Door):
    def send(self, method: str, url: str, *, body: bytes | Iterator[bytes] | None = None) -> Response:
        async def pause(seconds: float) -> None:
            self.waited.append(seconds)

        async def pieces(body: Iterator[bytes]) -> AsyncIterator[bytes]:
            for piece in body:
                yield piece

        async def sent() -> httpx.Response:
            auth = ForHttpx(self.source, self.api, pause_async=pause)
            content = pieces(body) if isinstance(body, Iterator) else body
            async with httpx.AsyncClient(auth=auth, follow_redirects=True, trust_env=False) as http:
                return await http.request(method, url, content=content)

        return asyncio.run(sent())


class ByRequests(Door):
    def send(self, method: str, url: str, *, body: bytes | Iterator[bytes] | None = None) -> Response:
        auth = ForRequests(self.source, self.api, pause=self.waited.append)
        with requests.Session() as session:
            session.trust_env = False
            session.auth = auth
            return session.request(method, url, data=body, timeout=10)


def members(response: Response) -> Any:  # noqa: ANN401 - whatever the API says
    with suppress(ValueError):
        return response.json()
    return None


DOORS = [ByHttpx, ByAsyncHttpx, ByRequests]
