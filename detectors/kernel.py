"""The limits and the quality checks, row by row over the state rows: one compiled call per frame.

Each function is plain Python too (``function.py_func``): the reference that tests hold the compiled form to. What a
row decides depends on the rows before it alone, so it does not matter how a log is cut into frames. All compiled
functions stand in this one file: numba's cache on disk notices a change of the file that a function is in, of no other.
"""

import math
from typing import Any

import numba
import numpy as np

from detectors.layout import (
    BLOCKS,
    LEVELS,
    NEVER,
    PRIMARY,
    PROJECTION,
    RESULT,
    RULES,
    SERIES,
    SOURCE,
    UP_DOWN,
)
from gridbeacon.frame import F4, F8, I8, U1
from gridbeacon.vocabulary import METRIC_NUMBER, METRICS, MOTIONS, SURFACES, Kind, Motion, Surface

# What a row is, and what begins or ends with it (bit sets).
DUPLICATE, LATE, STUCK, JUMP, LOW_COVERAGE, LOW_CONFIDENCE, QUIET = (1 << bit for bit in range(7))
SUSPECT = STUCK | JUMP | LOW_COVERAGE | LOW_CONFIDENCE
LEARN, JUDGE = 1, 2  # whether the learned layer is to learn this row, and to judge it

PEOPLE = METRIC_NUMBER[Kind.CROWD, "people_count"]
TOWARDS = METRIC_NUMBER[Kind.CROWD, "people_count_towards"]
AWAY = METRIC_NUMBER[Kind.CROWD, "people_count_away"]
OCCUPANCY = METRIC_NUMBER[Kind.CROWD, "occupancy"]
FLOW = METRIC_NUMBER[Kind.CROWD, "flow_per_m_min"]
MEAN = METRIC_NUMBER[Kind.CROWD, "density_mean_per_m2"]
MAX = METRIC_NUMBER[Kind.CROWD, "density_max_per_m2"]
IS_COUNT = np.array([m.count for m in METRICS], np.uint8)
IS_LEARNED = np.array([m.learned for m in METRICS], np.uint8)
LEVEL_SURFACE, STANDING = SURFACES.index(Surface.LEVEL), MOTIONS.index(Motion.STATIC)
MOVING_LADDER, STAIRS_LADDER, STANDING_LADDER = 0, 1, 2

NOTHING_PER_M2 = 0.05
JUMP_INTERVALS = 2
JUMP_HOLDS_MS = 900_000
"""A sudden nothing is doubted this long; then the place is believed to be empty."""
ZERO_REPEATS = 10
ZERO_HOLDS_MS = 86_400_000
"""Empty squares at night are no fault: zeros (and small counts) are stuck after ten times as many, zeros not before a
whole day."""
SMALL_COUNT = 10
CAPACITY_CLOSE = 0.95
"""Shares and flows end 5 % below where they begin."""
FAST_MS, SLOW_MS = 60_000.0, 180_000.0
UP_PER_M2, DOWN_SHARE, MIN_FLOW = 0.1, 0.9, 1.0
"""Density is rising when its minute stands this far above its three minutes; flow falls when below this share."""
LASTS_MS = 3 * 86_400_000
"""What breaks a limit is not learned, unless it has done so for this long."""


@numba.njit(cache=True)
def climb(row: Any, block: int, value: float, begin: F8, end: F8, t: int, hold: int, suspect: bool) -> None:  # noqa: FBT001
    """Take one value to one ladder: level l is in force once ``value >= begin[l]`` for ``hold`` ms, until
    ``value < end[l]`` for as long. A suspect value is no evidence that anything is over."""
    since, below, is_open = row["since_ms"], row["below_ms"], row["open"]
    for level in range(LEVELS):
        if is_open[block, level]:
            if value >= end[level]:
                below[block, level] = NEVER
            elif not suspect:
                if below[block, level] == NEVER:
                    below[block, level] = t
                if t - below[block, level] >= hold:
                    is_open[block, level] = 0
                    since[block, level] = below[block, level] = NEVER
        elif value >= begin[level]:
            if since[block, level] == NEVER:
                since[block, level] = t
            if t - since[block, level] >= hold:
                is_open[block, level] = 1
                below[block, level] = NEVER
        else:
            since[block, level] = NEVER


