"""How rare a learned finding of this score is in its class of series: the tail of what the class has said so far.

Ranks, not a fitted curve: a city sees enough findings that what a budget asks for lies within what has been seen, and
ranks hold for any distribution, with true events among the scores too (they only make it more careful). Beyond the
largest score seen so far, a prior that thins out with the eighth power takes over.
"""

import math
from itertools import pairwise

import msgspec

WEEK_MS = 604_800_000.0
FLOOR = 0.7
"""Scores below are no candidates: a quiet series has one every few days at this score, several a day below it."""
STEP = 0.002
"""Width of a bin, in logarithms."""
HALF_LIFE_MS = 4 * WEEK_MS
PRIOR_WEEKS = 20.0
"""What is assumed before anything was seen weighs as much as so many series-weeks of seeing."""
_REBASE = 40.0
_KNEES = ((FLOOR, 1.5), (1.0, 0.3), (1.02, 0.02))
"""The assumed rate at some scores, a series and week; in between in straight lines of logarithms."""


def assumed(score: float) -> float:
    """Return the rate of findings of at least this score that is assumed of a quiet series, a week.

    >>> [round(assumed(score), 4) for score in (0.7, 1.0, 1.02, 2.04)]
    [1.5, 0.3, 0.02, 0.0001]
    """
    if score >= _KNEES[-1][0]:
        return _KNEES[-1][1] * (_KNEES[-1][0] / score) ** 8
    for (low, rate), (high, next_rate) in pairwise(_KNEES):
        if score < high:
            along = (max(score, low) - low) / (high - low)
            return math.exp((1 - along) * math.log(rate) + along * math.log(next_rate))
    raise AssertionError


class Tail(msgspec.Struct):
    """The scores of one class of series and the time that it was watched for, both half forgotten in four weeks.

    ``bins`` maps floor(ln(score) / 0.002) to a weight. Weights and ``weeks`` (series-weeks) are kept as of ``base_ms``.
    """

    base_ms: int
    at_ms: int
    weeks: float = 0.0
    bins: dict[int, float] = msgspec.field(default_factory=dict)

    def watch(self, series: int, now_ms: int) -> None:
        """Count the time since the last call: so many series were watched."""
        if now_ms > self.at_ms:
            weight = self._weight(now_ms)  # which may move the base, so it comes first
            self.weeks += series * (now_ms - self.at_ms) / WEEK_MS * weight
            self.at_ms = now_ms

    def add(self, score: float, now_ms: int) -> None:
        """Count one finding."""
        place, weight = _bin(score), self._weight(now_ms)
        self.bins[place] = self.bins.get(place, 0.0) + weight

    def rate(self, score: float) -> float:
        """Return how many findings of at least this score a series of this class has a week."""
        now = math.exp2((self.at_ms - self.base_ms) / HALF_LIFE_MS)
        least = _bin(score)
        seen = sum(weight for place, weight in self.bins.items() if place >= least) / now
        return (seen + PRIOR_WEEKS * assumed(score)) / (self.weeks / now + PRIOR_WEEKS)

    def _weight(self, now_ms: int) -> float:
        """Return what counts as one now: newer things weigh more, instead of older ones less."""
        halves = (now_ms - self.base_ms) / HALF_LIFE_MS
        if halves > _REBASE:
            shrink = math.exp2(-halves)
            self.weeks *= shrink
            self.bins = {place: weight * shrink for place, weight in self.bins.items() if weight * shrink > 1e-6}
            self.base_ms, halves = now_ms, 0.0
        return math.exp2(max(halves, -_REBASE))


def _bin(score: float) -> int:
    return math.floor(math.log(max(score, FLOOR)) / STEP)
