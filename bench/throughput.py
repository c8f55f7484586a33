"""Records a second through ingest, detect, both, and all roles with storage; beside plain Faust and Quix Streams.

    python -m bench.throughput [--records 400000] [--sensors 10000] [--ingest 1] [--only alone together …]

All read the same records from the same broker: one metric a record, JSON, four partitions. Our processes are warm (they
have taken 20,000 records) and held still while the records are written; the time is from letting them go to the last
row that they wrote. The baselines' time is from their first record to their last; their start is not counted either.
The baselines need packages of their own: ``python -m bench.baselines.setup`` makes an environment for them.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.disturbed import Database
from bench.engine import ROOT, RoleProcess, cores, produce, roles, wait_for
from bench.line import PARTITIONS, City, Figures, broker, frozen, made_records, memory, used
from gridbeacon.errors import GridbeaconError
from sinks.clickhouse import query
from sinks.migrate import migrate
from streams.embedded import EmbeddedBroker

WARM_UP = 20_000
BASELINES = ROOT / ".venv-bench" / "bin" / "python"
FASTEST = "Quix Streams, decode only"


def measured(
    name: str, city: City, first: list[RoleProcess], processes: list[RoleProcess], records: int, topic: str
) -> Figures:
    """Measure from letting ``first`` go until the last row is on ``topic``."""
    with frozen(first):
        city.send(records)
        cpu = used(processes)
        began = time.time()
    ended = city.wait_rows(topic, WARM_UP + records)
    return Figures(name, records / (ended - began), used(processes) - cpu, memory(processes))


def alone(node: EmbeddedBroker, home: Path, records: int, sensors: int, ingest: int) -> list[Figures]:
    """Measure ingest alone, then detect alone on the frames that it made."""
    city = City(node, home / "alone", sensors)
    edge = [city.process("ingest", n) for n in range(ingest)]
    detect = [city.process("detect")]
    with roles(edge):
        city.send(WARM_UP)
        city.wait_rows("observations", WARM_UP)
        with roles(detect):
            city.wait_rows("scores", WARM_UP)
            with frozen(detect):
                found = [measured("ingest alone", city, edge, edge, records, "observations")]
                cpu, began = used(detect), time.time()
            ended = city.wait_rows("scores", WARM_UP + records)
            found.append(Figures("detect alone", records / (ended - began), used(detect) - cpu, memory(detect)))
    return found


def together(node: EmbeddedBroker, home: Path, records: int, sensors: int, ingest: int) -> list[Figures]:
    """Measure ingest and detect at the same time."""
    city = City(node, home / "together", sensors)
    edge = [city.process("ingest", n) for n in range(ingest)]
    with roles([city.process("detect"), *edge]) as processes:
        city.send(WARM_UP)
        city.wait_rows("scores", WARM_UP)
        return [measured("ingest + detect", city, edge, processes, records, "scores")]


def stored(node: EmbeddedBroker, home: Path, records: int, sensors: int, ingest: int) -> list[Figures]:
    """Measure all roles with storage, until the last row is in ClickHouse."""
    city = City(node, home / "stored", sensors)
    database = Database(city.folder, city.config.clickhouse.port).start()

    def rows() -> int:
        try:
            migrate(city.config)
            return int(query(city.config, "SELECT count() FROM observations")[0][0])
        except GridbeaconError:
            return -1

    try:
        wait_for(lambda: rows() == 0, 30, "the database")
        edge = [city.process("ingest", n) for n in range(ingest)]
        others = [city.process(role) for role in ("detect", "situate", "notify", "store", "forecast")]
        with roles([*others, *edge]) as processes:
            city.send(WARM_UP)
            wait_for(lambda: rows() >= WARM_UP, 60, "the first rows")
            with frozen(edge):
                city.send(records)
                cpu, began = used(processes), time.time()
            wait_for(lambda: rows() >= WARM_UP + records, 240, "the last row")
            per_sec = records / (time.time() - began)
            return [Figures("all roles, stored", per_sec, used(processes) - cpu, memory(processes))]
    finally:
        database.stop()


def baselines(node: EmbeddedBroker, home: Path, records: int, sensors: int, _ingest: int) -> list[Figures]:
    """Measure the baselines on one topic."""
    if not BASELINES.exists():
        sys.exit("the baselines are not installed: run python -m bench.baselines.setup, or leave them out with --only")
    city = City(node, home / "baselines", sensors)
    asyncio.run(produce(city.config, "crowd.metrics", made_records(0, records, sensors, time.time())))
    found = []
    for name, script, *more in (
        (FASTEST, "quix.py", "decode"),
        ("Quix Streams, river per series", "quix.py", "river"),
        ("plain Faust agent", "plain_faust.py", str(PARTITIONS)),
    ):
        command = [BASELINES, ROOT / "bench" / "baselines" / script, node.bootstrap, "baselines.crowd.metrics"]
        done = subprocess.run([*command, str(records), *more], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            sys.exit(f"the baseline {script} failed: {done.stderr[-500:]}")
        said = json.loads(done.stdout[done.stdout.index("{") :])
        found.append(Figures(name, said["records"] / said["secs"], said["cpu_secs"], said["memory_mb"]))
    return found


PARTS = {"alone": alone, "together": together, "stored": stored, "baselines": baselines}


def table(found: list[Figures]) -> str:
    """Return the results as Markdown, with the ratio to the fastest baseline."""
    base = next((one.per_sec for one in found if one.name == FASTEST), None)
    lines = ["| contender | observations/s | ratio to Quix decode | CPU s | memory MB |", "| --- " * 5 + "|"]
    for one in found:
        ratio = f"{one.per_sec / base:.2f}" if base else "-"
        lines.append(f"| {one.name} | {one.per_sec:,.0f} | {ratio} | {one.cpu_secs:.1f} | {one.memory_mb:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--sensors", type=int, default=10_000)
    parser.add_argument("--ingest", type=int, default=1, help="ingest processes")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args()
    print(f"{options.records:,} records, {options.sensors:,} sensors, {cores()} cores", flush=True)
    found: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="gridbeacon-bench-") as folder, broker(Path(folder)) as node:
        for name in options.only:
            new = PARTS[name](node, Path(folder), options.records, options.sensors, options.ingest)
            for one in new:
                print(f"  {one.name}: {one.per_sec:,.0f}/s", flush=True)
            found += new
    print(table(found))


if __name__ == "__main__":
    main()
