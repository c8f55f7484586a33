"""The Numenta Anomaly Benchmark: the 35 files at hand, by its own rule, one threshold and one set of constants for all.

    python -m bench.nab [--draws 8] [--quick]

Each score at its own best threshold: standard, low FP, low FN. Beside it the published detectors' results on the
traffic and taxi files, and the mean over perturbations of all constants.
"""

import argparse
import csv
import json
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from bench.judged import data, judged, perturbed, read, stamps
from gridbeacon.frame import F8, I8

PROFILES = {"standard": (0.11, 1.0), "low FP": (0.22, 1.0), "low FN": (0.11, 2.0)}
UNSCORED, OUTSIDE = -2, -1
FIRST_SHARE, FIRST_ROWS = 0.15, 750
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class File:
    """One file: ``window`` numbers each row's labelled window; ``credit`` is what a detection there earns."""

    name: str
    time_ms: I8
    x: F8
    window: I8
    credit: F8
    windows: int


def sigmoid(y: Any) -> Any:
    """Return NAB's credit at a place relative to a window: 1 long before its end, -1 long after."""
    return 2 / (1 + np.exp(5 * y)) - 1


def load() -> list[File]:
    """Return the files with their labels; windows are numbered over all files."""
    folder = data("nab")
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    files: list[File] = []
    number = 0
    for path in sorted((folder / "data").glob("*/*.csv")):
        name = f"{path.parent.name}/{path.name}"
        time_ms, x = read(path, "timestamp", "value")
        n = len(x)
        window, credit = np.full(n, OUTSIDE), np.full(n, -1.0)
        limits = [stamps(pair) for pair in labels[name]]
        spans = [(np.searchsorted(time_ms, a), np.searchsorted(time_ms, b, "right") - 1) for a, b in limits]
        for (left, right), (after, _) in zip(spans, [*spans[1:], (n, n)], strict=False):
            width = right - left + 1
            inside, behind = np.arange(left, right + 1), np.arange(right + 1, after)
            window[inside] = number
            number += 1
            credit[inside] = sigmoid(-(right - inside + 1) / width) / sigmoid(-1.0)
            place = (behind - right) / max(width - 1, 1)
            credit[behind] = np.where(place > 3, -1.0, sigmoid(place))
        window[: min(int(FIRST_SHARE * n), FIRST_ROWS)] = UNSCORED
        files.append(File(name, time_ms, x, window, credit, len(spans)))
    return files


@numba.njit(cache=True)
def sweep(
    order: I8, score: F8, window: I8, credit: F8, windows: int, false: float, missed: float
) -> tuple[float, float]:
    """Return (best sum of credits, its threshold), lowering the threshold through all scores."""
    first = np.full(windows, len(score))
    total = best = -missed * windows
    threshold = np.inf
    i = 0
    while i < len(order):
        level = score[order[i]]
        while i < len(order) and score[order[i]] == level:
            row = order[i]
            w = window[row]
            if w < 0:
                total += false * credit[row]
            elif row < first[w]:
                total += credit[row] - (credit[first[w]] if first[w] < len(score) else -missed)
                first[w] = row
            i += 1
        if total > best:
            best, threshold = total, level
    return best, threshold


def grade(files: list[File], scores: list[F8], profile: str) -> tuple[float, float]:
    """Return (score of the corpus out of 100, threshold) at the best threshold."""
    false, missed = PROFILES[profile]
    score, window = np.concatenate(scores), np.concatenate([file.window for file in files])
    rows = np.flatnonzero((window != UNSCORED) & (score > 0))
    order = rows[np.argsort(-score[rows], kind="stable")]
    numbers = np.unique(window[window >= 0])
    window = np.where(window >= 0, np.searchsorted(numbers, window), window)
    windows = len(numbers)
    credit = np.concatenate([file.credit for file in files])
    best, threshold = sweep(order, score, window, credit, windows, false, missed)
    return 100 * (best + missed * windows) / ((1 + missed) * windows), threshold


