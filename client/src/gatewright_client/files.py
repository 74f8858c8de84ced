"""A file for the tokens of a command-line program: its owner's alone, whole at any moment, one renewal at a time."""

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from gatewright_client.errors import StoreFault
from gatewright_client.tokens import Tokens

_PATIENCE: Final = 60.0
_LOOKS: Final = 0.05
_decode: Final = msgspec.json.Decoder(Tokens).decode


class FileStore:
    """Keeps tokens in a file of mode 0600. Two runs of a program, or two programs, that name the same file renew one after the other.

    `patience` is for how many seconds one waits for the other.
    """

    def __init__(self, path: str | os.PathLike[str], *, patience: float = _PATIENCE) -> None:
        self._path = Path(path)
        self._lock = self._path.with_name(self._path.name + ".lock")
        self._patience = patience

    def load(self) -> Tokens | None:
        """What is in the file; None if there is none.

        Raises:
            StoreFault: others can read the file, or it is none of ours.
        """
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                    raise StoreFault(f"others may read {self._path}, which holds tokens: make it yours alone (chmod 600), or sign in anew")
                return _decode(file.read())
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise StoreFault(f"{self._path} cannot be read: {fault.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise StoreFault(f"{self._path} holds no tokens: delete it and sign in anew") from None

    def save(self, tokens: Tokens) -> None:
        """Replace the file by a new one, which is on the disk when this returns.

        Raises:
            StoreFault: that cannot be done; the old file is still there.
        """
        half: Path | None = None
        try:
            self._make_folder()
            # Made with mode 0600 from its first moment, and beside the file, so that the rename is one step.
            handle, name = tempfile.mkstemp(prefix=self._path.name + ".", dir=self._path.parent)
            half = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(tokens))
                file.flush()
                os.fsync(file.fileno())
            half.replace(self._path)
            _settle(self._path.parent)
        except OSError as fault:
            if half is not None:
                half.unlink(missing_ok=True)
            raise StoreFault(f"{self._path} cannot be written: {fault.strerror}") from None

    def forget(self) -> None:
        """Delete the file: nobody is signed in any more."""
        with self.alone():
            self._path.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock beside the file. It ends with the process, however that ends.

        Raises:
            StoreFault: another one holds it for longer than we wait.
        """
        try:
            self._make_folder()
            # Never deleted: who deletes a lock lets two hold it.
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as fault:
            raise StoreFault(f"{self._lock} cannot be made: {fault.strerror}") from None
        try:
            self._wait_for(handle)
            yield
        finally:
            os.close(handle)

    def _wait_for(self, handle: int) -> None:
        until = time.monotonic() + self._patience
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() >= until:
                raise StoreFault(f"another program has held {self._lock} for {self._patience:g} s")
            time.sleep(_LOOKS)

    def _make_folder(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _settle(folder: Path) -> None:
    """Put a folder's list of names on the disk, so that a rename outlasts a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
