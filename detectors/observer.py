"""Observe: the state of one partition of the ``observations`` log; frames in, verdicts and findings out, no clock.

Three layers judge each row: limits and data quality (``kernel``), then the learned layer (``episodes``). Time comes
from the frames' ticks alone: what has gone quiet, and which windows of grid events are over.
"""

from collections import Counter
from dataclasses import dataclass

import msgspec
import numpy as np

from detectors import episodes, kernel
from detectors.civil import CivilHours
from detectors.counting import Closed, EventCounts, category_of, counts
from detectors.findings import EVENT, Findings
from detectors.layout import NEVER, RESULT
from detectors.lessons import Lessons
from detectors.rules import rules_of
from detectors.states import States
from detectors.sums import Sums
from detectors.verdicts import verdicts_of
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.frame import I8, Frame, Judged, Rows, chosen, joined
from gridbeacon.model import (
    Born,
    CellResidual,
    GridEvent,
    PlaceSum,
    Position,
    ReportCount,
    Sensor,
    Signal,
    Tick,
)
from gridbeacon.places import levels_of
from gridbeacon.reasons import REASON_NUMBER, Level, Reason
from gridbeacon.vocabulary import METRIC_NUMBER, METRICS, Kind
from gridbeacon.watermark import Watermark

LOG = "observations"
DEAF_MS = 30_000
"""When live time jumps further than this, ingest was not there: it is we who heard nothing."""
TICK_MS = 1000
"""Time is passed on when it has moved this far."""
_OFFSET_BITS = 24
"""(offset, index) of a position as one number; an index is below 2^24."""
_MUTED, _EXPECTED_LOAD = REASON_NUMBER[Reason.MUTED], REASON_NUMBER[Reason.EXPECTED_LOAD]
_REPORTS = METRIC_NUMBER[Kind.EVENTS, "report_count"]


class Heard(msgspec.Struct):
    """Where the log stands: the time, the time last passed on, and the highest position taken per source partition."""

    clock: Watermark = msgspec.field(default_factory=Watermark)
    passed_ms: int | None = None
    taken: dict[str, int] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """What one frame meant: its rows judged (less repeats), its events, findings in order, the time to pass on (or
    None), how many rows and events were repeats, the learned series that are new, the sums that are closed, and the
    reports counted in windows that are."""

    judged: Judged
    events: tuple[GridEvent, ...]
    signals: tuple[Signal, ...]
    tick: Tick | None
    repeats: int
    born: tuple[Born, ...] = ()
    sums: tuple[PlaceSum, ...] = ()
    cells: tuple[CellResidual, ...] = ()
    counts: tuple[ReportCount, ...] = ()


