"""Users and what they may do, over HTTP."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridbeacon.config import Account, ClickHouse
from sinks.embedded.accounts import hash_password
from tests.clients.asked_curl import curl_at, failed
from tests.servers import Server, free_port

pytestmark = pytest.mark.integration
ACCOUNTS = (
    Account(name="writer", role="writer", password_hash=hash_password("w:ö")),
    Account(name="analyst", password_hash=hash_password("a")),
)


@pytest.fixture(scope="module")
def guarded(http_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not shutil.which("curl"):
        pytest.skip("no curl on PATH")
    data = tmp_path_factory.mktemp("guarded") / "data"
    running = Server(data, free_port(), free_port(), ClickHouse(accounts=ACCOUNTS)).until_ready()
    yield running
    assert running.end() == 0


def test_names_and_passwords_come_in_three_ways(guarded: Server, tmp_path: Path) -> None:
    curl = curl_at(guarded.http_port, tmp_path)
    for name, password in (("writer", "w:ö"), ("analyst", "a")):
        keys = ["--header", f"X-ClickHouse-User: {name}", "--header", f"X-ClickHouse-Key: {password}"]
        assert curl("--user", f"{name}:{password}", query="SELECT currentUser()").status == 200
        assert curl(*keys, query="SELECT 1").text == "1\n"
        assert curl(query="SELECT 1", user=name, password=password).text == "1\n"
    for options, words in (
        (["--user", "writer:x"], {}),
        (["--user", "nobody:a"], {}),
        (["--header", "X-ClickHouse-User: analyst", "--header", "X-ClickHouse-Key: b"], {}),
        ([], {"user": "analyst", "password": "b"}),
        (["--header", "Authorization: Basic !!!"], {}),
        ([], {}),
    ):
        response = curl(*options, query="SELECT 1", **words)
        assert response.status in (401, 403), response
        assert response.headers["x-clickhouse-exception-code"] in ("516", "194"), response
        assert response.text != "1\n"
    assert curl(path="/ping").text == "Ok.\n", "whether it is well is no secret"


def test_a_reader_may_not_write_over_http(guarded: Server, tmp_path: Path) -> None:
    curl = curl_at(guarded.http_port, tmp_path)
    assert curl("--user", "writer:w:ö", data=b"CREATE TABLE t (n UInt8) ENGINE = Memory").status == 200
    failed(curl("--user", "analyst:a", data=b"INSERT INTO t VALUES (1)"), 164, "READONLY")
    failed(curl("--user", "analyst:a", data=b"DROP TABLE t"), 164, "READONLY")
    failed(curl("--user", "analyst:a", query="INSERT INTO t FORMAT TSV", data=b"1\n"), 164, "READONLY")
    assert curl("--user", "analyst:a", data=b"SELECT count() FROM t").text == "0\n"
    assert curl("--user", "analyst:a", data=b"SELECT * FROM file('/etc/passwd', 'LineAsString')").status >= 400
