"""The HTTP interface as ``curl`` and every program that speaks plain HTTP meet it."""

import gzip
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pyarrow as pa
import pytest
from clickhouse_driver import Client

from tests.clients.asked_curl import Curl, curl_at, failed

pytestmark = pytest.mark.integration
MIDDLE = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_threads = 1"


@pytest.fixture
def curl(http_port: int, tmp_path: Path) -> Curl:
    if not shutil.which("curl"):
        pytest.skip("no curl on PATH")
    return curl_at(http_port, tmp_path)


@pytest.fixture
def table(admin: Client) -> str:
    admin.execute("CREATE OR REPLACE TABLE clients.http (n UInt32, word String) ENGINE = MergeTree ORDER BY n")
    return "clients.http"


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_those_who_watch_are_told_that_all_is_well(curl: Curl, path: str) -> None:
    response = curl(path=path)
    assert (response.status, response.text) == (200, "Ok.\n")


def test_a_path_that_is_none(curl: Curl) -> None:
    assert curl(path="/nowhere").status == 404


def test_a_query_in_the_address_or_in_the_body_or_in_both(curl: Curl) -> None:
    assert curl(query="SELECT 1").text == "1\n"
    assert curl(data=b"SELECT 2").text == "2\n"
    assert curl(query="SELECT", data=b" 3").text == "3\n"
    assert curl("--header", "Transfer-Encoding: chunked", data=b"SELECT 4").text == "4\n"
    assert curl(query="SELECT '广场'").text == "广场\n"
    assert curl(query="SELECT 5;").text == "5\n"


def test_an_answer_has_its_headers(curl: Curl) -> None:
    response = curl(query="SELECT count() FROM numbers(1000)", query_id="my own")
    assert response.headers["x-clickhouse-query-id"] == "my own"
    assert response.headers["x-clickhouse-format"] == "TabSeparated"
    assert response.headers["content-type"] == "text/tab-separated-values; charset=UTF-8"
    assert response.headers["x-clickhouse-timezone"]
    assert response.summary["read_rows"] >= 1
    given = [curl(query="SELECT 1").headers["x-clickhouse-query-id"] for _ in range(2)]
    assert given[0] != given[1]
    assert all(given)


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("JSONEachRow", "application/x-ndjson", '{"a":1,"b":"x"}\n'),
        ("CSV", "text/csv", '1,"x"\n'),
        ("CSVWithNames", "text/csv", '"a","b"\n1,"x"\n'),
        ("TabSeparatedWithNamesAndTypes", "text/tab-separated-values", "a\tb\nUInt8\tString\n1\tx\n"),
        ("JSONCompactEachRow", "application/", '[1, "x"]\n'),
        ("Values", "text/plain", "(1,'x')"),
    ],
)
def test_formats_by_clause_by_default_and_by_header(curl: Curl, name: str, kind: str, text: str) -> None:
    sql = "SELECT 1 AS a, 'x' AS b"
    for response in (
        curl(query=f"{sql} FORMAT {name}"),
        curl(query=sql, default_format=name),
        curl("--header", f"X-ClickHouse-Format: {name}", query=sql),
        curl(query=f"{sql} FORMAT {name}", default_format="TSV"),
    ):
        assert (response.status, response.text, response.headers["x-clickhouse-format"]) == (200, text, name)
        assert response.headers["content-type"].startswith(kind)


def test_a_large_json_is_one_document(curl: Curl) -> None:
    sql = "SELECT number, toString(number) AS s FROM numbers(200000)"
    found = json.loads(curl(query=sql, default_format="JSON").body)
    assert (found["rows"], len(found["data"]), found["data"][-1]["s"]) == (200_000, 200_000, "199999")
    assert found["meta"] == [{"name": "number", "type": "UInt64"}, {"name": "s", "type": "String"}]
    assert len(curl(query=sql, default_format="CSVWithNames").text.splitlines()) == 200_001


