"""The default detector: the compiled form says what the plain one says, and what both say is sane."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.civil import CivilHours
from detectors.judge_kernel import judge_series
from detectors.judge_layout import CONSTANTS, JUDGE, SAID, STATISTICS, blank_judges, constants
from detectors.reference import Reference
from gridbeacon.frame import F8, I8

BEGIN_MS = 1_672_531_200_000
FIELDS = ("alarm", "severity", "signal", "expected", "spread", "direction", "confidence", "shifted")


def judged(x: F8, time_ms: I8, learn: Any = None, rows: Any = None) -> Any:
    """Return what the compiled form says of one series."""
    rows = blank_judges(1) if rows is None else rows
    said = np.zeros(len(x), SAID)
    learn = np.ones(len(x), np.uint8) if learn is None else learn
    judge_series(rows, np.zeros(len(x), np.int64), x, time_ms, time_ms, learn, constants(), said)
    return said


def made(kind: str, seed: int, n: int) -> F8:
    """Return made values of one kind, a burst among them."""
    random = np.random.default_rng(seed)
    daily = 1.2 + np.sin(np.arange(n) / 288 * 2 * np.pi)
    x = {
        "random": lambda: random.normal(100, 10, n),
        "constant": lambda: np.full(n, 7.0),
        "huge": lambda: random.normal(0, 1e9, n),
        "tiny": lambda: random.normal(1e-9, 1e-10, n),
        "zero_inflated": lambda: random.poisson(0.05 * daily, n).astype(float),
        "counts": lambda: random.poisson(20 * daily).astype(float),
        "heavy": lambda: random.standard_t(2, n) * 3,
    }[kind]()
    x[n // 2 : n // 2 + 24] *= 3
    return np.ascontiguousarray(x)


def times(kind: str, seed: int, n: int) -> I8:
    """Return times: every five minutes, or with gaps."""
    step = np.full(n, 300_000)
    if kind == "gaps":
        random = np.random.default_rng(seed)
        step = random.choice([10_000, 300_000, 300_000, 600_000, 86_400_000], n, p=[0.1, 0.5, 0.3, 0.09, 0.01])
    return BEGIN_MS + np.cumsum(step)


@pytest.mark.parametrize("pace", ["even", "gaps"])
@pytest.mark.parametrize("kind", ["random", "constant", "huge", "tiny", "zero_inflated", "counts", "heavy"])
def test_both_forms_say_the_same(kind: str, pace: str) -> None:
    x, time_ms = made(kind, 5, 3000), times(pace, 6, 3000)
    learn = (np.random.default_rng(7).random(3000) > 0.02).astype(np.uint8)
    compiled = judged(x, time_ms, learn)
    plain = Reference()
    for i in range(len(x)):
        said = plain.observe(x[i], time_ms=int(time_ms[i]), civil_ms=int(time_ms[i]), learn=bool(learn[i]))
        for name in FIELDS:
            got, want = float(compiled[name][i]), float(getattr(said, name))
            assert got == pytest.approx(want, rel=1e-9, abs=1e-12), f"{name} of observation {i}"
        assert STATISTICS[compiled["statistic"][i]] == said.statistic, f"statistic of observation {i}"
    if kind in ("random", "counts"):
        burst = compiled["signal"][1500:1524]
        assert burst.max() > 1, "the burst was not found: the comparison says nothing about findings"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, 1e9, -1e9, 5e-324]), st.integers(0, 10**8)),
        min_size=1,
        max_size=120,
    )
)
def test_whatever_comes_what_is_said_is_finite(steps: list[tuple[float, int]]) -> None:
    """Any finite values at any times that do not fall: every score is finite and not below 0, and so is the state."""
    x = np.array([value for value, _ in steps])
    rows = blank_judges(1)
    said = judged(x, BEGIN_MS + np.cumsum([gap for _, gap in steps]), rows=rows)
    for name in SAID.names or ():
        assert np.isfinite(said[name]).all(), name
    for name in ("alarm", "severity", "signal", "spread"):
        assert (said[name] >= 0).all(), name
    for name in JUDGE.names or ():
        assert np.isfinite(rows[name].astype(float)).all(), name


def test_it_does_not_matter_how_a_stream_is_cut() -> None:
    x, time_ms = made("counts", 1, 2000), times("gaps", 2, 2000)
    rows, parted = blank_judges(1), blank_judges(1)
    whole = judged(x, time_ms, rows=rows)
    parts = []
    for begin in range(0, 2000, 61):
        piece = slice(begin, begin + 61)
        parts.append(judged(x[piece], time_ms[piece], rows=parted))
        parted = np.frombuffer(parted.tobytes(), JUDGE).copy()
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert parted.tobytes() == rows.tobytes()


def test_a_row_is_small() -> None:
    assert JUDGE.itemsize <= 4096


def test_every_constant_says_what_it_is() -> None:
    assert all(text for _, text in CONSTANTS.values())
    with pytest.raises(ValueError, match="no constant 'clipp'"):
        constants(clipp=1.0)


def weeks_of(level: Any, days: int, seed: int = 3) -> tuple[I8, F8]:
    """Return five-minute Gaussian values around a level (a function of the day, as a float array)."""
    n = days * 288
    day = np.arange(n) / 288
    random = np.random.default_rng(seed)
    return BEGIN_MS + 300_000 * np.arange(n), np.ascontiguousarray(level(day) + 10 * random.normal(size=n))


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_what_lasts_becomes_the_new_normal_in_about_three_days_and_says_so(factor: float) -> None:
    time_ms, x = weeks_of(lambda day: np.where(day >= 40, 100 * factor, 100.0), 50)
    said = judged(x, time_ms)
    by_day = said["severity"].reshape(50, 288).mean(axis=1)
    assert said["signal"][40 * 288 : 40 * 288 + 24].max() > 1, "the change is not said when it comes"
    assert by_day[40] > 3
    assert by_day[43:].max() < 1, "after three days it is still unusual"
    shifted = said["shifted"].reshape(50, 288).any(axis=1)
    assert not shifted[7:40].any()
    assert shifted[41]
    assert not shifted[48:].any()


def test_one_wild_day_does_not_become_normal() -> None:
    time_ms, x = weeks_of(lambda day: np.where((day >= 40) & (day < 40.25), 300.0, 100.0), 44)
    said = judged(x, time_ms)
    assert said["severity"][40 * 288 : 40 * 288 + 72].min(initial=9, where=np.arange(72) > 12) > 2.4
    assert abs(said["expected"][41 * 288 : 41 * 288 + 72] - 100).max() < 40


@pytest.mark.parametrize(("zone", "change"), [("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25")])
def test_profiles_follow_the_clock_of_the_city_when_it_changes(zone: str, change: str) -> None:
    at = np.datetime64(change, "ms").astype(np.int64)
    time_ms = at - 42 * 86_400_000 + 300_000 * np.arange(46 * 288)
    civil_ms = CivilHours(zone).since_monday(time_ms)
    hour = civil_ms / 3_600_000 % 24
    random = np.random.default_rng(5)
    x = random.poisson(np.where((hour > 7) & (hour < 20), 200, 20)).astype(float)
    learn = np.ones(len(x), np.uint8)

    def said(clock_ms: I8) -> Any:
        out = np.zeros(len(x), SAID)
        judge_series(blank_judges(1), np.zeros(len(x), np.int64), x, time_ms, clock_ms, learn, constants(), out)
        return out["signal"][42 * 288 :]

    assert said(civil_ms).max() < 1
    assert said(time_ms + 3 * 86_400_000).max() > 1, "the change would not matter: the test says nothing"
