"""The HTTP interface where curl and the clients do not look: strangers, floods, large answers, readers, sessions."""

import http.client
import json
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gridbeacon.config import ClickHouse
from sinks.embedded.wire import Reader, compress, read_frame
from tests.servers import Server, free_port

pytestmark = pytest.mark.integration
MIDDLE = "SELECT toString(number), throwIf(number = 3000000, 'genug') FROM numbers(10000000) SETTINGS max_threads = 1"


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; ``complete`` says whether it ended in order."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def code(self) -> int:
        return int(self.headers.get("x-clickhouse-exception-code", 0))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("http") / "data"
    running = Server(data, free_port(), http_port=free_port()).until_ready()
    yield running
    assert running.end() == 0


def ask(
    server: Server, sql: str = "", method: str = "POST", body: bytes = b"", headers: object = None, **words: object
):
    """Return the answer to one request on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)) as connection:
        given = {"query": sql} | words if sql else words
        connection.request(method, f"/?{urlencode(given)}", body, headers or {})
        return answered(connection)


def answered(connection: http.client.HTTPConnection) -> Response:
    response = connection.getresponse()
    try:
        body, complete = response.read(), True
    except http.client.IncompleteRead as error:
        body, complete = error.partial, False
    return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, body, complete)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def memory(server: Server, what: str) -> int:
    """Return megabytes of the server's process: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(what))) >> 10


def sent(server: Server, data: bytes, *, leave: bool = True) -> bytes:
    """Return all that comes back to some bytes, until the server ends the connection.

    ``leave`` says that no more will come, which the server takes for a client that is gone.
    """
    found = b""
    with socket.create_connection(("127.0.0.1", server.http_port), 15) as stranger, suppress(ConnectionResetError):
        stranger.sendall(data)
        if leave:
            stranger.shutdown(socket.SHUT_WR)
        while came := stranger.recv(65536):
            found += came
    return found


def test_garbage_harms_nobody(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", free_port(), http_port=free_port()).until_ready()
    dice = random.Random(7)
    greeting = b"\x00\x01x\x15\x08\xbb\xa9\x03\x00\x07default\x00"
    whole = b"POST /?query=SELECT+1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    chunked = whole.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    parts = [
        greeting,
        b"\r\n\r\n",
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 2_000_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        whole + b"ab",
        chunked + b"zz\r\n",
        chunked + b"ffffffffffffffff\r\n",
        *(dice.randbytes(300) for _ in range(30)),
        *(whole.replace(b"SELECT+1", dice.randbytes(9).hex().encode()) + dice.randbytes(40) for _ in range(20)),
        *(bytes(b ^ (dice.random() < 0.02) * 16 for b in whole + b"abcde") for _ in range(40)),
    ]
    for part in parts:
        sent(server, part)
    assert sent(server, greeting).startswith(b"HTTP/1.1 400 ")
    assert ask(server, "SELECT 1").body == b"1\n"
    assert server.end() == 0
    said = server.said().splitlines()
    assert said
    assert all(line.startswith("embedded ClickHouse: refused ") for line in said), said


def test_a_thousand_connections_at_once(server: Server) -> None:
    flood = []
    for number in range(1000):
        stranger = socket.socket()
        stranger.settimeout(5)
        flood.append(stranger)
        with suppress(OSError):
            stranger.connect(("127.0.0.1", server.http_port))
            stranger.sendall(b"GET /?query=SELECT+1 HTTP/1.1\r\nHost: x\r\n" + b"\r\n" * (number % 2))
    for stranger in flood:
        stranger.close()
    until(lambda: _answers(server))
    with server.client() as client:
        assert client.execute("SELECT 1") == [(1,)]


def _answers(server: Server) -> bool:
    try:
        return ask(server, "SELECT 1").body == b"1\n"
    except (OSError, http.client.HTTPException):
        return False


