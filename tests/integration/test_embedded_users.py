"""The users of the embedded ClickHouse on a real server: what readers can't do, limits, turns, TLS, old clients."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import NetworkError, ServerException

from gridbeacon.config import Account, ClickHouse
from sinks.embedded.accounts import hash_password
from sinks.embedded.wire import string, varint
from tests.servers import Server, free_port

pytestmark = pytest.mark.integration
ACCOUNTS = (
    Account(name="writer", role="writer", password_hash=hash_password("w")),
    Account(name="analyst", password_hash=hash_password("a"), max_secs=2, max_result_rows=1000, max_memory_mb=300),
    Account(name="one", max_queries=1),
    Account(name="patient", password_hash=hash_password("p")),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("users") / "data"
    running = Server(data, free_port(), settings=ClickHouse(accounts=ACCOUNTS)).until_ready()
    with running.client(user="writer", password="w") as client:
        client.execute("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
        client.execute("INSERT INTO t VALUES", [(n,) for n in range(10)])
    yield running
    assert running.end() == 0


@pytest.fixture
def writer(server: Server) -> Iterator[Client]:
    with server.client(user="writer", password="w") as client:
        yield client


@pytest.fixture
def analyst(server: Server) -> Iterator[Client]:
    with server.client(user="analyst", password="a") as client:
        yield client


def code_of(client: Client, sql: str, **options) -> int:
    with pytest.raises(ServerException) as caught:
        client.execute(sql, **options)
    return caught.value.code


@pytest.mark.parametrize(("user", "password"), [("analyst", "b"), ("analyst", ""), ("default", ""), ("nobody", "a")])
def test_a_wrong_password_lets_nobody_in(server: Server, user: str, password: str) -> None:
    with server.client(user=user, password=password) as client:
        assert code_of(client, "SELECT 1") == 516


def test_a_reader_asks_and_keeps_its_settings(analyst: Client) -> None:
    assert analyst.execute("SELECT sum(a) FROM t") == [(45,)]
    assert analyst.execute("WITH 1 AS x SELECT x, getSetting('max_threads')", settings={"max_threads": 1}) == [(1, 1)]
    assert analyst.execute("SELECT %(a)s", {"a": "it's"}, settings={"max_block_size": 10}) == [("it's",)]
    assert analyst.execute("SHOW TABLES LIKE 't'") == [("t",)]
    assert analyst.execute("DESCRIBE t")[0][:2] == ("a", "UInt32")
    assert analyst.execute("SELECT count() FROM numbers(5) -- a comment: INTO OUTFILE 'x'") == [(5,)]


def test_tables_that_come_with_a_readers_query_work_and_are_gone(analyst: Client) -> None:
    table = {"name": "here", "structure": [("a", "Int32")], "data": [{"a": 1}, {"a": 2}]}
    for _ in range(2):
        assert analyst.execute("SELECT sum(a) FROM here", external_tables=[table]) == [(3,)]
    assert code_of(analyst, "SELECT a FROM here") == 60
    assert code_of(analyst, "INSERT INTO t VALUES") == 164


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret.csv"
    file.write_text("secret\n", encoding="utf-8")
    return file


FORBIDDEN = (
    "INSERT INTO t SELECT 1",
    "INSERT INTO t (a) VALUES (1)",
    "INSERT INTO FUNCTION file('{out}', 'CSV', 'a UInt8') SELECT 1",
    "insert/**/into function file('{out}') select 1",
    "CREATE TABLE u (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE u (a UInt8)",
    "ALTER TABLE t DELETE WHERE 1",
    "DELETE FROM t WHERE 1",
    "DROP TABLE t",
    "TRUNCATE TABLE t",
    "OPTIMIZE TABLE t FINAL",
    "RENAME TABLE t TO u",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "SET max_execution_time = 1000",
    "SET readonly = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 1000",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE t",
    "SELECT 1 INTO OUTFILE '{out}'",
    "SELECT 1 INTO/**/OUTFILE '{out}'",
    "SELECT 1 into outfile '{out}' TRUNCATE FORMAT CSV",
    "EXPLAIN SELECT 1 INTO OUTFILE '{out}'",
    "SHOW TABLES INTO OUTFILE '{out}'",
    "SELECT file('{secret}')",
    "SELECT `file`/**/('{secret}')",
    "SELECT * FROM file('{secret}')",
    "SELECT * FROM `{secret}`",
    "SELECT * FROM '{secret}'",
    "DESCRIBE file('{secret}')",
    "DESCRIBE TABLE '{secret}'",
    "EXPLAIN SELECT file('{secret}')",
    "SELECT (SELECT line FROM file('{secret}', 'LineAsString', 'line String'))",
    "WITH (SELECT file('{secret}')) AS x SELECT x",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/x.csv')",
    "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "SELECT * FROM sqlite('{out}', 't')",
    "SELECT * FROM python(os)",
    "SELECT * FROM executable('x', 'CSV', 'a String')",
    "BACKUP TABLE t TO File('{out}')",
    "GRANT ALL ON *.* TO analyst",
    "CREATE FUNCTION f AS x -> x",
    "ATTACH TABLE u",
    "EXECUTE AS writer SELECT 1",
)


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_what_a_reader_may_not(sql: str, analyst: Client, writer: Client, secret: Path) -> None:
    out = secret.with_name("out")
    with pytest.raises(ServerException) as caught:
        analyst.execute(sql.format(secret=secret, out=out))
    assert "secret\n" not in str(caught.value)
    assert not out.exists()
    assert writer.execute("SELECT count() FROM t") == [(10,)]
    assert analyst.execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "settings", "code"),
    [
        ("SELECT count() FROM numbers(1e13) WHERE number % 7 = 3", {}, 158),
        ("SELECT count() FROM numbers(4e9) WHERE cityHash64(sipHash64(number)) % 7 = 3", {}, 159),
        ("SELECT number FROM numbers(100000)", {}, 396),
        ("SELECT groupArray(number) FROM numbers(1e9)", {}, 241),
        ("SELECT 1", {"max_execution_time": 3}, 452),
        ("SELECT 1", {"max_memory_usage": 0}, 452),
        ("SELECT 1", {"dialect": "prql"}, 452),
    ],
)
def test_a_readers_limits(analyst: Client, sql: str, settings: dict[str, object], code: int) -> None:
    assert code_of(analyst, sql, settings=settings) == code
    assert analyst.execute("SELECT 1", settings={"max_execution_time": 1}) == [(1,)]


def test_one_who_asks_too_much_at_once_waits_and_holds_up_nobody(server: Server, writer: Client) -> None:
    done: list[float] = []

    def ask() -> None:
        with server.client(user="one") as client:
            client.execute("SELECT sleep(0.3)")
            done.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert writer.execute("SELECT 1") == [(1,)]
    for thread in threads:
        thread.join()
    assert len(done) == 3
    first, second, third = sorted(done)
    assert second - first > 0.2
    assert third - second > 0.2


def test_readers_stop_their_own_queries_and_no_others(server: Server, writer: Client) -> None:
    endless = "SELECT count() FROM numbers(4e9) WHERE cityHash64(sipHash64(number)) % 7 = 3"
    stop = "KILL QUERY WHERE query_id = 'mine'"
    with server.client(user="one") as other, server.client(user="patient", password="p") as mine:
        progress = mine.execute_with_progress(endless, query_id="mine")
        assert other.execute(stop) == []
        with server.client(user="patient", password="p") as again:
            deadline = time.monotonic() + 20  # before its own limit of time ends it
            while not again.execute(stop) and time.monotonic() < deadline:
                time.sleep(0.05)
        with pytest.raises(ServerException) as caught:
            progress.get_result()
        assert caught.value.code == 394
    assert writer.execute(stop) == []


def test_forty_clients_at_once_are_all_served(server: Server) -> None:
    answers: list[int] = []

    def ask(number: int) -> None:
        with server.client(user="writer", password="w") as client:
            answers.extend(client.execute("SELECT %(n)s + sum(a) FROM t", {"n": number})[0])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [45 + n for n in range(40)]


class OldClient:
    """The native protocol of revision 54402, as clients of 2018 speak it: no settings as text, no parameters."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5)
        hello = [string("old"), varint(18), varint(16), varint(54402), string(""), string("one"), string("")]
        self._socket.sendall(varint(0) + b"".join(hello))

    def ask(self, sql: str) -> None:
        info = (
            b"\x01" + 3 * string("") + b"\x01" + 3 * string("") + 2 * varint(18) + varint(54402) + string("") + b"\x00"
        )
        self._socket.sendall(varint(1) + string("") + info + string("") + varint(2) + b"\x00" + string(sql))
        self._socket.sendall(varint(2) + string("") + b"\x01\x00\x02\xff\xff\xff\xff\x00" + b"\x00\x00")

    def read(self) -> bytes:
        self._socket.settimeout(1)
        found = b""
        try:
            while part := self._socket.recv(65536):
                found += part
                if found.endswith(b"\x05"):
                    break
        except TimeoutError:
            pass
        return found


