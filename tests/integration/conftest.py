"""A real broker for the whole session, and a city of its own topics for each test."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gridbeacon.cli.fixture import load
from gridbeacon.config import Broker, ClickHouse, Config, Topics
from gridbeacon.demo.fixture.plan import TIMEZONE, Size
from sinks.migrate import migrate
from streams.embedded import EmbeddedBroker, KafkaFiles, ensure_kafka
from tests.commands import Role
from tests.servers import Server, free_port, share

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def fixture_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An embedded ClickHouse that holds the fixture city, and a database ``empty`` with all tables and no rows."""
    server = Server(tmp_path_factory.mktemp("fixture-city") / "data", free_port()).until_ready()
    try:
        load(Size(), Config(clickhouse=ClickHouse(port=server.port)), lambda _: None)
        migrate(Config(timezone=TIMEZONE, clickhouse=ClickHouse(port=server.port, database="empty")))
        share(server.end)
        yield server
    finally:
        server.end()


@pytest.fixture(autouse=True)
def roles_that_start_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts roles by themselves forks them from a process that has loaded everything; ``up`` does not."""
    monkeypatch.setattr("bench.engine.begin", Role)


@pytest.fixture(scope="session")
def kafka_files() -> KafkaFiles:
    """The broker's files, fetched when this machine does not have them yet."""
    return ensure_kafka()


@pytest.fixture(scope="session")
def storage(kafka_files: KafkaFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of a broker that never ran: to copy it is quicker than to make it."""
    node = EmbeddedBroker(tmp_path_factory.mktemp("storage"), kafka_files)
    node._prepare(node.directory / "data")
    return node.directory / "data"


@pytest.fixture(scope="session")
def broker(kafka_files: KafkaFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A running broker on a free port: the configuration that reaches it."""
    node = EmbeddedBroker(tmp_path_factory.mktemp("kafka"), kafka_files)
    node.start()
    try:
        node.wait_ready()
        share(node.stop)
        yield Config(broker=Broker(bootstrap=node.bootstrap, port=node.port))
    finally:
        node.stop()


@pytest.fixture
def city(broker: Config, tmp_path: Path) -> Config:
    """The same broker, with a topic prefix and a data directory that no other test has; no topic exists yet."""
    topics = Topics(prefix=f"city{next(_numbers)}.", source_partitions=2, observations_partitions=2)
    return msgspec.structs.replace(broker, topics=topics, data_dir=str(tmp_path / "data"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of pages are kept to be looked at: what GRIDBEACON_PICTURES names, else a temporary directory."""
    folder = Path(os.environ.get("GRIDBEACON_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    from tests.browser import running

    with running() as found:
        yield found


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page; whatever its console says, and every request to another host, fails the test."""
    from tests.browser import watched

    with watched(browser) as found:
        yield found
