"""Every detector keeps the contract; and each check of it catches a bank that does not."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from river import anomaly
from river.neighbors import LazySearch

from detectors.bank import Bank
from detectors.conformance import (
    CHECKS,
    a_constant_is_no_news,
    a_spike_is_found,
    a_step_is_found,
    an_outage_is_recovered_from,
    bytes_are_lossless,
    gaps_are_no_news,
    it_is_deterministic,
    it_learns_anew_when_told_so,
    rare_reports_are_no_news,
    scale_and_offset_do_not_matter,
    scores_are_scores,
    series_do_not_meet,
    state_is_bounded,
    the_clocks_may_change,
    warming_up_is_said,
    what_is_no_observation_is_refused,
    what_is_not_to_be_learned_is_not,
)
from detectors.detectors import DETECTORS, new_bank
from detectors.judge_bank import JudgeBank
from detectors.judge_layout import SAID
from detectors.profiled import ProfiledBank
from detectors.river_detector import NAMES, PREFIX, RiverDetector
from gridbeacon.frame import F8, I8, U1


def local_outlier_factor() -> Bank:
    """Five neighbours among fifty values instead of ten among a thousand, which no parameter can say."""
    searched = LazySearch(window_size=50)
    return ProfiledBank(lambda: RiverDetector(lambda: anomaly.LocalOutlierFactor(n_neighbors=5, engine=searched)))


#: Smaller ones than river's defaults, so that the checks take seconds.
SMALL: dict[str, Callable[[], Bank]] = {
    PREFIX + "HalfSpaceTrees": lambda: new_bank(
        PREFIX + "HalfSpaceTrees", {"n_trees": 5, "height": 6, "window_size": 100}
    ),
    PREFIX + "LODA": lambda: new_bank(PREFIX + "LODA", {"n_random_cuts": 20}),
    PREFIX + "LocalOutlierFactor": local_outlier_factor,
}
ALL = [*DETECTORS, *(PREFIX + name for name in NAMES)]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_detector_keeps_to_it(check: Callable[[Callable[[], Bank]], None], name: str) -> None:
    check(SMALL.get(name, lambda: new_bank(name, {})))


class Sound(JudgeBank):
    """A sound bank, for others to break."""

    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        return self.change(super().judge(at, x, time_ms, self.clock(time_ms, civil_ms), self.learns(learn)), x)

    def change(self, said: Any, x: F8) -> Any:
        return said

    def clock(self, time_ms: I8, civil_ms: I8) -> I8:
        return civil_ms

    def learns(self, learn: U1) -> U1:
        return learn


class DependsOnLuck(Sound):
    count = 0

    def change(self, said: Any, x: F8) -> Any:
        DependsOnLuck.count += 1
        said["severity"] += DependsOnLuck.count * 1e-9
        return said


class SavesSixDigits(Sound):
    def restore(self, number: int, value: bytes) -> None:
        super().restore(number, value)
        self.rows["level"][number] = np.float32(self.rows["level"][number])


class KeepsWhatStoodThere(Sound):
    def restore(self, number: int, value: bytes) -> None:
        if not self.rows["count"][number]:
            super().restore(number, value)


class MixesSeries(Sound):
    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        said = super().judge(at, x, time_ms, civil_ms, learn)
        said["severity"] += 1e-9 * float(np.abs(x).max())
        return said


class HasALongMemory(Sound):
    def __init__(self) -> None:
        super().__init__()
        self._seen = b""

    def change(self, said: Any, x: F8) -> Any:
        self._seen += x.tobytes()
        return said

    def pack(self, numbers: I8) -> Iterator[bytes]:
        for value in super().pack(numbers):
            yield value + self._seen


class LearnsAnyway(Sound):
    def learns(self, learn: U1) -> U1:
        return np.ones_like(learn)


class TakesAnything(Sound):
    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        try:
            return super().judge(at, x, time_ms, civil_ms, learn)
        except ValueError:
            return np.zeros(len(x), SAID)


class RefusesTooLate(Sound):
    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        self.rows["value"][at[0]] += 1.0
        return super().judge(at, x, time_ms, civil_ms, learn)


class SaysNaN(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["signal"][x > 1e3] = np.nan
        return said


class SaysLessThanNothing(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["severity"] -= 1.0
        return said


class KnowsItAll(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["young"], said["confidence"] = 0, 1
        return said


class NeverWarm(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["young"] = 1
        return said


class Nervous(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["signal"] += 1.5
        return said


class Deaf(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["signal"] = 0
        return said


class KnowsOneUnit(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["severity"] = np.abs(x - said["expected"])
        return said


class CallsTheTimeZone(Sound):
    def clock(self, time_ms: I8, civil_ms: I8) -> I8:
        return time_ms


class FearsSilence(Sound):
    def __init__(self) -> None:
        super().__init__()
        self._last = 0

    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        said = super().judge(at, x, time_ms, civil_ms, learn)
        waits = np.diff(time_ms, prepend=time_ms[0])
        said["signal"][waits > 3_600_000] = 2.0
        return said


class CountsAreNews(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["signal"][x > 0] = 1.2
        return said


class ForgetsNothing(Sound):
    def relearn(self, number: int) -> None:
        pass


class DeafAfterZeros(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["signal"][np.cumsum(x == 0) > 0] = 0
        return said


class SulksAfterZeros(Sound):
    def change(self, said: Any, x: F8) -> Any:
        said["signal"][(np.cumsum(x == 0) > 0) & (x != 0)] += 1.0
        return said


@pytest.mark.parametrize(
    ("check", "broken", "words"),
    [
        (it_learns_anew_when_told_so, ForgetsNothing, "told to forget"),
        (an_outage_is_recovered_from, DeafAfterZeros, "finds nothing"),
        (an_outage_is_recovered_from, SulksAfterZeros, "after an outage"),
        (it_is_deterministic, DependsOnLuck, "two runs differ"),
        (bytes_are_lossless, SavesSixDigits, "not what was saved|something else"),
        (bytes_are_lossless, KeepsWhatStoodThere, "not what was saved"),
        (series_do_not_meet, MixesSeries, "another series"),
        (state_is_bounded, HasALongMemory, "grows"),
        (what_is_not_to_be_learned_is_not, LearnsAnyway, "changes what is expected"),
        (what_is_no_observation_is_refused, TakesAnything, "it takes nan"),
        (what_is_no_observation_is_refused, RefusesTooLate, "changes its state"),
        (scores_are_scores, SaysNaN, "signal is not finite"),
        (scores_are_scores, SaysLessThanNothing, "severity is negative"),
        (warming_up_is_said, KnowsItAll, "claims to know"),
        (warming_up_is_said, NeverWarm, "never gets warm"),
        (a_constant_is_no_news, Nervous, "is news"),
        (a_spike_is_found, Deaf, "its signal is 0"),
        (a_spike_is_found, CountsAreNews, "something else"),
        (a_step_is_found, Deaf, "no finding"),
        (scale_and_offset_do_not_matter, KnowsOneUnit, "depends on units"),
        (gaps_are_no_news, FearsSilence, "days are missing"),
        (the_clocks_may_change, CallsTheTimeZone, "when the clocks change"),
        (rare_reports_are_no_news, CountsAreNews, "findings in two weeks"),
    ],
)
def test_each_check_catches_a_broken_bank(
    check: Callable[[Callable[[], Bank]], None], broken: type[Sound], words: str
) -> None:
    with pytest.raises(AssertionError, match=words):
        check(broken)


def test_every_check_is_tried_on_a_broken_bank() -> None:
    (mark,) = test_each_check_catches_a_broken_bank.pytestmark  # type: ignore[attr-defined]
    assert {check for check, *_ in mark.args[1]} == set(CHECKS)


class MeanDistance:
    """score = |z|: a detector of four methods."""

    def score(self, z: float) -> float:
        return abs(z)

    def learn(self, z: float) -> None:
        pass

    def state(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        assert state == b""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_bank_of_single_detectors_keeps_to_it(check: Callable[[Callable[[], Bank]], None]) -> None:
    check(lambda: ProfiledBank(MeanDistance))
