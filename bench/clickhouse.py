"""The embedded ClickHouse beside chDB itself: inserts, the cookbook's questions, memory.

    python -m bench.clickhouse inserts
    python -m bench.clickhouse queries --data DIR [--runs 20]

``inserts`` makes its own tables. ``queries`` asks every question of ``docs/sql.md`` of the tables in DIR/clickhouse,
through the endpoint and then of chDB without it. To fill them, beside ``gridbeacon clickhouse serve --data
DIR/clickhouse``, which must have ended when the questions are asked:

    gridbeacon fixture city --days 365 --sensors 640 --events-per-day 27400 --incidents-per-day 275
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from clickhouse_driver import Client

from bench.disturbed import Database
from bench.engine import ROOT, wait_for
from gridbeacon.config import ClickHouse, Config
from sinks.migrate import migrate
from streams.embedded.ports import accepts, free_pair

BATCH, BATCHES, SINGLE = 50_000, 10, 200
DATABASE = "gridbeacon"
MOST_SECS = 20.0
"""A question is asked no more once it has taken so long in all."""
START_MS = 1_700_000_000_000


class Timed(NamedTuple):
    """A question and the seconds of each time that it was asked."""

    title: str
    through: list[float]
    direct: list[float]


def observations(number: int) -> dict[str, list[Any]]:
    """Return one batch of rows of ``observations`` as columns: 2,000 cameras, ten seconds apart."""
    dice = np.random.default_rng(number)
    at = np.arange(number * BATCH, (number + 1) * BATCH)
    value = np.round(dice.gamma(2.0, 0.5, BATCH), 2)
    same = {"kind": "crowd", "metric": "density_per_m2", "reason": "within_expected", "topic": "crowd.metrics"}
    return {
        **{name: [text] * BATCH for name, text in same.items()},
        "observed_at": (START_MS + at // 2000 * 10_000).tolist(),
        "source": [f"CAM-{n:05d}" for n in (at % 2000).tolist()],
        "grid_id": [f"3101010010{n:05d}" for n in (at % 500).tolist()],
        "value": value.tolist(),
        "expected": np.round(value * 0.9, 3).tolist(),
        "lower": np.round(value * 0.5, 3).tolist(),
        "upper": np.round(value * 1.5, 3).tolist(),
        "score": np.round(dice.random(BATCH), 3).tolist(),
        "state": [1] * BATCH,
        "level": [0] * BATCH,
        "direction": [0] * BATCH,
        "confidence": [1.0] * BATCH,
        "history": [5000] * BATCH,
        "partition": (at % 4).tolist(),
        "offset": at.tolist(),
        "item": [0] * BATCH,
    }


@contextmanager
def endpoint(folder: Path) -> Iterator[tuple[Database, int]]:
    """Run the endpoint over the tables in ``folder``/clickhouse."""
    port = free_pair()
    database = Database(folder, port).start()
    try:
        wait_for(lambda: accepts(port), 60, "the embedded ClickHouse")
        yield database, port
    finally:
        database.stop()


def memory_mb(database: Database) -> float:
    """Return the resident memory of the endpoint's process."""
    process: Any = database.process
    return float(psutil.Process(process.pid).memory_info().rss) / 2**20


def inserts() -> None:
    """Print rows a second: batches through the endpoint, the same to chDB directly, and row by row."""
    with tempfile.TemporaryDirectory(prefix="gridbeacon-clickhouse-") as name:
        folder = Path(name)
        with endpoint(folder) as (database, port):
            migrate(Config(clickhouse=ClickHouse(port=port)))
            idle = memory_mb(database)
            batches = [observations(n) for n in range(BATCHES)]
            sql = f"INSERT INTO observations ({', '.join(batches[0])}) VALUES"
            found = {}
            for title, compression in (("endpoint, plain", False), ("endpoint, LZ4", "lz4")):
                with Client("127.0.0.1", port, database=DATABASE, compression=compression) as client:
                    rate = _rate(BATCHES * BATCH, lambda c=client: _insert_all(c, sql, batches))
                found[title] = rate
            with Client("127.0.0.1", port, database=DATABASE) as client:
                rows = [tuple(column[n] for column in batches[0].values()) for n in range(SINGLE)]
                found["endpoint, a row an insert"] = _rate(SINGLE, lambda: [client.execute(sql, [row]) for row in rows])
                client.execute("CREATE TABLE same AS observations")
            peak = memory_mb(database)
        exports, stores = _direct_work(", ".join(batches[0]), folder)
        times = direct(folder, [*exports, *stores])[len(exports) :]
        found["chDB itself, Native files"] = BATCHES * BATCH / sum(one["secs"][0] for one in times)
    print("| way | rows/s |\n| --- | --- |")
    for way, rate in found.items():
        print(f"| {way} | {rate:,.0f} |")
    print(f"memory of the endpoint: {idle:.0f} MB idle, {peak:.0f} MB after {2 * BATCHES * BATCH:,} rows")


