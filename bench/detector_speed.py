"""What one observation costs: the default detector, its plain form, and river's detectors.

    python -m bench.detector_speed [--series 10000] [--quick]

Frames of 250 observations over many series, a day of five-minute counts behind each series already. All three outputs.
river's detectors see one number an observation (half-space trees a feature of it in [0, 1]), series by series.
"""

import argparse
import pickle
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from river import anomaly

from detectors.judge_kernel import judge_series
from detectors.judge_layout import JUDGE, SAID, blank_judges, constants
from detectors.reference import Reference

FRAME = 250
BEGIN_MS = 1_700_006_400_000
WARM = 288
RIVERS: dict[str, Callable[[], Any]] = {
    "river StandardAbsoluteDeviation": anomaly.StandardAbsoluteDeviation,
    "river GaussianScorer": anomaly.GaussianScorer,
    "river HalfSpaceTrees": lambda: anomaly.HalfSpaceTrees(n_trees=25, height=8, seed=1),
}


def compiled(series: int, rounds: int) -> float:
    """Return ns an observation of the compiled form."""
    random = np.random.default_rng(1)
    rows, chosen = blank_judges(series), constants()
    at = np.arange(series)
    learn = np.ones(series, np.uint8)
    spent = 0.0
    for turn in range(WARM + rounds):
        x = random.poisson(20, series).astype(float)
        time_ms = np.full(series, BEGIN_MS + turn * 300_000)
        said = np.zeros(series, SAID)
        began = time.perf_counter()
        for begin in range(0, series, FRAME):
            part = slice(begin, begin + FRAME)
            judge_series(rows, at[part], x[part], time_ms[part], time_ms[part], learn[part], chosen, said[part])
        if turn >= WARM:
            spent += time.perf_counter() - began
    return spent / rounds / series * 1e9


def plain(count: int) -> float:
    """Return ns an observation of the plain form."""
    detector, random = Reference(), np.random.default_rng(1)
    values = random.poisson(20, WARM + count).astype(float).tolist()
    for turn, x in enumerate(values):
        if turn == WARM:
            began = time.perf_counter()
        at = BEGIN_MS + turn * 300_000
        detector.observe(x, time_ms=at, civil_ms=at)
    return (time.perf_counter() - began) / count * 1e9


def river(new: Callable[[], Any], name: str, count: int) -> tuple[float, int]:
    """Return (ns an observation, bytes a series) of one of river's detectors."""
    detector, random = new(), np.random.default_rng(1)
    values = random.poisson(20, WARM + count).astype(float).tolist()
    trees = "Trees" in name
    for turn, x in enumerate(values):
        if turn == WARM:
            began = time.perf_counter()
        if trees:
            features = {"x": min(x / 50, 1.0)}
            detector.score_one(features)
            detector.learn_one(features)
        else:
            detector.score_one(None, x)
            detector.learn_one(None, x)
    return (time.perf_counter() - began) / count * 1e9, len(pickle.dumps(detector))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.detector_speed", description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="1,000 series, few observations")
    options = parser.parse_args()
    series = 1_000 if options.quick else options.series
    count = 500 if options.quick else 5_000
    ours = compiled(series, 10 if options.quick else 50)
    lines = [(f"ours, frames of {FRAME} over {series:,} series", ours, JUDGE.itemsize)]
    lines.append(("ours, plain Python", plain(count), JUDGE.itemsize))
    for name, new in RIVERS.items():
        lines.append((name, *river(new, name, count)))
    print("| detector | ns an observation | ratio to ours | bytes a series |\n| --- | --- | --- | --- |")
    for name, ns, size in lines:
        print(f"| {name} | {ns:,.0f} | {ns / ours:,.1f} | {size:,} |")


if __name__ == "__main__":
    main()
