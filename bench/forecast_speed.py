"""How long 10,000 series take: refit and forecast of the next 24 h, in one process; and plain Prophet on a few of them.

    python -m bench.forecast_speed [--series 10000] [--gaps 0.02] [--plain 8] [--quick] [--growth]

Ten-minute slots of 21 days, 06:00 to 24:00 (2,268), made from a daily and a weekly shape, level and noise of their own.
The values are float32, as they come from a column of a database. The first call's compilation (once a machine) is left
out. First the forecaster as it ships: refit, the next 24 h with both bands, and a live tick (one observation of all,
and three leads), against a warm pool of two processes of plain Prophet with the same model on a sample, in the same
run. Then the solver alone. ``--growth`` adds how it grows from 100 to 50,000 series; ``--quick`` is 300 series.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasts.curves import columns_of, prophet_model
from forecasts.forecaster import History, Live, Settings
from forecasts.forecaster import fit as fit_all
from forecasts.history import DayTypes, slots_of
from forecasts.model import Growth, Model, Seasonality
from forecasts.solver import fit, predict
from tests.stan import with_stan

DAY_SLOTS, DAYS = 108, 21
MODELS = {
    "flat, day 12 + week 6": Model(
        Growth.FLAT, (Seasonality("day", period_days=1, order=12), Seasonality("week", period_days=7, order=6))
    ),
    "flat, week 60": Model(Growth.FLAT, (Seasonality("week", period_days=7, order=60),)),
    "linear, day 4 + week 3 (Prophet's default)": Model(
        Growth.LINEAR, (Seasonality("day", period_days=1, order=4), Seasonality("week", period_days=7, order=3))
    ),
    "linear, day 30 + week 84, bends 0.01": Model(
        Growth.LINEAR,
        (Seasonality("day", period_days=1, order=30), Seasonality("week", period_days=7, order=84, prior_scale=0.03)),
        changepoint_prior_scale=0.01,
    ),
}


def grid(days: int, first: str = "2026-03-02") -> npt.NDArray[np.datetime64]:
    """Return the slots of some days."""
    begin = np.datetime64(first, "m") + (np.arange(days) * 1440).astype("timedelta64[m]")
    return (begin[:, None] + np.arange(360, 1440, 10).astype("timedelta64[m]")).ravel()


def made(series: int, gaps: float) -> npt.NDArray[np.float32]:
    """Return the values, chunk by chunk, so that making them does not set the peak of memory."""
    rng = np.random.default_rng(1)
    hour = np.tile(np.arange(DAY_SLOTS) / 6 + 6, DAYS)
    free = np.repeat(np.arange(DAYS) % 7 >= 5, DAY_SLOTS)
    morning, evening = (np.exp(-(((hour - peak) / width) ** 2)) for peak, width in ((8.2, 0.9), (18.1, 1.4)))
    noon = np.exp(-(((hour - 13.5) / 4) ** 2))
    values = np.empty((series, len(hour)), np.float32)
    for begin in range(0, series, 500):
        n = len(values[begin : begin + 500])
        a, b, c = rng.uniform(0.1, 1, (3, n, 1))
        shape = np.where(free, 0.9 * c * noon + 0.05, a * morning + b * evening + 0.4 * c * noon + 0.05)
        part = rng.poisson(shape * rng.lognormal(4, 1, (n, 1)) * rng.lognormal(0, 0.1, (n, len(hour)))).astype(float)
        part[rng.random(part.shape) < gaps] = np.nan
        values[begin : begin + 500] = part
    return values


def measure(model: Model, values: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Return the seconds of a fit and a forecast of all series, and how they ended."""
    times, later = grid(DAYS), grid(1, "2026-03-23")
    fit(model, times, values[:2])
    begin, cpu = time.perf_counter(), time.process_time()
    fits = fit(model, times, values)
    fitted = time.perf_counter()
    curves = predict(fits, later)
    end = time.perf_counter()
    return {
        "fit_secs": fitted - begin,
        "predict_secs": end - fitted,
        "cpu_secs": time.process_time() - cpu,
        "rounds": int(fits.rounds.max()),
        "ended": {status.value: fits.status.count(status) for status in set(fits.status)},
        "finite": bool(np.isfinite(curves).all()),
    }


def plain_secs(model: Model, values: npt.NDArray[np.float32], count: int) -> float:
    """Return the seconds that Prophet with Stan takes for one of these series and its forecast, one after the other."""
    times, later = grid(DAYS), grid(1, "2026-03-23")
    begin = time.perf_counter()
    for y in values[:count]:
        prophet = with_stan(model, times, y.astype(float))
        prophet.predict(_frame(later))
    return (time.perf_counter() - begin) / count


STEP_MS = 600_000
START_MS = int(np.datetime64("2026-03-02", "ms").astype(int))


def history_of(values: npt.NDArray[np.float32]) -> History:
    """Return the values on a grid of whole days: the hours from 0 to 6 are closed."""
    whole = np.full((len(values), DAYS, 144), np.nan, np.float32)
    whole[:, :, 36:] = values.reshape(len(values), DAYS, DAY_SLOTS)
    names = tuple(str(n) for n in range(len(values)))
    return History(names, START_MS, STEP_MS, whole.reshape(len(values), -1), "UTC", DayTypes(date(2026, 1, 1)))


