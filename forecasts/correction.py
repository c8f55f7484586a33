"""What the last hours say about the next ones: residuals correct the curve, and past errors make the bands.

Let C be the curve, z = (y - C) / √(C + 5 % of the mean) the scaled residual. For a target t and an origin o, ``lead``
slots before it, the forecast is C(t) + Σ w_f x_f with the features

- √C(t) times: z(o), and its exponential means over 1, 3 and 8 hours; z one day before t;
- C(t) times: the mean residual over the mean curve, over 1 and 4 hours (all of a busy day is busier);
- √C(t) times: what all series are off by at o. It is a projection of their z on the four directions in which they move
  together (the leading eigenvectors of past z): the first alone, all four, and their mean over 2 hours;
- the value a week before t, less C(t).

Weights minimise absolute errors (weighted least squares, thrice), first pooled over a sample of series, then for each
series, held to the pooled ones by a prior as strong as ``HOLD`` average series. Each lead has its own. They are learned
from the last ``LEARN_DAYS`` days, each seen through the curve of the refit before it.

**Bands** are split conformal (Papadopoulos et al. 2002): quantiles of (y - f) / (f + 5 % of the mean)^(5/8), signed,
per series and lead, over the last ``BAND_DAYS`` days. For a day's errors the weights are those of the other half of the
days (even or odd), so that none has seen the error that it is judged by.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasts.correction_kernel import (
    CLIP,
    FEATURES,
    FEW,
    FLOOR_SHARE,
    FORGET_HOURS,
    HOURS,
    RATIO_HOURS,
    SHARES,
    STATES,
    learn_rows,
    quantile,
    sample_rows,
)
from forecasts.parallel import over_chunks, over_rows
from gridbeacon.frame import F4, F8, I8

LEARN_DAYS = 21
BAND_DAYS = 14
"""Two whole weeks: each weekday counts alike."""
TOGETHER = 4
"""Directions in which series move together."""
SLOW_HOURS = 2.0
HOLD = 0.3
RIDGE = 0.03
"""Of each feature's own sum of squares: features are alike, and weights that cancel each other do not last."""
SAMPLE = 256
"""Series that the pooled weights are learned from, evenly spread."""
ROWS, ALL_ROWS = 500, 250_000
"""Targets of a series and lead that are learned from, evenly spread: all there are, as long as there are few series."""
COLUMNS = 240
"""Slots that the common directions are found from."""
ROUNDS = 3
SPREAD = 0.5
"""Of the median error: below this, an error counts as in least squares."""
LEAST_SPREAD = 0.02
DEFAULT_QUANTILES = (-3.0, -1.8, 1.8, 3.0)
"""Of scaled errors where no series has enough of them: somewhat wider than counts of a known mean spread."""
SLOT_HOURS_MS = 3_600_000


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """Weights (L × F × N), quantiles (L × 4 × N), the state at the end (STATES × N), the last day's z (N × day), the
    common directions (N × TOGETHER), and how far all are off along them, now and in the mean (2 × TOGETHER)."""

    weights: F4
    quantiles: F4
    state: F4
    ring: F4
    loads: F4
    common: F4


def gains_of(step_ms: int) -> F4:
    """Return the gains a slot of the means, of the ratios, of forgetting and of the slow mean of all series."""
    hours = np.array([*HOURS, *RATIO_HOURS, FORGET_HOURS, SLOW_HOURS])
    return (1.0 - np.exp(-step_ms / SLOT_HOURS_MS / hours)).astype(np.float32)


def nothing_learned(count: int, leads: int, day: int) -> Correction:
    """Return a correction that changes nothing, with bands of a default width."""
    quantiles = np.empty((leads, len(SHARES), count), np.float32)
    quantiles[:] = np.array(DEFAULT_QUANTILES, np.float32)[:, None]
    return Correction(
        weights=np.zeros((leads, FEATURES, count), np.float32),
        quantiles=quantiles,
        state=np.zeros((STATES, count), np.float32),
        ring=np.zeros((count, day), np.float32),
        loads=np.zeros((count, TOGETHER), np.float32),
        common=np.zeros((2, TOGETHER), np.float32),
    )


