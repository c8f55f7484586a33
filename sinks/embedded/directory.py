"""The data directory: only one process may have it, and there must be room."""

import fcntl
import os
import shutil
from pathlib import Path

from gridbeacon.errors import ConfigError

LOCK_NAME = "gridbeacon.lock"
NEEDS_FREE_BYTES = 128 * 1024 * 1024
"""Below this a start is refused: merging parts needs room for a second copy of them."""
_CHOOSE = "choose another directory with --data (data_dir in the configuration)"


class DataDirectory:
    """A directory that this process alone has until ``release``.

    The lock is the kernel's: it goes with the process, however that ends, and the file that it leaves means nothing.
    chDB has no such check of its own that ends in a clear message. Raises ``ConfigError`` when the directory is
    another process's, can't be made or written, has too little room, or has a name that chDB can't be given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if "?" in str(self.path):
            raise ConfigError(f"the name of {self.path} has a question mark, which chDB would misread; {_CHOOSE}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
            self._take()
        except OSError as error:
            raise ConfigError(f"{self.path} can't be written ({os.strerror(error.errno or 0)}); {_CHOOSE}") from error

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(self._file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise ConfigError(
                f"{self.path} is in use by another embedded ClickHouse (process {owner}); stop that one, or {_CHOOSE}"
            ) from error
        try:
            self._check_room()
        except (OSError, ConfigError):
            os.close(self._file)
            raise

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < NEEDS_FREE_BYTES:
            raise ConfigError(
                f"only {free / 1e6:.0f} MB are free on the disk of {self.path} and {NEEDS_FREE_BYTES / 1e6:.0f} MB are "
                f"needed; free some space, or {_CHOOSE}"
            )
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        os.fsync(self._file)  # a quota or a broken disk shows itself here, before chDB would end in the middle of it

    def release(self) -> None:
        """Let another process have the directory."""
        os.close(self._file)
