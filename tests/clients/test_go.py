"""clickhouse-go beyond questions: a context that is given up ends its query on the server."""

import time
from pathlib import Path

import pytest
from clickhouse_driver import Client

from tests.clients.asked_programs import Program
from tests.servers import Server

# Programs in other languages are built by the first test, on a new machine with all that they stand on.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.mark.parametrize("api", ["native", "database/sql"])
@pytest.mark.parametrize("protocol", ["native", "http"])
def test_a_context_that_ends_ends_the_query(
    request: pytest.FixtureRequest, server: Server, go_program: Path, admin: Client, protocol: str, api: str
) -> None:
    port = request.getfixturevalue("http_port") if protocol == "http" else server.port
    options = {"address": f"127.0.0.1:{port}", "protocol": protocol, "compress": "lz4", "api": api}
    mark = f"given up by {protocol} {api}"
    sql = f"SELECT count(), '{mark}' FROM numbers(1e13) WHERE number % 13 = 5"
    assert Program((str(go_program),), options).answer([{"name": "end", "cancel": sql}]) == {"end": {"rows": 5}}
    look = "SELECT count() FROM system.processes WHERE query LIKE %(mark)s AND query NOT LIKE '%%processes%%'"
    deadline = time.monotonic() + 30
    while admin.execute(look, {"mark": f"%{mark}%"}) != [(0,)]:
        assert time.monotonic() < deadline, "the query goes on"
        time.sleep(0.05)