@pytest.mark.parametrize("name", ["Parquet", "Arrow", "ArrowStream"])
def test_frames_for_other_programs(curl: Curl, tmp_path: Path, name: str) -> None:
    body = curl(query=f"SELECT number AS n, '格' AS g FROM numbers(200000) FORMAT {name}").body
    if name == "Parquet":
        import pyarrow.parquet as pq

        found = pq.read_table(pa.BufferReader(body))
    else:
        found = (pa.ipc.open_file if name == "Arrow" else pa.ipc.open_stream)(pa.BufferReader(body)).read_all()
    assert found.column("n").to_pylist() == list(range(200_000))


def test_no_rows_in_every_format(curl: Curl) -> None:
    sql = "SELECT 1 AS a WHERE 0"
    assert curl(query=sql).text == ""
    assert curl(query=sql, default_format="CSVWithNames").text == '"a"\n'
    assert json.loads(curl(query=sql, default_format="JSON").body)["data"] == []


def test_statements_without_an_answer(curl: Curl) -> None:
    response = curl(data=b"CREATE OR REPLACE TABLE clients.made (n UInt8) ENGINE = Memory")
    assert (response.status, response.text) == (200, "")
    assert curl(data=b"EXISTS TABLE clients.made").text == "1\n"
    assert curl(data=b"DROP TABLE clients.made").status == 200
    assert (
        curl(data=b"SHOW TABLES FROM clients LIKE 'type%'", default_format="JSONEachRow").text == '{"name":"types"}\n'
    )


def test_get_may_not_write(curl: Curl, table: str) -> None:
    failed(curl(query=f"INSERT INTO {table} VALUES (1, 'x')"), 164, "READONLY")
    failed(curl(query=f"DROP TABLE {table}"), 164, "READONLY")
    assert curl("--get", query="SELECT 1").text == "1\n"


def test_parameters(curl: Curl) -> None:
    sql = "SELECT {text:String}, {n:UInt8} + 1, {list:Array(String)}, {day:Date}, {none:Nullable(String)}"
    words = {"text": "it's 广场 \\\\ \\n", "n": 41, "list": "['a','b']", "day": "2024-02-29", "none": "\\N"}
    response = curl(query=f"{sql} FORMAT JSONCompactEachRow", **{f"param_{name}": word for name, word in words.items()})
    assert json.loads(response.body) == ["it's 广场 \\ \n", 42, ["a", "b"], "2024-02-29", None]
    failed(curl(query="SELECT {n:UInt8}", param_n="x"), 457, "BAD_QUERY_PARAMETER")
    failed(curl(query="SELECT {n:UInt8}"), 456, "UNKNOWN_QUERY_PARAMETER")


def test_the_database_by_word_and_by_header(curl: Curl) -> None:
    assert curl(query="SELECT count() FROM types", database="clients").text == "4\n"
    assert curl("--header", "X-ClickHouse-Database: clients", query="SELECT currentDatabase()").text == "clients\n"
    assert curl(query="SELECT currentDatabase()").text == "default\n"
    failed(curl(query="SELECT 1", database="nowhere"), 81, "UNKNOWN_DATABASE")


def test_settings_hold_for_one_request(curl: Curl) -> None:
    look = "SELECT getSetting('max_block_size')"
    default = curl(query=look).text
    assert curl(query=look, max_block_size=77).text == "77\n"
    assert curl(query=look).text == default
    assert curl(query="SELECT toDateTime(0)", session_timezone="Asia/Shanghai").text == "1970-01-01 08:00:00\n"
    failed(curl(query=look, no_such_setting=1), 115, "UNKNOWN_SETTING")
    failed(curl(query="SELECT number FROM numbers(100)", max_result_rows=5), 396, "TOO_MANY_ROWS_OR_BYTES")


@pytest.mark.parametrize(
    ("sql", "status", "code", "word"),
    [
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT nothing", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT * FROM clients.nowhere", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT throwIf(1, '太多了')", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
    ],
)
def test_errors(curl: Curl, sql: str, status: int, code: int, word: str) -> None:
    response = curl(data=sql.encode())
    failed(response, code, word)
    assert response.status == status


