"""The correction's inner loops, series by series. What they compute, and why: ``forecasts.correction``.

All compiled functions of the correction stand in this one file, for the sake of numba's cache (see ``kernel``).
"""

import math

import numba
import numpy as np

from gridbeacon.frame import F4, F8, I8

HOURS = (1.0, 3.0, 8.0)
"""Time constants of the means of scaled residuals."""
RATIO_HOURS = (1.0, 4.0)
"""Those of the ratio of what was measured to the curve."""
FORGET_HOURS = 12.0
"""While nothing is measured, what was seen fades with this time constant."""
FEATURES = 11
STATES = 8
"""Of one series: the latest scaled residual, three means of it, two sums for each of the two ratios."""
FLOOR_SHARE = 0.05
"""Residuals are scaled by the root of (curve + this share of the mean): counts spread so, and none is exact."""
BAND_POWER = 0.6
"""Errors grow a little faster than those of counts do: with the root, busy hours pass the upper band too often."""
HIGHEST_TIMES = 3.0
"""No forecast passes three times the largest value of the history."""
CLIP = 8.0
"""Scaled residuals beyond this say no more than that something is very wrong."""
FEW = 30
"""With fewer errors than this a series takes the quantiles of all."""
SHARES = (0.025, 0.1, 0.9, 0.975)


@numba.njit(cache=True, nogil=True)
def step(state: F4, value: float, curve: float, level: float, gains: F4) -> float:
    """Move a series' state by one slot, in place; return its scaled residual, 0 where nothing was measured.

    ``gains`` are those of ``HOURS``, ``RATIO_HOURS`` and, last, ``FORGET_HOURS``.
    """
    if math.isnan(value) or math.isnan(curve):
        fade = np.float32(1) - gains[5]
        state[0] = 0.0
        for i in (1, 2, 3, 4, 6):
            state[i] *= fade
        return 0.0
    residual = value - curve
    z = min(max(residual / math.sqrt(curve + FLOOR_SHARE * level), -CLIP), CLIP)
    state[0] = z
    for i in range(3):
        state[1 + i] += gains[i] * (z - state[1 + i])
    for i in range(2):
        state[4 + 2 * i] += gains[3 + i] * (residual - state[4 + 2 * i])
        state[5 + 2 * i] += gains[3 + i] * (curve - state[5 + 2 * i])
    return z


@numba.njit(cache=True, nogil=True)
def states_of(values: F4, curve: F4, level: float, gains: F4, states: F4) -> None:
    """Fill ``states`` (T × STATES) with a series' state after each slot."""
    now = np.zeros(STATES, np.float32)
    for t in range(len(values)):
        step(now, values[t], curve[t], level, gains)
        states[t] = now


@numba.njit(cache=True, nogil=True)
def features(
    state: F4, own: F4, slow: F4, loads: F4, before: float, week: float, curve: float, level: float, x: F4
) -> None:
    """Fill ``x`` with the features of one target: ``state`` as of the origin, ``before`` the scaled residual a day
    before the target, ``week`` the value a week before it, ``own`` and ``slow`` what all series together are off by.
    """
    root = math.sqrt(curve + FLOOR_SHARE * level)
    for i in range(4):
        x[i] = state[i] * root
    x[4] = before * root
    for i in range(2):
        ratio = state[4 + 2 * i] / (state[5 + 2 * i] + FLOOR_SHARE * level)
        x[5 + i] = min(max(ratio, -1.0), 2.0) * curve
    one, all_now, all_slow = loads[0] * own[0], 0.0, 0.0
    for i in range(len(loads)):
        all_now += loads[i] * own[i]
        all_slow += loads[i] * slow[i]
    x[7], x[8], x[9] = one * root, all_now * root, all_slow * root
    x[10] = 0.0 if math.isnan(week) else week - curve


