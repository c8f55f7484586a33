"""Crossings: what a forecast says of a limit, when it is told, and how it ends."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.config import Limits
from gridbeacon.crossings import (
    KEEP_SHARE,
    PATIENCE,
    alert_level,
    begin,
    come_true,
    foresee,
    go_on,
    limits_of,
)
from gridbeacon.model import Foreseen
from gridbeacon.reasons import CrossingOutcome, Level, Reason, Tier
from gridbeacon.vocabulary import METRIC_NUMBER, METRICS, MOTIONS, SURFACES, Kind, Motion, Surface

SLOT_MS = 900_000
LIMIT = 4.0


def path(points, spread=0.5, start_ms=0):
    point = np.array(points, np.float64)
    times = start_ms + SLOT_MS * np.arange(len(point))
    return times, point, point - spread, point + spread


def test_a_rise_is_a_watch_first_and_a_warning_when_the_point_passes():
    watch = foresee(*path([2.0, 3.0, 3.6, 3.2]), LIMIT, 0.9)
    assert watch is not None
    assert watch.tier is Tier.WATCH
    assert watch.from_ms <= watch.expected_ms == 2 * SLOT_MS
    warning = foresee(*path([2.0, 3.0, 4.5, 5.5]), LIMIT, 0.9)
    assert warning is not None
    assert warning.tier is Tier.WARNING
    assert warning.from_ms < warning.expected_ms < (warning.until_ms or 0)
    assert foresee(*path([2.0, 2.5, 3.4]), LIMIT, 0.9) is None


def test_a_certain_rise_is_expected_exactly_when_it_passes():
    found = foresee(*path([3.0, 5.0], spread=0.0), LIMIT, 0.9)
    assert found == Foreseen(
        tier=Tier.WARNING, expected_ms=SLOT_MS // 2, from_ms=SLOT_MS // 2, until_ms=SLOT_MS // 2, probability=0.9
    )


def test_closed_hours_are_skipped():
    assert foresee(*path([np.nan, np.nan]), LIMIT, 0.9) is None
    found = foresee(*path([3.0, np.nan, 5.0], spread=0.0), LIMIT, 0.9)
    assert found is not None
    assert found.expected_ms == SLOT_MS


numbers = st.lists(st.floats(0, 10) | st.just(float("nan")), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(numbers, st.floats(0, 3), st.sampled_from(list(Tier)))
def test_what_is_foreseen_lies_within_the_forecast_and_in_order(points, spread, held):
    """For any forecast: from <= expected, expected <= until where it is known, all within the path; a probability."""
    times, *columns = path(points, spread)
    found = foresee(times, *columns, LIMIT, 0.9, held)
    if found is None:
        highest = np.nanmax(np.append(columns[2], -1.0))
        assert highest < LIMIT
        return
    assert times[0] <= found.from_ms <= found.expected_ms <= times[-1]
    assert found.until_ms is None or found.expected_ms <= found.until_ms <= times[-1]
    assert 0.0 <= found.probability <= 1.0
    passes = np.nanmax(np.append(columns[0], -1.0)) >= LIMIT * (KEEP_SHARE if held is Tier.WARNING else 1.0)
    assert (found.tier is Tier.WARNING) == passes


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1.0, 6.0), min_size=1, max_size=60), st.floats(0.0, 1.0))
def test_a_crossing_ends_once_and_versions_count_up(peaks, spread):
    """Over any row of forecasts: versions rise one by one, it ends at most once, and only after PATIENCE below."""
    held = None
    below = 0
    for number, peak in enumerate(peaks):
        now_ms = number * SLOT_MS
        tier = held.foreseen.tier if held is not None else Tier.NONE
        found = foresee(*path([2.0, peak, 2.0], spread, now_ms), LIMIT, 0.9, tier)
        if held is None:
            held = begin("s", Level.ORANGE, LIMIT, found, now_ms, "profile") if found else None
            continue
        after = go_on(held, found, now_ms, told_from_ms=2 * SLOT_MS)
        below = 0 if found else below + 1
        assert after.version - held.version in (0, 1)
        assert after.open == (below < PATIENCE)
        if not after.open:
            assert after.reason in (Reason.FORECAST_FADED, Reason.FORECAST_OVERDUE)
            assert after.lead_ms is None
            return
        assert alert_level(after) < Level.ORANGE
        held = after


def test_a_forecast_that_hovers_at_the_limit_does_not_flicker():
    seen = foresee(*path([2.0, 4.05], 0.0), LIMIT, 0.9)
    assert seen is not None
    held = begin("s", Level.ORANGE, LIMIT, seen, 0, "profile")
    for number, peak in enumerate([3.95, 4.05, 3.85, 4.1, 3.9] * 4):
        found = foresee(*path([2.0, peak], 0.0), LIMIT, 0.9, held.foreseen.tier)
        held = go_on(held, found, number * 1000, told_from_ms=2 * SLOT_MS)
    assert (held.version, held.outcome, held.foreseen.tier) == (1, CrossingOutcome.OPEN, Tier.WARNING)


def test_lead_times_are_from_the_first_word_and_from_the_first_warning():
    watch = foresee(*path([2.0, 3.8], 0.5), LIMIT, 0.9)
    warning = foresee(*path([2.0, 5.0], 0.5, 2 * SLOT_MS), LIMIT, 0.9)
    assert watch is not None
    assert warning is not None
    held = begin("s", Level.ORANGE, LIMIT, watch, 0, "prophet_batch")
    held = go_on(held, warning, 2 * SLOT_MS, told_from_ms=2 * SLOT_MS)
    assert (held.version, held.warned_ms, held.reason) == (2, 2 * SLOT_MS, Reason.FORECAST_WARNING)
    ended = come_true(held, 5 * SLOT_MS)
    assert (ended.outcome, ended.reason) == (CrossingOutcome.CAME_TRUE, Reason.FORECAST_CAME_TRUE)
    assert (ended.lead_ms, ended.warning_lead_ms) == (5 * SLOT_MS, 3 * SLOT_MS)
    assert alert_level(ended) is Level.NONE


@pytest.mark.parametrize(
    ("after_ms", "lost", "reason"),
    [
        (0, False, Reason.FORECAST_FADED),
        (10 * SLOT_MS, False, Reason.FORECAST_OVERDUE),
        (0, True, Reason.FORECAST_LOST),
    ],
)
def test_a_withdrawal_says_why(after_ms, lost, reason):
    seen = foresee(*path([2.0, 5.0]), LIMIT, 0.9)
    assert seen is not None
    held = begin("s", Level.RED, LIMIT, seen, 0, "profile")
    for _ in range(PATIENCE):
        held = go_on(held, None, after_ms, told_from_ms=SLOT_MS, lost=lost)
    assert (held.outcome, held.reason) == (CrossingOutcome.WITHDRAWN, reason)


def test_limits_are_those_of_the_ladder_and_ascend():
    """Of every metric, surface and motion: limits ascend, and stairs are never safer than level ground."""
    for metric in range(len(METRICS)):
        for motion in MOTIONS:
            level = limits_of(Limits(), metric, Surface.LEVEL, motion, 100)
            for surface in SURFACES:
                found = limits_of(Limits(), metric, surface, motion, 100)
                finite = [one for one in found if np.isfinite(one)]
                assert finite == sorted(finite)
                assert all(mine <= theirs for mine, theirs in zip(found, level, strict=True))
    standing = METRIC_NUMBER[Kind.CROWD, "density_max_per_m2"]
    assert limits_of(Limits(), standing, Surface.LEVEL, Motion.STATIC, None) == (2.0, 3.5, 4.7, 5.5)


def test_bytes_lose_nothing():
    seen = foresee(*path([2.0, 5.0]), LIMIT, 0.9)
    assert seen is not None
    held = come_true(begin("s", Level.RED, LIMIT, seen, 7, "profile"), 99)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(held), type=type(held)) == held
