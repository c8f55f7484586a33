"""Forecasts of all series of a batch: ``fit`` once a night, then ``Live`` with every observation.

    fitted = fit(history, settings)          # seconds of computing; in a process of its own: bytes travel
    live = Live(fitted)
    live.observe(slot_ms, values)            # each slot, microseconds
    live.forecast(now_ms, settings.leads_ms)

No series stops the others: each says which model its forecast comes from, and why.
"""

from dataclasses import dataclass

import numpy as np

from forecasts.fitted import FORECAST_REASONS, MODELS, Fitted
from forecasts.history import HOLIDAY, WEEKEND, History, slots_of
from forecasts.live import FAST, FLOOR_SHARE, SLOW, Forecast, Live, probability_above
from gridbeacon.config_forecast import Forecast as Section
from gridbeacon.frame import F4
from gridbeacon.reasons import ForecastModel, ForecastReason

__all__ = ("Fitted", "Forecast", "History", "Live", "Settings", "fit", "probability_above")

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What a fit is asked for. ``horizon_ms`` beyond the end of the history is forecast at once; it stays valid for
    ``valid_ms``. ``leads_ms`` get correction and bands of their own, ascending."""

    horizon_ms: int = 24 * 60 * MINUTE_MS
    valid_ms: int = 48 * 60 * MINUTE_MS
    leads_ms: tuple[int, ...] = tuple(m * MINUTE_MS for m in (15, 30, 60, 120, 240, 720, 1440))

    @staticmethod
    def of(section: Section) -> "Settings":
        """Return the settings of a configuration."""
        horizon_ms = section.horizon_hours * 60 * MINUTE_MS
        leads_ms = tuple(minutes * MINUTE_MS for minutes in section.leads_minutes)
        return Settings(horizon_ms, 2 * horizon_ms, leads_ms)


def fit(history: History, settings: Settings) -> Fitted:
    """Return all series of a history, fitted. Pure; a series that can't be fitted says so by its model and reason."""
    step_ms, (count, rows) = history.step_ms, history.values.shape
    ahead = (settings.valid_ms + settings.horizon_ms) // step_ms
    slots = slots_of(history.start_ms, step_ms, rows + ahead, history.timezone, history.day_types)
    values = np.where(np.isfinite(history.values), history.values, np.nan).astype(np.float32)
    profile = _profile(values, slots.kind[:rows], slots.slot[:rows], 86_400_000 // step_ms)
    curve = profile[:, slots.kind, slots.slot]
    residual = np.nan_to_num(values - curve[:, :rows])
    leads = np.unique(np.maximum(np.array(settings.leads_ms, np.int64) // step_ms, 1))
    states = _means(residual)
    weights, quantiles = _learned(states, values, curve[:, :rows], leads)
    seen = np.isfinite(values)
    known = seen.any(1)
    model = np.where(known, MODELS.index(ForecastModel.PROFILE), MODELS.index(ForecastModel.NAIVE))
    reasons = ForecastReason.SHORT_HISTORY, ForecastReason.NO_HISTORY
    reason = np.where(known, *(FORECAST_REASONS.index(one) for one in reasons))
    filled = np.where(seen, values, 0.0)
    newest = rows - 1 - np.argmax(seen[:, ::-1], axis=1)
    return Fitted(
        names=history.names,
        step_ms=step_ms,
        end_ms=history.end_ms,
        valid_until_ms=history.end_ms + settings.valid_ms,
        timezone=history.timezone,
        day_types=history.day_types,
        leads=leads,
        model=model.astype(np.uint8),
        reason=reason.astype(np.uint8),
        curve=np.ascontiguousarray(curve[:, rows:]),
        profile=profile,
        weights=weights,
        quantiles=quantiles,
        level=(filled.sum(1) / np.maximum(seen.sum(1), 1)).astype(np.float32),
        highest=filled.max(1).astype(np.float32),
        last=filled[np.arange(count), newest].astype(np.float32),
        state=np.ascontiguousarray(states[:, :, -1]),
    )


def _profile(values: F4, kind: np.ndarray, slot: np.ndarray, day: int) -> F4:
    """Return the mean of each slot of each kind of day, N × 3 × S; a kind that was never seen takes the nearest."""
    found = np.full((len(values), 3, day), np.nan, np.float32)
    seen, filled = np.isfinite(values), np.nan_to_num(values)
    for one in range(3):
        for place in np.unique(slot):
            part = (kind == one) & (slot == place)
            n = seen[:, part].sum(1)
            found[:, one, place] = np.where(n, filled[:, part].sum(1) / np.maximum(n, 1), np.nan)
    for one, others in ((HOLIDAY, (WEEKEND, 0)), (WEEKEND, (0, HOLIDAY)), (0, (WEEKEND, HOLIDAY))):
        for other in others:
            found[:, one] = np.where(np.isnan(found[:, one]), found[:, other], found[:, one])
    return found


def _means(residual: F4) -> F4:
    """Return the two means of residuals after each slot, 2 × N × T."""
    found = np.zeros((2, *residual.shape), np.float32)
    now = np.zeros((2, len(residual)), np.float32)
    for place in range(residual.shape[1]):
        for number, gain in enumerate((FAST, SLOW)):
            now[number] += np.float32(gain) * (residual[:, place] - now[number])
        found[:, :, place] = now
    return found


def _learned(states: F4, values: F4, curve: F4, leads: np.ndarray) -> tuple[F4, F4]:
    """Return the pooled weights of each lead and the quantiles of the scaled errors that are left."""
    count, rows = values.shape
    weights = np.zeros((len(leads), 2, count), np.float32)
    quantiles = np.zeros((len(leads), 4, count), np.float32)
    level = np.nanmean(np.where(np.isfinite(values), values, 0.0), axis=1, keepdims=True) + 1e-9
    for number, lead in enumerate(leads.tolist()):
        if lead >= rows:
            continue
        x = states[:, :, : rows - lead] / level
        error = np.nan_to_num((values - curve)[:, lead:]) / level
        gram = np.einsum("ant,bnt->ab", x, x) + 1e-3 * np.eye(2)
        solved = np.linalg.solve(gram, np.einsum("ant,nt->a", x, error)).astype(np.float32)
        weights[number] = solved[:, None]
        point = np.maximum(curve[:, lead:] + np.einsum("a,ant->nt", solved, states[:, :, : rows - lead]), 0.0)
        scaled = (values[:, lead:] - point) / np.sqrt(point + FLOOR_SHARE * level)
        for place, share in enumerate((0.025, 0.1, 0.9, 0.975)):
            quantiles[number, place] = np.nan_to_num(np.nanquantile(np.nan_to_num(scaled), share, axis=1))
    return weights, quantiles
