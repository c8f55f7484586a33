"""The role store: what was judged, decided, delivered and refused -> rows in ClickHouse. Offsets move last.

Two lanes, so that no alert waits behind observations. A batch that ClickHouse can't take now is tried again for ever,
with the same token; one that it refuses is halved until the row that it refuses is found, which becomes a dead letter
with the position of its source record. After a crash a batch is written again: every table drops the repeat by its key.
"""

import asyncio
import hashlib
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from forecasts.requests import is_answer
from gridbeacon.config import Config
from gridbeacon.errors import ConfigError, Fatal, GridbeaconError, Transient
from gridbeacon.model import DeadLetter, Delivery, SituationReport, Transition, Weighed
from gridbeacon.reasons import Rejection, Stage
from sinks import rows
from sinks.clickhouse import ClickHouseSink, Sink
from sinks.orders import order_of
from streams import forecast_rows, telemetry, topics
from streams.assign import assignor
from streams.forecast_frames import decode_forecasts
from streams.frames import decode_scored
from streams.kafka import client_settings
from streams.rebalanced import Rebalanced, commit

log = structlog.get_logger("store")
FIRST_RETRY_SECS, LAST_RETRY_SECS = 0.25, 5.0
POLL_MS = 50
_DAY_MS = 86_400_000
Tables = dict[str, rows.Columns]

_transition = msgspec.json.Decoder(Transition)
_report = msgspec.json.Decoder(SituationReport | tuple[Weighed, ...])
_delivery = msgspec.json.Decoder(Delivery)
_letter = msgspec.json.Decoder(DeadLetter)


class Message(NamedTuple):
    """One message that is to be stored: topic without prefix, position, bytes."""

    topic: str
    partition: int
    offset: int
    value: bytes


class Lane(NamedTuple):
    """Topics that are stored together, and how long they wait for company."""

    name: str
    topics: tuple[str, ...]
    linger_share: float


OBSERVATIONS_LANE = Lane("observations", (topics.SCORES, topics.FORECASTS), 1.0)
LANES = (
    OBSERVATIONS_LANE,
    Lane("alerts", (topics.ALERTS, topics.SITUATIONS, topics.DELIVERIES, topics.DEAD_LETTERS), 0.2),
)


def group_of(config: Config, lane: Lane) -> str:
    """Return the consumer group of a lane."""
    return f"{config.topics.prefix}store.{lane.name}"


def tables_of(messages: list[Message]) -> Tables:
    """Return the rows of messages by table. Raises ``Fatal`` on a message that is not of our own making."""
    found: Tables = {}

    def add(table: str, columns: rows.Columns) -> None:
        rows.extend(found.setdefault(table, {}), columns)

    transitions = [
        _transition.decode(m.value) for m in messages if m.topic == topics.ALERTS and order_of(m.value) is None
    ]
    for message in messages:
        if message.topic == topics.FORECASTS:
            said = decode_forecasts(message.value)
            if said.rows is not None:
                add("forecasts", forecast_rows.forecasts(said.rows))
            add("crossings", forecast_rows.crossings(said.crossings))
            add("forecast_audit", forecast_rows.audits(said.audits))
        elif message.topic == topics.SCORES and not is_answer(message.value):  # fits are forecast's own
            scored = decode_scored(message.value)
            add("observations", rows.observations(scored.judged))
            add("grid_events", rows.grid_events(scored.events))
    # The alert itself comes last: who sees it finds its transitions and notices there.
    add("alert_events", rows.alert_events(t.event for t in transitions))
    add("notices", rows.notices(t.notice for t in transitions if t.notice is not None))
    silenced = ((t.silence, t.event.version) for t in transitions if t.silence is not None)
    add("silences", rows.silences(silenced))
    add("alerts", rows.alerts(t.alert for t in transitions if t.alert is not None))
    reports = [_report.decode(m.value) for m in messages if m.topic == topics.SITUATIONS]
    add("situations", rows.situations(r for r in reports if isinstance(r, SituationReport)))
    add("weighed", rows.weighed(one for r in reports if isinstance(r, tuple) for one in r))
    add("deliveries", rows.deliveries(_delivery.decode(m.value) for m in messages if m.topic == topics.DELIVERIES))
    letters = (_letter.decode(m.value) for m in messages if m.topic == topics.DEAD_LETTERS)
    add("dead_letters", rows.dead_letters(letters))
    return {table: columns for table, columns in found.items() if rows.length(columns)}


