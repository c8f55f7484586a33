"""The weekly profile's inner loop. What it computes: ``forecasts.curves.profiles``."""

import math
from typing import Any

import numba
import numpy as np

from gridbeacon.frame import F4, I8

SHRINK: Any = np.float32(2.0)
"""A weekday's own mean counts as its number of weeks, the mean of all days of its kind as two."""
CLASSES = 10
"""Monday to Sunday, make-up workdays, holidays, and one that no day is of."""
HOLIDAYS, NONE = 8, 9
WEEKEND, HOLIDAY, ALL = 1, 2, 3
KINDS = 4
"""Workdays, weekends, holidays, and all days."""
NAN: Any = np.float32(math.nan)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _usual(sums: F4, counts: F4, kinds: F4, seen: F4, cell: int, pool: int, slot: int, day: int) -> float:
    """Return what is usual at a slot of a class (``cell`` is class × day + slot) and kind of day, NaN where no day
    had it."""
    pooled = pool * day + slot
    if seen[pooled] == 0.0:
        pooled = ALL * day + slot
    usual = kinds[pooled] / seen[pooled]  # NaN where there is nothing
    return (sums[cell] + SHRINK * usual) / (counts[cell] + SHRINK)  # type: ignore[no-any-return]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def profile_rows(
    values: F4, classes: I8, kinds_of: I8, slots: I8, day: int, start: int, near: F4, far: F4, ahead: F4, table: F4,
    first: int, last: int,
) -> None:  # fmt: skip
    """Fill what was usual, as of each past refit and as of the end of the history, of some series.

    The rows of ``near`` and ``far`` begin at ``start``; a refit stands at each multiple of ``day`` from there. ``near``
    is as of the refit of the same day, ``far`` as of the one before (the first day's are empty). ``ahead`` follows the
    end; ``table`` is kinds × slots. Holidays take the mean of weekends.
    """
    rows = values.shape[1]
    cells = classes * day + slots
    pools = np.where(kinds_of == HOLIDAY, WEEKEND, kinds_of)
    sums, counts = np.empty(CLASSES * day, np.float32), np.empty(CLASSES * day, np.float32)
    kinds, seen = np.empty(KINDS * day, np.float32), np.empty(KINDS * day, np.float32)
    for n in range(first, last):
        sums[:], counts[:], kinds[:], seen[:] = 0.0, 0.0, 0.0, 0.0
        far[n, : min(day, rows - start)] = NAN
        done = 0
        for refit in range(start, rows + 1, day):
            for t in range(done, refit):
                value = values[n, t]
                if not math.isnan(value):
                    sums[cells[t]] += value
                    counts[cells[t]] += np.float32(1)
                    own, every = kinds_of[t] * day + slots[t], ALL * day + slots[t]
                    kinds[own] += value
                    seen[own] += np.float32(1)
                    kinds[every] += value
                    seen[every] += np.float32(1)
            done = refit
            for t in range(refit, min(refit + day, rows)):
                near[n, t - start] = _usual(sums, counts, kinds, seen, cells[t], pools[t], slots[t], day)
            for t in range(refit + day, min(refit + 2 * day, rows)):
                far[n, t - start] = _usual(sums, counts, kinds, seen, cells[t], pools[t], slots[t], day)
        for h in range(ahead.shape[1]):
            t = rows + h
            ahead[n, h] = _usual(sums, counts, kinds, seen, cells[t], pools[t], slots[t], day)
        for kind in range(table.shape[1]):
            of, pool = (HOLIDAYS, WEEKEND) if kind == HOLIDAY else (NONE, kind)
            for slot in range(day):
                table[n, kind, slot] = _usual(sums, counts, kinds, seen, of * day + slot, pool, slot, day)
