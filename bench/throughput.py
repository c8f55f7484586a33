"""Records a second through ingest, detect, both, and all roles with storage; beside plain Faust and Quix Streams.

    python -m bench.throughput [--records 200000] [--sensors 10000] [--workers 1] [--only NAME…]

Every contender reads the same records from the same broker: one metric a record, JSON, four partitions. Our rates are
taken from the broker's own time stamps: from the first message that a role wrote to the last.
The baselines need packages of their own: ``python -m bench.baselines.setup`` makes a virtual environment for them.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.engine import ROOT, RoleProcess, cores, ends, produce, read_all, roles, wait_for, write_config
from gridbeacon.config import Broker, ClickHouse, Config, Registry, Topics
from streams import admin
from streams.embedded import EmbeddedBroker, ensure_kafka
from streams.frames import decode_frame, decode_scored

PARTITIONS = 4
BASELINES = ROOT / ".venv-bench" / "bin" / "python"


def made_records(records: int, sensors: int) -> list[tuple[str, bytes]]:
    """Return (key, value) crowd records with one metric each, one minute apart per sensor, up to now."""
    start = time.time() - 60 * (records // sensors + 1)
    out = []
    for n in range(records):
        turn, sensor = divmod(n, sensors)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + 60 * turn))
        name = f"CAM-{sensor:05d}"
        count = 20 + sensor % 17 + (n * 2654435761 >> 7) % 7
        body = f'{{"id":"{name}","type":"CrowdFlowObserved","dateObserved":"{stamp}","peopleCount":{count}}}'
        out.append((name, body.encode()))
    return out


def write_registry(path: Path, sensors: int) -> Path:
    """Write the registry of the made sensors."""
    lines = ["sensor_id,kind,grid_id,interval_secs,area_m2"]
    lines += [f"CAM-{n:05d},crowd,310101001002{n % 1000:03d},60,400" for n in range(sensors)]
    path.write_text("\n".join(lines) + "\n")
    return path


def rate(records: list[Any], counts: list[int]) -> float:
    """Return rows a second between the first and the last message (the first one's rows came before it)."""
    stamped = sorted(zip((r.timestamp for r in records), counts, strict=True))
    span_ms = stamped[-1][0] - stamped[0][0]
    return sum(count for _, count in stamped[1:]) / max(span_ms, 1) * 1000


def frame_rows(config: Config) -> tuple[list[Any], list[int]]:
    """Return the messages of ``observations`` that hold rows, and how many."""
    messages = asyncio.run(read_all(config, "observations", PARTITIONS))
    counted = [(m, len(decode_frame(m.value).rows)) for m in messages]
    return [m for m, n in counted if n], [n for _, n in counted if n]


def score_rows(config: Config) -> tuple[list[Any], list[int]]:
    """Return the messages of ``scores`` and their rows."""
    messages = asyncio.run(read_all(config, "scores", PARTITIONS))
    return messages, [len(decode_scored(m.value).judged.rows) for m in messages]


def baseline(script: str, *arguments: str) -> dict[str, float] | None:
    """Return what a baseline measured, or None where its packages are not installed."""
    if not BASELINES.exists():
        return None
    done = subprocess.run(
        [BASELINES, ROOT / "bench" / "baselines" / script, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    line = done.stdout.strip().splitlines()[-1:]
    if done.returncode or not line:
        sys.exit(f"the baseline {script} failed: {done.stderr.strip().splitlines()[-1:]}")
    measured: dict[str, float] = json.loads(line[0])
    return measured


class Bench:
    """One run: a broker, a registry, and a fresh set of topics for every contender."""

    def __init__(self, node: EmbeddedBroker, home: Path, records: list[tuple[str, bytes]], sensors: int) -> None:
        self._node, self._home, self._records = node, home, records
        self._registry = write_registry(home / "sensors.csv", sensors)
        self.rows: list[tuple[str, float, float, float]] = []

    def city(self, name: str) -> tuple[Config, Path]:
        """Return a configuration with topics of its own, into which all records have been produced."""
        config = Config(
            broker=Broker(bootstrap=self._node.bootstrap, port=self._node.port),
            clickhouse=ClickHouse(port=self._node.port + 7),
            topics=Topics(prefix=f"{name}.", source_partitions=PARTITIONS, observations_partitions=PARTITIONS),
            registry=Registry(sensors=(str(self._registry),)),
            data_dir=str(self._home / name),
        )
        Path(config.data_dir).mkdir()
        admin.init(config)
        asyncio.run(produce(config, "crowd.metrics", self._records))
        return config, write_config(config, self._home / f"{name}.yaml")

    def processes(self, config_file: Path, *names: str) -> list[RoleProcess]:
        """Return one process per name (``ingest``, ``ingest``, ``detect`` …), each with a log."""
        made = []
        for n, name in enumerate(names):
            log = self._home / f"{config_file.stem}-{name}-{n}.log"
            made.append(RoleProcess(name, config_file, log, instance=f"{name}-{n}"))
        return made

    def add(self, name: str, per_sec: float, processes: list[RoleProcess]) -> None:
        """Note one contender's figures."""
        used = [p.measure() for p in processes]
        self.rows.append((name, per_sec, sum(u.cpu_secs for u in used), sum(u.memory_mb for u in used)))
        print(f"  {name}: {per_sec:,.0f}/s", flush=True)

    def ingest_then_detect(self, workers: int) -> None:
        """Measure ingest alone, then detect alone on the frames that it made."""
        config, path = self.city("alone")
        with roles(self.processes(path, *["ingest"] * workers)) as running:
            wait_for(lambda: _rows(config, "observations") >= len(self._records), 120, "ingest alone")
            self.add("ingest alone", rate(*frame_rows(config)), running)
        with roles(self.processes(path, "detect")) as running:
            wait_for(lambda: _rows(config, "scores") >= len(self._records), 120, "detect alone")
            self.add("detect alone", rate(*score_rows(config)), running)

    def together(self, workers: int) -> None:
        """Measure ingest and detect at the same time: from the first frame to the last score."""
        config, path = self.city("together")
        with roles(self.processes(path, "detect", *["ingest"] * workers)) as running:
            wait_for(lambda: _rows(config, "scores") >= len(self._records), 120, "ingest and detect together")
            frames, counts = frame_rows(config)
            scores, _ = score_rows(config)
            first = min(m.timestamp for m in frames)
            first_rows = next(n for m, n in zip(frames, counts, strict=True) if m.timestamp == first)
            span_ms = max(m.timestamp for m in scores) - first
            self.add("ingest + detect", (len(self._records) - first_rows) / span_ms * 1000, running)

    def stored(self, workers: int) -> None:
        """Measure all roles with storage: from the first frame to the last row in ClickHouse."""
        config, path = self.city("stored")
        database = RoleProcess("database", path, self._home / "database.log")
        names = ["detect", "situate", "notify", "store", *["ingest"] * workers]
        with roles([database, *self.processes(path, *names)]) as running:
            wait_for(lambda: _stored(config) >= len(self._records), 240, "all roles with storage")
            last_ms = time.time() * 1000
            frames, _ = frame_rows(config)
            span_ms = last_ms - min(m.timestamp for m in frames)
            self.add("all roles, stored", len(self._records) / span_ms * 1000, running)

    def baselines(self) -> None:
        """Measure the baselines on the records of one set of topics."""
        config, _ = self.city("baselines")
        topic, count = config.topics.prefix + "crowd.metrics", str(len(self._records))
        for name, script, *more in (
            ("plain Faust agent", "plain_faust.py", str(PARTITIONS)),
            ("Quix Streams, decode only", "quix.py", "decode"),
            ("Quix Streams, river per series", "quix.py", "river"),
        ):
            measured = baseline(script, self._node.bootstrap, topic, count, *more)
            if measured is None:
                print(f"  {name}: not measured, run `python -m bench.baselines.setup` first")
                continue
            per_sec = measured["records"] / measured["secs"]
            self.rows.append((name, per_sec, measured["cpu_secs"], measured["memory_mb"]))
            print(f"  {name}: {per_sec:,.0f}/s", flush=True)


def _rows(config: Config, topic: str) -> int:
    """Return how many rows the messages of a topic hold; cheap only when the end offsets have stopped moving."""
    before = asyncio.run(ends(config, topic))
    time.sleep(0.5)
    if not sum(before.values()) or asyncio.run(ends(config, topic)) != before:
        return 0
    _, counts = frame_rows(config) if topic == "observations" else score_rows(config)
    return sum(counts)


def _stored(config: Config) -> int:
    from sinks.clickhouse import connect

    try:
        with connect(config.clickhouse) as client:
            return int(client.execute("SELECT count() FROM observations")[0][0])
    except Exception:  # noqa: BLE001 - not ready yet is all that this says
        return 0


def table(rows: list[tuple[str, float, float, float]]) -> str:
    """Return the results as Markdown, with the ratio to Quix Streams decoding only."""
    base = next((per_sec for name, per_sec, _, _ in rows if name.startswith("Quix Streams, decode")), None)
    lines = [
        "| contender | observations/s | ratio to Quix decode | CPU s | memory MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, per_sec, cpu, memory in rows:
        ratio = f"{per_sec / base:.2f}" if base else "-"
        lines.append(f"| {name} | {per_sec:,.0f} | {ratio} | {cpu:.1f} | {memory:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--sensors", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2, help="ingest processes")
    parser.add_argument("--only", nargs="*", default=["alone", "together", "stored", "baselines"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridbeacon-bench-") as folder:
        home = Path(folder)
        node = EmbeddedBroker(home / "kafka", ensure_kafka())
        node.start()
        try:
            node.wait_ready()
            records = made_records(options.records, options.sensors)
            bench = Bench(node, home, records, options.sensors)
            print(f"{options.records:,} records, {options.sensors:,} sensors, {cores()} cores", flush=True)
            parts = {
                "alone": lambda: bench.ingest_then_detect(options.workers),
                "together": lambda: bench.together(options.workers),
                "stored": lambda: bench.stored(options.workers),
                "baselines": bench.baselines,
            }
            for name in options.only:
                parts[name]()
            print(table(bench.rows))
        finally:
            node.stop()


if __name__ == "__main__":
    main()
