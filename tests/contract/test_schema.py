"""The schema on the real endpoint: cut short anywhere, made twice at once, its roll-ups, and the form for a cluster."""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import msgspec
import pytest
from clickhouse_driver import Client

from gridbeacon.calendar import Calendar
from gridbeacon.config import Config, Keep
from gridbeacon.errors import Transient
from gridbeacon.model import Cell, Sensor
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import Kind
from sinks import announced, places, rows
from sinks import migrate as module
from sinks.clickhouse import ClickHouseSink, connect, query
from sinks.cluster import SHARD_BY
from sinks.migrate import migrate, migrations, plan, rendered
from sinks.retention import AGES

pytestmark = pytest.mark.integration
_numbers = count(1)


@pytest.fixture
def config(clickhouse: Config) -> Iterator[Config]:
    """A database of its own, which is not there yet."""
    name = f"schema{next(_numbers)}"
    own = msgspec.structs.replace(clickhouse.clickhouse, database=name)
    yield msgspec.structs.replace(clickhouse, clickhouse=own)
    client = connect(clickhouse, database="")
    client.execute(f"DROP DATABASE IF EXISTS {name}")
    client.disconnect()


def described(config: Config) -> list[tuple[str, str]]:
    """Return every table as it is made, without the name of its database."""
    sql = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    name = config.clickhouse.database
    return [(table, text.replace(name, "db")) for table, text in query(config, sql)]


def cut_after(statements: int) -> type[Client]:
    """Return a client whose connection is lost after so many statements that change something."""
    left = [statements]

    class Cut(Client):
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            if not str(args[0]).startswith(("SELECT", "EXISTS")):
                left[0] -= 1
                if left[0] < 0:
                    raise EOFError
            return super().execute(*args, **kwargs)

    return Cut


