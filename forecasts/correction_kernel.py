"""The correction's inner loops, series by series. What they compute, and why: ``forecasts.correction``.

All compiled functions of the correction stand in this one file, for the sake of numba's cache (see ``kernel``). Where a
loop runs over targets or over series, its arrays are laid out feature by feature, so that it becomes vector code.
"""

import math
from typing import Any

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
JOINT = 3
"""What all series are off by, as seen by one: along the first direction, along all, and the mean of that."""
FLOOR_SHARE: Any = np.float32(0.05)
"""Residuals are scaled by the root of (curve + this share of the mean): counts spread so, and none is exact."""
HIGHEST_TIMES: Any = np.float32(3.0)
"""No forecast passes three times the largest value of the history."""
CLIP: Any = np.float32(8.0)
"""Scaled residuals beyond this say no more than that something is very wrong."""
FEW = 30
"""With fewer errors than this a series takes the quantiles of all."""
SHARES = (0.025, 0.1, 0.9, 0.975)
LOWEST_RATIO: Any = np.float32(-1.0)
HIGHEST_RATIO: Any = np.float32(2.0)
ZERO: Any = np.float32(0.0)
ONE: Any = np.float32(1.0)

State = tuple[float, float, float, float, float, float, float, float]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def step(state: State, value: float, curve: float, level: float, gains: F4) -> State:
    """Return a series' state one slot later; its scaled residual stands first, 0 where nothing was measured.

    ``gains`` are those of ``HOURS``, ``RATIO_HOURS`` and, last, ``FORGET_HOURS``.
    """
    _, short, middle, long, off, usual, slow_off, slow_usual = state
    if math.isnan(value) or math.isnan(curve):
        fade = ONE - gains[5]
        return ZERO, short * fade, middle * fade, long * fade, off * fade, usual, slow_off * fade, slow_usual
    residual = value - curve
    z = min(max(residual / math.sqrt(curve + FLOOR_SHARE * level), -CLIP), CLIP)
    return (
        z,
        short + gains[0] * (z - short),
        middle + gains[1] * (z - middle),
        long + gains[2] * (z - long),
        off + gains[3] * (residual - off),
        usual + gains[3] * (curve - usual),
        slow_off + gains[4] * (residual - slow_off),
        slow_usual + gains[4] * (curve - slow_usual),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def states_of(values: F4, curve: F4, level: float, gains: F4, states: F4) -> None:
    """Fill ``states`` (STATES × T) with a series' state after each slot."""
    now: State = (ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)
    for t in range(len(values)):
        now = step(now, values[t], curve[t], level, gains)
        states[0, t], states[1, t], states[2, t], states[3, t] = now[0], now[1], now[2], now[3]
        states[4, t], states[5, t], states[6, t], states[7, t] = now[4], now[5], now[6], now[7]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def joint_of(loads: F4, own: F4, slow: F4, joint: F4) -> None:
    """Fill ``joint`` (JOINT × T) with what all series are off by (TOGETHER × T) as a series with ``loads`` sees it."""
    for t in range(own.shape[1]):
        joint[0, t] = loads[0] * own[0, t]
        joint[1, t] = joint[2, t] = 0.0
    for i in range(len(loads)):
        for t in range(own.shape[1]):
            joint[1, t] += loads[i] * own[i, t]
            joint[2, t] += loads[i] * slow[i, t]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def features(
    count: int, state: F4, joint: F4, before: F4, week: F4, curve: F4, level: F4, root: F4, x: F4
) -> None:  # fmt: skip
    """Fill the first ``count`` columns of ``x`` (FEATURES × M) with the features of M targets.

    ``state`` (STATES × M) and ``joint`` (JOINT × M) as of the origin, ``before`` the scaled residual a day before the
    target, ``week`` the value a week before it, ``curve`` and ``level`` the target's. ``root`` takes √(curve + floor).
    """
    for m in range(count):
        root[m] = math.sqrt(curve[m] + FLOOR_SHARE * level[m])
    for i in range(4):
        for m in range(count):
            x[i, m] = state[i, m] * root[m]
    for m in range(count):
        x[4, m] = before[m] * root[m]
    for i in range(2):
        for m in range(count):
            ratio = state[4 + 2 * i, m] / (state[5 + 2 * i, m] + FLOOR_SHARE * level[m])
            x[5 + i, m] = min(max(ratio, LOWEST_RATIO), HIGHEST_RATIO) * curve[m]
    for i in range(JOINT):
        for m in range(count):
            x[7 + i, m] = joint[i, m] * root[m]
    for m in range(count):
        x[10, m] = ZERO if math.isnan(week[m]) else week[m] - curve[m]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scale_of(point: float, level: float) -> float:
    """Return what a forecast's errors are measured in: (point + floor)^(5/8), by roots alone.

    Errors grow a little faster than those of counts do: with the root, busy hours pass the upper band too often.
    """
    root = math.sqrt(point + FLOOR_SHARE * level)
    return root * math.sqrt(math.sqrt(root))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _targets(
    values: F4, near: F4, far: F4, start: int, lead: int, day: int, stride: int, since: int, at: I8, curve: F4,
    ends: I8,
) -> None:  # fmt: skip
    """Fill slots (from ``start``) and curves of the targets that are learned from: of even days, then of odd ones.

    ``near`` is the curve of the refit of the target's own day, ``far`` that of the day before; days begin at multiples
    of ``day``. Targets of both halves end at ``ends[1]`` and ``ends[3]``, those of days before ``since`` at ``ends[0]``
    and ``ends[2]``.
    """
    count, days = 0, len(near) // day
    for half in range(2):
        ends[2 * half] = count
        for number in range(half, days, 2):
            if number - 2 < since <= number:
                ends[2 * half] = count
            begin = max(number * day, lead)
            for t in range(-(-begin // stride) * stride, (number + 1) * day, stride):
                drawn = near[t] if t - lead + 1 >= number * day else far[t]
                if not (math.isnan(drawn) or math.isnan(values[start + t])):
                    at[count], curve[count] = t, drawn
                    count += 1
        ends[2 * half + 1] = count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gather(
    values: F4, weeks: I8, start: int, states: F4, joints: F4, level: float, lead: int, day: int, at: I8, curve: F4,
    count: int, state: F4, joint: F4, before: F4, week: F4, levels: F4, root: F4, x: F4, right: F4,
) -> None:  # fmt: skip
    """Fill features and residuals, both over the level, of the first ``count`` targets."""
    scale = ONE / level
    levels[:count] = level
    for i in range(STATES):
        for m in range(count):
            state[i, m] = states[i, at[m] - lead]
    for i in range(JOINT):
        for m in range(count):
            joint[i, m] = joints[i, at[m] - lead]
    for m in range(count):
        t = at[m]
        before[m] = states[0, t - day] if lead <= day <= t else ZERO
        week[m] = values[weeks[start + t]] if weeks[start + t] >= 0 else np.float32(math.nan)
        right[m] = (values[start + t] - curve[m]) * scale
    features(count, state, joint, before, week, curve, levels, root, x)
    for i in range(FEATURES):
        for m in range(count):
            x[i, m] *= scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sample_rows(
    values: F4, near: F4, far: F4, weeks: I8, loads: F4, own: F4, slow: F4, level: F4, gains: F4, numbers: I8,
    lead: int, day: int, stride: int,
) -> tuple[F4, F4]:  # fmt: skip
    """Return features (FEATURES × M) and residuals (M) of some series, one after the other."""
    rows = near.shape[1]
    start, most = values.shape[1] - rows, rows // stride + 2
    x, right = np.empty((FEATURES, len(numbers) * most), np.float32), np.empty(len(numbers) * most, np.float32)
    states, joints = np.empty((STATES, rows), np.float32), np.empty((JOINT, rows), np.float32)
    at, curve, ends = np.empty(most, np.int64), np.empty(most, np.float32), np.empty(4, np.int64)
    state, joint = np.empty((STATES, most), np.float32), np.empty((JOINT, most), np.float32)
    # Each by itself: rows of one array would not be known to lie without gaps.
    before, week = np.empty(most, np.float32), np.empty(most, np.float32)
    levels, root = np.empty(most, np.float32), np.empty(most, np.float32)
    part, part_right = np.empty((FEATURES, most), np.float32), np.empty(most, np.float32)
    total = 0
    for n in numbers:
        states_of(values[n, start:], near[n], level[n], gains, states)
        joint_of(loads[n], own, slow, joints)
        _targets(values[n], near[n], far[n], start, lead, day, stride, 0, at, curve, ends)
        count = ends[3]
        _gather(
            values[n], weeks, start, states, joints, level[n], lead, day, at, curve, count, state, joint, before, week,
            levels, root, part, part_right,
        )  # fmt: skip
        x[:, total : total + count] = part[:, :count]
        right[total : total + count] = part_right[:count]
        total += count
    return x[:, :total], right[:total]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve(gram: F8, side: F8, low: F8, y: F8) -> None:
    """Fill y with gram⁻¹ side by Cholesky; gram is positive definite, ``low`` scratch."""
    size = len(side)
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


@numba.njit(cache=True, nogil=True)
def quantile(ordered: F4, share: float) -> float:
    """Return the conformal quantile of ordered errors: of m and one more, not of m (Vovk et al. 2005)."""
    count = len(ordered)
    at = min(max(share * (count + 1) - 1.0, 0.0), count - 1.0)
    below = int(at)
    above = min(below + 1, count - 1)
    return float(ordered[below] + (at - below) * (ordered[above] - ordered[below]))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _accumulate(
    x: F4, right: F4, ends: I8, pooled: F8, spread: float, error: F4, weight: F4, heavy: F4, halves: F8, sides: F8
) -> None:  # fmt: skip
    """Fill the normal equations of what the pooled weights leave, for even and odd days.

    A row's weight makes the sum of squares one of absolute values. ``heavy`` takes x times the weight, 0 in the other
    half; what is left in the columns behind the targets is finite, and multiplied by 0.
    """
    count, least = ends[3], np.float32(spread)
    error[:count] = right[:count]
    for i in range(FEATURES):
        of_all = np.float32(pooled[i])
        for m in range(count):
            error[m] -= x[i, m] * of_all
    for m in range(count):
        weight[m] = ONE / max(abs(error[m]), least)
    heavy[:] = 0.0
    for half in range(2):
        first, last = ends[1] if half else 0, ends[2 * half + 1]
        for i in range(FEATURES):
            row = heavy[half, i]
            for m in range(first, last):
                row[m] = weight[m] * x[i, m]
        halves[half] = heavy[half] @ x.T
        sides[half] = heavy[half] @ error


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _judge(x: F4, right: F4, curve: F4, ends: I8, both: F8, level: float, highest: float, point: F4, errors: F4) -> int:
    """Fill the scaled errors of the last days, by the weights of the other half; return how many there are."""
    kept = 0
    for half in range(2):
        first, last = ends[2 * half], ends[2 * half + 1]
        point[first:last] = 0.0
        for i in range(FEATURES):
            weight = np.float32(both[1 - half, i])
            for m in range(first, last):
                point[m] += weight * x[i, m]
        for m in range(first, last):
            said = min(max(curve[m] + point[m] * level, ZERO), highest)
            errors[kept + m - first] = (right[m] * level + curve[m] - said) / scale_of(said, level)
        kept += last - first
    return kept


@numba.njit(cache=True, nogil=True, error_model="numpy")
def learn_rows(
    values: F4, near: F4, far: F4, weeks: I8, loads: F4, own: F4, slow: F4, level: F4, highest: F4, gains: F4,
    leads: I8, strides: I8, day: int, band_days: int, pooled: F8, prior: F8, spread: F8, ridge: float,
    first: int, last: int, weights: F4, quantiles: F4, states_out: F4, ring: F4,
) -> None:  # fmt: skip
    """Fill weights (L × F × N), quantiles (L × 4 × N), the last state (STATES × N) and the last day's scaled residuals
    (N × day) of the series from ``first`` to before ``last``. ``quantiles`` hold those of all series before.

    ``values`` is N × T, the curves N × their last rows, ``weeks`` (T) the slots a week before. For each lead:
    ``pooled`` (L × F) are the weights of all, ``prior`` (L × F × F) how strongly they hold, ``spread`` (L) the error
    from which on a row counts less, as in a median.
    """
    rows = near.shape[1]
    start, most = values.shape[1] - rows, rows // min(strides) + 2
    states, joints = np.empty((STATES, rows), np.float32), np.empty((JOINT, rows), np.float32)
    at, curve, ends = np.empty(most, np.int64), np.empty(most, np.float32), np.empty(4, np.int64)
    state, joint = np.empty((STATES, most), np.float32), np.empty((JOINT, most), np.float32)
    before, week = np.empty(most, np.float32), np.empty(most, np.float32)
    levels, root = np.empty(most, np.float32), np.empty(most, np.float32)
    x, right = np.zeros((FEATURES, most), np.float32), np.empty(most, np.float32)
    error, weight, part = np.zeros(most, np.float32), np.zeros(most, np.float32), np.zeros(most, np.float32)
    heavy = np.empty((2, FEATURES, most), np.float32)
    halves, sides = np.empty((2, FEATURES, FEATURES)), np.empty((2, FEATURES))
    gram, side = np.empty((FEATURES, FEATURES)), np.empty(FEATURES)
    low, both = np.empty((FEATURES, FEATURES)), np.empty((3, FEATURES))
    since = rows // day - band_days
    for n in range(first, last):
        states_of(values[n, start:], near[n], level[n], gains, states)
        joint_of(loads[n], own, slow, joints)
        states_out[:, n] = states[:, rows - 1]
        ring[n] = states[0, rows - day :]
        for i in range(len(leads)):
            lead = leads[i]
            _targets(values[n], near[n], far[n], start, lead, day, strides[i], since, at, curve, ends)
            _gather(
                values[n], weeks, start, states, joints, level[n], lead, day, at, curve, ends[3], state, joint, before,
                week, levels, root, x, right,
            )  # fmt: skip
            _accumulate(x, right, ends, pooled[i], spread[i], error, weight, heavy, halves, sides)
            for which in range(3):
                # All days for what is to come; for each half of the days the other one, so that no day is judged by
                # weights that have seen it.
                for j in range(FEATURES):
                    side[j] = sides[0, j] + sides[1, j] if which == 2 else sides[which, j]
                    for k in range(j + 1):
                        gram[j, k] = halves[0, j, k] + halves[1, j, k] if which == 2 else halves[which, j, k]
                    gram[j, j] *= 1.0 + ridge
                    for k in range(j + 1):
                        gram[j, k] += prior[i, j, k]
                _solve(gram, side, low, both[which])
                both[which] += pooled[i]
            for j in range(FEATURES):
                weights[i, j, n] = both[2, j]
            kept = _judge(x, right, curve, ends, both, level[n], HIGHEST_TIMES * highest[n], part, error)
            if kept >= FEW:
                error[:kept].sort()
                for k in range(len(SHARES)):
                    quantiles[i, k, n] = quantile(error[:kept], SHARES[k])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def observe_rows(state: F4, z: F4, values: F4, curve: F4, level: F4, gains: F4) -> None:
    """Move the states (STATES × N) of all series by one slot, in place, and fill their scaled residuals ``z`` (N)."""
    for n in range(len(values)):
        now = (
            state[0, n], state[1, n], state[2, n], state[3, n], state[4, n], state[5, n], state[6, n], state[7, n],
        )  # fmt: skip
        now = step(now, values[n], curve[n], level[n], gains)
        state[0, n], state[1, n], state[2, n], state[3, n] = now[0], now[1], now[2], now[3]
        state[4, n], state[5, n], state[6, n], state[7, n] = now[4], now[5], now[6], now[7]
        z[n] = now[0]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def forecast_rows(
    curve: F4, week: F4, state: F4, before: F4, joint: F4, level: F4, highest: F4, weights: F4, quantiles: F4,
    left: int, share: float, out: F4,
) -> None:  # fmt: skip
    """Fill ``out`` (5 × N) with the five quantiles of each series, the point in the middle; NaN without a curve.

    Weights and quantiles lie ``share`` of the way from lead ``left`` to the next.
    """
    count, right, way = len(curve), min(left + 1, len(weights) - 1), np.float32(share)
    x, root = np.empty((FEATURES, count), np.float32), np.empty(count, np.float32)
    features(count, state, joint, before, week, curve, level, root, x)
    point, scale = out[2], root
    point[:] = curve
    for i in range(FEATURES):
        here, there = weights[left, i], weights[right, i]
        for n in range(count):
            point[n] += (here[n] + way * (there[n] - here[n])) * x[i, n]
    for n in range(count):
        said = min(max(point[n], ZERO), HIGHEST_TIMES * highest[n])
        scale[n] = scale_of(said, level[n])
        point[n] = curve[n] if math.isnan(curve[n]) else said
    for k in range(len(SHARES)):
        here, there, bound = quantiles[left, k], quantiles[right, k], out[k if k < 2 else k + 1]
        for n in range(count):
            reached = max(point[n] + (here[n] + way * (there[n] - here[n])) * scale[n], ZERO)
            # The bands hold the point whatever the errors were.
            held = min(reached, point[n]) if k < 2 else max(reached, point[n])
            bound[n] = point[n] if math.isnan(point[n]) else held
