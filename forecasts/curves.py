"""The curve of each series: Prophet's and the weekly profile's mean, ahead and as past nights would have drawn it.

The correction and the bands are learned from what past refits were off by. Drawing those curves with the solver would
cost a refit for each night. But the density is Gaussian once two things are fixed: the noise, which is taken from the
fit of tonight, and the bends' prior, which is given the Gaussian shape of the same variance. Then a night's curve is
Z (G + v)⁻¹ c with G = Σ Z'Z and c = Σ Z'y over the days before it: a day more is one product for all series. A cell
that is missing takes tonight's own value; it is never judged. The noise is rounded to one of a few values, so that
series share (G + v)⁻¹.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasts.design import Columns
from forecasts.history import DAY_MS, HOLIDAY, MAKEUP, Slots
from forecasts.model import Growth, Model, Seasonality
from forecasts.parallel import over_rows
from forecasts.profile_kernel import HOLIDAYS, profile_rows
from forecasts.solver import Fits, FitStatus, fit, predict
from gridbeacon.frame import F4, F8, I8

DAILY_ORDER, WEEKLY_ORDER = 30, 84
WEEKLY_PRIOR = 0.03
"""The week adds little to the days of its kind, unless the data insist."""
BENDS_PRIOR = 0.01
NOISES = 3
"""So many values of the noise are told apart in past curves."""
LEAST_NOISE = 1e-4
"""Of the largest value: a series that never varies must not make (G + v)⁻¹ all but impossible."""
CHUNK = 2_000
"""Series in work at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """``near`` and ``far`` (N × rows) are past curves over the last ``rows`` slots: as of the refit at the beginning of
    each slot's day, and of the day before. ``ahead`` (N × H) goes on from the end. NaN where none could be drawn."""

    near: F4
    far: F4
    ahead: F4


