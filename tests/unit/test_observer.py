"""Properties of observe: what it says depends on the rows, events and ticks of its log, and on nothing else."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.observer import Observed, Observer
from gridbeacon.config import Config, Detect, Limits, Quality
from gridbeacon.errors import ConfigError, Fatal
from gridbeacon.frame import Frame, Rows, verdicts
from gridbeacon.model import GridEvent, PlaceSum, Position, Sensor, Signal, Tick, Verdict
from gridbeacon.reasons import Level, Reason, State
from gridbeacon.vocabulary import METRIC_NUMBER, METRICS, Kind

CELL = "310101001002003"
BEGIN_MS = 1_672_484_400_000
FAST = Sensor(sensor_id="FAST", kind=Kind.CROWD, grid_id=CELL, interval_secs=10.0, area_m2=50.0, capacity=100.0)
SLOW = Sensor(sensor_id="SLOW", kind=Kind.CROWD, grid_id="310101001002004", interval_secs=3600.0, area_m2=50.0)
CONFIG = Config(
    clock="event",
    timezone="Pacific/Auckland",
    limits=Limits(for_secs=20.0),
    quality=Quality(stuck_repeats=3),
    detect=Detect(parameters={"young_min": 10.0}, warm_up_days=0, event_window_secs=600.0, event_grace_secs=60.0),
)
QUICK = settings(max_examples=16, deadline=None, suppress_health_check=list(HealthCheck))
RECORDS = (("density_max_per_m2", "flow_per_m_min"), ("density_mean_per_m2", "people_count_towards"), ("people_count",))
STEPS_SECS = (10, 10, 10, 10, 30, 100, 3600, 0)
VALUES = (1.0, 1.1, 0.9, 2.5, 4.5, 6.0, 0.0, 1.05)
SCALES = {"people_count": 20, "people_count_towards": 4, "people_count_away": 1, "flow_per_m_min": 15}


class Row(NamedTuple):
    """One row with its position."""

    source: str
    metric: int
    time_ms: int
    value: float
    coverage: float
    position: Position


Item = Row | GridEvent | Tick
numbers = st.lists(st.integers(0, (1 << 20) - 1), min_size=20, max_size=120)


def script(
    choices: Iterable[int], sensor: Sensor, partition: int, of: int, *, late: bool = True, sent: bool = True
) -> Iterator[Item]:
    """Yield one source partition: rows of one sensor (or reports, without ``sent``), and ticks; each number a step."""
    now_ms = BEGIN_MS
    ticked_ms = -1
    topic = "crowd.metrics" if sent else "grid.events"
    for offset, n in enumerate(choices):
        now_ms += STEPS_SECS[n >> 6 & 7] * 1000
        if n & 7 == 0:
            if now_ms > ticked_ms:
                yield Tick(f"{topic}/{partition}", now_ms, of)
                ticked_ms = now_ms
            continue
        now_ms = max(now_ms, ticked_ms + 1000)
        if not sent:
            yield report(n, now_ms, Position(topic, partition, offset))
            continue
        back_ms = 20_000 if late and n >> 12 & 15 == 0 else 0
        value = VALUES[n >> 9 & 7]
        names: tuple[str, ...] = RECORDS[(n >> 3 & 7) % 3]
        names = (*names, "people_count_away") if len(names) > 1 and "mean" in names[0] else names
        # as decode writes them: in the order of their numbers
        found = sorted((METRIC_NUMBER[Kind.CROWD, name], SCALES.get(name, 1) * value) for name in names)
        for index, (metric, scaled) in enumerate(found):
            coverage = 0.1 if n >> 16 & 15 == 0 else math.nan
            where = Position(topic, partition, offset, index)
            yield Row(sensor.sensor_id, metric, now_ms - back_ms, scaled, coverage, where)


def report(n: int, now_ms: int, position: Position) -> GridEvent:
    return GridEvent(
        service_request_id=f"R{n >> 9 & 7}",
        service_code=("fire", "litter", "noise", "litter")[n >> 12 & 3],
        grid_id=CELL,
        occurred_ms=now_ms - 10_000 * (n >> 14 & 63),
        reported_ms=now_ms,
        position=position,
        verification=("unverified", "verified", "rejected", "unverified")[n >> 4 & 3],
    )


def frame(items: list[Item], sensors: tuple[Sensor, ...] = (), ingested_ms: int = BEGIN_MS) -> Frame:
    """Return items, rows before events before ticks, as one frame."""
    rows = [item for item in items if isinstance(item, Row)]
    names = tuple(dict.fromkeys(row.source for row in rows))
    topics = tuple(dict.fromkeys(row.position.topic for row in rows))
    n = len(rows)
    return Frame(
        ingested_ms=ingested_ms,
        sensors=sensors,
        events=tuple(item for item in items if isinstance(item, GridEvent)),
        ticks=tuple(item for item in items if isinstance(item, Tick)),
        rows=Rows(
            sources=names,
            topics=topics,
            source=np.array([names.index(row.source) for row in rows], np.int32),
            metric=np.array([row.metric for row in rows], np.uint8),
            observed_ms=np.array([row.time_ms for row in rows], np.int64),
            value=np.array([row.value for row in rows], np.float64),
            coverage=np.array([row.coverage for row in rows], np.float32),
            confidence=np.full(n, np.nan, np.float32),
            surface=np.zeros(n, np.uint8),
            motion=np.zeros(n, np.uint8),
            topic=np.array([topics.index(row.position.topic) for row in rows], np.uint8),
            partition=np.array([row.position.partition for row in rows], np.int32),
            offset=np.array([row.position.offset for row in rows], np.int64),
            index=np.array([row.position.index for row in rows], np.int32),
        ),
    )


def cut(items: Iterable[Item], random: Random | None) -> Iterator[Frame]:
    """Yield frames of the items in their order: one each without ``random``, else as many as it likes."""
    rank = {Row: 0, GridEvent: 1, Tick: 2}
    held: list[Item] = []
    sensors: tuple[Sensor, ...] = (FAST, SLOW)
    for item in items:
        whole = held and (random is None or random.random() < 0.2 or rank[type(item)] < rank[type(held[-1])])
        if whole:
            yield frame(held, sensors)
            held, sensors = [], ()
        held.append(item)
    yield frame(held, sensors)


class Said(NamedTuple):
    """All that was said: verdicts, findings, how many repeats were dropped, and the sums of places."""

    verdicts: list[Verdict]
    signals: list[Signal]
    repeats: int
    sums: list[PlaceSum]


def run(frames: Iterable[Frame], observer: Observer | None = None) -> Said:
    observer = observer or Observer(CONFIG, 0)
    seen = [observer.observe(one, offset) for offset, one in enumerate(frames)]
    return gathered(seen)


def gathered(seen: Iterable[Observed]) -> Said:
    seen = list(seen)
    said = [verdict for one in seen for verdict in verdicts(one.judged)]
    signals = [signal for one in seen for signal in one.signals]
    return Said(said, signals, sum(one.repeats for one in seen), [one for some in seen for one in some.sums])


def told(signals: Iterable[Signal]) -> Counter[Any]:
    """Return findings without where their tick stood: that is what cutting and interleaving may change."""
    return Counter(
        msgspec.structs.astuple(
            msgspec.structs.replace(
                one,
                index=0,
                lineage=Position("", 0, 0)
                if one.lineage.topic == "observations" or one.reason is Reason.GONE_QUIET
                else one.lineage,
            )
        )
        for one in signals
    )


def judged(said: Iterable[Verdict], series: str = "") -> list[Verdict]:
    """Return the verdicts of one series (all, when ''), counts of reports without where their tick stood."""
    return [
        msgspec.structs.replace(one, lineage=Position("", 0, 0)) if one.lineage.topic == "observations" else one
        for one in said
        if series in ("", one.series)
    ]


def two(choices: list[int], reports: list[int], random: Random, *, late: bool = True) -> list[list[Item]]:
    """Return three source partitions: two sensors and reports; each ends with a tick at the end of all."""
    half = len(choices) // 2
    parts = [
        list(script(choices[:half], FAST, 0, 3, late=late)),
        list(script(choices[half:], SLOW, 1, 3, late=late)),
        list(script(reports, FAST, 0, 3, sent=False)),
    ]
    names = ("crowd.metrics/0", "crowd.metrics/1", "grid.events/0")
    end_ms = 1000 + max(time_of(item) for part in parts for item in part)
    return [[*part, Tick(name, end_ms, 3)] for part, name in zip(parts, names, strict=True)]


def time_of(item: Item) -> int:
    return item.reported_ms if isinstance(item, GridEvent) else item.time_ms


def merged(parts: list[list[Item]], random: Random) -> list[Item]:
    """Return partitions as one log, each in its own order, as ``random`` interleaves them."""
    turns = [number for number, part in enumerate(parts) for _ in part]
    random.shuffle(turns)
    left = [iter(part) for part in parts]
    return [next(left[number]) for number in turns]


def keep(saved: dict[bytes, bytes], changed: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Keep what changed, as a compacted topic does."""
    for key, value in changed:
        if value is None:
            saved.pop(key, None)
        else:
            saved[key] = value


