"""The nightly audit: a few series, fitted by the batch solver and by Prophet's own Stan, and how far they are apart."""

import msgspec
import numpy as np

from forecasts.curves import prophet_model
from forecasts.density import negative_log_posterior
from forecasts.history import DAY_MS, History
from forecasts.solver import Fits, FitStatus, fit, predict
from forecasts.stock import Grid, stan_parameters
from gridbeacon.config_forecast import Forecast as Section
from gridbeacon.frame import F8

MIN_DAYS = 14
"""Of history; below them the profile forecasts, and there is nothing to compare."""


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """One series, fitted twice, over the ``slots`` of its next day: ours minus Stan's as shares of the series' mean.

    ``objective_difference`` is our objective minus Stan's: below 0 ours is better.
    """

    name: str
    slots: int
    mean_difference: float
    largest_difference: float
    objective_difference: float


def audited(history: History, section: Section) -> list[Audited]:
    """Return what the audit finds of the series of a history, those left out that neither can fit."""
    day = DAY_MS // history.step_ms
    ahead = section.horizon_hours * 3_600_000 // history.step_ms
    grid = Grid.of(history, ahead)
    enough = np.isfinite(history.values).sum(1) >= min(MIN_DAYS * day // 2, history.values.shape[1] // 2)
    numbers = np.flatnonzero(enough)
    if not len(numbers):
        return []
    roots = np.sqrt(history.values[numbers])[:, grid.order].astype(np.float64)
    fits = fit(prophet_model(day), grid.times, roots, grid.columns)
    ours = np.maximum(predict(fits, grid.later, grid.later_columns), 0.0) ** 2
    found = []
    for place, number in enumerate(numbers.tolist()):
        if fits.status[place] is not FitStatus.OK:
            continue
        y = roots[place] / fits.y_scale[place]
        try:
            theirs = stan_parameters(fits.design, y)
        except Exception:  # noqa: BLE001, S112 - where Stan gives up there is nothing to compare
            continue
        t, features = fits.design.features(grid.later, grid.later_columns)
        bends = np.maximum(t[:, None] - fits.design.changepoints_t, 0.0) @ theirs["delta"]
        curve = theirs["m"][0] + theirs["k"][0] * t + bends + features @ theirs["beta"]
        stan = np.maximum(curve * fits.y_scale[place], 0.0) ** 2
        level = float(np.nanmean(history.values[number])) or 1.0
        apart = np.abs(ours[place] - stan) / level
        found.append(
            Audited(
                name=history.names[number],
                slots=len(apart),
                mean_difference=float((ours[place] - stan).mean() / level),
                largest_difference=float(apart.max()),
                objective_difference=_objective(fits, place, y) - _objective(fits, place, y, theirs),
            )
        )
    return found


def _objective(fits: Fits, place: int, y: F8, parameters: dict[str, F8] | None = None) -> float:
    names = ("k", "m", "delta", "beta", "sigma_obs")
    one = {name: np.ravel(getattr(fits, name)[place] if parameters is None else parameters[name]) for name in names}
    scalars = {name: float(one[name][0]) for name in ("k", "m", "sigma_obs")}
    return negative_log_posterior(fits.design, y, delta=one["delta"], beta=one["beta"], **scalars)
