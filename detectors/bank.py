"""What the engine asks of whatever judges in the learned layer: a bank, which holds the detectors of many series.

A series is a number, given by ``add`` in order: 0, 1, 2, … All that a bank knows of a series goes into bytes and comes
back from them without loss. ``conformance`` holds what a bank must keep to, in words and in checks.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from gridbeacon.frame import F8, I8, U1
from gridbeacon.reasons import State

FINDING, ANOMALOUS = 1.0, 2.4
"""The ``signal`` that is worth a finding, and the ``severity`` that is anomalous."""
BAND = 4.0
"""Half the width of the band that is said, in spreads."""


def states_of(said: Any) -> U1:
    """Return the ``reasons.State`` of each row of ``judge_layout.SAID``: warming up until its hour is known."""
    state = np.full(len(said), State.NORMAL, np.uint8)
    state[(said["severity"] >= ANOMALOUS) | (said["signal"] >= FINDING)] = State.ANOMALOUS
    state[(said["young"] != 0) | (said["confidence"] == 0)] = State.WARMING_UP
    return state


class Bank(Protocol):
    """The detectors of many series, by number."""

    def __len__(self) -> int:
        """Return how many series there are."""

    def add(self) -> int:
        """Begin a series that nothing has been seen of; return its number."""

    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        """Judge observations in order; then learn each, before the next one, where ``learn`` is not 0.

        All columns have the same length n: number of the series, value in the metric's unit, event time, civil time
        since a Monday's midnight (``civil.CivilHours.since_monday``), both in ms. Returns n rows of
        ``judge_layout.SAID``: a ``signal`` of 1 is worth a finding, a ``severity`` of 2.4 is anomalous.

        Raises ``ValueError`` at a value that is not finite and at a time that is not later than the last one of its
        series; what stood before it has been judged and learned, it and what stands after it has changed nothing.
        """

    def pack(self, numbers: I8) -> Iterator[bytes]:
        """Yield the state of each of these series."""

    def restore(self, number: int, value: bytes) -> None:
        """Take back the state of one series. Raises ``ValueError`` when it is none of this kind of bank."""

    def relearn(self, number: int) -> None:
        """Learn anew what is usual for a series, and keep what its noise is like: it warms up again, hour by hour."""
