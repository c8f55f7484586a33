"""Warm start: what detect has learned from history, put into the states that it restores.

The history is folded by one observer per observations partition, as if it had streamed through; then each partition is
owned for a moment, which fences a worker that is running (it ends, and its successor restores what is written here),
the learned part of every series with a shorter history is replaced, and all is saved in one transaction.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from detectors.observer import Observer
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.frame import Frame, Rows
from gridbeacon.model import Sensor, Tick
from gridbeacon.places import partition_of
from gridbeacon.registry import Registry
from gridbeacon.timeline import Line, tick_record
from gridbeacon.vocabulary import METRIC_NUMBER, Kind
from streams import topics
from streams.detect import DetectMachine
from streams.intake import Intake
from streams.kafka import client_settings
from streams.partition import Output, Partition

FRAME_RECORDS = 4000
Value = tuple[int, str, str, str, str, float]
"""Time in ms, kind, source, metric, cell, value: a row of the table of observations."""


class Trainee:
    """One observer per observations partition."""

    def __init__(self, config: Config, calendar: Calendar) -> None:
        self.config = config
        self.partitions = config.topics.observations_partitions
        # History is a replay from one partition of each topic, whatever the engine is.
        one = msgspec.structs.replace(config.topics, source_partitions=1)
        self._past = msgspec.structs.replace(config, clock="event", topics=one)
        self.observers = [Observer(self._past, number, calendar) for number in range(self.partitions)]
        self._interval_secs = config.detect.event_window_secs

    def read(self, registry: Registry, records: Iterable[Line | Tick], now_ms: int) -> None:
        """Learn a time line of recorded data, as ingest and detect would."""
        intake = Intake(self._past, registry)
        offsets = dict.fromkeys(topics.SOURCES, 0)
        taken = [0] * self.partitions

        def flush(frames: dict[int, list[Frame]]) -> None:
            for number, parts in frames.items():
                for frame in parts:
                    self.observers[number].observe(frame, taken[number])
                    taken[number] += 1

        flush({number: [frame] for number, frame in intake.definitions(now_ms).items()})
        waiting = 0
        for item in records:
            for topic in topics.SOURCES if isinstance(item, Tick) else (item.topic,):
                raw = tick_record(item) if isinstance(item, Tick) else item.raw
                intake.add(topic, 0, offsets[topic], raw, now_ms)
                offsets[topic] += 1
            waiting += 1
            if isinstance(item, Tick) or waiting >= FRAME_RECORDS:
                flush(intake.take(now_ms).frames)
                waiting = 0
        flush(intake.take(now_ms).frames)

    def learn(self, registry: Registry, values: Iterable[list[Value]]) -> int:
        """Learn blocks of stored observations, in order of time; return how many.

        Sources that the registry does not know any more are left out; counts of reports need no entry.
        """
        count = 0
        for block in values:
            split: dict[tuple[int, bool], list[Value]] = {}
            for value in block:
                events = value[1] == Kind.EVENTS
                if (events or value[2] in registry.sensors) and (Kind(value[1]), value[3]) in METRIC_NUMBER:
                    number = partition_of(value[4] if events else value[2], self.partitions)
                    split.setdefault((number, events), []).append(value)
            for (number, events), part in split.items():
                sensors = self._counted(part) if events else _registered(registry, part)
                self.observers[number].teach(Frame(0, _rows(part), sensors))
                count += len(part)
        return count

    def _counted(self, part: list[Value]) -> tuple[Sensor, ...]:
        cells = {value[2]: value[4] for value in part}
        return tuple(
            Sensor(sensor_id=name, kind=Kind.EVENTS, grid_id=cell, interval_secs=self._interval_secs)
            for name, cell in cells.items()
        )

    def save(self) -> tuple[int, int]:
        """Put what was learned into the states of detect; return how many series took it over, and were learned."""
        learned = sum(observer.series for observer in self.observers)
        return asyncio.run(self._save()), learned

    async def _save(self) -> int:
        prefix, adopted = self.config.topics.prefix, 0
        for number, observer in enumerate(self.observers):
            machine = DetectMachine(self.config, number)
            part = Partition(
                number,
                machine,
                source=prefix + topics.OBSERVATIONS,
                state=prefix + topics.DETECT_STATE,
                group=f"{prefix}detect",
                clients=client_settings(self.config),
                send=_never,
            )
            try:
                await part.open()
                adopted += machine.observer.adopt(observer)
                part.touch()
                await part.checkpoint()
            finally:
                await part.close()
        return adopted


async def _never(output: Output) -> Any:
    raise AssertionError(f"training sends nothing, and yet {output.topic}")


def _registered(registry: Registry, part: list[Value]) -> tuple[Sensor, ...]:
    return tuple(registry.sensors[name] for name in dict.fromkeys(value[2] for value in part))


def _rows(part: list[Value]) -> Rows:
    """Return stored observations as columns; what is not stored with them is unknown."""
    n = len(part)
    names = tuple(dict.fromkeys(value[2] for value in part))
    at = {name: number for number, name in enumerate(names)}
    return Rows(
        sources=names,
        topics=("",),
        source=np.array([at[value[2]] for value in part], np.int32),
        metric=np.array([METRIC_NUMBER[Kind(value[1]), value[3]] for value in part], np.uint8),
        observed_ms=np.array([value[0] for value in part], np.int64),
        value=np.array([value[5] for value in part], np.float64),
        coverage=np.full(n, np.nan, np.float32),
        confidence=np.full(n, np.nan, np.float32),
        surface=np.zeros(n, np.uint8),
        motion=np.zeros(n, np.uint8),
        topic=np.zeros(n, np.uint8),
        partition=np.zeros(n, np.int32),
        offset=np.arange(n, dtype=np.int64),
        index=np.zeros(n, np.int32),
    )


def blocks(rows: Iterable[Value], size: int = 100_000) -> Iterator[list[Value]]:
    """Yield rows in lists of at most ``size``."""
    block: list[Value] = []
    for row in rows:
        block.append(row)
        if len(block) >= size:
            yield block
            block = []
    if block:
        yield block
