"""The reference of tables and views, from what ClickHouse itself says of them: names, types, keys, comments."""

import re

from gridbeacon.config import Config
from sinks.clickhouse import query

_HIDDEN = ("observations_15m_fill",)
"""What only the database itself has to do with."""
_SAME = {
    "alerts_now": "alerts",
    "situation_now": "situations",
    "place": "places",
    "sensor": "sensors",
}
"""Whose columns are those of another table, and mean the same."""
_COLUMN = re.compile(r"`(\w+)` (.+?) COMMENT '((?:[^'\\]|\\.)*)'")
"""In the statement of a view with parameters, of whose columns ClickHouse keeps no list."""


def markdown(config: Config) -> str:
    """Return a section for each table, view and dictionary of the migrated database, in the order of the files.

    Raises ``KeyError`` with its name for a column that says nothing of itself.
    """
    found = query(
        config,
        "SELECT name, engine, comment, sorting_key, create_table_query FROM system.tables "
        "WHERE database = currentDatabase() ORDER BY engine IN ('View', 'Dictionary'), name",
    )
    comments = {
        (table, column): (kind, comment)
        for table, column, kind, comment in query(
            config,
            "SELECT table, name, type, comment FROM system.columns WHERE database = currentDatabase() "
            "ORDER BY table, position",
        )
    }
    return "\n".join(
        _section(name, engine, comment, key, sql, comments)
        for name, engine, comment, key, sql in found
        if name not in _HIDDEN
    )


def _section(
    name: str, engine: str, comment: str, key: str, sql: str, comments: dict[tuple[str, str], tuple[str, str]]
) -> str:
    what, _, by = comment.partition("; written by ")
    lines = [f"### `{name}`", "", f"{what}."]
    if by:
        lines += ["", f"Written by {by}."]
    if key:
        lines += ["", f"Key: {', '.join(f'`{part}`' for part in key.split(', '))}."]
    if engine == "Dictionary":
        lines += ["", "A dictionary: in memory, for `dictGet`."]
    if parameters := sorted(set(re.findall(r"\{(\w+):\w+\}", sql))):
        lines += ["", f"Takes: {', '.join(f'`{one}`' for one in parameters)}."]
    lines += ["", "| column | type | meaning |", "| --- | --- | --- |"]
    columns = [(column, kind, said) for (table, column), (kind, said) in comments.items() if table == name]
    for column, kind, said in columns or _COLUMN.findall(sql):
        meaning = said or comments[_SAME.get(name, name), column][1]
        if not meaning:
            raise KeyError(f"{name}.{column} has no comment")
        lines.append(f"| `{column}` | `{kind}` | {meaning} |")
    return "\n".join([*lines, ""])