def _direct_work(names: str, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the statements that write the stored batches to files, and those that insert the files again."""
    once = {"runs": 1, "most_secs": 60.0, "database": DATABASE}
    files = [f"{folder}/batch{number}.native" for number in range(BATCHES)]
    exports = [
        f"SELECT {names} FROM observations WHERE offset >= {n * BATCH} AND offset < {(n + 1) * BATCH} LIMIT {BATCH} "
        f"INTO OUTFILE '{file}' FORMAT Native"
        for n, file in enumerate(files)
    ]
    stores = [f"INSERT INTO same ({names}) FROM INFILE '{file}' FORMAT Native" for file in files]
    return [{"sql": sql, **once} for sql in exports], [{"sql": sql, **once} for sql in stores]


def _insert_all(client: Client, sql: str, batches: list[dict[str, list[Any]]]) -> None:
    for batch in batches:
        client.execute(sql, [list(column) for column in batch.values()], columnar=True)


def _rate(rows: int, work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return rows / (time.perf_counter() - begin)


def direct(folder: Path, work: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what ``bench.direct`` measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.direct", str(folder / "clickhouse")],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    if failed := next((one["error"] for one in found if "error" in one), None):
        sys.exit(f"chDB says: {failed}")
    return found


def questions() -> list[tuple[str, str]]:
    """Return title and SQL of every question of the cookbook."""
    text = (ROOT / "docs" / "sql.md").read_text("utf-8")
    parts = re.split(r"^### (.+)$", text, flags=re.MULTILINE)[1:]
    found = []
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        if match := re.search(r"^```sql\n(.*?)^```$", body, re.MULTILINE | re.DOTALL):
            found.append((title.strip(), match[1].strip().rstrip(";")))
    return found


def queries(folder: Path, runs: int) -> None:
    """Print median and 95th percentile of every question, and the ratio to chDB itself."""
    with endpoint(folder) as (database, port):
        asked = _of_this_city(port, questions())
        through, idle, peak = _ask(database, port, asked, runs)
    work = [{"sql": sql, "database": DATABASE, "runs": runs, "most_secs": MOST_SECS} for _, sql in asked]
    times = direct(folder, work)
    print("| question | median ms | p95 ms | chDB itself, median ms | ratio |\n| --- | --- | --- | --- | --- |")
    for (title, _), here, there in zip(asked, through, times, strict=True):
        ours, base = 1000 * statistics.median(here), 1000 * statistics.median(there["secs"])
        print(f"| {title} | {ours:.1f} | {1000 * p95(here):.1f} | {base:.1f} | {ours / base:.2f} |")
    print(f"memory of the endpoint: {idle:.0f} MB idle, {peak:.0f} MB at most after a question")


def _of_this_city(port: int, asked: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the questions with an alert that there is, where they name one."""
    with Client("127.0.0.1", port, database=DATABASE) as client:
        ((alert,),) = client.execute("SELECT min(alert_id) FROM alerts")
    return [(title, re.sub(r"(?<=alert = ')[^']+", alert, sql)) for title, sql in asked]


def _ask(
    database: Database, port: int, asked: list[tuple[str, str]], runs: int
) -> tuple[list[list[float]], float, float]:
    """Return the times of every question through the endpoint, and its memory in MB before and at most."""
    through: list[list[float]] = []
    idle = peak = memory_mb(database)
    with Client("127.0.0.1", port, database=DATABASE, send_receive_timeout=300) as client:
        rows = client.execute("SELECT table, sum(rows) FROM system.parts WHERE active GROUP BY table ORDER BY table")
        print(", ".join(f"{table} {count:,}" for table, count in rows if not table.startswith(".inner")))
        for _, sql in asked:
            secs: list[float] = []
            while len(secs) < runs and sum(secs) < MOST_SECS:
                begin = time.perf_counter()
                client.execute(sql)
                secs.append(time.perf_counter() - begin)
            through.append(secs)
            peak = max(peak, memory_mb(database))
    return through, idle, peak


def p95(secs: list[float]) -> float:
    """Return the 95th percentile of some times."""
    return float(np.quantile(secs, 0.95, method="higher"))


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["inserts", "queries"])
    parser.add_argument("--data", type=Path, help="for queries: folder that holds the folder clickhouse")
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    if options.part == "inserts":
        inserts()
    elif options.data is None:
        parser.error("queries needs --data")
    else:
        queries(options.data, options.runs)


if __name__ == "__main__":
    main()
