"""Stored observations, in order of time, for those who learn from them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gridbeacon.config import Config
from gridbeacon.frame import F4
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
"""  # noqa: S608 - our own words alone
_POINTS = f"""
SELECT toInt32({_SERIES}) AS series,
    toInt64(intDiv(toUnixTimestamp64Milli(observed_at) - %(start)s, %(step)s)) AS slot,
    toFloat64(avg(value)) AS value
FROM observations FINAL
WHERE {_OURS} AND observed_at >= fromUnixTimestamp64Milli(%(start)s) AND observed_at < fromUnixTimestamp64Milli(%(end)s)
GROUP BY series, slot
"""  # noqa: S608 - our own words alone
_MASKED = f"""
SELECT DISTINCT toInt32({_SERIES}) AS series,
    toInt64(intDiv(toUnixTimestamp64Milli(observed_at) - %(start)s, %(step)s)) AS slot
FROM observations
WHERE {_OURS} AND observed_at >= fromUnixTimestamp64Milli(%(start)s) AND observed_at < fromUnixTimestamp64Milli(%(end)s)
    AND reason IN {_DOUBTED}
"""  # noqa: S608 - our own words alone
_CONFIRMED = """
SELECT cell,
    toInt64(intDiv(greatest(toUnixTimestamp64Milli(opened_at), %(start)s) - %(start)s, %(step)s)) AS first,
    toInt64(intDiv(least(toUnixTimestamp64Milli(ifNull(cleared_at, changed_at)), %(end)s - 1) - %(start)s, %(step)s))
FROM alerts FINAL
WHERE disposition = 'ANOMALY' AND toUnixTimestamp64Milli(opened_at) < %(end)s
    AND toUnixTimestamp64Milli(ifNull(cleared_at, changed_at)) >= %(start)s
"""


def masked_means(
    config: Config, names: Sequence[str], cells: Sequence[str], start_ms: int, end_ms: int, step_ms: int
) -> F4:
    """Return the mean of each series in each slot of [start, end), N × T; NaN where nothing may be learned.

    That is where nothing was measured, where the observations are doubted (late, stuck, seen too badly), and in the
    cells of alerts that people confirmed as an anomaly, for as long as those lasted. ``step_ms`` divides the span.
    Quarters of an hour and their multiples come from the roll-up, other slots from the observations themselves.
    Raises ``Transient`` when ClickHouse can't be reached.
    """
    found = np.full((len(names), (end_ms - start_ms) // step_ms), np.nan, np.float32)
    span: dict[str, Any] = {"start": start_ms, "end": end_ms, "step": step_ms}
    with answers(config):
        client = connect(config)
        try:
            for at in range(0, len(names), ASKED):
                part = list(names[at : at + ASKED])
                given = span | {"names": part, "numbers": list(range(len(part))), "keys": tuple(map(_key, part))}
                sql = _POINTS if step_ms % _QUARTER_MS else _BUCKETS
                for series, slot, mean in _columns(client.execute(sql, given, columnar=True), 3):
                    found[at + series, slot] = mean
                for series, slot in _columns(client.execute(_MASKED, given, columnar=True), 2):
                    found[at + series, slot] = np.nan
            confirmed = client.execute(_CONFIRMED, span)
        finally:
            client.disconnect()
    of = np.array(cells)
    for cell, first, last in confirmed:
        found[of == cell, first : last + 1] = np.nan
    return found


def _key(name: str) -> tuple[str, str, str]:
    kind, _, rest = name.partition("/")
    source, _, metric = rest.rpartition("/")
    return kind, source, metric


def _columns(answer: Any, count: int) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of an answer as arrays, once; nothing when it has no rows."""
    if len(answer) == count and len(answer[0]):
        yield np.array(answer[0]), np.array(answer[1]), *(np.array(column) for column in answer[2:])
