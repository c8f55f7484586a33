"""The MAP estimate of additive Prophet for many series on one time grid, by linear algebra instead of Stan.

**What is solved.** Prophet scales each series by its largest absolute value and says of the scaled y of T times

    y ~ N(k t + m + Aδ + Xβ, σ²),   k, m ~ N(0, 5²),   β_j ~ N(0, s_j²),   δ_i ~ Laplace(0, τ),   σ ~ N(0, 0.5²), σ > 0

with hinges A_i = max(t - c_i, 0) at the changepoints c_i, and X the Fourier sums, holidays and regressors (flat growth:
no k and no δ). Its fit is the maximum of that density, the minimum of

    T log σ + |y - Zθ - Aδ|² / 2σ² + |S⁻¹θ|² / 2 + Σ|δ_i| / τ + 2σ²           (``density`` writes it out)

where θ = (k, m, β), Z holds their columns and S the prior standard deviations. Z, A, S and τ are the grid's, not the
series': Prophet builds them once (``design``). Stan walks down this function, 0.1 to 1 s a series. It need not walk.

**Shared eigenbasis.** Let U = ZSV, where V diag(d) V' = (ZS)'(ZS), and θ = SVw. For a known variance v = σ² and no δ
the minimum is w = (d + v)⁻¹ U'y: one product U'Y serves all series, then each coefficient is one division.

**Noise.** Given θ and δ, let Q = |y - Zθ - Aδ|². The derivative by σ gives 4v² + Tv - Q = 0, so
v = 2Q / (T + √(T² + 16Q)). Coefficients for v, then v for the coefficients, goes downhill at every step and shrinks the
error by about (effective parameters / T); a secant on log v ends it in three to five rounds. Flat growth ends here.

**Bends.** With δ, the best w is (d + v)⁻¹ (U'y - B'δ), B = A'U. Put into the function, θ is gone and

    δ'Hδ / 2 - r'δ + (v/τ) Σ|δ_i|,   H = A'A - B (d + v)⁻¹ B',   r = A'y - B (d + v)⁻¹ U'y

remains: a lasso of 25 unknowns. Coordinate descent moves one δ at a time (soft threshold) and finds which are zero; for
given signs the minimum is one small linear system, accepted when its signs agree and no zero wants to leave. Then
Q = y'y - 2δ'A'y + δ'A'Aδ - w'(U'y - B'δ) - v|w|², without a pass over the rows.

**Gaps.** A missing cell has no term in the density. Give it the model's own value u'w + a'δ: it then adds nothing to Q,
and the whole grid's formulas give the minimum over what was observed. For M, the rows of U that are missing, this is
(U'U - M'M + v)⁻¹ = E + EM' (I - MEM')⁻¹ ME with E = (d + v)⁻¹: a linear system as large as the gaps, solved exactly,
not by filling in and fitting again. Where much is missing, U'U - M'M + v itself is the smaller system. T counts the
observed cells. Rows that no series observed are left out at once. The scale of t, the changepoints and the regressors'
standard scores stay those of the grid.

The function is the whole of what is solved, so the claim is simple to test: at the result no parameter can move
downhill (``tests/unit/test_solver.py``), and Stan's result is never lower (``bench/forecast_equal.py``). With its usual
tolerances Stan stops early. With the tightest it agrees within 1e-8 of the level where the function is smooth; where a
bend is exactly 0 it is not, and Stan's line search ends before the minimum.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from forecasts import kernel
from forecasts.design import Columns, Design, Times, design_of, prophet_of
from forecasts.model import Growth, Model
from forecasts.parallel import one_thread_each, over_chunks
from gridbeacon.frame import F8, I8, U1

CHUNK = 256
"""Series that a core has in work at a time: 5 MB of values at 2,268 slots."""
CONSTANT_SIGMA = 1e-9
"""What Prophet gives a constant series."""
NO_COLUMNS: Columns = MappingProxyType({})


#: What a Prophet object learns from a grid, beside its parameters and its history.
FITTED = (
    "start", "t_scale", "y_min", "history_dates", "changepoints", "changepoints_t", "n_changepoints",
    "extra_regressors", "train_component_cols", "component_modes", "train_holiday_names",
)  # fmt: skip


class FitStatus(StrEnum):
    """How a fit ended. No series stops the others."""

    OK = "ok"
    CONSTANT = "constant"
    """All observed values are equal: the forecast is that value, as Prophet has it."""
    NO_NOISE = "no_noise"
    """The curve passes through every observed value: usable, but nothing can be said about its error."""
    NOT_CONVERGED = "not_converged"
    """The parameters are the last round's; the forecast is usable, but not the MAP estimate."""
    TOO_SHORT = "too_short"
    """Fewer than two values were observed: no parameters, the forecast is NaN."""
    INFINITE = "infinite"
    """A value is infinite: no parameters, the forecast is NaN."""


