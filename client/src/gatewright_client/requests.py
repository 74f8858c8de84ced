"""Puts the token on the requests of `requests`; needs the extra `requests`."""

import time
from collections.abc import Callable
from typing import Any, Final

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from gatewright_client.course import LONGEST_WAIT, Course, Facts, Renew, Wait
from gatewright_client.errors import ClientFault
from gatewright_client.origin import Origin
from gatewright_client.problem import explain
from gatewright_client.source import TokenSource

_HEADER: Final = "Authorization"


class BearerAuth(AuthBase):
    """`session.auth = BearerAuth(source, "https://bank.acme.test")`; what it does is what `gatewright_client.httpx.BearerAuth` does."""

    def __init__(
        self,
        source: TokenSource,
        api: str,
        *,
        longest_wait: float = LONGEST_WAIT,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._source = source
        self._origin = Origin(api)
        self._longest_wait = longest_wait
        self._pause = pause

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        self._origin.demand(request.url or "")
        token, course = self._source.token(), Course(self._longest_wait)
        request.headers[_HEADER] = f"Bearer {token}"

        def answered(response: Response, **how: Any) -> Response:  # noqa: ANN401 - requests' own arguments of sending
            return self._after(response, token, course, how)

        request.register_hook("response", answered)  # type: ignore[no-untyped-call]  # requests gives it no types
        return request

    def _after(self, response: Response, token: str, course: Course, how: dict[str, Any]) -> Response:
        # The hook travels along redirects, so the first thing to ask is who answered.
        while (step := course.after(self._facts(response), lambda response=response: explain(response))) is not None:
            if isinstance(step, Wait):
                self._pause(step.seconds)
            elif isinstance(step, Renew):
                try:
                    token = self._source.renewed(token)
                except ClientFault:
                    return response
            response = _again(response, token, how)
        return response

    def _facts(self, response: Response) -> Facts:
        request = response.request
        return Facts(
            response.status_code,
            response.headers,
            request.method or "GET",
            replayable=request.body is None or isinstance(request.body, str | bytes),
            at_home=self._origin.holds(request.url or ""),
        )


def _again(response: Response, token: str, how: dict[str, Any]) -> Response:
    """Send the request of a response a second time, over the same adapter."""
    _ = response.content  # the connection is free again once the answer was read
    response.close()
    # Redirects are made of the request that the session knows, so it gets the new token too.
    response.request.headers[_HEADER] = f"Bearer {token}"
    repeated = response.request.copy()
    # Only adapters know how to send; responses that came through one remember it.
    answer: Response = response.connection.send(repeated, **how)
    answer.history.append(response)
    answer.request = repeated
    return answer