@numba.njit(cache=True, nogil=True)
def _rows(
    values: F4, near: F4, far: F4, week: F4, states: F4, loads: F4, own: F4, slow: F4, level: float,
    lead: int, day: int, stride: int, x: F4, right: F4, curves: F4, block: I8,
) -> int:  # fmt: skip
    """Fill features, residuals (both over the level), curves and blocks of targets ``lead`` slots ahead.

    Return how many there are. ``near`` is the curve of the refit of the target's own day, ``far`` that of the day
    before; days begin at multiples of ``day``.
    """
    count = 0
    scale = np.float32(1.0 / level)
    for t in range(lead, len(values)):
        if t % stride:
            continue
        origin = t - lead
        curve = near[t] if t // day == (origin + 1) // day else far[t]
        if math.isnan(curve) or math.isnan(values[t]):
            continue
        before = float(states[t - day, 0]) if lead <= day <= t else 0.0
        features(states[origin], own[:, origin], slow[:, origin], loads, before, week[t], curve, level, x[count])
        x[count] *= scale
        right[count] = (values[t] - curve) * scale
        curves[count] = curve
        block[count] = t // day
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def sample_rows(
    values: F4, near: F4, far: F4, week: F4, loads: F4, own: F4, slow: F4, level: F4, gains: F4, numbers: I8,
    lead: int, day: int, stride: int,
) -> tuple[F4, F4]:  # fmt: skip
    """Return features (M × FEATURES) and residuals (M) of some series, all below one another."""
    most = values.shape[1] // stride + 1
    x = np.empty((len(numbers) * most, FEATURES), np.float32)
    right = np.empty(len(numbers) * most, np.float32)
    states = np.empty((values.shape[1], STATES), np.float32)
    curves, block = np.empty(most, np.float32), np.empty(most, np.int64)
    count = 0
    for n in numbers:
        states_of(values[n], near[n], level[n], gains, states)
        count += _rows(
            values[n], near[n], far[n], week[n], states, loads[n], own, slow, level[n], lead, day, stride,
            x[count:], right[count:], curves, block,
        )  # fmt: skip
    return x[:count], right[:count]


