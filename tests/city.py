"""A made city for time lines: what sensors count, step by step, through detect and situate without Kafka."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from gridbeacon.config import Config
from gridbeacon.frame import Frame, Rows
from gridbeacon.model import Sensor, Signal, SignalBatch, Tick, Transition
from gridbeacon.places import partition_of
from gridbeacon.vocabulary import METRIC_NUMBER, Kind
from streams.detect import DetectMachine
from streams.situate import SituateMachine

BEGIN_MS = 1_700_438_400_000  # a Monday, 00:00 UTC
STEP_MS, PER_DAY = 300_000, 288
METRIC = {
    Kind.CROWD: METRIC_NUMBER[Kind.CROWD, "people_count"],
    Kind.TRAFFIC: METRIC_NUMBER[Kind.TRAFFIC, "intensity_per_h"],
}


def frames(
    sensors: tuple[Sensor, ...], counted: Any, partition: int, partitions: int, present: Any = None
) -> Iterator[Frame]:
    """Yield what one partition of ``observations`` carries: one frame a step, with its tick."""
    mine = [n for n, sensor in enumerate(sensors) if partition_of(sensor.sensor_id, partitions) == partition]
    for step, row in enumerate(counted):
        here = [n for n in mine if present is None or present[step, n]]
        time_ms = BEGIN_MS + step * STEP_MS
        k = len(here)
        rows = Rows(
            sources=tuple(sensors[n].sensor_id for n in here),
            topics=("crowd.metrics",),
            source=np.arange(k, dtype=np.int32),
            metric=np.array([METRIC[sensors[n].kind] for n in here], np.uint8),
            observed_ms=np.full(k, time_ms, np.int64),
            value=row[here],
            coverage=np.full(k, np.nan, np.float32),
            confidence=np.full(k, np.nan, np.float32),
            surface=np.zeros(k, np.uint8),
            motion=np.zeros(k, np.uint8),
            topic=np.zeros(k, np.uint8),
            partition=np.full(k, partition, np.int32),
            offset=np.full(k, step, np.int64),
            index=np.arange(k, dtype=np.int32),
        )
        new = tuple(sensors[n] for n in mine) if step == 0 else ()
        yield Frame(time_ms, rows, new, ticks=(Tick(f"ingest/{partition}", time_ms, 1),))


class Engine:
    """Detect partitions and one of situate, fed step by step; ``tear`` replaces all by what they saved."""

    def __init__(self, config: Config) -> None:
        self.config = config
        count = config.topics.observations_partitions
        self.detects = [DetectMachine(config, n) for n in range(count)]
        self.situate = SituateMachine(config, 0)
        self.saved: list[dict[bytes, bytes]] = [{} for _ in range(count + 1)]
        self.signals: list[Signal] = []
        self.offset = 0

    def step(self, offset: int, parts: Iterable[Frame]) -> list[Transition]:
        """Take one frame of each partition."""
        found = []
        for machine, frame in zip(self.detects, parts, strict=True):
            observed = machine.observer.observe(frame, offset)
            for _, batch in machine.batches(observed, offset):
                found += self.take(batch)
        return found

    def take(self, batch: SignalBatch) -> list[Transition]:
        """Take one message, as it comes from the log."""
        self.signals += batch.signals
        found = self.situate.transitions(self.offset, msgspec.json.encode(batch))
        self.offset += 1
        return found

    def tear(self) -> None:
        """Save all, and go on with new machines that were restored from it."""
        machines = [*self.detects, self.situate]
        for machine, kept in zip(machines, self.saved, strict=True):
            for key, value in machine.changed():
                if value is None:
                    kept.pop(key, None)
                else:
                    kept[key] = value
        self.detects = [DetectMachine(self.config, n) for n in range(len(self.detects))]
        self.situate = SituateMachine(self.config, 0)
        for machine, kept in zip([*self.detects, self.situate], self.saved, strict=True):
            for key in sorted(kept, key=hash):
                machine.restore(key, kept[key])


def live(frame: Frame) -> Frame:
    """Return a frame as it is in live operation: the latest tick counts."""
    return Frame(frame.ingested_ms, frame.rows, frame.sensors, ticks=tuple(t._replace(of=0) for t in frame.ticks))


def play(
    config: Config,
    sensors: tuple[Sensor, ...],
    counted: Any,
    present: Any = None,
    tear_at: Iterable[int] = (),
) -> tuple[Engine, list[Transition]]:
    """Return the engine after all steps, and the transitions of alerts."""
    engine = Engine(config)
    partitions = config.topics.observations_partitions
    logs = [frames(sensors, counted, n, partitions, present) for n in range(partitions)]
    found: list[Transition] = []
    for offset, parts in enumerate(zip(*logs, strict=True)):
        found += engine.step(offset, parts if config.clock == "event" else [live(one) for one in parts])
        if offset in tear_at:
            engine.tear()
    return engine, found
