"""clickhouse-connect beyond questions: frames, arrays, streams, sessions."""

import datetime as dt
from collections.abc import Iterator

import clickhouse_connect
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect import dbapi
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_driver import Client as Admin

pytestmark = pytest.mark.integration


@pytest.fixture(params=["", "lz4", "zstd", "gzip"], ids=["none", "lz4", "zstd", "gzip"])
def client(request: pytest.FixtureRequest, http_port: int) -> Iterator[Client]:
    made = clickhouse_connect.get_client(
        host="127.0.0.1", port=http_port, database="clients", compress=request.param, session_id=None
    )
    yield made
    made.close()


def test_it_is_well_and_of_a_version_that_the_client_knows(client: Client) -> None:
    assert client.ping()
    assert int(client.server_version.split(".")[0]) >= 25
    assert client.command("SELECT currentDatabase()") == "clients"


def test_frames_of_pandas_come_and_go(client: Client, admin: Admin) -> None:
    sql = "SELECT number AS n, toString(number) AS word, number / 4 AS part, toDateTime(number, 'UTC') AS at, "
    frame = client.query_df(sql + "if(number % 2, NULL, number) AS half FROM numbers(100000)")
    assert (len(frame), int(frame.n.sum()), float(frame.part.max())) == (100_000, 4_999_950_000, 24_999.75)
    admin.execute("CREATE OR REPLACE TABLE clients.connect_frame (n UInt64, word String, part Float64, "
                  "at DateTime('UTC'), half Nullable(UInt64)) ENGINE = MergeTree ORDER BY n")  # fmt: skip
    assert client.insert_df("connect_frame", frame).written_rows == 100_000
    pd.testing.assert_frame_equal(client.query_df("SELECT * FROM connect_frame ORDER BY n"), frame)


def test_arrays_of_numpy(client: Client) -> None:
    found = client.query_np("SELECT toUInt32(number) AS n, toFloat32(number) AS x FROM numbers(1000)")
    assert found["n"].sum() == 499_500
    assert found["x"].dtype == np.float32


def test_arrow_comes_and_goes(client: Client, admin: Admin) -> None:
    found = client.query_arrow("SELECT number AS n, '格' AS g FROM numbers(70000)")
    assert found.num_rows == 70_000
    admin.execute("CREATE OR REPLACE TABLE clients.connect_arrow (n UInt64, g String) ENGINE = MergeTree ORDER BY n")
    rows = pa.table({"n": pa.array(range(1000), pa.uint64()), "g": ["广场"] * 1000})
    client.insert_arrow("connect_arrow", rows)
    assert admin.execute("SELECT count(), sum(n), any(g) FROM clients.connect_arrow") == [(1000, 499_500, "广场")]
    with client.query_arrow_stream("SELECT number FROM numbers(300000)") as batches:
        assert sum(batch.num_rows for batch in batches) == 300_000


def test_rows_and_blocks_stream(client: Client) -> None:
    with client.query_rows_stream("SELECT number FROM numbers(200000)") as rows:
        assert sum(number for (number,) in rows) == 19_999_900_000
    with client.query_df_stream("SELECT number AS n FROM numbers(200000)") as frames:
        assert sum(len(frame) for frame in frames) == 200_000
    assert client.query("SELECT 5").result_rows == [(5,)]


