"""Is the solver's result Prophet's? Both on real series, by Prophet's own objective: a table, and a verdict.

    python -m bench.forecast_equal [--series 3]

``above``: how much higher Stan's objective ended than ours (never below 0, but for rounding). ``apart``: the mean
difference of the next day's forecasts as a share of the series' mean. Each series is fitted by Stan twice: with the
tightest tolerances, and as Prophet comes. ``smooth`` are the fits without a bend at 0: there Stan's line search can go
on to the end, and the forecasts must agree.
"""

import argparse
import time
from typing import Any

import numpy as np

from forecasts.model import Growth
from forecasts.solver import Fits, fit
from tests.stan import DATA, SETS, TIGHT, Case, Compared, cases, compare

ROUNDING = 1e-8
AGREE = 1e-6
STOCK: dict[str, Any] = {"sig_figs": 17}


def smooth(fits: Fits, n: int) -> bool:
    return fits.design.model.growth is Growth.FLAT or bool((fits.delta[n] != 0).all())


def compared(case: Case, fits: Fits, n: int, options: dict[str, Any]) -> Compared | None:
    """Return the comparison, None where Stan gave up."""
    try:
        return compare(case, n, fits, options)
    except RuntimeError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=3, help="series of each set, chosen at random")
    chosen = parser.parse_args()
    total, worst, apart, failed = 0, np.inf, 0.0, 0
    head = f"{'':<45}{'fits':>5}{'smooth':>7} | {'above min':>10}{'median':>10}{'max':>10}"
    print(f"{head} | {'apart smooth':>13}{'other':>10} | {'stock: above max':>17}{'apart max':>10}")
    begin = time.perf_counter()
    for folder, load in SETS.items():
        if not (DATA / folder).exists():
            print(f"{folder}: absent in {DATA}, left out")
            continue
        series = load()
        rng = np.random.default_rng(0)
        picked = rng.choice(len(series.values), min(chosen.series, len(series.values)), replace=False)
        print(f"{series.name}: {series.values.shape[1]} slots, series {sorted(picked.tolist())}")
        for case in cases(series):
            fits = fit(case.model, series.times, case.series.values, case.columns)
            tight = {int(n): compared(case, fits, n, TIGHT) for n in picked}
            stock = [found for n in picked if (found := compared(case, fits, n, STOCK))]
            failed += len(picked) - len(stock) + sum(found is None for found in tight.values())
            done = {n: found for n, found in tight.items() if found}
            above = [found.above for found in done.values()]
            level = {True: [0.0], False: [0.0]}
            for n, found in done.items():
                level[smooth(fits, n)].append(found.apart)
            total += len(done) + len(stock)
            worst = min([worst, *above, *(found.above for found in stock)])
            apart = max(apart, *level[True])
            print(
                f"  {case.name:<43}{len(done):>5}{len(level[True]) - 1:>7} | {min(above):>10.1e}"
                f"{np.median(above):>10.1e}{max(above):>10.1e} | {max(level[True]):>13.1e}{max(level[False]):>10.1e} | "
                f"{max(found.above for found in stock):>17.1e}{max(found.apart for found in stock):>10.1e}",
                flush=True,
            )
    verdict = "never lower than ours" if worst >= -ROUNDING else "LOWER THAN OURS"
    secs = time.perf_counter() - begin
    print(f"{total} fits of Stan in {secs:.0f} s, {failed} gave up: Stan is {verdict} ({worst:.1e});")
    print(f"smooth fits with tight tolerances differ by at most {apart:.1e} of the level (limit {AGREE:.0e})")
    if worst < -ROUNDING or apart > AGREE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