randoms = st.randoms(use_true_random=False)


def test_the_made_logs_reach_every_reason_that_rows_can_have() -> None:
    """Else the properties below would hold of nothing."""
    reasons: set[Reason] = set()
    spoken: set[Reason] = set()
    summed = 0
    for seed in range(10):
        random = Random(seed)
        choices = [random.randrange(1 << 20) for _ in range(400)]
        said = run(cut(merged(two(choices, choices[:150], random), random), random))
        reasons |= {one.reason for one in said.verdicts}
        spoken |= {one.reason for one in said.signals}
        summed += len(said.sums)
    limits = {Reason.DENSITY, Reason.CAPACITY, Reason.INFLOW_PROJECTION, Reason.FLOW}
    statistics = {Reason.SHORT_DEPARTURE, Reason.RECORD}
    learned = {Reason.ABOVE_EXPECTED, Reason.BELOW_EXPECTED}
    quality = {Reason.STUCK, Reason.IMPOSSIBLE_JUMP, Reason.LOW_COVERAGE}
    assert reasons >= limits | statistics | quality | {Reason.LATE, Reason.DUPLICATE, Reason.WARMING_UP}
    assert spoken & learned
    assert summed > 100
    assert spoken >= limits | quality | {Reason.GONE_QUIET, Reason.URGENT_REPORT}


