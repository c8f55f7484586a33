"""Every detector passes every check; and every check finds the detector that is broken in its way."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from detectors import DETECTORS
from detectors.conformance import (
    CHECKS,
    check_all,
    constant_residuals_are_survived,
    it_is_deterministic,
    it_says_what_it_is,
    rows_are_lossless,
    rows_replace_what_was,
    score_changes_nothing,
    scores_are_three_finite_numbers,
    what_is_usual_scores_below_what_is_not,
    wild_residuals_are_survived,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_keeps_to_it(name: str, check: Callable[..., None]) -> None:
    check(DETECTORS[name])


class Sound:
    """score = |y| over the mean |y| so far: a sound detector, for others to break."""

    def __init__(self) -> None:
        self.n = 0.0
        self.mean = 1.0

    def score(self, residual: float) -> tuple[float, float, float]:
        return min(abs(residual) / max(self.mean, 1e-6), 1e300), 0.0, self.mean

    def learn(self, residual: float) -> None:
        self.n += 1.0
        self.mean += (min(abs(residual), 1e100) - self.mean) / self.n

    def row(self) -> tuple[float, ...]:
        return self.n, self.mean

    def restore(self, row: tuple[float, ...]) -> None:
        self.n, self.mean = row[:2]


class ScoreLearns(Sound):
    """score also learns."""

    def score(self, residual: float) -> tuple[float, float, float]:
        said = super().score(residual)
        self.learn(residual)
        return said


class Negative(Sound):
    """score has a sign."""

    def score(self, residual: float) -> tuple[float, float, float]:
        return residual, 0.0, 1.0


class Unsure(Sound):
    """score is NaN until something was learned."""

    def score(self, residual: float) -> tuple[float, float, float]:
        return super().score(residual) if self.n else (math.nan, 0.0, 1.0)


class Divides(Sound):
    """score divides by what may be nothing."""

    def score(self, residual: float) -> tuple[float, float, float]:
        return (abs(residual) / self.mean if self.mean else math.inf), 0.0, self.mean


class Saturated(Sound):
    """score is one for everything."""

    def score(self, residual: float) -> tuple[float, float, float]:
        return 1.0, 0.0, 1.0


class Explodes(Sound):
    """score overflows."""

    def learn(self, residual: float) -> None:
        self.n += 1.0
        self.mean += (abs(residual) * 1e300 - self.mean) / self.n


class Forgetful(Sound):
    """score starts anew after a restore."""

    def restore(self, row: tuple[float, ...]) -> None:
        self.n = row[0]


class Rounds(Sound):
    """score is saved with six digits."""

    def row(self) -> tuple[float, ...]:
        return self.n, round(self.mean, 6)


class Long(Sound):
    """score has a long history."""

    def row(self) -> tuple[float, ...]:
        return self.n, self.mean, 0.0, 0.0, 0.0


class Keeps(Sound):
    """score keeps its count when it should take another's."""

    def restore(self, row: tuple[float, ...]) -> None:
        self.n, self.mean = max(self.n, row[0]), row[1]


class Counted(Sound):
    """score depends on how many detectors there are."""

    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.n = float(next(self.numbers))


class Silent(Sound):
    """Something or other."""


class Nameless(Sound):
    __doc__ = None


BROKEN = [
    (score_changes_nothing, ScoreLearns, "score changes the state|not said twice"),
    (scores_are_three_finite_numbers, Negative, "below 0"),
    (scores_are_three_finite_numbers, Unsure, "score nan"),
    (constant_residuals_are_survived, Divides, "score inf"),
    (what_is_usual_scores_below_what_is_not, Saturated, "not unusual"),
    (wild_residuals_are_survived, Explodes, "scale inf"),
    (rows_are_lossless, Forgetful, "restoring changes the score"),
    (rows_are_lossless, Rounds, "restoring changes the score"),
    (rows_are_lossless, Long, "a row of 5 numbers"),
    (rows_replace_what_was, Keeps, "some of the old state"),
    (it_is_deterministic, Counted, "another state"),
    (it_says_what_it_is, Silent, "what the score is"),
    (it_says_what_it_is, Nameless, "no docstring"),
]


@pytest.mark.parametrize(("check", "broken", "message"), BROKEN, ids=lambda one: getattr(one, "__name__", None))
def test_a_check_finds_what_is_broken(check: Any, broken: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check(broken)
    with pytest.raises(AssertionError):
        check_all(broken)


def test_a_sound_detector_passes_all_checks_and_each_check_has_a_broken_one() -> None:
    check_all(Sound)
    assert {check for check, *_ in BROKEN} == set(CHECKS)
