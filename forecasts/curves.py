"""The curves of each series: the weekly profile's, and what is asked of Prophet."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasts.design import Columns
from forecasts.history import DAY_MS, HOLIDAY, MAKEUP, Slots
from forecasts.model import Growth, Model, Seasonality
from forecasts.parallel import over_rows
from forecasts.profile_kernel import HOLIDAYS, profile_rows
from forecasts.solver import Fits, fit
from gridbeacon.frame import F4, I8

DAILY_ORDER, WEEKLY_ORDER = 30, 84
WEEKLY_PRIOR = 0.03
"""The week adds little to the days of its kind, unless the data insist."""
BENDS_PRIOR = 0.01


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


def weeks_before(slots: Slots, length: int, day: int) -> I8:
    """Return for each slot of the history (``length``) and after it which slot of the history was a week before, at the
    same time of the clock; -1 where it is not in the history.
    """
    first = int(slots.day[0])
    position = np.full((int(slots.day[-1]) - first + 1, day), -1, np.int64)
    position[slots.day[:length] - first, slots.slot[:length]] = np.arange(length)
    wanted = slots.day - first - 7
    return np.where(wanted >= 0, position[np.maximum(wanted, 0), slots.slot], -1)


def prophet_fits(values: F4, slots: Slots, step_ms: int) -> Fits:
    """Return Prophet's fits of series, on square roots."""
    past = Slots(*(part[: values.shape[1]] for part in (slots.day, slots.slot, slots.weekday, slots.kind)))
    times, order = times_of(past, step_ms)
    roots = np.sqrt(values)
    if (np.diff(order) < 0).any():
        roots = roots[:, order]
    columns = {name: column[order] for name, column in columns_of(past).items()}
    return fit(prophet_model(DAY_MS // step_ms), times, roots, columns)
