"""The default detector's state of one series, its constants and what it says: named rows of numbers, nothing else.

The state is lossless: saved and restored as bytes, it goes on to the digit. Profiles are kept to seven digits, in
memory as on disk. A change of a field is a new ``detectors.layout.VERSION``.
"""

from enum import StrEnum
from typing import Any

import numpy as np

from detectors.layout import HOURS_OF_DAY, HOURS_OF_WEEK

HEADS = 3
"""Each statistic's habituating level is kept three times, quick, middling and slow to rise."""
RESIDUALS = 5
SCALES = 2


class Statistic(StrEnum):
    """What decided a score, in the order of its number."""

    NONE = "none"
    HOUR_OF_WEEK = "hour_of_week"
    """Far from what this hour of the week is like."""
    HOUR_OF_DAY = "hour_of_day"
    """Far from what this hour of the day is like."""
    RECENT_LEVEL = "recent_level"
    """Far from the last hours."""
    CHANGE = "change"
    """A jump, for this hour of the day."""
    DRIFT = "drift"
    """A little off, for long."""
    RECORD = "record"
    """Beyond all that has ever been seen."""
    SHORT_DEPARTURE = "short_departure"
    """Off the profile for the better part of an hour."""
    LONG_DEPARTURE = "long_departure"
    """Off the profile for hours."""
    DETECTOR = "detector"
    """Far from what the configured detector knows."""


STATISTICS = tuple(Statistic)
RECORD, SHORT = STATISTICS.index(Statistic.RECORD), STATISTICS.index(Statistic.SHORT_DEPARTURE)

JUDGE = np.dtype(
    [
        ("first_ms", "i8"),
        ("last_ms", "i8"),
        ("count", "i8"),
        ("value", "f8"),
        ("interval_min", "f8"),
        # novelty: levels, their mean absolute errors, and the range
        ("slow", "f8"),
        ("middle", "f8"),
        ("week_scale", "f8"),
        ("day_scale", "f8"),
        ("middle_scale", "f8"),
        ("change_scale", "f8"),
        ("slow_scale", "f8"),
        ("drift", "f8"),
        ("drift_scale", "f8"),
        ("highest", "f8"),
        ("lowest", "f8"),
        ("usual", "f8", (HEADS, RESIDUALS)),
        ("surprised", "i8", (HEADS,)),
        ("alarmed", "i8"),
        ("alarm", "f8"),
        # departure: the level and the spread around the profile, the sums and their units
        ("level", "f8"),
        ("swing", "f8"),
        ("low_variance", "f8"),
        ("high_variance", "f8"),
        ("step", "f8"),
        ("sum", "f8", (SCALES,)),
        ("rise_unit", "f8", (SCALES,)),
        ("fall_unit", "f8", (SCALES,)),
        ("rise_square", "f8", (SCALES,)),
        ("fall_square", "f8", (SCALES,)),
        # episodes
        ("height", "f8"),
        ("said_departure", "f8"),
        ("said_novelty", "f8"),
        # learning by the hour
        ("slot_sum", "f8"),
        ("slot_count", "f8"),
        ("hours", "f8"),
        ("hour_error", "f8"),
        ("day_error", "f8"),
        ("week_error", "f8"),
        ("lean", "f8"),
        # profiles: what single observations are like, and whole hours
        ("week", "f4", (HOURS_OF_WEEK,)),
        ("day", "f4", (HOURS_OF_DAY,)),
        ("change", "f4", (HOURS_OF_DAY,)),
        ("hour_week", "f4", (HOURS_OF_WEEK,)),
        ("hour_day", "f4", (HOURS_OF_DAY,)),
        # small things, last, so that nothing stands between the fields
        ("slot", "i2"),
        ("negative", "u1"),
        ("open", "u1"),
        ("week_visits", "u1", (HOURS_OF_WEEK,)),
        ("day_visits", "u1", (HOURS_OF_DAY,)),
        ("hour_week_visits", "u1", (HOURS_OF_WEEK,)),
        ("hour_day_visits", "u1", (HOURS_OF_DAY,)),
        ("spare", "u1", (4,)),
    ],
    align=True,
)

