"""One embedded ClickHouse for all clients, with the tables of ``fixture.sql`` in it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_driver import Client

from tests.clients.asked_programs import Jdbc, build_go, build_jdbc, fetch_jdbc
from tests.clients.asking import statements
from tests.servers import Server, free_port, share


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("clients") / "data"
    running = Server(data, free_port(), http_port=free_port()).until_ready()
    with running.client() as client:
        for statement in statements():
            client.execute(statement)
    share(running.end)
    yield running
    assert running.end() == 0


@pytest.fixture(scope="session")
def http_port(server: Server) -> int:
    """The port of the HTTP interface; skips where the endpoint does not have one."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", server.http_port)):
            pytest.skip("this embedded ClickHouse does not serve HTTP")
    return server.http_port


@pytest.fixture
def admin(server: Server) -> Iterator[Client]:
    """What looks after a client's work: clickhouse-driver in its plainest form."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of clickhouse-go; skips where it can't be had."""
    return build_go(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def jdbc(http_port: int, tmp_path_factory: pytest.TempPathFactory) -> Jdbc:
    """The program of the JDBC driver; skips where it can't be had."""
    command = build_jdbc(tmp_path_factory.mktemp("java"), fetch_jdbc())
    return Jdbc((*command, f"jdbc:clickhouse://127.0.0.1:{http_port}/default"))
