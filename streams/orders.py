"""Orders to role notify, written to its log: deliver a notice again, enable an endpoint."""

import asyncio
from collections.abc import Sequence

import msgspec
from aiokafka import AIOKafkaProducer

from gridbeacon.config import Config
from gridbeacon.places import partition_of
from sinks.orders import Order, Redeliver
from streams import topics
from streams.kafka import client_settings, failure

REQUEST_MS = 10_000


def partitions_of(order: Order, config: Config) -> list[int]:
    """Return the partitions of ``alerts`` that must hear of an order: the alert's; to enable an endpoint, all."""
    count = config.topics.alerts_partitions
    return [partition_of(order.notice.alert_id, count)] if isinstance(order, Redeliver) else list(range(count))


async def give(config: Config, orders: Sequence[Order]) -> None:
    """Write orders; they are durable when this returns. Raises ``Transient`` or ``ConfigError``, see ``failure``."""
    producer = AIOKafkaProducer(
        acks="all", enable_idempotence=True, request_timeout_ms=REQUEST_MS, **client_settings(config)
    )
    try:
        await producer.start()
        name = config.topics.prefix + topics.ALERTS
        acks = [
            await producer.send(name, msgspec.json.encode(order), partition=number)
            for order in orders
            for number in partitions_of(order, config)
        ]
        await asyncio.gather(*acks)
    except Exception as error:
        raise failure(error, config) from error
    finally:
        await producer.stop()
