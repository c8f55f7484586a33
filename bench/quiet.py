"""False findings on quiet series, against the bursts that are found: what no labelled benchmark shows.

    python -m bench.quiet [--seeds 8] [--quick]

Ten families of made series, five-minute intervals, 60 days, each alone. After day 21 every finding is false; a copy of
each series has ten bursts of two hours at three times its values. One threshold on `signal` for all families: the one
that leaves 0.02 false findings a series and week.
"""

import argparse
from collections.abc import Callable

import numpy as np

from bench.judged import judged
from gridbeacon.frame import F8

DAYS, PER_DAY, FIRST_DAY = 60, 288, 21
BURST, LATE = 24, 27
TARGET = 0.02
BEGIN_MS = 1_700_006_400_000
Made = Callable[[np.random.Generator, F8], F8]


def correlated(random: np.random.Generator, n: int, rho: float) -> F8:
    """Return a first-order autoregression of unit variance."""
    noise = random.normal(size=n) * np.sqrt(1 - rho**2)
    y = np.empty(n)
    y[0] = random.normal()
    for i in range(1, n):
        y[i] = rho * y[i - 1] + noise[i]
    return y


DAILY = 100 + 60 * np.sin(2 * np.pi * np.arange(DAYS * PER_DAY) / PER_DAY)
FAMILIES: dict[str, Made] = {
    "Gaussian 100 ± 10": lambda r, b: 100 * b + 10 * r.normal(size=len(b)),
    "Gaussian around a daily curve": lambda r, b: DAILY * b + 10 * r.normal(size=len(b)),
    "Student t3": lambda r, b: 100 * b + 10 * r.standard_t(3, size=len(b)),
    "AR(1) 0.98": lambda r, b: (100 + 10 * correlated(r, len(b), 0.98)) * b,
    "Poisson 1": lambda r, b: r.poisson(1 * b).astype(float),
    "Poisson 10": lambda r, b: r.poisson(10 * b).astype(float),
    "Poisson 100": lambda r, b: r.poisson(100 * b).astype(float),
    "negative binomial 5": lambda r, b: r.poisson(r.gamma(5, b)).astype(float),
    "negative binomial 50": lambda r, b: r.poisson(r.gamma(5, 10 * b)).astype(float),
    "lognormal, σ = 1": lambda r, b: 10 * np.exp(r.normal(size=len(b))) * b,
}


def findings(made: Made, seed: int) -> tuple[F8, F8]:
    """Return (false findings of a quiet series, the largest signal of each burst in another)."""
    n, begin = DAYS * PER_DAY, FIRST_DAY * PER_DAY
    time_ms = BEGIN_MS + 300_000 * np.arange(n)
    quiet = judged(time_ms, made(np.random.default_rng([seed, 0]), np.ones(n)))["signal"][begin:]
    random = np.random.default_rng([seed, 1])
    starts = [day * PER_DAY + int(random.integers(PER_DAY)) for day in range(FIRST_DAY + 1, DAYS - 1, 4)]
    times = np.ones(n)
    for start in starts:
        times[start : start + BURST] = 3.0
    burst = judged(time_ms, made(random, times))["signal"]
    return quiet[quiet > 0], np.array([burst[start : start + LATE].max() for start in starts])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.quiet", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="series of each family")
    parser.add_argument("--quick", action="store_true", help="two series of each family")
    options = parser.parse_args()
    seeds = range(2 if options.quick else options.seeds)
    seen = {name: [findings(made, seed) for seed in seeds] for name, made in FAMILIES.items()}
    weeks = (DAYS - FIRST_DAY) / 7 * len(seeds)
    false = np.sort(np.concatenate([quiet for pairs in seen.values() for quiet, _ in pairs]))[::-1]
    allowed = int(TARGET * weeks * len(FAMILIES))
    threshold = false[allowed] if allowed < len(false) else 0.0
    print(f"threshold {threshold:.3f}, {weeks * len(FAMILIES):.0f} series-weeks\n")
    print("| family | false findings a series and week | recall of bursts |\n| --- | --- | --- |")
    for name, pairs in seen.items():
        wrong = sum(int((quiet > threshold).sum()) for quiet, _ in pairs) / weeks
        print(f"| {name} | {wrong:.3f} | {np.mean([(peaks > threshold).mean() for _, peaks in pairs]):.2f} |")
    wrong = sum(int((quiet > threshold).sum()) for pairs in seen.values() for quiet, _ in pairs)
    recall = np.mean([(peaks > threshold).mean() for pairs in seen.values() for _, peaks in pairs])
    print(f"| all | {wrong / weeks / len(FAMILIES):.3f} | {recall:.3f} |")


if __name__ == "__main__":
    main()
