"""What the endpoint says on stderr: one line each, and no more of one kind than a person can read."""

import sys
import threading
import time
from collections.abc import Callable

_LINES, _SECS = 10, 5.0
"""So many refusals within so long are told singly; the rest as a number."""


def say(text: str) -> None:
    """Write a line to stderr, whole: several threads do so."""
    sys.stderr.write(f"embedded ClickHouse: {text}\n")
    sys.stderr.flush()


class Refusals:
    """Tells who was refused and why, without letting strangers fill the log."""

    def __init__(self, tell: Callable[[str], None] = say, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._lock = threading.Lock()
        self._since = clock()
        self._told = self._held = 0

    def add(self, text: str) -> None:
        """Tell of one refusal, or count it."""
        with self._lock:
            self._turn()
            if self._told >= _LINES:
                self._held += 1
                return
            self._told += 1
        self._tell(text)

    def look(self) -> None:
        """Tell how many were held back, once their time is over; may be called often."""
        with self._lock:
            self._turn()

    def _turn(self) -> None:
        if self._clock() - self._since < _SECS:
            return
        if self._held:
            self._tell(f"refused {self._held} more within {_SECS:g} s")
        self._since, self._told, self._held = self._clock(), 0, 0