def test_an_error_in_the_middle_of_an_answer_can_not_be_taken_for_its_end(curl: Curl) -> None:
    response = curl(query=MIDDLE)
    assert response.status in (200, 500)
    assert b"FUNCTION_THROW_IF_VALUE_IS_NON_ZERO" in response.body[-2000:] or not response.complete
    if response.status == 200:
        assert len(response.body) > 1_000_000, "it was on its way already"
        assert not response.complete or b"__exception__" in response.body[-2000:]
    waited = curl(query=MIDDLE, wait_end_of_query=1)
    failed(waited, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("JSONEachRow", '{"n":1,"word":"广场"}\n{"n":2,"word":""}\n'),
        ("TSV", "1\t广场\n2\t\n"),
        ("CSV", "1,广场\n2,\n"),
        ("VALUES", "(1, '广场'), (2, '')"),
        ("JSONCompactEachRow", '[1,"广场"]\n[2,""]\n'),
    ],
)
def test_an_insert_has_its_rows_in_the_body(curl: Curl, table: str, admin: Client, name: str, body: str) -> None:
    form = name if name == "VALUES" else f"FORMAT {name}"
    response = curl(query=f"INSERT INTO {table} {form}", data=body.encode())
    assert (response.status, response.text) == (200, "")
    assert response.summary["written_rows"] == 2
    both = curl(data=f"INSERT INTO {table} {form}\n{body}".encode())
    assert both.status == 200, both.text
    assert admin.execute(f"SELECT * FROM {table} ORDER BY n") == [(1, "广场"), (1, "广场"), (2, ""), (2, "")]


def test_an_insert_that_is_wrong_stores_nothing(curl: Curl, table: str, admin: Client) -> None:
    response = curl(query=f"INSERT INTO {table} FORMAT JSONEachRow", data=b'{"n":1}\n{"n":"x"}\n')
    assert response.status == 400
    assert int(response.headers["x-clickhouse-exception-code"]) > 0
    assert admin.execute(f"SELECT count() FROM {table}") == [(0,)]
    failed(curl(query="INSERT INTO clients.nowhere FORMAT TSV", data=b"1\n"), 60, "UNKNOWN_TABLE")


def test_an_insert_from_a_select_and_a_large_one(curl: Curl, table: str, admin: Client) -> None:
    response = curl(data=f"INSERT INTO {table} SELECT number, 'x' FROM numbers(10)".encode())
    assert (response.status, response.summary["written_rows"]) == (200, 10)
    rows = "".join(f"{n}\tword {n}\n" for n in range(200_000)).encode()
    assert curl(query=f"INSERT INTO {table} FORMAT TSV", data=rows).summary["written_rows"] == 200_000
    assert admin.execute(f"SELECT count(), max(n) FROM {table}") == [(200_010, 199_999)]


def test_a_body_in_arrow_or_parquet(curl: Curl, table: str, admin: Client) -> None:
    import pyarrow.parquet as pq

    rows = pa.table({"n": pa.array([1, 2], pa.uint32()), "word": ["a", "广场"]})
    out = pa.BufferOutputStream()
    pq.write_table(rows, out)
    assert curl(query=f"INSERT INTO {table} FORMAT Parquet", data=out.getvalue().to_pybytes()).status == 200
    assert admin.execute(f"SELECT * FROM {table} ORDER BY n") == [(1, "a"), (2, "广场")]


def packed(kind: str, data: bytes) -> bytes:
    return gzip.compress(data) if kind == "gzip" else pa.Codec(kind).compress(data).to_pybytes()


