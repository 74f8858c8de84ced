"""What a guard's tests are about is what it says, not how soon the machine under them answers."""

import pytest


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of a refusal is waited for; the tests of a server that takes too long set a time of their own."""
    for seconds in ("introspect._WHY_SECONDS", "introspect._SECONDS", "keys._SECONDS", "usage._LAST_SECONDS"):
        monkeypatch.setattr(f"gatewright_guard.{seconds}", 30)
