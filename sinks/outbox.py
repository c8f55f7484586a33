"""The outbox: transitions in, attempts to deliver their notices out. Pure: time and results are passed in.

Per alert and endpoint notices go out strictly one after the other; alerts and endpoints never wait for one another.
What an endpoint refuses, or cannot take for a while, goes to its fallback; who was told of an alert, the fallback
too, hears of it until its end.
"""

from bisect import insort
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import Any

import msgspec

from gridbeacon.config_notify import Notify, Webhook
from gridbeacon.errors import Fatal
from gridbeacon.model import Delivery, Notice, Transition
from gridbeacon.reasons import ConditionState, DeliveryOutcome, HandlingState, Level
from sinks.bodies import PROFILES
from sinks.bodies.message import Sent
from sinks.deliveries import (
    EARLIER_MAX,
    AlertDeliveries,
    Attempt,
    Disabled,
    Line,
    Pending,
    Result,
    address_of,
    earlier_of,
    enabled_row,
    leading_to,
    not_sent,
    row,
    stand_down,
    wait_ms,
)
from sinks.orders import Enable, Order

# A slow receiver is not to be flooded, and a new red alert is not to wait behind hundreds of old ones: whoever is due
# beyond this many requests under way to one endpoint waits here, where the highest level goes first.
MAX_UNDER_WAY = 8
# A receiver may ask for a longer pause than this; people's safety does not wait for it.
RETRY_AFTER_MAX_SECS = 3600.0
# Who was told of an alert hears when its case is closed. So many alerts that are over are remembered for that.
KEPT_OVER = 5000
_CLOSED = frozenset({HandlingState.CLOSED, HandlingState.REVIEWED})