#: What is said of one observation: the three scores; what was expected and its spread, in its unit; how much the
#: profile is to be trusted, 0..1; -1, 0 or 1; the number of the ``Statistic``; whether a lasting shift is learned;
#: whether there is too little history for a departure.
SAID = np.dtype(
    [
        ("alarm", "f8"),
        ("severity", "f8"),
        ("signal", "f8"),
        ("expected", "f8"),
        ("spread", "f8"),
        ("confidence", "f8"),
        ("direction", "i1"),
        ("statistic", "u1"),
        ("shifted", "u1"),
        ("young", "u1"),
        ("spare", "u1", (4,)),
    ],
    align=True,
)

#: The constants, one set for every series: value, and what it is. All stand on a plateau: ± 30 % of all of them at
#: once costs two or three points of any benchmark.
CONSTANTS: dict[str, tuple[float, str]] = {
    "slow_gain": (1 / 300, "gain of the slow level, which fills hours never seen"),
    "middle_gain": (0.05, "gain of the level of the last hours"),
    "bin_gain": (0.3, "least gain of an hour of a profile: a new habit is learned in about three visits"),
    "scale_gain": (1 / 4000, "gain of the mean absolute errors"),
    "clip": (3.0, "errors learned from at most, in mean absolute errors"),
    "day_weight": (6.0, "visits of an hour of the week that outweigh the hour of the day"),
    "drift_gain": (1 / 60, "gain of the mean of clipped errors"),
    "half_life": (2000.0, "observations in which a habituated level halves"),
    "habituation": (0.5, "how far a level rises to a surprise, in logarithms"),
    "habituation_spread": (0.3, "and how much less and more in the quick and the slow head"),
    "surprise": (0.3, "surprise from which a head stops habituating for a while"),
    "refractory": (100.0, "observations of that while"),
    "alarm_from": (0.45, "surprise that is worth saying"),
    "alarm_growth": (0.3, "by how much more it must be during the while"),
    "record_weight": (1.5, "weight of a record"),
    "record_share": (0.02, "overshoot that counts as one unit, as a share of the range"),
    "floor": (0.05, "least habituated level"),
    "norm": (5.0, "power of the norm that joins the statistics"),
    "maturity_days": (2.0, "history at which half of a novelty is believed"),
    "support": (0.6, "weight of a departure that supports a novelty"),
    "support_from": (0.7, "departure from which it does"),
    "support_span": (1.5, "and how much of it counts"),
    "fall_support": (0.8, "weight of falls in this"),
    "short_min": (22.0, "time constant of the short sum, minutes"),
    "long_min": (110.0, "of the long one"),
    "departure_clip": (3.2, "residuals summed at most, in spreads"),
    "reach": (4.0, "or in units of the sum, where that is more: what is correlated has large sums"),
    "profile_share": (0.2, "share of the profile's swing that counts as spread"),
    "tail": (0.07, "share of observations whose sum lies beyond its unit"),
    "unit_floor": (0.2, "least unit, in standard errors of independent residuals"),
    "fall_weight": (0.5, "weight of falls: most are jams, breaks and faults"),
    "open_from": (1.3, "departure that opens an episode"),
    "growth": (1.2, "factor by which a departure must grow to be said again"),
    "forget_min": (1000.0, "time in which what was said is half forgotten, minutes"),
    "spread_min": (18 * 1440.0, "time constant of spread and units, minutes"),
    "young_min": (2 * 1440.0, "history before the first departure, minutes"),
    "hour_gain": (0.3, "least gain of an hour of the week by its mean"),
    "lean_from": (2.0, "mean error of a day's hours, in mean absolute errors, that is a lasting change"),
    "departure_unit": (2.4, "departure that is worth 1"),
    "novelty_unit": (1.0, "novelty that is worth 1"),
    "novelty_span": (0.02, "novelty alone is worth at most this much more: it is often wrong about noise"),
}
CONSTANT = np.dtype([(name, "f8") for name in CONSTANTS])


def constants(**changed: float) -> Any:
    """Return the constants as one row; some may be changed, for experiments.

    >>> float(constants(clip=4.0)["clip"][0])
    4.0
    """
    row = np.zeros(1, CONSTANT)
    for name, (value, _) in CONSTANTS.items():
        row[name] = changed.pop(name, value)
    if changed:
        raise ValueError(f"there is no constant {next(iter(changed))!r}; see CONSTANTS")
    return row


def blank_judges(count: int) -> Any:
    """Return the rows of so many series that nothing has been seen of."""
    rows = np.zeros(count, JUDGE)
    rows["usual"] = CONSTANTS["floor"][0]
    rows["surprised"] = rows["alarmed"] = -(1 << 40)
    rows["slot"] = -1
    return rows
