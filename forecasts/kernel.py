"""The solver's inner loops, series by series. What they solve, and why it is right: ``forecasts.solver``.

All compiled functions stand in this one file: numba's cache on disk notices a change of the file that a function is
in, of no other. Each is plain Python too (``function.py_func``).
"""

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from gridbeacon.frame import F8, I8

MIN_VARIANCE = 1e-10
"""The noise is not resolved below 1e-5 of the largest value: squared, that is where rounding of the sums begins."""
MAX_ROUNDS = 100
TOLERANCE = 1e-11
"""Of the logarithm of the variance, between two rounds: the curve then moves by less."""
MAX_SWEEPS = 5_000
SWEEPS_A_TRY = 8
"""Sweeps between two tries to finish the lasso exactly; most series need one."""
PLAIN_ROUNDS = 2
"""Rounds before the secant is used: far from the end it could jump to another solution."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def lasso(h: F8, r: F8, edge: float, x: F8) -> bool:
    """Minimise x'hx / 2 - r'x + edge |x|₁ in place, from where x stands; return whether it ended at the minimum.

    Sweeps find which entries are 0 and the signs of the others; given these, the rest is one linear system.
    """
    size = len(x)
    q = r - _times(h, x)
    for sweep in range(MAX_SWEEPS):
        moved = 0.0
        for j in range(size):
            if h[j, j] <= 0.0:
                continue
            pull = q[j] + h[j, j] * x[j]
            new = max(abs(pull) - edge, 0.0) / h[j, j]
            step = math.copysign(new, pull) - x[j]
            if step != 0.0:
                x[j] += step
                for i in range(size):
                    q[i] -= h[i, j] * step
                moved = max(moved, abs(step) * math.sqrt(h[j, j]))
        if sweep % SWEEPS_A_TRY == 1 and _finished(h, r, edge, x):
            return True
        if moved == 0.0:
            return True
    return False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _finished(h: F8, r: F8, edge: float, x: F8) -> bool:
    """Move x to the minimum with its signs, when that is the minimum of all; return whether it is."""
    size = len(x)
    active = np.flatnonzero(x)
    n = len(active)
    solved = np.zeros(size)
    low = np.empty((n, n))
    y = np.empty(n)
    # Cholesky: h restricted to the active entries is low low'.
    for i in range(n):
        for j in range(i + 1):
            left = h[active[i], active[j]]
            for k in range(j):
                left -= low[i, k] * low[j, k]
            if i > j:
                low[i, j] = left / low[j, j]
            elif left <= 1e-12 * h[active[i], active[i]]:
                return False
            else:
                low[i, i] = math.sqrt(left)
        left = r[active[i]] - math.copysign(edge, x[active[i]])
        for k in range(i):
            left -= low[i, k] * y[k]
        y[i] = left / low[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            y[i] -= low[k, i] * y[k]
        y[i] /= low[i, i]
        if y[i] * x[active[i]] <= 0.0:
            return False
        solved[active[i]] = y[i]
    q = r - _times(h, solved)
    for j in range(size):
        if x[j] == 0.0 and abs(q[j]) > edge * (1 + 1e-9):
            return False
    x[:] = solved
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _times(matrix: F8, vector: F8) -> F8:
    """Return a matrix times a vector (numpy's own does not take the empty ones of flat growth)."""
    product = np.zeros(matrix.shape[0])
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            product[i] += matrix[i, j] * vector[j]
    return product


@numba.njit(cache=True, nogil=True, error_model="numpy")
def variance_of(squares: float, count: float) -> float:
    """Return the variance that is most likely given the sum of squared residuals: 4 v² + count v - squares = 0."""
    # Written so that nothing cancels when the squares are small.
    return max(2.0 * squares / (count + math.sqrt(count * count + 16.0 * squares)), MIN_VARIANCE)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _observed(d: F8, basis: F8, hinges: F8, b: F8, g: F8, missing: I8) -> tuple[F8, F8, F8, F8]:
    """Return b and g of the observed rows, and what ``_coefficients`` needs to leave out the others.

    That is the missing rows of the basis, when few are missing, or the observed rows' whole product basis'basis.
    """
    rows, absent = len(basis), len(missing)
    nothing = np.empty((0, 0))
    if absent == 0:
        return nothing, nothing, b, g
    if 2 * absent > rows:
        # What few rows hold must not be a small difference of large sums.
        seen = np.ones(rows, np.bool_)
        seen[missing] = False
        cells, marks = basis[seen], hinges[seen]
        full, b, g = cells.T @ cells, marks.T @ cells, marks.T @ marks
    else:
        cells, marks = basis[missing], hinges[missing]
        b, g = b - marks.T @ cells, g - marks.T @ marks
        if 2 * absent <= len(d):
            return cells, nothing, b, g
        full = np.diag(d) - cells.T @ cells
    return nothing, full, b, g


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _coefficients(d: F8, cells: F8, full: F8, v: float, sides: F8) -> F8:
    """Return (observed basis'basis + v)⁻¹ times the columns of ``sides``."""
    size = len(d)
    if full.size:
        return np.ascontiguousarray(np.linalg.solve(full + v * np.eye(size), sides))
    inverse = 1.0 / (d + v)
    solved = sides * inverse.reshape(size, 1)
    if cells.size:
        # The missing cells' own values: they make the whole grid's solution that of the observed rows.
        spread = np.ascontiguousarray((cells * inverse).T)
        values = np.linalg.solve(np.eye(len(cells)) - cells @ spread, cells @ solved)
        solved += spread @ np.ascontiguousarray(values)
    return solved


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(one: F8, other: F8) -> float:
    """Return the product of two vectors; the order of the sum is the compiler's."""
    total = 0.0
    for i in range(len(one)):
        total += one[i] * other[i]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _less(c: F8, b: F8, delta: F8, left: F8) -> None:
    """Fill ``left`` with c - b'delta; most of delta is 0."""
    left[:] = c
    for j in range(len(delta)):
        if delta[j] != 0.0:
            for p in range(len(left)):
                left[p] -= delta[j] * b[j, p]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _reduced(b: F8, c: F8, g: F8, e: F8, inverse: F8, weighted: F8, h: F8, r: F8) -> None:
    """Fill h = g - b E b' and r = e - b E c for E = diag(inverse); ``weighted`` takes b E."""
    for i in range(len(b)):
        weighted[i] = b[i] * inverse
        for j in range(i + 1):
            h[i, j] = h[j, i] = g[i, j] - _dot(weighted[i], b[j])
        r[i] = e[i] - _dot(weighted[i], c)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def solve(
    d: F8, basis: F8, hinges: F8, b: F8, g: F8, c: F8, e: F8, yy: float, missing: I8, tau: float, w: F8, delta: F8
) -> tuple[float, int]:
    """Find w, delta (from where it stands) and the variance of one series; return (variance, rounds).

    d (P) and basis (T × P) are the eigenbasis of the grid, hinges is T × S, b = hinges'basis, g = hinges'hinges;
    c = basis'y, e = hinges'y and yy = y'y hold 0 for missing cells, which ``missing`` numbers. Rounds are 0 when the
    last one did not settle.
    """
    bends = hinges.shape[1]
    count = float(len(basis) - len(missing))
    full_grid = len(missing) == 0
    cells, full, b, g = _observed(d, basis, hinges, b, g, missing)
    h, r, left = np.empty((bends, bends)), np.empty(bends), np.empty(len(d))
    weighted = np.empty_like(b)
    sides, solved = np.empty((len(d), bends + 1)), np.empty((0, 0))
    sides[:, :bends] = b.T
    sides[:, bends] = c
    x = math.log(max(yy / count * 0.05, MIN_VARIANCE))
    last_x, last_f, variance = 0.0, 0.0, 0.0
    for turn in range(MAX_ROUNDS):
        v = math.exp(x)
        inverse = 1.0 / (d + v)
        if full_grid:
            _reduced(b, c, g, e, inverse, weighted, h, r)
        else:
            solved = _coefficients(d, cells, full, v, sides)
            reduced = b @ solved
            h[:], r[:] = g - reduced[:, :bends], e - reduced[:, bends]
        settled = lasso(h, r, v / tau, delta) if bends else True
        _less(c, b, delta, left)
        w[:] = left * inverse if full_grid else solved[:, bends] - _times(solved[:, :bends], delta)
        # The sum of squared residuals, where w is the best for delta and v.
        squares = yy - _dot(w, left) - v * _dot(w, w) + _dot(delta, _times(g, delta) - 2.0 * e)
        variance = variance_of(max(squares, 0.0), count)
        f = math.log(variance) - x
        if abs(f) < TOLERANCE and settled:
            return variance, turn + 1
        step = f
        if turn >= PLAIN_ROUNDS and x != last_x:
            slope = (f - last_f) / (x - last_x)
            if -2.0 < slope < -0.05:
                step = -f / slope
        last_x, last_f = x, f
        x += step
    return variance, 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scale_rows(values: npt.NDArray[Any], y: F8, count: I8, lowest: F8, highest: F8) -> None:
    """Fill y (N × T) with values over their largest size, 0 where missing; and how many there are, and their range."""
    for n in range(len(values)):
        number, low, high = 0, math.inf, -math.inf
        for t in range(values.shape[1]):
            value = float(values[n, t])
            if not math.isnan(value):
                number += 1
                low, high = min(low, value), max(high, value)
        count[n], lowest[n], highest[n] = number, low, high
        scale = max(abs(low), abs(high))
        if scale == 0.0 or math.isinf(scale):
            continue
        for t in range(values.shape[1]):
            value = float(values[n, t])
            y[n, t] = 0.0 if math.isnan(value) else value / scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def solve_rows(
    d: F8, basis: F8, hinges: F8, b: F8, g: F8, c: F8, e: F8, yy: F8, missing: I8, ends: I8, tau: float,
    w: F8, delta: F8, variance: F8, rounds: I8,
) -> None:  # fmt: skip
    """Solve the rows of c and e and fill the last four arguments.

    The missing cells of row n are ``missing[ends[n]:ends[n + 1]]``.
    """
    for n in range(len(c)):
        absent = missing[ends[n] : ends[n + 1]]
        variance[n], rounds[n] = solve(d, basis, hinges, b, g, c[n], e[n], yy[n], absent, tau, w[n], delta[n])
