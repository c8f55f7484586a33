"""The alerts of one partition: situations, people's actions and time in; transitions with their notices out.

Pure: the caller says what time it is. What happens by itself (an alert clears, is left open, or nobody acknowledges it)
happens in ``pass_time``, at the time at which it was due.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

import msgspec

from gridbeacon.config import Config
from gridbeacon.config_notify import ONE_EACH
from gridbeacon.groups import GROUP, Groups
from gridbeacon.handling import handle, leave, refused, reopen
from gridbeacon.held import Held, Step, call, called, telling_of
from gridbeacon.lifecycle import DONE, C, Event, H, K, advance, merge
from gridbeacon.model import Action, Alert, AlertEvent, Asked, Silence, Situation
from gridbeacon.notices import NEWS, Telling, notice_of
from gridbeacon.reasons import HoldReason, Reason, Refusal
from gridbeacon.routes import Router
from gridbeacon.silences import SILENCE, Silences
from gridbeacon.stages import CALL, consider, group_of

KINDS = ("alert", SILENCE, GROUP)
"""The kinds of the book's keys in the state of its role: ``alert:ID``, ``silence:ID``, ``group:NAME``."""
ANSWERS = 32
"""So many actions of an alert are remembered with their answers; a repeat comes within minutes."""
MUTED = (HoldReason.SILENCED, HoldReason.INHIBITED)
"""Who is held for one of these is told as soon as that is over, if it still stands then."""
LESS = (Event.LEVEL_LOWERED, Event.CLEARED, Event.MERGED)
"""What an alert that was held back for a graver one may be waiting for."""


