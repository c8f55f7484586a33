"""The embedded ClickHouse as its users meet it: a process, a port, and clickhouse-driver."""

import datetime as dt
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from tests.servers import Server, free_port

pytestmark = pytest.mark.integration

UTC = dt.UTC
COLUMNS = """
    s String, lc LowCardinality(String), u8 UInt8, u16 UInt16, u32 UInt32, u64 UInt64, i8 Int8, i32 Int32, i64 Int64,
    f32 Float32, f64 Float64, n Nullable(Float64), ns Nullable(String), ts DateTime64(3, 'UTC'), at DateTime('UTC'),
    e Enum8('calm' = 1, 'crowded' = -2), tags Array(String), grid Array(Array(Float64)), m Map(String, Float64),
    pair Tuple(String, UInt8), lcn LowCardinality(Nullable(String)), names Array(LowCardinality(String))
"""


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def started(data: Path, port: int | None = None) -> Server:
        servers.append(Server(data, free_port() if port is None else port))
        return servers[-1]

    yield started
    for server in servers:
        server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("clickhouse") / "data", free_port()).until_ready()
    yield running
    assert running.end() == 0


@pytest.fixture(params=[False, True], ids=["plain", "lz4"])
def city(server: Server, request) -> Iterator[Client]:
    """A client whose default database is its own and empty."""
    with server.client() as admin:
        admin.execute("DROP DATABASE IF EXISTS city")
        admin.execute("CREATE DATABASE city")
    with server.client(database="city", compression=request.param) as client:
        yield client


def row(number: int) -> tuple:
    moment = dt.datetime(2024, 1, 1, 0, 0, number % 60, 123_000, tzinfo=UTC)
    return (
        f"广场 {number}", f"lc{number % 3}", number % 256, number, number, 2**63 + number, -number % 128, -number,
        -(2**60), 0.5, 1 / 3, None if number % 2 else 1.5, None if number % 3 else "x", moment,
        moment.replace(microsecond=0),
        "calm" if number % 2 else "crowded", ["a"] * (number % 3), [[1.0], []], {"k": number / 2}, ("t", number % 9),
        None if number % 2 else "zz", ["p", "q"][: number % 3],
    )  # fmt: skip


def count(client: Client, table: str) -> int:
    return client.execute(f"SELECT count() FROM {table}")[0][0]


@pytest.mark.parametrize("columnar", [False, True])
def test_rows_of_all_types_come_back(city, columnar):
    city.execute(f"CREATE TABLE t ({COLUMNS}) ENGINE = MergeTree ORDER BY u16")
    rows = [row(number) for number in range(500)]
    data = [list(column) for column in zip(*rows, strict=True)] if columnar else rows
    assert city.execute("INSERT INTO t VALUES", data, columnar=columnar) == 500
    assert city.execute("SELECT * FROM t ORDER BY u16") == rows
    taken = list(city.execute_iter("SELECT * FROM t ORDER BY u16", settings={"max_block_size": 100}))
    assert taken == rows


def test_an_insert_of_some_columns_of_several_blocks_with_settings_in_the_statement(city):
    city.execute("CREATE TABLE t (a UInt32, b String DEFAULT 'none', c UInt8 MATERIALIZED 1) ENGINE = Memory")
    city.execute("INSERT INTO city.t (a) SETTINGS max_threads = 1 VALUES", [(n,) for n in range(10)],
                 settings={"insert_block_size": 3})  # fmt: skip
    city.execute("INSERT INTO t (a) VALUES (10)")
    city.execute("INSERT INTO t (a) SELECT 11")
    city.execute("INSERT INTO t VALUES", [])
    city.execute("INSERT INTO t FORMAT Native", [(12, "last")])
    assert city.execute("SELECT a, b FROM t ORDER BY a") == [*((n, "none") for n in range(12)), (12, "last")]


def test_an_empty_result_and_a_result_with_a_zone_say_their_types(city):
    wanted = [("at", "DateTime('Asia/Shanghai')"), ("n", "UInt64")]
    for rows in (0, 3):
        sql = f"SELECT toDateTime(number, 'Asia/Shanghai') AS at, number AS n FROM numbers({rows})"
        found, types = city.execute(sql, with_column_types=True)
        assert (len(found), types) == (rows, wanted)
    assert city.execute("SELECT toDateTime(0)") == [(dt.datetime(1970, 1, 1),)], "the server's zone is UTC"


