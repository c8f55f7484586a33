"""What the board knows: the log of alerts, folded into how each alert stands. No input or output, no clock.

Everything here follows from records of the log, so a view that begins anew becomes the same view. It outlives the
database; alerts older than the log are put in with ``remember``.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from gridbeacon.model import Alert, AlertEvent, Delivery, Silence, Tick, Transition
from gridbeacon.reasons import ConditionState, HandlingState, Level
from gridbeacon.watermark import Watermark
from sinks.orders import order_of

MOST_CASES = 20_000
"""Alerts that are kept; past it those go that are over and closed, then those that are over, the oldest first."""
MOST_ENTRIES = 50_000
"""Transitions that a reader who was away can still be given one by one."""
MOST_STEPS = 500
"""Transitions kept of one alert."""
_DONE = (HandlingState.CLOSED, HandlingState.REVIEWED)

_transition = msgspec.json.Decoder(Transition)
_delivery = msgspec.json.Decoder(Delivery)


class _Timed(msgspec.Struct):
    """The time that a message of ``signals`` passes on; the rest of it is not the board's."""

    tick: Tick | None = None


_timed = msgspec.json.Decoder(_Timed)


class Entry(NamedTuple):
    """One transition as it came, with its position on ``alerts``."""

    partition: int
    offset: int
    transition: Transition


class Case:
    """One alert with its course: its transitions, and what became of its notices."""

    __slots__ = ("alert", "deliveries", "steps")

    def __init__(self, alert: Alert) -> None:
        self.alert = alert
        self.steps: deque[AlertEvent] = deque(maxlen=MOST_STEPS)
        self.deliveries: deque[Delivery] = deque(maxlen=200)

    @property
    def is_open(self) -> bool:
        """Whether its condition is not over."""
        return self.alert.condition_state is not ConditionState.CLEARED

    @property
    def is_unfinished(self) -> bool:
        """Whether its condition is over, but people began on it and have not closed it."""
        return not self.is_open and self.alert.handling_state not in (HandlingState.NEW, *_DONE)

    @property
    def holder(self) -> str:
        """Who has it: whom it was given to, else who did the last step; empty while nobody has."""
        taken = self.taken
        return self.alert.assignee or (taken.actor if taken is not None else "")

    @property
    def taken(self) -> AlertEvent | None:
        """The last step of its handling, None while nobody has taken it."""
        if self.alert.handling_state is HandlingState.NEW:
            return None
        return next((step for step in reversed(self.steps) if step.handling_to is not step.handling_from), None)

    @property
    def urgency(self) -> tuple[int, int, int, str]:
        """What to sort by, the most urgent first: level, whether nobody has it, how long it waits."""
        alert = self.alert
        return -int(alert.level), alert.handling_state is not HandlingState.NEW, alert.opened_ms, alert.alert_id


class View:
    """Alerts by id, the latest transitions in the order in which they came, and the time of the log.

    ``rev`` grows with each change that a viewer can see.
    """

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.silences: dict[str, Silence] = {}
        self.entries: deque[Entry] = deque()
        self.first = 0
        """Number of the first of ``entries``, counted from the begin of this view."""
        self.at: dict[int, int] = {}
        """The last offset taken of each partition of ``alerts``."""
        self.dropped: dict[int, int] = {}
        """The last offset of each partition that ``entries`` no longer has."""
        self.rev = 0
        self._clock = Watermark()
        self._decided: dict[tuple[int, int], tuple[int, int]] = {}
        self._delivered: dict[int, int] = {}
        self._early: dict[str, list[Delivery]] = {}

    @property
    def time_ms(self) -> int | None:
        """The time of the log, None before its first tick."""
        return self._clock.time_ms

    def hear(self, value: bytes) -> bool:
        """Take the time of one message of ``signals``; return whether it has moved on."""
        tick = _timed.decode(value).tick
        return tick is not None and self._clock.hear(tick)

    def take(self, partition: int, offset: int, value: bytes) -> Entry | None:
        """Take one message of ``alerts``; return what is new, None for a repeat."""
        if offset <= self.at.get(partition, -1):
            return None
        self.at[partition] = offset
        if order_of(value) is not None:  # meant for role notify alone
            return None
        transition = _transition.decode(value)
        alert, event = transition.alert, transition.event
        # A role that began anew says again what it had said, from the same position of its own log.
        decided = (transition.offset, transition.index)
        if decided <= self._decided.get((partition, transition.partition), (-1, -1)):
            return None
        self._decided[partition, transition.partition] = decided
        if transition.silence is not None:
            self.silences[transition.silence.silence_id] = transition.silence
        if alert is not None:
            case = self.cases.get(alert.alert_id)
            if case is None:
                case = self.cases[alert.alert_id] = Case(alert)
                self._settle(case)
            case.steps.append(event)
            if alert.version >= case.alert.version:
                case.alert = alert
        self.entries.append(Entry(partition, offset, transition))
        while len(self.entries) > MOST_ENTRIES:
            gone = self.entries.popleft()
            self.first += 1
            self.dropped[gone.partition] = gone.offset
        self.rev += 1
        if len(self.cases) > MOST_CASES:
            self._forget()
        return self.entries[-1]

    def deliver(self, partition: int, offset: int, value: bytes) -> None:
        """Take one message of ``deliveries``."""
        if offset <= self._delivered.get(partition, -1):
            return
        self._delivered[partition] = offset
        delivery = _delivery.decode(value)
        case = self.cases.get(delivery.alert_id)
        if not delivery.notice_id:  # the state of an endpoint
            return
        if case is not None:
            case.deliveries.append(delivery)
            self.rev += 1
        elif len(self._early) < MOST_ENTRIES:  # the two logs come in no common order
            self._early.setdefault(delivery.alert_id, []).append(delivery)

    def remember(self, alerts: Iterable[Alert]) -> None:
        """Put in alerts that the log no longer has, as the database knows them."""
        for alert in alerts:
            case = self.cases.get(alert.alert_id)
            if case is None:
                self.cases[alert.alert_id] = Case(alert)
            elif alert.version > case.alert.version:
                case.alert = alert
            else:
                continue
            self.rev += 1

    def open(self) -> list[Case]:
        """Return the alerts whose condition is not over, the most urgent first."""
        return sorted((case for case in self.cases.values() if case.is_open), key=lambda case: case.urgency)

    def unfinished(self) -> list[Case]:
        """Return the alerts that are over but that people have not closed, the latest first."""
        found = [case for case in self.cases.values() if case.is_unfinished]
        return sorted(found, key=lambda case: -case.alert.changed_ms)

    def since(self, seen: dict[int, int]) -> list[Entry] | None:
        """Return what came after the positions that a reader has seen, in order; None when some of it is gone."""
        if any(seen.get(partition, -1) < offset for partition, offset in self.dropped.items()):
            return None
        return [entry for entry in self.entries if entry.offset > seen.get(entry.partition, -1)]

    def _settle(self, case: Case) -> None:
        case.deliveries.extend(self._early.pop(case.alert.alert_id, ()))

    def _forget(self) -> None:
        over = [case for case in self.cases.values() if not case.is_open]
        over.sort(key=lambda case: (case.is_unfinished, case.alert.changed_ms))
        for case in over[: len(self.cases) - MOST_CASES * 9 // 10]:
            del self.cases[case.alert.alert_id]


def levels_by_cell(cases: Iterable[Case]) -> dict[str, Level]:
    """Return the worst level of each cell that has an open alert."""
    found: dict[str, Level] = {}
    for case in cases:
        cell = case.alert.cell
        found[cell] = max(found.get(cell, Level.NONE), case.alert.level)
    return found