def test_many_ask_at_once(server: Server) -> None:
    found: list[bytes] = []

    def many() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)) as connection:
            for n in range(5):
                connection.request("GET", f"/?query=SELECT+{n}")
                found.append(connection.getresponse().read())

    threads = [threading.Thread(target=many) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(b"%d\n" % n for n in range(5) for _ in range(60))


def test_requests_that_come_together_are_answered_in_order(server: Server) -> None:
    one = b"GET /?query=SELECT+%d HTTP/1.1\r\nHost: x\r\n%b\r\n"
    found = sent(server, one % (1, b"") + one % (2, b"") + one % (3, b"Connection: close\r\n"), leave=False)
    assert [part.split(b"\r\n\r\n")[1] for part in found.split(b"HTTP/1.1 200")[1:]] == [b"1\n", b"2\n", b"3\n"]


def test_a_large_answer_lies_nowhere_whole(server: Server) -> None:
    ask(server, "SELECT sum(number) FROM numbers(1000000)")
    before = memory(server, "VmRSS")
    sql = "SELECT number, repeat('x', 200) AS s FROM numbers(3000000) FORMAT CSVWithNames"
    with closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)) as connection:
        connection.request("POST", "/", sql)
        response = connection.getresponse()
        size = last = 0
        while data := response.read(1 << 20):
            size, last = size + len(data), data
    assert size > 600_000_000
    assert last.endswith(b'2999999,"' + b"x" * 200 + b'"\n')
    assert memory(server, "VmHWM") - before < 300


@pytest.mark.parametrize(
    "form",
    "TSVWithNames TSVWithNamesAndTypes CSVWithNames CSVWithNamesAndTypes RowBinaryWithNames RowBinaryWithNamesAndTypes "
    "JSONCompactEachRowWithNames JSONCompactEachRowWithNamesAndTypes JSONCompactStringsEachRowWithNamesAndTypes "
    "TSVRawWithNames Values JSONEachRow RowBinary MsgPack BSONEachRow TSKV Native".split(),
)
def test_what_is_put_together_is_what_is_made_whole(server: Server, form: str) -> None:
    sql = """SELECT number AS `n "a", b`, toString(number) AS `s'
t`, toDateTime(number, 'Asia/Shanghai') AS at, if(number % 3, NULL, 1.5) AS half FROM numbers({rows})"""
    for rows in (200_000, 0):
        pieces = ask(server, sql.format(rows=rows), default_format=form)
        # One block is one piece; the other way is asked for by a word that may mean a tail.
        whole = ask(server, f"/* totals */ {sql.format(rows=rows)}", default_format=form, max_block_size=1_000_000)
        assert (pieces.status, whole.status) == (200, 200), pieces.body[:500]
        if form == "Native":
            continue  # its blocks need not be the same
        assert pieces.body == whole.body


def test_totals_and_extremes_are_in_the_answer(server: Server) -> None:
    sql = "SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k"
    assert ask(server, sql).body == b"0\t5\n1\t5\n\n0\t10\n"
    assert ask(server, "SELECT 1", extremes=1).body == b"1\n\n1\n1\n"


def test_an_answer_that_must_be_made_whole_has_a_bound(server: Server) -> None:
    sql = "SELECT concat(repeat('x', 1000), toString(number)) FROM numbers(400000) FORMAT JSON"
    refused = ask(server, sql)
    assert (refused.status, refused.code) == (500, 396)
    assert b"TOO_MANY_ROWS_OR_BYTES" in refused.body
    assert ask(server, "SELECT 1 FORMAT JSON", max_result_bytes=10).status == 200
    assert ask(server, "SELECT number FROM numbers(100) FORMAT JSON", max_result_bytes=10).code == 396


@pytest.mark.parametrize("how", ["plain", "gzip", "lz4", "frames"])
def test_an_error_in_the_middle_breaks_the_answer_off_and_says_why(server: Server, how: str) -> None:
    words = {"enable_http_compression": 1} if how in ("gzip", "lz4") else {"compress": 1} if how == "frames" else {}
    found = ask(server, MIDDLE, headers={"Accept-Encoding": how} if how in ("gzip", "lz4") else None, **words)
    assert (found.status, found.complete) == (200, False)
    if how == "gzip":
        plain = zlib.decompressobj(31).decompress(found.body)
    elif how == "lz4":
        plain = lz4.frame.decompress(found.body)
    else:
        plain = found.body
    tag = found.headers["x-clickhouse-exception-tag"]
    rows, _, rest = plain.partition(f"\r\n__exception__\r\n{tag}\r\nCode: 395. DB::Exception: ".encode())
    assert b"genug" in rest
    assert rest.endswith(f" {tag}\r\n__exception__\r\n".encode())
    if how == "frames":
        reader, rows = Reader(iter([rows, b""]).__next__), b""
        while True:
            try:
                reader.need(1)
            except EOFError:
                break
            rows += read_frame(reader)
    assert rows.startswith(b"0\t0\n1\t0\n")
    assert ask(server, MIDDLE, wait_end_of_query=1).code == 395


