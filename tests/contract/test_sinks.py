"""The contract of a sink: memory and ClickHouse pass the same suite. And what ClickHouse's own sink owes beyond it."""

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gridbeacon.config import ClickHouse, Config
from gridbeacon.errors import ConfigError, GridbeaconError, Transient
from gridbeacon.model import (
    Alert,
    DeadLetter,
    Decision,
    Delivery,
    GridEvent,
    Notice,
    Position,
    Situation,
    SituationReport,
    Weighed,
)
from gridbeacon.reasons import (
    BudgetReason,
    Certainty,
    ConditionState,
    HandlingState,
    Level,
    Mode,
    Reason,
    Rejection,
    Stage,
)
from gridbeacon.rollup import roll_up
from sinks import rows
from sinks.clickhouse import ClickHouseSink, Sink, connect, query
from sinks.memory import MemorySink
from sinks.migrate import FOLDER, migrate, migrations
from sinks.reference import markdown

_databases = itertools.count(1)
Read = Callable[[str, str], list[Any]]


@pytest.fixture
def database(clickhouse: Config) -> Config:
    """A database of its own, migrated."""
    name = f"contract{next(_databases)}"
    config = msgspec.structs.replace(
        clickhouse, clickhouse=msgspec.structs.replace(clickhouse.clickhouse, database=name)
    )
    assert len(migrate(config)) == 1 + len(migrations())
    return config


@pytest.fixture(params=["memory", "clickhouse"])
def sink(request: pytest.FixtureRequest) -> tuple[Sink, Read]:
    """A sink, and how to read one column of a table back, in the order of its values."""
    if request.param == "memory":
        memory = MemorySink()
        return memory, lambda table, column: sorted(memory.tables.get(table, {}).get(column, []))
    config = request.getfixturevalue("database")
    return ClickHouseSink(config), lambda table, column: sorted(
        v for (v,) in query(config, f"SELECT {column} FROM {table} FINAL")
    )


def letter(offset: int, body: bytes = b"\xff\x00{") -> DeadLetter:
    return DeadLetter(
        reason=Rejection.NOT_JSON,
        stage=Stage.DECODE,
        detail="no JSON",
        topic="crowd.metrics",
        partition=0,
        offset=offset,
        index=0,
        rejected_ms=1_700_000_000_000,
        body=body,
        body_bytes=len(body),
    )


def letters(*offsets: int) -> rows.Columns:
    return rows.dead_letters(letter(offset) for offset in offsets)


def test_what_is_written_is_there_and_counted(sink: tuple[Sink, Read]) -> None:
    write, read = sink[0].write, sink[1]
    assert write("dead_letters", letters(1, 2, 3), "a") == 3
    assert read("dead_letters", "offset") == [1, 2, 3]


def test_a_repeat_with_the_same_token_changes_nothing(sink: tuple[Sink, Read]) -> None:
    write, read = sink[0].write, sink[1]
    for _ in range(3):
        write("dead_letters", letters(1, 2), "a")
    write("dead_letters", letters(3), "b")
    assert read("dead_letters", "offset") == [1, 2, 3]


def test_no_rows_is_no_error(sink: tuple[Sink, Read]) -> None:
    assert sink[0].write("dead_letters", rows.dead_letters([]), "a") == 0


def test_the_columns_given_are_not_changed(sink: tuple[Sink, Read]) -> None:
    columns = letters(1, 2)
    before = {name: list(values) for name, values in columns.items()}
    sink[0].write("dead_letters", columns, "a")
    assert columns == before


def test_a_closed_sink_may_be_used_again(sink: tuple[Sink, Read]) -> None:
    write, read = sink[0].write, sink[1]
    write("dead_letters", letters(1), "a")
    sink[0].close()
    write("dead_letters", letters(2), "b")
    assert read("dead_letters", "offset") == [1, 2]


def test_rows_of_other_batches_with_the_same_key_are_there_once(database: Config) -> None:
    sink = ClickHouseSink(database)
    sink.write("dead_letters", letters(1, 2), "a")
    sink.write("dead_letters", letters(2, 3), "b")
    assert query(database, "SELECT count() FROM dead_letters FINAL") == [(3,)]