@QUICK
@given(choices=numbers, reports=numbers, random=randoms)
def test_it_does_not_matter_how_a_log_is_cut_into_frames(
    choices: list[int], reports: list[int], random: Random
) -> None:
    log = merged(two(choices, reports, random), random)
    one_each, some = run(cut(log, None)), run(cut(log, random))
    assert judged(one_each.verdicts) == judged(some.verdicts)
    assert told(one_each.signals) == told(some.signals)
    assert one_each.sums == some.sums
    assert one_each.repeats == some.repeats == 0


@QUICK
@given(choices=numbers, reports=numbers, random=randoms)
def test_it_does_not_matter_how_source_partitions_interleave(
    choices: list[int], reports: list[int], random: Random
) -> None:
    parts = two(choices, reports, random, late=False)
    first, second = (run(cut(merged(parts, random), random)) for _ in range(2))
    every = {one.series for one in first.verdicts}
    assert every == {one.series for one in second.verdicts}
    for series in every:
        assert judged(first.verdicts, series) == judged(second.verdicts, series)
    assert told(first.signals) == told(second.signals)
    assert first.sums == second.sums


@QUICK
@given(choices=numbers, reports=numbers, random=randoms, live=st.booleans())
def test_what_is_saved_and_restored_goes_on_to_the_digit(
    choices: list[int], reports: list[int], random: Random, live: bool
) -> None:
    config = msgspec.structs.replace(CONFIG, clock="arrival") if live else CONFIG
    frames = list(cut(merged(two(choices, reports, random), random), random))
    if live:
        times = sorted(random.randrange(BEGIN_MS, BEGIN_MS + 10**6) for _ in frames)
        frames = [
            replace(one, ingested_ms=t, ticks=(Tick("ingest", t, 0),)) for one, t in zip(frames, times, strict=True)
        ]
    # The observer that was never replaced, and the chain of those that were, say the same.
    whole, chained = Observer(config, 0), Observer(config, 0)
    saved: dict[bytes, bytes] = {}
    for offset, one in enumerate(frames):
        a, b = whole.observe(one, offset), chained.observe(one, offset)
        assert gathered([a]) == gathered([b])
        assert a.tick == b.tick
        if random.random() < 0.1:
            keep(saved, chained.changed())
            records = list(saved.items())
            random.shuffle(records)
            chained = Observer(config, 0)
            for key, value in records:
                chained.restore(key, value)
            assert [key for key, _ in chained.changed()] == [b"c:"]  # nothing has changed since
            assert (chained.series, chained.watermark_ms) == (whole.series, whole.watermark_ms)


