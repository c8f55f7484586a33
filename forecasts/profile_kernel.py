"""The weekly profile's inner loop. What it computes: ``forecasts.profile``."""

import math

import numba
import numpy as np

from gridbeacon.frame import F4, I8

SHRINK = 2.0
"""A weekday's own mean counts as its number of weeks, the mean of all days of its kind as two."""
CLASSES = 10
"""Monday to Sunday, make-up workdays, holidays, and one that no day is of."""
HOLIDAYS, NONE = 8, 9
WEEKEND, HOLIDAY = 1, 2


@numba.njit(cache=True, nogil=True)
def _usual(sums: F4, counts: F4, kinds: F4, seen: F4, day: int, kind: int, slot: int) -> float:
    """Return what is usual at a slot of a class and kind of day, NaN where no day had it."""
    pool = WEEKEND if kind == HOLIDAY else kind
    if seen[pool, slot] > 0:
        usual = kinds[pool, slot] / seen[pool, slot]
    elif seen[3, slot] > 0:
        usual = kinds[3, slot] / seen[3, slot]
    else:
        return math.nan
    return float((sums[day, slot] + SHRINK * usual) / (counts[day, slot] + SHRINK))


@numba.njit(cache=True, nogil=True)
def profile_rows(
    values: F4, classes: I8, kinds_of: I8, slots: I8, day: int, start: int, near: F4, far: F4, ahead: F4, table: F4,
    first: int, last: int,
) -> None:  # fmt: skip
    """Fill what was usual, as of each past refit and as of the end of the history, of some series.

    The rows of ``near`` and ``far`` begin at ``start``; a refit stands at each multiple of ``day`` from there. ``near``
    is as of the refit of the same day, ``far`` as of the one before (the first day's are empty). ``ahead`` follows the
    end; ``table`` is kinds × slots.
    """
    rows = values.shape[1]
    for n in range(first, last):
        sums, counts = np.zeros((CLASSES, day), np.float32), np.zeros((CLASSES, day), np.float32)
        kinds, seen = np.zeros((4, day), np.float32), np.zeros((4, day), np.float32)
        for t in range(rows + 1):
            if start <= t < rows and (t - start) % day == 0:
                for to in range(t, min(t + day, rows)):
                    near[n, to - start] = _usual(sums, counts, kinds, seen, classes[to], kinds_of[to], slots[to])
                for to in range(t + day, min(t + 2 * day, rows)):
                    far[n, to - start] = _usual(sums, counts, kinds, seen, classes[to], kinds_of[to], slots[to])
            if t == rows:
                break
            value = values[n, t]
            if not math.isnan(value):
                slot = slots[t]
                sums[classes[t], slot] += value
                counts[classes[t], slot] += 1
                for kind in (kinds_of[t], 3):
                    kinds[kind, slot] += value
                    seen[kind, slot] += 1
        for h in range(ahead.shape[1]):
            ahead[n, h] = _usual(sums, counts, kinds, seen, classes[rows + h], kinds_of[rows + h], slots[rows + h])
        for kind in range(3):
            pool = HOLIDAYS if kind == HOLIDAY else NONE
            for slot in range(day):
                table[n, kind, slot] = _usual(sums, counts, kinds, seen, pool, kind, slot)
