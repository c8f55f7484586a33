"""The state of a series and of a source: a compact row each, with named fields. Lossless: saved and restored as bytes.

Every time is in milliseconds of event time since 1970 UTC, ``NEVER`` when there is none. A change of a field is a new
``VERSION``: states of another version are refused.
"""

import numpy as np

VERSION = 2
NEVER = -1
LEVELS = 4
#: The limit checks of one series, each with the four levels of its ladder.
PRIMARY, PROJECTION, UP_DOWN = 0, 1, 2
BLOCKS = 3
HOURS_OF_WEEK, HOURS_OF_DAY = 168, 24

SERIES = np.dtype(
    [
        ("first_ms", "i8"),
        ("last_ms", "i8"),
        ("count", "u4"),
        ("value", "f8"),
        # how long the value has not changed: observations, and since when
        ("run", "u4"),
        ("run_since_ms", "i8"),
        # the last time that density was high, and the impossible fall from it
        ("high_ms", "i8"),
        ("jump_ms", "i8"),
        ("stuck", "u1"),
        ("jumped", "u1"),
        # the ladder of each check: since when each level has been reached, and left; which levels are in force
        ("since_ms", "i8", (BLOCKS, LEVELS)),
        ("below_ms", "i8", (BLOCKS, LEVELS)),
        ("open", "u1", (BLOCKS, LEVELS)),
        ("projected", "u1"),
        # the episode of the learned layer
        ("episode", "i1"),
        # whether situate has been told that this series exists
        ("announced", "u1"),
        ("calm", "u1"),
    ],
    align=True,
)

SOURCE = np.dtype(
    [
        # what the registry says; NaN = it does not
        ("interval_ms", "i8"),
        ("quiet_after_ms", "i8"),
        ("area_m2", "f8"),
        ("capacity", "f8"),
        # when it spoke last, and when it will count as gone quiet
        ("last_ms", "i8"),
        ("deadline_ms", "i8"),
        ("quiet", "u1"),
        ("low_coverage", "u1"),
        ("low_confidence", "u1"),
        ("has_max", "u1"),
        # people per interval, for the net inflow
        ("towards", "f8"),
        ("towards_ms", "i8"),
        ("away", "f8"),
        ("away_ms", "i8"),
        # fast and slow means of density and flow
        ("density_ms", "i8"),
        ("density_fast", "f8"),
        ("density_slow", "f8"),
        ("flow_ms", "i8"),
        ("flow_fast", "f8"),
        ("flow_slow", "f8"),
    ],
    align=True,
)

#: What the configuration asks of every row, as one record.
RULES = np.dtype(
    [
        ("ladders", "f8", (3, LEVELS)),
        ("hysteresis_per_m2", "f8"),
        ("hold_ms", "i8"),
        ("shares", "f8", (3,)),
        ("flows", "f8", (2, 2)),
        ("inflow_minutes", "f8"),
        ("stuck_repeats", "i8"),
        ("jump_from_per_m2", "f8"),
        # as narrow as what they are compared with: a share of exactly the least is enough
        ("min_coverage", "f4"),
        ("min_confidence", "f4"),
    ],
    align=True,
)

#: What the kernel says of a row: what is doubted (``flags``), what of it began or ended (``turns``), the levels of the
#: checks before and after, the density that is projected, since when the source had been quiet, and how many
#: observations came before.
RESULT = np.dtype(
    [
        ("flags", "i4"),
        ("turns", "i4"),
        ("before", "u1", (BLOCKS,)),
        ("after", "u1", (BLOCKS,)),
        ("learn", "u1"),
        ("quiet_from_ms", "i8"),
        ("projected", "f8"),
        ("history", "u4"),
    ],
    align=True,
)


def blank_series() -> np.void:
    """Return the row of a series that nothing has been seen of."""
    row = np.zeros(1, SERIES)
    for name in ("first_ms", "last_ms", "run_since_ms", "high_ms", "jump_ms", "since_ms", "below_ms"):
        row[name] = NEVER
    return row[0]  # type: ignore[no-any-return]


def blank_source() -> np.void:
    """Return the row of a source that nothing is known of."""
    row = np.zeros(1, SOURCE)
    for name in ("last_ms", "deadline_ms", "towards_ms", "away_ms", "density_ms", "flow_ms"):
        row[name] = NEVER
    for name in ("area_m2", "capacity"):
        row[name] = np.nan
    return row[0]  # type: ignore[no-any-return]
