"""The names of tables and columns, from the schema itself: a name that is not there fails when a dashboard is built."""

import re
from collections.abc import Iterable
from functools import cache

from sinks.migrate import Migration, migrations

_MAKE = re.compile(
    r"CREATE (?:OR REPLACE )?(?:TABLE|VIEW|DICTIONARY) (?:IF NOT EXISTS )?(\w+)\s*(?:\n\((.*?)\n\)|\nAS SELECT \* FROM (\w+)|"
    r"\nAS SELECT \*\nFROM (\w+))",
    re.DOTALL,
)
_ALTER = re.compile(r"ALTER TABLE (\w+)\b")
_ADDED = re.compile(r"\bADD COLUMN (?:IF NOT EXISTS )?(\w+)")


class Table:
    """A table, view or dictionary: its text is its name, its attributes are the names of its columns.

    Raises ``AttributeError`` on a column that the schema does not have.

    >>> f"SELECT {tables().alerts.headline} FROM {tables().alerts}"
    'SELECT headline FROM alerts'
    """

    def __init__(self, name: str, columns: Iterable[str]) -> None:
        self._name, self._columns = name, tuple(columns)

    def __str__(self) -> str:
        return self._name

    def __getattr__(self, column: str) -> str:
        if column in self._columns:
            return column
        raise AttributeError(f"{self._name} has no column {column}; it has {', '.join(self._columns)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return self._columns


class Tables:
    """All of them, as attributes. Raises ``AttributeError`` on a table that the schema does not have."""

    def __init__(self, found: dict[str, tuple[str, ...]]) -> None:
        self._found = {name: Table(name, columns) for name, columns in found.items()}

    def __getattr__(self, name: str) -> Table:
        if name in self.__dict__["_found"]:
            found: Table = self.__dict__["_found"][name]
            return found
        raise AttributeError(f"the schema has no table {name}")

    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the columns by table."""
        return {name: table.columns for name, table in self._found.items()}


def read(files: Iterable[Migration]) -> dict[str, tuple[str, ...]]:
    """Return the columns of each table, view and dictionary that the migrations leave behind.

    ``SELECT *`` in a view means the columns of that moment, as in ClickHouse.
    """
    found: dict[str, tuple[str, ...]] = {}
    for statement in (text for one in files for text in one.statements):
        if made := _MAKE.match(statement):
            name, columns, whole, later = made.groups()
            found[name] = found[whole or later] if columns is None else tuple(_columns(columns))
        elif altered := _ALTER.match(statement):
            found[altered[1]] += tuple(c for c in _ADDED.findall(statement) if c not in found[altered[1]])
        elif dropped := re.match(r"DROP (?:TABLE|VIEW|DICTIONARY) (?:IF EXISTS )?(\w+)", statement):
            found.pop(dropped[1], None)
    return found


def _columns(text: str) -> list[str]:
    return re.findall(r"^ {4}(\w+) ", text, re.MULTILINE)


@cache
def tables() -> Tables:
    """Return the tables of this version's schema."""
    return Tables(read(migrations()))
