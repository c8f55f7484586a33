"""The default detector's bank: rows of numbers, judged by one compiled call."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from detectors.judge_kernel import judge_series
from detectors.judge_layout import JUDGE, SAID, blank_judges, constants
from gridbeacon.frame import F8, I8, U1

_FIRST_ROWS = 64


class JudgeBank:
    """Rows of ``judge_layout.JUDGE``, one per series: novelty and departure (``detectors.reference``).

    >>> bank = JudgeBank()
    >>> at = np.array([bank.add()])
    >>> one = np.ones(1, np.int64)
    >>> float(bank.judge(at, np.array([12.0]), one, one, np.ones(1, np.uint8))["expected"][0])
    12.0
    """

    def __init__(self, c: Any = None) -> None:
        self.rows = np.empty(0, JUDGE)
        self._constants = constants() if c is None else c
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self) -> int:
        """Begin a series; return its number."""
        if self._count == len(self.rows):
            self.rows = np.concatenate([self.rows, blank_judges(max(_FIRST_ROWS, self._count // 4))])
        self._count += 1
        return self._count - 1

    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        """Judge and learn observations in order (see ``Bank``)."""
        said = np.zeros(len(x), SAID)
        done = judge_series(self.rows, at, x, time_ms, civil_ms, learn, self._constants, said)
        if done < len(x):
            raise ValueError(f"observation {done}: {x[done]} at {time_ms[done]} ms is not finite, or comes late")
        return said

    def pack(self, numbers: I8) -> Iterator[bytes]:
        """Yield the row of each series."""
        packed, size = self.rows[numbers].tobytes(), JUDGE.itemsize
        for begin in range(0, len(packed), size):
            yield packed[begin : begin + size]

    def restore(self, number: int, value: bytes) -> None:
        """Take back a row."""
        if len(value) != JUDGE.itemsize:
            raise ValueError(f"a state of {len(value)} bytes; a row of this detector has {JUDGE.itemsize}")
        self.rows[number] = np.frombuffer(value, JUDGE, 1)[0]

    def relearn(self, number: int) -> None:
        """Learn the profile anew, from the level of the last hours on (see ``Bank``)."""
        row = self.rows[number]
        for name in ("week_visits", "day_visits", "hour_week_visits", "hour_day_visits"):
            row[name][:] = 0
        row["slow"] = row["level"] = row["middle"]
        row["sum"][:] = 0.0
        for name in ("drift", "lean", "height", "said_departure", "said_novelty", "slot_sum", "slot_count", "open"):
            row[name] = 0
        row["slot"] = -1
