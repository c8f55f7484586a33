"""Recorded series of a CSV file on one grid of times, and times written as the file writes them."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from gridbeacon.errors import UsageError
from gridbeacon.frame import F4, F8, I8
from gridbeacon.series_file import Columns, Series, read_series

DAY_MS = 86_400_000
MOST_CELLS = 300_000_000
"""A gigabyte of values: more is a wrong step, or a time stamp far off."""
LEAST_STEP_MS, MOST_STEP_MS = 60_000, 6 * 3_600_000


@dataclass(frozen=True, slots=True, eq=False)
class GridFile:
    """``values[n, i]`` is the mean of what series n measured in the slot from ``start_ms + i * step_ms`` on, NaN where
    nothing. Times are written as in the file: like ``sample``, in ``zone``."""

    names: tuple[str, ...]
    start_ms: int
    step_ms: int
    values: F4
    zone: ZoneInfo
    sample: str

    def written(self, time_ms: int) -> str:
        """Return a time as the file writes its own."""
        at = datetime.fromtimestamp(time_ms / 1000, UTC)
        separator = "T" if "T" in self.sample else " "
        short = self.sample.count(":") == 1
        if datetime.fromisoformat(self.sample.strip()).tzinfo is None:
            return at.astimezone(self.zone).replace(tzinfo=None).isoformat(separator, "minutes" if short else "seconds")
        if self.sample.strip().endswith(("Z", "z")):
            return at.replace(tzinfo=None).isoformat(separator, "seconds") + "Z"
        return at.astimezone(self.zone).isoformat(separator, "seconds")


def columns_of(text: str) -> Columns:
    """Return the columns that ``--columns`` names. Raises ``UsageError``.

    >>> columns_of("at,place,count")
    Columns(time='at', value='count', series='place')
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(f"--columns {text!r} must name the columns of time, series and value: timestamp,series,value")
    return Columns(parts[0], parts[-1], parts[1] if len(parts) == 3 else None)


def read_grid(
    file: Path, columns: Columns, zone: ZoneInfo, step_ms: int | None, *, before_ms: int | None, days: int | None
) -> GridFile:
    """Return the series of a file; of rows at ``before_ms`` or later nothing is taken, nor of the ``days`` before that.

    Without ``step_ms`` it is the usual distance between a series' rows. Raises ``UsageError`` as ``read_series`` does,
    and when the rows make no grid.
    """
    found = read_series(file, columns, zone, gaps=True)
    if not found:
        raise UsageError(f"{file} has no rows; give a file with history")
    from_ms = None if before_ms is None or days is None else before_ms - days * DAY_MS
    kept = [_kept(series, from_ms, before_ms) for series in found]
    times = [times for times, _ in kept if len(times)]
    if not times:
        raise UsageError(f"{file}: no row lies in the {days} days before --at; give a later file or an earlier time")
    step = _step(file, times) if step_ms is None else step_ms
    if DAY_MS % step or not LEAST_STEP_MS <= step <= MOST_STEP_MS:
        told = "--step" if step_ms is not None else f"the rows of {file} stand"
        raise UsageError(f"{told} {step / 60_000:g} minutes apart; give --step that divides a day, from 1m to 6h")
    phase = Counter(time_ms % step for each in times for time_ms in each[:50].tolist()).most_common(1)[0][0]
    first = (min(int(each.min()) for each in times) - phase) // step
    last = (max(int(each.max()) for each in times) - phase) // step
    if before_ms is not None:
        last = max(last, -((phase - before_ms) // step) - 1)
    count = last - first + 1
    if count * len(found) > MOST_CELLS:
        raise UsageError(
            f"{file}: {len(found):,} series × {count:,} slots are too many; give a longer --step, or look for a time "
            "that is far off"
        )
    values = np.full((len(found), count), np.nan, np.float32)
    for number, (at, measured) in enumerate(kept):
        places = (at - phase) // step - first
        sums, counts = np.bincount(places, measured, count), np.bincount(places, minlength=count)
        with np.errstate(over="ignore"):
            values[number, counts > 0] = (sums[counts > 0] / counts[counts > 0]).astype(np.float32)
    names = tuple(series.name for series in found)
    return GridFile(names, first * step + phase, step, values, zone, _sample(found))


def _sample(found: list[Series]) -> str:
    return next(series.texts[0] for series in found if series.texts)


def _kept(series: Series, from_ms: int | None, before_ms: int | None) -> tuple[I8, F8]:
    times, values = np.array(series.time_ms, np.int64), np.array(series.values)
    chosen = np.ones(len(times), np.bool_)
    if before_ms is not None:
        chosen &= times < before_ms
    if from_ms is not None:
        chosen &= times >= from_ms
    return times[chosen], values[chosen]


def _step(file: Path, times: list[I8]) -> int:
    apart: Counter[int] = Counter()
    for each in times:
        apart.update(step for step in np.diff(each[:2000]).tolist() if step > 0)
    if not apart:
        raise UsageError(f"{file}: no series has two rows, so nobody knows how far apart they stand; give --step")
    return apart.most_common(1)[0][0]