def test_frames_of_clickhouse_both_ways(server: Server) -> None:
    ask(server, "CREATE OR REPLACE TABLE framed (n UInt32) ENGINE = MergeTree ORDER BY n")
    rows = b"".join(b"%d\n" % n for n in range(300_000))
    stored = ask(server, "INSERT INTO framed FORMAT TSV", body=compress(rows), decompress=1)
    assert json.loads(stored.headers["x-clickhouse-summary"])["written_rows"] == "300000"
    found = ask(server, "SELECT n FROM framed ORDER BY n", compress=1)
    reader, plain = Reader(iter([found.body, b""]).__next__), b""
    while len(plain) < len(rows):
        plain += read_frame(reader)
    assert (plain, reader.left) == (rows, 0)
    damaged = bytearray(compress(rows))
    damaged[40] ^= 1
    assert ask(server, "INSERT INTO framed FORMAT TSV", body=bytes(damaged), decompress=1).code == 40
    assert ask(server, "SELECT count() FROM framed").body == b"300000\n"


def test_inserts_in_every_wording(server: Server) -> None:
    ask(server, "CREATE OR REPLACE TABLE worded (n UInt32, s String DEFAULT 'd') ENGINE = MergeTree ORDER BY n")
    for sql, body in (
        ("", b'INSERT INTO worded (n) FORMAT JSONEachRow {"n":1}'),
        ("", b"-- why\nINSERT INTO default.worded VALUES (2, 'it''s'), (1 + 2, upper('x'));"),
        ("INSERT INTO worded (n)", b"(4)"),
        ("INSERT INTO worded", b"SELECT 5, 'e'"),
        ("INSERT INTO worded", b" (n) FORMAT TSV\n9"),
        ("INSERT INTO {table:Identifier} FORMAT CSV", b"6,f"),
        ("INSERT INTO worded SETTINGS input_format_null_as_default = 1 FORMAT CSV", b"7,g\n"),
        ("INSERT INTO worded VALUES (8, 'h')", b""),
        ("INSERT INTO worded FORMAT TSV", b""),
    ):
        done = ask(server, sql, body=body, param_table="worded")
        assert (done.status, done.body) == (200, b""), (sql, body)
    found = ask(server, "SELECT groupArray((n, s)) FROM (SELECT * FROM worded ORDER BY n)").body.decode()
    assert found == "[(1,'d'),(2,'it\\'s'),(3,'X'),(4,'d'),(5,'e'),(6,'f'),(7,'g'),(8,'h'),(9,'d')]\n"
    assert ask(server, body=b"INSERT INTO worded").code == 62
    assert ask(server, "INSERT INTO nowhere FORMAT TSV").code == 60
    assert ask(server, "INSERT INTO worded FORMAT Nonsense", body=b"1").code == 73
    assert ask(server, "INSERT INTO worded FROM INFILE '/etc/passwd' FORMAT LineAsString").code == 344


def test_long_statements(server: Server) -> None:
    ask(server, "CREATE OR REPLACE TABLE long (n UInt32) ENGINE = MergeTree ORDER BY n")
    values = b"INSERT INTO long VALUES " + b",".join(b"(%d)" % n for n in range(1_200_000))
    assert len(values) > 10_000_000
    assert ask(server, body=values).status == 200
    assert ask(server, "SELECT count(), max(n) FROM long").body == b"1200000\t1199999\n"
    refused = ask(server, body=b"SELECT '" + b"x" * 10_000_000 + b"'")
    assert (refused.status, refused.code) == (400, 62)
    assert b"Max query size exceeded" in refused.body
    assert (
        ask(server, body=b"SELECT length('" + b"x" * 1_000_000 + b"')", max_query_size=2_000_000).body == b"1000000\n"
    )
    assert ask(server, body=b"SELECT '" + b"x" * 20_000_000 + b"'").code == 62


