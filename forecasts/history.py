"""What a forecast is made from: series on one grid of times, and what kind of day each civil day is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from gridbeacon.frame import F4, I8
from gridbeacon.reasons import DayType

DAY_MS = 86_400_000
WORKDAY, WEEKEND, HOLIDAY = range(3)
_KINDS = {
    DayType.WORKDAY: WORKDAY,
    DayType.MAKEUP_WORKDAY: WORKDAY,
    DayType.WEEKEND: WEEKEND,
    DayType.HOLIDAY: HOLIDAY,
}
MAKEUP = 7
"""The weekday of a make-up workday: no weekday's own habits, those of all workdays."""


@dataclass(frozen=True, slots=True)
class DayTypes:
    """The types of the civil days from ``first`` on; beyond them weekends alone are known."""

    first: date
    types: tuple[DayType, ...] = ()

    def type_of(self, day: date) -> DayType:
        """Return the type of a civil day.

        >>> DayTypes(date(2026, 10, 1), (DayType.HOLIDAY,)).type_of(date(2026, 10, 1)).value
        'holiday'
        """
        number = (day - self.first).days
        if 0 <= number < len(self.types):
            return self.types[number]
        return DayType.WEEKEND if day.weekday() >= 5 else DayType.WORKDAY


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """N series on one grid: ``values[n, i]`` is what series n measured in the slot that begins at
    ``start_ms + i * step_ms``, float32, NaN where nothing was measured or where it is masked (an outage, a confirmed
    anomaly). A slot is a stretch of time in UTC; profiles follow ``timezone``, the city's civil time (IANA name).
    ``step_ms`` divides the day. ``day_types`` should reach to the end of the horizon.
    """

    names: tuple[str, ...]
    start_ms: int
    step_ms: int
    values: F4
    timezone: str
    day_types: DayTypes
    country: str = ""

    @property
    def end_ms(self) -> int:
        """Where the first slot begins that is not in the history."""
        return self.start_ms + int(self.values.shape[1]) * self.step_ms


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Civil time of each slot of a stretch of the grid: days since 1970, slot of the day, weekday (Monday is 0, a
    make-up workday is ``MAKEUP``), kind of day (``WORKDAY``, ``WEEKEND``, ``HOLIDAY``)."""

    day: I8
    slot: I8
    weekday: I8
    kind: I8


def slots_of(start_ms: int, step_ms: int, count: int, timezone: str, day_types: DayTypes) -> Slots:
    """Return the civil time of ``count`` slots of the grid from ``start_ms`` on.

    >>> slots = slots_of(0, 3_600_000, 30, "Asia/Shanghai", DayTypes(date(1970, 1, 1)))
    >>> slots.slot[:2].tolist(), slots.day[-1].item(), slots.weekday[0].item()
    ([8, 9], 1, 3)
    """
    civil = start_ms + np.arange(count, dtype=np.int64) * step_ms
    civil += offsets_ms(civil, timezone)
    day = civil // DAY_MS
    slot = (civil - day * DAY_MS) // step_ms
    weekday, kind = np.empty(count, np.int64), np.empty(count, np.int64)
    for number in np.unique(day).tolist():
        when = date(1970, 1, 1) + timedelta(days=number)
        found = day_types.type_of(when)
        weekday[day == number] = MAKEUP if found is DayType.MAKEUP_WORKDAY else when.weekday()
        kind[day == number] = _KINDS[found]
    return Slots(day, slot, weekday, kind)


def offsets_ms(times_ms: I8, timezone: str) -> I8:
    """Return how far the clock of a zone is ahead of UTC at each of some rising times, in milliseconds."""
    zone = ZoneInfo(timezone)

    def offset(time_ms: int) -> int:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
        return round((moment.utcoffset() or timedelta(0)).total_seconds() * 1000)

    found = np.empty(len(times_ms), np.int64)
    at = 0
    while at < len(times_ms):
        # A clock changes rarely, and never there and back within a week: ask once for all that is between.
        end = int(np.searchsorted(times_ms, times_ms[at] + 7 * DAY_MS))
        if offset(int(times_ms[end - 1])) == (first := offset(int(times_ms[at]))):
            found[at:end] = first
        else:
            found[at:end] = [offset(int(time_ms)) for time_ms in times_ms[at:end]]
        at = end
    return found


def day_types_of(type_of: Callable[[date], DayType], first_ms: int, last_ms: int) -> DayTypes:
    """Return the types of all civil days between two times; ``type_of`` is the shared calendar's ``day_type``.

    A day more is taken on either side, so that it holds in every time zone.

    >>> from gridbeacon.days import Days
    >>> types = day_types_of(Days("CN").type_of, 1_790_784_000_000, 1_790_870_400_000)
    >>> types.first.isoformat(), [one.value for one in types.types]
    ('2026-09-29', ['workday', 'workday', 'holiday', 'holiday'])
    """
    first = date(1970, 1, 1) + timedelta(days=first_ms // DAY_MS - 1)
    count = last_ms // DAY_MS - first_ms // DAY_MS + 3
    return DayTypes(first, tuple(type_of(first + timedelta(days=n)) for n in range(count)))
