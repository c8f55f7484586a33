"""When a child that has ended is started again: soon at first, then ever more seldom, as long as it keeps ending."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 0.2, 10.0
HEALTHY_SECS = 30.0
"""A child that has run this long is restarted as soon as at first."""


class Member(Protocol):
    """What is supervised: a child process that can be started again."""

    log: Path

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    def start(self) -> None:
        """Start it."""

    def poll(self) -> int | None:
        """Return its exit code once it has ended."""

    def why_ended(self) -> str:
        """Return how it ended, for a person."""

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""

    def stop(self, patience_secs: float) -> None:
        """End it, past the patience the hard way; returns when it is gone."""

    def kill(self) -> None:
        """End it at once; returns when it is gone."""


@dataclass(slots=True)
class Place:
    """A member's place in the house: since when it runs, how often it was restarted, when it is due (seconds).

    ``left_down``: it ended saying that a person must look first.
    """

    name: str
    member: Member
    started_at: float
    restarts: int = 0
    due_at: float | None = None
    left_down: bool = False
    _wait_secs: float = FIRST_WAIT_SECS

    def ended(self, now: float) -> float:
        """Plan the next start and return the seconds until then."""
        if now - self.started_at >= HEALTHY_SECS:
            self._wait_secs = FIRST_WAIT_SECS
        self.started_at = now  # a start that fails at once was no healthy run
        wait = self._wait_secs
        self._wait_secs = min(LONGEST_WAIT_SECS, wait * 2)
        self.due_at = now + wait
        return wait

    def restarted(self, now: float) -> None:
        """Count a start that succeeded."""
        self.restarts += 1
        self.started_at, self.due_at = now, None
