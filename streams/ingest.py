"""The edge: batches of source records in, frames and dead letters out, offsets committed last. No state of its own.

Before a batch's frames are sent, all frames of the batch before it have been acknowledged, and frames of one
partition are sent one after the other. So whatever happens, what has reached a partition of ``observations`` is a
gapless prefix of each source partition, possibly with repeats, which ``observe`` drops by position.
"""

import asyncio
import signal
import time
from collections import deque
from typing import Any, cast

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gridbeacon.config import Config
from gridbeacon.errors import StayDown
from gridbeacon.frame import Frame
from gridbeacon.registry import Registry
from streams import telemetry, topics
from streams.assign import assignor
from streams.frames import encode_frame
from streams.intake import Batch, Intake
from streams.kafka import client_settings
from streams.rebalanced import Rebalanced, commit

log = structlog.get_logger("ingest")
DELIVER_SECS = 60.0
"""A batch that can't be delivered for this long ends the process."""


class FuseBlown(StayDown):
    """Nearly everything is being rejected: a wrong format or topic; a person must look before the topic is drained."""


class Fuse:
    """Counts rejected records among the last ones of each topic; blows when nearly all of them were."""

    def __init__(self, share: float, records: int) -> None:
        self._share, self._records = share, records
        self._batches: dict[str, deque[tuple[int, int]]] = {}

    def check(self, topic: str, records: int, rejected: int) -> None:
        """Take the counts of one batch; raise ``FuseBlown`` when the share is passed over ``records`` or more."""
        batches = self._batches.setdefault(topic, deque())
        batches.append((records, rejected))
        total, bad = (sum(counts) for counts in zip(*batches, strict=True))
        if total >= self._records and bad > self._share * total:
            raise FuseBlown(
                f"{bad} of the last {total} records of {topic} were rejected: look at `gridbeacon dead-letters list`, "
                "correct the producer (or ingest.fuse_share in the configuration), then start ingest again"
            )
        while total - batches[0][0] >= self._records:
            total -= batches.popleft()[0]