def test_a_column_that_changes_its_zone_says_so_at_once(city):
    for zone in ("UTC", "Asia/Shanghai", "Europe/Berlin"):
        city.execute(f"CREATE OR REPLACE TABLE t (at DateTime('{zone}')) ENGINE = MergeTree ORDER BY at")
        city.execute("INSERT INTO t VALUES", [(dt.datetime(2024, 1, 1, tzinfo=UTC),)])
        for _ in range(2):
            assert city.execute("SELECT at FROM t", with_column_types=True)[1] == [("at", f"DateTime('{zone}')")]


def test_statements_that_are_no_select(city):
    assert city.execute("CREATE TABLE t (a UInt8) ENGINE = Memory") == []
    assert city.execute("SHOW TABLES") == [("t",)]
    assert city.execute("EXISTS TABLE t") == [(1,)]
    assert city.execute("DESCRIBE t")[0][:2] == ("a", "UInt8")
    assert city.execute("SELECT 1 FORMAT JSON") == [(1,)]
    assert city.execute("DROP TABLE t") == []


@pytest.mark.parametrize("on_server", [False, True])
def test_parameters(server, on_server):
    values = ["it's \\ \n\t'q'", "", "a\\nb", "%s", "广场"]
    with server.client(settings={"server_side_params": on_server}) as client:
        for value in values:
            text = "SELECT {a:String}" if on_server else "SELECT %(a)s"
            assert client.execute(text, {"a": value}) == [(value,)]
        text = "SELECT {a:Array(String)}, {n:UInt64}" if on_server else "SELECT %(a)s, %(n)s"
        assert client.execute(text, {"a": ["it's", "b"], "n": 5}) == [(["it's", "b"], 5)]


def test_tables_that_come_with_a_query_are_gone_after_it(city):
    table = {"name": "here", "structure": [("a", "Int32")], "data": [{"a": 1}, {"a": 2}]}
    assert city.execute("SELECT a FROM here WHERE a > 1", external_tables=[table]) == [(2,)]
    with pytest.raises(ServerException) as caught:
        city.execute("SELECT a FROM here")
    assert caught.value.code == 60


def test_settings_hold_for_one_query_and_unknown_ones_are_ignored(city):
    look = "SELECT getSetting('max_block_size')"
    default = city.execute(look)
    assert city.execute(look, settings={"max_block_size": 77, "no_such_setting": 1}) == [(77,)]
    assert city.execute(look) == default
    with pytest.raises(ServerException) as caught:
        city.execute("CREATE TABLE t (a UInt8) ENGINE = Memory", settings={"readonly": 1})
    assert caught.value.code == 164
    city.execute("CREATE TABLE t (a UInt8) ENGINE = Memory")
    assert city.execute("SELECT currentDatabase()") == [("city",)]


def test_an_unknown_setting_that_the_client_calls_important_is_an_error(server):
    with server.client(settings_is_important=True) as client, pytest.raises(ServerException) as caught:
        client.execute("SELECT 1", settings={"no_such_setting": 1})
    assert caught.value.code == 115


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELEC 1", 62),
        ("SELECT nothing", 47),
        ("SELECT throwIf(1)", 395),
        ("SELECT number, throwIf(number = 3000000) FROM numbers(10000000)", 395),
        ("SELECT * FROM nowhere.t", 81),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT sleep(3) SETTINGS max_execution_time = 1", 159),
        ("SELECT 1 INTO OUTFILE 'x'", 344),
        ("SELECT 1::Dynamic", 48),
        ("INSERT INTO nowhere VALUES", 60),
    ],
)
def test_errors_have_the_codes_of_clickhouse_and_the_connection_goes_on(server, sql, code):
    with server.client() as client:
        with pytest.raises(ServerException) as caught:
            client.execute(sql, [(1,)] if sql.endswith("VALUES") else None)
        assert caught.value.code == code
        assert client.execute("SELECT 1") == [(1,)]


