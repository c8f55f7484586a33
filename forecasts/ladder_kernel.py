"""The ladder's inner loops, series by series. What they decide, and why: ``forecasts.ladder``."""

import math

import numba
import numpy as np

from gridbeacon.frame import F4, F8, I4, I8

ABSURD_TIMES = 100.0
LARGEST = 1e15
DEAD_SHARE = 0.25
DEAD_SUM = 20.0
DEAD_SLOTS = 3
CLASSES = 9


@numba.njit(cache=True, nogil=True)
def believe_rows(values: F4, classes: I8, slots: I8, day: int, first: int, last: int) -> None:
    """Replace in place by NaN what is not believed of the series from ``first`` to before ``last``."""
    rows = values.shape[1]
    sums = np.empty((CLASSES, day), np.float64)
    counts = np.empty((CLASSES, day), np.float64)
    for n in range(first, last):
        row = values[n]
        total, positive, highest = 0.0, 0, 0.0
        for t in range(rows):
            value = row[t]
            if not (abs(value) <= LARGEST) or value < 0.0:
                row[t] = np.nan
            elif value > 0.0:
                total += value
                positive += 1
                highest = max(highest, value)
        # With a dozen values or more, what is far above the 99th percentile is far above the mean.
        if positive >= 12 and highest * positive > 10.0 * total:
            some = np.sort(row[row > 0.0])
            most = ABSURD_TIMES * some[int(0.99 * (positive - 1))]
            for t in range(rows):
                if row[t] > most:
                    row[t] = np.nan
        _dead(row, classes, slots, day, sums, counts)


@numba.njit(cache=True, nogil=True)
def _dead(row: F4, classes: I8, slots: I8, day: int, sums: F8, counts: F8) -> None:
    """Replace the zeros of a dead sensor by NaN: runs in which much is usual, and nothing was seen."""
    rows = len(row)
    longest, run = 0, 0
    for t in range(rows):
        if row[t] == 0.0:
            run += 1
            longest = max(longest, run)
        elif not math.isnan(row[t]):
            run = 0
    if longest < DEAD_SLOTS or longest == rows:
        return
    sums[:] = 0.0
    counts[:] = 0.0
    whole, measured = 0.0, 0
    for t in range(rows):
        if not math.isnan(row[t]):
            sums[classes[t], slots[t]] += row[t]
            counts[classes[t], slots[t]] += 1.0
            whole += row[t]
            measured += 1
    # What is measured in a usual day, were every slot measured.
    whole *= day / max(measured, 1)
    begin = 0
    while begin < rows:
        if row[begin] != 0.0:
            begin += 1
            continue
        end, zeros, missed = begin, 0, 0.0
        while end < rows and (row[end] == 0.0 or math.isnan(row[end])):
            if row[end] == 0.0:
                zeros += 1
                missed += sums[classes[end], slots[end]] / counts[classes[end], slots[end]]
            end += 1
        if zeros >= DEAD_SLOTS and missed >= max(DEAD_SHARE * whole, DEAD_SUM):
            for t in range(begin, end):
                row[t] = np.nan
        begin = end


@numba.njit(cache=True, nogil=True)
def count_rows(
    values: F4, days: I8, classes: I8, slots: I8, seen: I4, by_day: I4, places: I8, numbers: I8, totals: F8,
    highest: F4, first: int, last: int,
) -> None:  # fmt: skip
    """Count what was measured of some series: by class of day and slot (N × CLASSES × day), by day (N × days), in all.

    ``places`` (N × 2) are those of the first and the newest value (T and -1 where there is none), ``totals`` the sums.
    """
    rows = values.shape[1]
    for n in range(first, last):
        begin, end, number, total, most = rows, -1, 0, 0.0, np.float32(0)
        for t in range(rows):
            value = values[n, t]
            if not math.isnan(value):
                seen[n, classes[t], slots[t]] += 1
                by_day[n, days[t] - days[0]] += 1
                begin = min(begin, t)
                end = t
                number += 1
                total += value
                most = max(most, value)
        places[n, 0], places[n, 1] = begin, end
        numbers[n], totals[n], highest[n] = number, total, most
