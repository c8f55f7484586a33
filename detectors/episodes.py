"""The learned layer: one detector per series scores residuals; what is unusual begins an episode and ends it.

Learn or not is decided here: nothing doubted, nothing that breaks a limit, and of what is unusual only a clipped part,
so that a new normal is accepted in time and one wild value is not.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.findings import position, unusual
from detectors.kernel import IS_COUNT, JUDGE, LEARN
from detectors.states import States
from gridbeacon.frame import F8, I8, Rows
from gridbeacon.model import Sensor, Signal

CALM = 3
"""Observations in a row below half the threshold that end an episode."""
CLIP = 3.0
"""What is learned of an unusual residual, at most, in scales of the detector."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Columns of what the learned layer says: NaN and 0 where it says nothing. In the metric's unit."""

    expected: F8
    lower: F8
    upper: F8
    score: F8
    direction: Any
    signals: list[tuple[int, Signal]]


def judge(
    states: States, rows: Rows, at_series: I8, at_source: I8, results: Any, *, threshold: float, band: float
) -> Learned:
    """Score and learn the rows that may be, in order; ``signals`` come with the number of their row."""
    n = len(rows)
    expected, lower, upper = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    score_of = np.full(n, np.nan)
    direction_of = np.zeros(n, np.int8)
    signals: list[tuple[int, Signal]] = []
    at = np.flatnonzero(results["learn"])
    detectors, episodes = states.detectors, states.episodes
    centres, scales = np.empty(len(at)), np.empty(len(at))
    columns = zip(
        at.tolist(),
        at_series[at].tolist(),
        results["learn"][at].tolist(),
        results["residual"][at].tolist(),
        strict=True,
    )
    for k, (i, s, learn, residual) in enumerate(columns):
        detector = detectors[s]
        if learn & JUDGE:
            score, centre, scale = detector.score(residual)
            score_of[i] = score
            centres[k], scales[k] = centre, scale
            if score >= threshold or s in episodes:
                usual = float(results["expected"][i]) + centre
                usual = max(usual, 0.0) ** 2 if IS_COUNT[rows.metric[i]] else usual
                say = _Speaker(states.sensors[at_source[i]], rows, i, usual, signals)
                direction = _episode(episodes, s, residual - centre, score, threshold, say)
                direction_of[i] = direction if score >= threshold / 2 else 0
            if learn & LEARN:
                clipped = centre + math.copysign(CLIP * scale, residual - centre)
                detector.learn(clipped if score >= threshold else residual)
        else:
            centres[k] = scales[k] = np.nan
            detector.learn(residual)
    middle = results["expected"][at] + centres
    width = band * scales
    squared = IS_COUNT[rows.metric[at]] != 0
    expected[at] = _unit(middle, squared)
    lower[at], upper[at] = _unit(middle - width, squared), _unit(middle + width, squared)
    return Learned(expected, lower, upper, score_of, direction_of, signals)


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Says that an episode begins or ends with one row."""

    sensor: Sensor
    rows: Rows
    i: int
    usual: float
    signals: list[tuple[int, Signal]]

    def __call__(self, direction: int, *, ends: bool) -> None:
        rows, i = self.rows, self.i
        time_ms, value = int(rows.observed_ms[i]), float(rows.value[i])
        metric, at = int(rows.metric[i]), position(rows, i)
        self.signals.append((i, unusual(self.sensor, metric, direction, time_ms, at, value, self.usual, ends=ends)))


def _episode(
    episodes: dict[int, tuple[int, int]], series: int, off: float, score: float, threshold: float, say: _Speaker
) -> int:
    """Begin, go on with or end an episode; return its direction, 0 when there is none any more."""
    direction = 1 if off > 0 else -1
    before, calm = episodes.get(series, (0, 0))
    if score >= threshold:
        if direction != before:
            if before:
                say(before, ends=True)
            say(direction, ends=False)
        episodes[series] = (direction, 0)
        return direction
    if score >= threshold / 2:
        episodes[series] = (before, 0)
    elif calm + 1 < CALM:
        episodes[series] = (before, calm + 1)
    else:
        say(before, ends=True)
        del episodes[series]
        return 0
    return before


def _unit(x: F8, squared: Any) -> F8:
    """Return values of the profile in the metric's unit: counts are kept as square roots."""
    return np.where(squared, np.maximum(x, 0.0) ** 2, x)