def learned(
    values: F4, near: F4, far: F4, weeks: I8, level: F4, highest: F4, leads: I8, day: int, step_ms: int
) -> Correction:
    """Return what the last days teach.

    ``values`` is N × T, the curves ``near`` and ``far`` are N × their last rows (whole days), as in ``curves.Curves``;
    ``weeks`` (T) says which slot is a week before each, ``level`` and ``highest`` have shape N.
    """
    (count, length), rows = values.shape, near.shape[1]
    found = nothing_learned(count, len(leads), day)
    if rows < day or count == 0:
        return found
    gains = gains_of(step_ms)
    recent = values[:, length - rows :]
    some = slice(None, None, max(1, rows // COLUMNS))
    loads = directions(_scaled(recent[:, some], near[:, some], level))
    own = np.zeros((TOGETHER, rows), np.float32)
    for begin in range(0, count, SAMPLE):
        part = slice(begin, begin + SAMPLE)
        own += loads[part].T @ _scaled(recent[part], near[part], level[part])
    slow = np.zeros_like(own)
    now = np.zeros(TOGETHER, np.float32)
    for t in range(rows):
        now += gains[-1] * (own[:, t] - now)
        slow[:, t] = now
    found.loads[:] = loads
    found.common[:] = own[:, -1], slow[:, -1]
    strides = np.array([stride_of(rows - lead, day, count) for lead in leads.tolist()], np.int64)
    pooled = np.zeros((len(leads), FEATURES))
    prior = np.tile(np.eye(FEATURES), (len(leads), 1, 1))
    spread = np.ones(len(leads))
    numbers = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))

    def pool(first: int, last: int) -> None:
        for i in range(first, last):
            x, right = sample_rows(
                values, near, far, weeks, loads, own, slow, level, gains, numbers, int(leads[i]), day, int(strides[i])
            )
            if len(right) < FEW:
                continue
            pooled[i], gram, spread[i] = robust(x, right)
            prior[i] = HOLD * gram / len(numbers) + 1e-9 * np.eye(FEATURES)
            found.quantiles[i] = _pooled_quantiles(right - pooled[i].astype(np.float32) @ x)[:, None]

    def learn(first: int, last: int) -> None:
        learn_rows(
            values, near, far, weeks, loads, own, slow, level, highest, gains, leads, strides, day, BAND_DAYS,
            pooled, prior, spread, RIDGE, first, last, found.weights, found.quantiles, found.state, found.ring,
        )  # fmt: skip

    over_chunks(len(leads), 1, pool)
    over_rows(count, learn)
    return found


def robust(x: F4, right: F4) -> tuple[F8, F8, float]:
    """Return weights (F) that make Σ|right - w x| small, the weighted x x' (F × F), and the error below which errors
    are squared. ``x`` is F × M."""
    weight = np.ones(len(right), np.float32)
    solved: Any = np.zeros(len(x))
    gram: Any = np.eye(len(x))
    spread = 1.0
    for _ in range(ROUNDS):
        heavy = x * weight
        gram = (heavy @ x.T).astype(np.float64)
        held = gram + RIDGE * np.diag(np.diag(gram)) + 1e-9 * np.eye(len(gram))
        solved = np.linalg.solve(held, heavy @ right)
        error = np.abs(right - solved.astype(np.float32) @ x)
        spread = LEAST_SPREAD + SPREAD * float(np.median(error))
        weight = (1.0 / np.maximum(error, spread)).astype(np.float32)
    return solved, gram, spread


def stride_of(rows: int, day: int, count: int) -> int:
    """Return every how many slots a row is learned from, so that all slots of the day get their turn.

    >>> stride_of(3024, 144, 10_000), stride_of(3024, 144, 100)
    (7, 1)
    """
    stride = max(1, math.ceil(rows / max(ROWS, ALL_ROWS // max(count, 1))))
    while math.gcd(stride, day) > 1:
        stride += 1
    return stride


def directions(z: F4) -> F4:
    """Return the directions in which series move together, N × TOGETHER with columns of length 1 (or 0)."""
    count, rows = z.shape
    some = np.ascontiguousarray(z[:, :: max(1, rows // COLUMNS)]).astype(np.float64)
    d, vectors = np.linalg.eigh(some.T @ some)
    found = np.zeros((count, TOGETHER), np.float32)
    for number in range(min(TOGETHER, count, len(d))):
        size = d[-1 - number]
        if size > 1e-9 * max(float(d[-1]), 1e-300):
            found[:, number] = some @ vectors[:, -1 - number] / math.sqrt(size)
    return found


def _scaled(values: F4, near: F4, level: F4) -> F4:
    z = (values - near) / np.sqrt(near + FLOOR_SHARE * level[:, None])
    clipped: F4 = np.clip(np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0), -CLIP, CLIP).astype(np.float32)
    return clipped


def _pooled_quantiles(errors: F4) -> F4:
    # Over the level; what stands below the root is taken as the level itself: good enough where a series has too few
    # errors of its own.
    ordered = np.sort(errors)
    return np.array([quantile(ordered, share) for share in SHARES], np.float32)
