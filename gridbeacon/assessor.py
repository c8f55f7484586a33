"""The state of one partition of the ``signals`` log: messages in, transitions of alerts out; never a clock.

In a replay (``clock: event``) signals wait until the watermark has passed them and are then taken in the order of
event time, so that the way in which producers interleave changes nothing. Live, a signal counts at once.
"""

from bisect import insort
from heapq import heappop, heappush

import msgspec

from gridbeacon.alert_book import KINDS, AlertBook, Step
from gridbeacon.budget import in_words
from gridbeacon.config import Config
from gridbeacon.errors import Fatal
from gridbeacon.lifecycle import Event
from gridbeacon.model import Action, Alert, Asked, Decision, Evidence, Lesson, Position, Signal, SignalBatch, Transition
from gridbeacon.places import levels_of, partition_of
from gridbeacon.reasons import Level
from gridbeacon.situation import LEARNED, RULES, assess
from gridbeacon.triage import CENSUS, FEEDBACK, LEDGER, TAIL, Place, Triage
from gridbeacon.watermark import Watermark

LOG = "signals"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One piece of evidence; ``until_ms`` is when it lapses by itself (a report), None when a signal ends it."""

    evidence: Evidence
    until_ms: int | None = None


class CellState(msgspec.Struct):
    """All that is known of one cell."""

    findings: dict[str, Finding] = msgspec.field(default_factory=dict)
    learned: Place = msgspec.field(default_factory=Place)
    waiting: list[Signal] = msgspec.field(default_factory=list)

    def next_ms(self) -> int | None:
        """Return when something happens here without a further message, or None."""
        times = [f.until_ms for f in self.findings.values() if f.until_ms is not None]
        times += [s.time_ms for s in self.waiting[:1]]
        expires = self.learned.expires_ms()
        times += [] if expires is None else [expires]
        return min(times, default=None)


class Heard(msgspec.Struct):
    """Where the log stands: the highest offset taken of each producer, what was sent where, and the time."""

    taken: dict[int, int] = msgspec.field(default_factory=dict)
    sent: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    clock: Watermark = msgspec.field(default_factory=Watermark)


class Assessor:
    """A pure function of one ordered ``signals`` partition, in the form of an object with its state."""

    def __init__(self, config: Config, partition: int) -> None:
        self.config = config
        self.partition = partition
        self.repeats = 0
        self._heard = Heard()
        self._cells: dict[str, CellState] = {}
        self._book = AlertBook(config)
        self._awake: set[str] = set()
        self._changed: set[str] = set()
        self._triage = Triage(config.alarm_budget)
        self._levels = levels_of(config)
        self._lessons: list[Lesson] = []

    def assess(self, batch: SignalBatch, offset: int) -> list[Transition]:
        """Apply one message at ``offset`` of this partition; return the transitions that follow from it, in order.

        A message already taken is a repeat; one whose predecessor has not been taken is ignored, for its producer
        ended before that one was written and will send both again.
        """
        if not self.is_next(batch):
            self.repeats += 1
            return []
        self._heard.taken[batch.partition] = batch.offset
        if batch.tick is not None:
            self._heard.clock.hear(batch.tick)
        steps: list[Step] = []
        replayed = self.config.clock == "event"
        now = self._heard.clock.time_ms
        self._triage.count(batch, None if replayed else now or 0)
        touched = dict.fromkeys(signal.cell for signal in batch.signals)
        for signal in batch.signals:
            cell = self._cells.setdefault(signal.cell, CellState())
            if replayed:
                insort(cell.waiting, signal, key=lambda s: (s.time_ms, s.series))
            else:
                touched |= dict.fromkeys(self._take(cell, signal, signal.time_ms if now is None else now))
        for name in touched:
            self._changed.add(name)
            self._awake.add(name)
            if not replayed:
                at_ms = now if now is not None else max(s.time_ms for s in batch.signals)
                steps += self._judge(name, self._cells[name], at_ms)
        if now is not None:
            steps += self._pass_time(now)
        return self._number(steps, offset)

    def act(self, asked: Asked, offset: int) -> list[Transition]:
        """Do what a person asks for in the message at ``offset``; return the transitions, the answer first.

        It is decided at the time that the log says; before the log has said any, at the time at which it was sent.
        """
        now = self._heard.clock.time_ms
        at_ms = asked.sent_ms if now is None else now
        steps = self._book.act(asked, at_ms)
        if steps and steps[0].fresh and steps[0].event.event == Event.FEEDBACK:
            steps[0] = self._learn(steps[0], at_ms, offset)
        if not isinstance(asked, Action) and not self._answers(asked.silence_id):
            return []
        return self._number(steps, offset)

    def lessons(self) -> list[Lesson]:
        """Return what detect is to learn of the feedback since the last call."""
        lessons, self._lessons = self._lessons, []
        return lessons

    def is_next(self, batch: SignalBatch) -> bool:
        """Return whether this message is neither a repeat nor one that comes too early."""
        taken = self._heard.taken.get(batch.partition, -1)
        return batch.offset > taken >= batch.previous

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; the value None removes the key."""
        records: list[tuple[bytes, bytes | None]] = [(b"heard", msgspec.json.encode(self._heard))]
        records += self._triage.changed()
        records += self._book.changed()
        for name in self._changed:
            cell = self._cells.get(name)
            records.append((b"cell:" + name.encode(), None if cell is None else msgspec.json.encode(cell)))
        self._changed.clear()
        return records

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        if key == b"heard":
            self._heard = msgspec.json.decode(value, type=Heard)
            return
        kind, _, name = key.decode().partition(":")
        if kind in (LEDGER, CENSUS, TAIL, FEEDBACK):
            self._triage.restore(kind, name, value)
            return
        if kind in KINDS:
            self._book.restore(kind, name, value)
            return
        if kind != "cell":
            raise Fatal(f"unknown key {key!r} in the state of situate: the state topic belongs to another version")
        self._cells[name] = msgspec.json.decode(value, type=CellState)
        self._awake.add(name)

    @property
    def open_alerts(self) -> list[Alert]:
        """The alerts of this partition that have not cleared."""
        return self._book.open_alerts

    def _learn(self, step: Step, at_ms: int, offset: int) -> Step:
        """Apply a feedback to the learned layer; return the step with its effect in words."""
        alert = step.alert
        if alert is None or alert.disposition is None:
            return step
        effect = self._triage.feedback.apply(alert, alert.disposition, at_ms)
        self._lessons += [
            msgspec.structs.replace(one, position=Position(LOG, self.partition, offset, n))
            for n, one in enumerate(effect.lessons)
        ]
        return self._book.annotate(step, effect.words)

    def _take(self, cell: CellState, signal: Signal, now_ms: int) -> list[str]:
        """Take one finding; return the other cells in which something is told because of it."""
        key = f"{signal.layer}|{signal.series}|{signal.reason}"
        if signal.level is Level.NONE:
            cell.findings.pop(key, None)
            self._triage.end(cell.learned, key, now_ms)
            return []
        if signal.layer == LEARNED:
            return self._take_learned(signal, key, now_ms)
        lapses = now_ms + int(self.config.situate.event_hold_secs * 1000) if signal.layer == "event" else None
        cell.findings[key] = Finding(_evidence(signal, signal.time_ms), lapses)
        return []

    def _take_learned(self, signal: Signal, key: str, now_ms: int) -> list[str]:
        """Let the alarm budget decide on a learned finding, and on those that it corroborates."""
        above = (signal.cell[:digits] for digits in self._levels)
        around = (signal.cell, *signal.near, *above)
        places = {name: self._cells[name].learned for name in around if name in self._cells}
        told = self._triage.consider(signal.cell, places, key, signal, now_ms)
        for name, k, held in told:
            since_ms = held.candidate.since_ms
            self._cells[name].findings[k] = Finding(_evidence(held.signal, since_ms, held.decision))
            self._changed.add(name)
            self._awake.add(name)
        return [name for name, *_ in told if name != signal.cell]

    def _pass_time(self, until_ms: int) -> list[Step]:
        """Let everything happen that is due up to and including ``until_ms``, in order of time and cell."""
        steps: list[Step] = []
        due: list[tuple[int, str]] = []
        for name in sorted(self._awake):
            self._call(due, name, until_ms)
        while True:
            book_ms = self._book.next_ms()
            # What comes in at the same instant counts first: it may keep an alert from clearing.
            if book_ms is not None and book_ms <= until_ms and (not due or book_ms < due[0][0]):
                steps += self._book.pass_time(book_ms)
                continue
            if not due:
                break
            at_ms, name = heappop(due)
            cell = self._cells.get(name)
            if cell is None or cell.next_ms() != at_ms:
                continue  # it was called twice
            self._triage.pass_time(at_ms)
            self._changed.add(name)
            others: dict[str, None] = {}
            while cell.waiting and cell.waiting[0].time_ms == at_ms:
                others |= dict.fromkeys(self._take(cell, cell.waiting.pop(0), at_ms))
            cell.learned.forget(at_ms)
            for key in [k for k, f in cell.findings.items() if f.until_ms is not None and f.until_ms <= at_ms]:
                del cell.findings[key]
            for other in (name, *others):
                steps += self._judge(other, self._cells[other], at_ms)
                self._call(due, other, until_ms)
        self._triage.pass_time(until_ms)
        return steps

    def _call(self, due: list[tuple[int, str]], name: str, until_ms: int) -> None:
        """Put a cell on the list when something is due in it; let it sleep, or go, when nothing ever is."""
        cell = self._cells[name]
        next_ms = cell.next_ms()
        if next_ms is not None and next_ms <= until_ms:
            heappush(due, (next_ms, name))
        if next_ms is None:
            self._awake.discard(name)
            if not (cell.findings or cell.learned.held):
                del self._cells[name]
                self._changed.add(name)

    def _judge(self, name: str, cell: CellState, at_ms: int) -> list[Step]:
        """Assess the cell by each rule and tell the book."""
        steps: list[Step] = []
        for rule in RULES:
            situation = assess(name, rule, (f.evidence for f in cell.findings.values()))
            steps += self._book.situation(f"{name}|{rule}", situation, at_ms)
        return steps

    def _answers(self, silence_id: str) -> bool:
        """Return whether this partition speaks of a silence, which every partition hears of."""
        return partition_of(silence_id, self.config.topics.signals_partitions) == self.partition

    def _number(self, steps: list[Step], offset: int) -> list[Transition]:
        transitions: list[Transition] = []
        for index, step in enumerate(steps):
            target = partition_of(step.event.alert_id, self.config.topics.alerts_partitions)
            transitions.append(
                Transition(
                    partition=self.partition,
                    offset=offset,
                    index=index,
                    previous=self._heard.sent.get(target, (-1, -1)),
                    alert=step.alert,
                    event=step.event,
                    notice=step.notice,
                    silence=step.silence,
                )
            )
            self._heard.sent[target] = (offset, index)
        return transitions


def _evidence(signal: Signal, since_ms: int, budget: Decision | None = None) -> Evidence:
    return Evidence(
        series=signal.series,
        layer=signal.layer,
        reason=signal.reason,
        level=signal.level,
        since_ms=since_ms,
        lineage=signal.lineage,
        value=signal.value,
        expected=signal.expected,
        threshold=signal.threshold,
        text=signal.text if budget is None else f"{signal.text}; {in_words(budget)}",
        budget=budget,
    )
