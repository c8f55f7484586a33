"""The design matrix of a model on a time grid, built by Prophet itself: one for all series of the grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from prophet import Prophet

from forecasts.model import Growth, Model
from gridbeacon.frame import F8

Times = npt.NDArray[np.datetime64] | npt.NDArray[np.int64]
"""Civil times without a zone, or whole seconds since 1970-01-01 00:00 of the civil calendar; never falling."""
Columns = Mapping[str, npt.NDArray[Any]]
"""Conditions (true, false) and regressors (numbers) by name, one value per time."""

TREND_SCALE = 5.0
"""Prophet's prior of slope and offset is N(0, 5)."""


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Prophet's own features of one grid of T times, and the priors of their coefficients.

    ``gaussian`` is T × P: the slope's column (linear growth only), ones, then the K columns of Prophet;
    ``scales`` are the P standard deviations of its priors. ``hinges`` is T × S, max(t - changepoint, 0); it has no
    columns when growth is flat. ``template`` is the Prophet object that made them, without parameters.
    """

    model: Model
    template: Any
    times: npt.NDArray[np.datetime64]
    t: F8
    gaussian: F8
    scales: F8
    hinges: F8
    changepoints_t: F8

    @property
    def tau(self) -> float:
        """The changepoints' prior scale."""
        return float(self.model.changepoint_prior_scale)  # an int would have the kernel compiled once more

    @property
    def trend_columns(self) -> int:
        """Columns of ``gaussian`` before Prophet's own: slope and offset, or the offset alone."""
        return 1 if self.model.growth is Growth.FLAT else 2

    def features(self, times: Times, columns: Columns) -> tuple[F8, F8]:
        """Return t (H) and Prophet's features (H × K) of other times, such as those to come."""
        frame = self.template.setup_dataframe(_frame(self.model, times, columns))
        features = self.template.make_all_seasonality_features(frame)[0]
        return frame["t"].to_numpy(np.float64), features.to_numpy(np.float64)


def design_of(model: Model, times: Times, columns: Columns) -> Design:
    """Return the design of a model on at least two times.

    As Prophet does it, t runs from 0 at the first time to 1 at the last, changepoints stand on rows of the grid, and
    regressors are standardised over the grid. A series with gaps shares all three: alone, Prophet would take them
    from its observed rows. Raises ``ValueError`` on times or columns that don't fit the model.
    """
    frame = _frame(model, times, columns)
    if len(frame) < 2 or frame["ds"].iloc[0] == frame["ds"].iloc[-1]:
        raise ValueError("a model needs at least two different times; give a longer grid")
    template = prophet_of(model)
    # Only y's scale depends on y, and every series has its own.
    made = template.preprocess(frame.assign(y=np.linspace(0.5, 1.0, len(frame))))
    t = made.t.to_numpy(np.float64)
    flat = model.growth is Growth.FLAT
    trend = [np.ones_like(t)] if flat else [t, np.ones_like(t)]
    changepoints_t = np.asarray(made.t_change, np.float64)
    return Design(
        model=model,
        template=template,
        times=frame["ds"].to_numpy(),
        t=t,
        gaussian=np.column_stack([*trend, made.X.to_numpy(np.float64)]),
        scales=np.array([TREND_SCALE] * len(trend) + list(made.sigmas)),
        hinges=np.maximum(t[:, None] - (np.empty(0) if flat else changepoints_t), 0.0),
        changepoints_t=changepoints_t,
    )


def prophet_of(model: Model) -> Any:
    """Return a Prophet object of the model, not fitted yet."""
    rows = [
        {
            "holiday": holiday.name,
            "ds": pd.Timestamp(day),
            "lower_window": holiday.first_day,
            "upper_window": holiday.last_day,
            "prior_scale": holiday.prior_scale,
        }
        for holiday in model.holidays
        for day in holiday.days
    ]
    prophet = Prophet(
        growth=model.growth.value,
        n_changepoints=model.changepoints,
        changepoint_range=model.changepoint_range,
        changepoint_prior_scale=model.changepoint_prior_scale,
        yearly_seasonality=False,
        weekly_seasonality=False,
        daily_seasonality=False,
        holidays=pd.DataFrame(rows) if rows else None,
    )
    for wave in model.seasonalities:
        prophet.add_seasonality(
            wave.name, wave.period_days, wave.order, prior_scale=wave.prior_scale, condition_name=wave.condition
        )
    for regressor in model.regressors:
        prophet.add_regressor(regressor.name, prior_scale=regressor.prior_scale)
    return prophet


def _frame(model: Model, times: Times, columns: Columns) -> Any:
    """Return Prophet's data frame of times and the columns that the model names."""
    stamps = np.asarray(times)
    if stamps.dtype.kind == "i":
        stamps = stamps.astype("datetime64[s]")
    if stamps.dtype.kind != "M" or stamps.ndim != 1 or np.isnat(stamps).any():
        raise ValueError("times must be a row of datetime64 values without a zone, or of whole epoch seconds")
    if (np.diff(stamps) < np.timedelta64(0)).any():
        raise ValueError("times fall somewhere; sort them, and the values with them")
    frame = pd.DataFrame({"ds": stamps.astype("datetime64[ns]")})
    conditions = {wave.condition for wave in model.seasonalities if wave.condition}
    for name in (*sorted(conditions), *(regressor.name for regressor in model.regressors)):
        if name not in columns:
            raise ValueError(f"the model needs the column {name!r}; give one value per time")
        column = np.asarray(columns[name]).astype(np.float64)
        if column.shape != stamps.shape or not np.isfinite(column).all():
            raise ValueError(f"column {name!r} must hold one finite value for each of the {len(stamps)} times")
        if name in conditions and not np.isin(column, (0, 1)).all():
            raise ValueError(f"column {name!r} is a condition; it must hold true and false alone")
        frame[name] = column.astype(bool) if name in conditions else column
    return frame
