"""Time lines of observe: what is found when, from rows and ticks alone. Minutes and seconds, one line each."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from detectors.bank import FINDING
from detectors.observer import Observed, Observer
from gridbeacon.config import Config, Detect, Limits, Quality
from gridbeacon.frame import Frame, Rows, verdicts
from gridbeacon.model import GridEvent, Position, Sensor, Signal, Tick, Verdict
from gridbeacon.reasons import Level, Reason, State
from gridbeacon.vocabulary import METRIC_NUMBER, MOTIONS, SURFACES, Kind, Motion, Surface

CELL = "310101001002003"
START_MS = 1_672_484_400_000  # 2022-12-31 11:00 UTC: the last hour of the year in Auckland
SHORT = {
    "max": (Kind.CROWD, "density_max_per_m2"),
    "mean": (Kind.CROWD, "density_mean_per_m2"),
    "flow": (Kind.CROWD, "flow_per_m_min"),
    "people": (Kind.CROWD, "people_count"),
    "share": (Kind.CROWD, "occupancy"),
    "towards": (Kind.CROWD, "people_count_towards"),
    "away": (Kind.CROWD, "people_count_away"),
    "cars": (Kind.TRAFFIC, "intensity_per_h"),
}
CAMERA = Sensor(sensor_id="CAM", kind=Kind.CROWD, grid_id=CELL, interval_secs=10.0)
COUNTER = Sensor(sensor_id="CAM", kind=Kind.CROWD, grid_id=CELL, interval_secs=3600.0)


def at(clock: str | float) -> int:
    """Return the event time of ``mm:ss``, or of so many seconds, after the start."""
    if isinstance(clock, str):
        minutes, secs = clock.split(":")
        clock = int(minutes) * 60 + int(secs)
    return START_MS + round(clock * 1000)


def row(source: str, metric: str, time_ms: int, value: float, offset: int, **more: Any) -> Rows:
    """Return one row."""
    where = Position("crowd.metrics", 0, offset)
    return Rows(
        sources=(source,),
        topics=(where.topic,),
        source=np.zeros(1, np.int32),
        metric=np.array([METRIC_NUMBER[SHORT[metric]]], np.uint8),
        observed_ms=np.array([time_ms], np.int64),
        value=np.array([value], np.float64),
        coverage=np.array([more.get("coverage", math.nan)], np.float32),
        confidence=np.array([more.get("confidence", math.nan)], np.float32),
        surface=np.array([SURFACES.index(more.get("surface", Surface.LEVEL))], np.uint8),
        motion=np.array([MOTIONS.index(more.get("motion", Motion.MIXED))], np.uint8),
        topic=np.zeros(1, np.uint8),
        partition=np.array([where.partition], np.int32),
        offset=np.array([where.offset], np.int64),
        index=np.array([where.index], np.int32),
    )


@dataclass
class Line:
    """A time line: rows, events and ticks go in one by one; verdicts and findings are kept, in order."""

    sensors: tuple[Sensor, ...] = (CAMERA,)
    config: Config = field(default_factory=lambda: Config(clock="event"))
    signals: list[Signal] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.observer = Observer(self.config, 0)
        self.offset = 0
        self._take(Frame(START_MS, sensors=self.sensors))

    def see(
        self, clock: str | float, *, source: str = "CAM", arrives: str | float | None = None, **values: Any
    ) -> "Line":
        """One record: metrics by their short names; ``surface``, ``motion``, ``coverage``, ``confidence`` too."""
        metrics = {name: value for name, value in values.items() if name in SHORT}
        more = {name: value for name, value in values.items() if name not in SHORT}
        arrived_ms = at(clock if arrives is None else arrives)
        for metric, value in metrics.items():
            self._take(Frame(arrived_ms, row(source, metric, at(clock), value, self.offset + 1, **more)))
        return self

    def hold(self, begin: str, end: str, *, every: float = 10.0, **values: Any) -> "Line":
        """The same record from ``begin`` to ``end``, both included."""
        secs = (at(begin) - START_MS) / 1000
        while at(secs) <= at(end):
            self.see(secs, **values)
            secs += every
        return self

    def define(self, *sensors: Sensor) -> "Line":
        """New definitions of sources."""
        self._take(Frame(START_MS, sensors=sensors))
        return self

    def hear(self, event: GridEvent) -> "Line":
        """One grid event."""
        position = Position("grid.events", 0, self.offset + 1)
        self._take(Frame(event.reported_ms, events=(msgspec.structs.replace(event, position=position),)))
        return self

    def tick(self, clock: str | float) -> "Line":
        """Time."""
        live = self.config.clock == "arrival"
        self._take(Frame(at(clock), ticks=(Tick("ingest" if live else "a/0", at(clock), 0 if live else 1),)))
        return self

    def ticks(self, begin: str, end: str, every: float) -> "Line":
        """Time from ``begin`` to ``end``, both included."""
        secs = (at(begin) - START_MS) / 1000
        while at(secs) <= at(end):
            self.tick(secs)
            secs += every
        return self

    def _take(self, frame: Frame) -> Observed:
        self.offset += 1
        seen = self.observer.observe(frame, self.offset)
        self.signals += seen.signals
        self.verdicts += verdicts(seen.judged)
        return seen

    def told(self, *layers: str) -> list[str]:
        """Return one line per finding: ``mm:ss subject reason level``."""
        return [
            f"{clock_of(s.time_ms)} {s.series.split('/', 1)[1]} {s.reason} {s.level.word}"
            for s in self.signals
            if not layers or s.layer in layers
        ]

    def last(self) -> Verdict:
        return self.verdicts[-1]


def clock_of(time_ms: int) -> str:
    secs = (time_ms - START_MS) // 1000
    return f"{secs // 60:02d}:{secs % 60:02d}"


def short(lines: Iterable[str]) -> list[str]:
    """Return findings without their subject."""
    return [" ".join((words[0], *words[2:])) for words in map(str.split, lines)]


# Limits

LADDERS = [
    (Surface.LEVEL, Motion.MIXED, (2.0, 3.0, 4.0, 5.0)),
    (Surface.LEVEL, Motion.MOVING, (2.0, 3.0, 4.0, 5.0)),
    (Surface.LEVEL, Motion.STATIC, (2.0, 3.5, 4.7, 5.5)),
    (Surface.STAIRS, Motion.MIXED, (1.5, 2.25, 3.0, 3.75)),
    (Surface.STAIRS, Motion.STATIC, (1.5, 2.25, 3.0, 3.75)),
    (Surface.SLOPE, Motion.MOVING, (1.5, 2.25, 3.0, 3.75)),
    (Surface.ESCALATOR, Motion.MIXED, (1.5, 2.25, 3.0, 3.75)),
]


@pytest.mark.parametrize(("surface", "motion", "ladder"), LADDERS)
@pytest.mark.parametrize("metric", ["max", "mean"])
def test_each_level_begins_exactly_at_its_threshold_after_a_minute(
    surface: Surface, motion: Motion, ladder: tuple[float, ...], metric: str
) -> None:
    for number, limit in enumerate(ladder, 1):
        line = Line().hold("00:00", "00:50", surface=surface, motion=motion, **{metric: limit})
        assert line.told() == []
        assert line.last().level == Level.NONE
        now: dict[str, Any] = {metric: limit}
        line.see("01:00", surface=surface, motion=motion, **now)
        assert short(line.told()) == [f"01:00 density {Level(number).word}"]
        signal, verdict = line.signals[0], line.last()
        assert (signal.layer, signal.value, signal.threshold, signal.cell) == ("limit", limit, limit, CELL)
        assert signal.lineage == verdict.lineage
        assert (verdict.state, verdict.reason) == (State.ANOMALOUS, Reason.DENSITY)
        assert (verdict.level, verdict.direction) == (number, 1)
        under = math.nextafter(limit, 0)
        below = Line().hold("00:00", "02:00", surface=surface, motion=motion, **{metric: under})
        assert short(below.told()) == ([f"01:00 density {Level(number - 1).word}"] if number > 1 else [])


def test_a_level_ends_a_hysteresis_lower_and_a_minute_later() -> None:
    line = Line().hold("00:00", "01:00", max=3.0)
    line.hold("01:10", "05:00", max=2.7)  # not below 3.0 - 0.3
    assert short(line.told()) == ["01:00 density yellow"]
    line.hold("05:10", "06:00", max=2.69)
    assert line.last().level == Level.YELLOW
    line.see("06:10", max=2.69)
    assert short(line.told())[1:] == ["06:10 density blue"]
    line.hold("06:20", "08:00", max=1.69)
    assert short(line.told())[2:] == ["07:20 density none"]
    assert (line.signals[-1].threshold, line.signals[-1].text) == (None, "")
    assert line.last().level == Level.NONE


def test_levels_are_raised_and_lowered_step_by_step() -> None:
    line = Line()
    for minute, value in ((0, 2.2), (2, 3.3), (4, 4.4), (6, 5.5), (8, 4.4), (10, 3.3), (12, 2.2), (14, 1.1)):
        line.hold(f"{minute:02d}:00", f"{minute + 1:02d}:50", max=value)
    assert short(line.told()) == [
        "01:00 density blue",
        "03:00 density yellow",
        "05:00 density orange",
        "07:00 density red",
        "09:00 density orange",
        "11:00 density yellow",
        "13:00 density blue",
        "15:00 density none",
    ]


def test_a_crowd_that_comes_at_once_is_red_at_once_after_its_minute() -> None:
    line = Line().hold("00:00", "03:00", max=1.0).hold("03:10", "04:10", max=6.0)
    assert short(line.told()) == ["04:10 density red"]


def test_a_spike_shorter_than_a_minute_is_nothing() -> None:
    line = Line()
    for minute in range(0, 20, 2):
        line.hold(f"{minute:02d}:00", f"{minute:02d}:50", max=6.0)
        line.hold(f"{minute + 1:02d}:00", f"{minute + 1:02d}:50", max=1.9)
    assert line.told() == []


def test_a_dip_shorter_than_a_minute_ends_nothing() -> None:
    line = Line().hold("00:00", "01:00", max=4.0)
    for minute in range(2, 20, 2):
        line.hold(f"{minute:02d}:00", f"{minute:02d}:50", max=1.0)
        line.hold(f"{minute + 1:02d}:00", f"{minute + 1:02d}:50", max=4.0)
    assert short(line.told()) == ["01:00 density orange"]


def test_a_spike_that_the_sensor_saw_only_the_ends_of_is_no_minute() -> None:
    line = Line().see("00:00", max=6.0).see("20:00", max=6.0)
    assert line.told("limit") == []


def test_a_sensor_of_long_intervals_counts_at_once() -> None:
    slow = msgspec.structs.replace(CAMERA, interval_secs=300.0)
    line = Line((slow,)).see("00:00", max=4.1).see("05:00", max=1.0)
    assert short(line.told()) == ["00:00 density orange", "05:00 density none"]
    minute = Line((msgspec.structs.replace(CAMERA, interval_secs=60.0),)).see("00:00", max=4.1)
    assert minute.told() == []
    assert short(minute.see("01:00", max=4.1).told()) == ["01:00 density orange"]


def test_the_worst_place_counts_not_the_mean_where_both_are_known() -> None:
    line = Line().hold("00:00", "03:00", mean=4.0, max=4.0)
    assert line.told() == ["01:00 CAM/density_max_per_m2 density orange"]


@pytest.mark.parametrize(("share", "level"), [(0.8, "blue"), (0.9, "yellow"), (1.0, "orange"), (3.0, "orange")])
def test_capacity_in_people_and_as_occupancy(share: float, level: str) -> None:
    hall = msgspec.structs.replace(CAMERA, capacity=200.0)
    line = Line((hall,)).hold("00:00", "01:00", people=200 * share, share=share)
    assert line.told() == [f"01:00 CAM/people_count capacity {level}", f"01:00 CAM/occupancy capacity {level}"]
    assert line.signals[0].threshold == 200 * min(share, 1.0)
    assert Line().hold("00:00", "03:00", people=1e6).told("limit") == []  # no capacity, no limit


def test_capacity_ends_five_percent_below() -> None:
    hall = msgspec.structs.replace(CAMERA, capacity=200.0)
    line = Line((hall,)).hold("00:00", "01:00", people=160).hold("01:10", "03:00", people=152)
    line.hold("03:10", "04:10", people=151)
    assert short(line.told()) == ["01:00 capacity blue", "04:10 capacity none"]


@pytest.mark.parametrize(
    ("surface", "yellow", "orange"),
    [(Surface.LEVEL, 66.0, 82.0), (Surface.STAIRS, 49.0, 66.0), (Surface.SLOPE, 49.0, 66.0)],
)
def test_flow_on_level_ways_and_stairs(surface: Surface, yellow: float, orange: float) -> None:
    line = Line().hold("00:00", "03:00", flow=math.nextafter(yellow, 0), surface=surface)
    assert line.told() == []
    line.hold("03:10", "04:10", flow=yellow, surface=surface).hold("04:20", "05:20", flow=orange, surface=surface)
    assert short(line.told()) == ["04:10 flow yellow", "05:20 flow orange"]
    assert [s.threshold for s in line.signals] == [yellow, orange]
    line.hold("05:30", "06:30", flow=10.0, surface=surface)
    assert short(line.told())[2:] == ["06:30 flow none"]


def squeeze(line: Line, flow: float, metric: str = "max") -> Line:
    """Density climbs from 1.8 by 0.2 every 10 s while the flow falls from 40 by ``flow`` every 10 s."""
    line.hold("01:00", "05:00", flow=40.0, **{metric: 1.8})
    for step in range(1, 16):
        now: dict[str, Any] = {metric: 1.8 + 0.2 * step}
        line.see(300 + 10 * step, flow=40.0 - flow * step, **now)
    return line


def test_density_up_while_flow_falls_is_yellow() -> None:
    found = [text for text in squeeze(Line(), 2.5).told() if "density_up_flow_down" in text]
    assert found == ["07:10 CAM/density_max_per_m2 density_up_flow_down yellow"]
    assert not [text for text in squeeze(Line(), 0.0).told() if "density_up_flow_down" in text]
    line = squeeze(Line(), 2.5).hold("08:00", "10:00", flow=40.0, max=1.0)
    assert [text for text in line.told() if "density_up" in text][1].endswith("none")


def test_net_inflow_is_projected_ten_minutes_ahead_and_warns_a_level_below() -> None:
    gate = msgspec.structs.replace(CAMERA, area_m2=100.0, interval_secs=60.0)
    # 30 people a minute more: in 10 min 3 people/m² more on 100 m²
    line = Line((gate,)).hold("00:00", "00:00", every=60, towards=40, away=10, mean=0.5)
    line.see("01:00", towards=40, away=10, mean=0.5)
    assert line.told() == ["01:00 CAM/density_mean_per_m2 inflow_projection blue"]
    assert line.signals[0].value == 3.5
    line.see("02:00", towards=10, away=10, mean=0.5).see("03:00", towards=10, away=10, mean=0.5)
    assert short(line.told())[1:] == ["03:00 inflow_projection none"]


def test_where_nobody_comes_in_or_the_area_is_unknown_nothing_is_projected() -> None:
    gate = msgspec.structs.replace(CAMERA, area_m2=100.0, interval_secs=60.0)
    assert Line((gate,)).hold("00:00", "10:00", every=60, towards=5, away=60, mean=1.9).told() == []
    unknown = msgspec.structs.replace(CAMERA, interval_secs=60.0)
    assert Line((unknown,)).hold("00:00", "10:00", every=60, towards=60, away=5, mean=1.9).told() == []


def test_what_is_there_already_is_not_projected_any_more() -> None:
    gate = msgspec.structs.replace(CAMERA, area_m2=100.0, interval_secs=60.0)
    line = Line((gate,)).hold("00:00", "01:00", every=60, towards=12, away=0, mean=1.9)
    assert short(line.told()) == ["01:00 inflow_projection blue"]  # 3.1 ahead
    line.hold("02:00", "03:00", every=60, towards=12, away=0, mean=3.1)  # 4.3 ahead
    assert short(line.told())[1:] == [
        "02:00 inflow_projection none",
        "03:00 density yellow",
        "03:00 inflow_projection yellow",
    ]


def test_without_counts_of_who_comes_and_goes_a_projection_ends() -> None:
    gate = msgspec.structs.replace(CAMERA, area_m2=100.0, interval_secs=60.0)
    line = Line((gate,)).hold("00:00", "01:00", every=60, towards=40, away=10, mean=0.5)
    line.hold("02:00", "04:00", every=60, mean=0.5)
    assert short(line.told()) == ["01:00 inflow_projection blue", "03:00 inflow_projection none"]


def test_a_place_whose_capacity_is_withdrawn_has_no_limit_any_more() -> None:
    hall = msgspec.structs.replace(CAMERA, capacity=200.0)
    line = Line((hall,)).hold("00:00", "01:00", people=190).define(CAMERA).hold("01:10", "02:10", people=195)
    assert short(line.told()) == ["01:00 capacity yellow", "02:10 capacity none"]


def test_a_source_that_begins_to_send_its_worst_place_is_judged_by_it_alone() -> None:
    line = squeeze(Line(), 2.5, "mean")
    assert [text.split()[0] for text in line.told() if "density_up_flow_down yellow" in text] == ["07:10"]
    line.hold("07:40", "10:00", mean=3.0, max=1.0, flow=40.0)
    assert [text for text in line.told() if "density_up_flow_down none" in text]
    assert line.last().level == Level.NONE


def test_limits_follow_the_configuration() -> None:
    limits = Limits(
        moving=msgspec.structs.replace(Limits().moving, blue=1.0), for_secs=0, hysteresis_per_m2=0, inflow_minutes=5
    )
    line = Line(config=Config(clock="event", limits=limits)).see("00:00", max=1.0).see("00:10", max=0.99)
    assert short(line.told()) == ["00:00 density blue", "00:10 density none"]


# Data quality


def quality(line: Line) -> list[str]:
    return line.told("quality")


@pytest.mark.parametrize("clock", ["event", "arrival"])
def test_gone_quiet_exactly_three_intervals_after_the_last_word(clock: Any) -> None:
    config = Config(clock=clock)
    minute = msgspec.structs.replace(CAMERA, interval_secs=60.0)
    line = Line((minute,), config).see("00:00", max=1.0).see("01:00", max=1.0)
    line.ticks("01:00", "03:50", 10.0).tick(239.999)
    assert line.told() == []
    line.tick("04:00").ticks("04:10", "30:00", 10.0)
    assert line.told() == ["04:00 CAM gone_quiet blue"]
    assert line.signals[0].lineage.topic == "observations"
    line.see("30:10", max=1.1)
    assert line.told()[1:] == ["30:10 CAM gone_quiet none"]
    line.ticks("30:10", "33:00", 10.0)
    assert len(line.told()) == 2
    line.ticks("33:10", "34:00", 10.0)
    assert line.told()[2:] == ["33:10 CAM gone_quiet blue"]


def test_quiet_is_at_least_a_minute_and_found_by_the_next_word_too() -> None:
    line = Line().see("00:00", max=1.0).tick("00:59").see("01:00", max=1.1)
    assert line.told() == []
    line.see("02:01", max=1.2)
    assert line.told() == ["02:00 CAM gone_quiet blue", "02:01 CAM gone_quiet none"]


def test_one_metric_is_enough_to_be_heard() -> None:
    line = Line().see("00:00", max=1.0, people=10.0)
    for minute in range(1, 10):
        line.see(minute * 50, people=10.0 + minute).tick(minute * 50)
    assert line.told() == []


def test_a_sensor_that_never_spoke() -> None:
    line = Line(config=Config(clock="arrival")).tick("00:00").ticks("00:10", "00:50", 10.0)
    assert line.told() == []
    assert line.ticks("01:00", "02:00", 10.0).told() == ["01:00 CAM gone_quiet blue"]
    # In a replay nobody knows when it should have begun.
    assert Line().ticks("00:00", "59:00", 60.0).told() == []


def test_when_ingest_was_down_nobody_is_called_quiet() -> None:
    line = Line(config=Config(clock="arrival"))
    line.hold("00:00", "01:00", max=1.0).ticks("01:00", "01:20", 1.0)
    line.tick("21:20").ticks("21:21", "21:50", 1.0)  # 20 min without us: 40 s of silence are left
    assert line.told() == []
    line.see("21:55", max=1.0).ticks("21:55", "22:50", 1.0)
    assert line.told() == []
    assert line.ticks("22:51", "23:00", 1.0).told() == ["22:55 CAM gone_quiet blue"]


def test_when_ingest_was_down_and_the_backlog_comes_first() -> None:
    line = Line(config=Config(clock="arrival")).hold("00:00", "01:00", max=1.0).ticks("01:00", "01:20", 1.0)
    line.hold("01:10", "21:20", max=1.0, arrives="21:20").ticks("21:20", "22:15", 1.0)
    assert line.told("limit", "learned") == []
    assert [text for text in quality(line) if "quiet" in text] == []


def test_what_was_quiet_before_stays_quiet_while_ingest_is_down() -> None:
    line = Line(config=Config(clock="arrival")).see("00:00", max=1.0).ticks("00:01", "02:00", 1.0)
    line.tick("30:00").ticks("30:01", "40:00", 10.0)
    assert line.told() == ["01:00 CAM gone_quiet blue"]


def test_silence_is_no_evidence_that_a_limit_is_over_or_has_held() -> None:
    line = Line().hold("00:00", "01:00", max=4.0).ticks("01:10", "30:00", 10.0)
    assert line.told("limit") == ["01:00 CAM/density_max_per_m2 density orange"]
    line.see("30:00", max=1.0)
    assert line.last().level == Level.ORANGE
    line.hold("30:10", "31:00", max=1.0)
    assert short(line.told("limit"))[1:] == ["31:00 density none"]
    begun = Line().see("00:00", max=4.0).see("05:00", max=4.0)
    assert begun.told("limit") == []


def test_thirty_equal_values_are_stuck_until_one_differs() -> None:
    line = Line().hold("00:00", "04:40", max=1.3)
    assert line.told() == []
    line.see("04:50", max=1.3)
    assert line.told() == ["04:50 CAM/density_max_per_m2 stuck blue"]
    assert (line.last().state, line.last().reason) == (State.ANOMALOUS, Reason.STUCK)
    line.hold("05:00", "20:00", max=1.3).see("20:10", max=1.31)
    assert line.told()[1:] == ["20:10 CAM/density_max_per_m2 stuck none"]
    assert line.last().reason == Reason.WARMING_UP


def test_zeros_are_stuck_after_a_day_not_in_a_night() -> None:
    minute = msgspec.structs.replace(CAMERA, interval_secs=60.0)
    line = Line((minute,))
    for step in range(24 * 60):
        line.see(step * 60, people=0)
    assert line.told() == []
    line.see(24 * 3600, people=0)
    assert short(line.told()) == ["1440:00 stuck blue"]


def test_small_counts_may_repeat_ten_times_longer() -> None:
    line = Line()
    for step in range(299):
        line.see(step * 10, people=3)
    assert line.told() == []
    assert short(line.see(2990, people=3).told()) == ["49:50 stuck blue"]
    assert short(Line().hold("00:00", "04:50", people=11).told()) == ["04:50 stuck blue"]


def test_a_sudden_nothing_is_neither_normal_nor_all_clear() -> None:
    line = Line().hold("00:00", "01:00", max=4.5)
    line.see("01:10", max=0.0)
    assert short(line.told()) == ["01:00 density orange", "01:10 impossible_jump blue"]
    assert (line.last().state, line.last().reason) == (State.ANOMALOUS, Reason.IMPOSSIBLE_JUMP)
    line.hold("01:20", "16:10", max=0.0)
    assert {v.state for v in line.verdicts[-80:]} == {State.ANOMALOUS}
    assert line.last().level == Level.ORANGE
    assert len(line.told()) == 2
    # After a quarter of an hour the place is believed to be empty, and a minute later it is over.
    line.hold("16:20", "17:20", max=0.0)
    assert short(line.told())[2:] == ["16:20 impossible_jump none", "17:20 density none"]


def test_a_sudden_nothing_that_was_a_fault_leaves_the_finding_as_it_was() -> None:
    line = Line().hold("00:00", "01:00", max=4.5).hold("01:10", "05:00", max=0.0).hold("05:10", "07:00", max=4.6)
    assert short(line.told()) == ["01:00 density orange", "01:10 impossible_jump blue", "05:10 impossible_jump none"]


def test_a_crowd_that_leaves_within_minutes_is_no_jump() -> None:
    line = Line().hold("00:00", "01:00", max=4.5)
    for step, value in enumerate((3.5, 2.5, 1.5, 0.7, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0)):
        line.see(70 + 10 * step, max=value)
    assert quality(line) == []
    gap = Line().see("00:00", max=4.5).see("00:30", max=0.0)  # three intervals: unknown what was between
    assert quality(gap) == []


@pytest.mark.parametrize(("name", "reason"), [("coverage", "low_coverage"), ("confidence", "low_confidence")])
def test_what_a_source_sees_badly_is_said_once_and_ends_no_finding(name: str, reason: str) -> None:
    line = Line().hold("00:00", "01:00", max=4.0, **{name: 0.5})
    line.hold("01:10", "03:00", max=0.5, **{name: 0.49})
    assert line.told() == ["01:00 CAM/density_max_per_m2 density orange", f"01:10 CAM {reason} blue"]
    assert (line.last().state, line.last().reason) == (State.WARMING_UP, Reason(reason))
    assert line.last().level == Level.ORANGE
    line.hold("03:10", "04:10", max=0.6, **{name: 0.5})
    assert short(line.told())[2:] == [f"03:10 {reason} none", "04:10 density none"]


def test_what_is_seen_badly_can_still_begin_a_finding() -> None:
    line = Line().hold("00:00", "01:00", max=5.0, coverage=0.1)
    assert short(line.told()) == ["00:00 low_coverage blue", "01:00 density red"]


def test_late_and_duplicate_say_so_and_change_nothing() -> None:
    line = Line().hold("00:00", "01:00", max=4.0)
    line.see("01:00", max=0.1).see("00:30", max=0.1).see("01:10", max=4.0)
    assert [v.reason for v in line.verdicts[-3:]] == [Reason.DUPLICATE, Reason.LATE, Reason.DENSITY]
    assert [v.state for v in line.verdicts[-3:-1]] == [State.WARMING_UP] * 2
    assert [v.history for v in line.verdicts[-3:]] == [7, 7, 7]
    assert short(line.told()) == ["01:00 density orange"]


def test_quality_follows_the_configuration() -> None:
    config = Config(
        clock="event",
        quality=Quality(
            quiet_intervals=9,
            quiet_min_secs=1,
            stuck_repeats=3,
            jump_from_per_m2=1.0,
            min_coverage=0.9,
            min_confidence=0.8,
        ),
    )
    line = Line(config=config).see("00:00", max=1.0, coverage=0.9, confidence=0.8).see("00:10", max=0.0)
    line.see("00:20", people=50, coverage=0.89, confidence=0.79).see("00:30", people=50).see("00:40", people=50)
    line.tick("02:09").tick("02:10")
    assert short(line.told()) == [
        "00:10 impossible_jump blue",
        "00:20 low_coverage blue",
        "00:20 low_confidence blue",
        "00:30 low_coverage none",
        "00:30 low_confidence none",
        "00:40 stuck blue",
        "02:10 gone_quiet blue",
    ]


# The learned layer


def usual(hour: int) -> float:
    """People in hour ``hour`` after the start: many by day, few at night, by weekday, and some unrest."""
    daily = 120 + 100 * math.sin((hour % 24 - 6) / 24 * 2 * math.pi)
    return round(daily * (0.6 if hour // 24 % 7 > 4 else 1.0) * (1 + 0.08 * math.sin(hour * 12.9898)))


def weeks(hours: int, *, config: Config | None = None) -> Line:
    line = Line((COUNTER,), config or Config(clock="event"))
    for hour in range(hours):
        line.see(hour * 3600, people=usual(hour))
    return line


def test_a_learned_episode_begins_and_ends() -> None:
    hours = 21 * 24
    line = weeks(hours)
    assert line.told() == []
    for hour in range(hours, hours + 6):
        line.see(hour * 3600, people=2000)
    for hour in range(hours + 6, hours + 12):
        line.see(hour * 3600, people=usual(hour))
    assert line.told()[0] == f"{hours * 60}:00 CAM/people_count above_expected blue"
    assert line.told()[-1] == f"{(hours + 11) * 60}:00 CAM/people_count above_expected none"
    worth = [signal.score for signal in line.signals[:-1] if signal.score is not None]
    assert len(worth) == len(line.signals) - 1
    assert all(after > 1.19 * before for before, after in itertools.pairwise(worth))  # said again when it grows
    signal = line.signals[0]
    assert signal.layer == "learned"
    assert signal.value == 2000
    assert signal.expected == pytest.approx(usual(hours), rel=0.5)
    first = line.verdicts[hours]
    assert (first.state, first.reason, first.direction) == (State.ANOMALOUS, Reason.SHORT_DEPARTURE, 1)
    assert first.expected is not None
    assert first.lower is not None
    assert first.upper is not None
    assert first.signal is not None
    assert first.signal >= FINDING
    assert 0 <= first.lower < first.expected < first.upper < 2000
    assert 0.9 < first.confidence < 1


def test_far_below_what_is_expected() -> None:
    hours = 21 * 24 + 12
    line = weeks(hours).see(hours * 3600, people=0)
    assert short(line.told()) == [f"{hours * 60}:00 below_expected blue"]
    assert line.last().direction == -1
    line.see((hours + 1) * 3600, people=5000)
    assert short(line.told())[1:] == [
        f"{(hours + 1) * 60}:00 below_expected none",
        f"{(hours + 1) * 60}:00 above_expected blue",
    ]


def test_warming_up_is_never_normal() -> None:
    line = weeks(11 * 24)
    known = [v.state is State.NORMAL for v in line.verdicts]
    first = known.index(True)
    assert first == 7 * 24
    assert {v.state for v in line.verdicts[:first]} == {State.WARMING_UP}
    assert {v.reason for v in line.verdicts[:first]} == {Reason.WARMING_UP}
    assert all(v.expected is v.lower is v.upper is v.severity is None for v in line.verdicts[:first])
    assert all(known[first:])
    patient = Config(clock="event", detect=Detect(warm_up_days=10))
    assert [v.state for v in weeks(11 * 24, config=patient).verdicts].index(State.NORMAL) == 240


def test_what_is_doubted_is_not_learned() -> None:
    clean, doubted = weeks(20 * 24), weeks(20 * 24)
    for more in range(10):
        doubted.see((20 * 24 + more / 20) * 3600, people=3000, coverage=0.1)
    hour = 20 * 24 + 1
    clean.see(hour * 3600, people=usual(hour))
    doubted.see(hour * 3600, people=usual(hour))
    assert (clean.last().expected, clean.last().severity) == (doubted.last().expected, doubted.last().severity)


def test_a_limit_speaks_louder_than_the_learned_layer_and_what_breaks_it_is_not_learned() -> None:
    hall = msgspec.structs.replace(COUNTER, capacity=500.0)
    line, other = Line((hall,)), Line((hall,))
    for past in range(21 * 24):
        line.see(past * 3600, people=usual(past))
        other.see(past * 3600, people=usual(past))
    hour = 21 * 24
    line.see(hour * 3600, people=600)
    assert short(line.told()) == [f"{21 * 1440}:00 capacity orange", f"{21 * 1440}:00 above_expected blue"]
    assert (line.last().reason, line.last().level) == (Reason.CAPACITY, Level.ORANGE)
    for later in range(hour + 1, hour + 8 * 24):
        line.see(later * 3600, people=usual(later))
        other.see(later * 3600, people=usual(later))
        assert line.last().expected == pytest.approx(other.last().expected, rel=0.01)


def test_what_breaks_a_limit_for_days_is_learned_after_all() -> None:
    hall = msgspec.structs.replace(COUNTER, capacity=500.0)
    line = Line((hall,))
    for hour in range(14 * 24):
        line.see(hour * 3600, people=usual(hour))
    for hour in range(14 * 24, 24 * 24):
        line.see(hour * 3600, people=600 + hour % 5)
    assert line.last().level == Level.ORANGE
    assert line.last().expected == pytest.approx(600, rel=0.15)


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "UTC", "America/New_York", "Asia/Shanghai"])
def test_profiles_follow_the_civil_time(zone: str) -> None:
    """Over a change to or from summer time people come at the same hour on the clock; another zone's profile is off."""
    begin = datetime(2023, 3, 1, tzinfo=UTC) if zone != "America/New_York" else datetime(2023, 10, 1, tzinfo=UTC)
    place = ZoneInfo(zone)

    def misses(timezone: str) -> float:
        line = Line((COUNTER,), Config(clock="event", timezone=timezone))
        off = []
        for hour in range(45 * 24):
            secs = begin.timestamp() + hour * 3600
            civil = datetime.fromtimestamp(secs, place)
            value = 400.0 if 8 <= civil.hour < 20 else 100.0
            line.see(secs - START_MS / 1000, people=value + hour % 7)
            expected = line.last().expected
            if expected is not None and hour > 40 * 24:
                off.append(abs(expected - value))
        assert len(off) > 100
        return max(off)

    assert misses(zone) < 20
    if zone in ("Pacific/Auckland", "America/New_York"):
        assert misses("UTC") > 50


