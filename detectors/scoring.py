"""One series of recorded values through the default detector, strictly online: row n never depends on row n + 1."""

from typing import Any

import numpy as np

from detectors.bank import BAND, states_of
from detectors.civil import CivilHours
from detectors.judge_kernel import judge_series
from detectors.judge_layout import SAID, blank_judges, constants
from gridbeacon.frame import F8, I8
from gridbeacon.reasons import State


def score(time_ms: I8, values: F8, timezone: str) -> Any:
    """Return what the detector says of each value: rows of ``SAID``, all of it known at that row's time.

    What comes late, or at a time that was there already, is neither judged nor learned: its row is 0 (``in_time``).
    """
    said = np.zeros(len(values), SAID)
    fresh = np.flatnonzero(in_time(time_ms))
    part = said[fresh]
    judge_series(
        blank_judges(1),
        np.zeros(len(fresh), np.int64),
        np.ascontiguousarray(values[fresh]),
        np.ascontiguousarray(time_ms[fresh]),
        CivilHours(timezone).since_monday(time_ms[fresh]),
        np.ones(len(fresh), np.uint8),
        constants(),
        part,
    )
    said[fresh] = part
    return said


def in_time(time_ms: I8) -> Any:
    """Return which times are later than all before them.

    >>> in_time(np.array([10, 20, 20, 15, 30])).tolist()
    [True, True, False, False, True]
    """
    newest = np.maximum.accumulate(time_ms)
    return np.concatenate([[True], time_ms[1:] > newest[:-1]]) if len(time_ms) else np.zeros(0, bool)


def band(said: Any, values: F8) -> tuple[F8, F8]:
    """Return (lower, upper) of what was expected; of what was never below 0 so far, lower is not either."""
    lower, upper = said["expected"] - BAND * said["spread"], said["expected"] + BAND * said["spread"]
    positive = np.minimum.accumulate(values) >= 0
    return np.where(positive, np.maximum(lower, 0.0), lower), upper


def states(said: Any, time_ms: I8) -> Any:
    """Return the ``reasons.State`` of each row; what is not judged is not known."""
    state = states_of(said)
    state[~in_time(time_ms)] = State.WARMING_UP
    return state
