"""Numbered SQL files make the schema what this version needs; each is applied once, in order, and never changed."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from clickhouse_driver import Client

from gridbeacon.config import Config
from gridbeacon.errors import ConfigError
from sinks.clickhouse import answers, connect

FOLDER = Path(__file__).parent / "schema"
LEDGER = "schema_migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name, and its statements."""

    number: int
    name: str
    statements: tuple[str, ...]
    checksum: str


def migrations(folder: Path = FOLDER) -> tuple[Migration, ...]:
    """Return all migrations in order."""
    found = []
    for file in sorted(folder.glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        without_comments = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
        statements = tuple(part.strip() for part in re.split(r";\s*\n", without_comments + "\n") if part.strip())
        found.append(Migration(int(file.name[:4]), file.stem, statements, hashlib.sha256(text.encode()).hexdigest()))
    return tuple(found)


def migrate(config: Config) -> list[str]:
    """Make database and tables what this version needs; return what was changed, a sentence each.

    Raises ``ConfigError`` when the database belongs to a newer version, or was made by files that were changed since;
    ``Transient`` when ClickHouse can't be reached.
    """
    name = config.clickhouse.database
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ConfigError(f"clickhouse.database {name!r} must be of letters, digits and _, and begin with no digit")
    changed = []
    with answers(config):
        client = connect(config, database="")
        try:
            if not client.execute("SELECT 1 FROM system.databases WHERE name = %(name)s", {"name": name}):
                client.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
                changed.append(f"created database {name}")
        finally:
            client.disconnect()
        client = connect(config)
        try:
            changed += _apply(client, name)
        finally:
            client.disconnect()
    return changed


def _apply(client: Client, database: str) -> list[str]:
    client.execute(
        f"CREATE TABLE IF NOT EXISTS {LEDGER} (number UInt32, name String, checksum String, "
        "applied_at DateTime DEFAULT now()) ENGINE = ReplacingMergeTree ORDER BY number "
        "COMMENT 'Which migrations have been applied'"
    )
    applied = dict(client.execute(f"SELECT number, checksum FROM {LEDGER} FINAL"))  # noqa: S608
    wanted = {one.number: one for one in migrations()}
    if newer := sorted(set(applied) - set(wanted)):
        raise ConfigError(
            f"database {database} has migration {newer[-1]}, this version of Gridbeacon knows {max(wanted)}; "
            "upgrade Gridbeacon, or choose another clickhouse.database"
        )
    changed = []
    for number, one in sorted(wanted.items()):
        if number in applied:
            if applied[number] != one.checksum:
                raise ConfigError(
                    f"migration {one.name} was applied to database {database} in another form; "
                    "choose another clickhouse.database, or move its data over"
                )
            continue
        for statement in one.statements:
            # A crash in the middle leaves the first statements done: they may be repeated.
            client.execute(re.sub(r"^CREATE (TABLE|VIEW) (?!IF )", r"CREATE \1 IF NOT EXISTS ", statement))
        client.execute(
            f"INSERT INTO {LEDGER} (number, name, checksum) VALUES",
            [(number, one.name, one.checksum)],
        )
        changed.append(f"applied migration {one.name} to database {database}")
    return changed