# Grid events


def event(code: str, occurred: str, reported: str | None = None, **more: Any) -> GridEvent:
    return GridEvent(
        service_request_id=str(more.pop("number", f"{code}/{occurred}")),
        service_code=code,
        grid_id=CELL,
        occurred_ms=at(occurred),
        reported_ms=at(reported or occurred),
        position=Position("grid.events", 0, 0),
        **more,
    )


def test_an_urgent_report_is_yellow_and_orange_once_verified() -> None:
    line = Line().hear(event("crush", "01:00", "02:00", reporter_role="worker"))
    line.hear(event("CRUSH", "01:00", "03:00", verification="verified", number="crush/01:00"))
    assert short(line.told()) == ["02:00 urgent_report yellow", "03:00 urgent_report orange"]
    assert line.signals[0].layer == "event"
    assert line.signals[0].lineage == Position("grid.events", 0, 2)


@pytest.mark.parametrize("verification", ["rejected", "duplicate"])
def test_a_report_that_does_not_stand_begins_nothing_and_ends_what_it_began(verification: str) -> None:
    line = Line().hear(event("fire", "01:00", verification=verification)).ticks("02:00", "40:00", 60.0)
    assert short(line.told()) == ["01:00 urgent_report none"]
    assert line.signals[0].request == event("fire", "01:00").service_request_id
    assert line.verdicts == []


