"""What one live tick costs in the role forecast: every series learns its slot and is forecast again, beside its limits.

    python -m bench.forecast_tick [--series 10000] [--days 14] [--fitted 500]

A tick is the end of a slot: the means of the slot, the correction of all series, forecasts at three leads with both
bands, and the test against every limit. Every fourth slot all series with a limit are looked at along the whole path,
and every hour all forecasts become rows; both are measured beside it.
"""

import argparse
import time
from dataclasses import replace
from datetime import date

import msgspec
import numpy as np

from forecasts.fits import Generation
from forecasts.forecaster import History, Settings, fit
from forecasts.foresight import Foresight
from forecasts.history import DayTypes
from forecasts.live import Live
from gridbeacon.config import Config
from gridbeacon.config_forecast import Forecast
from gridbeacon.frame import Judged, Rows
from gridbeacon.model import Tick
from gridbeacon.vocabulary import METRIC_NUMBER, Kind

STEP_MS, MINUTE_MS = 900_000, 60_000
BEGIN_MS = 1_772_409_600_000
DENSITY = METRIC_NUMBER[Kind.CROWD, "density_max_per_m2"]
LEADS_MINUTES = (15, 60, 240)


def judged(names: tuple[str, ...], time_ms: int, value: np.ndarray) -> Judged:
    """Return one observation of each series."""
    n = len(names)
    zero, nan = np.zeros(n, np.uint8), np.full(n, np.nan)
    rows = Rows(
        sources=names,
        topics=("crowd.metrics",),
        source=np.arange(n, dtype=np.int32),
        metric=np.full(n, DENSITY, np.uint8),
        observed_ms=np.full(n, time_ms),
        value=value,
        coverage=nan.astype(np.float32),
        confidence=nan.astype(np.float32),
        surface=zero,
        motion=zero,
        topic=zero,
        partition=np.zeros(n, np.int32),
        offset=np.arange(n),
        index=np.zeros(n, np.int32),
    )
    return Judged(
        rows=rows,
        grid=("310101001002003",) * n,
        state=zero,
        reason=zero,
        level=zero,
        expected=nan,
        lower=nan,
        upper=nan,
        alarm=nan,
        severity=nan,
        signal=nan,
        direction=np.zeros(n, np.int8),
        confidence=nan.astype(np.float32),
        history=np.zeros(n, np.uint32),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--fitted", type=int, default=500, help="series that are fitted; the others are copies of them")
    options = parser.parse_args()
    count, slots, few = options.series, options.days * 96, min(options.fitted, options.series)
    rng = np.random.default_rng(1)
    hour = (np.arange(slots + 96) % 96) / 4
    usual = 0.3 + 1.2 * np.exp(-(((hour - 18) / 3) ** 2))
    copies = np.arange(count) % few
    made = rng.uniform(0.1, 0.6, (few, 1))  # no place comes near its limit: the cost of looking, not of telling
    values = (usual[:slots] * made * rng.lognormal(0, 0.15, (few, slots))).astype(np.float32)
    size = made[copies]
    names = tuple(f"CAM-{n:05d}" for n in range(count))
    section = Forecast(leads_minutes=LEADS_MINUTES)
    config = Config(forecast=section)
    series = tuple(f"crowd/{name}/density_max_per_m2" for name in names)
    started = time.perf_counter()
    fitted = fit(
        History(series[:few], BEGIN_MS, STEP_MS, values, "UTC", DayTypes(date(2026, 3, 2))), Settings.of(section)
    )
    print(f"fitted {few:,} series of {options.days} days in {time.perf_counter() - started:.1f} s")
    fitted = replace(fitted.take(copies), names=series)
    foresight = Foresight(msgspec.structs.replace(config, forecast=section), 0)
    now_ms = fitted.end_ms
    foresight.observe(judged(names, now_ms, values[copies, -1].astype(float)), (), Tick("x", now_ms), (0, -1), 0)
    generation = Generation(0, Live(fitted), np.arange(count), np.ones(count, np.bool_))
    foresight.fits.generations.append(generation)
    foresight.fits.counters.asked_ms = now_ms + 10**12  # no refit is due while we measure
    took: dict[str, list[tuple[float, float]]] = {
        "tick": [],
        "tick, whole path": [],
        "tick, whole path and rows": [],
        "observe": [],
    }
    for n in range(96):
        slot_ms = now_ms + n * STEP_MS
        value = (usual[slots + n] * size[:, 0] * rng.lognormal(0, 0.15, count)).astype(float)
        began, worked = time.perf_counter(), time.thread_time()
        foresight.observe(judged(names, slot_ms + MINUTE_MS, value), (), None, (2 * n + 1, 2 * n), 2 * n + 1)
        took["observe"].append((time.perf_counter() - began, time.thread_time() - worked))
        tick = Tick("x", slot_ms + STEP_MS + MINUTE_MS)
        began, worked = time.perf_counter(), time.thread_time()
        out = foresight.observe(judged((), 0, np.zeros(0)), (), tick, (2 * n + 2, 2 * n + 1), 2 * n + 2)
        secs = time.perf_counter() - began, time.thread_time() - worked
        whole = (slot_ms + STEP_MS) // STEP_MS % 4 == 0
        took["tick, whole path and rows" if out.rows else "tick, whole path" if whole else "tick"].append(secs)
    print(f"\n{count:,} series, {len(LEADS_MINUTES)} leads; milliseconds\n")
    print("| what | n | median | p90 | CPU, median |\n| --- | --- | --- | --- | --- |")
    for what, secs in took.items():
        if secs:
            wall, cpu = 1000 * np.array(secs).T
            shown = np.median(wall), np.quantile(wall, 0.9), np.median(cpu)
            print(f"| {what} | {len(secs)} | " + " | ".join(f"{ms:.1f}" for ms in shown) + " |")


if __name__ == "__main__":
    main()