def prophet_model(day: int) -> Model:
    """Return the model on square roots of counts; ``day`` is the slots of a day, which cap the orders.

    >>> [(wave.name, wave.order) for wave in prophet_model(24).seasonalities]
    [('workday', 11), ('free day', 11), ('week', 83)]
    """
    daily, weekly = max(1, min(DAILY_ORDER, day // 2 - 1)), max(1, min(WEEKLY_ORDER, 7 * day // 2 - 1))
    waves = (
        Seasonality("workday", 1, daily, condition="is_workday"),
        Seasonality("free day", 1, daily, condition="is_free"),
        Seasonality("week", 7, weekly, WEEKLY_PRIOR, condition="is_ordinary"),
    )
    return Model(Growth.LINEAR, waves, changepoint_prior_scale=BENDS_PRIOR)


def columns_of(slots: Slots) -> Columns:
    """Return the conditions of the model: kinds of days, and days that are what their weekday says."""
    return {
        "is_workday": slots.kind == 0,
        "is_free": slots.kind != 0,
        "is_ordinary": (slots.kind != HOLIDAY) & (slots.weekday != MAKEUP),
    }


def times_of(slots: Slots, step_ms: int) -> tuple[npt.NDArray[np.datetime64], I8]:
    """Return civil times in order, and the slot behind each: an hour that comes twice stands twice."""
    civil_ms = slots.day * DAY_MS + slots.slot * step_ms
    order = np.argsort(civil_ms, kind="stable")
    return civil_ms[order].astype("datetime64[ms]").astype("datetime64[s]"), order


def profiles(values: F4, slots: Slots, day: int, rows: int) -> tuple[Curves, F4]:
    """Return the weekly profile's curves, and what is usual by kind of day and slot (N × 3 × day).

    A weekday's mean is shrunk to that of its kind of day: (n · mean + 2 · mean of the kind) / (n + 2); holidays to
    weekends. A kind that was not seen yet takes the mean of all days.
    """
    count, length = values.shape
    near, far = (np.full((count, rows), np.nan, np.float32) for _ in range(2))
    ahead = np.empty((count, len(slots.slot) - length), np.float32)
    table = np.empty((count, 3, day), np.float32)
    classes = np.where(slots.kind == HOLIDAY, HOLIDAYS, slots.weekday)

    def run(first: int, last: int) -> None:
        profile_rows(values, classes, slots.kind, slots.slot, day, length - rows, near, far, ahead, table, first, last)

    over_rows(count, run)
    return Curves(near, far, ahead), table


def week_before(values: F4, slots: Slots, day: int) -> F4:
    """Return for each slot of the history and after it what was measured a week before, at the same time of the clock.

    NaN where nothing was, or where a week before is not in the history.
    """
    length = values.shape[1]
    first = int(slots.day[0])
    position = np.full((int(slots.day[-1]) - first + 1, day), -1, np.int64)
    position[slots.day[:length] - first, slots.slot[:length]] = np.arange(length)
    wanted = slots.day - first - 7
    found = np.where(wanted >= 0, position[np.maximum(wanted, 0), slots.slot], -1)
    week = values[:, np.maximum(found, 0)]
    week[:, found < 0] = np.nan
    return week


def prophets(values: F4, slots: Slots, step_ms: int, rows: int) -> tuple[Curves, tuple[FitStatus, ...]]:
    """Return Prophet's curves of series, all of which it can fit, and how each fit ended. ``rows`` are whole days."""
    length, day = values.shape[1], DAY_MS // step_ms
    past, ahead = (Slots(*(part[where] for part in _parts(slots))) for where in (slice(length), slice(length, None)))
    times, order = times_of(past, step_ms)
    columns = {name: column[order] for name, column in columns_of(past).items()}
    roots = np.sqrt(values)
    fits = fit(prophet_model(day), times, roots[:, order], columns)
    later, later_order = times_of(ahead, step_ms)
    drawn = np.empty((len(values), len(later)), np.float32)
    later_columns = {name: column[later_order] for name, column in columns_of(ahead).items()}
    for begin in range(0, len(values), CHUNK):
        part = slice(begin, begin + CHUNK)
        drawn[part, later_order] = _squared(predict(_some(fits, part), later, later_columns))
    near, far = _past(fits, roots, order, day, rows)
    return Curves(near, far, drawn), fits.status


def _parts(slots: Slots) -> tuple[I8, I8, I8, I8]:
    return slots.day, slots.slot, slots.weekday, slots.kind


def _squared(curves: F8 | F4) -> F4:
    return (np.maximum(curves, 0.0) ** 2).astype(np.float32)


def _some(fits: Fits, part: slice) -> Fits:
    arrays = {name: getattr(fits, name)[part] for name in ("k", "m", "delta", "beta", "sigma_obs", "y_scale")}
    return Fits(design=fits.design, **arrays, status=fits.status[part], rounds=fits.rounds[part])


def _past(fits: Fits, roots: F4, order: I8, day: int, rows: int) -> tuple[F4, F4]:
    """Return the curves of past refits; a day's needs at least one day before it."""
    design, (count, length) = fits.design, roots.shape
    features = np.empty((length, design.gaussian.shape[1] + design.hinges.shape[1]), np.float32)
    features[order] = np.hstack([design.gaussian * design.scales, design.hinges * (math.sqrt(2.0) * design.tau)])
    near, far = (np.full((count, rows), np.nan, np.float32) for _ in range(2))
    usable = np.isfinite(fits.sigma_obs)
    variance = np.maximum(np.where(usable, fits.sigma_obs, 1.0), LEAST_NOISE) ** 2
    several = min(NOISES, max(int(usable.sum()), 1))
    shares = (np.arange(several) + 0.5) / several
    noises = np.unique(np.quantile(variance[usable], shares)) if usable.any() else np.ones(1)
    nearest = abs(np.log(variance)[:, None] - np.log(noises)).argmin(1)
    start = length - rows
    open_rows: npt.NDArray[np.bool_] = np.logical_not(np.isnan(roots).all(axis=0))
    # At a slot that nobody ever measures nothing is learned.
    features[~open_rows] = 0.0
    inverses = _inverses(features, start, day, noises)
    for begin in range(0, count, CHUNK):
        part = slice(begin, begin + CHUNK)
        scale = fits.y_scale[part, None].astype(np.float32)
        y: F4 = roots[part] / scale
        missing = np.isnan(y) & open_rows
        if missing.any():
            y = np.where(missing, _tonight(_some(fits, part), features), y)
        y[:, ~open_rows] = 0.0
        side: F4 = y[:, :start] @ features[:start]
        for number, at in enumerate(range(start, length, day)):
            theta = np.empty_like(side)
            for which in range(len(noises)):
                chosen = nearest[part] == which
                theta[chosen] = side[chosen] @ inverses[number][which]
            drawn = _squared((theta @ features[at : at + 2 * day].T) * scale)
            to = at - start
            near[part, to : to + day] = drawn[:, :day]
            far[part, to + day : to + 2 * day] = drawn[:, day:]
            some = slice(at, at + day)
            side = side + y[:, some] @ features[some]
    return near, far


def _inverses(features: F4, start: int, day: int, noises: F8) -> list[F4]:
    """Return (G + v)⁻¹ of each past refit, for each noise."""
    found = []
    gram = (features[:start].T @ features[:start]).astype(np.float64)
    for at in range(start, len(features), day):
        held = gram + noises[:, None, None] * np.eye(len(gram))
        found.append(np.linalg.inv(held).astype(np.float32))
        gram += features[at : at + day].T @ features[at : at + day]
    return found


def _tonight(fits: Fits, features: F4) -> F4:
    """Return tonight's curves over the history, in the scale of the solver, in the order of the slots."""
    design = fits.design
    trend = [fits.m] if design.trend_columns == 1 else [fits.k, fits.m]
    gaussian = np.column_stack([*trend, fits.beta]) / design.scales
    theta = np.hstack([gaussian, fits.delta / (math.sqrt(2.0) * design.tau)])
    curve: F4 = theta.astype(np.float32) @ features.T
    return curve
