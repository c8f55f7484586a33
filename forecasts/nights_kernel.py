"""Inner loops around the products of ``forecasts.nights``, series by series."""

import math

import numba

from gridbeacon.frame import F4, F8, I8


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(one: F8, other: F8) -> float:
    total = 0.0
    for p in range(len(one)):
        total += one[p] * other[p]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def root_rows(values: F4, numbers: I8, rows: I8, scale: F8, tonight: F8, features: F8, y: F8) -> None:
    """Fill y (numbers × rows) with the roots of values over their scale; what is missing takes tonight's own curve."""
    for i in range(len(numbers)):
        for j in range(len(rows)):
            value = values[numbers[i], rows[j]]
            if math.isnan(value):
                y[i, j] = _dot(tonight[i], features[j])
            else:
                y[i, j] = math.sqrt(value) / scale[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mean_rows(curves: F4, numbers: I8, columns: I8, drawn: F8, scale: F8) -> None:
    """Average curves with drawn roots (numbers × columns) in place; where there is no curve the drawn one stands."""
    for i in range(len(numbers)):
        row = curves[numbers[i]]
        for j in range(len(columns)):
            root = max(drawn[i, j] * scale[i], 0.0)
            usual = row[columns[j]]
            row[columns[j]] = root * root if math.isnan(usual) else 0.5 * (usual + root * root)
