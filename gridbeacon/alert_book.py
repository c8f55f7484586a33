"""The alerts of one partition: situations, people's actions and time in; transitions with their notices out.

Pure: the caller says what time it is. What happens by itself (an alert clears, or is left open) happens in
``pass_time``, at the time at which it was due.
"""

from heapq import heappop, heappush
from typing import NamedTuple

import msgspec

from gridbeacon.config import Config, Situate
from gridbeacon.handling import handle, leave, refused, reopen, replaced
from gridbeacon.lifecycle import DONE, C, Event, K, advance, merge
from gridbeacon.model import Action, Alert, AlertEvent, Asked, Notice, Silence, Situation
from gridbeacon.notices import hold_back
from gridbeacon.reasons import HoldReason, Level, Refusal
from gridbeacon.silences import SILENCE, Silences

KINDS = ("alert", SILENCE)
"""The kinds of the book's keys in the state of its role: ``alert:ID``, ``silence:ID``."""
ANSWERS = 32
"""So many actions of an alert are remembered with their answers; a repeat comes within minutes."""


class Step(NamedTuple):
    """One thing that happened: the alert afterwards (None when it is about no alert that is known), the event, the
    notice that dispatchers get, and the silence that began or ended. ``fresh`` is False for an answer that is given
    again."""

    alert: Alert | None
    event: AlertEvent
    notice: Notice | None = None
    silence: Silence | None = None
    fresh: bool = True


class Held(msgspec.Struct):
    """An alert that is kept: the ``key`` of its situation, how many notices went out, when it clears unless something
    comes back, the level at which people closed it, and the answers to their actions, by id."""

    key: str
    alert: Alert
    notices: int = 0
    clear_at_ms: int | None = None
    closed_level: Level = Level.NONE
    answers: dict[str, AlertEvent] = msgspec.field(default_factory=dict)

    def next_ms(self, settings: Situate) -> int | None:
        """Return when something happens to it without a further message, or None."""
        return self.clear_at_ms if self.alert.condition_state is not C.CLEARED else self.kept_until_ms(settings)

    def kept_until_ms(self, settings: Situate) -> int:
        """Return until when an alert whose condition is over is left to people."""
        secs = settings.review_within_secs if self.alert.handling_state in DONE else settings.close_after_secs
        return self.alert.changed_ms + int(secs * 1000)


