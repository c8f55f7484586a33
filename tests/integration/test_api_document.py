"""The API keeps to its OpenAPI document, whatever it is asked: on a city in a real ClickHouse."""

import importlib

import msgspec
import pytest
from hypothesis import HealthCheck, settings

from gridbeacon.cli.fixture import load
from gridbeacon.config import ClickHouse, Config
from gridbeacon.demo.fixture.plan import TIMEZONE, Size, code, registry
from gridbeacon.reasons import Level
from tests.board import Served, situation
from tests.servers import Server, free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
SIZE = Size(days=2, sensors=8, interval_secs=900, events_per_day=20)
EXAMPLES = 12
"""Of each operation."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    # Loaded here: it is large, and pytest rewrites it, which it can't do beside the server's thread.
    importlib.import_module("schemathesis.specs.openapi.schemas")
    config = Config(timezone=TIMEZONE, clickhouse=ClickHouse(port=free_port(), http_port=0))
    server = Server(tmp_path_factory.mktemp("clickhouse"), config.clickhouse.port).until_ready()
    try:
        load(SIZE, config, lambda _: None)
        with Served(config, registry(SIZE)) as running:
            running.tell(code(0), situation(code(0), Level.RED))
            yield running
    finally:
        server.end()


def operations(served):
    """Return what the document offers; a stream never ends, so it is asked elsewhere."""
    import schemathesis
    from schemathesis.config import SchemathesisConfig

    schema = schemathesis.openapi.from_url(f"{served.url}/api/openapi.json", config=SchemathesisConfig())
    return [
        one.ok() for one in schema.get_all_operations() if (one.ok().method, one.ok().path) != ("get", "/api/events")
    ]


def test_it_keeps_to_its_document(served) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    found = operations(served)
    assert len(found) >= 9
    for operation in found:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @_given(operation)
        def keep(case) -> None:
            # That a range ends after it begins, and is no longer than it may be, no schema can say.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        keep()


def _given(operation):
    from hypothesis import given

    return given(case=operation.as_strategy())


def test_the_series_of_an_alert_can_be_asked_for(served) -> None:
    import httpx

    begin, end = "2024-01-01T16:00:00Z", "2024-01-02T15:00:00Z"
    said = httpx.get(
        f"{served.url}/api/series/crowd/CAM-00001/density_max_per_m2", params={"from": begin, "to": end}, timeout=20
    ).json()
    assert len(said["points"]) > 80
    assert said["points"][0]["expected"] is not None
    assert said["problem"] is None
    people = httpx.get(
        f"{served.url}/api/series/crowd/CAM-00001/people_count", params={"from": begin, "to": end}, timeout=20
    ).json()
    assert len(people["forecast"]) > 80
    assert {row["state"] for row in httpx.get(f"{served.url}/api/sensors/health", timeout=20).json()["rows"]} <= {
        "reporting",
        "late",
        "never",
    }
    rows = httpx.get(f"{served.url}/api/situations", timeout=20)
    assert rows.status_code == 200
    assert msgspec.json.decode(rows.content)["problem"] is None
