"""Prophet's density, written down once from its Stan program: what the solver's result is judged by.

The solver does not use it; tests and benchmarks hold both the solver's parameters and Stan's against it.
"""

import math

import numpy as np

from forecasts.design import Design
from gridbeacon.frame import F8


def negative_log_posterior(
    design: Design, y: F8, *, k: float, m: float, delta: F8, beta: F8, sigma_obs: float
) -> float:
    """Return what the MAP estimate minimises, without the constants: smaller is better.

    ``y`` are the T values over their scale, NaN where missing; a missing cell has no term. With linear growth and no
    changepoints Prophet's fold of its only delta into k is undone, as the density is of both.

    Source: prophet.stan of prophet 1.5.0: y ~ N(trend + Xβ, σ²), k ~ N(0, 5), m ~ N(0, 5), δ ~ Laplace(0, τ),
    β ~ N(0, sigmas), σ ~ N(0, 0.5) over 0.
    """
    seen = ~np.isnan(y)
    first = design.trend_columns
    trend = m if first == 1 else m + k * design.t + design.hinges @ delta
    residual = (y - trend - design.gaussian[:, first:] @ beta)[seen]
    likelihood = len(residual) * math.log(sigma_obs) + float(residual @ residual) / (2 * sigma_obs**2)
    offsets = (k**2 + m**2) / (2 * 5**2) + float(((beta / design.scales[first:]) ** 2).sum()) / 2
    return likelihood + offsets + float(abs(delta).sum()) / design.tau + sigma_obs**2 / (2 * 0.5**2)
