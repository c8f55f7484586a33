"""The questions of ``docs/tables.md`` have answers: they run where ``up`` would keep its tables."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from clickhouse_driver import Client

from gridbeacon.config import ClickHouse, Config
from gridbeacon.config import Registry as Files
from gridbeacon.demo import square
from gridbeacon.model import Alert, AlertEvent, Delivery, GridEvent, Notice, Verdict
from gridbeacon.registry import Registry
from gridbeacon.timeline import ticked
from sinks import rows
from sinks.clickhouse import ClickHouseSink, ask, query
from sinks.migrate import migrate
from sinks.reference import markdown
from streams.backtest import backtest
from streams.embedded.ports import accepts, free_pair

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
T0 = 1_700_000_040_000
HOUR_MS = 3_600_000


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A database that holds what the engine finds in two hours of the made square, each notice delivered once."""
    port = free_pair()
    folder = tmp_path_factory.mktemp("tables")
    command = [sys.executable, "-m", "sinks.embedded", "--data", str(folder), "--port", str(port)]
    endpoint = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 30
        while not accepts(port):
            assert endpoint.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        config = Config(clickhouse=ClickHouse(port=port), registry=Files(unknown_sensors="register"))
        assert migrate(config)
        _fill(config)
        yield config
    finally:
        endpoint.terminate()
        endpoint.wait(20)


def _fill(config: Config) -> None:
    registry = Registry(
        {sensor.sensor_id: sensor for sensor in square.sensors()}, {cell.grid_id: cell for cell in square.cells()}
    )
    lines = square.lines(T0, T0 + 2 * HOUR_MS, T0 + HOUR_MS // 2)
    found = list(backtest(config, registry, ticked(lines, 60_000), T0 + 3 * HOUR_MS))

    def of(kind: type) -> list:
        return [one for one in found if isinstance(one, kind)]

    deliveries = [
        Delivery(
            notice_id=notice.notice_id,
            alert_id=notice.alert_id,
            sequence=notice.sequence,
            endpoint="dispatch",
            attempt=1,
            attempted_ms=notice.at_ms + 40,
            duration_ms=60.0,
            status=204,
            outcome="delivered",
        )
        for notice in of(Notice)
    ]
    sink = ClickHouseSink(config)
    for table, columns in (
        ("observations", rows.verdicts(of(Verdict))),
        ("grid_events", rows.grid_events(of(GridEvent))),
        ("alerts", rows.alerts(of(Alert))),
        ("alert_events", rows.alert_events(of(AlertEvent))),
        ("notices", rows.notices(of(Notice))),
        ("deliveries", rows.deliveries(deliveries)),
    ):
        assert sink.write(table, columns, table)
    sink.close()


@pytest.mark.parametrize("sql", blocks("sql"))
def test_every_question_has_an_answer(stored: Config, sql: str) -> None:
    columns, found = ask(stored, sql)
    assert columns
    assert found


def test_the_answers_are_right(stored: Config) -> None:
    lead, _, steps, told, unusual = (
        [dict(zip(columns, row, strict=True)) for row in found]
        for columns, found in (ask(stored, sql) for sql in blocks("sql"))
    )
    assert [row["minutes_of_warning"] > 0 for row in lead] == [True]
    assert (steps[0]["event"], steps[-1]["event"]) == ("opened", "cleared")
    assert all(bool(row["notice_id"]) != bool(row["held"]) for row in steps)
    ((notices,),) = query(stored, "SELECT count() FROM notices FINAL")
    assert [(row["endpoint"], row["notices"], row["p99_secs"]) for row in told] == [("dispatch", notices, 0.1)]
    assert {row["worst"] for row in unusual} >= {"red"}


def test_the_snippet_connects(stored: Config, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = blocks("python")
    namespace: dict[str, object] = {}
    exec(snippet.replace("19000", str(stored.clickhouse.port)), namespace)
    ((count,),) = query(stored, "SELECT count() FROM observations FINAL")
    assert capsys.readouterr().out == f"[({count},)]\n"
    client = namespace["client"]
    assert isinstance(client, Client)
    client.disconnect()
    defaults = msgspec.to_builtins(Config())["clickhouse"]
    assert (defaults["port"], defaults["database"], defaults["username"]) == (19000, "gridbeacon", "default")


def test_the_reference_is_what_the_database_says_of_itself(stored: Config) -> None:
    """When this fails, run ``scripts/tables``."""
    assert DOC.partition("## Tables and views\n\n")[2] == markdown(stored)


def test_alerts_lead_to_the_records_that_they_came_from(stored: Config) -> None:
    traced = []
    for alert, evidence in query(stored, "SELECT alert_id, evidence FROM alerts FINAL WHERE evidence != '[]'"):
        pieces = {tuple(piece["lineage"]) for piece in msgspec.json.decode(evidence)}
        names, found = ask(stored, f"SELECT * FROM lineage(alert = '{alert}')")
        ours = [dict(zip(names, row, strict=True)) for row in found]
        assert {(one["topic"], one["partition"], one["offset"], one["item"]) for one in ours} == pieces
        traced += ours
    assert {one["layer"] for one in traced} == {"event", "limit"}
    for one in traced:
        if one["layer"] == "event":
            ((report, told),) = query(
                stored,
                "SELECT service_request_id, description FROM grid_events FINAL WHERE offset = %(offset)s",
                {"offset": one["offset"]},
            )
            assert (one["service_request_id"], one["description"]) == (report, told)
            assert report
            continue
        kind, _, rest = one["series"].partition("/")
        source, _, metric = rest.rpartition("/")
        series = {"kind": kind, "source": source, "metric": metric, "offset": one["offset"], "item": one["item"]}
        found = query(
            stored,
            "SELECT value, state FROM observations FINAL WHERE kind = %(kind)s AND source = %(source)s "
            "AND metric = %(metric)s AND offset = %(offset)s AND item = %(item)s",
            series,
        )
        assert found == [(one["value"], one["state"])]