@numba.njit(cache=True, nogil=True)
def _solved(gram: F8, side: F8) -> F8:
    """Return gram⁻¹ side by Cholesky; gram is positive definite."""
    size = len(side)
    low = np.zeros((size, size))
    y = np.empty(size)
    for i in range(size):
        for j in range(i + 1):
            left = gram[i, j]
            for k in range(j):
                left -= low[i, k] * low[j, k]
            low[i, j] = math.sqrt(max(left, 1e-30)) if i == j else left / low[j, j]
        left = side[i]
        for k in range(i):
            left -= low[i, k] * y[k]
        y[i] = left / low[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            y[i] -= low[k, i] * y[k]
        y[i] /= low[i, i]
    return y


@numba.njit(cache=True, nogil=True)
def quantile(ordered: F4, share: float) -> float:
    """Return the conformal quantile of ordered errors: of m and one more, not of m (Vovk et al. 2005)."""
    count = len(ordered)
    at = min(max(share * (count + 1) - 1.0, 0.0), count - 1.0)
    below = int(at)
    above = min(below + 1, count - 1)
    return float(ordered[below] + (at - below) * (ordered[above] - ordered[below]))


@numba.njit(cache=True, nogil=True)
def _accumulate(x: F4, right: F4, block: I8, pooled: F8, spread: float, halves: F8, sides: F8) -> None:
    """Fill the normal equations (below the diagonal) of what the pooled weights leave, for even and odd days.

    A row's weight makes the sum of squares one of absolute values.
    """
    halves[:] = 0.0
    sides[:] = 0.0
    for m in range(len(x)):
        error = right[m]
        for j in range(FEATURES):
            error -= x[m, j] * pooled[j]
        weight = 1.0 / max(abs(error), spread)
        half = block[m] % 2
        for j in range(FEATURES):
            part = weight * x[m, j]
            sides[half, j] += part * error
            for k in range(j + 1):
                halves[half, j, k] += part * x[m, k]


@numba.njit(cache=True, nogil=True)
def _judge(
    x: F4, right: F4, curves: F4, block: I8, both: F8, since: int, level: float, highest: float, errors: F4
) -> int:
    """Fill the scaled errors of days from ``since`` on, by the weights of the other half; return how many there are."""
    kept = 0
    for m in range(len(x)):
        if block[m] < since:
            continue
        half = 1 - block[m] % 2
        point = 0.0
        for j in range(FEATURES):
            point += x[m, j] * both[half, j]
        point = min(max(curves[m] + point * level, 0.0), highest)
        error = right[m] * level + curves[m] - point
        errors[kept] = error / (point + FLOOR_SHARE * level) ** BAND_POWER
        kept += 1
    return kept


@numba.njit(cache=True, nogil=True)
def learn_rows(
    values: F4, near: F4, far: F4, week: F4, loads: F4, own: F4, slow: F4, level: F4, highest: F4, gains: F4,
    leads: I8, strides: I8, day: int, band_days: int, pooled: F8, prior: F8, spread: F8, ridge: float,
    first: int, last: int, weights: F4, quantiles: F4, states_out: F4, ring: F4,
) -> None:  # fmt: skip
    """Fill weights (L × F × N), quantiles (L × 4 × N), the last state (STATES × N) and the last day's scaled residuals
    (N × day) of the series from ``first`` to before ``last``. ``quantiles`` hold those of all series before.

    For each lead: ``pooled`` (L × F) are the weights of all, ``prior`` (L × F × F) how strongly they hold, ``spread``
    (L) the error from which on a row counts less, as in a median.
    """
    rows = values.shape[1]
    most = rows + 1
    x, right = np.empty((most, FEATURES), np.float32), np.empty(most, np.float32)
    curves, errors = np.empty(most, np.float32), np.empty(most, np.float32)
    block = np.empty(most, np.int64)
    states = np.empty((rows, STATES), np.float32)
    days = rows // day
    halves = np.empty((2, FEATURES, FEATURES))
    sides = np.empty((2, FEATURES))
    both = np.empty((3, FEATURES))
    for n in range(first, last):
        states_of(values[n], near[n], level[n], gains, states)
        states_out[:, n] = states[rows - 1]
        ring[n] = states[rows - day :, 0]
        for i in range(len(leads)):
            count = _rows(
                values[n], near[n], far[n], week[n], states, loads[n], own, slow, level[n], leads[i], day, strides[i],
                x, right, curves, block,
            )  # fmt: skip
            _accumulate(x[:count], right, block, pooled[i], spread[i], halves, sides)
            for which in range(3):
                # All days for what is to come; for each half of the days the other one, so that no day is judged by
                # weights that have seen it.
                gram = halves[0] + halves[1] if which == 2 else halves[which].copy()
                side = sides[0] + sides[1] if which == 2 else sides[which]
                for j in range(FEATURES):
                    gram[j, j] *= 1.0 + ridge
                    for k in range(j):
                        gram[k, j] = gram[j, k]
                both[which] = pooled[i] + _solved(gram + prior[i], side)
            for j in range(FEATURES):
                weights[i, j, n] = both[2, j]
            kept = _judge(
                x[:count], right, curves, block, both, days - band_days, level[n], HIGHEST_TIMES * highest[n], errors
            )
            if kept >= FEW:
                errors[:kept].sort()
                for k in range(4):
                    quantiles[i, k, n] = quantile(errors[:kept], SHARES[k])


@numba.njit(cache=True, nogil=True)
def observe_rows(state: F4, z: F4, values: F4, curve: F4, level: F4, gains: F4) -> None:
    """Move the states (STATES × N) of all series by one slot, in place, and fill their scaled residuals ``z`` (N)."""
    one = np.empty(STATES, np.float32)
    for n in range(len(values)):
        one[:] = state[:, n]
        z[n] = step(one, values[n], curve[n], level[n], gains)
        state[:, n] = one


@numba.njit(cache=True, nogil=True)
def forecast_rows(
    curve: F4, week: F4, state: F4, before: F4, group: I8, own: F4, slow: F4, loads: F4, level: F4, highest: F4,
    weights: F4, quantiles: F4, left: int, share: float, out: F4,
) -> None:  # fmt: skip
    """Fill ``out`` (N × 5) with the five quantiles of each series, the point in the middle; NaN without a curve.

    Weights and quantiles lie ``share`` of the way from lead ``left`` to the next. ``own`` and ``slow`` are groups ×
    TOGETHER.
    """
    right = min(left + 1, len(weights) - 1)
    one, x = np.empty(STATES, np.float32), np.empty(FEATURES, np.float32)
    for n in range(len(curve)):
        if math.isnan(curve[n]):
            out[n] = np.nan
            continue
        one[:] = state[:, n]
        features(one, own[group[n]], slow[group[n]], loads[n], before[n], week[n], curve[n], level[n], x)
        point = curve[n]
        for j in range(FEATURES):
            weight = weights[left, j, n]
            if share > 0.0:
                weight += share * (weights[right, j, n] - weight)
            point += weight * x[j]
        point = min(max(point, 0.0), HIGHEST_TIMES * highest[n])
        scale = (point + FLOOR_SHARE * level[n]) ** BAND_POWER
        for k in range(4):
            z = quantiles[left, k, n]
            if share > 0.0:
                z += share * (quantiles[right, k, n] - z)
            bound = max(point + z * scale, 0.0)
            # The bands hold the point whatever the errors were.
            if k < 2:
                out[n, k] = min(bound, point)
            else:
                out[n, k + 1] = max(bound, point)
        out[n, 2] = point
