"""What every detector of ``detectors.DETECTORS`` must keep to: one check each, run against all of them by discovery.

A check takes what makes a detector and raises ``AssertionError``, with what is wrong, when it does not hold. Whoever
adds a detector runs them through ``check_all``.
"""

import math
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from detectors.learned import ROW, Detector
from gridbeacon.vocabulary import METRICS

New = Callable[[], Detector]
LARGEST = max(metric.high - metric.low for metric in METRICS)
WILD = (0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 1e-300, 1e-9, LARGEST, -LARGEST, LARGEST, LARGEST / 3)
"""Residuals at the ends of what may come: decode refuses values beyond the metrics' ranges, and what is not finite."""


def residuals(seed: int = 1) -> Iterator[float]:
    """Yield ordinary residuals for ever, from -3 to 3, always the same (a linear congruential generator).

    >>> [round(x, 3) for x in islice(residuals(), 3)]
    [0.083, -1.946, -1.148]
    """
    state = seed
    while True:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        yield state / 2**31 * 6 - 3


def digits(*values: float) -> bytes:
    """Return numbers as their bytes: equal when no digit differs, -0.0 and NaN included."""
    return struct.pack(f"{len(values)}d", *values)


def taught(new: New, count: int, seed: int = 1) -> Detector:
    """Return a detector that has learned so many ordinary residuals."""
    detector = new()
    for residual in islice(residuals(seed), count):
        detector.learn(residual)
    return detector


def score_changes_nothing(new: New) -> None:
    """A score is a question: asking changes neither the state nor any answer."""
    asked, silent = taught(new, 50), taught(new, 50)
    before = digits(*asked.row())
    first = [digits(*asked.score(x)) for x in (0.0, 3.0, -40.0)]
    _hold([digits(*asked.score(x)) for x in (0.0, 3.0, -40.0)] == first, "the same score is not said twice")
    _hold(digits(*asked.row()) == before, "score changes the state")
    for residual in islice(residuals(2), 20):
        asked.learn(residual)
        silent.learn(residual)
    _hold(digits(*asked.score(2.0)) == digits(*silent.score(2.0)), "score changes what is said later")


def scores_are_three_finite_numbers(new: New) -> None:
    """At any time: a score >= 0, a centre, a scale >= 0, all finite."""
    detector = new()
    for residual in (*islice(residuals(), 40), 0.0, 0.0):
        _check_score(detector.score(residual))
        detector.learn(residual)
    _check_score(detector.score(1e6))


def constant_residuals_are_survived(new: New) -> None:
    """A series that never changes leaves no spread to divide by."""
    for constant in (0.0, 1.0, -0.1):
        detector = new()
        for _ in range(100):
            detector.learn(constant)
        for residual in (constant, constant + 1.0, constant - 1e-9):
            _check_score(detector.score(residual))


def what_is_usual_scores_below_what_is_not(new: New) -> None:
    """Ten times the usual range, either way, is more unusual than anything usual."""
    detector = taught(new, 500)
    usual = max(detector.score(x)[0] for x in (-3.0, -1.0, 0.0, 1.0, 3.0))
    _hold(min(detector.score(x)[0] for x in (-30.0, 30.0)) > usual, "what was never seen is not unusual")


def wild_residuals_are_survived(new: New) -> None:
    """Any residual in range may come, in any order; what is said stays three finite numbers, and goes on being said."""
    for wild in WILD:
        detector = taught(new, 20)
        _check_score(detector.score(wild))
        detector.learn(wild)
        _check_score(detector.score(wild))
        for residual in islice(residuals(), 20):
            detector.learn(residual)
            _check_score(detector.score(residual))
    detector = new()
    for wild in WILD:
        _check_score(detector.score(wild))
        detector.learn(wild)
    _check_score(detector.score(0.0))


def rows_are_lossless(new: New) -> None:
    """A detector that is saved and restored in the middle of a stream goes on to the digit."""
    for count in (0, 1, 2, 49):
        whole, parted = taught(new, count), taught(new, count)
        for residual in islice(residuals(3), 40):
            row = parted.row()
            _hold(len(row) <= ROW, f"a row of {len(row)} numbers; at most {ROW} are kept")
            parted = new()
            parted.restore(_padded(row))
            _hold(digits(*parted.score(residual)) == digits(*whole.score(residual)), "restoring changes the score")
            parted.learn(residual)
            whole.learn(residual)
        _hold(digits(*parted.row()) == digits(*whole.row()), "restoring changes the state")


def rows_replace_what_was(new: New) -> None:
    """What is restored does not depend on what the detector knew before."""
    padded = _padded(taught(new, 30).row())
    fresh, used = new(), taught(new, 70, seed=9)
    fresh.restore(padded)
    used.restore(padded)
    _hold(digits(*fresh.row()) == digits(*used.row()), "restoring keeps some of the old state")
    _hold(digits(*fresh.score(2.0)) == digits(*used.score(2.0)), "restoring keeps some of the old state")


def it_is_deterministic(new: New) -> None:
    """Two detectors that see the same say the same, and know nothing of each other."""
    first, second = taught(new, 60), taught(new, 60)
    taught(new, 60, seed=5)
    _hold(digits(*first.row()) == digits(*second.row()), "the same residuals lead to another state")
    _hold(digits(*first.score(1.5)) == digits(*second.score(1.5)), "the same residuals lead to another score")


def it_says_what_it_is(new: New) -> None:
    """Its documentation says what it scores."""
    text: Any = new().__doc__
    _hold(bool(text), "it has no docstring")
    _hold("score" in text, "its docstring does not say what the score is")


CHECKS: tuple[Callable[[New], None], ...] = (
    score_changes_nothing,
    scores_are_three_finite_numbers,
    constant_residuals_are_survived,
    what_is_usual_scores_below_what_is_not,
    wild_residuals_are_survived,
    rows_are_lossless,
    rows_replace_what_was,
    it_is_deterministic,
    it_says_what_it_is,
)


def check_all(new: New) -> None:
    """Run every check. Raises ``AssertionError`` at the first that does not hold."""
    for check in CHECKS:
        check(new)


def _check_score(said: tuple[float, float, float]) -> None:
    score, centre, scale = said
    _hold(math.isfinite(score), f"score {score}")
    _hold(math.isfinite(centre), f"centre {centre}")
    _hold(math.isfinite(scale), f"scale {scale}")
    _hold(score >= 0, f"score {score} is below 0")
    _hold(scale >= 0, f"scale {scale} is below 0")


def _padded(row: tuple[float, ...]) -> tuple[float, ...]:
    """Return a row as the states keep it."""
    return tuple(float(number) for number in (*row, *[0.0] * (ROW - len(row))))


def _hold(it_does: bool, otherwise: str) -> None:  # noqa: FBT001
    """Raise ``AssertionError``, also where Python leaves out ``assert``."""
    if not it_does:
        raise AssertionError(otherwise)