def test_every_table_takes_the_rows_that_the_model_makes(database: Config) -> None:
    sink = ClickHouseSink(database)
    event = GridEvent(
        service_request_id="R-1",
        service_code="fire",
        grid_id="310101001002003",
        occurred_ms=1_700_000_000_123,
        reported_ms=1_700_000_000_456,
        position=Position("grid.events", 1, 2, 3),
        description="烟 “smoke”\n",
        lat=31.2,
        expected_ms=1_700_000_000_789,
    )
    alert = Alert(
        alert_id="310101-x",
        fingerprint="x",
        rule="safety",
        cell="310101001002003",
        area="310101",
        version=2,
        level=Level.RED,
        highest_level=Level.RED,
        condition_state=ConditionState.ACTIVE,
        handling_state=HandlingState.NEW,
        certainty=Certainty.OBSERVED,
        mode=Mode.LIVE,
        opened_ms=1_700_000_000_000,
        changed_ms=1_700_000_000_000,
        cleared_ms=None,
        headline="crowded",
        evidence=(),
    )
    older = msgspec.structs.replace(alert, version=1, level=Level.BLUE)
    notice = Notice(
        notice_id="msg_1", alert_id="310101-x", sequence=1, type="alert.opened", level=Level.RED, at_ms=1, body="{}"
    )
    delivery = Delivery(
        notice_id="msg_1",
        alert_id="310101-x",
        sequence=1,
        endpoint="desk",
        attempt=1,
        attempted_ms=1_700_000_000_000,
        duration_ms=1.5,
        status=204,
        outcome="delivered",
    )
    sink.write("grid_events", rows.grid_events([event]), "a")
    sink.write("alerts", rows.alerts([alert]), "b")
    sink.write("alerts", rows.alerts([older]), "c")
    sink.write("notices", rows.notices([notice]), "d")
    sink.write("deliveries", rows.deliveries([delivery]), "e")
    sink.write("dead_letters", rows.dead_letters([letter(7)]), "f")
    decision = Decision(reason=BudgetReason.TOO_COMMON, rate=31.5, limit=20.0, left=17.0)
    held = Weighed(
        decided_ms=1_700_000_000_000,
        cell="310101001002003",
        series="crowd/CAM-1/people_count",
        score=1.4,
        decision=decision,
        lineage=Position("crowd.metrics", 0, 7),
    )
    sink.write("weighed", rows.weighed([held]), "g")
    sink.write("weighed", rows.weighed([held]), "h")
    (found,) = query(database, "SELECT toUnixTimestamp64Milli(occurred_at), description, lat, long FROM grid_events")
    assert found == (1_700_000_000_123, event.description, 31.2, None)
    assert query(database, "SELECT level, version FROM alerts FINAL") == [("red", 2)]  # the newest, in whatever order
    assert query(database, "SELECT alert_id FROM alerts_now") == [("310101-x",)]
    assert query(database, "SELECT reason, rate, limit, left, partners FROM weighed FINAL") == [
        ("too_common", 31.5, 20.0, 17.0, [])
    ]
    assert query(database, "SELECT base64Encode(body), body_bytes FROM dead_letters") == [("/wB7", 3)]


def test_migrating_again_changes_nothing(database: Config) -> None:
    assert migrate(database) == []


def test_a_newer_database_and_changed_files_are_refused(database: Config) -> None:
    client = connect(database)
    client.execute("INSERT INTO schema_migrations (number, name, checksum) VALUES", [(9999, "future", "x")])
    with pytest.raises(ConfigError, match="upgrade Gridbeacon"):
        migrate(database)
    client.execute("TRUNCATE TABLE schema_migrations")
    client.execute("INSERT INTO schema_migrations (number, name, checksum) VALUES", [(1, "other", "x")])
    with pytest.raises(ConfigError, match="another form"):
        migrate(database)


