"""Prophet as it comes, with Stan: what the batch solver is compared with, on real and made data."""

import logging
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cmdstanpy
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.io

from forecasts.density import negative_log_posterior
from forecasts.design import Columns, Design, Times, prophet_of
from forecasts.model import Growth, Holiday, Model, Regressor, Seasonality
from forecasts.solver import NO_COLUMNS, Fits, fit, predict

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
F8 = npt.NDArray[np.float64]

#: Stan's L-BFGS until it can't improve the last digits; a failed line search then leaves its best point.
TIGHT: dict[str, Any] = {
    "algorithm": "LBFGS",
    "iter": 100_000,
    "tol_obj": 1e-16,
    "tol_rel_obj": 0.001,
    "tol_grad": 1e-14,
    "tol_rel_grad": 0.001,
    "tol_param": 1e-16,
    "history_size": 100,
    "require_converged": False,
    "sig_figs": 17,
}
logging.getLogger("cmdstanpy").disabled = True
logging.getLogger("prophet").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Series:
    """Series (N × T) on a grid, and the times of the day after it."""

    name: str
    times: Times
    values: F8
    later: Times

    def with_gaps(self, seed: int) -> "Series":
        """5 % of the cells missing at random, and a day of 12 hours or more in the middle; the ends were observed."""
        rng = np.random.default_rng(seed)
        values = self.values.copy()
        values[rng.random(values.shape) < 0.05] = np.nan
        rows = len(self.times)
        values[:, rows // 2 : rows // 2 + rows // 20] = np.nan
        values[:, [0, -1]] = self.values[:, [0, -1]]
        return replace(self, name=self.name + ", gaps", values=values)


def _cut(name: str, times: Any, values: F8, rows: int, later: int) -> Series:
    stamps = np.asarray(times, "datetime64[s]")
    return Series(name, stamps[:rows], np.ascontiguousarray(values[:, :rows]), stamps[rows : rows + later])


def hangzhou() -> Series:
    """Passengers into 80 metro stations, every ten minutes from 06:00 to 24:00, 21 days."""
    tensor = scipy.io.loadmat(DATA / "hangzhou_metro" / "tensor.mat")["tensor"].astype(float)
    days = np.arange(np.datetime64("2019-01-01"), np.datetime64("2019-01-26")).astype("datetime64[m]")
    times = (days[:, None] + np.arange(360, 1440, 10).astype("timedelta64[m]")).ravel()
    values = tensor.reshape(len(tensor), -1)
    return _cut("Hangzhou metro", times, values[values.mean(1) > 1], 21 * 108, 108)


def taxi_zones() -> Series:
    """Taxi trips from 30 zones of New York and to them, hourly, 42 days."""
    loaded = scipy.io.loadmat(DATA / "nyc_taxi_zones" / "tensor.mat")
    tensor = next(value for name, value in loaded.items() if not name.startswith("__")).astype(float)
    values = np.concatenate([tensor.sum(1), tensor.sum(0)])
    return _cut("NY taxi zones", pd.date_range("2018-05-01", periods=values.shape[1], freq="h"), values, 1008, 24)


def auckland() -> Series:
    """People passing those of 21 sensors in Auckland that missed nothing, hourly, 42 days."""
    table = pd.read_csv(DATA / "auckland_pedestrians" / "hourly_counts_2019_2022.csv.gz", index_col=0, parse_dates=True)
    table = table["2019-06-03":"2019-07-31"]
    table = table.loc[:, table.notna().all() & (table.mean() > 20)]
    return _cut("Auckland", table.index, table.to_numpy(float).T, 42 * 24, 24)


def nab_taxi() -> Series:
    """Taxi passengers of New York, every half hour, 28 days: NAB's nyc_taxi."""
    table = pd.read_csv(DATA / "nab" / "data" / "realKnownCause" / "nyc_taxi.csv", parse_dates=["timestamp"])
    return _cut("NAB nyc_taxi", table["timestamp"], table["value"].to_numpy(float)[None], 28 * 48, 48)


SETS = {"hangzhou_metro": hangzhou, "nyc_taxi_zones": taxi_zones, "auckland_pedestrians": auckland, "nab": nab_taxi}


def made() -> Series:
    """Six made series: waves, a trend that bends, noise; hourly, 21 days."""
    rng = np.random.default_rng(7)
    times = np.arange(np.datetime64("2026-03-02T00"), np.datetime64("2026-03-24T00"))
    hours = np.arange(len(times))
    daily = 100 + 40 * np.sin(2 * np.pi * hours / 24) - 25 * np.cos(4 * np.pi * hours / 24)
    level = rng.uniform(0.3, 30, (6, 1)) * (1 + rng.normal(0, 0.002, (6, 1)) * np.maximum(hours - 200, 0))
    return _cut("made", times, np.round(daily * level * rng.lognormal(0, 0.1, (6, len(times)))), 504, 24)


def _waves(daily: int, weekly: int) -> tuple[Seasonality, ...]:
    return Seasonality("day", 1, daily), Seasonality("week", 7, weekly)


WORKING = (Seasonality("workday", 1, 6, condition="working"), Seasonality("free day", 1, 6, 5.0, condition="free"))


def parts_model(series: Series) -> tuple[Model, Columns, Columns]:
    """Return a model with everything in it: conditions, a holiday and its eve, a regressor; and its columns."""
    third = series.times[len(series.times) // 3].astype("datetime64[D]").item()
    model = Model(
        Growth.FLAT,
        WORKING,
        (Holiday("feast", (third,), first_day=-1, prior_scale=2.0),),
        (Regressor("rain", 0.5), Regressor("wet", 1.0)),
    )

    def columns(times: Times) -> Columns:
        weekday = (times.astype("datetime64[D]").astype(int) + 3) % 7
        rain = 10 + 5 * np.sin(times.astype("datetime64[s]").astype(int) / 50_000)
        return {"working": weekday < 5, "free": weekday >= 5, "rain": rain, "wet": (rain > 12).astype(float)}

    return model, columns(series.times), columns(series.later)


MODELS = {
    "flat, day 12 + week 6": Model(Growth.FLAT, _waves(12, 6)),
    "flat, week 60": Model(Growth.FLAT, (Seasonality("week", 7, 60),)),
    "linear, day 4 + week 3 (Prophet's default)": Model(Growth.LINEAR, _waves(4, 3)),
    "linear, day 12 + week 6, bends 0.01": Model(Growth.LINEAR, _waves(12, 6), changepoint_prior_scale=0.01),
    "linear, day 4 + week 3, 5 loose bends": Model(
        Growth.LINEAR, _waves(4, 3), changepoints=5, changepoint_prior_scale=10
    ),
}


@dataclass(frozen=True)
class Case:
    """One model on one set of series."""

    name: str
    series: Series
    model: Model
    columns: Columns = field(default_factory=dict)
    later: Columns = field(default_factory=dict)


def cases(series: Series) -> Iterator[Case]:
    """Yield what is compared on a set: four models, one with all parts, and gaps with either growth."""
    for name, model in MODELS.items():
        yield Case(name, series, model)
    yield Case("flat, conditions + holiday + regressors", series, *parts_model(series))
    gaps = series.with_gaps(seed=1)
    yield Case("flat, day 12 + week 6, gaps", gaps, MODELS["flat, day 12 + week 6"])
    yield Case("linear, day 4 + week 3, gaps", gaps, MODELS["linear, day 4 + week 3 (Prophet's default)"])


def with_stan(model: Model, times: Times, y: F8, columns: Columns = NO_COLUMNS, **options: Any) -> Any:
    """Return Prophet fitted as always; without temporary files, also where Stan failed."""
    prophet = prophet_of(model)
    prophet.uncertainty_samples = 0
    # Newton from scratch is ten times slower, and no nearer.
    prophet.stan_backend.set_options(newton_fallback=False)
    return _tidied(prophet, lambda: prophet.fit(_frame(times, columns).assign(y=y), **options))


def _tidied(prophet: Any, work: Any) -> Any:
    before = set(Path(cmdstanpy._TMPDIR).iterdir())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    finally:
        prophet.stan_backend.cleanup()
        for left in set(Path(cmdstanpy._TMPDIR).iterdir()) - before:
            # Prophet leaves an empty folder, and all files of a run that raised.
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _frame(times: Times, columns: Columns) -> pd.DataFrame:
    return pd.DataFrame({"ds": times.astype("datetime64[ns]"), **columns})


def stan_on_grid(design: Design, y: F8, **options: Any) -> dict[str, F8]:
    """Return Stan's parameters on the grid's own design, without the rows that are missing; ``y`` is scaled.

    Prophet would place its changepoints anew on the rows that it sees.
    """
    seen = ~np.isnan(y)
    first = design.trend_columns
    features = design.gaussian[seen][:, first:]
    data = {
        "T": int(seen.sum()),
        "S": len(design.changepoints_t),
        "K": features.shape[1],
        "tau": design.tau,
        "trend_indicator": 0 if design.model.growth is Growth.LINEAR else 2,
        "y": y[seen],
        "t": design.t[seen],
        "cap": np.zeros(seen.sum()),
        "t_change": design.changepoints_t,
        "s_a": np.ones(features.shape[1], int),
        "s_m": np.zeros(features.shape[1], int),
        "X": pd.DataFrame(features),
        "sigmas": design.scales[first:].tolist(),
    }
    begin = {"k": 0.0, "m": float(np.nanmean(y)), "sigma_obs": 1.0}
    begin |= {"delta": np.zeros(data["S"]), "beta": np.zeros(data["K"])}
    prophet = prophet_of(design.model)
    prophet.stan_backend.set_options(newton_fallback=False)
    return _tidied(prophet, lambda: prophet.stan_backend.fit(begin, data, **options))


@dataclass(frozen=True)
class Compared:
    """One series, fitted twice. ``above`` is how much higher Stan's objective ended, ``apart`` the mean difference of
    the next day's forecasts as a share of the series' mean; ``sigma`` the relative difference of the noise."""

    above: float
    apart: float
    sigma: float


def objective(fits: Fits, n: int, y: F8, parameters: Any = None) -> float:
    """Return Prophet's objective of series ``n`` at its parameters, or at those of Stan."""
    found = {name: getattr(fits, name)[n] for name in ("k", "m", "delta", "beta", "sigma_obs")}
    if parameters is not None:
        found = {name: np.ravel(parameters[name]) for name in found}
    scalars = {name: float(np.ravel(found[name])[0]) for name in ("k", "m", "sigma_obs")}
    return negative_log_posterior(fits.design, y / fits.y_scale[n], delta=found["delta"], beta=found["beta"], **scalars)


def compare(case: Case, n: int, fits: Fits | None = None, options: dict[str, Any] | None = None) -> Compared:
    """Return how Stan's fit of series ``n`` differs from ours."""
    series = case.series
    ours = fits or fit(case.model, series.times, series.values, case.columns)
    y, options = series.values[n], TIGHT if options is None else options
    curve = predict(ours, series.later, case.later)[n]
    if case.model.growth is Growth.LINEAR and np.isnan(y).any():
        theirs = stan_on_grid(ours.design, y / ours.y_scale[n], **options)
        t, features = ours.design.features(series.later, case.later)
        bends = np.maximum(t[:, None] - ours.design.changepoints_t, 0) @ theirs["delta"][0]
        stan = (theirs["m"][0, 0] + theirs["k"][0, 0] * t + bends + features @ theirs["beta"][0]) * ours.y_scale[n]
    else:
        prophet = with_stan(case.model, series.times, y, case.columns, **options)
        theirs = prophet.params
        stan = prophet.predict(_frame(series.later, case.later))["yhat"].to_numpy()
    return Compared(
        above=objective(ours, n, y, theirs) - objective(ours, n, y),
        apart=float(np.abs(stan - curve).mean() / np.nanmean(np.abs(y))),
        sigma=abs(float(np.ravel(theirs["sigma_obs"])[0]) / ours.sigma_obs[n] - 1),
    )
