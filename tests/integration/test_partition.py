"""One owned partition on the real broker: restore, dense offsets, fencing, one transaction per checkpoint."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced

from gridbeacon.config import Config
from gridbeacon.errors import Fatal
from streams import admin
from streams.kafka import client_settings
from streams.partition import Output, Partition

pytestmark = pytest.mark.integration


class Adder:
    """A machine that adds up what it is told, and passes the sum on."""

    def __init__(self, topic: str) -> None:
        self.total = 0
        self._topic = topic

    def apply(self, offset: int, value: bytes) -> list[Output]:
        self.total += int(value)
        return [Output(self._topic, 0, b"%d" % self.total)]

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        return [(b"total", b"%d" % self.total)]

    def restore(self, key: bytes, value: bytes) -> None:
        assert key == b"total"
        self.total = int(value)


async def with_partitions(config: Config, work: Callable[[Callable[[], Awaitable[Partition]]], Awaitable[Any]]) -> None:
    """Run ``work`` with a function that opens the partition anew, as a new process would."""
    admin.init(config)
    prefix = config.topics.prefix
    clients = client_settings(config)
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **clients)
    await producer.start()
    opened: list[Partition] = []

    async def send(output: Output) -> Any:
        return await producer.send(output.topic, output.value, partition=output.partition)

    async def open_one() -> Partition:
        part = Partition(
            0,
            Adder(prefix + "signals"),
            source=prefix + "observations",
            state=prefix + "detect.state",
            group=prefix + "detect",
            clients=clients,
            send=send,
        )
        opened.append(part)
        return await part.open()

    try:
        await work(open_one)
    finally:
        for part in opened:
            await part.close()
        await producer.stop()


def test_what_is_not_in_a_checkpoint_is_done_again(city: Config) -> None:
    async def work(open_one: Callable[[], Awaitable[Partition]]) -> None:
        first = await open_one()
        assert first.next == 0
        for offset in range(3):
            assert await first.take(offset, b"10")
        assert await first.checkpoint() == 1
        assert await first.take(3, b"1")  # never saved
        second = await open_one()
        assert (second.next, second.machine.total) == (3, 30)
        assert not await second.take(2, b"10"), "what the state holds already is a repeat"
        assert await second.take(3, b"1")
        assert second.machine.total == 31

    asyncio.run(with_partitions(city, work))


def test_a_checkpoint_without_news_writes_nothing(city: Config) -> None:
    async def work(open_one: Callable[[], Awaitable[Partition]]) -> None:
        part = await open_one()
        assert await part.checkpoint() == 0
        await part.take(0, b"1")
        assert await part.checkpoint() == 1
        assert await part.checkpoint() == 0
        part.touch()
        assert await part.checkpoint() == 1

    asyncio.run(with_partitions(city, work))


def test_a_new_owner_fences_the_old_one(city: Config) -> None:
    async def work(open_one: Callable[[], Awaitable[Partition]]) -> None:
        zombie = await open_one()
        await zombie.take(0, b"1")
        owner = await open_one()
        await owner.take(0, b"1")
        assert await owner.checkpoint() == 1
        with pytest.raises(ProducerFenced):
            await zombie.checkpoint()
        third = await open_one()
        assert (third.next, third.machine.total) == (1, 1)

    asyncio.run(with_partitions(city, work))


def test_a_gap_ends_the_process(city: Config) -> None:
    async def work(open_one: Callable[[], Awaitable[Partition]]) -> None:
        part = await open_one()
        with pytest.raises(Fatal, match="records are missing"):
            await part.take(5, b"1")

    asyncio.run(with_partitions(city, work))


def test_states_that_do_not_say_up_to_where_end_the_process(city: Config) -> None:
    async def work(open_one: Callable[[], Awaitable[Partition]]) -> None:
        producer = AIOKafkaProducer(acks="all", **client_settings(city))
        await producer.start()
        await producer.send_and_wait(city.topics.prefix + "detect.state", key=b"total", value=b"1", partition=0)
        await producer.stop()
        with pytest.raises(Fatal, match="does not say up to where"):
            await open_one()

    asyncio.run(with_partitions(city, work))