def test_levels_roll_up_the_tree_of_the_grid(database: Config) -> None:
    def report(name: str, cells: tuple[str, ...], level: Level, version: int = 1, **more: Any) -> SituationReport:
        situation = Situation(
            situation_id=name,
            cell=cells[0],
            centre=cells[-1],
            cells=cells,
            rule="safety",
            level=level,
            reason=Reason.DENSITY,
            certainty=Certainty.OBSERVED,
            data_lost=False,
            headline=f"{name} is {level.word}",
            evidence=(),
            opened_ms=1_700_000_000_000,
        )
        about = {"area": "310199", "highest_level": level, "changed_ms": 1_700_000_000_000, "alert_id": "a"}
        return SituationReport(situation=situation, version=version, **{"state": ConditionState.ACTIVE} | about | more)

    one, two, far = "310199001001001", "310199001002001", "310199002001001"
    reports = [
        report("s-1", (one, two), Level.YELLOW),
        report("s-2", (two,), Level.RED, state=ConditionState.UNKNOWN),
        report("s-3", (far,), Level.BLUE),
        report("s-4", (far,), Level.RED),
        report("s-4", (far,), Level.NONE, 2, state=ConditionState.CLEARED),
    ]
    ClickHouseSink(database).write("situations", rows.situations(reports), "s")
    found = query(
        database,
        "SELECT place, level, situations, unknown, worst FROM level_now WHERE startsWith(place, '310199') "
        "ORDER BY digits, place",
    )
    red, yellow, blue = "s-2 is red", "s-1 is yellow", "s-3 is blue"
    assert found == [
        ("310199", "red", 3, 1, red),
        ("310199001", "red", 2, 1, red),
        ("310199002", "blue", 1, 0, blue),
        ("310199001001", "yellow", 1, 0, yellow),
        ("310199001002", "red", 2, 1, red),
        ("310199002001", "blue", 1, 0, blue),
        (one, "yellow", 1, 0, yellow),
        (two, "red", 2, 1, red),
        (far, "blue", 1, 0, blue),
    ]
    levels = roll_up([(one, two), (two,), (far,)], [Level.YELLOW, Level.RED, Level.BLUE], (6, 9, 12, 15))
    assert {place: level.word for place, level in levels.items()} == {place: level for place, level, *_ in found}


def test_a_migration_that_was_cut_short_is_finished(database: Config) -> None:
    client = connect(database)
    client.execute("TRUNCATE TABLE schema_migrations")
    client.execute("DROP VIEW alerts_now")
    assert len(migrate(database)) == len(migrations())
    assert query(database, "SELECT count() FROM alerts_now") == [(0,)]


def test_every_column_and_table_has_a_comment(database: Config) -> None:
    name = database.clickhouse.database
    assert markdown(database)  # which raises for a column that neither it nor its table has a word about
    assert query(database, f"SELECT name FROM system.tables WHERE database = '{name}' AND comment = ''") == []


def test_errors_say_what_to_do(database: Config) -> None:
    away = msgspec.structs.replace(database, clickhouse=ClickHouse(port=1))
    with pytest.raises(Transient, match="can't be reached"):
        ClickHouseSink(away).write("dead_letters", letters(1), "a")
    bare = msgspec.structs.replace(database, clickhouse=ClickHouse(port=database.clickhouse.port, database="nowhere"))
    with pytest.raises(Transient, match="gridbeacon init"):
        ClickHouseSink(bare).write("dead_letters", letters(1), "a")
    with pytest.raises(GridbeaconError) as refused:
        ClickHouseSink(database).write("dead_letters", {"nosuch": [1]}, "a")
    assert not isinstance(refused.value, Transient)
    remote = msgspec.structs.replace(database, clickhouse=ClickHouse(host="db.example"))
    with pytest.raises(ConfigError, match=r"clickhouse\.secure"):
        connect(remote)


def test_the_schema_is_shipped() -> None:
    assert [one.number for one in migrations()] == list(range(1, len(migrations()) + 1))
    assert FOLDER.is_dir()
