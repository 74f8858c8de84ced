"""Requests as the core gets them."""

from __future__ import annotations

from collections.abc import Mapping

from gatewright.oauth.ask import Ask, Params
from tests.support.builders import an_issuer
from tests.support.clock import TestClock


def ask(params: Mapping[str, str], *, authorization: str | None = None) -> Ask:
    """A request with these parameters."""
    return Ask(Params.of(list(params.items())), an_issuer(), TestClock().moment(), authorization=authorization)