class AlertBook:
    """A pure function of what it was given, in order, in the form of an object with its state.

    Give it ``situation`` whenever a situation may have changed, ``act`` when people want something, and ``pass_time``
    when time has passed; all return the steps that follow, in order.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.router = Router(config)
        self._settings = config.situate
        self._one_each = {webhook.name for webhook in config.notify.webhooks if webhook.profile in ONE_EACH}
        self._alerts: dict[str, Held] = {}
        self._open: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []
        self._changed: set[str] = set()
        self._muted: set[str] = set()
        self._silences = Silences()
        self._groups = Groups(config.routing.group_wait_secs)

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
            return self._then_release(self._advance(key, held, situation, at_ms), at_ms)
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
            event, silence = self._silences.begin(asked, at_ms)
            return [Step(None, event, silence=silence)]
        if not isinstance(asked, Action):
            event, silence = self._silences.end(asked, at_ms)
            return [Step(None, event, silence=silence), *self._release_muted(at_ms)]
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
        return self._then_release([self._take(held, alert, event)], at_ms)

    def pass_time(self, until_ms: int) -> list[Step]:
        """Let everything happen that is due up to and including ``until_ms``, in order of time and alert."""
        steps: list[Step] = []
        while (due_ms := self.next_ms()) is not None and due_ms <= until_ms:
            if self._due and self._due[0][0] == due_ms:
                steps += self._happen(self._alerts[heappop(self._due)[1]], due_ms)
            else:
                for name, waiting in self._groups.due(due_ms):
                    steps += self._tell_group(name, waiting, due_ms)
        self._silences.forget(until_ms)
        return steps

    def next_ms(self) -> int | None:
        """Return when something happens here without a further message, or None."""
        group_ms = self._groups.next_ms()
        while self._due:
            due_ms, alert_id = self._due[0]
            held = self._alerts.get(alert_id)
            if held is not None and held.next_ms(self._settings) == due_ms:
                return due_ms if group_ms is None else min(due_ms, group_ms)
            heappop(self._due)  # what it was about has changed since
        return group_ms

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; the value None removes the key."""
        records = self._silences.changed() + self._groups.changed()
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
        if kind == GROUP:
            self._groups.restore(name, value)
            return
        held = msgspec.json.decode(value, type=Held)
        self._alerts[name] = held
        if held.is_muted:
            self._muted.add(name)
        if held.alert.condition_state is not C.CLEARED:
            self._open[held.key] = name
        self._call_again(held)

    def held(self, key: str) -> Held | None:
        """Return the alert that is open for a situation, or None."""
        alert_id = self._open.get(key)
        return None if alert_id is None else self._alerts[alert_id]

    def silence_over(self, alert: Alert, at_ms: int) -> Silence | None:
        """Return the silence that an alert falls under, None when it falls under none."""
        return self._silences.over(alert, at_ms)

    def others(self) -> Iterable[Alert]:
        """Return the alerts whose condition is not over."""
        return (self._alerts[alert_id].alert for alert_id in self._open.values())

    def group_ms(self, key: str) -> int | None:
        """Return when the last notice of a group went out, None when none did."""
        return self._groups.last_ms(key)

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
            area_digits=self.config.grid.area_digits,
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
            old.alert, moved = merge(old.alert, fresh.alert_id, at_ms, Reason.REOPENED)
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

    def _happen(self, held: Held, at_ms: int) -> list[Step]:
        """Let happen what is due for an alert."""
        if held.clear_at_ms == at_ms:
            return self._then_release(self._advance(held.key, held, None, at_ms), at_ms)
        if held.call_at_ms == at_ms:
            return self._call(held, at_ms)
        if held.release_at_ms == at_ms:
            return self._release_muted(at_ms)
        if held.alert.handling_state in DONE:
            del self._alerts[held.alert.alert_id]
            self._changed.add(held.alert.alert_id)
            return []
        held.alert, event = leave(held.alert, at_ms)
        step = self._announce(held, event)
        self._touch(held)
        return [step]

    def _call(self, held: Held, at_ms: int) -> list[Step]:
        """Call the next of the escalation, or its last one again."""
        telling = call(held, self.router, self.config.routing, at_ms)
        steps = [] if telling is None else [self._announce(held, telling.event, telling)]
        self._touch(held)
        return steps

    def _announce(self, held: Held, event: AlertEvent, telling: Telling | None = None) -> Step:
        """Return the step of an event: told, or held with the reason."""
        telling = telling or telling_of(held, event)
        kept = consider(telling, self)
        self._note(held, telling, kept)
        if isinstance(kept, HoldReason):
            return Step(held.alert, msgspec.structs.replace(event, held=kept))
        name = group_of(kept, self.config)
        if name is not None and self.config.routing.group_wait_secs:
            self._groups.told(name, event.at_ms)
        return self._tell(held, kept)

    def _tell(self, held: Held, kept: Telling) -> Step:
        """Return the step of a telling that nothing holds back, and note who has heard what."""
        notice = notice_of(kept)
        held.notices += 1
        held.hear(kept, self.config.routing)
        return Step(held.alert, msgspec.structs.replace(kept.event, notice_id=notice.notice_id), notice)

    def _note(self, held: Held, telling: Telling, kept: Telling | HoldReason) -> None:
        """Remember an alert that is held for a while: muted, or waiting for its group."""
        alert_id, event = held.alert.alert_id, telling.event
        if kept is HoldReason.GROUPED:
            name = group_of(telling, self.config)
            if name is not None:
                self._groups.wait(name, alert_id)
        if event.event in NEWS:
            held.is_muted = kept in MUTED
            silence = self._silences.over(held.alert, event.at_ms) if kept is HoldReason.SILENCED else None
            held.release_at_ms = None if silence is None else silence.ends_ms
        if held.alert.handling_state is not H.NEW or held.alert.condition_state is C.CLEARED:
            held.is_muted, held.release_at_ms, held.call_at_ms = False, None, None
        if held.is_muted:
            self._muted.add(alert_id)
        else:
            self._muted.discard(alert_id)

    def _then_release(self, steps: list[Step], at_ms: int) -> list[Step]:
        """Return steps, and what may be told because one of them made an alert less grave."""
        if self._muted and any(step.event.event in LESS for step in steps):
            steps += self._release_muted(at_ms)
        return steps

    def _release_muted(self, at_ms: int) -> list[Step]:
        """Tell now of alerts that still stand and that nothing mutes any more."""
        steps: list[Step] = []
        for alert_id in sorted(self._muted):
            held = self._alerts[alert_id]
            event = held.again(Event.RELEASED, Reason.MUTE_OVER, at_ms)
            kept = consider(telling_of(held, event), self)
            if kept is HoldReason.GROUPED or not isinstance(kept, HoldReason):
                steps.append(self._announce(held, event))
            else:
                self._note(held, telling_of(held, event), kept)
            self._touch(held)
        return steps

    def _tell_group(self, name: str, waiting: list[str], at_ms: int) -> list[Step]:
        """Tell of the alerts of a group that have waited: in one notice of the gravest, and in one of each to where an
        entry is kept for each alert."""
        found: list[tuple[Held, Telling]] = []
        for alert_id in waiting:
            held = self._alerts.get(alert_id)
            if held is None:
                continue
            if name.startswith(CALL):
                telling = called(held, self.router, at_ms)
            else:
                telling = telling_of(held, held.again(Event.GROUPED, Reason.GROUP_WAITED, at_ms))
            # What is over by now is told as that.
            if telling is None or group_of(telling, self.config) not in (name, None):
                continue
            kept = consider(telling, self, grouping=False)
            if isinstance(kept, HoldReason):
                self._note(held, telling, kept)
                self._touch(held)
            else:
                found.append((held, kept))
        if not found:
            return []
        found.sort(key=lambda one: (-one[0].alert.highest_level, one[0].alert.opened_ms, one[0].alert.alert_id))
        (lead, kept), rest = found[0], found[1:]
        told = [
            *(kept.endpoints or ()),
            *(n for _, one in rest for n in one.endpoints or () if n not in self._one_each),
        ]
        who = (name for _, one in found for name in one.receivers)
        kept = msgspec.structs.replace(
            kept,
            endpoints=tuple(dict.fromkeys(told)),
            receivers=tuple(dict.fromkeys(who)),
            others=tuple(held.alert for held, _ in rest),
        )
        self._note(lead, kept, kept)
        self._groups.told(name, at_ms)
        steps = [self._tell(lead, kept)]
        self._touch(lead)
        for held, one in rest:
            own = tuple(n for n in one.endpoints or () if n in self._one_each)
            steps += [self._tell(held, msgspec.structs.replace(one, endpoints=own))] if own else []
            held.hear(one, self.config.routing)
            self._note(held, one, one)
            self._touch(held)
        return steps

    def _touch(self, held: Held) -> None:
        """Say that it changed: the next checkpoint writes it, and its next time is called."""
        self._changed.add(held.alert.alert_id)
        self._call_again(held)

    def _call_again(self, held: Held) -> None:
        """Call its next time."""
        due_ms = held.next_ms(self._settings)
        if due_ms is not None:
            heappush(self._due, (due_ms, held.alert.alert_id))