def test_wherever_it_is_cut_short_it_is_finished_by_the_next(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut after ever more statements of each file, a run goes on where the last one was cut; the schema is the same."""
    migrate(config)
    other = _other(config, "cut")
    cuts, stop, left = 0, 1, len(plan(other))
    while True:
        monkeypatch.setattr("sinks.clickhouse.Client", cut_after(stop))
        with suppress(Transient):
            migrate(other)
        monkeypatch.undo()
        before, left = left, len(plan(other))
        if left == 0:
            break
        cuts += 1
        stop = 1 if left < before else stop + 3
    assert cuts > len(migrations())
    assert described(other) == described(config)
    assert migrate(other) == []
    query(config, f"DROP DATABASE {other.clickhouse.database}")


def _other(config: Config, name: str) -> Config:
    clickhouse = msgspec.structs.replace(config.clickhouse, database=f"{config.clickhouse.database}{name}")
    return msgspec.structs.replace(config, clickhouse=clickhouse)


def test_two_at_once_do_no_harm(config: Config) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            migrate(config)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert migrate(config) == []


def observations(values: list[float], first_minute: int) -> rows.Columns:
    """Return one observation a minute of one camera."""
    n = len(values)
    same = {
        "kind": "crowd", "source": "CAM-1", "metric": "density_per_m2", "grid_id": "310101001001001", "state": 1,
        "reason": "within_expected", "level": 0, "expected": None, "lower": None, "upper": None, "alarm": None,
        "severity": None, "signal": None,
        "direction": 0, "confidence": 1.0, "history": 1, "topic": "crowd.metrics", "partition": 0, "item": 0,
    }  # fmt: skip
    at = [1_704_067_200_000 + 60_000 * (first_minute + i) for i in range(n)]
    offsets = [first_minute + i for i in range(n)]
    return {name: [value] * n for name, value in same.items()} | {"observed_at": at, "value": values, "offset": offsets}


def test_roll_ups_are_exact_although_rows_come_again_in_other_batches(config: Config) -> None:
    """Quarters of an hour and days say the same as the observations themselves."""
    migrate(config)
    values = [round(0.1 * (n % 37), 2) for n in range(3000)]
    sink = ClickHouseSink(config)
    for token, (begin, end) in enumerate([(0, 1000), (500, 1700), (1500, 3000), (0, 3000), (999, 1001)]):
        sink.write("observations", observations(values[begin:end], begin), f"batch {token}")
    sink.close()
    for view, time, unit in (
        ("observations_15m", "bucket", "toStartOfFifteenMinutes(observed_at)"),
        ("observations_1d", "day", "toDate(observed_at)"),
    ):
        columns = f"{time}, n, round(total, 6), round(mean, 6), low, high"
        rolled = query(config, f"SELECT {columns} FROM {view} ORDER BY {time}")
        raw = query(
            config,
            f"SELECT {unit} AS b, count(), round(sum(value), 6), round(avg(value), 6), min(value), max(value) "
            "FROM observations FINAL GROUP BY b ORDER BY b",
        )
        assert rolled == raw
    ((quarters,),) = query(config, "SELECT sum(n) FROM cell_hour WHERE grid_id = '310101001001001'")
    assert quarters == 200


def test_rows_are_kept_as_long_as_the_configuration_says(config: Config) -> None:
    migrate(config)
    kept = msgspec.structs.replace(config, keep=Keep(observations_days=30, alerts_days=400))
    changed = migrate(kept)
    assert "table observations keeps its rows as keep says" in changed
    tables = 1 + sum(key == "alerts_days" for key, _ in AGES.values())
    assert len(changed) == tables
    assert migrate(kept) == []
    ttl = dict(described(kept))["observations"]
    assert "TTL toDateTime(observed_at) + toIntervalDay(30)" in ttl
    assert len(migrate(config)) == tables
    assert "TTL" not in dict(described(config))["observations"]


def test_views_follow_the_citys_time_zone(config: Config) -> None:
    migrate(config)
    moved = msgspec.structs.replace(config, timezone="Asia/Shanghai")
    assert migrate(moved) == [
        "view cell_hour follows timezone Asia/Shanghai",
        "view response_times follows timezone Asia/Shanghai",
    ]
    assert migrate(moved) == []


def test_a_plan_changes_nothing_and_says_the_sql(config: Config) -> None:
    steps = plan(config)
    assert steps[0].statements == (f"CREATE DATABASE IF NOT EXISTS {config.clickhouse.database}",)
    assert any("observations_15m_points" in sql for step in steps for sql in step.statements)
    assert plan(config) == steps


def test_places_and_sensors_are_found_by_their_codes(config: Config) -> None:
    migrate(config)
    square = ((121.0, 31.0), (121.2, 31.0), (121.2, 31.2), (121.0, 31.2))
    registry = Registry(
        {"CAM-1": Sensor(sensor_id="CAM-1", kind=Kind.CROWD, grid_id="310101001001001", capacity=500.0)},
        {"310101001001001": Cell(grid_id="310101001001001", name="人民广场", polygon=square)},
    )
    for now_ms in (1, 2):
        assert places.store(registry, config, now_ms) == 2
    sql = "SELECT name, district, round(lat, 3), round(long, 3), length(polygon) FROM places FINAL"
    assert query(config, sql) == [("人民广场", "310101", 31.1, 121.1, 4)]
    name = config.clickhouse.database
    found = query(
        config,
        f"SELECT dictGet('{name}.sensor', 'grid_id', 'CAM-1') AS cell, dictGet('{name}.place', 'name', cell), "
        f"dictGet('{name}.sensor', 'capacity', 'CAM-1')",
    )
    assert found == [("310101001001001", "人民广场", 500.0)]


def test_every_column_that_is_written_is_there_and_none_that_must_be_is_left_out(config: Config) -> None:
    migrate(config)
    written = {
        "observations": rows.verdicts([]),
        "grid_events": rows.grid_events([]),
        "alerts": rows.alerts([]),
        "alert_events": rows.alert_events([]),
        "notices": rows.notices([]),
        "deliveries": rows.deliveries([]),
        "dead_letters": rows.dead_letters([]),
        "places": places.places(Registry(), config, 0),
        "sensors": places.sensors(Registry(), 0),
        "announced": announced.announced(Calendar(), 0),
    }
    for table, columns in written.items():
        sql = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = %(table)s"
        if columns:
            assert {name for (name,) in query(config, sql, {"table": table})} == set(columns), table


def statements(config: Config) -> list[str]:
    """Return every statement as it would be run."""
    written = [module._LEDGER_SQL, *(sql for one in migrations() for sql in one.statements)]
    return [sql for each in written for sql in rendered(each, config)]


@pytest.mark.parametrize("cluster", ["", "city"])
def test_both_forms_are_sql(config: Config, cluster: str) -> None:
    migrate(config)
    clickhouse = msgspec.structs.replace(config.clickhouse, cluster=cluster)
    for sql in statements(msgspec.structs.replace(config, clickhouse=clickhouse)):
        ((normal,),) = query(config, "SELECT formatQuerySingleLine(%(sql)s)", {"sql": sql})
        assert ("ON CLUSTER city" in normal) is bool(cluster), sql


def test_on_a_cluster_each_table_is_replicated_and_sharded_so_that_repeats_meet(config: Config) -> None:
    clickhouse = msgspec.structs.replace(config.clickhouse, cluster="city")
    made = statements(msgspec.structs.replace(config, clickhouse=clickhouse))
    text = "\n".join(made)
    for name, columns in SHARD_BY.items():
        (local,) = [sql for sql in made if re.match(rf"CREATE TABLE IF NOT EXISTS {name}_local ON CLUSTER city\b", sql)]
        assert re.search(r"ENGINE = Replicated(Replacing|Aggregating)MergeTree\('/clickhouse/tables/\{shard\}/", local)
        key = re.search(r"^ORDER BY \(?([^()\n]+)|ORDER BY (\w+)", local, re.MULTILINE)
        sorted_by = set((key[1] or key[2]).split(", "))
        assert set(columns.split(", ")) <= sorted_by, name
        assert f"Distributed('city', '{clickhouse.database}', '{name}_local', cityHash64({columns}))" in text
    assert "TO observations_15m_points_local" in text
    assert "FROM observations_local" in text
    assert "GLOBAL LEFT JOIN" in text
    assert "non_replicated_deduplication_window" not in text
    assert not re.search(r"(?<!GLOBAL )(LEFT|INNER) JOIN", text)
