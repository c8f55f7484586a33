"""How wrong forecasts are on four public sets of city counts, beside the same time last week, a profile and Prophet.

    python -m bench.forecast_accuracy [--quick]

Refitted at each midnight from at most 42 days, moved by every observation; every slot of the test days is an origin. A
lead of 1 h is the slot one hour after the last one that was observed. Ratios are mean absolute errors over those of the
same time last week, on the same slots. ``--quick`` takes two test days of each set.
"""

import argparse
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import scipy.io

from forecasts import curves
from forecasts.forecaster import Settings
from forecasts.history import DAY_MS, History, day_types_of, slots_of
from forecasts.model import Model, Seasonality
from forecasts.rolling import Said, gathered, roll
from forecasts.solver import fit, predict
from forecasts.verification import Figures, figures
from gridbeacon.days import Day, Days
from gridbeacon.frame import F4
from gridbeacon.reasons import DayType
from tests.stan import DATA

HOUR_MS = 3_600_000
LEADS = (1, 4, 24)
HISTORY_DAYS = 42
DEFAULT = Model(seasonalities=(Seasonality("day", 1, 4), Seasonality("week", 7, 3)))
"""What Prophet fits when nobody says anything; the batch solver finds the same maximum as Stan."""
NORMAL_80 = 1.2816


@dataclass(frozen=True)
class Set:
    """A history in civil time; tests run from ``first`` to before ``last``, in days of it."""

    name: str
    history: History
    first: int
    last: int

    @property
    def day(self) -> int:
        return DAY_MS // self.history.step_ms


