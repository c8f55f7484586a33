"""Forecasts of all series of a batch: ``fit`` once a night, then ``Live`` with every observation.

    fitted = fit(history, settings)          # seconds of computing; in a process of its own: bytes travel
    live = Live(fitted)
    live.observe(slot_ms, values)            # each slot, microseconds
    live.forecast(now_ms, settings.leads_ms)

No series stops the others: each says which model its forecast comes from, and why.

| history of a series | curve | model |
| --- | --- | --- |
| none | none | ``naive`` |
| less than a day | its latest value | ``naive`` |
| 1 to 6 days | its mean day, held to the shape of the batch's | ``profile`` |
| 7 to 13 days | the weekly profile, held to kinds of days | ``profile`` |
| 14 days or more | the mean of that and Prophet's | ``prophet_batch`` |

A day counts when a quarter of it was measured. What is learned uses nothing but the history.
"""

from dataclasses import dataclass, replace

import numpy as np

from forecasts import curves
from forecasts.correction import LEARN_DAYS, Correction, learned
from forecasts.correction_kernel import HIGHEST_TIMES
from forecasts.fitted import FORECAST_REASONS, MODELS, Fitted
from forecasts.history import DAY_MS, History, Slots, slots_of
from forecasts.ladder import Ladder, believed, ladder_of
from forecasts.live import Forecast, Live, probability_above
from forecasts.nights import blend
from forecasts.parallel import one_thread_each
from forecasts.solver import FitStatus
from gridbeacon.config_forecast import Forecast as Section
from gridbeacon.frame import F4, I8, U1
from gridbeacon.reasons import ForecastModel, ForecastReason

__all__ = ("Fitted", "Forecast", "History", "Live", "Settings", "fit", "probability_above")

MINUTE_MS = 60_000
GROUP = 5_000
"""Series that are fitted together: they share the common directions, and memory stays below a bound."""
PROFILE_DAYS, PROPHET_DAYS = 7, 14
SPARSE_SHARE = 0.2
SHAPE_DAYS = 1.0
"""The batch's shape counts as one day of a series that has less than a week."""


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
    """Return all series of a history, fitted. Pure; a series that can't be fitted says so by its model and reason.

    Raises ``ValueError`` when the grid itself is none: no series, names that don't match, a step that does not divide
    the day.
    """
    names, values, step_ms = history.names, history.values, history.step_ms
    if values.ndim != 2 or len(names) != len(values) or not names:
        raise ValueError(f"{len(names)} names for values of shape {values.shape}; give one row of values per name")
    if step_ms <= 0 or DAY_MS % step_ms:
        raise ValueError(f"a step of {step_ms} ms does not divide the day; choose another")
    ahead = (settings.valid_ms + settings.horizon_ms) // step_ms
    slots = slots_of(history.start_ms, step_ms, values.shape[1] + ahead, history.timezone, history.day_types)
    with one_thread_each():
        parts = [
            _fit_group(replace(history, names=names[at : at + GROUP], values=values[at : at + GROUP]), settings, slots)
            for at in range(0, len(names), GROUP)
        ]
    return parts[0] if len(parts) == 1 else Fitted.join(parts)