STATUSES = tuple(FitStatus)
OK, CONSTANT, NO_NOISE, NOT_CONVERGED, TOO_SHORT, INFINITE = range(len(STATUSES))


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Prophet's parameters of N series, as scaled by Prophet: times ``y_scale`` they are in the unit of the values.

    ``k``, ``m``, ``sigma_obs`` and ``y_scale`` have shape (N,), ``delta`` (N, S), ``beta`` (N, K); NaN where the
    status says that there are none. ``rounds`` counts each series' rounds of the noise, 0 where none were needed.
    """

    design: Design
    k: F8
    m: F8
    delta: F8
    beta: F8
    sigma_obs: F8
    y_scale: F8
    status: tuple[FitStatus, ...]
    rounds: I8

    def take(self, numbers: I8) -> "Fits":
        """Return the fits of some of the series."""
        names = ("k", "m", "delta", "beta", "sigma_obs", "y_scale", "rounds")
        arrays = {name: getattr(self, name)[numbers] for name in names}
        return replace(self, **arrays, status=tuple(self.status[n] for n in numbers.tolist()))


def fit(
    model: Model,
    times: Times,
    values: npt.NDArray[np.float32] | npt.NDArray[np.float64],
    columns: Columns = NO_COLUMNS,
) -> Fits:
    """Return the MAP estimate of N series: ``values`` is N × T, NaN where nothing was observed.

    ``columns`` hold the conditions and regressors that the model names, one value per time. Work is done in chunks:
    beside ``values`` and the result, memory is some tens of megabytes. Raises ``ValueError`` on times, columns or
    shapes that don't fit each other; a series that can't be fitted has a status instead.

    >>> from forecasts.model import Seasonality
    >>> days = np.arange("2026-01-05", "2026-02-02", dtype="datetime64[D]")
    >>> values = np.array([[20.0, 20, 20, 20, 20, 5, 5] * 4, [7.0] * 28])
    >>> values[0, 3] = np.nan
    >>> values[0, ::5] += 1
    >>> fits = fit(Model(Growth.FLAT, (Seasonality("weekly", period_days=7, order=3),)), days, values)
    >>> [status.value for status in fits.status]
    ['ok', 'constant']
    >>> next_days = np.arange("2026-02-06", "2026-02-08", dtype="datetime64[D]")
    >>> predict(fits, next_days).round(1).tolist()
    [[20.2, 5.2], [7.0, 7.0]]
    """
    return fit_on(design_of(model, times, columns), values)


def fit_on(design: Design, values: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> Fits:
    """Return the MAP estimate of N series on a design, which many calls may share. Values as in ``fit``."""
    if values.ndim != 2 or values.shape[1] != len(design.times) or values.dtype.kind != "f":
        raise ValueError(
            f"values are {values.dtype} of shape {values.shape}; give floats, series × {len(design.times)}"
        )
    rows = np.zeros(len(design.times), np.bool_)
    for begin in range(0, len(values), CHUNK):
        rows |= ~np.isnan(values[begin : begin + CHUNK]).all(0)
        if rows.all():
            break
    # What no series observed, as when everything was down, needs no solving series by series.
    shared, every = _Shared.of(design, rows), rows.all()
    fits = _empty(design, len(values))
    codes = np.empty(len(values), np.uint8)

    def run(first: int, last: int) -> None:
        part = slice(first, last)
        codes[part] = _fit_chunk(shared, values[part] if every else values[part][:, rows], fits, part)

    with one_thread_each():
        over_chunks(len(values), CHUNK, run)
    # Prophet has one changepoint at the very start when asked for none: a part of the slope.
    if design.model.growth is Growth.LINEAR and len(design.template.changepoints) == 0:
        fits.k[:] += fits.delta[:, 0]
        fits.delta[:] = 0.0 * fits.k[:, None]
    return replace(fits, status=tuple(STATUSES[code] for code in codes))


def predict(fits: Fits, times: Times, columns: Columns = NO_COLUMNS) -> F8:
    """Return the curves of all series at H times, in their unit: N × H, NaN where a series has no parameters.

    ``columns`` as in ``fit``, for these times. Raises ``ValueError`` as ``fit`` does.
    """
    t, features = fits.design.features(times, columns)
    curves: F8 = fits.beta @ features.T
    curves += fits.m[:, None]
    if fits.design.model.growth is Growth.LINEAR:
        curves += fits.k[:, None] * t
        curves += fits.delta @ np.maximum(t - fits.design.changepoints_t[:, None], 0.0)
    curves *= fits.y_scale[:, None]
    return curves


def as_prophet(fits: Fits, n: int, values: npt.NDArray[Any]) -> Any:
    """Return series ``n`` as a fitted Prophet object: its predict, plots and JSON are Prophet's own.

    ``values`` are the series' T values, as given to ``fit``: they are the object's history. Raises ``ValueError`` where
    the series has no parameters.
    """
    design, status = fits.design, fits.status[n]
    if np.isnan(fits.m[n]):
        raise ValueError(f"series {n} is {status.value}: it has no parameters to show")
    if values.shape != design.times.shape:
        raise ValueError(f"values have shape {values.shape}, the grid has {len(design.times)} times; give one per time")
    prophet = prophet_of(design.model)
    made = design.template
    frame = made.history.drop(columns=["y", "y_scaled"]).assign(y=np.asarray(values, np.float64))
    frame["y_scaled"] = frame["y"] / fits.y_scale[n]
    prophet.history = frame[frame["y"].notna()].reset_index(drop=True)
    prophet.y_scale = float(fits.y_scale[n])
    for name in FITTED:
        setattr(prophet, name, deepcopy(getattr(made, name)))
    prophet.params = {
        "k": fits.k[n].reshape(1, 1),
        "m": fits.m[n].reshape(1, 1),
        "delta": fits.delta[n].reshape(1, -1).copy(),
        "beta": fits.beta[n].reshape(1, -1).copy(),
        "sigma_obs": fits.sigma_obs[n].reshape(1, 1),
    }
    return prophet


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What all series of a grid share, over the rows that any of them observed; ``back`` turns w into (k, m, β)."""

    design: Design
    d: F8
    basis: F8
    hinges: F8
    b: F8
    g: F8
    back: F8

    @staticmethod
    def of(design: Design, rows: npt.NDArray[np.bool_]) -> "_Shared":
        scaled = design.gaussian[rows] * design.scales
        d, v = np.linalg.eigh(scaled.T @ scaled)
        d = np.maximum(d, 0.0)  # rounding alone makes one negative
        basis, hinges = np.ascontiguousarray(scaled @ v), design.hinges[rows]
        back = (design.scales[:, None] * v).T
        return _Shared(design, d, basis, hinges, hinges.T @ basis, hinges.T @ hinges, back)