class Observer:
    """A pure function of one ordered ``observations`` partition, in the form of an object with its state."""

    def __init__(self, config: Config, partition: int, calendar: Calendar | None = None) -> None:
        self._config = config
        self._partition = partition
        self._live = config.clock == "arrival"
        self._rules = rules_of(config)
        self._warm_up_ms = round(config.detect.warm_up_days * 86_400_000)
        self._hours = CivilHours(config.timezone)
        self._heard = Heard()
        self.states = States(config.detect, config.quality)
        self._calendar = Calendar() if calendar is None else calendar
        self._findings = Findings(self._rules[0], self.states)
        detect = config.detect
        self._counts = EventCounts(round(detect.event_window_secs * 1000), round(detect.event_grace_secs * 1000))
        digits = (0, *levels_of(config))[-1]
        window_ms = round(detect.area_window_secs * 1000)
        self._sums = (
            Sums(self.states, digits, window_ms, self._counts.grace_ms, cells=detect.cell_trees)
            if digits or detect.cell_trees
            else None
        )
        self._lessons = Lessons(self.states)
        self._urgent = frozenset(code.casefold() for code in detect.urgent_codes)
        self._later: list[tuple[bytes, bytes]] = []
        self._nothing: Judged | None = None

    @property
    def series(self) -> int:
        """How many series are known."""
        return len(self.states)

    @property
    def watermark_ms(self) -> int | None:
        """The time of the log, None while it is unknown."""
        return self._heard.clock.time_ms

    def observe(self, frame: Frame, offset: int) -> Observed:
        """Take the frame at ``offset`` of the partition; return what follows from it.

        Raises ``Fatal`` when the log contradicts itself (a source that was never defined).
        """
        self._settle()
        clock = self._heard.clock
        if self._live and clock.time_ms is not None and frame.ingested_ms - clock.time_ms > DEAF_MS:
            self.states.postpone(frame.ingested_ms - clock.time_ms)
        for sensor in frame.sensors:
            self.states.define(sensor)
        repeated_lessons = self._learn_lessons(frame)
        rows, repeated_rows = self._new_rows(frame.rows)
        events, repeated_events = self._new_events(frame.events)
        arrival_ms = frame.ingested_ms if self._live else NEVER
        judged, signals = self._judge(rows, self.states.numbers_of(rows.sources)[rows.source], arrival_ms)
        for event in events:
            if counts(event):
                self._counts.add(event, clock.time_ms)
            if event.service_code.casefold() in self._urgent:
                signals.append(_urgent(event))
        moved = [clock.hear(tick) for tick in frame.ticks]
        reported: list[Closed] = []
        if any(moved) and clock.time_ms is not None:
            at = Position(LOG, self._partition, offset)
            if self._live:
                self.states.expect_first(clock.time_ms)
            for source in self.states.silent(clock.time_ms):
                signals.append(self._findings.gone_quiet(source, int(self.states.sources["deadline_ms"][source]), at))
            self._lessons.forget(clock.time_ms)
            closed = self._counts.close(clock.time_ms)
            reported = [one for one in closed if one.reports]
            if closed:
                more, found = self._judge_counts(closed, len(rows), offset)
                judged = joined(judged, more)
                signals += found
            if self._sums is not None:
                self._sums.close(clock.time_ms)
        sums, cells = ((), ()) if self._sums is None else self._sums.take()
        repeats = repeated_lessons + repeated_rows + repeated_events
        numbered = tuple(msgspec.structs.replace(signal, index=n) for n, signal in enumerate(signals))
        return Observed(
            judged=judged,
            events=events,
            signals=numbered,
            tick=self._tick(),
            repeats=repeats,
            born=self._born(),
            sums=sums,
            cells=cells,
            counts=tuple(
                ReportCount(end_ms=c.end_ms, cell=c.cell, category=c.category, reports=c.reports, near=c.near)
                for c in reported
            ),
        )

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; None removes the key."""
        self._settle()
        heard: list[tuple[bytes, bytes | None]] = [(b"c:", msgspec.msgpack.encode(self._heard))]
        sums = [] if self._sums is None else self._sums.changed()
        return heard + self.states.changed() + self._counts.changed() + self._lessons.changed() + sums

    def teach(self, frame: Frame) -> None:
        """Learn from rows of the past: nothing is told, and no position is remembered.

        All rows are of sensors, or all are counts of reports (their sources are ``cell/category``).
        """
        for sensor in frame.sensors:
            self.states.define(sensor)
        rows = frame.rows
        events = bool(len(rows)) and METRICS[int(rows.metric[0])].kind is Kind.EVENTS
        self._judge(rows, self.states.numbers_of(rows.sources, events=events)[rows.source], NEVER, past=True)

    def adopt(self, other: "Observer") -> int:
        """Take over what another one has learned; return of how many series."""
        self._settle()
        return self.states.adopt(other.states)

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``, in any order. Raises ``Fatal`` on states of another version."""
        kind = key[:2]
        if kind == b"c:":
            self._heard = msgspec.msgpack.decode(value, type=Heard)
        elif kind == b"s:":
            self.states.restore_source(value)
        elif kind == b"l:":
            self._lessons.restore(value)
        elif kind == b"e:":
            self._counts.restore(value)
        elif kind == b"a:":
            if self._sums is not None:
                self._sums.restore(key, value)
        else:
            self._later.append((key, value))  # a series needs its source, which may come after it

    def _born(self) -> tuple[Born, ...]:
        """Return the learned series that are new since the last call, in order of time, cell and class."""
        states = self.states
        found: Counter[tuple[int, str, str]] = Counter()
        for number in states.announced():
            source, metric = states.series_keys[number]
            if METRICS[metric].learned:
                metric_class = f"{METRICS[metric].kind}/{METRICS[metric].name}"
                found[int(states.series["first_ms"][number]), states.cells[source], metric_class] += 1
        return tuple(Born(*key, count) for key, count in sorted(found.items()))

    def _settle(self) -> None:
        """Restore the series, once all sources are here."""
        for key, value in self._later:
            self.states.restore_series(key, value)
        self._later.clear()
        if self._sums is not None:
            self._sums.settle()

    def _judge(self, rows: Rows, at_source: I8, arrival_ms: int, *, past: bool = False) -> tuple[Judged, list[Signal]]:
        states = self.states
        n = len(rows)
        if not n and self._nothing is not None:  # most frames of a quiet city say the time, and nothing else
            return self._nothing, []
        at_series = states.series_of(at_source, rows.metric)
        results = np.zeros(n, RESULT)
        kernel.judge_rows(
            states.series,
            states.sources,
            at_series,
            at_source,
            rows.metric,
            rows.observed_ms,
            rows.value,
            rows.coverage,
            rows.confidence,
            rows.surface,
            rows.motion,
            arrival_ms,
            self._rules,
            results,
        )
        states.touch(at_series, at_source)
        self._lessons.apply(at_series, rows.observed_ms, results)
        civil_ms = self._hours.since_monday(rows.observed_ms)
        learned = episodes.judge(
            states, rows, at_series, at_source, results, civil_ms, self._calendar, self._warm_up_ms
        )
        if self._sums is not None and not past:
            self._add(self._sums, rows, at_series, learned)
        told = np.flatnonzero((results["turns"] != 0) | (results["before"] != results["after"]).any(axis=1))
        signals = [
            (i, signal)
            for i in told.tolist()
            for signal in self._findings.of_row(rows, i, int(at_source[i]), results[i])
        ]
        signals = sorted(signals + learned.signals, key=lambda pair: pair[0])
        cells = states.cells
        grid = tuple(cells[source] for source in at_source.tolist())
        judged = verdicts_of(rows, grid, results, learned)
        if not n:
            self._nothing = judged
        return judged, [signal for _, signal in signals]

    @staticmethod
    def _add(sums: Sums, rows: Rows, at_series: I8, learned: episodes.Learned) -> None:
        """Add what is known of each row to the sums of its place; what the calendar explains is no news there."""
        explained = (learned.reason == _MUTED) | (learned.reason == _EXPECTED_LOAD)
        at = np.flatnonzero(~np.isnan(learned.expected) & ~explained)
        if len(at):
            sums.add(
                at_series[at],
                rows.observed_ms[at],
                rows.value[at],
                learned.expected[at],
                learned.spread[at],
                learned.learned[at],
            )

    def _judge_counts(self, closed: list[Closed], index: int, offset: int) -> tuple[Judged, list[Signal]]:
        names = tuple(dict.fromkeys(f"{one.cell}/{one.category}" for one in closed))
        secs = self._config.detect.event_window_secs
        for one in closed:
            name = f"{one.cell}/{one.category}"
            self.states.define(
                Sensor(sensor_id=name, kind=Kind.EVENTS, grid_id=one.cell, interval_secs=secs, near=one.near)
            )
        number = {name: n for n, name in enumerate(names)}
        n = len(closed)
        rows = Rows(
            sources=names,
            topics=(LOG,),
            source=np.array([number[f"{one.cell}/{one.category}"] for one in closed], np.int32),
            metric=np.full(n, _REPORTS, np.uint8),
            observed_ms=np.array([one.end_ms for one in closed], np.int64),
            value=np.array([one.reports for one in closed], np.float64),
            coverage=np.full(n, np.nan, np.float32),
            confidence=np.full(n, np.nan, np.float32),
            surface=np.zeros(n, np.uint8),
            motion=np.zeros(n, np.uint8),
            topic=np.zeros(n, np.uint8),
            partition=np.full(n, self._partition, np.int32),
            offset=np.full(n, offset, np.int64),
            index=np.arange(index, index + n, dtype=np.int32),
        )
        judged, signals = self._judge(rows, self.states.numbers_of(names, events=True)[rows.source], NEVER)
        # A count is known when its grace is over: that is when it may become a finding.
        grace_ms = round(self._config.detect.event_grace_secs * 1000)
        return judged, [msgspec.structs.replace(s, time_ms=s.time_ms + grace_ms) for s in signals]

    def _new_rows(self, rows: Rows) -> tuple[Rows, int]:
        """Return the rows whose position was not taken yet, and how many were."""
        if not len(rows):
            return rows, 0
        at = (rows.offset << _OFFSET_BITS) | rows.index
        place = (rows.topic.astype(np.int64) << 32) | rows.partition
        keep = np.ones(len(rows), bool)
        for one in np.unique(place).tolist():
            here = place == one
            keep[here] = at[here] > self._taken(rows.topics[one >> 32], one & 0xFFFFFFFF, int(at[here].max()))
        if keep.all():
            return rows, 0
        return chosen(rows, keep), int(len(rows) - keep.sum())

    def _new_events(self, events: tuple[GridEvent, ...]) -> tuple[tuple[GridEvent, ...], int]:
        fresh = []
        for event in events:
            topic, partition, offset, index = event.position
            at = (offset << _OFFSET_BITS) | index
            if at > self._taken(topic, partition, at):
                fresh.append(event)
        return tuple(fresh), len(events) - len(fresh)

    def _learn_lessons(self, frame: Frame) -> int:
        """Learn what people's feedback teaches, each lesson once; return how many were repeats."""
        repeats = 0
        for lesson in frame.lessons:
            topic, partition, offset, index = lesson.position
            at = (offset << _OFFSET_BITS) | index
            if at > self._taken(topic, partition, at):
                self._lessons.take(lesson)
            else:
                repeats += 1
        return repeats

    def _taken(self, topic: str, partition: int, now: int) -> int:
        """Return the highest position of a source partition taken so far, and remember ``now``."""
        key = f"{topic}/{partition}"
        before = self._heard.taken.get(key, -1)
        self._heard.taken[key] = max(before, now)
        return before

    def _tick(self) -> Tick | None:
        """Return the time to pass on, when it has moved far enough."""
        now, passed = self._heard.clock.time_ms, self._heard.passed_ms
        if now is not None and self._sums is not None:
            now = self._sums.until(now)
        if now is None or (passed is not None and now - passed < TICK_MS):
            return None
        self._heard.passed_ms = now
        of = 0 if self._live else self._config.topics.observations_partitions
        return Tick(f"{LOG}/{self._partition}", now, of)


def _urgent(event: GridEvent) -> Signal:
    """Return the finding that a report of an urgent code is; it ends when the report proves false."""
    verified = event.verification == "verified"
    level = Level.ORANGE if verified else Level.YELLOW
    return Signal(
        cell=event.grid_id,
        layer=EVENT,
        series=f"{Kind.EVENTS}/{event.grid_id}/{event.service_code}",
        reason=Reason.URGENT_REPORT,
        level=level if counts(event) else Level.NONE,
        time_ms=event.reported_ms,
        lineage=event.position,
        kind=Kind.EVENTS,
        near=event.near,
        request=event.service_request_id,
        text=f"{event.service_name or category_of(event)} reported by {event.reporter_role or 'someone'}"
        + (", verified" if verified else ""),
    )
