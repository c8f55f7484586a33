"""The same straight line without Kafka: over files, or over the logs that the broker holds.

``backtest`` runs decode, observe, assess and advance in one process. ``from_topics`` folds observe over
``observations``, foresee over ``scores`` and assess over ``signals`` as the broker holds them: what is stored must
equal it, record by record.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.crossings import Told
from gridbeacon.frame import Frame, verdicts
from gridbeacon.model import (
    Alert,
    AlertEvent,
    DeadLetter,
    GridEvent,
    Notice,
    SignalBatch,
    SituationReport,
    Tick,
    Transition,
    Verdict,
    Weighed,
)
from gridbeacon.registry import Registry
from gridbeacon.timeline import Line, tick_record
from streams import topics
from streams.detect import DetectMachine
from streams.forecast import ForecastMachine
from streams.frames import decode_frame
from streams.inline import Inline
from streams.intake import Intake
from streams.kafka import client_settings
from streams.situate import SituateMachine

FRAME_RECORDS = 4000
"""Records of a frame at most; ticks cut it earlier. Results do not depend on it."""

Finding = Verdict | GridEvent | DeadLetter | Alert | AlertEvent | Notice | Told | SituationReport | Weighed


class Fold:
    """Observe, assess and advance over frames, in one process, with one partition each; with forecasts if asked."""

    def __init__(self, config: Config, calendar: Calendar | None = None, *, forecast: bool = False) -> None:
        one = msgspec.structs.replace(
            config.topics, observations_partitions=1, signals_partitions=1, alerts_partitions=1, source_partitions=1
        )
        section = msgspec.structs.replace(config.forecast, enabled=forecast)
        self.config = msgspec.structs.replace(config, topics=one, clock="event", forecast=section)
        self._inline = Inline(self.config, calendar) if forecast else None
        self._detect = DetectMachine(self.config, 0, calendar)
        self._situate = SituateMachine(self.config, 0)
        self._frames = self._batches = 0

    def take(self, frame: Frame) -> Iterator[Finding]:
        """Yield all that follows from one frame."""
        observed = self._detect.observer.observe(frame, self._frames)
        yield from verdicts(observed.judged)
        yield from observed.events
        for _, batch in self._detect.batches(observed, self._frames):
            yield from self._assess(batch)
        scored = self._detect.scored(observed, frame.sensors, self._frames) if self._inline is not None else None
        if self._inline is not None and scored is not None:
            for outlook, following in self._inline.take(scored):
                yield from outlook.crossings
                if following is not None:
                    yield from self._assess(following)
        self._frames += 1

    def _assess(self, batch: SignalBatch) -> Iterator[Finding]:
        yield from _parts(self._situate.assess(batch, self._batches), self._situate)
        self._batches += 1


def backtest(
    config: Config,
    registry: Registry,
    records: Iterable[Line | Tick],
    now_ms: int,
    calendar: Calendar | None = None,
    *,
    forecast: bool = False,
) -> Iterator[Finding]:
    """Yield all that the engine finds in a time line; with ``forecast`` also what it foresees, fitted as it goes.

    ``now_ms`` is what "from the future" is measured against; nothing else depends on when this runs. Raises
    ``ConfigError`` or ``Fatal`` as the live engine does.
    """
    fold = Fold(config, calendar, forecast=forecast)
    intake = Intake(fold.config, registry)
    offsets = dict.fromkeys(topics.SOURCES, 0)

    def add(topic: str, raw: bytes) -> None:
        intake.add(topic, 0, offsets[topic], raw, now_ms)
        offsets[topic] += 1

    def flush() -> Iterator[Finding]:
        batch = intake.take(now_ms)
        yield from batch.dead_letters
        for frame in batch.frames.get(0, []):
            yield from fold.take(frame)

    for frame in intake.definitions(now_ms).values():
        yield from fold.take(frame)
    waiting = 0
    for item in records:
        if isinstance(item, Tick):
            for topic in topics.SOURCES:
                add(topic, tick_record(item))
        else:
            add(item.topic, item.raw)
        waiting += 1
        if isinstance(item, Tick) or waiting >= FRAME_RECORDS:
            yield from flush()
            waiting = 0
    yield from flush()


def from_topics(config: Config) -> Iterator[Finding]:
    """Yield what the logs in the broker amount to, each record once.

    Reads ``observations``, ``scores`` and ``signals`` to their present ends; run it when the engine has caught up.
    """
    loop = asyncio.new_event_loop()
    try:
        for name, partitions, fold in (
            (topics.OBSERVATIONS, config.topics.observations_partitions, _observe),
            (topics.SCORES, config.topics.observations_partitions, _foresee),
            (topics.SIGNALS, config.topics.signals_partitions, _assess),
        ):
            for partition in range(partitions):
                log = _read(config, config.topics.prefix + name, partition)
                fold_one = fold(config, partition)
                while (record := loop.run_until_complete(anext(log, None))) is not None:
                    yield from fold_one(record.offset, record.value)
    finally:
        loop.close()


def _observe(config: Config, partition: int) -> Any:
    machine = DetectMachine(config, partition)

    def take(offset: int, value: bytes) -> Iterator[Finding]:
        observed = machine.observer.observe(decode_frame(value), offset)
        yield from verdicts(observed.judged)
        yield from observed.events

    return take


def _foresee(config: Config, partition: int) -> Any:
    machine = ForecastMachine(config, partition)

    def take(offset: int, value: bytes) -> Iterator[Finding]:
        yield from machine.outlook(offset, value).crossings

    return take


def _assess(config: Config, partition: int) -> Any:
    machine = SituateMachine(config, partition)

    def take(offset: int, value: bytes) -> Iterator[Finding]:
        yield from _parts(machine.transitions(offset, value), machine)

    return take


def _parts(transitions: list[Transition], machine: SituateMachine) -> Iterator[Finding]:
    for transition in transitions:
        if transition.alert is not None:
            yield transition.alert
        yield transition.event
        if transition.notice is not None:
            yield transition.notice
    yield from machine.assessor.take_reports()
    yield from machine.assessor.take_weighed()


async def _read(config: Config, topic: str, partition: int) -> AsyncIterator[Any]:
    tp = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=8 << 20,
        **client_settings(config),
    )
    async with consumer:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(timeout_ms=200)).get(tp, []):
                yield record