@QUICK
@given(choices=numbers, reports=numbers, random=randoms)
def test_repeats_are_dropped_and_counted_and_change_nothing(
    choices: list[int], reports: list[int], random: Random
) -> None:
    log = merged(two(choices, reports, random), random)
    frames = list(cut(log, random))
    again: list[Frame] = []
    expected = 0
    for number, one in enumerate(frames):
        again.append(one)
        if random.random() < 0.3:
            for repeated in frames[random.randrange(number + 1) : number + 1]:
                again.append(repeated)
                expected += len(repeated.rows) + len(repeated.events)
    once, twice = run(frames), run(again)
    assert judged(once.verdicts) == judged(twice.verdicts)
    assert told(once.signals) == told(twice.signals)
    assert (once.repeats, twice.repeats) == (0, expected)


def test_a_frame_of_old_and_new_rows_is_taken_in_part() -> None:
    rows = [
        Row("FAST", 8, BEGIN_MS + n * 10_000, 1.0 + n / 10, math.nan, Position("crowd.metrics", 0, n)) for n in range(4)
    ]
    observer = Observer(CONFIG, 0)
    observer.observe(frame(list(rows[:2]), (FAST,)), 0)
    seen = observer.observe(frame(list(rows)), 1)
    assert seen.repeats == 2
    assert [one.lineage.offset for one in verdicts(seen.judged)] == [2, 3]


