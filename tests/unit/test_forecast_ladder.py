"""The ladder: which model a history carries, and which values are believed; one bad series never stops the others."""

import numpy as np
import pytest

from forecasts.forecaster import History, Live, Settings, fit
from forecasts.history import slots_of
from forecasts.ladder import believed
from gridbeacon.reasons import ForecastModel, ForecastReason
from tests.unit.test_forecaster import HOUR_MS, SETTINGS, START_MS, made

DAY = 24


@pytest.fixture(scope="module")
def ladder():
    """One batch with a series for each mishap, and two good ones."""
    history = made(days=35, series=14, seed=4)
    v = history.values.copy()
    v[2] = np.nan
    v[3, : -3 * DAY] = np.nan
    v[4, : -10 * DAY] = np.nan
    v[5, :-2] = np.nan
    v[6] = 0.0
    v[7] = 42.0
    v[8] = np.inf
    v[9] *= 1e12
    v[10, 100] = 1e12
    v[11, 2 * DAY : -4 * DAY] = np.nan
    v[12, np.random.default_rng(0).random(35 * DAY) < 0.9] = np.nan
    v[13, -30 * DAY :] = np.nan
    changed = History(history.names, START_MS, HOUR_MS, v, "UTC", history.day_types)
    fitted = fit(changed, SETTINGS)
    found = Live(fitted).forecast(changed.end_ms, [h * HOUR_MS for h in range(48)])
    return changed, fitted, found


EXPECTED = {
    0: (ForecastModel.PROPHET_BATCH, ForecastReason.FITTED),
    1: (ForecastModel.PROPHET_BATCH, ForecastReason.FITTED),
    2: (ForecastModel.NAIVE, ForecastReason.NO_HISTORY),
    3: (ForecastModel.PROFILE, ForecastReason.SHORT_HISTORY),
    4: (ForecastModel.PROFILE, ForecastReason.SHORT_HISTORY),
    5: (ForecastModel.NAIVE, ForecastReason.SHORT_HISTORY),
    6: (ForecastModel.PROFILE, ForecastReason.CONSTANT),
    7: (ForecastModel.PROFILE, ForecastReason.CONSTANT),
    8: (ForecastModel.NAIVE, ForecastReason.NO_HISTORY),
    9: (ForecastModel.PROPHET_BATCH, ForecastReason.FITTED),
    10: (ForecastModel.PROPHET_BATCH, ForecastReason.FITTED),
    11: (ForecastModel.PROFILE, ForecastReason.SHORT_HISTORY),
}


@pytest.mark.parametrize("number", EXPECTED)
def test_each_history_has_the_model_that_it_carries_and_says_why(ladder, number):
    _, fitted, _ = ladder
    assert (fitted.models()[number], fitted.reasons()[number]) == EXPECTED[number]


def test_all_forecasts_are_between_0_and_three_times_the_maximum(ladder):
    history, _, found = ladder
    with np.errstate(invalid="ignore"):
        highest = np.nanmax(np.where(np.isfinite(history.values), history.values, np.nan), axis=1, initial=0)
    for n in range(len(history.names)):
        if n in (2, 8):
            assert np.isnan(found.point[n]).all()
        else:
            assert np.isfinite(found.point[n]).all(), n
            assert (found.lower95[n] >= 0).all()
            assert (found.point[n] <= 3 * highest[n] * 1.0001).all()


def test_one_bad_series_leaves_the_others_as_they_are(ladder):
    history, _, found = ladder
    good = History(history.names[:2], START_MS, HOUR_MS, history.values[:2], "UTC", history.day_types)
    alone = Live(fit(good, SETTINGS)).forecast(history.end_ms, [12 * HOUR_MS])
    assert found.point[:2, 12] == pytest.approx(alone.point[:, 0], rel=0.2)


def test_a_single_absurd_value_changes_nothing_of_the_scale(ladder):
    history, _, found = ladder
    usual = np.median(history.values[10])
    assert found.point[10].max() < 20 * usual


def test_zeros_of_a_dead_sensor_are_an_outage_but_empty_weekends_are_not():
    history = made(days=35, series=3)
    v = history.values.copy()
    v[0, 14 * DAY : 17 * DAY] = 0
    slots = slots_of(START_MS, HOUR_MS, 35 * DAY, "UTC", history.day_types)
    v[1, slots.kind == 1] = 0
    v[2, np.isin(slots.slot, (1, 2, 3, 4))] = 0
    kept = believed(v, slots, DAY)
    assert np.isnan(kept[0, 14 * DAY + 6 : 17 * DAY]).all()
    assert np.isnan(kept[0]).sum() <= 3 * DAY + 2
    assert not np.isnan(kept[1:]).any()


def test_closed_hours_are_not_forecast():
    history = made(days=28, series=2)
    v = history.values.copy()
    slots = slots_of(START_MS, HOUR_MS, 28 * DAY, "UTC", history.day_types)
    v[:, slots.slot < 6] = np.nan
    v[1, slots.weekday == 6] = np.nan
    closed = History(history.names, START_MS, HOUR_MS, v, "UTC", history.day_types)
    live = Live(fit(closed, Settings(leads_ms=(HOUR_MS,), horizon_ms=168 * HOUR_MS, valid_ms=200 * HOUR_MS)))
    found = live.forecast(closed.end_ms, [h * HOUR_MS for h in range(168)])
    ahead = slots_of(closed.end_ms, HOUR_MS, 168, "UTC", history.day_types)
    assert (np.isnan(found.point[0]) == (ahead.slot < 6)).all()
    assert (np.isnan(found.point[1]) == ((ahead.slot < 6) | (ahead.weekday == 6))).all()


def test_two_changes_of_the_clock_are_no_news():
    """Berlin, March and October 2026 in one history: the forecast goes by the clock."""
    step = HOUR_MS
    start = 1_773_442_800_000  # 2026-03-14 00:00 in Berlin
    from forecasts.history import DayTypes

    types = DayTypes(__import__("datetime").date(2026, 1, 1))
    days = 232  # beyond 2026-10-25
    slots = slots_of(start, step, days * 24, "Europe/Berlin", types)
    usual = 20 + 100 * np.exp(-(((slots.slot - 9) / 2.0) ** 2))
    values = np.random.default_rng(3).poisson(usual, (2, len(usual))).astype(np.float32)
    history = History(("a", "b"), start, step, values, "Europe/Berlin", types)
    fitted = fit(history, SETTINGS)
    found = Live(fitted).forecast(history.end_ms, [h * step for h in range(24)])
    ahead = slots_of(history.end_ms, step, 24, "Europe/Berlin", types)
    assert (ahead.slot[found.point.argmax(1)] == 9).all()
    assert fitted.models() == (ForecastModel.PROPHET_BATCH,) * 2
