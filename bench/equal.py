"""Is what is stored what it must be? Databases of the same schema, compared row by row, in ClickHouse itself."""

from dataclasses import dataclass
from typing import Any

import msgspec

from gridbeacon.config import Config
from sinks.clickhouse import query

LINEAGE = ("topic", "partition", "offset", "item")
#: Tables that are compared, and the columns in which two runs over the same input may differ: where a record stood.
TABLES: dict[str, tuple[str, ...]] = {
    "observations": LINEAGE,
    "grid_events": LINEAGE,
    "alerts": ("evidence",),
    "alert_events": (),
    "notices": ("body",),
    "situations": ("evidence",),
    "weighed": LINEAGE,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows that one of two databases has alone, with a few of them to look at."""

    table: str
    missing: int
    surplus: int
    examples: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.table}: {self.missing} missing, {self.surplus} too many, such as {self.examples[:4]}"


def in_database(config: Config, database: str) -> Config:
    """Return the configuration with another database of the same server."""
    return msgspec.structs.replace(config, clickhouse=msgspec.structs.replace(config.clickhouse, database=database))


def count(config: Config, table: str) -> int:
    """Return the rows of a table, repeats not counted."""
    return int(query(config, f"SELECT count() FROM {table} FINAL")[0][0])


def differences(config: Config, stored: str, wanted: str, *, lineage: bool) -> list[Difference]:
    """Return where database ``stored`` differs from ``wanted``; positions count only with ``lineage``."""
    found = []
    for table, loose in TABLES.items():
        left_out = () if lineage else loose
        described = query(config, f"SELECT name FROM system.columns WHERE database = '{wanted}' AND table = '{table}'")
        columns = ", ".join(f"`{name}`" for (name,) in described if name not in left_out)
        rows = {
            database: f"SELECT {columns}, cityHash64(toString(tuple({columns}))) AS hash FROM {database}.{table} FINAL"
            for database in (stored, wanted)
        }
        # Equal rows may stand twice where positions are left out: so the hashes are counted.
        counted = (
            f"SELECT hash, sum(here) AS n FROM (SELECT hash, 1 AS here FROM ({rows[stored]}) UNION ALL "
            f"SELECT hash, -1 AS here FROM ({rows[wanted]})) GROUP BY hash HAVING n != 0"
        )
        surplus, missing = query(config, f"SELECT sumIf(n, n > 0), -sumIf(n, n < 0) FROM ({counted})")[0]
        if surplus or missing:
            examples = [
                (database, query(config, f"SELECT * FROM ({sql}) WHERE hash IN (SELECT hash FROM ({counted})) LIMIT 2"))
                for database, sql in rows.items()
            ]
            found.append(Difference(table, int(missing), int(surplus), tuple(examples)))
    return found


def unbalanced(config: Config, records: int) -> str:
    """Return what is wrong with the counts, '' when every one of ``records`` is in exactly one place."""
    sources = "topic IN ('grid.events', 'traffic.counts', 'crowd.metrics')"
    parts = {
        name: f"SELECT DISTINCT topic, partition, offset FROM {name} FINAL WHERE {sources}"
        for name in ("observations", "grid_events", "dead_letters")
    }
    counts = {name: int(query(config, f"SELECT count() FROM ({sql})")[0][0]) for name, sql in parts.items()}
    together = int(query(config, f"SELECT count() FROM ({' UNION DISTINCT '.join(parts.values())})")[0][0])
    if sum(counts.values()) == together == records:
        return ""
    return f"{records} records in, but {counts} out, {together} different ones"
