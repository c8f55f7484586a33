"""Stories: time lines as text. What sensors measure, what people report, what is found; and exactly what is told when.

A story is a file in ``stories/``. Its first line says what it is about. Then, one thing a line (``#`` begins a remark):

    cell EXIT 310101001002003 near SQUARE        a cell by a short name, and what adjoins it
    sensor CAM-1 in EXIT every 10 s              a camera; ``traffic`` after its name makes it a counter of vehicles
    set situate.clear_after_secs 120             a key of the configuration
    until 23:30                                  time goes on to here (else ten minutes past the last line)
    history CAM-1 people 100 for 21 days         what was measured before, about so many, at each interval
    calendar 18:00-23:30 expects 6 times in EXIT what is announced: so many times as much as usual

    22:10-22:20 CAM-1 density 1.0 to 4.4         measured, at each interval of the sensor, rising evenly
    22:10 CAM-1 density 3.2                      measured once
    22:15 citizen_app reports crush in EXIT      a grid event; ``verified`` or ``rejected`` may follow, and ``id R1``
    22:15 CAM-1 found density yellow 3.2         a finding of detect itself: reason, level (none ends it), value
    22:15 CAM-1 people unusual 80 for 20         a learned finding: value and what is expected; ``score 1.2`` may follow
    22:40 CAM-1 people usual                     and its end

What people do is written as ``people.py`` says.

After a line ``told`` stand all transitions of alerts in order, and nothing else is told:

    22:16:10 EXIT opened yellow, notice
    22:20 EXIT data_health opened blue, held not_for_dispatch
    total 3 notices                              and how many alerts or notices there are in all

Time is ticks of ten seconds. Every story is played twice: in the order of event time (a replay), and live.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from detectors.observer import Observer
from gridbeacon.assessor import Assessor
from gridbeacon.calendar import Calendar, Occurrence, Scope, Window
from gridbeacon.config import Config
from gridbeacon.frame import Frame, Rows
from gridbeacon.model import GridEvent, Position, Sensor, Signal, SignalBatch, Tick, Transition
from gridbeacon.reasons import CalendarMode, Level, Reason
from gridbeacon.roll import SAFETY
from gridbeacon.vocabulary import METRIC_NUMBER, Kind, series_name
from tests.scenarios import people

STORIES = Path(__file__).parent / "stories"
DAY_MS = round(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)
"""Midnight before the story: a Monday."""
TICK_MS = 10_000
METRICS: dict[str, tuple[Kind, str]] = {
    "density": (Kind.CROWD, "density_max_per_m2"),
    "people": (Kind.CROWD, "people_count"),
    "towards": (Kind.CROWD, "people_count_towards"),
    "away": (Kind.CROWD, "people_count_away"),
    "flow": (Kind.CROWD, "flow_per_m_min"),
    "occupancy": (Kind.CROWD, "occupancy"),
    "vehicles": (Kind.TRAFFIC, "intensity_per_h"),
    "speed": (Kind.TRAFFIC, "average_vehicle_speed_km_h"),
}
LAYERS = {Reason.DENSITY: "limit", Reason.CAPACITY: "limit", Reason.FLOW: "limit", Reason.DENSITY_UP_FLOW_DOWN: "limit"}
METRIC_OF = {Reason.DENSITY: "density", Reason.CAPACITY: "people", Reason.FLOW: "flow"}
WHOLE = (Reason.GONE_QUIET, Reason.LOW_COVERAGE, Reason.LOW_CONFIDENCE)
"""Doubts that are about a sensor, not about one of its series."""
CLOCK = r"(\d{1,2}:\d{2}(?::\d{2})?)"
_NUMBER = r"(-?\d+(?:\.\d+)?)"


def at(clock: str) -> int:
    """Return the event time of ``HH:MM`` or ``HH:MM:SS``; hours may pass 24."""
    hours, minutes, secs = (int(part) for part in f"{clock}:0".split(":")[:3])
    return DAY_MS + ((hours * 60 + minutes) * 60 + secs) * 1000


def clock_of(time_ms: int) -> str:
    """Return an event time as a story writes it."""
    secs = (time_ms - DAY_MS) // 1000
    return f"{secs // 3600:02d}:{secs // 60 % 60:02d}" + (f":{secs % 60:02d}" if secs % 60 else "")


@dataclass
class Story:
    """What a file says."""

    title: str
    cells: dict[str, str] = field(default_factory=dict)
    near: dict[str, list[str]] = field(default_factory=dict)
    sensors: dict[str, Sensor] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    measured: list[tuple[int, str, str, float]] = field(default_factory=list)
    events: list[GridEvent] = field(default_factory=list)
    found: list[Signal] = field(default_factory=list)
    deeds: list[people.Deed] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    history: list[tuple[int, str, str, float]] = field(default_factory=list)
    announced: list[Occurrence] = field(default_factory=list)
    until_ms: int = 0

    def name_of(self, cell: str) -> str:
        """Return the short name of a cell."""
        return next((name for name, code in self.cells.items() if code == cell), cell)

    def near_of(self, cell: str) -> tuple[str, ...]:
        """Return the codes of the cells that adjoin one."""
        return tuple(self.cells[name] for name in self.near.get(self.name_of(cell), ()))

    def _cell(self, name: str, code: str, near: str | None) -> None:
        self.cells[name] = code
        for other in (near or "").split():
            self.near.setdefault(name, []).append(other)
            self.near.setdefault(other, []).append(name)

    def _sensor(self, name: str, kind: str | None, cell: str, secs: str | None) -> None:
        self.sensors[name] = Sensor(
            sensor_id=name, kind=Kind(kind or "crowd"), grid_id=self.cells[cell], interval_secs=float(secs or 10)
        )

    def _set(self, key: str, value: str) -> None:
        section, _, name = key.rpartition(".")
        inner = self.settings.setdefault(section, {}) if section else self.settings
        inner[name] = msgspec.yaml.decode(value)

    def _until(self, clock: str) -> None:
        self.until_ms = at(clock)

    def _measure(self, begin: str, end: str | None, source: str, metric: str, low: str, high: str | None) -> None:
        first, last = at(begin), at(end or begin)
        step = round(self.sensors[source].interval_secs * 1000)
        for n, time_ms in enumerate(range(first, last + 1, step)):
            share = (time_ms - first) / max(last - first, 1)
            value = float(low) + (float(high or low) - float(low)) * share
            # A sensor that always says the same is stuck.
            self.measured.append((time_ms, source, metric, value * (1.0 + 0.002 * (n % 3 - 1))))

    def _report(self, clock: str, role: str, code: str, cell: str, verification: str | None, name: str | None) -> None:
        number = len(self.events)
        self.events.append(
            GridEvent(
                service_request_id=name or f"R-{number}",
                service_code=code,
                grid_id=self.cells[cell],
                occurred_ms=at(clock),
                reported_ms=at(clock),
                position=Position("grid.events", 0, number),
                reporter_role=role,
                verification=verification or "unverified",
            )
        )

    def _finding(self, clock: str, source: str, reason: str, level: str, value: str | None) -> None:
        sensor, why = self.sensors[source], Reason(reason)
        metric = METRIC_NUMBER[METRICS[METRIC_OF.get(why, "density")]]
        self._add_finding(
            Signal(
                cell=sensor.grid_id,
                layer=LAYERS.get(why, "quality"),
                series=f"{sensor.kind}/{source}" if why in WHOLE else series_name(metric, source),
                reason=why,
                level=Level[level.upper()],
                time_ms=at(clock),
                lineage=Position("crowd.metrics", 0, len(self.found)),
                kind=sensor.kind,
                value=None if value is None else float(value),
                text=f"{reason} at {source}",
            )
        )

    def _unusual(self, clock: str, source: str, metric: str, value: str, expected: str, score: str | None) -> None:
        self._learned(clock, source, metric, float(value), float(expected), float(score or 2))

    def _usual(self, clock: str, source: str, metric: str, way: str | None) -> None:
        low = -1.0 if way == "low" else 1.0
        self._learned(clock, source, metric, low, 0.0, 0.0)

    def _learned(self, clock: str, source: str, metric: str, value: float, expected: float, score: float) -> None:
        sensor = self.sensors[source]
        self._add_finding(
            Signal(
                cell=sensor.grid_id,
                layer="learned",
                series=series_name(METRIC_NUMBER[METRICS[metric]], source),
                reason=Reason.ABOVE_EXPECTED if value > expected else Reason.BELOW_EXPECTED,
                level=Level.BLUE if score else Level.NONE,
                time_ms=at(clock),
                lineage=Position("crowd.metrics", 0, len(self.found)),
                kind=sensor.kind,
                value=value,
                expected=expected,
                score=score or None,
                text=f"{metric} at {source}",
            )
        )

    def _add_finding(self, signal: Signal) -> None:
        near = self.near_of(signal.cell)
        self.found.append(msgspec.structs.replace(signal, index=len(self.found), near=near))

    def _act(
        self,
        clock: str,
        actor: str,
        kind: str,
        cell: str,
        version: str | None,
        to: str | None,
        word: str | None,
        twice: str | None,
        note: str | None,
    ) -> None:
        seen, times = None if version is None else int(version), 2 if twice else 1
        code = self.cells.get(cell, cell)
        self.deeds.append(people.Deed(at(clock), actor, code, kind, seen, to or "", word, times, note or ""))

    def _silence(self, clock: str, actor: str, cells: str, up_to: str | None, until: str, note: str | None) -> None:
        more = {"note": note or "", "until_ms": at(until), "up_to": up_to or "orange"}
        self.deeds.append(people.Deed(at(clock), actor, cells, "silence", **more))  # type: ignore[arg-type]

    def _unsilence(self, clock: str, actor: str) -> None:
        self.deeds.append(people.Deed(at(clock), actor, "", "unsilence"))

    def _history(self, source: str, metric: str, about: str, days: str) -> None:
        step = round(self.sensors[source].interval_secs * 1000)
        first = DAY_MS - int(days) * 86_400_000
        dice = np.random.default_rng(len(self.history))
        for time_ms in range(first, DAY_MS, step):
            self.history.append((time_ms, source, metric, float(dice.poisson(float(about)))))

    def _announce(self, begin: str, end: str, times: str, cell: str) -> None:
        window = Window("announced", CalendarMode.EXPECTED_LOAD, Scope((self.cells[cell],)), expected=float(times))
        self.announced.append(Occurrence(at(begin), at(end), window))

    def config(self, clock: str) -> Config:
        """Return the configuration of a play."""
        topics = {"observations_partitions": 1, "signals_partitions": 1, "alerts_partitions": 1}
        return msgspec.convert({"topics": topics, **self.settings, "clock": clock}, Config)


GRAMMAR: tuple[tuple[str, Callable[..., None]], ...] = (
    (r"cell (\S+) (\d+)(?: near (.+))?", Story._cell),
    (r"sensor (\S+)(?: (crowd|traffic))? in (\S+)(?: every (\d+) s)?", Story._sensor),
    (r"set (\S+) (.+)", Story._set),
    (rf"until {CLOCK}", Story._until),
    (rf"history (\S+) ({'|'.join(METRICS)}) {_NUMBER} for (\d+) days", Story._history),
    (rf"calendar {CLOCK}-{CLOCK} expects {_NUMBER} times in (\S+)", Story._announce),
    (
        rf"{CLOCK}(?:-{CLOCK})? (\S+) ({'|'.join(METRICS)}) {_NUMBER}(?: to {_NUMBER})?",
        Story._measure,
    ),
    (rf"{CLOCK} (\S+) reports (\S+) in (\S+)(?: (verified|rejected|duplicate))?(?: id (\S+))?", Story._report),
    (rf"{CLOCK} (\S+) found (\S+) (none|blue|yellow|orange|red)(?: {_NUMBER})?", Story._finding),
    (rf"{CLOCK} (\S+) (\S+) unusual {_NUMBER} for {_NUMBER}(?: score {_NUMBER})?", Story._unusual),
    (rf"{CLOCK} (\S+) (\S+) usual(?: (low))?", Story._usual),
    (rf"{CLOCK} {people.ACT}", Story._act),
    (rf"{CLOCK} {people.SILENCE}", Story._silence),
    (rf"{CLOCK} {people.UNSILENCE}", Story._unsilence),
)
"""Each line of a story, and what it does."""


def read(path: Path) -> Story:
    """Return the story of a file; a line that none of the grammar fits is an error that names it."""
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    story = Story(lines[0])
    telling = False
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if line == "told":
            telling = True
        elif telling and (total := re.fullmatch(r"total (\d+) (alerts|notices)", line)):
            story.totals[total[2]] = int(total[1])
        elif telling:
            story.told.append(line)
        else:
            matched = ((re.fullmatch(pattern, line), act) for pattern, act in GRAMMAR)
            match, act = next(((m, act) for m, act in matched if m), (None, None))
            assert match is not None, f"{path.name}:{number}: {line!r} is no line of a story"
            assert act is not None
            act(story, *match.groups())
    times = [time_ms for time_ms, *_ in story.measured] + [s.time_ms for s in story.found]
    times += [e.reported_ms for e in story.events] + [deed.at_ms for deed in story.deeds]
    story.until_ms = story.until_ms or max(times) + 600_000
    return story


def batches(story: Story, clock: str) -> Iterator[SignalBatch]:
    """Yield what detect sends, tick by tick."""
    config = story.config(clock)
    observer = Observer(config, 0, Calendar(once=story.announced))
    times = [time_ms for time_ms, *_ in story.measured] + [s.time_ms for s in story.found]
    times += [e.reported_ms for e in story.events] + [deed.at_ms for deed in story.deeds]
    first = min(times) // TICK_MS * TICK_MS
    sensors = tuple(msgspec.structs.replace(s, near=story.near_of(s.grid_id)) for s in story.sensors.values())
    if story.history:
        observer.teach(Frame(ingested_ms=first, sensors=sensors, rows=_rows(sorted(story.history), 0)))
    heard = any(story.measured)  # where nothing is measured, no sensor is expected to be heard
    previous = -1
    for offset, time_ms in enumerate(range(first, story.until_ms + 1, TICK_MS)):
        rows = [one for one in story.measured if time_ms - TICK_MS < one[0] <= time_ms]
        frame = Frame(
            ingested_ms=time_ms,
            rows=_rows(sorted(rows), offset),
            sensors=sensors if heard and not offset else (),
            events=tuple(e for e in story.events if time_ms - TICK_MS < e.reported_ms <= time_ms),
            ticks=(Tick("ingest", time_ms, of=1 if clock == "event" else 0),),
        )
        observed = observer.observe(frame, offset)
        found = tuple(s for s in story.found if time_ms - TICK_MS < s.time_ms <= time_ms)
        yield SignalBatch(
            partition=0,
            offset=offset,
            previous=previous,
            signals=(*observed.signals, *found),
            tick=observed.tick,
            born=observed.born,
        )
        previous = offset


def play(story: Story, clock: str) -> list[Transition]:
    """Return the transitions of a story; ``clock`` is ``event`` (a replay) or ``arrival`` (live)."""
    assessor = Assessor(story.config(clock), 0)
    deeds = sorted(story.deeds, key=lambda deed: deed.at_ms)
    out: list[Transition] = []
    for batch in batches(story, clock):
        # Room for what people do after it: each message of a log has its own offset.
        out += assessor.assess(batch, batch.offset * 100)
        number = 0
        while deeds and batch.tick is not None and deeds[0].at_ms <= batch.tick.time_ms:
            number += 2
            out += people.act(assessor, deeds.pop(0), len(out), batch.offset * 100 + number, out)
    return out


def lines(story: Story, transitions: list[Transition]) -> list[str]:
    """Return the transitions as a story writes them."""
    written = []
    for one in transitions:
        words = [clock_of(one.event.at_ms)]
        if one.alert is not None:
            words.append(story.name_of(one.alert.cell))
            words += [] if one.alert.rule == SAFETY else [one.alert.rule]
        words.append(str(one.event.event))
        if one.alert is not None and one.alert.level:
            words.append(one.alert.level.word)
        written.append(f"{' '.join(words)}, {people.ending(one)}")
    return written


def _rows(measured: list[tuple[int, str, str, float]], offset: int) -> Rows:
    sources = tuple(dict.fromkeys(source for _, source, *_ in measured))
    n = len(measured)
    return Rows(
        sources=sources,
        topics=("crowd.metrics",),
        source=np.array([sources.index(source) for _, source, *_ in measured], np.int32),
        metric=np.array([METRIC_NUMBER[METRICS[metric]] for _, _, metric, _ in measured], np.uint8),
        observed_ms=np.array([time_ms for time_ms, *_ in measured], np.int64),
        value=np.array([value for *_, value in measured], np.float64),
        coverage=np.full(n, np.nan, np.float32),
        confidence=np.full(n, np.nan, np.float32),
        surface=np.zeros(n, np.uint8),
        motion=np.zeros(n, np.uint8),
        topic=np.zeros(n, np.uint8),
        partition=np.zeros(n, np.int32),
        offset=np.full(n, offset, np.int64),
        index=np.arange(n, dtype=np.int32),
    )
