"""The role notify: transitions in, webhooks and ``deliveries`` out. A shell around ``Outbox`` and ``WebhookSender``.

What is still to be delivered is the state, saved like that of every role; an attempt made after the last checkpoint
may be made again by the next process, with the same ``webhook-id`` and body.
"""

import asyncio
import time
from typing import cast

import msgspec
import structlog

from gridbeacon.config import Config
from gridbeacon.model import Delivery, Transition
from sinks.deliveries import Attempt
from sinks.orders import order_of
from sinks.outbox import Outbox
from sinks.webhook import WebhookSender, check_webhooks
from streams import telemetry, topics
from streams.partition import Machine, Output, Partition
from streams.role import Role, die

log = structlog.get_logger("notify")
IDLE_SECS = 0.5
"""How long the sender sleeps at most when nothing wakes it: an assignment may have brought deliveries that are due."""

_transition = msgspec.json.Decoder(Transition)


class NotifyMachine(Machine):
    """One partition of ``alerts``."""

    def __init__(self, config: Config, partition: int, wake: asyncio.Event) -> None:
        self.outbox = Outbox(config.notify)
        self._deliveries = config.topics.prefix + topics.DELIVERIES
        self._partition = partition
        self._wake = wake

    def apply(self, offset: int, value: bytes) -> list[Output]:  # noqa: ARG002 - a transition says its position
        """Queue the notice of one transition, or obey an order; wake the sender."""
        order = order_of(value)
        if order is None:
            rows = self.outbox.add(_transition.decode(value), _now_ms())
        else:
            rows = self.outbox.obey(order, _now_ms())
        self._wake.set()
        return self.outputs(rows)

    def outputs(self, rows: list[Delivery]) -> list[Output]:
        """Return delivery rows as messages."""
        for row in rows:
            telemetry.counter("deliveries_total").labels(endpoint=row.endpoint, outcome=row.outcome).inc()
        return [Output(self._deliveries, self._partition, msgspec.json.encode(row)) for row in rows]

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the outbox's changes."""
        return self.outbox.changed()

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        self.outbox.restore(key, value)


class Courier:
    """Makes the attempts that are due in all owned partitions, each in a task of its own."""

    def __init__(self, config: Config) -> None:
        self.wake = asyncio.Event()
        self._config = config
        self._under_way: set[asyncio.Task[None]] = set()

    async def work(self, role: Role) -> None:
        """Send what is due, for as long as the process works."""
        async with WebhookSender(self._config.notify, self._config.timezone) as sender:
            while not role.app.should_stop:
                self.wake.clear()
                pauses = [IDLE_SECS]
                for part in list(role.parts.values()):
                    outbox = _machine(part).outbox
                    for attempt in outbox.due(_now_ms()):
                        task = asyncio.create_task(self._attempt(sender, part, attempt))
                        self._under_way.add(task)
                        task.add_done_callback(self._finished)
                    if (due_ms := outbox.next_due_ms()) is not None:
                        pauses.append(max(0.0, (due_ms - _now_ms()) / 1000))
                try:
                    await asyncio.wait_for(self.wake.wait(), min(pauses))
                except TimeoutError:
                    continue

    async def _attempt(self, sender: WebhookSender, part: Partition, attempt: Attempt) -> None:
        result = await sender.send(attempt, _now_ms())
        machine = _machine(part)
        async with part.lock:
            rows = machine.outbox.result(attempt, result, _now_ms())
            part.touch()
            await part.emit(machine.outputs(rows))
        for row in rows:
            log.info(
                "delivery",
                notice=row.notice_id,
                endpoint=row.endpoint,
                attempt=row.attempt,
                status=row.status,
                outcome=row.outcome,
            )

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self.wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            die(error)


def _machine(part: Partition) -> NotifyMachine:
    return cast(NotifyMachine, part.machine)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def role(config: Config, instance: str | None = None) -> Role:
    """Return the role, ready to run. Raises ``ConfigError`` when a webhook's settings are wrong."""
    check_webhooks(config.notify)
    courier = Courier(config)
    made = Role(
        config,
        name="notify",
        source=config.topics.prefix + topics.ALERTS,
        state=config.topics.prefix + topics.NOTIFY_STATE,
        partitions=config.topics.alerts_partitions,
        checkpoint_secs=config.notify.checkpoint_secs,
        machine=lambda number: NotifyMachine(config, number, courier.wake),
        instance=instance,
    )
    made.task(lambda: courier.work(made))
    return made


def run(config: Config, instance: str | None = None) -> None:
    """Run the role notify until told to stop."""
    role(config, instance).run()