def token_of(table: str, messages: list[Message]) -> str:
    """Return the name of one insert: the same for the same messages."""
    at = [f"{m.topic}/{m.partition}/{m.offset}" for m in messages]
    return hashlib.sha256("|".join([table, *at]).encode()).hexdigest()


class Refused(NamedTuple):
    """One row that the database will never take."""

    table: str
    row: dict[str, Any]
    message: Message
    detail: str


def letter_of(refused: Refused, now_ms: int, max_bytes: int) -> DeadLetter:
    """Return the dead letter of a row, with the position of its source record where the row has one."""
    row, message = refused.row, refused.message
    body = msgspec.json.encode(row, enc_hook=str)
    traced = {"topic", "partition", "offset", "item"} <= row.keys()
    return DeadLetter(
        reason=Rejection.NOT_STORABLE,
        stage=Stage.STORE,
        detail=f"{refused.table}: {refused.detail}",
        topic=row["topic"] if traced else message.topic,
        partition=row["partition"] if traced else message.partition,
        offset=row["offset"] if traced else message.offset,
        index=row["item"] if traced else 0,
        rejected_ms=now_ms,
        body=body[:max_bytes],
        body_bytes=len(body),
    )


class Writer:
    """Writes messages to a sink until they are there. ``refused`` gets each row that the sink will never take."""

    def __init__(self, sink: Sink, refused: Callable[[Refused], None], pause: Callable[[float], None]) -> None:
        self._sink = sink
        self._refused = refused
        self._pause = pause

    def write(self, messages: list[Message]) -> None:
        """Return when every row is stored or refused. Raises ``ConfigError`` and ``Fatal``."""
        try:
            for table, columns in tables_of(messages).items():
                self._insist(table, columns, token_of(table, messages))
        except (ConfigError, Fatal):
            raise
        except GridbeaconError:
            if len(messages) == 1:
                for table, columns in tables_of(messages).items():
                    self._split(table, columns, token_of(table, messages), messages[0])
                return
            half = len(messages) // 2
            self.write(messages[:half])
            self.write(messages[half:])

    def _split(self, table: str, columns: rows.Columns, token: str, message: Message) -> None:
        """Write the rows of one message, halving them until those that are refused stand alone."""
        try:
            self._insist(table, columns, token)
        except (ConfigError, Fatal):
            raise
        except GridbeaconError as error:
            count = rows.length(columns)
            if count == 1:
                row = {name: column[0] for name, column in columns.items()}
                self._refused(Refused(table, row, message, str(error)))
                return
            half = count // 2
            self._split(table, {name: c[:half] for name, c in columns.items()}, f"{token}0", message)
            self._split(table, {name: c[half:] for name, c in columns.items()}, f"{token}1", message)

    def _insist(self, table: str, columns: rows.Columns, token: str) -> None:
        wait_secs = FIRST_RETRY_SECS
        while True:
            try:
                count = self._sink.write(table, columns, token)
            except Transient as error:
                if wait_secs == FIRST_RETRY_SECS:
                    log.warning("waiting for the database", detail=str(error))
                telemetry.counter("store_retries_total").inc()
                self._pause(wait_secs)
                wait_secs = min(2 * wait_secs, LAST_RETRY_SECS)
            else:
                telemetry.counter("stored_rows_total").labels(table=table).inc(count)
                return


class Stopped(Exception):
    """The process was told to stop while it waited for the database; what is not stored is stored by the next one."""