@numba.njit(cache=True)
def highest(row: Any, block: int) -> int:
    """Return the level in force, 0..4."""
    for level in range(LEVELS, 0, -1):
        if row["open"][block, level - 1]:
            return level
    return 0


@numba.njit(cache=True)
def smooth(mean: float, value: float, passed_ms: float, constant_ms: float) -> float:
    """Return an exponential mean after ``passed_ms`` since its last value."""
    return mean + (1.0 - math.exp(-passed_ms / constant_ms)) * (value - mean)


@numba.njit(cache=True)
def marked(yes: bool, bit: int) -> int:  # noqa: FBT001
    """Return the bit when it is so, else none."""
    return bit if yes else 0


@numba.njit(cache=True)
def doubt(
    row: Any,
    source: Any,
    m: int,
    t: int,
    value: float,
    coverage: float,
    confidence: float,
    rules: Any,
) -> tuple[int, int]:
    """Return (what is wrong with this value, what of it began or ended), as bit sets; remember it."""
    if row["count"] > 0 and row["value"] == value:
        row["run"] += 1
    else:
        row["run"], row["run_since_ms"] = 1, t
    limit, lasts = rules["stuck_repeats"], 0
    if value == 0.0:
        limit, lasts = limit * ZERO_REPEATS, ZERO_HOLDS_MS
    elif IS_COUNT[m] and value <= SMALL_COUNT:
        limit *= ZERO_REPEATS
    stuck = IS_LEARNED[m] != 0 and row["run"] >= limit and t - row["run_since_ms"] >= lasts
    jumped = False
    if m in (MAX, MEAN):
        if value <= NOTHING_PER_M2:
            soon = row["high_ms"] != NEVER and t - row["high_ms"] <= JUMP_INTERVALS * source["interval_ms"]
            if soon and row["jump_ms"] == NEVER:
                row["jump_ms"] = t
            jumped = row["jump_ms"] != NEVER and t - row["jump_ms"] <= JUMP_HOLDS_MS
        else:
            row["jump_ms"] = NEVER
            row["high_ms"] = t if value >= rules["jump_from_per_m2"] else NEVER
    thin, unsure = coverage < rules["min_coverage"], confidence < rules["min_confidence"]
    flags = marked(stuck, STUCK) | marked(jumped, JUMP) | marked(thin, LOW_COVERAGE) | marked(unsure, LOW_CONFIDENCE)
    before = (
        marked(row["stuck"], STUCK)
        | marked(row["jumped"], JUMP)
        | marked(source["low_coverage"], LOW_COVERAGE)
        | marked(source["low_confidence"], LOW_CONFIDENCE)
    )
    row["stuck"], row["jumped"] = stuck, jumped
    source["low_coverage"], source["low_confidence"] = thin, unsure
    return flags, flags ^ before


