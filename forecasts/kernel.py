"""The solver's inner loops, series by series. What they solve, and why it is right: ``forecasts.solver``.

All compiled functions stand in this one file: numba's cache on disk notices a change of the file that a function is
in, of no other. Each is plain Python too (``function.py_func``).
"""

import math

import numba
import numpy as np

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


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
def _times(matrix: F8, vector: F8) -> F8:
    """Return a matrix times a vector (numpy's own does not take the empty ones of flat growth)."""
    product = np.zeros(matrix.shape[0])
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            product[i] += matrix[i, j] * vector[j]
    return product


@numba.njit(cache=True, nogil=True)
def variance_of(squares: float, count: float) -> float:
    """Return the variance that is most likely given the sum of squared residuals: 4 v² + count v - squares = 0."""
    # Written so that nothing cancels when the squares are small.
    return max(2.0 * squares / (count + math.sqrt(count * count + 16.0 * squares)), MIN_VARIANCE)


@numba.njit(cache=True, nogil=True)
def solve(
    d: F8, basis: F8, hinges: F8, b: F8, g: F8, c: F8, e: F8, yy: float, missing: I8, tau: float, w: F8, delta: F8
) -> tuple[float, int]:
    """Find w, delta (from where it stands) and the variance of one series; return (variance, rounds).

    d (P) and basis (T × P) are the eigenbasis of the grid, hinges is T × S, b = hinges'basis, g = hinges'hinges;
    c = basis'y, e = hinges'y and yy = y'y hold 0 for missing cells, which ``missing`` numbers. Rounds are 0 when the
    last one did not settle.
    """
    rows, size, bends = basis.shape[0], len(d), hinges.shape[1]
    absent = len(missing)
    count = float(rows - absent)
    few = 2 * absent <= size
    cells, marks, full = np.empty((0, 0)), np.empty((0, 0)), np.empty((0, 0))
    if few and absent:
        cells, marks = basis[missing], hinges[missing]
        b = b - marks.T @ cells
        g = g - marks.T @ marks
    elif absent:
        seen = np.ones(rows, np.bool_)
        seen[missing] = False
        # Whichever is less work; and what few rows leave must not be a small difference of large sums.
        if 2 * absent > rows:
            cells, marks = basis[seen], hinges[seen]
            full = cells.T @ cells
            b, g = marks.T @ cells, marks.T @ marks
        else:
            cells, marks = basis[missing], hinges[missing]
            full = np.diag(d) - cells.T @ cells
            b, g = b - marks.T @ cells, g - marks.T @ marks
    sides = np.empty((size, bends + 1))
    sides[:, :bends] = b.T
    sides[:, bends] = c
    x = math.log(max(yy / count * 0.05, MIN_VARIANCE))
    last_x, last_f = 0.0, 0.0
    variance = 0.0
    for turn in range(MAX_ROUNDS):
        v = math.exp(x)
        inverse = 1.0 / (d + v)
        # solved = (observed basis'basis + v)⁻¹ [b' c], by the eigenbasis where the whole grid was observed.
        if full.size:
            solved = np.ascontiguousarray(np.linalg.solve(full + v * np.eye(size), sides))
        else:
            solved = sides * inverse.reshape(size, 1)
            if absent:
                # The missing cells' own values: what makes the whole grid's solution that of the observed one.
                spread = np.ascontiguousarray((cells * inverse).T)
                values = np.linalg.solve(np.eye(absent) - cells @ spread, cells @ solved)
                solved += spread @ np.ascontiguousarray(values)
        settled = True
        if bends:
            reduced = np.ascontiguousarray(b) @ solved
            settled = lasso(g - reduced[:, :bends], e - reduced[:, bends], v / tau, delta)
        w[:] = solved[:, bends]
        for j in range(bends):
            if delta[j] != 0.0:
                w -= solved[:, j] * delta[j]
        squares = yy
        for j in range(bends):
            squares -= 2.0 * delta[j] * e[j]
            for i in range(bends):
                squares += delta[i] * g[i, j] * delta[j]
        for p in range(size):
            u = c[p]
            for j in range(bends):
                u -= b[j, p] * delta[j]
            squares -= w[p] * (u + v * w[p])
        variance = variance_of(max(squares, 0.0), count)
        f = math.log(variance) - x
        if abs(f) < TOLERANCE and settled:
            return variance, turn + 1
        step = f
        if turn >= PLAIN_ROUNDS:
            slope = (f - last_f) / (x - last_x) if x != last_x else -1.0
            if -2.0 < slope < -0.05:
                step = -f / slope
        last_x, last_f = x, f
        x += step
    return variance, 0


@numba.njit(cache=True, nogil=True)
def solve_rows(
    d: F8, basis: F8, hinges: F8, b: F8, g: F8, c: F8, e: F8, yy: F8, missing: I8, ends: I8, tau: float,
    w: F8, delta: F8, variance: F8, rounds: I8,
) -> None:  # fmt: skip
    """Solve the rows of c and e; the missing cells of row n are ``missing[ends[n]:ends[n + 1]]``. Fills the last four."""
    for n in range(len(c)):
        absent = missing[ends[n] : ends[n + 1]]
        variance[n], rounds[n] = solve(d, basis, hinges, b, g, c[n], e[n], yy[n], absent, tau, w[n], delta[n])
