"""Curves of past nights: what the Gaussian density says of the days before, even where slots of the day are closed."""

import math

import numpy as np
import pytest

from forecasts.curves import Curves, prophet_fits
from forecasts.history import slots_of
from forecasts.nights import LEAST_NOISE, blend
from tests.unit.test_forecaster import made

STEP_MS, DAY, DAYS = 3_600_000, 24, 18


@pytest.mark.parametrize("closed_slots", [0, 6])
def test_past_curves_are_those_of_the_days_before_them(closed_slots: int) -> None:
    history = made(days=DAYS, series=2, step_ms=STEP_MS)
    values = history.values.copy().reshape(2, DAYS, DAY)
    values[:, :, :closed_slots] = np.nan  # Fourier sums are then all but dependent on what is left
    values[0, 3, 10:15] = np.nan
    values = values.reshape(2, -1)
    slots = slots_of(history.start_ms, STEP_MS, (DAYS + 2) * DAY, "UTC", history.day_types)
    fits = prophet_fits(values[:1], slots, STEP_MS)
    start = 14 * DAY
    empty = [np.full((2, n), np.nan, np.float32) for n in (values.shape[1] - start, values.shape[1] - start, 2 * DAY)]
    drawn = Curves(*empty)
    blend(drawn, values, np.array([0]), fits, slots, STEP_MS, start, DAY, np.array([0]))

    # In double precision, as the formula stands; a missing cell takes tonight's own value.
    design = fits.design
    features = np.hstack([design.gaussian * design.scales, design.hinges * (math.sqrt(2) * design.tau)])
    theta = np.hstack(
        [np.hstack([fits.k, fits.m, fits.beta[0]]) / design.scales, fits.delta[0] / (math.sqrt(2) * design.tau)]
    )
    y = np.sqrt(values[0].astype(float)) / fits.y_scale[0]
    rows = np.tile(np.arange(DAY) >= closed_slots, DAYS)
    y = np.where(np.isnan(y), features @ theta, y)
    noise = max(fits.sigma_obs[0], LEAST_NOISE) ** 2
    for night in range(DAYS - 14):
        before, refit = rows.copy(), start + night * DAY
        before[refit:] = False
        gram = features[before].T @ features[before] + noise * np.eye(features.shape[1])
        there = np.flatnonzero(rows[refit : refit + 2 * DAY]) + refit
        curve = features[there] @ np.linalg.solve(gram, features[before].T @ y[before])
        wanted = np.maximum(curve * fits.y_scale[0], 0) ** 2
        near = there < refit + DAY
        np.testing.assert_allclose(drawn.near[0, there[near] - start], wanted[near], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(drawn.far[0, there[~near] - start], wanted[~near], rtol=1e-4, atol=1e-3)
    assert np.isnan(drawn.far[0, :DAY]).all()


def test_a_refit_that_knew_too_little_is_left_to_the_profile() -> None:
    history = made(days=DAYS, series=2, step_ms=STEP_MS)
    slots = slots_of(history.start_ms, STEP_MS, (DAYS + 2) * DAY, "UTC", history.day_types)
    fits = prophet_fits(history.values, slots, STEP_MS)
    usual = Curves(*(np.full((2, n), 7.0, np.float32) for n in (4 * DAY, 4 * DAY, 2 * DAY)))
    blend(usual, history.values, np.arange(2), fits, slots, STEP_MS, 14 * DAY, DAY, np.array([0, 16 * DAY]))
    assert (usual.near[0] != 7).all()
    assert (usual.near[1, : 2 * DAY] == 7).all()
    assert (usual.near[1, 2 * DAY :] != 7).all()
    assert (usual.far[1, : 3 * DAY] == 7).all()
    assert (usual.far[1, 3 * DAY :] != 7).all()
    assert (usual.ahead != 7).all()