@numba.njit(cache=True)
def guard(
    row: Any,
    source: Any,
    m: int,
    t: int,
    value: float,
    standing: bool,  # noqa: FBT001
    level_ground: bool,  # noqa: FBT001
    suspect: bool,  # noqa: FBT001
    rules: Any,
) -> float:
    """Take one value to the limit checks of its metric; return the density that is projected (0 when none is)."""
    # An observation of a longer interval than the hold is a mean over more than that: it counts at once.
    hold = 0 if source["interval_ms"] > rules["hold_ms"] else rules["hold_ms"]
    begin = np.full(LEVELS, np.inf)
    if m in (MAX, MEAN):
        which = STAIRS_LADDER if not level_ground else STANDING_LADDER if standing else MOVING_LADDER
        begin[:] = rules["ladders"][which]
        end = begin - rules["hysteresis_per_m2"]
        if m == MAX:
            source["has_max"] = 1
        principal = m == MAX or source["has_max"] == 0
        if principal or highest(row, PRIMARY) > 0:
            climb(row, PRIMARY, value, begin, end, t, hold, suspect)
        squeezed = False
        if principal:
            passed = max(0.0, float(t - source["density_ms"])) if source["density_ms"] != NEVER else np.inf
            source["density_fast"] = smooth(source["density_fast"], value, passed, FAST_MS)
            source["density_slow"] = smooth(source["density_slow"], value, passed, SLOW_MS)
            source["density_ms"] = t
            squeezed = (
                value >= begin[0]
                and source["flow_ms"] != NEVER
                and t - source["flow_ms"] <= source["quiet_after_ms"]
                and source["density_fast"] > source["density_slow"] + UP_PER_M2
                and source["flow_slow"] >= MIN_FLOW
                and source["flow_fast"] < DOWN_SHARE * source["flow_slow"]
            )
        if principal or highest(row, UP_DOWN) > 0:
            yellow = np.full(LEVELS, np.inf)
            yellow[1] = 0.5
            climb(row, UP_DOWN, 1.0 if squeezed else 0.0, yellow, yellow, t, hold, suspect)
        if m == MAX:
            return 0.0
        counted = source["towards_ms"] == t and source["away_ms"] == t and source["area_m2"] > 0
        gained = (source["towards"] - source["away"]) * 60_000.0 / source["interval_ms"] if counted else 0.0
        # Where nobody comes in, or is counted, nothing is projected: an empty square is no finding.
        ahead = value + max(0.0, gained) * rules["inflow_minutes"] / source["area_m2"] if gained > 0 else 0.0
        climb(row, PROJECTION, ahead, begin, end, t, hold, suspect)
        # What is projected warns one level below what it will be, and only of what is not there yet.
        level = highest(row, PROJECTION)
        row["projected"] = max(1, level - 1) if level > 0 and value < begin[level - 1] else 0
        return ahead
    if m == PEOPLE:
        if source["capacity"] > 0:  # else there is no limit, and what was in force ends
            begin[:3] = rules["shares"] * source["capacity"]
    elif m == OCCUPANCY:
        begin[:3] = rules["shares"]
    elif m == FLOW:
        begin[1:3] = rules["flows"][0 if level_ground else 1]
        passed = max(0.0, float(t - source["flow_ms"])) if source["flow_ms"] != NEVER else np.inf
        source["flow_fast"] = smooth(source["flow_fast"], value, passed, FAST_MS)
        source["flow_slow"] = smooth(source["flow_slow"], value, passed, SLOW_MS)
        source["flow_ms"] = t
    elif m == TOWARDS:
        source["towards"], source["towards_ms"] = value, t
        return 0.0
    elif m == AWAY:
        source["away"], source["away_ms"] = value, t
        return 0.0
    else:
        return 0.0
    climb(row, PRIMARY, value, begin, begin * CAPACITY_CLOSE, t, hold, suspect)
    return 0.0


@numba.njit(cache=True)
def lasting(row: Any, t: int) -> bool:
    """Return whether the lowest level in force has been so for long: then what it is like is learned after all."""
    for block in (PRIMARY, UP_DOWN):
        for level in range(LEVELS):
            if row["open"][block, level]:
                return bool(t - row["since_ms"][block, level] >= LASTS_MS)
    return False


