"""Strangers at the door of the embedded ClickHouse: it answers with an error or hangs up, and forgets them."""

import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

from tests.servers import Server, free_port

pytestmark = pytest.mark.integration
CONVERSATIONS = 40
SPARE_MB = 250
"""Of memory that the process may keep after everything."""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("hostile") / "data", free_port()).until_ready()
    with running.client() as client:
        client.execute("CREATE TABLE t (a UInt32, b String, c LowCardinality(String)) ENGINE = MergeTree ORDER BY a")
    for compression in (False, True):  # warm: chDB opens its files and threads on first use
        recorded(running, compression=compression)
    yield running
    assert running.end() == 0


@pytest.fixture
def unharmed(server: Server) -> Iterator[None]:
    """Afterwards it answers, and has given back its memory and its connections."""

    def use() -> tuple[int, int]:
        process = psutil.Process(server.process.pid)
        return process.memory_info().rss >> 20, len(process.net_connections())

    with server.client() as client:
        client.execute("SELECT 1")
        memory, connections = use()
        yield
        deadline = time.monotonic() + 20
        while (now := use())[1] > connections or now[0] > memory + SPARE_MB:
            assert time.monotonic() < deadline, f"{now} after {(memory, connections)}"
            time.sleep(0.1)
        assert client.execute("SELECT 1") == [(1,)]


def recorded(server: Server, *, compression: bool) -> bytes:
    """Return what a real client sends for an insert, a query with a table and parameters, and a ping."""
    taken: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def relay() -> None:
        inner, _ = listener.accept()
        with inner, socket.create_connection(("127.0.0.1", server.port)) as outer:

            def back() -> None:
                with suppress(OSError):
                    while part := outer.recv(65536):
                        inner.sendall(part)
                    inner.shutdown(socket.SHUT_WR)

            threading.Thread(target=back, daemon=True).start()
            while part := inner.recv(65536):
                taken.append(part)
                outer.sendall(part)
            outer.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=relay)
    thread.start()
    with Client("127.0.0.1", listener.getsockname()[1], compression=compression) as client:
        client.execute("INSERT INTO t VALUES", [(n, f"text {n}", f"c{n % 3}") for n in range(50)])
        table = {"name": "here", "structure": [("a", "Array(Nullable(Int32))")], "data": [{"a": [1, None]}]}
        client.execute("SELECT * FROM here, t LIMIT 5", external_tables=[table], settings={"max_threads": 1})
        client.connection.ping()
    thread.join()
    listener.close()
    return b"".join(taken)


def mutated(dice: random.Random, talk: bytes) -> bytes:
    """Return a conversation that went wrong somewhere."""
    found = bytearray(talk)
    at = dice.randrange(len(found))
    match dice.randrange(5):
        case 0:
            del found[at:]
        case 1:
            found[at] = dice.randrange(256)
        case 2:
            found[at:at] = b"\xff\xff\xff\xff\xff\xff\xff\xff\x3f"  # 2^62
        case 3:
            del found[at : at + dice.randrange(1, 20)]
        case 4:
            found[at:at] = dice.randbytes(dice.randrange(1, 50))
    return bytes(found)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("compression", [False, True])
def test_conversations_that_go_wrong_anywhere(server: Server, compression: bool) -> None:
    talk = recorded(server, compression=compression)
    dice = random.Random(11)
    for _ in range(CONVERSATIONS):
        with socket.create_connection(("127.0.0.1", server.port), 5) as stranger, suppress(OSError):
            stranger.sendall(mutated(dice, talk))
            stranger.shutdown(socket.SHUT_WR)
            stranger.settimeout(5)
            while stranger.recv(65536):
                pass


@pytest.mark.usefixtures("unharmed")
def test_a_query_of_ten_megabytes(server: Server) -> None:
    text = "x" * 10_000_000
    with server.client() as client:
        with pytest.raises(ServerException) as caught:
            client.execute(f"SELECT length('{text}')")
        assert caught.value.code == 62
        assert client.execute(f"SELECT length('{text}')", settings={"max_query_size": 20_000_000}) == [(10_000_000,)]
    with server.client(user="analyst") as client, pytest.raises(ServerException) as caught:
        client.execute(f"SELECT length('{text}')")
    assert caught.value.code == 62


@pytest.mark.usefixtures("unharmed")
def test_a_thousand_connections_at_once(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip("this machine does not let a process open a thousand connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    with server.client() as client:
        client.execute("SELECT 1")
        crowd: list[socket.socket] = []
        try:
            for _ in range(1000):
                with suppress(OSError):
                    crowd.append(socket.create_connection(("127.0.0.1", server.port), 5))
            assert client.execute("SELECT 2") == [(2,)]
        finally:
            for one in crowd:
                one.close()
    with server.client() as client:
        deadline = time.monotonic() + 30
        while True:
            with suppress(EOFError, OSError, Error):
                assert client.execute("SELECT 3") == [(3,)]
                return
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("unharmed")
def test_a_client_that_greets_byte_by_byte_is_not_waited_for(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 30) as slow:
        begin = time.monotonic()
        with suppress(OSError):
            for byte in b"\x00\x7f" + b"x" * 200:
                slow.sendall(bytes([byte]))
                slow.settimeout(0.3)
                with suppress(TimeoutError):
                    if not slow.recv(1):
                        break
        assert time.monotonic() - begin < 20


@pytest.mark.usefixtures("unharmed")
def test_ten_million_rows_never_lie_in_memory_whole(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    rows = most = 0
    with server.client() as client:
        sql = "SELECT number, repeat('x', 500) FROM numbers(10000000)"
        for block in client.execute_iter(sql, chunk_size=16_384, settings={"max_block_size": 16_384}):
            rows += len(block)
            most = max(most, process.memory_info().rss)
            if rows >= 1_000_000:
                break
    assert (most - before) >> 20 < 300, "all of it would be 5 GB, what was read 500 MB"
