"""The fitter: requests in, fits out; a stateless loop beside the agent of every worker of the role forecast.

A request waits until store has written what the fit is to learn from; meanwhile a newer one of the same partition
supersedes it. The history is read from ClickHouse, a child process fits, and the answer goes to the log of the role.
Offsets move last: a worker that is killed leaves its requests to the next one, whose second answer counts for nothing.
"""

import time
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from forecasts.requests import FitAnswer, FitRequest, encode_answer
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.errors import GridbeaconError, Transient
from gridbeacon.reasons import FitFailure
from streams import fitting, telemetry, topics
from streams.assign import assignor
from streams.forecast_frames import encode_forecasts
from streams.kafka import client_settings
from streams.rebalanced import commit
from streams.store import OBSERVATIONS_LANE, group_of

log = structlog.get_logger("forecast")
BEHIND_SECS = 120.0
"""How long a request waits for store. While store still moves, a replay's next request comes soon and supersedes it."""
POLL_MS = 200
_request = msgspec.msgpack.Decoder(FitRequest)


class Fitter:
    """One worker's loop. ``folder`` is for the child's temporary files alone."""

    def __init__(self, config: Config, folder: Path, instance: str | None, calendar: Calendar) -> None:
        self._config = config
        self._folder = folder
        self._calendar = calendar
        self._topic = config.topics.prefix + topics.FORECAST_REQUESTS
        self._instance = instance
        self._waiting: dict[tuple[int, bool], dict[str, FitRequest]] = {}
        self._since: dict[tuple[int, bool], float] = {}

    async def work(self) -> None:
        """Fit what is asked for, for as long as the process works."""
        clients = client_settings(self._config)
        consumer = AIOKafkaConsumer(
            self._topic,
            group_id=f"{self._config.topics.prefix}forecast.fit",
            group_instance_id=f"{self._instance}-fit" if self._instance else None,
            partition_assignment_strategy=(assignor(self._config),),
            session_timeout_ms=30_000 if self._instance else 10_000,
            max_poll_interval_ms=int(3 * self._config.forecast.fit_limit_secs * 1000) + 600_000,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 << 20,
            **clients,
        )
        producer = AIOKafkaProducer(acks="all", enable_idempotence=True, max_request_size=8 << 20, **clients)
        admin = AIOKafkaAdminClient(**{k: v for k, v in clients.items() if k != "loop"})
        async with consumer, producer:
            await admin.start()
            try:
                taken = False
                while True:
                    taken |= await self._gather(consumer)
                    for key in list(self._waiting):
                        await self._try(key, admin, producer)
                    if taken and not self._waiting:
                        await commit(consumer)
                        taken = False
            finally:
                await admin.close()

    async def _gather(self, consumer: Any) -> bool:
        """Take what was asked for and return whether there was anything; of one partition only the newest counts."""
        came = await consumer.getmany(timeout_ms=POLL_MS)
        for records in came.values():
            for record in records:
                request = _request.decode(record.value)
                key = request.partition, request.audit
                waiting = self._waiting.setdefault(key, {})
                if waiting and next(iter(waiting.values())).offset < request.offset:
                    waiting.clear()
                    telemetry.counter("fits_total").labels(outcome=FitFailure.SUPERSEDED).inc()
                    self._since.pop(key, None)
                elif waiting and next(iter(waiting.values())).offset > request.offset:
                    continue
                waiting[request.request_id] = request
                self._since.setdefault(key, time.monotonic())
        return bool(came)

    async def _try(self, key: tuple[int, bool], admin: Any, producer: Any) -> None:
        """Answer the requests of one partition, unless store has to write more before."""
        requests = list(self._waiting[key].values())
        behind = await self._stored(admin, key[0]) <= requests[0].offset
        if behind and time.monotonic() - self._since[key] < BEHIND_SECS:
            return
        for request in requests:
            outcome = await self._answer(request, producer, behind=behind)
            telemetry.counter("fits_total").labels(outcome=outcome).inc()
        del self._waiting[key], self._since[key]

    async def _stored(self, admin: Any, partition: int) -> int:
        """Return the offset of ``scores`` up to which store has written everything."""
        tp = TopicPartition(self._config.topics.prefix + topics.SCORES, partition)
        try:
            offsets = await admin.list_consumer_group_offsets(
                group_of(self._config, OBSERVATIONS_LANE), partitions=[tp]
            )
        except KafkaError as error:
            log.warning("waiting for the broker", detail=type(error).__name__)
            return -1
        return int(offsets[tp].offset) if tp in offsets else -1

    async def _answer(self, request: FitRequest, producer: Any, *, behind: bool) -> str:
        """Fit one request and write what became of it; return the outcome."""
        started = time.monotonic()
        prefix, target = self._config.topics.prefix, request.partition
        try:
            if behind:
                raise fitting.Failed(FitFailure.HISTORY_BEHIND, "store has not written the history yet")
            made = await fitting.fit(self._config, self._calendar, self._folder, request)
        except (fitting.Failed, Transient, GridbeaconError) as error:
            failure = error.failure if isinstance(error, fitting.Failed) else FitFailure.HISTORY_AWAY
            log.warning(
                "no fit", request=request.request_id, series=len(request.names), reason=failure, detail=str(error)
            )
            if not request.audit:
                answer = FitAnswer(request_id=request.request_id, failure=failure)
                await producer.send_and_wait(prefix + topics.SCORES, encode_answer(answer), partition=target)
            return failure
        secs = round(time.monotonic() - started, 2)
        log.info("fitted", request=request.request_id, series=len(request.names), audit=request.audit, secs=secs)
        telemetry.histogram("fit_seconds").observe(time.monotonic() - started)
        if request.audit:
            if made.audits:
                value = encode_forecasts(audits=made.audits)
                await producer.send_and_wait(prefix + topics.FORECASTS, value, partition=target)
            return "fitted"
        for part in made.answers:
            await producer.send_and_wait(prefix + topics.SCORES, encode_answer(part), partition=target)
        return "fitted"
