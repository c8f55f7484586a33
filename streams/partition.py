"""One owned partition of a stateful role: its state, the next record expected, and the producer that proves ownership.

Own      Opening starts a transactional producer whose id is the role and the partition. That fences whoever owned
         the partition before, and ends what that one had open.
Restore  Then the partition of the compacted state topic is read (read-committed, to the last stable offset): the
         machine's keys, and the partition record, the offset of the last record that they contain.
Process  Records follow densely from there: an older one is ignored, a gap is fatal. Outputs are sent at once.
Save     A checkpoint waits until the broker has acknowledged all outputs so far, then writes the changed keys and
         the partition record in one transaction.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gridbeacon.errors import Fatal

APPLIED = b"!applied"
TRANSACTION_SECS = 10.0
"""The broker aborts a transaction that stays open this long, so that a dead owner holds up nobody."""


class Output(NamedTuple):
    """One message that a machine wants sent: full topic name, partition, bytes."""

    topic: str
    partition: int
    value: bytes


class Machine(Protocol):
    """The pure state of one partition of a log, as the shell needs it."""

    def apply(self, offset: int, value: bytes) -> list[Output]:
        """Take the record at ``offset``; return what is to be sent."""

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; None removes the key."""

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""


class Applied(msgspec.Struct, frozen=True):
    """The partition record: the offset of the last record that the saved state contains."""

    offset: int


Send = Callable[[Output], Awaitable["asyncio.Future[Any]"]]


class Partition:
    """The shell around one machine. ``lock`` is held while a record is applied or a snapshot taken."""

    def __init__(
        self, number: int, machine: Machine, *, source: str, state: str, group: str, clients: dict[str, Any], send: Send
    ) -> None:
        self.number = number
        self.machine = machine
        self.next = self.saved = 0
        self.restored_keys = 0
        self.saved_at = time.monotonic()
        self.lock = asyncio.Lock()
        self._source = TopicPartition(source, number)
        self._state = TopicPartition(state, number)
        self._group = group
        self._clients = clients
        self._send = send
        self._outputs: list[asyncio.Future[Any]] = []
        self._dirty = False
        self._owner = AIOKafkaProducer(
            transactional_id=f"{group}-{number}",
            transaction_timeout_ms=int(TRANSACTION_SECS * 1000),
            # 10,000 states of a kilobyte leave in 16 batches.
            max_batch_size=1 << 20,
            # Kafka refuses the first produce of a transaction now and then; the default waits 100 ms each time.
            retry_backoff_ms=20,
            max_request_size=8 << 20,
            **clients,
        )

    async def open(self) -> "Partition":
        """Fence the previous owner and restore; afterwards ``next`` is the first record to apply."""
        await self._owner.start()
        reader = AIOKafkaConsumer(
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 << 20,
            **self._clients,
        )
        async with reader:
            reader.assign([self._state])
            self.next = (await reader.beginning_offsets([self._source]))[self._source]
            end = (await reader.end_offsets([self._state]))[self._state]
            keys: dict[bytes, bytes | None] = {}
            # The end is a control record, which no fetch returns: only the position passes it.
            while await reader.position(self._state) < end:
                for record in (await reader.getmany(timeout_ms=100)).get(self._state, ()):
                    keys[record.key] = record.value
        applied = keys.pop(APPLIED, None)
        if applied is not None:
            self.next = msgspec.json.decode(applied, type=Applied).offset + 1
        elif keys:
            raise Fatal(f"{self._state.topic} partition {self.number} holds states but does not say up to where")
        for key, value in keys.items():
            if value is not None:
                self.machine.restore(key, value)
                self.restored_keys += 1
        self.saved = self.next
        return self

    async def take(self, offset: int, value: bytes) -> bool:
        """Apply the record at ``offset`` unless the state contains it already; return whether it was applied.

        Raises ``Fatal`` on a gap: a record would be lost without a trace.
        """
        async with self.lock:
            if offset < self.next:
                return False
            if offset > self.next:
                raise Fatal(
                    f"{self._source.topic} partition {self.number} jumped from {self.next} to {offset}: records are "
                    "missing (were they deleted by retention while the role was down?)"
                )
            await self.emit(self.machine.apply(offset, value))
            self.next = offset + 1
            return True

    async def emit(self, outputs: list[Output]) -> None:
        """Send outputs now; the next checkpoint waits for their acknowledgement. Hold ``lock``."""
        for output in outputs:
            self._outputs.append(await self._send(output))

    def touch(self) -> None:
        """Say that the machine changed without a record (a delivery ended): the next checkpoint writes it."""
        self._dirty = True

    async def checkpoint(self) -> int:
        """Save what changed since the last one in one transaction; return how many states that were."""
        async with self.lock:
            if self.next == self.saved and not self._dirty:
                self.saved_at = time.monotonic()
                return 0
            outputs, self._outputs = self._outputs, []
            changed = self.machine.changed()
            applied = self.next - 1
            self._dirty = False
        await asyncio.gather(*outputs)
        await self._owner.begin_transaction()
        acks = [
            await self._owner.send_batch(batch, self._state.topic, partition=self.number)
            for batch in self._batches([*changed, (APPLIED, msgspec.json.encode(Applied(applied)))])
        ]
        await self._owner.send_offsets_to_transaction({self._source: applied + 1}, self._group)
        await asyncio.gather(*acks)  # aiokafka commits a transaction even if one of its batches has failed
        await self._owner.commit_transaction()
        self.saved = applied + 1
        self.saved_at = time.monotonic()
        return len(changed)

    def _batches(self, records: list[tuple[bytes, bytes | None]]) -> Iterator[Any]:
        """Yield batches of records for the state topic: filled by hand, a tenth of the time that ``send`` takes."""
        batch = self._owner.create_batch()
        for key, value in records:
            if batch.append(key=key, value=value, timestamp=None) is None:  # full
                yield batch
                batch = self._owner.create_batch()
                if batch.append(key=key, value=value, timestamp=None) is None:
                    raise Fatal(f"one state of {len(value or b'')} bytes is more than a batch holds")
        batch.close()
        yield batch

    async def close(self) -> None:
        """End the ownership (what is not saved is redone by the next owner)."""
        await self._owner.stop()
