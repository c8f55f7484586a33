"""Every panel's query runs through the endpoint, as Grafana's user, and returns what its panel needs."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from clickhouse_driver import Client

from dashboards.ask import DEFAULTS, ask_all, questions
from dashboards.build import MARKS, built
from dashboards.expand import Shown, expanded
from dashboards.names import tables
from gridbeacon.config import ClickHouse, Config
from gridbeacon.demo.fixture.plan import RISE, TIMEZONE, Size, begin_ms, code, incidents
from tests.servers import Server

pytestmark = pytest.mark.integration
WORST = max(incidents(Size(), 5), key=lambda incident: incident.peak)
EVENING = begin_ms(Size(), WORST, RISE) // 1000 + 60
"""On the sixth day, of which there are forecasts, when its worst crowd has just reached its peak."""
WEEK = Shown(EVENING - 6 * 86400, EVENING, DEFAULTS, TIMEZONE)
ASKED = [(title, panel.title, question) for title, panel, question in questions(Config())]
OFTEN_EMPTY = {"Data in doubt"}
"""Panels about what the fixture city does not have."""
FAMILIES = {
    "time": ("DateTime",),
    "number": ("Int", "UInt", "Float", "Nullable(Float", "Nullable(Int"),
    "text": ("String", "LowCardinality(String", "Enum8"),
}


@pytest.fixture(scope="module")
def grafana(fixture_city: Server) -> Iterator[Client]:
    with fixture_city.client(user="grafana", database="gridbeacon") as client:
        yield client


@pytest.fixture(scope="module")
def empty(fixture_city: Server) -> Iterator[Client]:
    with fixture_city.client(user="grafana", database="empty") as client:
        yield client


def label(value) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("dashboard", "panel", "question"), ASKED, ids=label)
def test_it_returns_the_columns_and_types_that_its_panel_needs(grafana: Client, dashboard, panel, question) -> None:
    rows, columns = grafana.execute(expanded(question.sql, WEEK), with_column_types=True)
    assert [name for name, _ in columns] == list(question.needs)
    for (name, kind), family in zip(columns, question.needs.values(), strict=True):
        assert kind.startswith(FAMILIES[family]), (name, kind)
    assert rows or panel in OFTEN_EMPTY | {"Limits that will be crossed"}, "a panel without rows teaches nothing"


@pytest.mark.parametrize(("dashboard", "panel", "question"), ASKED, ids=label)
def test_it_can_bear_an_empty_database_any_time_range_and_any_choice(
    grafana: Client, empty: Client, dashboard, panel, question
) -> None:
    """No data yet, the far future, ten years, one cell, a cell that is none: an answer, never an error."""
    chosen = DEFAULTS | {"district": code(1)[:6], "cell": code(1), "kind": "crowd", "level": "orange"}
    for client, shown in (
        (empty, WEEK),
        (grafana, Shown(EVENING - 3650 * 86400, EVENING, DEFAULTS)),
        (grafana, replace(WEEK, variables=chosen)),
        (grafana, Shown(4_000_000_000, 4_000_086_400, DEFAULTS | {"cell": "none'); DROP TABLE x --", "alert": "x\\"})),
    ):
        rows, columns = client.execute(expanded(question.sql, shown), with_column_types=True)
        assert [name for name, _ in columns] == list(question.needs)
        assert len(rows) <= 20_000


def test_the_alerts_that_are_open_are_those_of_the_moment_and_say_who_has_them(grafana: Client) -> None:
    """At each moment the table is what a fold over the transitions up to then says, whatever became of them later."""
    (question,) = [q for _, panel, q in ASKED if panel == "Open alerts"]
    everything = grafana.execute(
        "SELECT alert_id, at, level_to, condition_to, handling_to, notice_id FROM alert_events FINAL "
        "ORDER BY alert_id, version"
    )
    seen = set()
    for moment in range(EVENING - 5 * 86400, EVENING, 9000):
        standing: dict[str, tuple[str, str, str]] = {}
        told = {alert for alert, at, *_, notice in everything if notice and at.timestamp() <= moment}
        for alert, at, level, condition, handling, _ in everything:
            if at.timestamp() <= moment:
                standing[alert] = (level, condition, handling)
        expected = {
            alert: one
            for alert, one in standing.items()
            if one[1] != "cleared" or one[2] not in ("new", "closed", "reviewed") or (one[2] == "new" and alert in told)
        }
        rows = grafana.execute(expanded(question.sql, replace(WEEK, to_secs=moment)))
        assert {row[8]: (row[0], row[1], row[3]) for row in rows} == expected
        assert all((row[3] == "new") == (row[4] == "") for row in rows)
        seen |= {row[1] for row in rows}
    assert seen == {"active", "cleared"}


def test_limits_that_will_be_crossed_are_shown_from_when_they_are_foreseen_until_they_are_over(grafana: Client) -> None:
    (question,) = [q for _, panel, q in ASKED if panel == "Limits that will be crossed"]
    everything = grafana.execute(
        "SELECT source, toUnixTimestamp(made_at), toUnixTimestamp(ended_at) FROM crossings FINAL"
    )
    found = 0
    for moment in range(EVENING - 12 * 3600, EVENING + 4 * 3600, 1800):
        rows = grafana.execute(expanded(question.sql, replace(WEEK, to_secs=moment)))
        assert sorted(row[7] for row in rows) == sorted(s for s, made, ended in everything if made <= moment < ended)
        assert all(0 < row[4] <= 1 and row[0] in ("blue", "yellow", "orange", "red") for row in rows)
        found += len(rows)
    assert found > 0


def test_the_names_are_those_of_the_migrated_schema(grafana: Client) -> None:
    rows = grafana.execute(
        "SELECT table, name FROM system.columns WHERE database = 'gridbeacon' AND table NOT LIKE '.inner%' "
        "AND table NOT IN ('schema_migrations', 'observations_15m_fill') ORDER BY table, position"
    )
    there: dict[str, set[str]] = {}
    for table, column in rows:
        there.setdefault(table, set()).add(column)
    ours = {name: set(columns) for name, columns in tables().names().items()}
    assert ours.pop("lineage")  # a view with a parameter has no columns before it has its parameter
    assert ours == there


def test_variables_and_marks_are_answered_too(grafana: Client, empty: Client) -> None:
    for made in built(Config()).values():
        for variable in json.loads(made)["templating"]["list"]:
            if variable["type"] == "query":
                for client, least in ((grafana, 9), (empty, 1)):
                    rows = client.execute(expanded(variable["query"]["rawSql"], WEEK))
                    assert rows[0][0] == "all"
                    assert len(rows) >= least
    rows, columns = grafana.execute(expanded(MARKS, WEEK), with_column_types=True)
    assert [name for name, _ in columns] == ["time", "timeEnd", "text", "tags"]
    assert len(rows) > 5


def test_every_panel_is_answered_by_the_configured_database(fixture_city: Server) -> None:
    config = Config(clickhouse=ClickHouse(port=fixture_city.port, username="grafana"))
    assert len(list(ask_all(config, EVENING))) == len(ASKED)