def test_words_that_are_no_words_are_answered(server: Server) -> None:
    for words in ({"default_format": "a\r\nB: c"}, {"default_format": "格"}, {"query_id": "a\r\nB: 广场"}):
        for sql in ("SET max_threads = 1", "SELECT 1"):
            found = ask(server, sql, **words)
            assert (found.status, found.code) in ((200, 0), (404, 73)), words
            assert "b" not in found.headers
    assert ask(server, "SELECT 1", user="\ud800".encode("utf-8", "surrogatepass"), password=b"\xff\0").code == 516
    assert ask(server, "SELECT 1", session_timezone="x\r\ny").code > 0
    assert ask(server, b"SELECT '\xff\0'").status == 200


def test_methods(server: Server) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)) as connection:
        for method, path, status, body in (
            ("HEAD", "/?query=SELECT+1", 200, b""),
            ("HEAD", "/?query=SELECT+number+FROM+numbers(3000000)", 200, b""),
            ("OPTIONS", "/", 204, b""),
            ("DELETE", "/", 405, b"Method DELETE is not served\n"),
            ("GET", "/?query=SELECT+2", 200, b"2\n"),
            ("HEAD", "/ping", 200, b""),
            ("GET", "/play", 404, b"There is no handle /play\n"),
        ):
            connection.request(method, path)
            found = answered(connection)
            assert (found.status, found.body) == (status, body), path
    assert ask(server, "SET max_threads = 1", "GET").status == 200
    for sql in ("CREATE TABLE got (n UInt8) ENGINE = Memory", "INSERT INTO got FORMAT TSV", "SYSTEM FLUSH LOGS"):
        assert ask(server, sql, "GET").code == 164, sql
        assert ask(server, sql, "GET", session_id="get").code == 164, sql
    assert ask(server, "SELECT 1 INTO OUTFILE 'x'", "GET").code == 344


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not on this machine: no certificate can be made")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"]
    subprocess.run([*command, "-subj", "/CN=localhost"], check=True, capture_output=True)
    return cert, key


def test_over_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    settings = ClickHouse(tls_cert_file=str(cert), tls_key_file=str(key))
    server = Server(tmp_path / "data", free_port(), http_port=free_port(), settings=settings).until_ready()
    context = ssl.create_default_context(cafile=cert)
    context.check_hostname = False
    look = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(1e14)%' AND query NOT LIKE '%processes%'"

    def connected() -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", server.http_port, timeout=30, context=context)

    with closing(connected()) as connection:

        def said(sql: str) -> bytes:
            connection.request("POST", "/", sql)
            return answered(connection).body

        assert len(said("SELECT number FROM numbers(300000)")) == 1_988_890
        with closing(connected()) as leaving:
            leaving.request("POST", "/", "SELECT max(number) FROM numbers(1e14)")
            until(lambda: said(look) == b"1\n")
        until(lambda: said(look) == b"0\n")
    assert server.end() == 0


