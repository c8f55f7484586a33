"""The state of one partition of the ``signals`` log: messages in, transitions of alerts out; never a clock.

In a replay (``clock: event``) signals wait until the watermark has passed them and are then taken in the order of
event time, so that the way in which producers interleave changes nothing. Live, a signal counts at once.
"""

from bisect import insort
from collections.abc import Collection, Iterable

import msgspec

from gridbeacon.agenda import Agenda
from gridbeacon.budget import in_words
from gridbeacon.clusters import SCAN, Clusters
from gridbeacon.config import Config
from gridbeacon.errors import Fatal
from gridbeacon.held import Step
from gridbeacon.lifecycle import Event
from gridbeacon.model import (
    Action,
    Alert,
    Asked,
    Decision,
    Evidence,
    Lesson,
    Position,
    Signal,
    SignalBatch,
    SituationReport,
    Transition,
    Weighed,
)
from gridbeacon.places import levels_of, partition_of
from gridbeacon.reasons import BudgetReason, Level
from gridbeacon.situation import FORECAST, LEARNED
from gridbeacon.situations import KINDS, Situations
from gridbeacon.triage import CENSUS, FEEDBACK, LEDGER, TAIL, Held, Place, Triage
from gridbeacon.watermark import Watermark

LOG = "signals"
EVENTS_KEPT = 500
"""So many reports stand in one cell at once, the latest; each is stored all the same."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One piece of evidence; ``until_ms`` is when it lapses by itself (a report), None when a signal ends it."""

    evidence: Evidence
    until_ms: int | None = None


