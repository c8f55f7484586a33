"""How far the history of each series carries, and which of its values are believed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasts.history import HOLIDAY, Slots
from forecasts.ladder_kernel import CLASSES, believe_rows, count_rows
from forecasts.parallel import over_rows
from forecasts.profile_kernel import HOLIDAYS
from gridbeacon.frame import F4, I8

FULL_SHARE = 0.25
"""A day counts as seen when a quarter of the series' open slots were measured."""
CLOSED_WEEKS = 2
LEAST_LEVEL = 1e-9
"""What errors are measured in must not be 0, even where nothing was ever seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Of N series: ``days`` that were seen, ``share`` of the open slots since the first value that were measured,
    ``first`` the slot of that value (the end where there is none), ``last`` the newest value (NaN when there is none),
    ``level`` the mean, above 0, and ``highest`` the largest."""

    days: I8
    share: F4
    first: I8
    last: F4
    level: F4
    highest: F4


def classes_of(slots: Slots) -> I8:
    """Return the class of the day of each slot: its weekday, a make-up workday, a holiday."""
    return np.where(slots.kind == HOLIDAY, HOLIDAYS, slots.weekday)


def believed(values: F4, slots: Slots, day: int) -> F4:
    """Return a copy of values, NaN where they are not believed.

    Not believed are: what is not finite, negative, or beyond 1e15; a value above 100 times the series' 99th
    percentile, which is a fault of the sensor whatever happens in the city; and runs of zeros (three slots or more) in
    which, by the means of the same weekdays, a quarter of a usual day should have been counted, and at least 20: of 20
    events expected, none happens once in 5e8 times. A weekend that is always empty is no outage.
    """
    kept = np.array(values, np.float32)
    classes = classes_of(slots)

    def run(first: int, last: int) -> None:
        believe_rows(kept, classes, slots.slot, day, first, last)

    over_rows(len(kept), run)
    return kept


def ladder_of(values: F4, slots: Slots, day: int) -> tuple[Ladder, npt.NDArray[np.bool_]]:
    """Return how much each series has to show, and at which slots to come it is open (N × H).

    Open are those slots of the day at which it was ever measured. A slot that a weekday never had in two weeks or
    more, though most days have it, is closed on that weekday.
    """
    count, length = values.shape
    classes = classes_of(slots)
    days = slots.day[:length] if length else np.zeros(1, np.int64)
    seen = np.zeros((count, CLASSES, day), np.int32)
    by_day = np.zeros((count, int(days[-1] - days[0]) + 1), np.int32)

    places = np.empty((count, 2), np.int64)
    numbers, totals, highest = np.empty(count, np.int64), np.empty(count), np.empty(count, np.float32)

    def run(first: int, last: int) -> None:
        count_rows(values, days, classes, slots.slot, seen, by_day, places, numbers, totals, highest, first, last)

    over_rows(count, run)
    had = np.zeros((CLASSES, day), np.int64)
    np.add.at(had, (classes[:length], slots.slot[:length]), 1)
    total = seen.sum(1)
    ever = total > 0
    closed = (seen == 0) & (had >= CLOSED_WEEKS) & (total >= 0.5 * had.sum(0))[:, None, :]
    closed[:, 7:] = False
    later = classes[length:], slots.slot[length:]
    usable: npt.NDArray[np.bool_] = ever[:, later[1]] & ~closed[:, later[0], later[1]]

    some = numbers > 0
    newest = values[np.arange(count), places[:, 1]] if length else np.zeros(count, np.float32)
    wanted = np.maximum((length - places[:, 0]) * ever.sum(1) / day, 1.0)
    full = np.maximum(FULL_SHARE * ever.sum(1), 1.0)
    return (
        Ladder(
            days=np.where(numbers < FULL_SHARE * day, 0, (by_day >= full[:, None]).sum(1)),
            share=(numbers / wanted).astype(np.float32),
            first=places[:, 0],
            last=np.where(some, newest, np.nan).astype(np.float32),
            level=np.maximum(totals / np.maximum(numbers, 1), LEAST_LEVEL).astype(np.float32),
            highest=highest,
        ),
        usable,
    )