def test_an_ordinary_report_is_no_finding_by_itself() -> None:
    assert Line().hear(event("litter", "01:00")).told() == []


def counted(line: Line) -> list[tuple[str, float]]:
    return [(clock_of(v.observed_ms), v.value) for v in line.verdicts]


def test_reports_are_counted_in_windows_with_zeros() -> None:
    line = Line().hear(event("litter", "01:00")).hear(event("litter", "14:59")).hear(event("litter", "15:00"))
    line.ticks("15:10", "15:50", 10.0)
    assert counted(line) == []  # the grace of a minute is not over
    line.tick("16:00")
    assert counted(line) == [("15:00", 2)]
    line.ticks("16:10", "46:00", 10.0)
    assert counted(line) == [("15:00", 2), ("30:00", 1), ("45:00", 0)]
    assert line.last().series == f"events/{CELL}/litter/report_count"
    assert (line.last().cell, line.last().state) == (CELL, State.WARMING_UP)
    line.tick("76:00")
    assert counted(line)[3:] == [("60:00", 0), ("75:00", 0)]


def test_reports_that_are_late_or_published_again_do_not_count_twice() -> None:
    line = Line().hear(event("litter", "01:00", number="A")).hear(event("litter", "01:00", "05:00", number="A"))
    line.hear(event("litter", "14:00", "15:59", number="B"))  # within the grace
    line.tick("16:00")
    assert counted(line) == [("15:00", 2)]
    line.hear(event("litter", "14:00", "16:01", number="C")).tick("31:00")
    assert counted(line)[1:] == [("30:00", 0)]