class CellState(msgspec.Struct):
    """All that is known of one cell: what stands in it, what is held back, what waits for its time, what adjoins it."""

    findings: dict[str, Finding] = msgspec.field(default_factory=dict)
    learned: Place = msgspec.field(default_factory=Place)
    waiting: list[Signal] = msgspec.field(default_factory=list)
    near: tuple[str, ...] = ()

    def next_ms(self) -> int | None:
        """Return when something happens here without a further message, or None."""
        times = [f.until_ms for f in self.findings.values() if f.until_ms is not None]
        times += [s.time_ms for s in self.waiting[:1]]
        expires = self.learned.expires_ms()
        times += [] if expires is None else [expires]
        return min(times, default=None)

    @property
    def empty(self) -> bool:
        """Whether nothing is known of it."""
        return not (self.findings or self.learned.held or self.waiting or self.learned.told_ms is not None)


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
        self._situations = Situations(config)
        self._agenda = Agenda(self._due_ms)
        self._changed: set[str] = set()
        self._triage = Triage(config.alarm_budget)
        self._clusters = Clusters(config)
        self._levels = levels_of(config)
        self._lessons: list[Lesson] = []
        self._weighed: list[Weighed] = []

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
        replayed = self.config.clock == "event"
        now = self._heard.clock.time_ms
        self._triage.count(batch, None if replayed else now or 0)
        self._clusters.count(batch.counts, now or 0)
        steps: list[Step] = []
        touched: dict[str, None] = {}
        for signal in batch.signals:
            if replayed:
                insort(self._cell(signal.cell).waiting, signal, key=_order)
                touched[signal.cell] = None
            else:
                touched |= dict.fromkeys(self._take(signal, signal.time_ms if now is None else now))
        if replayed:
            for name in touched:
                self._touch(name)
        elif touched:
            at_ms = now if now is not None else max(s.time_ms for s in batch.signals)
            self._look(touched, at_ms)
            steps += self._situations.settle(at_ms, self._findings_of)
        if now is not None:
            steps += self._pass_time(now)
        return self._number(steps, offset)

    def take_reports(self) -> list[SituationReport]:
        """Return what is to be reported of situations since the last call, in order."""
        reports, self._situations.reports = self._situations.reports, []
        return reports

    def take_weighed(self) -> tuple[Weighed, ...]:
        """Return what the alarm budget has decided since the last call, in order."""
        weighed, self._weighed = tuple(self._weighed), []
        return weighed

    def act(self, asked: Asked, offset: int) -> list[Transition]:
        """Do what a person asks for in the message at ``offset``; return the transitions, the answer first.

        It is decided at the time that the log says; before the log has said any, at the time at which it was sent.
        """
        now = self._heard.clock.time_ms
        at_ms = asked.sent_ms if now is None else now
        steps = self._situations.book.act(asked, at_ms)
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
        records += self._clusters.changed()
        records += self._situations.changed()
        for name in sorted(self._changed):
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
        elif kind == SCAN:
            self._clusters.restore(name, value)
        elif kind in KINDS:
            self._situations.restore(kind, name, value)
        elif kind == "cell":
            self._cells[name] = msgspec.json.decode(value, type=CellState)
            self._agenda.call(name)
        else:
            raise Fatal(f"unknown key {key!r} in the state of situate: the state topic belongs to another version")

    @property
    def open_alerts(self) -> list[Alert]:
        """The alerts of this partition that have not cleared."""
        return self._situations.book.open_alerts

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
        return self._situations.book.annotate(step, effect.words)

    def _cell(self, name: str) -> CellState:
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = CellState()
        return cell

    def _take(self, signal: Signal, now_ms: int) -> list[str]:
        """Take one finding; return the cells in which something else stands than before."""
        cell = self._cell(signal.cell)
        if signal.near and signal.near != cell.near:
            cell.near = tuple(sorted({*cell.near, *signal.near}))
        # A forecast says one thing of a series at a time, be it watch or warning.
        key = f"{signal.layer}|{signal.series}|{'' if signal.layer == FORECAST else signal.reason}"
        if signal.layer == "event":  # each report stands for itself
            key += f"|{signal.request or '/'.join(map(str, signal.lineage))}"
        before = cell.findings.get(key)
        if signal.level is Level.NONE:
            cell.findings.pop(key, None)
            self._triage.end(cell.learned, key, now_ms)
            return [signal.cell]
        if signal.layer == LEARNED:
            return self._take_learned(cell, signal, key, now_ms)
        since_ms = signal.time_ms if before is None else before.evidence.since_ms
        lapses = None
        if signal.layer == "event":
            lapses = now_ms + int(self.config.situate.event_hold_secs * 1000)
            while len(cell.findings) >= EVENTS_KEPT and (oldest := _oldest_report(cell)) is not None:
                del cell.findings[oldest]
        cell.findings[key] = Finding(_evidence(signal, since_ms), lapses)
        return [signal.cell]

    def _take_learned(self, cell: CellState, signal: Signal, key: str, now_ms: int) -> list[str]:
        """Let the alarm budget decide on a learned finding, and on those that it corroborates."""
        above = (signal.cell[:digits] for digits in self._levels)
        around = (signal.cell, *signal.near, *above)
        places = {name: self._cells[name].learned for name in around if name in self._cells}
        told = self._triage.consider(signal.cell, places, key, signal, now_ms)
        if not told and self._situations.cooldown.of(signal.cell, now_ms):
            held = cell.learned.held[key]
            held.decision = msgspec.structs.replace(held.decision, reason=BudgetReason.COOL_DOWN)
            told = [(signal.cell, key, held)]
        for name, one in [(name, held) for name, _, held in told] or [(signal.cell, cell.learned.held[key])]:
            self._weighed.append(_weighed(name, one, now_ms))
        for name, k, held in told:
            since_ms = held.candidate.since_ms
            self._cells[name].findings[k] = Finding(_evidence(held.signal, since_ms, held.decision))
        return [signal.cell, *(name for name, *_ in told)]

    def _pass_time(self, until_ms: int) -> list[Step]:
        """Let everything happen that is due up to and including ``until_ms``, in order of time."""
        steps: list[Step] = []
        while (at_ms := self._next_ms()) is not None and at_ms <= until_ms:
            steps += self._happen(at_ms)
        self._triage.pass_time(until_ms)
        return steps

    def _happen(self, at_ms: int) -> list[Step]:
        """Let everything happen that is due at one instant: what comes in counts before what ends by itself."""
        self._triage.pass_time(at_ms)
        due = self._agenda.take(at_ms)
        touched = dict.fromkeys(due)
        for name in due:
            waiting = self._cells[name].waiting
            while waiting and waiting[0].time_ms == at_ms:
                touched |= dict.fromkeys(self._take(waiting.pop(0), at_ms))
        for signal in self._clusters.scan(at_ms):
            touched |= dict.fromkeys(self._take(signal, at_ms))
        for name in due:
            cell = self._cells[name]
            cell.learned.forget(at_ms)
            for key in [k for k, f in cell.findings.items() if f.until_ms is not None and f.until_ms <= at_ms]:
                del cell.findings[key]
        self._look(touched, at_ms)
        return self._situations.pass_time(at_ms, self._findings_of)

    def _next_ms(self) -> int | None:
        """Return when something happens without a further message, or None."""
        times = [self._agenda.next_ms(), self._situations.next_ms(), self._clusters.next_ms()]
        return min((ms for ms in times if ms is not None), default=None)

    def _look(self, names: Iterable[str], at_ms: int) -> None:
        """Say what stands in cells that something has come to, or gone from."""
        for name in names:
            cell = self._cells[name]
            self._situations.look(name, [f.evidence for f in cell.findings.values()], cell.near, at_ms)
            self._touch(name)

    def _touch(self, name: str) -> None:
        """Say that a cell changed: the next checkpoint writes it, and its next time is called."""
        self._changed.add(name)
        if self._cells[name].empty:
            del self._cells[name]
        else:
            self._agenda.call(name)

    def _due_ms(self, name: str) -> int | None:
        cell = self._cells.get(name)
        return None if cell is None else cell.next_ms()

    def _findings_of(self, name: str) -> Collection[Evidence]:
        cell = self._cells.get(name)
        return () if cell is None else [f.evidence for f in cell.findings.values()]

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


def _weighed(cell: str, held: Held, at_ms: int) -> Weighed:
    signal = held.signal
    return Weighed(
        decided_ms=at_ms,
        cell=cell,
        series=signal.series,
        score=signal.score or 0.0,
        decision=held.decision,
        lineage=signal.lineage,
    )


def _order(signal: Signal) -> tuple[int, str, str, str, int]:
    if signal.layer == FORECAST:  # what was said later of the same time counts
        return signal.time_ms, signal.series, "", "", signal.lineage.offset
    return signal.time_ms, signal.series, signal.reason, signal.request, 0


def _oldest_report(cell: CellState) -> str | None:
    reports = ((f.until_ms, key) for key, f in cell.findings.items() if f.until_ms is not None)
    return min(reports, default=(0, None))[1]


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
        cell=signal.cell,
        request=signal.request,
        foreseen=signal.foreseen,
    )
