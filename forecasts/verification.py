"""How good forecasts were: one row of figures for each lead."""

from dataclasses import dataclass

import numpy as np

from forecasts.rolling import Said
from gridbeacon.frame import F4, F8

CROSSED_SHARE = 0.015
"""The level of a series that is to be foreseen: what it passed in 1.5 % of the slots before the first origin."""
BUSY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one lead. ``ratio`` is the mean absolute error over that of the same time last week, ``mase`` that over each
    series' own last-week error before the first origin. Widths are shares of the mean. ``busy_upper`` is the share
    at or below the upper 80 % bound in the tenth of the slots that was forecast to be busiest. NaN where there was
    nothing to count."""

    lead_secs: int
    forecasts: int
    mae: float
    ratio: float
    mase: float
    held80: float
    held95: float
    width80: float
    width95: float
    busy_upper: float
    crossings: int
    watch_recall: float
    watch_precision: float
    warning_recall: float
    warning_precision: float
    average_precision: float


def figures(said: Said, lead_secs: int, before: F4, day: int) -> Figures:
    """Return the figures of a lead; ``before`` (N × T) is what was measured before the first origin, ``day`` its slots
    of a day."""
    column = {name: values.astype(np.float64) for name, values in said.columns.items()}
    point, actual = column["point"], said.actual.astype(np.float64)
    known = np.isfinite(point) & np.isfinite(actual)
    error = np.abs(point - actual)
    weekly = known & np.isfinite(said.naive)
    level = _mean(actual[known])
    held = {
        share: _share((actual >= column[f"lower{share}"]) & (actual <= column[f"upper{share}"]), known)
        for share in (80, 95)
    }
    below = actual <= column["upper80"]
    limit = _levels(before)[:, None]
    crossed = (actual > limit) & known
    watch, warning = ((column[name] > limit) & known for name in ("upper80", "point"))
    return Figures(
        lead_secs=lead_secs,
        forecasts=int(known.sum()),
        mae=_mean(error[known]),
        ratio=_over(_mean(error[weekly]), _mean(np.abs(said.naive - actual)[weekly])),
        mase=_mase(np.where(known, error, np.nan), before, day),
        held80=held[80],
        held95=held[95],
        width80=_over(_mean((column["upper80"] - column["lower80"])[known]), level),
        width95=_over(_mean((column["upper95"] - column["lower95"])[known]), level),
        busy_upper=_share(below, known & _busy(point)),
        crossings=int(crossed.sum()),
        watch_recall=_share(watch, crossed),
        watch_precision=_share(crossed, watch),
        warning_recall=_share(warning, crossed),
        warning_precision=_share(crossed, warning),
        average_precision=average_precision(((point - limit) / (np.sqrt(limit) + 1.0))[known], crossed[known]),
    )


def average_precision(score: F8, hit: np.ndarray) -> float:
    """Return the mean, over all hits, of the precision of those ranked at or above it.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
    0.8333333333333333
    """
    if not hit.any():
        return float("nan")
    ranked = hit[np.argsort(-score, kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def _levels(before: F4) -> F8:
    found = np.full(len(before), np.inf)
    for number, row in enumerate(before):
        if (seen := row[np.isfinite(row)]).size:
            found[number] = np.quantile(seen, 1.0 - CROSSED_SHARE)
    return found


def _busy(point: F8) -> np.ndarray:
    found = np.zeros(point.shape, np.bool_)
    for number, row in enumerate(point):
        if np.isfinite(row).any():
            found[number] = row >= np.nanquantile(row, 1.0 - BUSY_SHARE)
    return found


def _mase(error: F8, before: F4, day: int) -> float:
    if before.shape[1] <= 7 * day:
        return float("nan")
    last_week = np.abs(before[:, 7 * day :] - before[:, : -7 * day]).astype(np.float64)
    found = []
    for own, weekly in zip(error, last_week, strict=True):
        if np.isfinite(own).any() and np.isfinite(weekly).any() and (scale := np.nanmean(weekly)) > 0:
            found.append(float(np.nanmean(own) / scale))
    return _mean(np.array(found))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _share(hit: np.ndarray, of: np.ndarray) -> float:
    return _mean(hit[of].astype(np.float64))


def _over(value: float, other: float) -> float:
    return value / other if other > 0 else float("nan")
