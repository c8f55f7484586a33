"""The outbox: transitions in, attempts to deliver their notices out. Pure: time and results are passed in.

Per alert and endpoint notices go out strictly one after the other; alerts and endpoints never wait for one another.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from heapq import heappop, heappush
from typing import Any, NamedTuple

import msgspec

from gridbeacon.config import Notify, Webhook
from gridbeacon.errors import Fatal
from gridbeacon.model import Delivery, Notice, Transition
from gridbeacon.reasons import ConditionState, DeliveryOutcome, Level, Mode

# A slow receiver is not to be flooded, and a new red alert is not to wait behind hundreds of old ones: whoever is due
# beyond this many requests under way to one endpoint waits here, where the highest level goes first.
MAX_UNDER_WAY = 8
# A receiver may ask for a longer pause than this; people's safety does not wait for it.
RETRY_AFTER_MAX_SECS = 3600.0
# Up to a fifth later than planned, so that the notices that one outage held up don't come back in step.
JITTER_SHARE = 0.2
# Client errors that say "not now" instead of "never": time-out, too early, too many requests.
RETRIED_STATUS = frozenset({408, 425, 429})


class Attempt(NamedTuple):
    """One request to make now: send ``notice`` to the endpoint of this name; ``number`` counts from 1."""

    endpoint: str
    notice: Notice
    number: int


class Result(NamedTuple):
    """How a request ended: the HTTP status (0: no answer), what to tell the reader of ``deliveries``, how long the
    receiver asked us to wait (None: it did not), when it was made and how long it took."""

    status: int
    detail: str
    retry_after_secs: float | None
    attempted_ms: int
    duration_ms: float


class Pending(msgspec.Struct, frozen=True):
    """A notice that at least one endpoint still has to get; ``queued_ms`` is when this role took it."""

    notice: Notice
    queued_ms: int


class Line(msgspec.Struct):
    """What one endpoint still has to get of one alert: sequences in order; ``attempts`` made for the first of them,
    the next one at ``due_ms``, and by the receiver's own word (``Retry-After``) never before ``not_before_ms``;
    ``step`` is the place in the retry plan, which starts anew when a further notice joins.

    A line without sequences says that the endpoint was told of the alert.
    """

    sequences: list[int] = msgspec.field(default_factory=list)
    attempts: int = 0
    step: int = 0
    due_ms: int = 0
    not_before_ms: int = 0


class AlertDeliveries(msgspec.Struct):
    """All deliveries of one alert: notices by sequence, lines by endpoint, and whether the alert has cleared."""

    pending: dict[int, Pending] = msgspec.field(default_factory=dict)
    lines: dict[str, Line] = msgspec.field(default_factory=dict)
    cleared: bool = False


class Disabled(msgspec.Struct, frozen=True):
    """An endpoint that answered 410 Gone at this URL; another name or URL in the configuration revives it."""

    url: str
    since_ms: int


def outcome_of(status: int) -> DeliveryOutcome:
    """Return what an HTTP status (0: no answer at all) means for the notice.

    >>> [str(outcome_of(status)) for status in (204, 0, 503, 429, 302, 400, 410)]
    ['delivered', 'retry', 'retry', 'retry', 'permanent', 'permanent', 'disabled']
    """
    if 200 <= status < 300:
        return DeliveryOutcome.DELIVERED
    if status == 410:
        return DeliveryOutcome.DISABLED
    if status < 200 or status >= 500 or status in RETRIED_STATUS:
        return DeliveryOutcome.RETRY
    return DeliveryOutcome.PERMANENT


class Outbox:
    """The state of one ``alerts`` partition in role notify.

    Drive it from one task: ``add`` what the log says; ask ``due`` and hand each attempt to a sender; give its result
    to ``result``; sleep until ``next_due_ms``. At a checkpoint store ``changed``. After ``restore`` (and ``add`` of
    what follows) it goes on; attempts since the checkpoint may repeat, with the same ``webhook-id`` and body.
    """

    def __init__(self, config: Notify) -> None:
        self.repeats = 0
        self._config = config
        self._endpoints = {webhook.name: webhook for webhook in config.webhooks}
        self._taken: dict[int, tuple[int, int]] = {}
        self._alerts: dict[str, AlertDeliveries] = {}
        self._disabled: dict[str, Disabled] = {}
        # Heaps by endpoint: (due_ms, alert) until due, then (-level, due_ms, alert) until there is room for a request.
        # An entry that its line no longer confirms is stale and skipped.
        self._waiting: dict[str, list[tuple[int, str]]] = {name: [] for name in self._endpoints}
        self._ready: dict[str, list[tuple[int, int, str]]] = {name: [] for name in self._endpoints}
        self._under_way: dict[str, set[str]] = {name: set() for name in self._endpoints}
        self._changed: set[str] = set()

    def add(self, transition: Transition, now_ms: int) -> list[Delivery]:
        """Queue a transition's notice for every endpoint that wants it; return a row per disabled one that did.

        A transition already taken is a repeat; one whose predecessor has not been taken is ignored, for its producer
        ended before that one was written and will send both again.
        """
        position = (transition.offset, transition.index)
        taken = self._taken.get(transition.partition, (-1, -1))
        if position <= taken or tuple(transition.previous) > taken:
            self.repeats += 1
            return []
        self._taken[transition.partition] = position
        self._changed.add("taken")
        rows: list[Delivery] = []
        alert, notice = transition.alert, transition.notice
        if alert is None:  # a person acted on what is unknown, or began a silence
            return []
        alert_id = alert.alert_id
        if notice is not None:
            for endpoint in self._endpoints.values():
                if not self._wants(endpoint, alert.mode, notice):
                    continue
                held = self._alerts.setdefault(alert_id, AlertDeliveries())
                line = held.lines.setdefault(endpoint.name, Line())
                self._changed.add(f"alert:{alert_id}")
                if endpoint.name in self._disabled:
                    rows.append(self._not_sent(endpoint.name, notice, now_ms))
                else:
                    held.pending.setdefault(notice.sequence, Pending(notice, now_ms))
                    self._queue(endpoint.name, line, notice, now_ms)
        if alert.condition_state is ConditionState.CLEARED and alert_id in self._alerts:
            self._alerts[alert_id].cleared = True
            self._tidy(alert_id)
        return rows

    def due(self, now_ms: int) -> list[Attempt]:
        """Return the attempts to make now, the highest level first; each is handed out once and needs a ``result``."""
        attempts: list[Attempt] = []
        for name, waiting in self._waiting.items():
            ready, under_way = self._ready[name], self._under_way[name]
            while waiting and waiting[0][0] <= now_ms:
                due_ms, alert_id = heappop(waiting)
                if self._is_current(name, due_ms, alert_id):
                    heappush(ready, (-self._urgency(name, alert_id), due_ms, alert_id))
            while ready and len(under_way) < MAX_UNDER_WAY:
                _, due_ms, alert_id = heappop(ready)
                if self._is_current(name, due_ms, alert_id):
                    held = self._alerts[alert_id]
                    line = held.lines[name]
                    under_way.add(alert_id)
                    attempts.append(Attempt(name, held.pending[line.sequences[0]].notice, line.attempts + 1))
        return attempts

    def next_due_ms(self) -> int | None:
        """Return when ``due`` next has something to hand out (maybe in the past), None when a result or a transition
        must come first."""
        times: list[int] = []
        for name, waiting in self._waiting.items():
            ready = self._ready[name]
            if len(self._under_way[name]) >= MAX_UNDER_WAY:
                continue
            while ready and not self._is_current(name, *ready[0][1:]):
                heappop(ready)
            while waiting and not self._is_current(name, *waiting[0]):
                heappop(waiting)
            times += [due_ms for _, due_ms, _ in ready[:1]]
            times += [due_ms for due_ms, _ in waiting[:1]]
        return min(times, default=None)

    def result(self, attempt: Attempt, result: Result, now_ms: int) -> list[Delivery]:
        """Take how an attempt ended; return the rows for ``deliveries``: the attempt itself, and after a 410 one for
        each further notice that the endpoint will not get."""
        name, alert_id = attempt.endpoint, attempt.notice.alert_id
        self._under_way[name].remove(alert_id)
        deliveries = self._alerts[alert_id]
        line = deliveries.lines[name]
        queued_ms = deliveries.pending[attempt.notice.sequence].queued_ms
        outcome = outcome_of(result.status)
        if outcome is DeliveryOutcome.RETRY:
            if name in self._disabled:
                outcome = DeliveryOutcome.DISABLED
            elif now_ms - queued_ms >= self._config.give_up_after_secs * 1000:
                outcome = DeliveryOutcome.EXPIRED
        rows = [_row(attempt, result, outcome)]
        if outcome is DeliveryOutcome.RETRY:
            asked_secs = min(result.retry_after_secs or 0.0, RETRY_AFTER_MAX_SECS)
            line.attempts = attempt.number
            line.not_before_ms = now_ms + int(asked_secs * 1000)
            line.step += 1
            line.due_ms = now_ms + self._wait_ms(attempt, line.step, asked_secs)
        else:
            line.sequences.pop(0)
            line.attempts = line.step = 0
            line.due_ms = line.not_before_ms = now_ms
        if line.sequences:
            heappush(self._waiting[name], (line.due_ms, alert_id))
        if outcome is DeliveryOutcome.DISABLED and name not in self._disabled:
            rows += self._disable(name, now_ms)
        self._tidy(alert_id)
        return rows

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; the value None removes the key."""
        records: list[tuple[bytes, bytes | None]] = []
        tables: dict[str, Mapping[str, Any]] = {"alert": self._alerts, "endpoint": self._disabled}
        for key in sorted(self._changed):
            kind, _, name = key.partition(":")
            state = self._taken if kind == "taken" else tables[kind].get(name)
            records.append((key.encode(), None if state is None else msgspec.json.encode(state)))
        self._changed.clear()
        return records

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``; call it before anything else.

        Lines of endpoints that the configuration no longer names are dropped. Raises ``Fatal`` on a foreign key.
        """
        kind, _, name = key.decode().partition(":")
        if kind == "taken":
            self._taken = msgspec.json.decode(value, type=dict[int, tuple[int, int]])
        elif kind == "endpoint":
            disabled = msgspec.json.decode(value, type=Disabled)
            if name in self._endpoints and self._endpoints[name].url == disabled.url:
                self._disabled[name] = disabled
            else:
                self._changed.add(f"endpoint:{name}")
        elif kind == "alert":
            held = msgspec.json.decode(value, type=AlertDeliveries)
            self._alerts[name] = held
            for endpoint, line in list(held.lines.items()):
                if endpoint not in self._endpoints:
                    del held.lines[endpoint]
                    self._tidy(name)
                elif line.sequences:
                    heappush(self._waiting[endpoint], (line.due_ms, name))
        else:
            raise Fatal(f"unknown key {key!r} in the state of notify: the state topic belongs to another version")

    @property
    def disabled(self) -> dict[str, Disabled]:
        """The endpoints that answered 410 Gone, by name."""
        return dict(self._disabled)

    def waiting(self) -> Iterator[tuple[str, Notice]]:
        """Yield (endpoint, notice) of everything that is not delivered yet, each alert's notices in order."""
        for held in self._alerts.values():
            for name, line in held.lines.items():
                yield from ((name, held.pending[sequence].notice) for sequence in line.sequences)

    def _wants(self, endpoint: Webhook, mode: Mode, notice: Notice) -> bool:
        if mode not in endpoint.modes:
            return False
        if notice.endpoints is not None:
            return endpoint.name in notice.endpoints
        held = self._alerts.get(notice.alert_id)
        told = held is not None and endpoint.name in held.lines
        return told or notice.level >= Level[endpoint.min_level.upper()]

    def _queue(self, name: str, line: Line, notice: Notice, now_ms: int) -> None:
        alert_id = notice.alert_id
        due_ms = max(now_ms + int(self._config.retry_secs[0] * 1000), line.not_before_ms)
        # News of an alert whose first notice waits for its next attempt is worth one now: it may have turned red.
        line.step = 0
        if alert_id not in self._under_way[name]:
            line.due_ms = min(due_ms, line.due_ms) if line.sequences else due_ms
            heappush(self._waiting[name], (line.due_ms, alert_id))
        line.sequences.append(notice.sequence)

    def _is_current(self, name: str, due_ms: int, alert_id: str) -> bool:
        held = self._alerts.get(alert_id)
        line = held.lines.get(name) if held is not None else None
        return (
            line is not None
            and bool(line.sequences)
            and line.due_ms == due_ms
            and alert_id not in self._under_way[name]
        )

    def _urgency(self, name: str, alert_id: str) -> Level:
        held = self._alerts[alert_id]
        return max(held.pending[sequence].notice.level for sequence in held.lines[name].sequences)

    def _wait_ms(self, attempt: Attempt, step: int, asked_secs: float) -> int:
        plan = self._config.retry_secs
        secs = max(plan[min(step, len(plan) - 1)], asked_secs)
        seed = sha256(f"{attempt.notice.notice_id}|{attempt.endpoint}|{attempt.number}".encode()).digest()
        return int(secs * 1000 * (1 + JITTER_SHARE * seed[0] / 255))

    def _disable(self, name: str, now_ms: int) -> list[Delivery]:
        self._disabled[name] = Disabled(self._endpoints[name].url, now_ms)
        self._changed.add(f"endpoint:{name}")
        rows: list[Delivery] = []
        for alert_id, held in list(self._alerts.items()):
            line = held.lines.get(name)
            if line is None:
                continue
            kept = 1 if alert_id in self._under_way[name] else 0  # its own result is still to come
            rows += [self._not_sent(name, held.pending[s].notice, now_ms) for s in line.sequences[kept:]]
            del line.sequences[kept:]
            self._tidy(alert_id)
        return rows

    def _not_sent(self, name: str, notice: Notice, now_ms: int) -> Delivery:
        since = self._disabled[name]
        nothing = Result(0, f"endpoint disabled: {since.url} answered 410 Gone", None, now_ms, 0.0)
        return _row(Attempt(name, notice, 0), nothing, DeliveryOutcome.DISABLED)

    def _tidy(self, alert_id: str) -> None:
        """Forget what nobody waits for: notices that all have got, and the alert once it has cleared."""
        held = self._alerts.get(alert_id)
        if held is None:
            return
        wanted = {sequence for line in held.lines.values() for sequence in line.sequences}
        for sequence in held.pending.keys() - wanted:
            del held.pending[sequence]
        if held.cleared and not wanted:
            del self._alerts[alert_id]
        self._changed.add(f"alert:{alert_id}")


def _row(attempt: Attempt, result: Result, outcome: DeliveryOutcome) -> Delivery:
    return Delivery(
        notice_id=attempt.notice.notice_id,
        alert_id=attempt.notice.alert_id,
        sequence=attempt.notice.sequence,
        endpoint=attempt.endpoint,
        attempt=attempt.number,
        attempted_ms=result.attempted_ms,
        duration_ms=result.duration_ms,
        status=result.status,
        outcome=outcome,
        detail=result.detail,
    )
