"""How long each table keeps its rows: what the configuration says, against what the tables do."""

import re

from clickhouse_driver import Client

from gridbeacon.config import Config, Keep

AGES: dict[str, tuple[str, str]] = {
    "observations": ("observations_days", "toDateTime(observed_at)"),
    "observations_15m_points": ("rollups_days", "bucket"),
    "grid_events": ("grid_events_days", "toDateTime(occurred_at)"),
    "alerts": ("alerts_days", "toDateTime(changed_at)"),
    "alert_events": ("alerts_days", "toDateTime(at)"),
    "notices": ("alerts_days", "toDateTime(at)"),
    "deliveries": ("alerts_days", "toDateTime(attempted_at)"),
    "situations": ("alerts_days", "toDateTime(changed_at)"),
    "weighed": ("alerts_days", "toDateTime(decided_at)"),
    "forecasts": ("forecasts_days", "toDateTime(target_at)"),
    "crossings": ("forecasts_days", "toDateTime(made_at)"),
    "dead_letters": ("dead_letters_days", "toDateTime(rejected_at)"),
}
"""Of each table with an end: the key of ``keep``, and the time by which a row is old."""
_TTL = re.compile(r"\bTTL (.+?) SETTINGS\b")


def wanted(table: str, keep: Keep) -> str:
    """Return the table's TTL as ClickHouse itself writes it, empty when its rows stay for ever.

    >>> wanted("observations", Keep(observations_days=30)), wanted("alerts", Keep())
    ('toDateTime(observed_at) + toIntervalDay(30)', '')
    """
    key, time = AGES[table]
    days: int = getattr(keep, key)
    return f"{time} + toIntervalDay({days})" if days else ""


def changes(client: Client, config: Config) -> dict[str, str]:
    """Return the statement for each table whose TTL is not the one of the configuration."""
    suffix = "_local" if config.clickhouse.cluster else ""
    rows = client.execute(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() AND name IN %(names)s",
        {"names": tuple(name + suffix for name in AGES)},
    )
    found = {}
    for name, sql in rows:
        table = name.removesuffix(suffix)
        now = match[1] if (match := _TTL.search(sql)) else ""
        if now != (new := wanted(table, config.keep)):
            found[table] = f"ALTER TABLE {table} MODIFY TTL {new}" if new else f"ALTER TABLE {table} REMOVE TTL"
    return found
