"""A real ClickHouse endpoint for the whole session."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from gridbeacon.config import ClickHouse, Config
from streams.embedded.ports import accepts, free_pair
from tests.servers import share


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """The configuration that reaches a running endpoint without our tables."""
    port = free_pair()
    command = [
        sys.executable,
        "-m",
        "sinks.embedded",
        "--data",
        str(tmp_path_factory.mktemp("ch")),
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not accepts(port):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)

    def end() -> None:
        process.terminate()
        process.wait(60)

    share(end)
    yield Config(clickhouse=ClickHouse(port=port))
    end()