def _fit_group(history: History, settings: Settings, slots: Slots) -> Fitted:
    step_ms, day = history.step_ms, DAY_MS // history.step_ms
    values = believed(history.values, slots, day)
    length = values.shape[1]
    ladder, usable = ladder_of(values, slots, day)
    rows = _rows(length, day)
    drawn, table = curves.profiles(values, slots, day, rows)
    lone = np.flatnonzero((ladder.days > 0) & (ladder.days < PROFILE_DAYS))
    if len(lone):
        _held(drawn.ahead, table, lone, ladder, slots.kind[length:], slots.slot[length:])
    model, reason = _rung(ladder, history.values)
    chosen = np.flatnonzero(model == MODELS.index(ForecastModel.PROPHET_BATCH))
    if len(chosen):
        fits = curves.prophet_fits(values[chosen], slots, step_ms)
        status = np.array(fits.status)
        good = (status == FitStatus.OK) | (status == FitStatus.NO_NOISE)
        model[chosen[~good]] = MODELS.index(ForecastModel.PROFILE)
        reason[chosen[~good]] = FORECAST_REASONS.index(ForecastReason.NOT_CONVERGED)
        reason[chosen[status == FitStatus.CONSTANT]] = FORECAST_REASONS.index(ForecastReason.CONSTANT)
        if good.any():
            chosen = chosen[good]
            begins = ladder.first[chosen] + round((PROPHET_DAYS - 0.5) * day)
            blend(drawn, values, chosen, fits.take(np.flatnonzero(good)), slots, step_ms, length - rows, day, begins)
    naive = model == MODELS.index(ForecastModel.NAIVE)
    drawn.ahead[naive] = ladder.last[naive, None]
    usable[naive] = True
    most = HIGHEST_TIMES * ladder.highest[:, None]
    for each in (drawn.near, drawn.far, drawn.ahead):
        np.minimum(each, most, out=each)
    drawn.ahead[~usable] = np.nan
    leads = np.unique(np.maximum(np.array(settings.leads_ms, np.int64) // step_ms, 1))
    weeks = curves.weeks_before(slots, length, day)
    correction = learned(values, drawn.near, drawn.far, weeks, ladder.level, ladder.highest, leads, day, step_ms)
    week = values[:, weeks[length:]]
    week[:, weeks[length:] < 0] = np.nan
    return _fitted(history, settings, (model, reason), drawn.ahead, table, week, ladder, leads, correction)


def _rows(length: int, day: int) -> int:
    """Return the slots that are learned from: whole days, each with a week before it where there is as much."""
    days = length // day
    return day * max(0, min(LEARN_DAYS, days - PROFILE_DAYS if days >= PROFILE_DAYS + 3 else days - 2))


def _rung(ladder: Ladder, raw: F4) -> tuple[U1, U1]:
    """Return model and reason of each series by the history that it has, before anything was fitted."""
    sparse = ladder.share < SPARSE_SHARE
    rungs = (
        (~np.isfinite(raw).any(1), ForecastModel.NAIVE, ForecastReason.NO_HISTORY),
        (np.isnan(ladder.last), ForecastModel.NAIVE, ForecastReason.NOT_FINITE),
        (ladder.days < 1, ForecastModel.NAIVE, ForecastReason.SHORT_HISTORY),
        (ladder.days < PROPHET_DAYS, ForecastModel.PROFILE, ForecastReason.SHORT_HISTORY),
        (sparse, ForecastModel.PROFILE, ForecastReason.SPARSE_HISTORY),
    )
    conditions = [condition for condition, _, _ in rungs]
    model = np.select(conditions, [MODELS.index(one) for _, one, _ in rungs], MODELS.index(ForecastModel.PROPHET_BATCH))
    fitted = FORECAST_REASONS.index(ForecastReason.FITTED)
    reason = np.select(conditions, [FORECAST_REASONS.index(one) for _, _, one in rungs], fitted)
    return model.astype(np.uint8), reason.astype(np.uint8)


def _held(ahead: F4, table: F4, lone: I8, ladder: Ladder, kinds: I8, places: I8) -> None:
    """Hold series of a few days to the batch's shape, in place: by kind of day and slot, in units of the level."""
    long = np.flatnonzero((ladder.days >= PROFILE_DAYS) & (ladder.highest > 0))
    if not len(long):
        return
    with np.errstate(invalid="ignore"):
        shape = np.nanmean(table[long] / ladder.level[long, None, None], axis=0)
    weight = (ladder.days[lone] / (ladder.days[lone] + SHAPE_DAYS)).astype(np.float32)[:, None, None]
    own, of_batch = table[lone], ladder.level[lone, None, None] * shape
    mixed = np.where(np.isnan(own), of_batch, np.where(np.isnan(of_batch), own, weight * own + (1 - weight) * of_batch))
    table[lone] = mixed
    ahead[lone] = mixed[:, kinds, places]


def _fitted(
    history: History, settings: Settings, rung: tuple[U1, U1], curve: F4, table: F4, week: F4, ladder: Ladder,
    leads: I8, correction: Correction,
) -> Fitted:  # fmt: skip
    return Fitted(
        names=history.names,
        step_ms=history.step_ms,
        end_ms=history.end_ms,
        valid_until_ms=history.end_ms + settings.valid_ms,
        timezone=history.timezone,
        day_types=history.day_types,
        leads=leads,
        group=np.zeros(len(history.names), np.int64),
        model=rung[0],
        reason=rung[1],
        curve=curve,
        week=week,
        profile=table,
        weights=correction.weights,
        quantiles=correction.quantiles,
        level=ladder.level,
        highest=ladder.highest,
        last=np.nan_to_num(ladder.last),
        state=correction.state,
        ring=correction.ring,
        loads=correction.loads,
        common=correction.common[None],
    )
