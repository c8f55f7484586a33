"""One series of recorded values through the default detector, strictly online: row n never depends on row n + 1."""

from typing import Any

import numpy as np

from detectors.bank import BAND, Bank, states_of
from detectors.civil import CivilHours
from detectors.judge_bank import JudgeBank
from detectors.judge_layout import SAID
from gridbeacon.frame import F8, I8
from gridbeacon.reasons import State


def score(time_ms: I8, values: F8, timezone: str, bank: Bank | None = None) -> Any:
    """Return what the detector says of each value: rows of ``SAID``, all of it known at that row's time.

    What comes late, or at a time that was there already, is neither judged nor learned: its row is 0 (``in_time``).
    ``bank`` is another detector than the default one, empty.
    """
    said = np.zeros(len(values), SAID)
    fresh = np.flatnonzero(in_time(time_ms))
    bank, n = JudgeBank() if bank is None else bank, len(fresh)
    at, learn = np.full(n, bank.add()), np.ones(n, np.uint8)
    times = time_ms[fresh]
    said[fresh] = bank.judge(at, values[fresh], times, CivilHours(timezone).since_monday(times), learn)
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
