"""Numbered SQL files make the schema what this version needs; each is applied once, in order, and never changed."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from clickhouse_driver import Client

from gridbeacon.config import Config
from gridbeacon.errors import ConfigError, Fatal
from sinks import retention
from sinks.clickhouse import answers, connect
from sinks.cluster import on_cluster

FOLDER = Path(__file__).parent / "schema"
LEDGER = "schema_migrations"
_ROUNDS = 4
"""First the database, then its tables, then their settings; and one to see that nothing is left."""
_LEDGER_SQL = (
    f"CREATE TABLE {LEDGER} (number UInt32 COMMENT 'of the file', name String COMMENT 'of the file', "
    "checksum String COMMENT 'SHA-256 of its text', applied_at DateTime DEFAULT now() COMMENT 'when (arrival time)') "
    "ENGINE = ReplacingMergeTree ORDER BY number COMMENT 'Which migrations have been applied; written by migrate'"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name, and its statements as they are written there."""

    number: int
    name: str
    statements: tuple[str, ...]
    checksum: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is to be changed: a sentence for people, and the statements that do it."""

    says: str
    statements: tuple[str, ...]
    migration: Migration | None = None


def migrations(folder: Path = FOLDER) -> tuple[Migration, ...]:
    """Return all migrations in order."""
    found = []
    for file in sorted(folder.glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        without_comments = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
        statements = tuple(part.strip() for part in re.split(r";\s*\n", without_comments + "\n") if part.strip())
        found.append(Migration(int(file.name[:4]), file.stem, statements, hashlib.sha256(text.encode()).hexdigest()))
    return tuple(found)


def rendered(statement: str, config: Config) -> list[str]:
    """Return a statement of a file as it is run: names filled in, safe to repeat, on a cluster where there is one."""
    database, cluster = config.clickhouse.database, config.clickhouse.cluster
    text = statement.replace("{database}", database).replace("{timezone}", config.timezone)
    text = re.sub(r"^CREATE (TABLE|VIEW|MATERIALIZED VIEW|DICTIONARY) (?!IF )", r"CREATE \1 IF NOT EXISTS ", text)
    text = re.sub(r"\b(MODIFY|RENAME|COMMENT|DROP) COLUMN (?!IF )", r"\1 COLUMN IF EXISTS ", text)
    text = re.sub(r"\bADD COLUMN (?!IF )", "ADD COLUMN IF NOT EXISTS ", text)
    return on_cluster(text, cluster, database) if cluster else [text]


def plan(config: Config) -> list[Step]:
    """Return what is to be done so that database and tables are what this version needs; nothing is changed.

    Raises ``ConfigError`` when the database belongs to a newer version, or was made by files that were changed since;
    ``Transient`` when ClickHouse can't be reached.
    """
    name, cluster = config.clickhouse.database, config.clickhouse.cluster
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ConfigError(f"clickhouse.database {name!r} must be of letters, digits and _, and begin with no digit")
    steps: list[Step] = []
    with answers(config):
        client = connect(config, database="")
        try:
            if not client.execute("SELECT 1 FROM system.databases WHERE name = %(name)s", {"name": name}):
                where = f" ON CLUSTER {cluster}" if cluster else ""
                steps.append(Step(f"created database {name}", (f"CREATE DATABASE IF NOT EXISTS {name}{where}",)))
        finally:
            client.disconnect()
        applied = {} if steps else _applied(config)
        steps += _missing(config, applied)
        if applied:
            steps += _settings(config)
    return steps


def migrate(config: Config) -> list[str]:
    """Make database and tables what this version needs; return what was changed, a sentence each.

    Safe to repeat, to interrupt anywhere and to run twice at once. Raises as ``plan`` does.
    """
    changed: list[str] = []
    for _ in range(_ROUNDS):
        steps = plan(config)
        if not steps:
            return changed
        with answers(config):
            for step in steps:
                _take(config, step)
                changed.append(step.says)
    raise Fatal(f"database {config.clickhouse.database} does not come to rest: again and again, {steps[0].says}")


def _take(config: Config, step: Step) -> None:
    in_database = not step.says.startswith("created database")
    client = connect(config) if in_database else connect(config, database="")
    try:
        for statement in step.statements:
            client.execute(statement)
        if one := step.migration:
            row = [(one.number, one.name, one.checksum)]
            client.execute(f"INSERT INTO {LEDGER} (number, name, checksum) VALUES", row)
    finally:
        client.disconnect()


def _applied(config: Config) -> dict[int, str]:
    """Return the checksums of the migrations that were applied, by number."""
    client = connect(config)
    try:
        if not client.execute(f"EXISTS TABLE {LEDGER}")[0][0]:
            return {}
        return dict(client.execute(f"SELECT number, checksum FROM {LEDGER} FINAL"))  # noqa: S608
    finally:
        client.disconnect()


def _missing(config: Config, applied: dict[int, str]) -> list[Step]:
    database = config.clickhouse.database
    known = {one.number: one for one in migrations()}
    if newer := sorted(set(applied) - set(known)):
        raise ConfigError(
            f"database {database} has migration {newer[-1]}, this version of Gridbeacon knows {max(known)}; "
            "upgrade Gridbeacon, or choose another clickhouse.database"
        )
    steps: list[Step] = []
    for number, one in sorted(known.items()):
        if number not in applied:
            before = () if applied or steps else (_LEDGER_SQL,)
            statements = [sql for each in (*before, *one.statements) for sql in rendered(each, config)]
            steps.append(Step(f"applied migration {one.name} to database {database}", tuple(statements), one))
        elif applied[number] != one.checksum:
            raise ConfigError(
                f"migration {one.name} was applied to database {database} in another form; "
                "choose another clickhouse.database, or move its data over"
            )
    return steps


def _settings(config: Config) -> list[Step]:
    """Return the steps for what follows the configuration: how long rows are kept, the city's time zone in views."""
    client = connect(config)
    try:
        steps = [
            Step(f"table {table} keeps its rows as keep says", tuple(rendered(sql, config)))
            for table, sql in retention.changes(client, config).items()
        ]
        return steps + _zones(client, config)
    finally:
        client.disconnect()


def _zones(client: Client, config: Config) -> list[Step]:
    # A view that a later migration made anew has the form of the last.
    templates = {sql.split(maxsplit=3)[2]: sql for one in migrations() for sql in one.statements if "{timezone}" in sql}
    steps: list[Step] = []
    for name, template in templates.items():
        found = client.execute("SELECT create_table_query FROM system.tables WHERE database = currentDatabase() "
                               "AND name = %(name)s", {"name": name})  # fmt: skip
        if found and f"'{config.timezone}'" not in found[0][0]:
            anew = [
                sql.replace("CREATE VIEW IF NOT EXISTS", "CREATE OR REPLACE VIEW", 1)
                for sql in rendered(template, config)
            ]
            steps.append(Step(f"view {name} follows timezone {config.timezone}", tuple(anew)))
    return steps