def events(files: list[File], scores: list[F8], weekly: float) -> tuple[int, float]:
    """Return (windows found, false alarms a series and week) at the one threshold that finds the most and keeps to it.

    What is said within a day of what was said before, outside of the windows, is one alarm.
    """
    weeks = sum((file.time_ms[-1] - file.time_ms[0]) / 604_800_000 for file in files)
    best = (0, 0.0)
    for threshold in np.unique(np.concatenate([score[score > 0] for score in scores]))[::-1]:
        found = alarms = 0
        for file, score in zip(files, scores, strict=True):
            said = score >= threshold
            found += len(np.unique(file.window[said & (file.window >= 0)]))
            at = file.time_ms[said & (file.window == OUTSIDE)]
            alarms += int((np.diff(at, prepend=-DAY_MS) >= DAY_MS).sum())
        if alarms / weeks > weekly:
            break
        if found > best[0]:
            best = found, alarms / weeks
    return best


def scores_of(said: list[Any], name: str) -> list[F8]:
    """Return one column of what was said of each file."""
    return [np.ascontiguousarray(one[name]) for one in said]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.nab", description=__doc__)
    parser.add_argument("--draws", type=int, default=8, help="perturbations of the constants")
    parser.add_argument("--quick", action="store_true", help="two perturbations")
    options = parser.parse_args()
    files = load()
    said = [judged(file.time_ms, file.x) for file in files]
    print(f"{len(files)} files, {sum(file.windows for file in files)} windows, {sum(len(f.x) for f in files)} rows\n")
    print("| score | " + " | ".join(PROFILES) + " | threshold |\n| --- | --- | --- | --- | --- |")
    for name in ("alarm", "signal"):
        graded = [grade(files, scores_of(said, name), profile) for profile in PROFILES]
        print(f"| `{name}` | " + " | ".join(f"{g:.1f}" for g, _ in graded) + f" | {graded[0][1]:.2f} |")
    draws: dict[str, list[float]] = {"alarm": [], "signal": []}
    for chosen in perturbed(2 if options.quick else options.draws):
        other = [judged(file.time_ms, file.x, chosen) for file in files]
        for name, seen in draws.items():
            seen.append(grade(files, scores_of(other, name), "standard")[0])
    for name, seen in draws.items():
        spread: npt.NDArray[np.float64] = np.array(seen)
        print(f"{name}, {len(seen)} perturbations: mean {spread.mean():.1f}, {spread.min():.1f} to {spread.max():.1f}")
    print("\nOn traffic and taxi files, standard, one threshold for them:")
    taxi = [i for i, file in enumerate(files) if "nyc_taxi" in file.name]
    traffic = [i for i, file in enumerate(files) if file.name.startswith("realTraffic")]
    for name in ("alarm", "signal"):
        some = [files[i] for i in taxi + traffic]
        print(f"  ours, {name}: {grade(some, [scores_of(said, name)[i] for i in taxi + traffic], 'standard')[0]:.1f}")
    with (data("nab") / "subset_scores_from_stored_results.csv").open(encoding="utf-8") as lines:
        published = [row for row in csv.DictReader(lines) if row["profile"] == "standard" and row["traffic+taxi"]]
    for row in sorted(published, key=lambda row: -float(row["traffic+taxi"])):
        print(f"  {row['det']}: {float(row['traffic+taxi']):.1f}")
    print("\nLabelled events found at so few false alarms a series and week, one threshold each:")
    for title, numbers in (("nyc_taxi", taxi), ("realTraffic", traffic)):
        some, total = [files[i] for i in numbers], sum(files[i].windows for i in numbers)
        for name in ("alarm", "signal"):
            for weekly in (0.1, 0.5):
                found, seen_weekly = events(some, [scores_of(said, name)[i] for i in numbers], weekly)
                print(f"  {title}, {name}: {found} of {total} at {seen_weekly:.2f} (≤ {weekly})")


if __name__ == "__main__":
    main()
