"""The alerts of one partition: situations, people's actions and time in; transitions with their notices out.

Pure: the caller says what time it is. What happens by itself (an alert clears) happens in ``pass_time``, at the time
at which it was due.
"""

from heapq import heappop, heappush

import msgspec

from gridbeacon.config import Config
from gridbeacon.lifecycle import advance, merge
from gridbeacon.model import Alert, AlertEvent, Notice, Situation
from gridbeacon.notices import hold_back
from gridbeacon.reasons import ConditionState, HoldReason

ALERT = "alert"
"""The kind of the book's keys in the state of its role, ``alert:ID``."""

Step = tuple[Alert, AlertEvent, Notice | None]


class Held(msgspec.Struct):
    """An alert that is not over: the ``key`` of its situation, how many notices went out, and when it clears unless
    something comes back."""

    key: str
    alert: Alert
    notices: int = 0
    clear_at_ms: int | None = None

    def next_ms(self) -> int | None:
        """Return when something happens to it without a further message, or None."""
        return self.clear_at_ms


class AlertBook:
    """A pure function of what it was given, in order, in the form of an object with its state.

    Give it ``situation`` whenever a situation may have changed, and ``pass_time`` when time has passed; both return
    the transitions that follow, in order.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._alerts: dict[str, Held] = {}
        self._open: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []
        self._changed: set[str] = set()

    def situation(self, key: str, situation: Situation | None, at_ms: int) -> list[Step]:
        """Say what the situation of this name is now, None for none; return what follows at once.

        An alert whose situation is gone clears after ``clear_after_secs`` unless the situation comes back. One whose
        condition was unknown is known again at once: only data can end a finding.
        """
        held = self.held(key)
        if held is None:
            return [] if situation is None else self._advance(key, None, situation, at_ms)
        if situation is not None:
            if held.clear_at_ms is not None:
                held.clear_at_ms = None
                self._touch(held)
            return self._advance(key, held, situation, at_ms)
        if held.clear_at_ms is None:
            held.clear_at_ms = at_ms + int(self._config.situate.clear_after_secs * 1000)
            self._touch(held)
        if held.alert.condition_state is ConditionState.UNKNOWN:
            return self._advance(key, held, None, at_ms)
        return []

    def merged(self, key: str, into: str, at_ms: int) -> list[Step]:
        """Say that a situation has become part of another one; return how its alert ends, if it has one."""
        held, other = self.held(key), self.held(into)
        if held is None or other is None:
            return []
        alert, event = merge(held.alert, other.alert.alert_id, at_ms)
        return [self._take(key, held, alert, event)]

    def pass_time(self, until_ms: int) -> list[Step]:
        """Let everything happen that is due up to and including ``until_ms``, in order of time and alert."""
        steps: list[Step] = []
        while (due_ms := self.next_ms()) is not None and due_ms <= until_ms:
            _, alert_id = heappop(self._due)
            held = self._alerts[alert_id]
            steps += self._advance(held.key, held, None, due_ms)
        return steps

    def next_ms(self) -> int | None:
        """Return when something happens here without a further message, or None."""
        while self._due:
            due_ms, alert_id = self._due[0]
            held = self._alerts.get(alert_id)
            if held is not None and held.next_ms() == due_ms:
                return due_ms
            heappop(self._due)  # what it was about has changed since
        return None

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; the value None removes the key."""
        records: list[tuple[bytes, bytes | None]] = []
        for alert_id in sorted(self._changed):
            held = self._alerts.get(alert_id)
            records.append((f"{ALERT}:{alert_id}".encode(), None if held is None else msgspec.json.encode(held)))
        self._changed.clear()
        return records

    def restore(self, name: str, value: bytes) -> None:
        """Take back one record of ``changed``; ``name`` is its key without the kind."""
        held = msgspec.json.decode(value, type=Held)
        self._alerts[name] = held
        self._open[held.key] = name
        self._touch(held)

    def held(self, key: str) -> Held | None:
        """Return the alert that is open for a situation, or None."""
        alert_id = self._open.get(key)
        return None if alert_id is None else self._alerts[alert_id]

    @property
    def open_alerts(self) -> list[Alert]:
        """The alerts that have not cleared."""
        return [self._alerts[alert_id].alert for alert_id in self._open.values()]

    def _advance(self, key: str, held: Held | None, situation: Situation | None, at_ms: int) -> list[Step]:
        steps: list[Step] = []
        before = None if held is None else held.alert
        for alert, event in advance(
            before,
            situation,
            at_ms,
            mode=self._config.situate.mode,
            area_digits=self._config.grid.area_digits,
        ):
            if held is None:
                held = Held(key, alert)
                self._alerts[alert.alert_id] = held
                self._open[key] = alert.alert_id
            steps.append(self._take(key, held, alert, event))
        return steps

    def _take(self, key: str, held: Held, alert: Alert, event: AlertEvent) -> Step:
        """Keep what an alert has become; return it with its notice."""
        held.alert = alert
        step = self._announce(held, event)
        self._touch(held)
        if alert.condition_state is ConditionState.CLEARED:
            del self._alerts[alert.alert_id], self._open[key]
        return step

    def _announce(self, held: Held, event: AlertEvent) -> Step:
        verdict = hold_back(held.alert, event, self._config.situate, notices=held.notices)
        if isinstance(verdict, HoldReason):
            return held.alert, msgspec.structs.replace(event, held=verdict), None
        held.notices += 1
        return held.alert, msgspec.structs.replace(event, notice_id=verdict.notice_id), verdict

    def _touch(self, held: Held) -> None:
        """Say that it changed: the next checkpoint writes it, and its next time is called."""
        self._changed.add(held.alert.alert_id)
        due_ms = held.next_ms()
        if due_ms is not None:
            heappush(self._due, (due_ms, held.alert.alert_id))
