"""Every panel's query of the dashboards, asked of a big city as Grafana asks, at the time range it begins with.

    python -m bench.dashboards --data DIR [--runs 20] [--range default|year] [--day 363]

DIR/clickhouse holds the tables; to fill them see ``bench.clickhouse``. Prints median and 95th percentile of each, and
the processor time of the database for one answer, which other work on the machine hardly changes.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from clickhouse_driver import Client

from bench.clickhouse import DATABASE, endpoint, p95
from dashboards.ask import DEFAULTS, SPANS, questions
from dashboards.expand import Shown, expanded
from gridbeacon.config import Config
from gridbeacon.demo.fixture.plan import RISE, TIMEZONE, Size, begin_ms, incidents

CITY = Size(365, 640, 300, 27_400, 275)
YEAR_SECS = 365 * 86_400
LIMIT_MS = 200.0


def moment(day: int) -> int:
    """Return the second at which we look: on a day, when its worst crowd is at its peak."""
    worst = max(incidents(CITY, day), key=lambda one: one.peak)
    return begin_ms(CITY, worst, RISE) // 1000 + 60


def main() -> None:
    """Ask everything and print a table; the exit code says whether all keep to the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the folder clickhouse")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--range", choices=["default", "year"], default="default")
    parser.add_argument("--day", type=int, default=CITY.days - 2, help="day of the city, from 0, that is looked at")
    options = parser.parse_args()
    now, slow = moment(options.day), 0
    print("| dashboard | panel | rows | median ms | p95 ms | processor ms |\n| --- | --- | --- | --- | --- | --- |")
    with (
        endpoint(options.data) as (database, port),
        Client("127.0.0.1", port, user="grafana", database=DATABASE) as client,
    ):
        process: Any = database.process
        served = psutil.Process(process.pid)
        for title, panel, question in questions(Config()):
            before = SPANS[title][0] if options.range == "default" else YEAR_SECS
            sql = expanded(question.sql, Shown(now - before, now, DEFAULTS, TIMEZONE))
            rows = client.execute(sql)  # once, so that marks and dictionaries are in memory, as they are on a wall
            secs, before_secs = [], sum(served.cpu_times()[:2])
            for _ in range(options.runs):
                begin = time.perf_counter()
                client.execute(sql)
                secs.append(time.perf_counter() - begin)
            spent = (sum(served.cpu_times()[:2]) - before_secs) / options.runs
            slow += 1000 * p95(secs) > LIMIT_MS
            figures = f"{1000 * statistics.median(secs):.0f} | {1000 * p95(secs):.0f} | {1000 * spent:.0f}"
            print(f"| {title} | {panel.title} | {len(rows)} | {figures} |", flush=True)
    sys.exit(1 if slow and options.range == "default" else 0)


if __name__ == "__main__":
    main()