class Outbox:
    """The state of one ``alerts`` partition in role notify.

    Drive it from one task: ``add`` what the log says and ``obey`` the orders in it; ask ``due`` and hand each attempt
    to a sender; give its result to ``result``; sleep until ``next_due_ms``. At a checkpoint store ``changed``. After
    ``restore`` (and ``add`` of what follows) it goes on; attempts since the checkpoint may repeat, with the same
    ``webhook-id`` and body.
    """

    def __init__(self, config: Notify) -> None:
        self.repeats = 0
        self._config = config
        self._endpoints = {webhook.name: webhook for webhook in config.webhooks}
        # Whose notices an endpoint may come to stand in for, by its name.
        self._leading_to = {name: set(leading_to(name, config)) for name in self._endpoints}
        self._taken: dict[int, tuple[int, int]] = {}
        self._alerts: dict[str, AlertDeliveries] = {}
        self._disabled: dict[str, Disabled] = {}
        self._revived: list[str] = []
        self._over: set[str] = set()
        # Endpoints that have not taken anything since then; True when all that waited has gone to the fallback.
        self._failing: dict[str, tuple[int, bool]] = {}
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
        rows = self._news(now_ms)
        alert, notice = transition.alert, transition.notice
        if alert is None:  # a person acted on what is unknown, or began a silence
            return rows
        held = self._alerts.get(alert.alert_id)
        if held is not None and alert.handling_state is not HandlingState.NEW:
            rows += stand_down(held, self._under_way, self._profile, now_ms)
        if notice is not None:
            if held is None:
                held = self._alerts[alert.alert_id] = AlertDeliveries(mode=alert.mode)
            held.highest = max(held.highest, notice.level)
            pending = Pending(notice, now_ms, earlier_of(held.notices))
            held.notices = [*held.notices, Sent(notice.notice_id, notice.at_ms)][-EARLIER_MAX:]
            for endpoint in self._endpoints.values():
                if self._is_for(endpoint, held, notice) and self._hears(endpoint, held, notice):
                    rows += self._give(endpoint, held, pending, now_ms)
        if held is not None:
            cleared, closed = alert.condition_state is ConditionState.CLEARED, alert.handling_state in _CLOSED
            held.over_ms = alert.changed_ms if cleared or closed else None
            held.done = cleared and closed
            self._tidy(alert.alert_id)
        return rows

    def obey(self, order: Order, now_ms: int) -> list[Delivery]:
        """Do what a person asks: enable an endpoint, or send a notice once more; return the rows that say so."""
        rows = self._news(now_ms)
        name = order.endpoint
        if isinstance(order, Enable):
            if self._disabled.pop(name, None) is not None:
                self._changed.add(f"endpoint:{name}")
                rows.append(enabled_row(name, self._profile(name), now_ms, f"by {order.actor}"))
            return rows
        notice = order.notice
        held = self._alerts.get(notice.alert_id)
        if held is None:  # over and forgotten: this one delivery is all that is left of it
            held = AlertDeliveries(over_ms=order.at_ms, done=True, highest=notice.level)
            self._alerts[notice.alert_id] = held
        pending = held.pending.get(notice.sequence) or Pending(notice, now_ms, order.earlier)
        if name not in self._endpoints:
            nothing = Result(0, "no webhook of this name is configured", None, now_ms, 0.0)
            rows.append(row(Attempt(name, notice, 0), nothing, DeliveryOutcome.PERMANENT, ""))
        elif name in self._disabled:
            rows.append(not_sent(notice, name, self._profile(name), now_ms))
        else:
            line = held.lines.setdefault(name, Line())
            if notice.sequence not in line.sequences:
                held.pending[notice.sequence] = pending
                self._queue(name, line, notice, now_ms)
        self._tidy(notice.alert_id)
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
                    pending = held.pending[line.sequences[0]]
                    attempts.append(Attempt(name, pending.notice, line.attempts + 1, pending.earlier))
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
        name, alert_id, sequence = attempt.endpoint, attempt.notice.alert_id, attempt.notice.sequence
        self._under_way[name].remove(alert_id)
        endpoint, held = self._endpoints[name], self._alerts[alert_id]
        line = held.lines[name]
        failed_ms = now_ms - held.pending[sequence].queued_ms
        outcome = result.meaning
        if outcome is DeliveryOutcome.RETRY:
            if name in self._disabled:
                outcome = DeliveryOutcome.DISABLED
            elif held.over_ms is not None and failed_ms >= self._config.give_up_after_secs * 1000:
                outcome = DeliveryOutcome.EXPIRED
        rows = [*self._news(now_ms), row(attempt, result, outcome, endpoint.profile)]
        rows += self._health(endpoint, outcome, now_ms)
        late = outcome is not DeliveryOutcome.RETRY or failed_ms >= endpoint.fallback_after_secs * 1000
        if outcome is not DeliveryOutcome.DELIVERED and late:
            rows += self._fall_back(endpoint, held, now_ms)
        if outcome is DeliveryOutcome.RETRY:
            asked_secs = min(result.retry_after_secs or 0.0, RETRY_AFTER_MAX_SECS)
            line.attempts = attempt.number
            line.not_before_ms = now_ms + int(asked_secs * 1000)
            line.step += 1
            line.due_ms = now_ms + wait_ms(attempt, self._config.retry_secs, line.step, asked_secs)
        else:
            line.sequences.remove(sequence)
            line.attempts = line.step = 0
            line.due_ms = line.not_before_ms = now_ms
        if line.sequences:
            heappush(self._waiting[name], (line.due_ms, alert_id))
        if outcome is DeliveryOutcome.DISABLED and name not in self._disabled:
            rows += self._disable(endpoint, now_ms)
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
            if name in self._endpoints and address_of(self._endpoints[name]) == disabled.address:
                self._disabled[name] = disabled
            else:
                self._changed.add(f"endpoint:{name}")
                self._revived += [name] if name in self._endpoints else []
        elif kind == "alert":
            held = msgspec.json.decode(value, type=AlertDeliveries)
            self._alerts[name] = held
            for endpoint, line in list(held.lines.items()):
                if endpoint not in self._endpoints:
                    del held.lines[endpoint]
                    self._tidy(name)
                elif line.sequences:
                    heappush(self._waiting[endpoint], (line.due_ms, name))
            if held.over_ms is not None and name in self._alerts:
                self._over.add(name)
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

    def _is_for(self, endpoint: Webhook, held: AlertDeliveries, notice: Notice) -> bool:
        """Whether a notice goes to an endpoint by itself, not only when another one refuses it."""
        told, leading = endpoint.name in held.lines, self._leading_to[endpoint.name]
        if notice.endpoints is None:
            return told or not leading
        return endpoint.name in notice.endpoints or (told and not leading.isdisjoint(notice.endpoints))

    def _hears(self, endpoint: Webhook, held: AlertDeliveries, notice: Notice) -> bool:
        """Whether it may be sent there: by mode, and by level unless the notice names who it is for."""
        lowest = PROFILES[endpoint.profile].min_level
        if notice.endpoints is None:
            lowest = max(lowest, Level[endpoint.min_level.upper()])
        return held.mode in endpoint.modes and (endpoint.name in held.lines or held.highest >= lowest)

    def _give(self, endpoint: Webhook, held: AlertDeliveries, pending: Pending, now_ms: int) -> list[Delivery]:
        """Queue a notice for an endpoint that has not had it; what a dead one would get goes to its fallback too."""
        name, notice = endpoint.name, pending.notice
        line = held.lines.setdefault(name, Line())
        if line.oldest <= notice.sequence <= line.newest:
            return []
        if notice.sequence < line.oldest:
            why = Result(0, "a later notice of the alert has been sent here already", None, now_ms, 0.0)
            return [row(Attempt(name, notice, 0), why, DeliveryOutcome.SUPERSEDED, endpoint.profile)]
        line.oldest, line.newest = line.oldest or notice.sequence, notice.sequence
        if name in self._disabled:
            rows = [not_sent(notice, name, self._profile(name), now_ms)]
            fallback = self._endpoints.get(endpoint.fallback)
            if fallback is not None and self._hears(fallback, held, notice):
                rows += self._give(fallback, held, pending, now_ms)
            return rows
        held.pending.setdefault(notice.sequence, pending)
        self._queue(name, line, notice, now_ms)
        return self._fall_back(endpoint, held, now_ms) if self._failing.get(name, (0, False))[1] else []

    def _fall_back(self, endpoint: Webhook, held: AlertDeliveries, now_ms: int) -> list[Delivery]:
        """Give all that an endpoint still has to get of an alert to its fallback as well."""
        fallback = self._endpoints.get(endpoint.fallback)
        rows: list[Delivery] = []
        if fallback is not None:
            for sequence in held.lines[endpoint.name].sequences:
                if self._hears(fallback, held, held.pending[sequence].notice):
                    rows += self._give(fallback, held, held.pending[sequence], now_ms)
        return rows

    def _health(self, endpoint: Webhook, outcome: DeliveryOutcome, now_ms: int) -> list[Delivery]:
        """Remember whether an endpoint answers; one that has not for a while gives all that waits to its fallback."""
        if outcome is not DeliveryOutcome.RETRY:
            self._failing.pop(endpoint.name, None)
            return []
        since_ms, swept = self._failing.setdefault(endpoint.name, (now_ms, False))
        rows: list[Delivery] = []
        if endpoint.fallback and not swept and now_ms - since_ms >= endpoint.fallback_after_secs * 1000:
            self._failing[endpoint.name] = (since_ms, True)
            for alert_id, held in self._alerts.items():
                if endpoint.name in held.lines and held.lines[endpoint.name].sequences:
                    rows += self._fall_back(endpoint, held, now_ms)
                    self._changed.add(f"alert:{alert_id}")
        return rows

    def _queue(self, name: str, line: Line, notice: Notice, now_ms: int) -> None:
        alert_id = notice.alert_id
        due_ms = max(now_ms + int(self._config.retry_secs[0] * 1000), line.not_before_ms)
        # News of an alert whose first notice waits for its next attempt is worth one now: it may have turned red.
        line.step = 0
        if alert_id not in self._under_way[name]:
            line.due_ms = min(due_ms, line.due_ms) if line.sequences else due_ms
            heappush(self._waiting[name], (line.due_ms, alert_id))
        first = line.sequences[:1] if alert_id in self._under_way[name] else []  # the one that is being sent
        rest = line.sequences[len(first) :]
        insort(rest, notice.sequence)
        if not first and rest[0] == notice.sequence:
            line.attempts = 0
        line.sequences = [*first, *rest]

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

    def _disable(self, endpoint: Webhook, now_ms: int) -> list[Delivery]:
        name = endpoint.name
        self._disabled[name] = Disabled(address_of(endpoint), now_ms)
        self._changed.add(f"endpoint:{name}")
        rows: list[Delivery] = []
        for alert_id, held in list(self._alerts.items()):
            line = held.lines.get(name)
            if line is None:
                continue
            rows += self._fall_back(endpoint, held, now_ms)
            kept = 1 if alert_id in self._under_way[name] else 0  # its own result is still to come
            rows += [not_sent(held.pending[s].notice, name, endpoint.profile, now_ms) for s in line.sequences[kept:]]
            del line.sequences[kept:]
            self._tidy(alert_id)
        return rows

    def _news(self, now_ms: int) -> list[Delivery]:
        """Return a row for each endpoint that a changed address has revived, once."""
        names, self._revived = self._revived, []
        return [enabled_row(name, self._profile(name), now_ms, "its address has changed") for name in names]

    def _profile(self, name: str) -> str:
        return self._endpoints[name].profile if name in self._endpoints else ""

    def _tidy(self, alert_id: str) -> None:
        """Forget what nobody waits for: notices that all have got, and alerts that are closed, or long over."""
        held = self._alerts.get(alert_id)
        if held is None:
            return
        wanted = {sequence for line in held.lines.values() for sequence in line.sequences}
        for sequence in held.pending.keys() - wanted:
            del held.pending[sequence]
        self._changed.add(f"alert:{alert_id}")
        self._over.discard(alert_id)
        if wanted or held.over_ms is None:
            return
        if held.done or not held.lines:
            del self._alerts[alert_id]
            return
        self._over.add(alert_id)
        if len(self._over) > KEPT_OVER * 1.1:
            oldest = sorted((self._alerts[one].over_ms or 0, one) for one in self._over)
            for _, one in oldest[: len(oldest) - KEPT_OVER]:
                self._over.discard(one)
                del self._alerts[one]
                self._changed.add(f"alert:{one}")