def test_a_client_of_2018_is_served_in_its_own_revision(server: Server) -> None:
    client = OldClient(server.port)
    assert b"ClickHouse" in client.read()
    client.ask("SELECT toUInt8(7) AS x")
    # A column is its name, its type and its data: the byte of later revisions does not stand between them.
    assert string("x") + string("UInt8") + b"\x07" in client.read()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"]
    try:
        subprocess.run([*command, "-subj", "/CN=localhost"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not on this machine: no certificate can be made")
    return cert, key


def test_tls_and_nothing_else_where_there_is_a_certificate(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    settings = ClickHouse(accounts=ACCOUNTS, listen="0.0.0.0", tls_cert_file=str(cert), tls_key_file=str(key))
    settings_without_hole = ClickHouse(
        accounts=ACCOUNTS[:2], listen="0.0.0.0", tls_cert_file=str(cert), tls_key_file=str(key)
    )
    refused = Server(tmp_path / "refused", free_port(), settings=settings)
    assert "has no password" in refused.said()
    server = Server(tmp_path / "data", free_port(), settings=settings_without_hole).until_ready()
    try:
        tls = {"secure": True, "ca_certs": str(cert), "check_hostname": False}
        with server.client(user="analyst", password="a", **tls) as client:
            assert client.execute("SELECT sum(number) FROM numbers(100000)") == [(4999950000,)]
        with server.client(user="writer", password="w", **tls) as client:
            client.execute_with_progress("SELECT count() FROM numbers(1e13) WHERE number % 7 = 6")
            client.cancel()
            assert client.execute("SELECT 5") == [(5,)]
        with server.client(user="analyst", password="a") as plain, pytest.raises((EOFError, OSError, NetworkError)):
            plain.execute("SELECT 1")
    finally:
        assert server.end() == 0


def test_the_settings_of_the_process_are_not_among_its_arguments(server: Server) -> None:
    arguments = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    assert b"scrypt" not in arguments
    assert Path(f"/proc/{server.process.pid}/environ").stat().st_mode & 0o077 == 0
