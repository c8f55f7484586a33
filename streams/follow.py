"""What a viewer follows: the logs of alerts and deliveries from their begin, and the time. In no consumer group.

Nothing is committed and nothing is written: any number of viewers may follow. While the broker is away it is tried
again for ever; what was seen stays seen.
"""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gridbeacon.config import Config
from streams import topics
from streams.kafka import client_settings, explain

log = structlog.get_logger("follow")
RETRY_SECS = 2.0
IDLE_MS = 1000
FETCH_WAIT_MS = 100
"""A partition that was just read is asked for again when the fetch of the others is back: its news wait that long."""

Took = Callable[[str, int, int, bytes], None]
"""Called with (topic without prefix, partition, offset, value)."""


async def follow(config: Config, took: Took, said: Callable[[str | None], None]) -> None:
    """Give every message to ``took`` until cancelled.

    ``said`` hears None once what was there at the start has been taken, and a sentence when the broker is away.
    """
    while True:
        try:
            await _follow(config, took, said)
        except (KafkaError, OSError, _NotThere) as error:
            said(str(error) if isinstance(error, _NotThere) else explain(error, config))
            log.warning("the log can't be followed", detail=str(error))
        await asyncio.sleep(RETRY_SECS)


class _NotThere(Exception):
    """The topics have not been made."""


async def _follow(config: Config, took: Took, said: Callable[[str | None], None]) -> None:
    prefix = config.topics.prefix
    consumer = AIOKafkaConsumer(
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        **client_settings(config),
    )
    await consumer.start()
    try:
        parts = [
            TopicPartition(prefix + name, number)
            for name, count in (
                (topics.ALERTS, config.topics.alerts_partitions),
                (topics.DELIVERIES, config.topics.alerts_partitions),
                (topics.SIGNALS, config.topics.signals_partitions),
            )
            for number in range(count)
        ]
        if not await _all_there(consumer, parts):
            raise _NotThere("the topics have not been made; run gridbeacon init, or gridbeacon up")
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        for part in parts:  # of the signals only the time counts, and only the latest
            if part.topic == prefix + topics.SIGNALS:
                consumer.seek(part, max(0, ends[part] - 1))
        waiting = {part for part in parts if ends[part] and part.topic != prefix + topics.SIGNALS}
        if not waiting:
            said(None)
        while True:
            came = await consumer.getmany(timeout_ms=IDLE_MS, max_records=5000)
            for part, records in came.items():
                name = part.topic.removeprefix(prefix)
                for record in records:
                    took(name, part.partition, record.offset, record.value)
            if waiting:
                # Behind the last record there may be a marker of a transaction, which is never handed out.
                waiting = {part for part in waiting if await consumer.position(part) < ends[part]}
                if not waiting:
                    said(None)
    finally:
        await consumer.stop()


async def _all_there(consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> bool:
    known = await consumer.topics()
    return {part.topic for part in parts} <= set(known)
