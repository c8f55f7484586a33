"""Stored observations, in order of time, for those who learn from them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gridbeacon.config import Config
from sinks.clickhouse import answers, connect

_SQL = """
SELECT toUnixTimestamp64Milli(observed_at), kind, source, metric, grid_id, value
FROM observations FINAL
WHERE observed_at >= fromUnixTimestamp64Milli(%(since)s) AND observed_at < fromUnixTimestamp64Milli(%(until)s)
  AND reason NOT IN ('late', 'duplicate', 'stuck', 'impossible_jump', 'low_coverage', 'low_confidence')
ORDER BY observed_at, kind, source, metric
"""
_EVER_MS = 4_102_444_800_000


def observations(
    config: Config, since_ms: int | None, until_ms: int | None
) -> Iterator[tuple[int, str, str, str, str, float]]:
    """Yield (time in ms, kind, source, metric, cell, value) of what was stored in [since, until) and not doubted.

    Raises ``Transient`` when ClickHouse can't be reached.
    """
    given = {"since": since_ms or 0, "until": _EVER_MS if until_ms is None else until_ms}
    with answers(config):
        client = connect(config)
        try:
            yield from client.execute_iter(_SQL, given, settings={"max_block_size": 65_536})
        finally:
            client.disconnect()


ASKED = 500
"""Series of one query: their names stand in it."""
_QUARTER_MS = 900_000
_DOUBTED = "('late', 'duplicate', 'stuck', 'impossible_jump', 'low_coverage', 'low_confidence')"
_SERIES = "transform(concat(kind, '/', source, '/', metric), %(names)s, %(numbers)s, -1)"
_OURS = "(kind, source, metric) IN %(keys)s"
_BUCKETS = f"""
SELECT toInt32({_SERIES}) AS series,
    toInt64(intDiv(toUnixTimestamp(bucket) * 1000 - %(start)s, %(step)s)) AS slot,
    toFloat64(sum(total) / sum(n)) AS value
FROM observations_15m
WHERE {_OURS} AND bucket >= toDateTime(%(start)s / 1000, 'UTC') AND bucket < toDateTime(%(end)s / 1000, 'UTC')
GROUP BY series, slot
"""
_POINTS = f"""
SELECT toInt32({_SERIES}) AS series,
    toInt64(intDiv(toUnixTimestamp64Milli(observed_at) - %(start)s, %(step)s)) AS slot,
    toFloat64(avg(value)) AS value
FROM observations FINAL
WHERE {_OURS} AND observed_at >= fromUnixTimestamp64Milli(%(start)s) AND observed_at < fromUnixTimestamp64Milli(%(end)s)
GROUP BY series, slot
"""
_MASKED = f"""
SELECT DISTINCT toInt32({_SERIES}) AS series,
    toInt64(intDiv(toUnixTimestamp64Milli(observed_at) - %(start)s, %(step)s)) AS slot
FROM observations
WHERE {_OURS} AND observed_at >= fromUnixTimestamp64Milli(%(start)s) AND observed_at < fromUnixTimestamp64Milli(%(end)s)
    AND (reason IN {_DOUBTED} OR (grid_id, 1) IN (
        SELECT cell, 1 FROM alerts FINAL WHERE disposition = 'ANOMALY' AND observed_at >= opened_at
    ))
"""