class Store:
    """One lane of one process."""

    def __init__(self, config: Config, lane: Lane, instance: str | None, stop: asyncio.Event) -> None:
        self._config = config
        self._lane = lane
        self._stop = stop
        self._prefix = config.topics.prefix
        self._linger_secs = config.store.linger_secs * lane.linger_share
        clients = client_settings(config)
        self._consumer = AIOKafkaConsumer(
            group_id=group_of(config, lane),
            group_instance_id=f"{instance}-{lane.name}" if instance else None,
            partition_assignment_strategy=(assignor(config),),
            session_timeout_ms=30_000 if instance else 10_000,
            # While the database is away nothing is polled, however long that lasts.
            max_poll_interval_ms=_DAY_MS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 << 20,
            fetch_max_wait_ms=POLL_MS,
            **clients,
        )
        self._consumer.subscribe(
            [self._prefix + name for name in lane.topics], listener=Rebalanced(f"store.{lane.name}")
        )
        self._letters = AIOKafkaProducer(acks="all", enable_idempotence=True, max_request_size=8 << 20, **clients)
        self._sink = ClickHouseSink(config)
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(self._sink, self._refuse, self._wait)

    async def run(self) -> None:
        """Store until told to stop; what was read and is not stored then is read again by the next process."""
        await self._letters.start()
        await self._consumer.start()
        try:
            while not self._stop.is_set():
                messages, offsets = await self._gather()
                if not messages:
                    continue
                await asyncio.to_thread(self._writer.write, messages)
                await commit(self._consumer, offsets)
        except Stopped:
            return
        finally:
            await self._consumer.stop()
            await self._letters.stop()
            self._sink.close()

    async def _gather(self) -> tuple[list[Message], dict[TopicPartition, int]]:
        """Return what came in until there is enough of it, or it has waited long enough."""
        messages: list[Message] = []
        offsets: dict[TopicPartition, int] = {}
        size, until = 0, float("inf")
        while not self._stop.is_set() and time.monotonic() < until:
            came = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=500)
            for tp, records in came.items():
                name = tp.topic.removeprefix(self._prefix)
                messages += [Message(name, tp.partition, r.offset, r.value) for r in records]
                offsets[tp] = records[-1].offset + 1
                size += sum(len(r.value) for r in records)
            if messages and until == float("inf"):
                until = time.monotonic() + self._linger_secs
            if size >= self._config.store.batch_rows * ROW_BYTES:
                break
        return messages, offsets

    def _refuse(self, refused: Refused) -> None:
        """Send a row that can't be stored to the dead letters (called from the writing thread)."""
        if refused.table == "dead_letters":
            raise Fatal(f"a dead letter can't be stored: {refused.detail}")
        letter = letter_of(refused, time.time_ns() // 1_000_000, self._config.ingest.max_dead_letter_bytes)
        sent = self._letters.send_and_wait(
            self._prefix + topics.DEAD_LETTERS,
            msgspec.json.encode(letter),
            partition=letter.partition % self._config.topics.source_partitions,
        )
        asyncio.run_coroutine_threadsafe(sent, self._loop).result()

    def _wait(self, secs: float) -> None:
        until = time.monotonic() + secs
        while time.monotonic() < until:
            if self._stop.is_set():
                raise Stopped
            time.sleep(0.05)


ROW_BYTES = 80
"""What a judged observation takes in a frame, roughly: enough to tell a full batch."""


async def run(config: Config, instance: str | None = None) -> None:
    """Run the role store until told to stop. Raises ``ConfigError`` when the access to ClickHouse is wrong."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as lanes:
        for lane in LANES:
            lanes.create_task(_stopping(Store(config, lane, instance, stop).run(), stop))


async def _stopping(lane: Any, stop: asyncio.Event) -> None:
    """Run one lane; when it ends, the other ends too."""
    try:
        await lane
    finally:
        stop.set()
