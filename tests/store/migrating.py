"""Migrates a database, and dies where it is told to: migrating.py URL FOLDER STATEMENT. It waits there for its last word."""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

from gatewright.store import migrate

URL, FOLDER, LAST = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
steps = count(1)


def say(sentence: str) -> None:
    """Tells each step; at the last one the process is no more."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
    if ": statement " in sentence and next(steps) == LAST:
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(migrate(URL, now=1, folder=FOLDER, say=say))
