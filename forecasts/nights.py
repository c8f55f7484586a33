"""Prophet's curves, ahead and as past nights would have drawn them, averaged with the weekly profile's.

The correction and the bands are learned from what past refits were off by. Drawing those curves with the solver would
cost a refit for each night. But the density is Gaussian once two things are fixed: the noise, which is taken from the
fit of tonight, and the bends' prior, which is given the Gaussian shape of the same variance. A night's coefficients are
then (G + v)⁻¹ c with G = Z'Z and c = Z'y over the rows before it, Z the features in units of their priors and v the
noise, and its curve is c' (G + v)⁻¹ Z' at the rows after it.

Where slots of the day are closed, Fourier sums are all but dependent on the rows that are open: G has directions of
next to nothing, and (G + v)⁻¹ c is a small difference of large numbers. All of it is double precision; single is not
enough.

The noise is rounded to one of ``NOISES`` values, so that series share the matrix (G + v)⁻¹ Z' of each night. A series
then costs two products a night: what the day before adds to c, and the curve. A cell that is missing takes tonight's
own value; it is never judged. Rows that nobody measured are left out.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from forecasts.curves import Curves, columns_of, times_of
from forecasts.history import Slots
from forecasts.nights_kernel import mean_rows, root_rows
from forecasts.parallel import over_chunks
from forecasts.solver import Fits
from gridbeacon.frame import F4, F8, I8

NOISES = 3
"""So many values of the noise are told apart in past curves."""
LEAST_NOISE = 1e-4
"""Of the largest value: a series that never varies must not make (G + v)⁻¹ all but impossible."""
CHUNK = 256
"""Series that a core has in work at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The features, in units of their priors, of the measured ``rows`` of the history (R × P) and of all slots ahead
    (H × P)."""

    rows: I8
    seen: F8
    ahead: F8


def blend(
    usual: Curves, values: F4, numbers: I8, fits: Fits, slots: Slots, step_ms: int, start: int, day: int, begins: I8
) -> None:
    """Average the curves of some series (``numbers``, each with its fit) with Prophet's, in place.

    The past curves begin at slot ``start``, at which the first refit stands; the others follow every ``day`` slots. A
    refit before ``begins`` (one slot per series) had not enough of the series for Prophet.
    """
    variance = np.maximum(np.nan_to_num(fits.sigma_obs, nan=1.0), LEAST_NOISE) ** 2
    noises = np.unique(np.quantile(variance, (np.arange(NOISES) + 0.5) / NOISES))
    nearest = np.abs(np.log(variance)[:, None] - np.log(noises)).argmin(1)
    grid = _grid(fits, values, slots, step_ms)
    refits = np.arange(start, values.shape[1], day)
    refits = refits[refits >= begins.min()]
    ends = np.searchsorted(grid.rows, np.append(refits, [values.shape[1]] * 2))
    maps = _maps(grid, ends, noises)
    scale = fits.y_scale
    tonight = _coefficients(fits)
    everywhere = np.arange(len(grid.ahead))
    chunks = [
        (which, members[at : at + CHUNK])
        for which in range(len(noises))
        for members in [np.flatnonzero(nearest == which)]
        for at in range(0, len(members), CHUNK)
    ]

    def run(first: int, last: int) -> None:
        for which, members in chunks[first:last]:
            own, size = numbers[members], scale[members]
            mean_rows(usual.ahead, own, everywhere, tonight[members] @ grid.ahead.T, size)
            if not len(refits):
                continue
            y = np.empty((len(members), len(grid.rows)))
            root_rows(values, own, grid.rows, size, tonight[members], grid.seen, y)
            side = y[:, : ends[0]] @ grid.seen[: ends[0]]
            for night, refit in enumerate(refits.tolist()):
                now, later, end = ends[night : night + 3].tolist()
                drawn = side @ maps[night][which]
                enough = begins[members] <= refit
                for curves, columns, part in (
                    (usual.near, grid.rows[now:later], drawn[:, : later - now]),
                    (usual.far, grid.rows[later:end], drawn[:, later - now :]),
                ):
                    mean_rows(curves, own[enough], columns - start, part[enough], size[enough])
                side += y[:, now:later] @ grid.seen[now:later]

    over_chunks(len(chunks), 1, run)


def _grid(fits: Fits, values: F4, slots: Slots, step_ms: int) -> Grid:
    design, length = fits.design, values.shape[1]
    times, order = times_of(slots, step_ms)
    t, waves = design.features(times, {name: column[order] for name, column in columns_of(slots).items()})
    gaussian = np.column_stack([t, np.ones_like(t), waves]) * design.scales
    bends = np.maximum(t[:, None] - design.changepoints_t, 0.0) * (math.sqrt(2.0) * design.tau)
    features = np.empty((len(t), gaussian.shape[1] + bends.shape[1]))
    features[order] = np.hstack([gaussian, bends])
    rows = np.flatnonzero(~np.isnan(values).all(axis=0))
    return Grid(rows, features[rows], features[length:])


def _maps(grid: Grid, ends: I8, noises: F8) -> list[list[F8]]:
    """Return for each refit and noise what turns c into the curve of the two days that follow (P × rows)."""
    found = []
    gram = grid.seen[: ends[0]].T @ grid.seen[: ends[0]]
    for now, later, end in zip(ends, ends[1:], ends[2:], strict=False):
        ahead, day = grid.seen[now:end], grid.seen[now:later]
        held = (gram + noise * np.eye(len(gram)) for noise in noises)
        found.append([scipy.linalg.solve(one, ahead.T, assume_a="pos") for one in held])
        gram += day.T @ day
    return found


def _coefficients(fits: Fits) -> F8:
    """Return tonight's coefficients in units of their priors (N × P)."""
    design = fits.design
    gaussian = np.column_stack([fits.k, fits.m, fits.beta]) / design.scales
    return np.hstack([gaussian, fits.delta / (math.sqrt(2.0) * design.tau)])
