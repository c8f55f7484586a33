"""The calendar -> the table ``announced``, so that queries and dashboards can say what was expected to happen."""

from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from sinks.clickhouse import ClickHouseSink
from sinks.rows import Columns

_DAY_MS = 86_400_000
BEFORE_MS, AHEAD_MS = 30 * _DAY_MS, 366 * _DAY_MS
MOST = 20_000
"""A calendar that recurs by the minute is no announcement."""


def announced(calendar: Calendar, now_ms: int) -> Columns:
    """Return one row for each time that a window is open, from 30 days ago to a year ahead."""
    found = calendar.active(now_ms - BEFORE_MS, now_ms + AHEAD_MS)[:MOST]
    return {
        "starts_at": [one.start_ms for one in found],
        "ends_at": [one.end_ms for one in found],
        "name": [one.window.name for one in found],
        "mode": [str(one.window.mode) for one in found],
        "cells": [list(one.window.scope.cells) for one in found],
        "kind": [str(one.window.scope.kind or "") for one in found],
        "metric": [one.window.scope.metric for one in found],
        "version": [now_ms] * len(found),
    }


def store(calendar: Calendar, config: Config, now_ms: int) -> int:
    """Write what is announced and return how many rows; what was read before no longer counts.

    Raises ``Transient`` when ClickHouse is away.
    """
    sink = ClickHouseSink(config)
    try:
        return sink.write("announced", announced(calendar, now_ms), f"calendar/{now_ms}")
    finally:
        sink.close()