def of(name: str, values: np.ndarray, begins: str, day: int, span: tuple[int, int], days: Days) -> Set:
    start_ms = int(datetime.fromisoformat(begins).replace(tzinfo=UTC).timestamp() * 1000)
    types = day_types_of(days.type_of, start_ms, start_ms + (span[1] + 5) * DAY_MS)
    names = tuple(f"{n}" for n in range(len(values)))
    # The files hold civil time: it is taken as it is.
    return Set(name, History(names, start_ms, DAY_MS // day, values.astype(np.float32), "UTC", types), *span)


def hangzhou() -> Set:
    tensor = scipy.io.loadmat(DATA / "hangzhou_metro" / "tensor.mat")["tensor"].astype(float)
    values = np.full((*tensor.shape[:2], 144), np.nan)
    values[:, :, 36:] = tensor
    kept = tensor.reshape(len(tensor), -1).mean(1) > 1
    return of("Hangzhou metro", values.reshape(len(tensor), -1)[kept], "2019-01-01", 144, (17, 25), Days("CN"))


def zones() -> Set:
    loaded = scipy.io.loadmat(DATA / "nyc_taxi_zones" / "tensor.mat")
    tensor = next(value for name, value in loaded.items() if not name.startswith("__")).astype(float)
    values = np.concatenate([tensor.sum(1), tensor.sum(0)])
    return of("NY taxi zones", values, "2018-05-01", 24, (40, 61), Days("US"))


def nab() -> Set:
    table = pd.read_csv(DATA / "nab" / "data" / "realKnownCause" / "nyc_taxi.csv", parse_dates=["timestamp"])
    values = table.set_index("timestamp")["2014-08-04":]["value"].to_numpy(float)[None, : 77 * 48]
    # Columbus Day is a holiday by law and a workday for the city: what an operator's overlay is for.
    days = Days("US", overlay={date(2014, 10, 13): Day(DayType.WORKDAY)})
    return of("NAB taxi", values, "2014-08-04", 48, (56, 77), days)


def auckland() -> Set:
    table = pd.read_csv(DATA / "auckland_pedestrians" / "hourly_counts_2019_2022.csv.gz", index_col=0, parse_dates=True)
    table = table[~table.index.duplicated()].asfreq("h")["2022-06-06":].iloc[: 77 * 24]
    table = table.loc[:, (table.isna().mean() < 0.01) & (table.mean() > 1)]
    return of("Auckland", table.to_numpy(float).T, "2022-06-06", 24, (56, 77), Days("NZ"))


SETS = (hangzhou, zones, nab, auckland)


def plain(one: Set) -> dict[str, F4]:
    """Return curves of the test days (N × slots), each as of its midnight: default Prophet, its band, the profile."""
    history, day = one.history, one.day
    found: dict[str, list[F4]] = {"default Prophet": [], "lower": [], "upper": [], "plain profile": []}
    for begin in range(one.first * day, one.last * day, day):
        oldest = max(0, begin - HISTORY_DAYS * day)
        seen = history.values[:, oldest:begin]
        start_ms = history.start_ms + oldest * history.step_ms
        slots = slots_of(start_ms, history.step_ms, begin - oldest + day, "UTC", history.day_types)
        found["plain profile"].append(curves.profiles(seen, slots, day, 0)[0].ahead)
        times = (start_ms + np.arange(begin - oldest + day) * history.step_ms).astype("datetime64[ms]")
        fits = fit(DEFAULT, times[: begin - oldest].astype("datetime64[s]"), seen)
        curve = predict(fits, times[begin - oldest :].astype("datetime64[s]"))
        wide = NORMAL_80 * (fits.sigma_obs * fits.y_scale)[:, None]
        for name, values in (("default Prophet", curve), ("lower", curve - wide), ("upper", curve + wide)):
            found[name].append(values.astype(np.float32))
    return {name: np.concatenate(parts, axis=1) for name, parts in found.items()}


def ours(one: Set) -> list[Said]:
    history = one.history
    leads_ms = tuple(lead * HOUR_MS - history.step_ms for lead in LEADS)
    usual = {max(minutes * 60_000, history.step_ms) for minutes in (15, 30, 60, 120, 240, 720, 1440)}
    return gathered(
        list(
            roll(
                history,
                Settings(leads_ms=tuple(sorted({*usual, 2 * history.step_ms}))),
                from_ms=history.start_ms + one.first * DAY_MS,
                to_ms=history.start_ms + one.last * DAY_MS,
                every_ms=DAY_MS,
                # Two steps after the last observed slot is what was published of Hangzhou.
                leads_ms=(*leads_ms, history.step_ms),
                history_days=HISTORY_DAYS,
            )
        )
    )


def ratio(one: Set, curve: F4) -> float:
    """Return the error of curves of the test days over that of the same time last week."""
    first, last, week = one.first * one.day, one.last * one.day, 7 * one.day
    actual = one.history.values[:, first:last]
    error = np.abs(curve - actual)
    weekly = np.abs(one.history.values[:, first - week : last - week] - actual)
    known = np.isfinite(error) & np.isfinite(weekly)
    return float(error[known].sum() / weekly[known].sum())


def mean(values: list[float]) -> float:
    return float(np.nanmean(values))


def geometric(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two test days of each set")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    by_lead: dict[int, list[Figures]] = {lead: [] for lead in LEADS}
    others: dict[str, list[float]] = {"default Prophet": [], "plain profile": []}
    head = " | ".join(f"{lead} h: ratio in 80 % busy watch AP" for lead in LEADS)
    print(f"{'':<16}{head} | profile | default Prophet (in 80 %)")
    for load in SETS:
        one = load()
        if chosen.quick:
            one = replace(one, last=one.first + 2)
        said, before = ours(one), one.history.values[:, : one.first * one.day]
        for lead, each in zip(LEADS, said, strict=False):
            by_lead[lead].append(figures(each, lead * 3600, before, one.day))
        flat = plain(one)
        for name, found in others.items():
            found.append(ratio(one, flat[name]))
        actual = one.history.values[:, one.first * one.day : one.last * one.day]
        held = ((actual >= flat["lower"]) & (actual <= flat["upper"]))[np.isfinite(actual)].mean()
        row = " | ".join(
            f"{f.ratio:12.3f} {f.held80:7.3f} {f.busy_upper:5.3f} {f.watch_recall:5.3f} {f.average_precision:.3f}"
            for f in (by_lead[lead][-1] for lead in LEADS)
        )
        others_row = f"{others['plain profile'][-1]:.3f} | {others['default Prophet'][-1]:.3f} ({held:.3f})"
        print(f"{one.name:<16}{row} | {others_row}", flush=True)
        if one.day == 144 and not chosen.quick:
            week = said[-1].at_ms >= one.history.start_ms + (one.last - 7) * DAY_MS
            for name, values in (("ours", said[-1].columns["point"]), ("last week", said[-1].naive)):
                error = (values - said[-1].actual)[:, week]
                print(f"    last 7 days, two steps ahead, RMSE of {name}: {np.sqrt(np.nanmean(error**2)):.2f}")
    for lead in LEADS:
        found = by_lead[lead]
        print(
            f"{lead:>2} h: ratio, geometric mean {geometric([f.ratio for f in found]):.3f}; in 80 % "
            f"{mean([f.held80 for f in found]):.3f}; in 95 % {mean([f.held95 for f in found]):.3f}; busy below upper "
            f"{mean([f.busy_upper for f in found]):.3f}; watch recall {mean([f.watch_recall for f in found]):.3f}, "
            f"precision {mean([f.watch_precision for f in found]):.3f}; average precision "
            f"{mean([f.average_precision for f in found]):.3f}"
        )
    for name, values in others.items():
        print(f"{name}: ratio, geometric mean {geometric(values):.3f}")


if __name__ == "__main__":
    main()
