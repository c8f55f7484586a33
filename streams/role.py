"""A stateful role: a Faust agent on one log, with a pure machine per partition and one transaction per checkpoint.

Faust does the group, the flow and the agent. Its acknowledgements, tables and producer are not used: what counts is
in ``partition.py``. Any unexpected error ends the process at once; nothing after the last transaction counts, so
there is nothing to clean up, and the supervisor starts a new one.
"""

import asyncio
import functools
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import faust
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import FlowControlEvent

from gridbeacon.config import Config
from gridbeacon.errors import Fatal
from streams import ready, telemetry
from streams.assign import assignor
from streams.kafka import bootstrap, client_settings
from streams.partition import TRANSACTION_SECS, Machine, Output, Partition

log = structlog.get_logger("role")
STALL_SECS = 60.0
"""Records waiting and none applied for this long: something hangs, and a new process is the cure."""
SESSION_SECS = 30.0


def or_exit(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return ``function`` with any error, being fenced included, ending the process."""

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the one place where everything ends up, and where everything ends
            die(error)

    return run


def die(error: BaseException) -> None:
    """Say in one line what went wrong and end the process."""
    log.critical("process ends", error=type(error).__name__, detail=str(error), exc_info=not isinstance(error, Fatal))
    os._exit(1)


class FlowControl(FlowControlEvent):
    """Every resume empties the stream queues, and Faust resumes again after it has sought: frames would be lost."""

    def resume(self) -> None:
        """Resume unless already flowing."""
        if not self.is_active():
            super().resume()


class Role:
    """One stateful role of one process.

    ``name`` is the role's word; ``source`` and ``state`` full topic names; ``machine`` makes the empty machine of a
    partition. ``instance`` names a static member of the group: a worker that was killed is back in seconds.
    """

    def __init__(
        self,
        config: Config,
        *,
        name: str,
        source: str,
        state: str,
        partitions: int,
        checkpoint_secs: float,
        machine: Callable[[int], Machine],
        instance: str | None = None,
    ) -> None:
        self.config = config
        self.name = name
        self.group = f"{config.topics.prefix}{name}"
        self.parts: dict[int, Partition] = {}
        self._source, self._state, self._partitions = source, state, partitions
        self._checkpoint_secs = checkpoint_secs
        self._machine = machine
        self._changing = asyncio.Lock()  # one of: assignment, revocation, checkpoint, shutdown
        self._clients = client_settings(config)
        self._producer: AIOKafkaProducer | None = None
        self.app = self._build(instance)

    def run(self) -> None:
        """Work until told to stop (SIGTERM, SIGINT); the process ends with it."""
        worker = faust.Worker(self.app, loglevel="WARNING", quiet=True, redirect_stdouts=False, override_logging=False)
        worker.execute_from_commandline()

    def task(self, function: Callable[[], Awaitable[None]]) -> None:
        """Run ``function`` beside the agent for as long as the process works."""
        self.app.task(or_exit(function))

    async def send(self, output: Output) -> "asyncio.Future[Any]":
        """Send one message in order; return the acknowledgement. A failure of it ends the process."""
        if self._producer is None:
            # Batches must outlive every other limit: one that expired would let later ones pass it.
            self._producer = AIOKafkaProducer(
                acks="all",
                enable_idempotence=True,
                max_batch_size=1 << 18,
                max_request_size=8 << 20,
                request_timeout_ms=120_000,
                **self._clients,
            )
            await self._producer.start()
        future = await self._producer.send(output.topic, output.value, partition=output.partition)
        future.add_done_callback(_must_succeed)
        return cast("asyncio.Future[Any]", future)

    def _build(self, instance: str | None) -> Any:
        role, source_name = self, self._source

        class Thread(driver.AIOKafkaConsumerThread):
            """Divides the partitions by our own count of them."""

            def _create_worker_consumer(self, transport: Any) -> Any:
                consumer = super()._create_worker_consumer(transport)
                # Faust has no setting for it.
                consumer._partition_assignment_strategy = (assignor(role.config),)  # noqa: SLF001
                return consumer

        class Consumer(driver.Consumer):
            """Reads from where the states end."""

            def _new_consumer_thread(self) -> Any:
                return Thread(self, loop=self.loop, beacon=self.beacon)

            def on_buffer_full(self, tp: Any) -> None:
                """Do nothing: with every partition 'full' Faust sleeps a second; the bounded queue suffices."""

            async def perform_seek(self) -> None:
                """Start where the states end, not at the group offset."""
                await self._thread.seek_wait(
                    {TopicPartition(source_name, number): part.next for number, part in role.parts.items()}
                )

        datadir = Path(self.config.data_dir) / "faust" / (instance or self.name)
        datadir.mkdir(parents=True, exist_ok=True)  # Faust wants it, though nothing that counts is kept there
        app = faust.App(
            self.group,
            store="memory://",
            datadir=str(datadir),
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            topic_partitions=self._partitions,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_buffer_maxsize=256,
            broker_session_timeout=SESSION_SECS if instance else 10.0,
            broker_heartbeat_interval=2.5,
            broker_rebalance_timeout=30.0,
            broker_request_timeout=40.0,
            broker_max_poll_records=500,
            consumer_group_instance_id=instance,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=8 << 20,
            **_faust_connection(self.config),
        )
        app.transport.Consumer = Consumer  # type: ignore[misc]
        app.flow_control = FlowControl()
        # acks=False: Faust neither tracks nor commits the topic.
        topic = app.topic(
            self._source,
            acks=False,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        app.on_rebalance_complete.connect(or_exit(self._assigned), weak=False)
        app.on_partitions_revoked.connect(or_exit(self._release), weak=False)
        app.on_before_shutdown.connect(or_exit(self._release), weak=False)
        app.agent(topic, name=self.name)(or_exit_stream(self._work))
        app.task(or_exit(self._timer))
        return app

    async def _work(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            part = self.parts.get(message.partition)
            # A frame of an earlier assignment may still have been waiting.
            if part is None or message.generation_id != self.app.consumer_generation_id:
                continue
            await part.take(message.offset, message.value)

    async def _assigned(self, *_: Any, **__: Any) -> None:
        """Own and restore; without tables Faust awaits this before it seeks and resumes the flow."""
        async with self._changing:
            if self.parts:
                raise Fatal("partitions were assigned without the earlier ones having been revoked")
            started = time.monotonic()
            numbers = sorted(tp.partition for tp in self.app.consumer.assignment() if tp.topic == self._source)
            opened = await asyncio.gather(*[self._partition(number).open() for number in numbers])
            self.parts.update(zip(numbers, opened, strict=True))
            telemetry.gauge("restored_keys").labels(role=self.name).set(sum(p.restored_keys for p in opened))
            log.info(
                "assigned",
                role=self.name,
                next={p.number: p.next for p in opened},
                restored=sum(p.restored_keys for p in opened),
                secs=round(time.monotonic() - started, 2),
            )
            ready.tell()

    def _partition(self, number: int) -> Partition:
        return Partition(
            number,
            self._machine(number),
            source=self._source,
            state=self._state,
            group=self.group,
            clients=self._clients,
            send=self.send,
        )

    async def _release(self, *_: Any, **__: Any) -> None:
        """Save and give up what is owned; the group waits until this returns."""
        async with self._changing:
            owned = list(self.parts.values())
            self.parts.clear()
            await self._save(owned)
            await asyncio.gather(*[part.close() for part in owned])
            if owned:
                log.info("released", role=self.name, partitions=sorted(part.number for part in owned))

    async def _save(self, parts: list[Partition]) -> None:
        async with asyncio.timeout(3 * TRANSACTION_SECS):  # aiokafka itself retries for ever
            for part in parts:  # one by one: records get their turn in between
                started = time.monotonic()
                if await part.checkpoint():
                    telemetry.histogram("checkpoint_seconds").labels(role=self.name).observe(time.monotonic() - started)
                    telemetry.gauge("last_checkpoint_timestamp_seconds").labels(role=self.name).set(time.time())

    async def _timer(self) -> None:
        progress: dict[int, tuple[int, float]] = {}
        while not self.app.should_stop:
            await asyncio.sleep(self._checkpoint_secs)
            async with self._changing:
                await self._save(list(self.parts.values()))
                self._watch(progress)

    def _watch(self, progress: dict[int, tuple[int, float]]) -> None:
        """Raise ``Fatal`` when a partition has records waiting and has applied none for ``STALL_SECS``."""
        total = 0
        for number, part in self.parts.items():
            lag = (self.app.consumer.highwater(TopicPartition(self._source, number)) or 0) - part.next
            total += max(lag, 0)
            at, since = progress.get(number, (-1, 0.0))
            if lag <= 0 or at != part.next:
                progress[number] = (part.next, time.monotonic())
            elif time.monotonic() - since > STALL_SECS:
                raise Fatal(f"{self._source} partition {number}: {lag} records wait, none applied for {STALL_SECS} s")
        telemetry.gauge("lag_records").labels(role=self.name).set(total)


def _faust_connection(config: Config) -> dict[str, Any]:
    """Return how Faust reaches the broker: the same connection as ``client_settings``, in Faust's words."""
    settings: dict[str, Any] = {"broker": [f"kafka://{host}" for host in bootstrap(config).split(",")]}
    context = client_settings(config).get("ssl_context")
    if config.broker.security_protocol.startswith("SASL"):
        settings["broker_credentials"] = faust.SASLCredentials(
            username=config.broker.username,
            password=config.broker.password,
            mechanism=config.broker.sasl_mechanism,
            ssl_context=context,
        )
    elif context is not None:
        settings["broker_credentials"] = context
    return settings


def or_exit_stream(function: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """Return an agent function (Faust looks at the name of its one parameter) that ends the process on any error."""

    @functools.wraps(function)
    async def agent(stream: Any) -> None:
        await or_exit(function)(stream)

    return agent


def _must_succeed(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        die(error)