def test_a_failed_insert_is_an_error_and_stores_nothing(city):
    city.execute("CREATE TABLE t (a UInt8, CONSTRAINT small CHECK a < 5) ENGINE = MergeTree ORDER BY a")
    for rows in ([(1,), (2,), (9,)], [(9,), (1,)]):
        with pytest.raises(ServerException) as caught:
            city.execute("INSERT INTO t VALUES", rows, settings={"insert_block_size": 1})
        assert caught.value.code == 469
    assert count(city, "t") == 0


def test_a_failed_view_of_a_table_is_an_error_of_the_insert(city):
    city.execute("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    city.execute("CREATE MATERIALIZED VIEW v ENGINE = Memory AS SELECT throwIf(a > 5) AS x FROM t")
    with pytest.raises(ServerException) as caught:
        city.execute("INSERT INTO t VALUES", [(9,)])
    assert caught.value.code == 395


def test_a_repeated_insert_with_the_same_token_is_stored_once(city):
    city.execute(
        "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    for token, rows in [("x", 3), ("x", 3), ("y", 3), ("y", 4), ("z", 3), ("x", 3)]:
        city.execute(
            "INSERT INTO t VALUES", [(n,) for n in range(rows)], settings={"insert_deduplication_token": token}
        )
    assert count(city, "t") == 9
    token = {"insert_deduplication_token": "blocks", "insert_block_size": 2}
    for _ in range(2):
        city.execute("INSERT INTO t VALUES", [(n,) for n in range(5)], settings=token)
    assert count(city, "t") == 14


def test_each_client_keeps_its_database(server):
    with server.client() as admin:
        for name in ("north", "south"):
            admin.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
            admin.execute(f"CREATE OR REPLACE TABLE {name}.t (a String) ENGINE = Memory")
    failed = []

    def work(name: str) -> None:
        try:
            with server.client(database=name) as client:
                for _ in range(20):
                    client.execute("INSERT INTO t VALUES", [(name,)])
                    assert client.execute("SELECT DISTINCT a, currentDatabase() FROM t") == [(name, name)]
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("north", "south") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with server.client(database="north") as client:
        assert count(client, "t") == 60
        client.execute("USE south")
        assert client.execute("SELECT currentDatabase()") == [("south",)]
        assert client.execute("SELECT toStartOfHour(toDateTime(0, 'UTC')), a FROM t LIMIT 1")[0][1] == "south"
    with server.client(database="nowhere") as client, pytest.raises(ServerException) as caught:
        client.execute("SELECT 1")
    assert caught.value.code == 81


ENDLESS = "SELECT count() FROM numbers(1e13) WHERE number % 7 = {number}"


def running(client: Client, number: int) -> int:
    mark = f"%1e13%% = {number}"
    sql = "SELECT count() FROM system.processes WHERE query LIKE %(mark)s AND query NOT LIKE '%%processes%%'"
    return client.execute(sql, {"mark": mark})[0][0]


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_query_ends_when_its_client_cancels_it_or_leaves(server):
    with server.client() as watcher:
        with server.client() as client:
            client.execute_with_progress(ENDLESS.format(number=3))
            until(lambda: running(watcher, 3) == 1)
            client.cancel()
            assert client.execute("SELECT 5") == [(5,)]
        until(lambda: running(watcher, 3) == 0)
        with server.client() as client:
            client.execute_with_progress(ENDLESS.format(number=4))
            until(lambda: running(watcher, 4) == 1)
        until(lambda: running(watcher, 4) == 0)


def test_a_slow_query_keeps_nobody_waiting(server):
    with server.client() as slow, server.client() as quick:
        slow.execute_with_progress(ENDLESS.format(number=6))
        until(lambda: running(quick, 6) == 1)
        assert quick.execute("SELECT 1") == [(1,)]
        assert running(quick, 6) == 1


def test_a_client_that_leaves_in_the_middle_of_an_insert_stores_nothing(server):
    with server.client() as client:
        client.execute("CREATE OR REPLACE TABLE default.half (a UInt8) ENGINE = MergeTree ORDER BY a")

        def rows() -> Iterator[tuple[int]]:
            yield from [(1,)] * 1000
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            client.execute("INSERT INTO default.half VALUES", rows(), settings={"insert_block_size": 100})
        assert count(client, "default.half") == 0


def test_garbage_harms_nobody(start, tmp_path):
    server = start(tmp_path / "data").until_ready()
    hello = b"\x00\x01x\x15\x08" + b"\xbb\xa9\x03" + b"\x00\x07default\x00"  # revision 54459
    dice = random.Random(7)
    parts = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" + b"\xff" * 60,
        b"\x00",
        b"",
        hello,
        hello + b"\x00" + b"\x63",
        hello + b"\x00\x01" + b"\xff" * 40,
        hello + b"\x00\x02\x00" + b"\xff" * 40,
        hello.replace(b"\xbb\xa9\x03", b"\x01"),
        *(dice.randbytes(300) for _ in range(20)),
        *(hello + b"\x00" + bytes([dice.randrange(5)]) + dice.randbytes(200) for _ in range(40)),
    ]
    with server.client() as client:
        for part in parts:
            with socket.create_connection(("127.0.0.1", server.port), 5) as stranger:
                stranger.sendall(part)
            assert client.execute("SELECT 1") == [(1,)]
    assert server.end() == 0
    said = server.said().splitlines()
    assert len(said) <= len(parts)
    assert all(line.startswith("embedded ClickHouse: refused 127.0.0.1:") for line in said), said


def test_what_was_acknowledged_is_there_after_a_kill(start, tmp_path):
    server = start(tmp_path / "data").until_ready()
    client = server.client()
    client.execute("CREATE TABLE t (writer UInt8, batch UInt32, n UInt32) ENGINE = MergeTree ORDER BY (writer, batch)")
    acknowledged: set[tuple[int, int]] = set()

    def write(writer: int) -> None:
        with suppress(Exception), server.client() as mine:
            for batch in range(100_000):
                mine.execute("INSERT INTO t VALUES", [(writer, batch, n) for n in range(50)])
                acknowledged.add((writer, batch))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) > 60, 30)
    server.end(signal.SIGKILL)
    for thread in threads:
        thread.join()
    again = start(tmp_path / "data").until_ready()
    with again.client() as reader:
        found = reader.execute("SELECT writer, batch, count() FROM t GROUP BY writer, batch")
    assert acknowledged <= {(writer, batch) for writer, batch, _ in found}
    assert {rows for _, _, rows in found} == {50}, "no batch is there in part"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_even_with_work_going_on(start, tmp_path, number):
    server = start(tmp_path / "data").until_ready()
    with server.client() as client, server.client() as idle:
        idle.execute("CREATE TABLE t ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a")
        client.execute_with_progress(ENDLESS.format(number=5))
        begin = time.monotonic()
        assert server.end(number) == 0
        assert time.monotonic() - begin < 20
    assert server.said() == ""
    with start(tmp_path / "data").until_ready().client() as after:
        assert count(after, "t") == 1


def assert_refused(server: Server, *words: str) -> None:
    said = server.said()
    assert server.process.returncode == 1
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    for word in words:
        assert word in said


def test_a_second_process_on_the_same_directory_is_refused(start, tmp_path):
    first = start(tmp_path / "data").until_ready()
    assert_refused(start(tmp_path / "data"), str(tmp_path / "data"), "in use", str(first.process.pid), "--data")
    with first.client() as client:
        assert client.execute("SELECT 1") == [(1,)]


def test_a_busy_port_is_refused(start, tmp_path):
    first = start(tmp_path / "a").until_ready()
    assert_refused(start(tmp_path / "b", first.port), str(first.port), "--port")


def test_a_port_that_is_none_is_refused(start, tmp_path):
    assert_refused(start(tmp_path / "a", 99_999), "99999", "--port")


def test_a_directory_that_can_not_be_written_is_refused(start, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(start(tmp_path / "file" / "data"), "can't be written", "--data")


def test_a_lock_file_that_was_left_over_means_nothing(start, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "gridbeacon.lock").write_text(f"{os.getpid()}\n")
    with start(data).until_ready().client() as client:
        assert client.execute("SELECT 1") == [(1,)]