@numba.njit(cache=True)
def judge_rows(
    series: Any,
    sources: Any,
    at_series: I8,
    at_source: I8,
    metric: U1,
    observed_ms: I8,
    value: F8,
    coverage: F4,
    confidence: F4,
    surface: U1,
    motion: U1,
    arrival_ms: int,
    all_rules: Any,
    results: Any,
) -> None:
    """Observe rows in order; fill ``results`` (zeroed). ``arrival_ms`` is NEVER in a replay: event time counts then."""
    rules = all_rules[0]
    for i in range(len(value)):
        row, source, out = series[at_series[i]], sources[at_source[i]], results[i]
        m, t, v = metric[i], observed_ms[i], value[i]
        out["history"] = row["count"]
        for block in range(BLOCKS):
            level = row["projected"] if block == PROJECTION else highest(row, block)
            out["before"][block] = out["after"][block] = level
        if row["last_ms"] != NEVER and t <= row["last_ms"]:
            out["flags"] = DUPLICATE if t == row["last_ms"] else LATE
            continue
        heard_ms = t if arrival_ms == NEVER else arrival_ms
        if source["quiet"]:
            out["turns"] = QUIET
        elif source["deadline_ms"] != NEVER and heard_ms > source["deadline_ms"]:
            out["turns"] = QUIET
            out["quiet_from_ms"] = source["deadline_ms"]
        source["quiet"] = 0
        source["last_ms"] = max(source["last_ms"], t)
        source["deadline_ms"] = max(source["deadline_ms"], heard_ms + source["quiet_after_ms"])
        if row["last_ms"] != NEVER and t - row["last_ms"] > source["quiet_after_ms"]:
            # Nobody knows what was between: a level has to hold anew before it begins, and be left anew.
            for block in range(BLOCKS):
                for level in range(LEVELS):
                    row["below_ms"][block, level] = NEVER
                    if not row["open"][block, level]:
                        row["since_ms"][block, level] = NEVER
        wrong, turned = doubt(row, source, m, t, v, coverage[i], confidence[i], rules)
        out["flags"] = wrong
        out["turns"] |= turned
        standing, level_ground = motion[i] == STANDING, surface[i] == LEVEL_SURFACE
        out["projected"] = guard(row, source, m, t, v, standing, level_ground, wrong != 0, rules)
        out["after"][PRIMARY] = highest(row, PRIMARY)
        out["after"][PROJECTION] = row["projected"]
        out["after"][UP_DOWN] = highest(row, UP_DOWN)
        if IS_LEARNED[m] and wrong == 0:
            breach = out["after"][PRIMARY] > 0 or out["after"][UP_DOWN] > 0
            out["learn"] = JUDGE | (0 if breach and not lasting(row, t) else LEARN)
        if row["first_ms"] == NEVER:
            row["first_ms"] = t
        row["last_ms"], row["value"] = t, v
        row["count"] += 1


@numba.njit(cache=True)
def add_rows(slot: Any, end_ms: int, at: I8, ends_ms: I8, observed: F8, expected: F8, spread: F8, learned: U1) -> None:
    """Add the rows whose slot ends at ``end_ms`` to their series' sums, in order: rows, how many of them were not to be
    learned from, observed, expected, variance."""
    for i in range(len(at)):
        if ends_ms[i] == end_ms:
            sums = slot[at[i]]
            sums[0] += 1.0
            sums[1] += 0.0 if learned[i] else 1.0
            sums[2] += observed[i]
            sums[3] += expected[i]
            sums[4] += spread[i] * spread[i]


def compile_now() -> None:
    """Compile what a frame needs (kept on disk, once per machine) by judging nothing, for both kinds of columns."""
    add: Any = add_rows
    none: Any = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0)
    add(np.zeros((1, 5)), 0, *none, np.zeros(0, np.uint8))
    judge: Any = judge_rows  # a dispatcher, which numba's stubs do not let us call with a list
    found: Any = [np.zeros(0, np.int64) for _ in range(2)]
    columns: Any = [np.zeros(0, kind) for kind in ("u1", "i8", "f8", "f4", "f4", "u1", "u1")]
    for writable in (True, False):  # columns of a message can't be written to: another type to numba
        for column in columns:
            column.setflags(write=writable)
        states = np.zeros(1, SERIES), np.zeros(1, SOURCE)
        judge(*states, *found, *columns, NEVER, np.zeros(1, RULES), np.zeros(0, RESULT))
