"""Stored observations, in order of time, for those who learn from them."""

from collections.abc import Iterator

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
