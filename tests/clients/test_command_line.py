"""``clickhouse-client`` as a distribution ships it: of 2018, with revision 54412 of the protocol.

Newer ones are in no package registry. What speaks the newest revisions is tested by the other clients.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from clickhouse_driver import Client

from tests.clients.asked_programs import alone
from tests.servers import Server

pytestmark = pytest.mark.integration
PROGRAM = Path("usr/bin/clickhouse-client")
Run = Callable[..., tuple[int, str, str]]


def fetched() -> Path:
    """Return a folder with the client and its libraries, unpacked into the cache once; skips where there is none."""
    with alone("clickhouse-client") as kept:
        folder, parts = kept / "root", kept / "parts"
        if (folder / PROGRAM).is_file():
            return folder
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            pytest.skip("no apt-get: clickhouse-client can't be had")
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        plan = subprocess.run(
            ["apt-get", "install", "--simulate", "--no-install-recommends", "clickhouse-client"],
            capture_output=True,
            text=True,
        )
        names = re.findall(r"^Inst (\S+)", plan.stdout, re.MULTILINE)
        if "clickhouse-client" not in names:
            pytest.skip("clickhouse-client is in no package list (apt-get update), or installed otherwise")
        done = subprocess.run(["apt-get", "download", *names], cwd=parts, capture_output=True, text=True, timeout=100)
        if done.returncode:
            pytest.skip(f"clickhouse-client can't be fetched: {done.stderr.strip()[-200:]}")
        for package in parts.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, parts / "root"], check=True)
        shutil.rmtree(folder, ignore_errors=True)
        (parts / "root").rename(folder)
        shutil.rmtree(parts)
        return folder


@pytest.fixture(scope="module")
def run(server: Server) -> Run:
    """Runs the client; gives its exit code, its output and its errors."""
    folder = fetched()
    libraries = [str(path) for start in ("usr/lib", "lib") for path in (folder / start).glob("*-linux-gnu")]
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(libraries), "TZ": "UTC"}

    def ran(*options: str, data: str | None = None) -> tuple[int, str, str]:
        command = [str(folder / PROGRAM), "--host", "127.0.0.1", "--port", str(server.port), *options]
        stdin = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, **stdin)
        return done.returncode, done.stdout, done.stderr

    return ran


def test_a_query(run: Run) -> None:
    assert run("--query", "SELECT 1, '广场'") == (0, "1\t广场\n", "")
    assert run("--compression", "0", "--query", "SELECT 1") == (0, "1\n", "")
    assert run("--multiquery", "--query", "SELECT 1; SELECT 2") == (0, "1\n2\n", "")
    assert run("--database", "clients", "--query", "SHOW TABLES LIKE 'type%'") == (0, "types\n", "")


def test_formats_are_the_clients(run: Run) -> None:
    assert run("--query", "SELECT 1 AS a FORMAT JSONEachRow") == (0, '{"a":1}\n', "")
    assert run("--format", "CSVWithNames", "--query", "SELECT 1 AS a, 'b' AS b") == (0, '"a","b"\n1,"b"\n', "")


def test_the_types_of_its_time(run: Run) -> None:
    names = (
        "id, text, fixed, word, word_or_null, u64, i64, f64_or_null, d32, d64, d128, day, at_shanghai, uuid, level, "
    )
    names += "tags, grid, gaps, pairs, pair"
    code, out, _ = run("--query", f"SELECT {names} FROM clients.types WHERE id IN (1, 4) ORDER BY id")
    assert (code, out) == (
        0,
        "1\t人民广场 station\t日x\tcrowd\tmetro\t7000000000\t-7000000000\t-2.25\t12.34\t-12.3456\t"
        "1234567890.0123456789\t2024-02-29\t2024-02-29 20:30:45\t61f0c404-5cb3-11e7-907b-a6006ad3dba0\tblue\t"
        "['a','广场','']\t[[1,2.5],[],[-3]]\t[1,NULL,-3]\t[('a',1),('b',2)]\t('p',9)\n"
        "4\t0\t0000\tevents\t\\N\t1\t1\t\\N\t0.00\t0.0000\t0.0000000000\t2000-01-01\t2000-01-01 00:00:00\t"
        "61f0c404-5cb3-11e7-907b-a6006ad3dba1\tnone\t[]\t[]\t[]\t[]\t('n',1)\n",
    )


def test_a_million_rows(run: Run) -> None:
    code, out, _ = run("--query", "SELECT number FROM numbers(1000000)")
    assert code == 0
    assert sum(map(int, out.split())) == 499_999_500_000


def test_inserts(run: Run, admin: Client) -> None:
    assert run("--query", "CREATE TABLE clients.old (n UInt32, w String) ENGINE = Memory")[0] == 0
    rows = "".join(f"{n}\t广场\n" for n in range(100_000))
    assert run("--query", "INSERT INTO clients.old FORMAT TSV", data=rows) == (0, "", "")
    assert run("--query", "INSERT INTO clients.old VALUES (1, 'x'), (2, 'y')") == (0, "", "")
    assert admin.execute("SELECT count(), uniqExact(w) FROM clients.old") == [(100_002, 3)]
    assert run("--query", "DROP TABLE clients.old") == (0, "", "")


def test_a_table_that_comes_with_a_query(run: Run) -> None:
    options = ["--external", "--file=-", "--name=cells", "--structure=cell String"]
    sql = "SELECT count() FROM clients.observations WHERE grid_id IN cells"
    assert run("--query", sql, *options, data="格1\n格2\n") == (0, "800\n", "")


def test_errors(run: Run) -> None:
    code, _, said = run("--query", "SELECT nothing")
    assert code == 47
    assert "UNKNOWN_IDENTIFIER" in said
    code, _, said = run("--max_block_size", "7", "--query", "SELECT 1")
    assert code == 99
    assert "so old a client can't send settings" in said
