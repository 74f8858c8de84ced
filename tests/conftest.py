"""What holds for every test: nothing leaves this machine, and the tests of pure rules reach for no network at all."""

import importlib.util
import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
# Folders whose tests need no network, not even this machine's own.
SEALED = frozenset({"house", "protocol", "unit"})


class Border:
    """Watches every socket of this process; Python tells it before anything is sent."""

    def __init__(self) -> None:
        self.sealed = False
        self.refused: list[str] = []

    def watch(self, event: str, arguments: tuple[object, ...]) -> None:
        """Refuses what goes beyond the border; the test fails even if the code under test swallows the refusal."""
        if event not in {"socket.connect", "socket.sendto", "socket.getaddrinfo"}:
            return
        target = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        if not self.sealed and is_near(target):
            return
        self.refused.append(f"{event} to {target!r}")
        raise PermissionError(f"a test may not reach {target!r}")


def is_near(target: object) -> bool:
    """Tells this machine's own addresses from all others."""
    if not isinstance(target, tuple):
        target = (target,)
    host = target[0]
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if host is None or host == "localhost" or (isinstance(host, str) and host.startswith(("/", "\0"))):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


BORDER = Border()
sys.addaudithook(BORDER.watch)


@pytest.fixture(autouse=True)
def _border(request: pytest.FixtureRequest) -> Iterator[None]:
    BORDER.sealed = request.path.is_relative_to(TESTS) and request.path.relative_to(TESTS).parts[0] in SEALED
    BORDER.refused.clear()
    yield
    BORDER.sealed = False
    assert not BORDER.refused, "the test reached beyond its border"


def pytest_configure() -> None:
    """Loads how long properties are searched for, before any test takes it; the environments of other versions have no Hypothesis."""
    if importlib.util.find_spec("hypothesis") is not None:
        importlib.import_module("tests.property.searching")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Says how to see a failure again, since the order is another one each time."""
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"the same order again: ./dev test --randomly-seed={config.getoption('randomly_seed', 'unknown')}")
