"""People's actions: written to the logs of situate, and the answer read from the log of alerts.

One door for the command line, the HTTP API and callbacks. An action is durable when the broker has acknowledged it; it
has happened, or was refused, when its answer has come. Sent again with the same id it is the same action.
"""

import asyncio
import contextlib
import time
import uuid
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gridbeacon.config import Config
from gridbeacon.errors import Transient, UsageError
from gridbeacon.model import Action, AlertEvent, Asked, Silence, Transition, Unsilence
from gridbeacon.places import area_of_alert, partition_of
from gridbeacon.reasons import ActionKind, ActionSource, Disposition, Level, Role
from streams import topics
from streams.kafka import client_settings, failure

ANSWER_SECS = 15.0
"""An answer takes a fraction of a second; a role that restarts takes a few."""
REQUEST_MS = 10_000

LONGEST = {"note": 4000, "reason": 4000, "actor": 200, "owner": 200, "assignee": 200, "action_id": 100}
"""Characters at most: an action is read by people, and kept with its alert."""

Wish = TypeVar("Wish", Action, Silence, Unsilence)
_transition = msgspec.json.Decoder(Transition)


def new_action(
    kind: ActionKind,
    alert_id: str,
    *,
    actor: str,
    role: Role,
    source: ActionSource = ActionSource.CLI,
    action_id: str | None = None,
    version: int | None = None,
    note: str = "",
    assignee: str = "",
    disposition: Disposition | None = None,
) -> Action:
    """Return an action of now, with an id of its own unless it has one. Raises ``UsageError`` on what is too long."""
    return _short(
        Action(
            action_id=action_id or _new_id("act"),
            alert_id=alert_id,
            kind=kind,
            actor=actor,
            role=role,
            sent_ms=_now_ms(),
            version=version,
            note=note,
            assignee=assignee,
            disposition=disposition,
            source=source,
        )
    )


def new_silence(
    *,
    owner: str,
    reason: str,
    ends_ms: int,
    role: Role,
    starts_ms: int | None = None,
    cells: str = "",
    rule: str = "",
    up_to: Level = Level.ORANGE,
    source: ActionSource = ActionSource.CLI,
    silence_id: str | None = None,
) -> Silence:
    """Return a silence that is asked for now; ``starts_ms`` None begins it at once. Raises as ``new_action``."""
    now_ms = _now_ms()
    return _short(
        Silence(
            silence_id=silence_id or _new_id("silence"),
            owner=owner,
            reason=reason,
            starts_ms=now_ms if starts_ms is None else starts_ms,
            ends_ms=ends_ms,
            sent_ms=now_ms,
            role=role,
            cells=cells,
            rule=rule,
            up_to=up_to,
            source=source,
        )
    )


def new_unsilence(
    silence_id: str,
    *,
    actor: str,
    role: Role,
    note: str = "",
    source: ActionSource = ActionSource.CLI,
    action_id: str | None = None,
) -> Unsilence:
    """Return the wish of now that a silence ends. Raises as ``new_action``."""
    return _short(
        Unsilence(
            action_id=action_id or _new_id("act"),
            silence_id=silence_id,
            actor=actor,
            role=role,
            sent_ms=_now_ms(),
            note=note,
            source=source,
        )
    )


def _short(asked: Wish) -> Wish:
    for name, longest in LONGEST.items():
        if len(getattr(asked, name, "")) > longest:
            raise UsageError(f"{name.replace('_', ' ')} is longer than {longest} characters; shorten it")
    return asked


def _new_id(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def partitions_of(asked: Asked, config: Config) -> list[int]:
    """Return the partitions of ``signals`` that must hear of it: that of the alert's area; of a silence, all."""
    count = config.topics.signals_partitions
    if isinstance(asked, Action):
        return [partition_of(area_of_alert(asked.alert_id), count)]
    return list(range(count))


def id_of(asked: Asked) -> str:
    """Return the id by which the answer is known."""
    return asked.silence_id if isinstance(asked, Silence) else asked.action_id


class Desk:
    """Sends actions and waits for their answers; an asynchronous context manager, safe to use from many tasks."""

    def __init__(self, config: Config) -> None:
        self._config = config
        clients = client_settings(config)
        self._producer = AIOKafkaProducer(acks="all", enable_idempotence=True, request_timeout_ms=REQUEST_MS, **clients)
        self._consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="latest",
            max_partition_fetch_bytes=8 << 20,
            fetch_max_wait_ms=50,
            **clients,
        )
        self._waiting: dict[str, asyncio.Future[AlertEvent]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
            await self._consumer.start()
            name, count = self._config.topics.prefix + topics.ALERTS, self._config.topics.alerts_partitions
            parts = [TopicPartition(name, number) for number in range(count)]
            self._consumer.assign(parts)
            # The answers are looked for from here on, so here must be known before anything is sent.
            await self._consumer.seek_to_end(*parts)
            for part in parts:
                await self._consumer.position(part)
        except Exception as error:
            await self._stop()
            raise failure(error, self._config) from error
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, Transient):
                await self._reader
        await self._stop()

    async def act(self, asked: Asked, wait_secs: float = ANSWER_SECS) -> AlertEvent:
        """Return the answer to an action: the event, with a ``refusal`` when it changed nothing.

        Raises ``Transient`` when the broker can't be reached, and when no answer has come after ``wait_secs``: then
        the action is written and will be answered; send it again with the same id to hear the answer.
        """
        answer = self._waiting.setdefault(id_of(asked), asyncio.get_running_loop().create_future())
        try:
            await self._write(asked)
            return await asyncio.wait_for(asyncio.shield(answer), wait_secs)
        except TimeoutError:
            raise Transient(
                f"the {'silence' if isinstance(asked, Silence) else 'action'} is written, but no answer came within "
                f"{wait_secs:g} s; check that the role situate runs (gridbeacon status)"
            ) from None
        finally:
            self._waiting.pop(id_of(asked), None)

    async def _write(self, asked: Asked) -> None:
        name, value = self._config.topics.prefix + topics.SIGNALS, msgspec.json.encode(asked)
        try:
            acks = [
                await self._producer.send(name, value, partition=number)
                for number in partitions_of(asked, self._config)
            ]
            await asyncio.gather(*acks)
        except Exception as error:
            raise failure(error, self._config) from error

    async def _read(self) -> None:
        try:
            while True:
                came: dict[Any, list[Any]] = await self._consumer.getmany(timeout_ms=1000)
                for records in came.values():
                    for record in records:
                        # Most of the log is not about these: only what names one that is waited for is decoded.
                        if any(name.encode() in record.value for name in self._waiting):
                            self._hear(_transition.decode(record.value).event)
        except Exception as error:
            broken = failure(error, self._config)
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(broken)
            raise broken from error

    def _hear(self, event: AlertEvent) -> None:
        answer = self._waiting.get(event.action_id)
        if answer is not None and not answer.done():
            answer.set_result(event)

    async def _stop(self) -> None:
        for client in (self._producer, self._consumer):
            with contextlib.suppress(Exception):
                await client.stop()


async def ask(config: Config, asked: Asked, wait_secs: float = ANSWER_SECS) -> AlertEvent:
    """Return the answer to one action, as ``Desk.act`` does."""
    async with Desk(config) as desk:
        return await desk.act(asked, wait_secs)
