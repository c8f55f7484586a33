"""Kill the embedded ClickHouse in the middle of inserts, thirty times: what was acknowledged must be there, whole.

    python -m bench.kills [--kills 30] [--writers 4] [--fsync] [--seed 1]

``--fsync`` writes with ``fsync_after_insert`` and ``fsync_part_directory``, which a power cut would need as well. The
last lines say what each insert cost with and without.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from bench.disturbed import Database
from bench.engine import wait_for
from streams.embedded.ports import accepts, free_pair

ROWS = 500
"""Of one insert."""
FSYNC = {"fsync_after_insert": 1, "fsync_part_directory": 1}
TABLE = """
    CREATE TABLE IF NOT EXISTS t (writer UInt8, batch UInt32, n UInt32, at DateTime64(3) DEFAULT now64(3), text String)
    ENGINE = MergeTree ORDER BY (writer, batch, n) SETTINGS {settings}
"""


class Writing:
    """Threads that insert until the server is gone; ``acknowledged`` says what they were told is stored."""

    def __init__(self, port: int, writers: int, begin: int) -> None:
        self.acknowledged: set[tuple[int, int]] = set()
        self._port, self._begin = port, begin
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(writers)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Return when all have noticed that the server is gone."""
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        with suppress(Exception), Client("127.0.0.1", self._port) as client:
            for batch in range(self._begin, self._begin + 1_000_000):
                rows = [(writer, batch, n, f"text {n}") for n in range(ROWS)]
                client.execute("INSERT INTO t (writer, batch, n, text) VALUES", rows)
                self.acknowledged.add((writer, batch))


def started(folder: Path, port: int) -> Database:
    """Return the running server."""
    database = Database(folder, port).start()
    wait_for(lambda: accepts(port), 30, "the embedded ClickHouse")
    return database


def kill_and_look(folder: Path, port: int, kills: int, writers: int, rng: random.Random) -> tuple[int, int, int]:
    """Return how many inserts were acknowledged, how many of these are lost, and how many are there in part."""
    acknowledged: set[tuple[int, int]] = set()
    database = started(folder, port)
    for n in range(kills):
        writing = Writing(port, writers, n * 1_000_000)
        wait_for(lambda w=writing: len(w.acknowledged) > writers, 30, "the first inserts")
        time.sleep(rng.uniform(0.0, 0.5))
        process: Any = database.process
        process.send_signal(signal.SIGKILL)
        process.wait()
        writing.join()
        acknowledged |= writing.acknowledged
        database = started(folder, port)
    with Client("127.0.0.1", port) as client:
        found = client.execute("SELECT writer, batch, count(), uniqExact(n) FROM t GROUP BY writer, batch")
    database.stop()
    partly = sum(count != ROWS or different != ROWS for _, _, count, different in found)
    return len(acknowledged), len(acknowledged - {(writer, batch) for writer, batch, _, _ in found}), partly


def cost(folder: Path, port: int, settings: str) -> float:
    """Return the milliseconds of one insert by one writer."""
    folder.mkdir()
    database = started(folder, port)
    with Client("127.0.0.1", port) as client:
        client.execute(TABLE.format(settings=settings))
        rows = [(0, 0, n, f"text {n}") for n in range(ROWS)]
        begin = time.monotonic()
        for _ in range(100):
            client.execute("INSERT INTO t (writer, batch, n, text) VALUES", rows)
        secs = time.monotonic() - begin
    database.stop()
    return 10 * secs


def main() -> None:
    """Run it, print what was seen, exit 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--fsync", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    quick, safe = "index_granularity = 8192", ", ".join(f"{key} = {value}" for key, value in FSYNC.items())
    port = free_pair()
    with tempfile.TemporaryDirectory(prefix="gridbeacon-kills-") as name:
        folder = Path(name)
        database = started(folder, port)
        with Client("127.0.0.1", port) as client:
            client.execute(TABLE.format(settings=safe if options.fsync else quick))
        database.stop()
        told, lost, partly = kill_and_look(folder, port, options.kills, options.writers, random.Random(options.seed))
        print(f"{options.kills} kills: {told} inserts of {ROWS} rows acknowledged, {lost} lost, {partly} there in part")
        for title, settings in (("as it comes", quick), ("with fsync", safe)):
            print(f"an insert of {ROWS} rows {title}: {cost(folder / title.replace(' ', '-'), port, settings):.1f} ms")
    sys.exit(1 if lost or partly else 0)


if __name__ == "__main__":
    main()