def unpacked(kind: str, data: bytes) -> bytes:
    if kind == "gzip":
        return gzip.decompress(data)
    return pa.CompressedInputStream(pa.BufferReader(data), kind).read()


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_compressed_both_ways(curl: Curl, table: str, admin: Client, kind: str) -> None:
    body = packed(kind, b"1\ta\n2\tb\n")
    response = curl("--header", f"Content-Encoding: {kind}", query=f"INSERT INTO {table} FORMAT TSV", data=body)
    assert response.status == 200, response.text
    assert admin.execute(f"SELECT count() FROM {table}") == [(2,)]
    sql = "SELECT number FROM numbers(300000)"
    answer = curl("--header", f"Accept-Encoding: {kind}", query=sql, enable_http_compression=1)
    assert answer.headers["content-encoding"] == kind
    plain = unpacked(kind, answer.body)
    assert plain == curl(query=sql).body
    assert len(answer.body) < len(plain) / 2
    plain_error = curl("--header", f"Accept-Encoding: {kind}", query="SELECT nothing", enable_http_compression=1)
    text = plain_error.body
    if "content-encoding" in plain_error.headers:
        text = unpacked(kind, text)
    assert b"UNKNOWN_IDENTIFIER" in text


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_body_of_several_compressed_parts_is_read_to_its_end(
    curl: Curl, table: str, admin: Client, kind: str
) -> None:
    """As clients that compress what they send piece by piece do it."""
    body = b"".join(packed(kind, f"{n}\tx\n".encode()) for n in range(10))
    assert (
        curl("--header", f"Content-Encoding: {kind}", query=f"INSERT INTO {table} FORMAT TSV", data=body).status == 200
    )
    assert admin.execute(f"SELECT count() FROM {table}") == [(10,)]


def test_a_body_that_is_not_what_it_claims(curl: Curl, table: str) -> None:
    response = curl("--header", "Content-Encoding: gzip", query=f"INSERT INTO {table} FORMAT TSV", data=b"1\ta\n")
    assert response.status >= 400
    assert curl(query="SELECT 1").text == "1\n"


def test_sessions(curl: Curl) -> None:
    curl(data=b"CREATE TEMPORARY TABLE mine (n UInt8)", session_id="s1")
    assert curl(data=b"INSERT INTO mine VALUES (1), (2)", session_id="s1").status == 200
    curl(data=b"SET max_block_size = 55", session_id="s1")
    assert curl(data=b"SELECT count(), getSetting('max_block_size') FROM mine", session_id="s1").text == "2\t55\n"
    failed(curl(data=b"SELECT * FROM mine", session_id="s2"), 60, "UNKNOWN_TABLE")
    failed(curl(data=b"SELECT * FROM mine"), 60, "UNKNOWN_TABLE")
    failed(curl(query="SELECT 1", session_id="none such", session_check=1), 372, "SESSION_NOT_FOUND")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_large_answer_streams_and_ends_when_its_reader_leaves(http_port: int, curl: Curl, admin: Client) -> None:
    url = f"http://127.0.0.1:{http_port}/?{urlencode({'query': 'SELECT number FROM numbers(1e12)'})}"
    look = (
        "SELECT count() FROM system.processes WHERE query LIKE '%%numbers(1e12)%%' AND query NOT LIKE '%%processes%%'"
    )
    with subprocess.Popen(["curl", "--silent", "--no-buffer", url], stdout=subprocess.PIPE) as reader:
        assert reader.stdout.read(1_000_000).startswith(b"0\n1\n2\n")
        assert admin.execute(look) == [(1,)]
        reader.kill()
    until(lambda: admin.execute(look) == [(0,)])


def test_a_query_without_an_answer_yet_ends_when_its_reader_leaves(http_port: int, curl: Curl, admin: Client) -> None:
    url = f"http://127.0.0.1:{http_port}/?{urlencode({'query': 'SELECT max(number) FROM numbers(1e14)'})}"
    look = (
        "SELECT count() FROM system.processes WHERE query LIKE '%%numbers(1e14)%%' AND query NOT LIKE '%%processes%%'"
    )
    with subprocess.Popen(["curl", "--silent", url], stdout=subprocess.PIPE) as reader:
        until(lambda: admin.execute(look) == [(1,)])
        reader.kill()
    until(lambda: admin.execute(look) == [(0,)])


def test_a_connection_serves_several_requests(http_port: int, curl: Curl) -> None:
    url = f"http://127.0.0.1:{http_port}/?{urlencode({'query': 'SELECT 7'})}"
    error = f"http://127.0.0.1:{http_port}/?{urlencode({'query': 'SELECT nothing'})}"
    show = ["--write-out", "%{num_connects}|"]
    done = subprocess.run(["curl", "--silent", *show, url, error, url], capture_output=True, text=True, timeout=60)
    said = done.stdout.replace("\n", "")
    assert said.startswith("71|Code: 47.")
    assert said.endswith("|70|"), "the second and third use the connection of the first"