def shipped(history: History) -> dict[str, float]:
    """Return the seconds of a refit and of the next 24 h with bands, by the clock and of processor time; and the
    processor time of one live tick, which is one thread's."""
    settings = Settings()
    day = [n * STEP_MS for n in range(144)]
    begin, cpu = time.perf_counter(), time.process_time()
    live = Live(fit_all(history, settings))
    fitted = time.perf_counter()
    live.forecast(history.end_ms, day)
    end, cpu = time.perf_counter(), time.process_time() - cpu
    ticks = []
    for slot in range(36, 60):
        now = history.values[:, slot]
        at_ms = history.end_ms + slot * STEP_MS
        live.observe(at_ms - STEP_MS, now)  # what was left out before is caught up here
        tick = time.thread_time()
        live.observe(at_ms, now)
        live.forecast(at_ms + STEP_MS, [0, 1_800_000, 3_600_000])
        ticks.append(time.thread_time() - tick)
    return {
        "fit_secs": fitted - begin,
        "forecast_secs": end - fitted,
        "cpu_secs": cpu,
        "tick_secs": float(np.median(ticks)),
    }


def _plain_shipped(y: npt.NDArray[np.float64]) -> float:
    """Fit one series with plain Prophet and the shipped model, and forecast its next day; return the seconds."""
    begin = time.perf_counter()
    slots = slots_of(START_MS, STEP_MS, (DAYS + 1) * 144, "UTC", DayTypes(date(2026, 1, 1)))
    is_open = slots.slot >= 36
    times = (START_MS + np.arange((DAYS + 1) * 144) * STEP_MS).astype("datetime64[ms]").astype("datetime64[s]")
    columns = columns_of(slots)
    past = is_open & (np.arange(len(times)) < DAYS * 144)
    prophet = with_stan(prophet_model(144), times[past], y, {name: column[past] for name, column in columns.items()})
    later = is_open & ~past
    prophet.predict(_frame(times[later]).assign(**{name: column[later] for name, column in columns.items()}))
    return time.perf_counter() - begin


def pool_secs(values: npt.NDArray[np.float32], count: int) -> float:
    """Return the seconds a series that a warm pool of two processes of plain Prophet takes."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_plain_shipped, [np.sqrt(y.astype(float)) for y in values[:2]], chunksize=1)
        begin = time.perf_counter()
        pool.map(_plain_shipped, [np.sqrt(y.astype(float)) for y in values[:count]], chunksize=1)
        return (time.perf_counter() - begin) / count


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def whole_run(series: int, plain: int, gaps: float) -> None:
    """Print what the forecaster as it ships takes."""
    each = pool_secs(made(max(plain, 2), 0.0), plain) if plain else float("nan")
    for share in (0.0, gaps) if gaps else (0.0,):
        history = history_of(made(series, share))
        found = shipped(history)
        total = found["fit_secs"] + found["forecast_secs"]
        line = (
            f"as shipped, {series:,} series, {share:.0%} missing: {total:.2f} s (refit {found['fit_secs']:.2f}, 24 h "
        )
        line += f"with bands {found['forecast_secs']:.2f}; cpu {found['cpu_secs']:.2f}); "
        line += f"live tick {found['tick_secs'] * 1e3:.2f} ms"
        if plain:
            line += f"; plain Prophet, pool of two: {each * 1e3:.0f} ms a series = {each * series:,.0f} s, "
            line += f"{each * series / total:,.0f} ×"
        print(f"{line}; peak {peak_mb():.0f} MB", flush=True)


def _frame(times: npt.NDArray[np.datetime64]) -> Any:
    return pd.DataFrame({"ds": times.astype("datetime64[ns]")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--gaps", type=float, default=0.02, help="share of cells missing in a second run of each model")
    parser.add_argument("--plain", type=int, default=8, help="series that plain Prophet fits, 0 for none")
    parser.add_argument("--quick", action="store_true", help="300 series, two by plain Prophet")
    parser.add_argument("--growth", action="store_true", help="also 100 to 50,000 series")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.series, chosen.plain = 300, min(chosen.plain, 2)
    shipped(history_of(made(80, 0.02)))
    whole_run(chosen.series, chosen.plain, chosen.gaps)
    for series in (100, 1_000, 10_000, 50_000) if chosen.growth else ():
        whole_run(series, 0, 0.0)
    for gaps in (0.0, chosen.gaps) if chosen.gaps else (0.0,):
        values = made(chosen.series, gaps)
        print(f"{len(values)} series × {values.shape[1]} slots, {gaps:.0%} missing, {values.nbytes / 1e6:.0f} MB")
        for name, model in MODELS.items():
            found = measure(model, values)
            total = found["fit_secs"] + found["predict_secs"]
            line = f"  {name}: {total:.2f} s (fit {found['fit_secs']:.2f}, predict {found['predict_secs']:.2f}; "
            line += f"cpu {found['cpu_secs']:.2f}); rounds up to {found['rounds']}; {found['ended']}"
            if chosen.plain and not gaps:
                plain = plain_secs(model, values, chosen.plain)
                line += f"; plain Prophet {plain * 1e3:.0f} ms a series = {plain * len(values):.0f} s, "
                line += f"{plain * len(values) / total:.0f} ×"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            print(f"{line}; peak so far {peak / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