def test_a_page_of_another_site_may_not_ask(server: Server) -> None:
    assert ask(server, "SELECT 1", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert ask(server, "SELECT 1", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_a_session_is_for_one_at_a_time(server: Server) -> None:
    ask(server, "CREATE TEMPORARY TABLE mine (n UInt8)", session_id="one")
    found: list[Response] = []
    slow = "SELECT sum(sleepEachRow(0.1)) FROM numbers(20) SETTINGS max_block_size = 1"
    thread = threading.Thread(target=lambda: found.append(ask(server, slow, session_id="one")))
    thread.start()
    look = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%' AND query NOT LIKE '%processes%'"
    until(lambda: ask(server, look).body == b"1\n")
    assert ask(server, "SELECT 1", session_id="one").code == 373
    thread.join()
    assert found[0].status == 200
    assert ask(server, "SELECT count() FROM mine", session_id="one", session_check=1).body == b"0\n"
    assert ask(server, "SELECT count() FROM mine", session_id="one", close_session=1).body == b"0\n"
    assert ask(server, "SELECT 1", session_id="one", session_check=1).code == 372


def test_a_session_ends_after_its_time(server: Server) -> None:
    began = time.monotonic()
    ask(server, "CREATE TEMPORARY TABLE brief (n UInt8)", session_id="brief", session_timeout=1)
    # Each look would lengthen it, so nobody looks until it must be over.
    until(lambda: time.monotonic() - began > 1.5)
    assert ask(server, "SELECT 1", session_id="brief", session_check=1).code == 372
    assert ask(server, "SELECT 1", session_id="brief", session_timeout="for ever").code == 36


def test_a_reader_over_http(server: Server) -> None:
    ask(server, "CREATE OR REPLACE TABLE kept (n UInt8) ENGINE = Memory")
    for method in ("GET", "POST"):
        assert ask(server, "SELECT count() FROM kept", method, user="analyst").body == b"0\n"
    for sql, code in (
        ("INSERT INTO kept VALUES (1)", 164),
        ("INSERT INTO kept FORMAT TSV", 164),
        ("INSERT INTO FUNCTION file('x', 'CSV', 'a UInt8') SELECT 1", 164),
        ("CREATE TABLE other (n UInt8) ENGINE = Memory", 164),
        ("SET max_threads = 1", 164),
        ("SYSTEM FLUSH LOGS", 164),
        ("SELECT * FROM file('/etc/passwd', 'LineAsString')", 497),
        ("SELECT 1 INTO OUTFILE 'x'", 344),
        ("SELECT * FROM url('http://127.0.0.1/', 'CSV')", 497),
        ("SELECT 1; SELECT 2", 62),
    ):
        for session in ({}, {"session_id": "reader"}):
            assert ask(server, sql, user="analyst", **session).code == code, sql
    for setting, value in (("max_execution_time", 1e6), ("max_memory_usage", 0), ("max_result_rows", 10**12)):
        assert ask(server, "SELECT 1", user="analyst", **{setting: value}).code == 452
    assert ask(server, "SELECT 1", user="analyst", readonly=0).body == b"1\n"
    assert ask(server, "DROP TABLE kept", user="analyst", readonly=0).code == 164
    many = "SELECT number FROM numbers(1000000) FORMAT {}"
    for form in ("JSON", "TSV"):
        assert ask(server, many.format(form), user="analyst", max_result_bytes=1000).code == 396


def test_blocks_in_the_protocols_own_form(server: Server) -> None:
    sql = "SELECT toUInt8(7) AS n WHERE {some:UInt8} FORMAT Native"
    info, custom = b"\x01\x00\x02\xff\xff\xff\xff\x00", b"\x00"
    assert ask(server, sql, param_some=1).body == b"\x01\x01\x01n\x05UInt8\x07"
    for revision, last in ((54405, b""), (54460, custom)):
        head = info + b"\x01%b\x01n\x05UInt8" + last
        assert ask(server, sql, param_some=1, client_protocol_version=revision).body == head % b"\x01" + b"\x07"
        assert ask(server, sql, param_some=0, client_protocol_version=revision).body == head % b"\x00"


def test_parquet_both_ways(server: Server) -> None:
    ask(server, "CREATE OR REPLACE TABLE columnar (n UInt64, s Nullable(String)) ENGINE = MergeTree ORDER BY n")
    rows = pa.table({"n": pa.array(range(100_000), pa.uint64()), "s": [None, "格"] * 50_000})
    out = pa.BufferOutputStream()
    pq.write_table(rows, out)
    assert ask(server, "INSERT INTO columnar FORMAT Parquet", body=out.getvalue().to_pybytes()).status == 200
    found = ask(
        server, "SELECT * FROM columnar ORDER BY n SETTINGS output_format_parquet_string_as_string = 1 FORMAT Parquet"
    )
    assert pq.read_table(pa.BufferReader(found.body)).column("s").to_pylist() == [None, "格"] * 50_000
