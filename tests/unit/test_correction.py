"""The correction: what training sees is what lives, weights find what is there, and the bands hold their share."""

from dataclasses import replace

import numpy as np
import pytest

from forecasts.correction import learned, robust, stride_of
from forecasts.forecaster import History, Live, fit
from forecasts.rolling import gathered, roll
from tests.unit.test_forecaster import HOUR_MS, SETTINGS, START_MS, made

DAY_MS = 24 * HOUR_MS


def test_states_learned_from_history_are_those_of_living_through_it():
    history = made(days=30)
    longer = made(days=31)
    values = np.concatenate([history.values, longer.values[:, -24:]], axis=1)
    fitted = fit(history, SETTINGS)
    live = Live(fitted)
    for n in range(24):
        live.observe(fitted.end_ms + n * HOUR_MS, values[:, 30 * 24 + n])
    # The same day at the end of what is learned from, behind the same curve: the same state.
    near = np.concatenate([np.full((4, 24), 1.0, np.float32), fitted.curve[:, :24]], axis=1)
    recent = np.concatenate([np.full((4, 24), np.nan, np.float32), values[:, -24:]], axis=1)
    start = replace(fitted, state=0 * fitted.state, ring=0 * fitted.ring, common=0 * fitted.common)
    fresh = Live(start)
    for n in range(24):
        fresh.observe(fitted.end_ms + n * HOUR_MS, values[:, 30 * 24 + n])
    nowhere = np.full(48, -1)
    taught = learned(recent, near, near, nowhere, fitted.level, fitted.highest, np.array([1, 4]), 24, HOUR_MS)
    np.testing.assert_allclose(taught.state, fresh._state, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(taught.ring, fresh._ring.T, rtol=1e-4, atol=1e-5)


def test_robust_weights_are_those_of_the_most_rows_not_of_the_wildest():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 2000)).astype(np.float32)
    right = np.array([0.5, -0.2, 0.0]) @ x + rng.normal(0, 0.1, 2000)
    right[:60] += 50 * np.sign(x[0, :60])
    weights, _, _ = robust(x, right.astype(np.float32))
    assert weights == pytest.approx([0.5, -0.2, 0.0], abs=0.03)


@pytest.mark.parametrize("day", [24, 48, 96, 144, 288])
@pytest.mark.parametrize("count", [1, 300, 10_000])
def test_rows_that_are_learned_from_visit_every_slot_of_the_day(day, count):
    stride = stride_of(21 * day, day, count)
    assert len({t % day for t in range(0, 21 * day * stride, stride)}) == day


def test_the_correction_helps_on_days_that_are_busier_all_day_and_bands_hold_their_share():
    history = made(days=49, series=12, seed=9)
    settings = SETTINGS
    begin = START_MS + 42 * DAY_MS
    ran = list(
        roll(
            history, settings, from_ms=begin, to_ms=begin + 7 * DAY_MS, every_ms=DAY_MS, leads_ms=(0,), history_days=42
        )
    )
    (said,) = gathered(ran)
    curve = Live(fit(replace(history, values=history.values[:, : 42 * 24]), settings)).fitted.curve
    error = np.abs(said.columns["point"] - said.actual)
    plain = np.abs(curve[:, :24] - said.actual[:, :24])
    assert error.mean() < 0.8 * np.abs(said.naive - said.actual).mean()
    assert error[:, 2:24].mean() < plain[:, 2:].mean()
    held = ((said.actual >= said.columns["lower80"]) & (said.actual <= said.columns["upper80"])).mean()
    assert 0.72 < held < 0.88


def test_what_is_later_changes_nothing_that_was_said():
    history = made(days=36, series=3)
    begin = START_MS + 34 * DAY_MS
    changed = history.values.copy()
    changed[:, 35 * 24 :] = 7777
    other = History(history.names, START_MS, HOUR_MS, changed, "UTC", history.day_types)
    runs = [
        list(roll(one, SETTINGS, from_ms=begin, to_ms=begin + DAY_MS, every_ms=DAY_MS, leads_ms=(0,), history_days=42))
        for one in (history, other)
    ]
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a.forecast.upper95, b.forecast.upper95)
