"""The hour of the week in the city's civil time, for whole columns."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from gridbeacon.frame import I8

QUARTER_MS = 900_000
"""Civil time zones change their offset at whole quarters of an hour."""
_HOUR_MS, _DAY_MS, _WEEK_HOURS = 3_600_000, 86_400_000, 168
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""
_REMEMBERED = 10_000


class CivilHours:
    """Hours of the week (0 = Monday 00:00 to 01:00, 167) of a time zone (IANA name)."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._offsets: dict[int, int] = {}

    def __call__(self, times_ms: I8) -> I8:
        """Return the hour of the week at each time (UTC milliseconds, before the year 9000).

        >>> CivilHours("Pacific/Auckland")(np.array([1_672_484_400_000])).tolist()
        [144]
        """
        return self.since_monday(times_ms) // _HOUR_MS % _WEEK_HOURS

    def since_monday(self, times_ms: I8) -> I8:
        """Return the clock at each time as ms since a Monday 00:00, long ago; it jumps where the clocks change.

        >>> CivilHours("Europe/Berlin").since_monday(np.array([0])).tolist()  # Thursday 01:00
        [262800000]
        """
        quarters, inverse = np.unique(times_ms // QUARTER_MS, return_inverse=True)
        offsets = np.fromiter((self._offset(q) for q in quarters.tolist()), np.int64, len(quarters))
        return np.asarray(times_ms + offsets[inverse] + _EPOCH_WEEKDAY * _DAY_MS, np.int64)

    def _offset(self, quarter: int) -> int:
        found = self._offsets.get(quarter)
        if found is None:
            if len(self._offsets) >= _REMEMBERED:
                self._offsets.clear()
            at = datetime.fromtimestamp(quarter * QUARTER_MS / 1000, self._zone)
            delta = at.utcoffset()
            found = self._offsets[quarter] = int(delta.total_seconds() * 1000) if delta is not None else 0
        return found