garbage = st.lists(
    st.tuples(
        st.sampled_from([n for n, m in enumerate(METRICS) if m.kind is not Kind.EVENTS]),
        st.floats(0, 1),
        st.sampled_from([0, 0, 1, 10, 60, 3600, 90_000, -30]),
        st.sampled_from([math.nan, 0.0, 0.3, 1.0]),
        st.integers(0, 3),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=60,
)


@QUICK
@given(
    steps=garbage,
    interval=st.sampled_from([0.001, 1.0, 10.0, 900.0, 86_400.0]),
    area=st.sampled_from([None, 1e-3, 50.0, 1e9]),
    live=st.booleans(),
)
def test_whatever_is_in_range_is_judged_and_findings_begin_and_end_in_turn(
    steps: list[tuple[Any, ...]], interval: float, area: float | None, live: bool
) -> None:
    sensor = msgspec.structs.replace(FAST, interval_secs=interval, area_m2=area, capacity=area)
    observer = Observer(msgspec.structs.replace(CONFIG, clock="arrival" if live else "event"), 0)
    seen = [observer.observe(Frame(BEGIN_MS, sensors=(sensor,)), 0)]
    now_ms = BEGIN_MS
    for offset, (metric, share, step, coverage, surface, motion, tick) in enumerate(steps, 1):
        now_ms += step * 1000
        low, high = METRICS[metric].low, METRICS[metric].high
        row = Row("FAST", metric, now_ms, low + share * (high - low), coverage, Position("crowd.metrics", 0, offset))
        one = frame([row, *([Tick("a", now_ms, 0 if live else 1)] if tick else [])], ingested_ms=now_ms)
        shaped = replace(one.rows, surface=np.array([surface], np.uint8), motion=np.array([motion], np.uint8))
        seen.append(observer.observe(replace(one, rows=shaped), offset))
    in_force: dict[tuple[str, str], Level] = {}
    for said in seen:
        assert [signal.index for signal in said.signals] == list(range(len(said.signals)))
        for signal in said.signals:
            at = (signal.series, signal.reason)
            assert signal.level != in_force.get(at, Level.NONE), signal
            assert (signal.level is Level.NONE) == (signal.text == "")
            in_force[at] = signal.level
        for verdict in verdicts(said.judged):
            limits = {Reason.DENSITY, Reason.CAPACITY, Reason.FLOW, Reason.INFLOW_PROJECTION}
            open_now = [
                level
                for (series, reason), level in in_force.items()
                if series == verdict.series and reason in limits | {Reason.DENSITY_UP_FLOW_DOWN}
            ]
            assert verdict.level == max(open_now, default=Level.NONE)
            check(verdict)
    assert gathered(seen).repeats == 0


def check(verdict: Verdict) -> None:
    """What holds of every verdict."""
    assert 0 <= verdict.confidence <= 1
    for score in (verdict.alarm, verdict.severity, verdict.signal):
        assert score is None or (score >= 0 and math.isfinite(score))
    if verdict.expected is not None:
        assert verdict.lower is not None
        assert verdict.upper is not None
        assert verdict.lower <= verdict.expected <= verdict.upper
        assert math.isfinite(verdict.lower + verdict.upper)
    assert (verdict.severity is None) == (verdict.expected is None)
    if verdict.state is State.NORMAL:
        assert verdict.reason is Reason.WITHIN_BAND
        assert verdict.level is Level.NONE
        assert verdict.severity is not None or not METRICS[_metric(verdict.series)].learned
    assert (verdict.reason is Reason.WITHIN_BAND) == (verdict.state is State.NORMAL)


def _metric(series: str) -> int:
    kind, _, name = series.split("/")
    return METRIC_NUMBER[Kind(kind), name]


def test_time_is_passed_on_when_it_has_moved_a_second() -> None:
    observer = Observer(CONFIG, 3)
    told_ms = []
    for offset, time_ms in enumerate((5_000, 5_999, 6_000, 6_000, 9_999, 4_000)):
        tick = observer.observe(Frame(0, ticks=(Tick("a", time_ms, 1),)), offset).tick
        told_ms.append(None if tick is None else tick.time_ms)
        assert tick is None or (tick.producer, tick.of) == ("observations/3", CONFIG.topics.observations_partitions)
    assert told_ms == [5_000, None, 6_000, None, 9_999, None]
    assert all(a <= b for a, b in pairwise(t for t in told_ms if t is not None))


def test_a_source_that_was_never_defined_is_fatal() -> None:
    with pytest.raises(Fatal, match="'NOBODY' was never defined"):
        Observer(CONFIG, 0).observe(frame([Row("NOBODY", 8, BEGIN_MS, 1.0, math.nan, Position("t", 0, 0))]), 0)


def test_states_of_another_layout_are_refused() -> None:
    observer = Observer(CONFIG, 0)
    row = Row("FAST", 8, BEGIN_MS, 1.0, math.nan, Position("t", 0, 0))
    observer.observe(frame([row], (FAST,)), 0)
    for key, value in observer.changed():
        if key[:2] in (b"s:", b"r:"):
            assert value is not None
            other = Observer(CONFIG, 0)
            with pytest.raises(Fatal, match="another version"):  # noqa: PT012 - series wait for their source
                other.restore(key, bytes([value[0] + 1]) + value[1:])
                other.changed()
    lonely = Observer(CONFIG, 0)
    lonely.restore(*next((key, value) for key, value in observer_records(observer) if key[:2] == b"r:"))
    with pytest.raises(Fatal, match="without its source"):
        lonely.changed()


def observer_records(observer: Observer) -> list[tuple[bytes, bytes]]:
    """Return all records of an observer's state."""
    observer.states.touch(np.arange(observer.series), np.arange(len(observer.states.sensors)))
    return [(key, value) for key, value in observer.changed() if value is not None]


def test_what_the_configuration_asks_counts_over_what_was_saved() -> None:
    observer = Observer(CONFIG, 0)
    observer.observe(frame([Row("FAST", 8, BEGIN_MS, 1.0, math.nan, Position("t", 0, 0))], (FAST,)), 0)
    patient = Observer(msgspec.structs.replace(CONFIG, quality=Quality(quiet_min_secs=600.0)), 0)
    for key, value in observer_records(observer):
        patient.restore(key, value)
    later = Row("FAST", 8, BEGIN_MS + 10_000, 1.0, math.nan, Position("t", 0, 1))
    patient.observe(frame([later, Tick("a", BEGIN_MS + 10_000, 1)]), 1)
    assert not patient.observe(frame([Tick("a", BEGIN_MS + 609_999, 1)]), 2).signals
    assert patient.observe(frame([Tick("a", BEGIN_MS + 610_000, 1)]), 3).signals[0].reason is Reason.GONE_QUIET


def test_an_unknown_detector_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"detect.detector 'magic' is unknown; choose of: .*novelty_and_departure"):
        Observer(msgspec.structs.replace(CONFIG, detect=Detect(detector="magic")), 0)


