"""The line under measurement: warm processes that wait, frozen, until everything they are to take is in the broker."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.engine import RoleProcess, ends, produce, read_all, wait_for, write_config
from forecasts.requests import is_answer
from gridbeacon.config import Broker, ClickHouse, Config, Registry, Topics
from streams import admin
from streams.embedded import EmbeddedBroker, ensure_kafka
from streams.embedded.ports import free_pair
from streams.frames import decode_frame, decode_scored

PARTITIONS = 4
SETTLED_SECS = 1.5
"""A topic whose end has not moved for this long is complete."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one contender did: observations a second, CPU seconds and resident memory of its processes."""

    name: str
    per_sec: float
    cpu_secs: float
    memory_mb: float


@contextmanager
def broker(folder: Path) -> Iterator[EmbeddedBroker]:
    """Yield a running broker of its own."""
    node = EmbeddedBroker(folder / "kafka", ensure_kafka(), free_pair())
    node.start()
    try:
        node.wait_ready()
        yield node
    finally:
        node.stop()


def made_records(first: int, count: int, sensors: int, now: float) -> list[tuple[str, bytes]]:
    """Return (key, value) crowd records ``first`` to ``first + count``, one metric each, in turn over the sensors.

    Every sensor reports every 10 seconds; the times end before ``now``, so that none is from the future.
    """
    start = now - 20_000
    out = []
    for n in range(first, first + count):
        turn, sensor = divmod(n, sensors)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + 10 * turn))
        name = f"CAM-{sensor:05d}"
        people = 20 + sensor % 17 + (n * 2654435761 >> 7) % 7
        body = f'{{"id":"{name}","type":"CrowdFlowObserved","dateObserved":"{stamp}","peopleCount":{people}}}'
        out.append((name, body.encode()))
    return out


def write_registry(path: Path, sensors: int) -> Path:
    """Write the registry of the made sensors: no area, so that one record is one observation."""
    lines = ["sensor_id,kind,grid_id,interval_secs"]
    lines += [f"CAM-{n:05d},crowd,310101001{n:06d},10" for n in range(sensors)]
    path.write_text("\n".join(lines) + "\n")
    return path


class City:
    """Topics, configuration and processes of one contender."""

    def __init__(self, node: EmbeddedBroker, folder: Path, sensors: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.config = Config(
            clock="event",  # live, every partition hears the time each second, and its end would never rest
            broker=Broker(bootstrap=node.bootstrap, port=node.port),
            clickhouse=ClickHouse(port=free_pair()),
            topics=Topics(prefix=f"{folder.name}.", source_partitions=PARTITIONS, observations_partitions=PARTITIONS),
            registry=Registry(sensors=(str(write_registry(folder / "sensors.csv", sensors)),)),
            data_dir=str(folder),
        )
        self.file = write_config(self.config, folder / "gridbeacon.yaml")
        self.sensors = sensors
        self._sent = 0
        self._now = time.time()
        admin.init(self.config)

    def process(self, role: str, number: int = 0) -> RoleProcess:
        """Return a process of a role, not started."""
        name = f"{role}-{number}"
        return RoleProcess(role, self.file, self.folder / f"{name}.log", instance=name)

    def send(self, count: int) -> None:
        """Write the next records to ``crowd.metrics``."""
        records = made_records(self._sent, count, self.sensors, self._now)
        self._sent += count
        asyncio.run(produce(self.config, "crowd.metrics", records))

    def wait_rows(self, topic: str, rows: int, secs: float = 120.0) -> float:
        """Return when (seconds since 1970) the last of ``rows`` was written to ``observations`` or ``scores``.

        Looks at end offsets alone until they rest: reading along would take the processor from those measured.
        """
        found = (0, 0.0)

        def complete() -> bool:
            nonlocal found
            before = asyncio.run(ends(self.config, topic))
            time.sleep(SETTLED_SECS)
            if asyncio.run(ends(self.config, topic)) != before:
                return False
            found = self._rows(topic)
            return found[0] >= rows

        wait_for(complete, secs, f"{rows} rows on {topic}")
        return found[1]

    def _rows(self, topic: str) -> tuple[int, float]:
        total, last_ms = 0, 0
        for message in asyncio.run(read_all(self.config, topic, PARTITIONS)):
            if is_answer(message.value):
                continue
            rows = (
                decode_frame(message.value).rows
                if topic == "observations"
                else decode_scored(message.value).judged.rows
            )
            if len(rows):
                total += len(rows)
                last_ms = max(last_ms, message.timestamp)
        return total, last_ms / 1000


@contextmanager
def frozen(processes: list[RoleProcess]) -> Iterator[None]:
    """Hold processes still inside the block (shorter than their session of 30 seconds); let them go at its end."""
    running = [p.process for p in processes if p.process is not None]
    for process in running:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGCONT)


def used(processes: list[RoleProcess]) -> float:
    """Return the CPU seconds of all processes so far."""
    return sum(p.measure().cpu_secs for p in processes)


def memory(processes: list[RoleProcess]) -> float:
    """Return the resident memory of all processes in MB."""
    return sum(p.measure().memory_mb for p in processes)
