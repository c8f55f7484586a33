"""Write a time line of recorded data to the source topics: in order per source, with ticks for ``clock: event``."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

from gridbeacon.config import Config
from gridbeacon.model import Tick
from gridbeacon.places import partition_of
from gridbeacon.timeline import Line, tick_record
from streams.kafka import client_settings, failure
from streams.topics import SOURCES

IN_FLIGHT = 5000
"""Records that wait for the broker's word at most."""
DELIVERY_MS = 180_000
"""A broker that goes away in the middle is waited for this long: a restart of it is no reason to begin anew."""
TICK_SECS = 1.0
"""At a limited speed an idle line still says the time this often."""


async def replay(
    config: Config,
    line: Iterable[Line | Tick],
    *,
    speed: float | None = None,
    on_record: Callable[[int], None] = lambda _: None,
) -> int:
    """Write a time line to the topics and return how many records (ticks not counted) the broker has acknowledged.

    ``speed`` is event time over real time (60.0: an hour in a minute), None for as fast as it goes. ``on_record``
    hears the event time of each record. Ticks are written for ``clock: event`` alone: every partition of every
    source topic gets each. Raises ``Transient`` or ``ConfigError`` when the broker can't be used.
    """
    ticking = config.clock == "event"
    partitions = config.topics.source_partitions
    prefix = config.topics.prefix
    began = time.monotonic()
    first_ms: int | None = None
    waiting: list[Any] = []
    count = 0
    producer = AIOKafkaProducer(
        acks="all", enable_idempotence=True, linger_ms=5, request_timeout_ms=DELIVERY_MS, **client_settings(config)
    )

    async def tick(time_ms: int) -> None:
        if ticking:
            raw = tick_record(Tick("replay", time_ms))
            waiting.extend(
                [
                    await producer.send(prefix + name, raw, partition=number)
                    for name in SOURCES
                    for number in range(partitions)
                ]
            )

    try:
        await producer.start()
        for item in line:
            first_ms = item.time_ms if first_ms is None else first_ms
            if speed is not None:
                due = began + (item.time_ms - first_ms) / 1000 / speed
                while (left := due - time.monotonic()) > 0:
                    await asyncio.sleep(min(left, TICK_SECS))
                    if left > TICK_SECS:
                        await tick(first_ms + int((time.monotonic() - began) * speed * 1000) - 1)
            if isinstance(item, Tick):
                await tick(item.time_ms)
            else:
                number = partition_of(item.key, partitions)
                waiting.append(await producer.send(prefix + item.topic, item.raw, partition=number))
                count += 1
                on_record(item.time_ms)
            if len(waiting) >= IN_FLIGHT:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
    except Exception as error:
        raise failure(error, config) from error
    finally:
        await producer.stop()
    return count
