"""``gridbeacon sql`` and ``gridbeacon fixture city`` as people use them, the prompt at a terminal included."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from tests import commands
from tests.servers import ROOT, Server, free_port

pytestmark = pytest.mark.integration
SMALL = ("--days", "3", "--sensors", "12", "--events-per-day", "20", "--incidents-per-day", "2")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose configuration reaches a running database that holds a small city."""
    folder = tmp_path_factory.mktemp("sql")
    server = Server(folder / "clickhouse", free_port()).until_ready()
    try:
        (folder / "data").mkdir()
        text = f"timezone: Asia/Shanghai\ndata_dir: {folder / 'data'}\nclickhouse:\n  port: {server.port}\n"
        (folder / "gridbeacon.yaml").write_text(text, encoding="utf-8")
        made = gridbeacon(folder, "fixture", "city", *SMALL, "--truth", "truth.jsonl")
        assert made.returncode == 0, made.stderr
        yield folder
    finally:
        server.end()


def gridbeacon(folder: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return commands.gridbeacon(*words, cwd=folder, stdin=stdin)


def ask(folder: Path, *words: str, stdin: str = "") -> str:
    done = gridbeacon(folder, "sql", *words, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_an_answer_in_every_form(house: Path) -> None:
    question = "SELECT source, grid_id, interval_secs FROM sensors FINAL WHERE kind = 'crowd' ORDER BY source LIMIT 2"
    assert ask(house, question) == (
        "source     grid_id          interval_secs\n"
        "CAM-00000  310101001001001  300.0\n"
        "CAM-00001  310104001001001  300.0\n"
    )
    rows = list(csv.DictReader(io.StringIO(ask(house, "--format", "csv", question))))
    assert rows[0] == {"source": "CAM-00000", "grid_id": "310101001001001", "interval_secs": "300.0"}
    lines = [json.loads(line) for line in ask(house, "-", "--format", "json", stdin=question).splitlines()]
    assert [line["source"] for line in lines] == ["CAM-00000", "CAM-00001"]
    done = gridbeacon(house, "sql", "SELECT * FROM observations", "--format", "parquet", "--out", "all.parquet")
    found = parquet.read_table(house / "all.parquet")
    assert done.stderr == f"{found.num_rows:,} rows in all.parquet\n"
    assert ask(house, "SELECT count() FROM observations", "--format", "csv").split() == ["count()", str(found.num_rows)]
    assert ask(house, "SELECT 1 WHERE 0", "--format", "csv") == "1\n"


def test_mistakes_are_one_sentence(house: Path) -> None:
    for words, code, text in (
        (("SELEC 1",), 1, "answered 62"),
        (("DROP TABLE alerts", "--user", "analyst"), 1, "answered 164"),
        (("SELECT 1", "--user", "nobody"), 3, "refuses user 'nobody'"),
        (("SELECT 1", "--format", "xml"), 2, "give one of table, csv, json, parquet"),
        (("SELECT 1", "--format", "parquet"), 2, "--out"),
        (("  ",), 2, "there is no SQL"),
        (("SELECT 1", "--out", "no/such/file"), 2, "can't be written"),
    ):
        done = gridbeacon(house, "sql", *words)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_the_notebook_is_one_and_is_never_overwritten(house: Path) -> None:
    assert "is ready" in ask(house, "--notebook", "city.ipynb")
    book = json.loads((house / "city.ipynb").read_text("utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    for cell in book["cells"]:
        assert cell["cell_type"] in ("code", "markdown")
        if cell["cell_type"] == "code":
            compile(cell["source"], cell["id"], "exec")
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    sources = [cell["source"] for cell in book["cells"] if cell["cell_type"] == "code"]
    code = "\n".join([*(source for source in sources if "pivot" not in source), "print(len(answer))"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = gridbeacon(house, "sql", "--notebook", "city.ipynb")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_the_prompt_at_a_terminal(house: Path) -> None:
    """Help, completion by Tab, a statement over two lines, a mistake, an endless question given up, and the end."""
    ours, theirs = pty.openpty()
    env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gridbeacon", "sql"],
        cwd=house, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    seen = ""

    def until(text: str, secs: float = 20) -> None:
        nonlocal seen
        deadline = time.monotonic() + secs
        while text not in seen:
            assert time.monotonic() < deadline, seen
            seen += os.read(ours, 65536).decode("utf-8", "replace")
        seen = seen.partition(text)[2]

    def type_in(text: str) -> None:
        os.write(ours, text.encode())

    try:
        until("gridbeacon> ")
        type_in("help\r")
        until("Ctrl-C gives up")
        until("gridbeacon> ")
        type_in("tables\r")
        until("lead_time")
        until("gridbeacon> ")
        type_in("SELECT 40 + 2\rAS answer;\r")
        until("42")
        until("1 rows")
        until("gridbeacon> ")
        type_in("SELEC 1;\r")
        until("answered 62")
        until("gridbeacon> ")
        type_in("SELECT count() FROM numbers(1e13) WHERE number % 7 = 3;\r")
        look = "SELECT count() FROM system.processes WHERE query LIKE '%1e13%' AND query NOT LIKE '%processes%'"
        deadline = time.monotonic() + 20
        while ask(house, look, "--format", "csv").split()[-1] != "1":
            assert time.monotonic() < deadline, "the question does not begin"
        type_in("\x03")
        until("given up")
        until("gridbeacon> ")
        type_in("SELECT 5 AS five;\r")
        until("five")
        until("gridbeacon> ")
        type_in("exit\r")
        assert process.wait(20) == 0
        assert "SELECT 40 + 2" in (house / "data" / "sql_history").read_text("utf-8")
    finally:
        process.kill()
        os.close(ours)


def test_the_city_is_the_same_every_time_and_is_never_there_twice(house: Path, tmp_path: Path) -> None:
    count = (
        "SELECT (SELECT count() FROM observations FINAL), (SELECT sum(n) FROM observations_15m), count() "
        "FROM alerts FINAL"
    )
    before = ask(house, count)
    again = gridbeacon(house, "fixture", "city", *SMALL)
    assert again.returncode == 0
    assert ask(house, count) == before
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        done = gridbeacon(house, "fixture", "city", *SMALL, "--out", str(folder))
        assert done.returncode == 0, done.stderr
    for file in sorted(folders[0].iterdir()):
        assert parquet.read_table(file).equals(parquet.read_table(folders[1] / file.name))
    tables = {file.name.rpartition("-")[0] for file in folders[0].iterdir()}
    assert tables >= {"observations", "grid_events", "alerts", "alert_events", "notices", "deliveries", "forecasts"}


def test_the_truth_is_in_the_city(house: Path) -> None:
    incidents = [json.loads(line) for line in (house / "truth.jsonl").read_text("utf-8").splitlines()]
    assert incidents
    for one in incidents:
        sql = (
            "SELECT max(value) FROM observations WHERE metric = 'density_max_per_m2' "
            f"AND grid_id = '{one['cell']}' AND observed_at BETWEEN fromUnixTimestamp64Milli({one['start_ms']}) "
            f"AND fromUnixTimestamp64Milli({one['end_ms']})"
        )
        (highest,) = ask(house, sql, "--format", "csv").split()[1:]
        assert float(highest) >= one["peak_per_m2"] - 0.02