def test_a_series_that_changes_its_interval_keeps_what_is_usual_and_is_missed_by_the_new_one() -> None:
    sensor = msgspec.structs.replace(SLOW, interval_secs=300.0)
    slower = msgspec.structs.replace(sensor, interval_secs=900.0)
    observer = Observer(msgspec.structs.replace(CONFIG, quality=Quality(), detect=Detect()), 0)
    dice, metric = np.random.default_rng(1), METRIC_NUMBER[Kind.CROWD, "people_count"]
    offset, states, silences = 0, [], []
    for day in range(21):
        step_secs, one = (300, sensor) if day < 14 else (900, slower)
        items: list[Item] = []
        for n in range(86_400 // step_secs):
            time_ms = BEGIN_MS + day * 86_400_000 + n * step_secs * 1000
            usual = 200 + 150 * math.sin(2 * math.pi * n * step_secs / 86_400)
            value = float(dice.poisson(usual))
            items.append(Row("SLOW", metric, time_ms, value, 1.0, Position("crowd.metrics", 0, offset)))
            offset += 1
        items.append(Tick("crowd.metrics/0", items[-1].time_ms, 1))
        seen = observer.observe(frame(items, (one,)), day)
        states += [v.state for v in verdicts(seen.judged)] if day >= 14 else []
        assert not seen.signals
    assert states.count(State.NORMAL) > 0.98 * len(states)
    last_ms = items[-1].time_ms
    for minutes in (16, 30, 44, 46, 60):
        now = Tick("crowd.metrics/0", last_ms + minutes * 60_000, 1)
        said = observer.observe(frame([now]), 21 + minutes).signals
        silences += [minutes] * sum(s.reason is Reason.GONE_QUIET for s in said)
    assert silences == [46]  # three of the new intervals, not of the old
