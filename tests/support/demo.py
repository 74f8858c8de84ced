"""Starts the demo as a visitor would and stops it as Ctrl-C would."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
LAST_LINE = "Ctrl-C stops everything"


def free_base() -> int:
    """Return a base port whose neighbours, as the demo needs them, are free as well."""
    for base in range(21_000, 29_000, 20):
        if all(_free(port) for port in Layout(base).ports.values()):
            return base
    raise AssertionError("no row of free ports")


def _free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def command(layout: Layout, folder: Path) -> list[str]:
    """Return the words that start the demo."""
    return [sys.executable, "-m", "examples.demo", "--data", str(folder), "--port", str(layout.base)]


@contextmanager
def demo(layout: Layout, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the demo until the block ends; it must then stop by itself, with a good status."""
    process = subprocess.Popen(command(layout, folder), cwd=ROOT, stdout=subprocess.PIPE, stderr=None, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith(LAST_LINE):
                break
        else:
            raise AssertionError("the demo ended before it was up")
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=40)
    assert process.returncode == 0, rest