def test_a_report_that_was_made_after_its_window_is_late_wherever_time_stands() -> None:
    line = Line().hear(event("litter", "01:00")).hear(event("litter", "14:00", "16:00", number="late")).tick("16:00")
    assert counted(line) == [("15:00", 1)]


def test_counts_of_reports_stand_apart_by_category_and_cell() -> None:
    line = Line().hear(event("a", "01:00", category_major="waste", category_minor="bulky"))
    line.hear(event("b", "02:00", category_major="waste", category_minor="bulky")).hear(event("b", "02:00", number="x"))
    line.tick("16:00")
    assert {(v.series.split("/")[2], v.value) for v in line.verdicts} == {("waste.bulky", 2), ("b", 1)}


def test_many_more_reports_than_ever_are_found_when_their_grace_is_over() -> None:
    config = Config(clock="event", detect=Detect(event_window_secs=3600, event_grace_secs=60))
    line = Line(config=config)
    for hour in range(21 * 24):
        for number in range(2 + hour % 3):
            line.hear(event("noise", f"{hour * 60 + 1}:00", number=f"{hour}/{number}"))
        line.tick(f"{hour * 60 + 30}:00")
    assert line.told() == []
    hour = 21 * 24
    for number in range(60):
        line.hear(event("noise", f"{hour * 60 + 1}:00", number=f"{hour}/{number}"))
    line.tick(f"{hour * 60 + 61}:00")
    assert short(line.told()) == [f"{hour * 60 + 61}:00 above_expected blue"]
    assert line.signals[0].series == f"events/{CELL}/noise/report_count"
    assert line.signals[0].value == 60
