"""The default detector: the compiled form says what the plain one says, and what both say is sane."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
