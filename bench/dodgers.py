"""The Dodgers loop: how many games' ends are found in counts of a freeway ramp, against the number of alarms.

    python -m bench.dodgers [--draws 8] [--quick]

A game is found by a `signal` from 60 minutes before its end to 90 after it. Signals within 60 minutes of one another
are one alarm. Plain: a Poisson profile, half-hour sums against the mean of this half hour of the week so far.
"""

import argparse

import numpy as np

from bench.judged import data, judged, perturbed, read, stamps
from gridbeacon.frame import F8, I8

AT = (40, 80, 147)
HOUR_MS = 3_600_000


def games() -> I8:
    """Return when the games ended."""
    with (data("dodgers") / "dodgers_games_from_labels.csv").open(encoding="utf-8") as lines:
        next(lines)
        return stamps(line.split(",")[1] for line in lines)


def curve(time_ms: I8, score: F8, ends: I8) -> dict[int, int]:
    """Return the most games found with so many alarms at most."""
    found = dict.fromkeys(AT, 0)
    for threshold in np.unique(score[score > 0])[::-1]:
        at = time_ms[score >= threshold]
        alarms = 1 + int((np.diff(at) > HOUR_MS).sum())
        if alarms > max(AT):
            break
        hits = np.searchsorted(at, ends + 3 * HOUR_MS // 2, "right") > np.searchsorted(at, ends - HOUR_MS)
        for most in AT:
            if alarms <= most:
                found[most] = max(found[most], int(hits.sum()))
    return found


def plain(time_ms: I8, x: F8) -> F8:
    """Return how many Poisson standard deviations the last half hour is above its mean of the week, where it is."""
    half = time_ms // (HOUR_MS // 2)
    sums: dict[int, list[float]] = {}
    score = np.zeros(len(x))
    ends = np.flatnonzero(np.diff(half, append=half[-1] + 1))
    begin = 0
    for end in ends:
        total, slot = float(x[begin : end + 1].sum()) / (end + 1 - begin) * 6, int(half[end] % 336)
        before = sums.setdefault(slot, [])
        if before:
            mean = np.mean(before)
            score[end] = max(0.0, (total - mean) / np.sqrt(mean + 1))
        before.append(total)
        begin = end + 1
    return score


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.dodgers", description=__doc__)
    parser.add_argument("--draws", type=int, default=8, help="perturbations of the constants")
    parser.add_argument("--quick", action="store_true", help="two perturbations")
    options = parser.parse_args()
    time_ms, x = read(data("dodgers") / "dodgers_5min_timestamped.csv", "timestamp", "count")
    time_ms, x = time_ms[x >= 0], x[x >= 0]
    ends = games()
    said = judged(time_ms, x)
    print(f"{len(ends)} games\n\n| games found at | " + " | ".join(f"≤ {n} alarms" for n in AT) + " |")
    print("| --- | " + " | ".join("---" for _ in AT) + " |")
    rows = {name: curve(time_ms, np.ascontiguousarray(said[name]), ends) for name in ("signal", "alarm")}
    rows["plain Poisson profile"] = curve(time_ms, plain(time_ms, x), ends)
    draws = [
        curve(time_ms, np.ascontiguousarray(judged(time_ms, x, chosen)["signal"]), ends)
        for chosen in perturbed(2 if options.quick else options.draws)
    ]
    for name, found in rows.items():
        print(f"| {name} | " + " | ".join(str(found[n]) for n in AT) + " |")
    print(
        f"| signal, mean of {len(draws)} perturbations | "
        + " | ".join(f"{np.mean([d[n] for d in draws]):.1f}" for n in AT)
        + " |"
    )


if __name__ == "__main__":
    main()