def test_a_stream_that_is_left_leaves_a_working_client(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(100000000)") as blocks:
        assert next(iter(blocks))[0] == (0,)
    assert client.query("SELECT 5").result_rows == [(5,)]


def test_inserts_by_rows_by_columns_and_of_some_columns(client: Client, admin: Admin) -> None:
    admin.execute("CREATE OR REPLACE TABLE clients.connect_rows (n UInt32, word LowCardinality(String) DEFAULT 'none', "
                  "at Nullable(DateTime64(3, 'UTC'))) ENGINE = MergeTree ORDER BY n")  # fmt: skip
    at = dt.datetime(2024, 2, 29, 12, 30, 45, 123_000, tzinfo=dt.UTC)
    assert client.insert("connect_rows", [[1, "a", at], [2, "广场", None]]).written_rows == 2
    assert client.insert("connect_rows", [[3, 4], ["c", "d"]], ["n", "word"], column_oriented=True).written_rows == 2
    assert client.insert("connect_rows", [[5]], ["n"]).written_rows == 1
    assert admin.execute("SELECT * FROM clients.connect_rows ORDER BY n") == [
        (1, "a", at), (2, "广场", None), (3, "c", None), (4, "d", None), (5, "none", None),
    ]  # fmt: skip
    with pytest.raises(ClickHouseError):
        client.insert("nowhere", [[1]], ["n"])


def test_a_raw_insert_and_a_raw_answer(client: Client, admin: Admin) -> None:
    admin.execute("CREATE OR REPLACE TABLE clients.connect_raw (n UInt32, word String) ENGINE = MergeTree ORDER BY n")
    body = '{"n":1,"word":"广场"}\n{"n":2,"word":"b"}\n'
    client.raw_insert("connect_raw", insert_block=body, fmt="JSONEachRow")
    assert client.raw_query("SELECT * FROM connect_raw ORDER BY n", fmt="JSONEachRow").decode() == body


def test_parameters_on_the_server_and_in_the_text(client: Client) -> None:
    values = {"a": "it's \\ \n'q' 广场", "n": 5, "l": ["x", "y'"], "d": dt.date(2024, 2, 29), "none": None}
    sql = "SELECT {a:String}, {n:UInt64}, {l:Array(String)}, {d:Date}, {none:Nullable(String)}"
    assert client.query(sql, parameters=values).result_rows == [tuple(values.values())]
    text = "SELECT %(a)s, %(n)s, %(l)s"
    assert client.query(text, parameters=values).result_rows == [("it's \\ \n'q' 广场", 5, ["x", "y'"])]


def test_an_error_says_code_and_name(client: Client) -> None:
    with pytest.raises(DatabaseError, match=r"(?s)60.*UNKNOWN_TABLE"):
        client.query("SELECT * FROM nowhere")
    with pytest.raises(DatabaseError, match="人太多了"):
        client.command("SELECT throwIf(1, '人太多了')")
    assert client.query("SELECT 5").result_rows == [(5,)]


def test_what_was_read_and_written_is_told(client: Client) -> None:
    summary = client.query("SELECT sum(value) FROM observations").summary
    assert int(summary["read_rows"]) == 1200


def test_a_session_keeps_its_temporary_tables(http_port: int) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=http_port, session_id="notebook 7")
    client.command("CREATE TEMPORARY TABLE mine (n UInt8)")
    client.insert("mine", [[1], [2]], ["n"], column_type_names=["UInt8"])
    assert client.query("SELECT count() FROM mine").result_rows == [(2,)]
    client.close()
    other = clickhouse_connect.get_client(host="127.0.0.1", port=http_port, session_id="notebook 8")
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        other.query("SELECT * FROM mine")
    other.close()


def test_settings_of_a_query_and_a_query_id(client: Client) -> None:
    look = "SELECT getSetting('max_block_size')"
    assert client.query(look, settings={"max_block_size": 77}).result_rows == [(77,)]
    assert client.query(look, settings={"query_id": "notebook-1"}).query_id == "notebook-1"
    with pytest.raises(ClickHouseError, match=r"(?i)setting"):
        client.query(look, settings={"no_such_setting": 1})


def test_the_interface_of_databases_in_python(http_port: int) -> None:
    connection = dbapi.connect(host="127.0.0.1", port=http_port, database="clients")
    cursor = connection.cursor()
    cursor.execute("SELECT id, day FROM types WHERE id < %(below)s ORDER BY id", {"below": 3})
    assert cursor.fetchall() == [(1, dt.date(2024, 2, 29)), (2, dt.date(1970, 1, 1))]
    connection.close()