class Ingest:
    """One ingest process."""

    def __init__(self, config: Config, registry: Registry, instance: str | None) -> None:
        self._config = config
        self._intake = Intake(config, registry)
        self._fuse = Fuse(config.ingest.fuse_share, config.ingest.fuse_records)
        self._prefix = config.topics.prefix
        self._observations = self._prefix + topics.OBSERVATIONS
        self._dead_letters = self._prefix + topics.DEAD_LETTERS
        clients = client_settings(config)
        self._consumer = AIOKafkaConsumer(
            group_id=self._prefix + "ingest",
            group_instance_id=instance,
            partition_assignment_strategy=(assignor(config),),
            session_timeout_ms=30_000 if instance else 10_000,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=100,
            **clients,
        )
        # Batches must outlive DELIVER_SECS: one that expired would let later ones pass it.
        self._producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            max_batch_size=1 << 18,
            max_request_size=8 << 20,
            request_timeout_ms=120_000,
            **clients,
        )
        self._stop = asyncio.Event()
        self._delivered: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; what was read and not committed is read again by the next process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        await self._producer.start()
        self._consumer.subscribe([self._prefix + name for name in topics.SOURCES], listener=Rebalanced("ingest"))
        await self._consumer.start()
        try:
            await self._deliver(Batch.of_frames(self._intake.definitions(_now_ms())), {})
            await self._loop()
        finally:
            await self._consumer.stop()
            await self._producer.stop()

    async def _loop(self) -> None:
        settings = self._config.ingest
        delivering: asyncio.Task[None] | None = None
        last_tick = 0.0
        while not self._stop.is_set():
            records = await self._consumer.getmany(
                timeout_ms=int(settings.tick_secs * 500), max_records=settings.batch_records
            )
            batch, offsets = self._read(records)
            if self._config.clock == "arrival" and time.monotonic() - last_tick >= settings.tick_secs:
                last_tick = time.monotonic()
                for number, frame in self._intake.idle_frames(_now_ms()).items():
                    batch.frames.setdefault(number, []).append(frame)
            if delivering is not None:
                await delivering
                delivering = None
            if self._committing is not None and self._committing.done():
                self._committing.result()  # raises what went wrong
            if batch.frames or batch.dead_letters or offsets:
                # Delivered while the next batch is read and decoded.
                delivering = asyncio.create_task(self._deliver(batch, offsets))
            if batch.records < settings.batch_records // 4:
                await asyncio.sleep(settings.linger_ms / 1000)  # a little company makes frames worth their while
        if delivering is not None:
            await delivering
        if self._committing is not None:
            await self._committing

    def _read(self, records: dict[TopicPartition, list[Any]]) -> tuple[Batch, dict[TopicPartition, int]]:
        """Decode what was polled; raise ``FuseBlown`` before anything of a hopeless batch is sent."""
        now_ms = _now_ms()
        offsets: dict[TopicPartition, int] = {}
        add = self._intake.add
        for tp, messages in records.items():
            name = tp.topic.removeprefix(self._prefix)
            partition = tp.partition
            for message in messages:
                add(name, partition, message.offset, message.value, now_ms)
            offsets[tp] = messages[-1].offset + 1
            telemetry.counter("records_in_total").labels(topic=name).inc(len(messages))
        batch = self._intake.take(now_ms)
        rejected: dict[str, set[tuple[int, int]]] = {}
        for letter in batch.dead_letters:
            rejected.setdefault(letter.topic, set()).add((letter.partition, letter.offset))
        for tp in records:
            name = tp.topic.removeprefix(self._prefix)
            bad = sum(1 for partition, _ in rejected.get(name, ()) if partition == tp.partition)
            self._fuse.check(name, len(records[tp]), bad)
        return batch, offsets

    async def _deliver(self, batch: Batch, offsets: dict[TopicPartition, int]) -> None:
        """Send a batch and wait for the broker; then its offsets may be committed."""
        async with asyncio.timeout(DELIVER_SECS):
            frames = {number: deque(frames) for number, frames in batch.frames.items() if frames}
            letters = [
                await self._producer.send(
                    self._dead_letters,
                    msgspec.json.encode(letter),
                    partition=letter.partition % self._config.topics.source_partitions,
                )
                for letter in batch.dead_letters
            ]
            while frames:
                sent = [await self._send(number, queue.popleft()) for number, queue in frames.items()]
                await asyncio.gather(*sent)
                frames = {number: queue for number, queue in frames.items() if queue}
            await asyncio.gather(*letters)
        self._count(batch)
        # The next batch need not wait for this: offsets may follow late, and what is read again is dropped by position.
        self._delivered |= offsets
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        """Commit what has been delivered, until there is nothing new."""
        while self._delivered:
            offsets, self._delivered = self._delivered, {}
            await commit(self._consumer, offsets)

    async def _send(self, number: int, frame: Frame) -> "asyncio.Future[Any]":
        sent = await self._producer.send(self._observations, encode_frame(frame), partition=number)
        return cast("asyncio.Future[Any]", sent)

    def _count(self, batch: Batch) -> None:
        telemetry.counter("observations_total").inc(batch.observations)
        telemetry.counter("grid_events_total").inc(batch.events)
        telemetry.counter("frames_total").inc(sum(len(frames) for frames in batch.frames.values()))
        for reason, count in batch.rejected.items():
            telemetry.counter("rejected_total").labels(reason=reason).inc(count)
        telemetry.counter("ignored_fields_total").inc(sum(batch.ignored_fields.values()))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def run(config: Config, registry: Registry, instance: str | None = None) -> None:
    """Run the role ingest until told to stop. Raises ``FuseBlown`` when nearly everything is rejected."""
    await Ingest(config, registry, instance).run()
