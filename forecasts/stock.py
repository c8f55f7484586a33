"""Stock Prophet, one series at a time: for classes that the configuration names, and as the judge of the batch solver.

Slow (0.2 to 1.5 s a series) and with temporary files, so it belongs into a child process with a time limit. Only the
point forecast is stock Prophet's: the correction by the latest observations and the bands stay those of the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasts.curves import columns_of, prophet_model, times_of
from forecasts.design import Columns, Design, Times, prophet_of
from forecasts.fitted import FORECAST_REASONS, MODELS, Fitted
from forecasts.history import DAY_MS, History, Slots, slots_of
from forecasts.model import Growth
from gridbeacon.config_forecast import Forecast as Section
from gridbeacon.frame import F4, F8
from gridbeacon.reasons import ForecastModel, ForecastReason

_PROPHET = MODELS.index(ForecastModel.PROPHET)
_NAIVE = MODELS.index(ForecastModel.NAIVE)
_FITTED, _FAILED = FORECAST_REASONS.index(ForecastReason.FITTED), FORECAST_REASONS.index(ForecastReason.FAILED)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A history's times in order and the conditions of the model, for what was and for what is to come.

    ``order`` and ``later_order`` say which slot stands behind each time: an hour that comes twice stands twice.
    """

    times: Times
    order: np.ndarray
    columns: Columns
    later: Times
    later_order: np.ndarray
    later_columns: Columns

    @staticmethod
    def of(history: History, ahead: int) -> "Grid":
        """Return the grid of a history and of ``ahead`` slots after it."""
        rows = history.values.shape[1]
        slots = slots_of(history.start_ms, history.step_ms, rows + ahead, history.timezone, history.day_types)
        parts = [Slots(*(each[where] for each in _parts(slots))) for where in (slice(rows), slice(rows, None))]
        times, order = times_of(parts[0], history.step_ms)
        later, later_order = times_of(parts[1], history.step_ms)
        columns, later_columns = (columns_of(part) for part in parts)
        return Grid(
            times,
            order,
            {name: column[order] for name, column in columns.items()},
            later,
            later_order,
            {name: column[later_order] for name, column in later_columns.items()},
        )


def replaced(fitted: Fitted, history: History, section: Section, fit: Callable[..., F8] | None = None) -> Fitted:
    """Return a fit in which stock Prophet drew the curves of the classes that are configured for it.

    A series that it can't fit keeps its curve, and says ``failed``. Closed hours stay closed.
    """
    wanted = {f"{one.kind}/{one.metric}" for one in section.series if one.forecaster == "prophet"}
    names = [n for n, name in enumerate(fitted.names) if _class_of(name) in wanted and fitted.model[n] != _NAIVE]
    if not names:
        return fitted
    grid = Grid.of(history, fitted.curve.shape[1])
    curve, model, reason = fitted.curve.copy(), fitted.model.copy(), fitted.reason.copy()
    for n in names:
        try:
            drawn = (fit or stock_curve)(grid, np.sqrt(history.values[n]), DAY_MS // history.step_ms)
        except Exception:  # noqa: BLE001 - whatever Prophet, pandas or Stan raise of one series stops no other
            reason[n] = _FAILED
            continue
        squared = np.maximum(drawn, 0.0) ** 2
        curve[n] = np.where(np.isnan(curve[n]), np.nan, squared).astype(np.float32)
        model[n], reason[n] = _PROPHET, _FITTED
    return replace(fitted, curve=curve, model=model, reason=reason)


def stock_curve(grid: Grid, roots: F4, day: int) -> F8:
    """Return stock Prophet's forecast of one series of square roots, slot by slot after its history.

    Raises whatever Prophet raises on a history that it can't fit.
    """
    prophet = prophet_of(prophet_model(day))
    prophet.uncertainty_samples = 0
    frame = pd.DataFrame({"ds": _stamps(grid.times), **grid.columns, "y": roots[grid.order].astype(np.float64)})
    try:
        prophet.fit(frame)
        made = prophet.predict(pd.DataFrame({"ds": _stamps(grid.later), **grid.later_columns}))
    finally:
        prophet.stan_backend.cleanup()
    found = np.empty(len(grid.later))
    found[grid.later_order] = made["yhat"].to_numpy()
    return found


def stan_parameters(design: Design, y: F8) -> dict[str, Any]:
    """Return the parameters that Prophet's own Stan finds on our design, without the cells that are missing.

    ``y`` is scaled, NaN where missing. Left to itself Prophet would place its changepoints anew on the rows it sees.
    """
    seen = ~np.isnan(y)
    features = design.gaussian[seen][:, design.trend_columns :]
    bends = len(design.changepoints_t)
    data = {
        "T": int(seen.sum()),
        "S": bends,
        "K": features.shape[1],
        "tau": design.tau,
        "trend_indicator": 0 if design.model.growth is Growth.LINEAR else 2,
        "y": y[seen],
        "t": design.t[seen],
        "cap": np.zeros(int(seen.sum())),
        "t_change": design.changepoints_t,
        "s_a": np.ones(features.shape[1], int),
        "s_m": np.zeros(features.shape[1], int),
        "X": pd.DataFrame(features),
        "sigmas": design.scales[design.trend_columns :].tolist(),
    }
    begin = {"k": 0.0, "m": float(np.nanmean(y)), "sigma_obs": 1.0}
    prophet = prophet_of(design.model)
    # Newton from scratch, where the line search ends early, is ten times slower and no nearer.
    prophet.stan_backend.set_options(newton_fallback=False)
    try:
        found = prophet.stan_backend.fit(begin | {"delta": np.zeros(bends), "beta": np.zeros(features.shape[1])}, data)
    finally:
        prophet.stan_backend.cleanup()
    return {name: np.ravel(value) for name, value in found.items()}


def _stamps(times: Times) -> Any:
    return np.asarray(times).astype("datetime64[ns]")


def _class_of(name: str) -> str:
    return f"{name.partition('/')[0]}/{name.rpartition('/')[2]}"


def _parts(slots: Slots) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return slots.day, slots.slot, slots.weekday, slots.kind
