"""A sink that keeps rows in memory: for trying things out, held to the same contract as ClickHouse."""

from sinks.rows import Columns, extend, length


class MemorySink:
    """Rows by table; a write whose token was seen before changes nothing."""

    def __init__(self) -> None:
        self.tables: dict[str, Columns] = {}
        self._tokens: set[tuple[str, str]] = set()

    def write(self, table: str, columns: Columns, token: str) -> int:
        """Keep rows given as columns and return how many were given."""
        if length(columns) and (table, token) not in self._tokens:
            self._tokens.add((table, token))
            extend(self.tables.setdefault(table, {}), columns)
        return length(columns)

    def close(self) -> None:
        """Keep everything: there is no connection."""
