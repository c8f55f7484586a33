"""What the benchmarks share: a broker of their own, role processes that are measured, and a look at topics."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gridbeacon.config import Config
from streams.kafka import client_settings

ROOT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Usage:
    """CPU seconds so far and the largest resident memory seen, of one process."""

    cpu_secs: float = 0.0
    memory_mb: float = 0.0


class Begun(Protocol):
    """The part of ``subprocess.Popen`` that is used of a role's process."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code once it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it ends; raise ``subprocess.TimeoutExpired`` when it does not in time."""

    def send_signal(self, number: int) -> None:
        """Send a signal."""

    def kill(self) -> None:
        """Send SIGKILL."""


def begin(command: list[str], log: Path) -> Begun:
    """Start a command; its output goes to ``log``."""
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)


@dataclass(slots=True)
class RoleProcess:
    """One role as its own process, started through the command line like any other."""

    role: str
    config_file: Path
    log: Path
    instance: str = ""
    usage: Usage = field(default_factory=Usage)
    process: Begun | None = None

    def start(self) -> "RoleProcess":
        """Start the process; its output goes to ``log``."""
        command = [sys.executable, "-m", "gridbeacon", "worker", self.role, "--config", str(self.config_file)]
        if self.instance:
            command += ["--instance", self.instance]
        self.process = begin(command, self.log)
        return self

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def measure(self) -> Usage:
        """Return CPU and memory so far (the last known values once the process has ended)."""
        if self.process is not None and self.running:
            try:
                p = psutil.Process(self.process.pid)
                times = p.cpu_times()
                self.usage = Usage(times.user + times.system, max(self.usage.memory_mb, p.memory_info().rss / 2**20))
            except psutil.Error:
                pass  # it ended in between: the last values stand
        return self.usage

    def stop(self, secs: float = 20.0) -> None:
        """Ask the process to end; kill it when it does not."""
        if self.process is None:
            return
        if self.running:
            self.measure()
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(secs)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def roles(processes: list[RoleProcess]) -> Iterator[list[RoleProcess]]:
    """Start processes, and stop them at the end whatever happens."""
    try:
        yield [p.start() for p in processes]
    finally:
        for p in processes:
            p.stop()


def write_config(config: Config, path: Path) -> Path:
    """Write a configuration as YAML (JSON is YAML)."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=1))
    return path


async def produce(config: Config, topic: str, records: list[tuple[str, bytes]]) -> None:
    """Write (key, value) records as fast as the broker takes them."""
    producer = AIOKafkaProducer(
        acks="all", enable_idempotence=True, linger_ms=20, max_batch_size=1 << 18, **client_settings(config)
    )
    await producer.start()
    try:
        acks = [await producer.send(config.topics.prefix + topic, value, key=key.encode()) for key, value in records]
        await asyncio.gather(*acks)
    finally:
        await producer.stop()


async def ends(config: Config, topic: str) -> dict[int, int]:
    """Return the end offset of each partition of a topic (name without prefix)."""
    async with AIOKafkaConsumer(enable_auto_commit=False, **client_settings(config)) as consumer:
        name = config.topics.prefix + topic
        partitions = [TopicPartition(name, p) for p in sorted(consumer.partitions_for_topic(name) or ())] or [
            TopicPartition(name, p) for p in range(config.topics.observations_partitions)
        ]
        return {tp.partition: end for tp, end in (await consumer.end_offsets(partitions)).items()}


async def read_all(config: Config, topic: str, partitions: int) -> list[Any]:
    """Return every record of a topic, partition by partition, in order."""
    name = config.topics.prefix + topic
    out: list[Any] = []
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
        **client_settings(config),
    )
    async with consumer:
        for tp in [TopicPartition(name, p) for p in range(partitions)]:
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            end = (await consumer.end_offsets([tp]))[tp]
            while await consumer.position(tp) < end:
                out += (await consumer.getmany(timeout_ms=200)).get(tp, [])
    return out


def wait_for(condition: Any, secs: float, what: str) -> None:
    """Wait until ``condition()`` is true; end the benchmark with one sentence when it is not in time."""
    deadline = time.monotonic() + secs
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"gave up after {secs:g} s waiting for {what}")
        time.sleep(0.05)


def cores() -> int:
    """Return how many cores this machine lends us."""
    return len(os.sched_getaffinity(0))
