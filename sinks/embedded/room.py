"""Room on the disk: before there is none, nothing is written any more.

chDB does not take it well when a disk runs full in the middle of a merge: the merged part may be broken although it
counts as done, and rows that had been acknowledged are gone. So merges are stopped and inserts refused in time.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from sinks.embedded.wire import ServerError

STOP_BYTES = 128 << 20
GO_ON_BYTES = 160 << 20
"""Free space at which writing stops, and from which it goes on."""
NOT_ENOUGH_SPACE = 243


class Room:
    """Watches the free space of ``path``; ``stop`` and ``go_on`` are called when it gets tight and when it no longer
    is. ``look`` may be called often; ``check`` from any thread."""

    def __init__(self, path: Path, stop: Callable[[], None], go_on: Callable[[], None]) -> None:
        self._path = path
        self._stop, self._go_on = stop, go_on
        self._tight = False

    def look(self) -> bool:
        """Look at the disk; return whether it has become tight, or has room again, since the last look."""
        free = shutil.disk_usage(self._path).free
        if self._tight and free >= GO_ON_BYTES:
            self._tight = False
            self._go_on()
        elif not self._tight and free < STOP_BYTES:
            self._tight = True  # first: no insert may begin any more
            self._stop()
        else:
            return False
        return True

    @property
    def tight(self) -> bool:
        """Whether nothing is written at present."""
        return self._tight

    def check(self) -> None:
        """Return when rows may be written; raises ``ServerError`` (code 243, which clients try again after)."""
        if self._tight:
            raise ServerError(
                NOT_ENOUGH_SPACE,
                f"less than {STOP_BYTES >> 20} MB are free on the disk of {self._path}: nothing is stored until there "
                "is more; free some space",
            )