class AlertBook:
    """A pure function of what it was given, in order, in the form of an object with its state.

    Give it ``situation`` whenever a situation may have changed, ``act`` when people want something, and ``pass_time``
    when time has passed; all return the steps that follow, in order.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._settings = config.situate
        self._alerts: dict[str, Held] = {}
        self._open: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []
        self._changed: set[str] = set()
        self._silences = Silences()

    def situation(self, key: str, situation: Situation | None, at_ms: int) -> list[Step]:
        """Say what the situation of this name is now, None for none; return what follows at once.

        An alert whose situation is gone clears after ``clear_after_secs`` unless the situation comes back. One whose
        condition was unknown is known again at once: only data can end a finding. One that people closed, and that
        becomes worse than it was then, goes on as a new alert.
        """
        held = self.held(key)
        if held is None:
            return [] if situation is None else self._advance(key, None, situation, at_ms)
        if situation is not None:
            if held.clear_at_ms is not None:
                held.clear_at_ms = None
                self._touch(held)
            if held.alert.handling_state in DONE and situation.level > max(held.closed_level, held.alert.level):
                return self._reopen(held, at_ms, situation=situation)
            return self._advance(key, held, situation, at_ms)
        if held.clear_at_ms is None:
            held.clear_at_ms = at_ms + int(self._settings.clear_after_secs * 1000)
            self._touch(held)
        if held.alert.condition_state is C.UNKNOWN:
            return self._advance(key, held, None, at_ms)
        return []

    def act(self, asked: Asked, at_ms: int) -> list[Step]:
        """Do what a person asks for, or refuse it; return what follows: the first step is the answer.

        An action that was answered before gets the same answer again and changes nothing.
        """
        if isinstance(asked, Silence):
            return [Step(None, event, silence=silence) for event, silence in [self._silences.begin(asked, at_ms)]]
        if not isinstance(asked, Action):
            return [Step(None, event, silence=silence) for event, silence in [self._silences.end(asked, at_ms)]]
        held = self._alerts.get(asked.alert_id)
        if held is None:
            words = "there is no such alert, or it was closed so long ago that it is no longer kept"
            return [Step(None, refused(None, asked, at_ms, Refusal.UNKNOWN_ALERT, words))]
        if asked.action_id in held.answers:
            return [Step(held.alert, held.answers[asked.action_id], fresh=False)]
        before = held.alert
        held.alert, event = handle(before, asked, at_ms)
        if held.alert is not before and asked.kind is K.CLOSE:
            held.closed_level = before.level
        answer = self._announce(held, event)
        held.answers[asked.action_id] = answer.event
        while len(held.answers) > ANSWERS:
            del held.answers[next(iter(held.answers))]
        self._touch(held)
        if event.event == Event.REOPENED:
            return [answer, *self._reopen(held, at_ms, actor=asked.actor)]
        return [answer]

    def annotate(self, step: Step, words: str) -> Step:
        """Add what the engine did to the note of an answer; return the step with it."""
        event = step.event
        note = f"{event.note}; {words}" if event.note else words
        event = msgspec.structs.replace(event, note=note)
        held = self._alerts[event.alert_id]
        held.answers[event.action_id] = event
        self._touch(held)
        return step._replace(event=event)

    def merged(self, key: str, into: str, at_ms: int) -> list[Step]:
        """Say that a situation has become part of another one; return how its alert ends, if it has one."""
        held, other = self.held(key), self.held(into)
        if held is None or other is None:
            return []
        alert, event = merge(held.alert, other.alert.alert_id, at_ms)
        return [self._take(held, alert, event)]

    def pass_time(self, until_ms: int) -> list[Step]:
        """Let everything happen that is due up to and including ``until_ms``, in order of time and alert."""
        steps: list[Step] = []
        while (due_ms := self.next_ms()) is not None and due_ms <= until_ms:
            _, alert_id = heappop(self._due)
            held = self._alerts[alert_id]
            if held.alert.condition_state is not C.CLEARED:
                steps += self._advance(held.key, held, None, due_ms)
            elif held.alert.handling_state in DONE:
                del self._alerts[alert_id]
                self._changed.add(alert_id)
            else:
                held.alert, event = leave(held.alert, due_ms)
                steps.append(self._announce(held, event))
                self._touch(held)
        self._silences.forget(until_ms)
        return steps

    def next_ms(self) -> int | None:
        """Return when something happens here without a further message, or None."""
        while self._due:
            due_ms, alert_id = self._due[0]
            held = self._alerts.get(alert_id)
            if held is not None and held.next_ms(self._settings) == due_ms:
                return due_ms
            heappop(self._due)  # what it was about has changed since
        return None

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; the value None removes the key."""
        records = self._silences.changed()
        for alert_id in sorted(self._changed):
            held = self._alerts.get(alert_id)
            records.append((f"alert:{alert_id}".encode(), None if held is None else msgspec.json.encode(held)))
        self._changed.clear()
        return records

    def restore(self, kind: str, name: str, value: bytes) -> None:
        """Take back one record of ``changed``, its key parted at the colon."""
        if kind == SILENCE:
            self._silences.restore(name, value)
            return
        held = msgspec.json.decode(value, type=Held)
        self._alerts[name] = held
        if held.alert.condition_state is not C.CLEARED:
            self._open[held.key] = name
        self._touch(held)

    def held(self, key: str) -> Held | None:
        """Return the alert that is open for a situation, or None."""
        alert_id = self._open.get(key)
        return None if alert_id is None else self._alerts[alert_id]

    @property
    def open_alerts(self) -> list[Alert]:
        """The alerts whose condition is not over."""
        return [self._alerts[alert_id].alert for alert_id in self._open.values()]

    def _advance(self, key: str, held: Held | None, situation: Situation | None, at_ms: int) -> list[Step]:
        steps: list[Step] = []
        before = None if held is None else held.alert
        for alert, event in advance(
            before,
            situation,
            at_ms,
            mode=self._settings.mode,
            area_digits=self._config.grid.area_digits,
        ):
            if held is None:
                held = self._keep(Held(key, alert))
            steps.append(self._take(held, alert, event))
        return steps

    def _take(self, held: Held, alert: Alert, event: AlertEvent) -> Step:
        """Keep what an alert has become; return it with its notice."""
        held.alert = alert
        step = self._announce(held, event)
        self._release(held)
        return step

    def _reopen(self, old: Held, at_ms: int, *, situation: Situation | None = None, actor: str = "") -> list[Step]:
        """Let a closed alert go on as a new one; its condition, if it is not over, goes with it."""
        fresh, event = reopen(old.alert, at_ms, situation, actor)
        clear_at_ms, steps = old.clear_at_ms, []
        if old.alert.condition_state is not C.CLEARED:
            old.alert, moved = replaced(old.alert, at_ms)
            steps.append(Step(old.alert, msgspec.structs.replace(moved, held=HoldReason.REOPENED)))
            self._release(old)
        held = self._keep(Held(old.key, fresh, clear_at_ms=clear_at_ms))
        steps.append(self._announce(held, event))
        self._touch(held)
        return steps

    def _keep(self, held: Held) -> Held:
        self._alerts[held.alert.alert_id] = held
        if held.alert.condition_state is not C.CLEARED:
            self._open[held.key] = held.alert.alert_id
        return held

    def _release(self, held: Held) -> None:
        """Let go of the situation of an alert whose condition is over, and say that the alert changed."""
        if held.alert.condition_state is C.CLEARED:
            held.clear_at_ms = None
            del self._open[held.key]
        self._touch(held)

    def _announce(self, held: Held, event: AlertEvent) -> Step:
        verdict = hold_back(held.alert, event, self._settings, notices=held.notices)
        if isinstance(verdict, HoldReason):
            return Step(held.alert, msgspec.structs.replace(event, held=verdict))
        held.notices += 1
        return Step(held.alert, msgspec.structs.replace(event, notice_id=verdict.notice_id), verdict)

    def _touch(self, held: Held) -> None:
        """Say that it changed: the next checkpoint writes it, and its next time is called."""
        self._changed.add(held.alert.alert_id)
        due_ms = held.next_ms(self._settings)
        if due_ms is not None:
            heappush(self._due, (due_ms, held.alert.alert_id))