def _empty(design: Design, series: int) -> Fits:
    shape = (series,)
    return Fits(
        design,
        k=np.full(shape, np.nan),
        m=np.full(shape, np.nan),
        delta=np.full((series, len(design.changepoints_t)), np.nan),
        beta=np.full((series, design.gaussian.shape[1] - design.trend_columns), np.nan),
        sigma_obs=np.full(shape, np.nan),
        y_scale=np.full(shape, np.nan),
        status=(),
        rounds=np.zeros(shape, np.int64),
    )


def _fit_chunk(
    shared: _Shared, values: npt.NDArray[np.float32] | npt.NDArray[np.float64], fits: Fits, part: slice
) -> U1:
    """Fill one part of the fits from its values; return how each ended."""
    status = np.full(len(values), OK, np.uint8)
    y = np.empty(values.shape)
    count = np.empty(len(y), np.int64)
    lowest, highest = np.empty(len(y)), np.empty(len(y))
    kernel.scale_rows(np.ascontiguousarray(values), y, count, lowest, highest)
    scale = np.maximum(np.abs(highest), np.abs(lowest))
    status[highest == lowest] = CONSTANT
    status[count < 2] = TOO_SHORT
    status[(count > 0) & np.isinf(scale)] = INFINITE
    numbers = np.arange(len(fits.m))[part]

    flat = status == CONSTANT
    scale[flat & (scale == 0.0)] = 1.0
    for name, number in (("k", 0.0), ("delta", 0.0), ("beta", 0.0), ("sigma_obs", CONSTANT_SIGMA)):
        getattr(fits, name)[numbers[flat]] = number
    fits.m[numbers[flat]] = highest[flat] / scale[flat]
    fits.y_scale[numbers[flat]] = scale[flat]

    todo = np.flatnonzero(status == OK)
    rows = numbers[todo]
    fits.y_scale[rows] = scale[todo]
    if len(todo) < len(y):
        y, values = y[todo], values[todo]
    status[todo] = _solve(shared, y, np.isnan(values), fits, rows)
    return status


def _solve(shared: _Shared, y: F8, absent: npt.NDArray[np.bool_], fits: Fits, rows: I8) -> U1:
    """Fill the fits of series that vary from their scaled values, 0 where missing; return how each ended."""
    design = shared.design
    w = np.zeros((len(y), len(shared.d)))
    delta = np.zeros((len(y), shared.hinges.shape[1]))
    variance = np.zeros(len(y))
    rounds = np.zeros(len(y), np.int64)
    series, missing = np.nonzero(absent)
    ends = np.searchsorted(series, np.arange(len(y) + 1))
    missing = np.ascontiguousarray(missing)
    kernel.solve_rows(
        shared.d, shared.basis, shared.hinges, shared.b, shared.g, y @ shared.basis, y @ shared.hinges,
        np.einsum("nt,nt->n", y, y), missing, ends, design.tau, w, delta, variance, rounds,
    )  # fmt: skip
    theta = w @ shared.back
    first = design.trend_columns
    fits.k[rows] = 0.0 if first == 1 else theta[:, 0]
    fits.m[rows] = theta[:, first - 1]
    fits.beta[rows] = theta[:, first:]
    fits.delta[rows] = delta if delta.shape[1] else 0.0
    fits.sigma_obs[rows] = np.sqrt(variance)
    fits.rounds[rows] = rounds
    status = np.full(len(y), OK, np.uint8)
    status[variance <= kernel.MIN_VARIANCE] = NO_NOISE
    status[rounds == 0] = NOT_CONVERGED
    return status
