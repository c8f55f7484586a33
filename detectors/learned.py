"""The detectors of the learned layer, by the name that the configuration uses. Add one by a line in ``DETECTORS``.

A detector sees the residual of one series: the observation less what its hour-of-week profile expects, in the unit of
the profile (the metric's own, or its square root for counts), so never larger than the widest range of a metric (1e9).
It never decides what to learn from: that is the observer's own decision. ``conformance`` holds what it must keep to.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

from river import anomaly, stats

ROW = 4
"""Numbers that a detector may keep."""


class Detector(Protocol):
    """One series' detector behind river's two verbs."""

    def score(self, residual: float) -> tuple[float, float, float]:
        """Return (score >= 0, centre, scale): how unusual, measured from where, in units of what. Changes nothing."""

    def learn(self, residual: float) -> None:
        """Learn one residual."""

    def row(self) -> tuple[float, ...]:
        """Return the state as at most ``ROW`` numbers, losslessly."""

    def restore(self, row: tuple[float, ...]) -> None:
        """Take back what ``row`` returned (padded with zeros to ``ROW``)."""


class StandardAbsoluteDeviation:
    """Distance from the running mean in running standard deviations: river's detector of that name.

    score = |y - mean| / sd, with Welford's mean and variance over all that was learned.

    >>> detector = StandardAbsoluteDeviation()
    >>> for residual in (-1.0, 1.0) * 50:
    ...     detector.learn(residual)
    >>> round(detector.score(3.0)[0], 2)
    2.98
    """

    def __init__(self) -> None:
        self._mean = stats.Mean()
        self._river: Any = anomaly.StandardAbsoluteDeviation(sub_stat=self._mean)
        self._variance: Any = self._river.variance

    def score(self, residual: float) -> tuple[float, float, float]:
        """Return (score, mean, standard deviation)."""
        return self._river.score_one(None, residual), self._mean.get(), math.sqrt(self._variance.get())

    def learn(self, residual: float) -> None:
        """Learn one residual."""
        self._river.learn_one(None, residual)

    def row(self) -> tuple[float, ...]:
        """Return (n, mean, sum of squares, mean of the variance)."""
        return self._mean.n, self._mean._mean, self._variance._S, self._variance.mean._mean  # noqa: SLF001

    def restore(self, row: tuple[float, ...]) -> None:
        """Take back what ``row`` returned."""
        n, mean, squares, other_mean = row
        self._mean.n = self._variance.mean.n = n
        self._mean._mean = mean  # noqa: SLF001
        self._variance._S = squares  # noqa: SLF001
        self._variance.mean._mean = other_mean  # noqa: SLF001


DETECTORS: dict[str, Callable[[], Detector]] = {
    "standard_absolute_deviation": StandardAbsoluteDeviation,
}
