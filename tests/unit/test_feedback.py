"""What people say of alerts: bounded effects on the learned layer, told with what they would have changed; no limit
ever moves."""

from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.banks import Banks
from detectors.kernel import JUDGE, LEARN
from detectors.layout import RESULT
from detectors.lessons import Lessons
from detectors.observer import Observer
from detectors.states import States
from gridbeacon.assessor import Assessor
from gridbeacon.config import Config, Detect, Quality, Topics
from gridbeacon.feedback import CLASS_SHARE, HALF_LIFE_MS, LEAST_STEP, MOST_HELD_BACK, MOST_STEP, Feedback, Past
from gridbeacon.frame import Frame, verdicts
from gridbeacon.lifecycle import Event
from gridbeacon.model import Action, Alert, Lesson, Position, Signal, SignalBatch, Tick, Transition
from gridbeacon.places import partition_of
from gridbeacon.reasons import ActionKind, BudgetReason, Disposition, LessonKind, Level, Reason, Role
from gridbeacon.vocabulary import METRIC_NUMBER, Kind
from streams.frames import decode_frame
from streams.situate import SituateMachine
from tests.unit.test_assessor import finding, interleave, logs
from tests.unit.test_observer import CONFIG, FAST, QUICK, SLOW, cut, merged, numbers, randoms, two

NOW_MS, DAY_MS = 1_700_438_400_000, 86_400_000
CELL = "310101001002003"
SERIES = "crowd/CAM-1/people_count"


def machine_with_alert() -> tuple[SituateMachine, Alert]:
    """Return a machine with one alert of a learned finding that was told."""
    machine = SituateMachine(Config(topics=Topics(observations_partitions=3, signals_partitions=1)), 0)
    signal = Signal(
        cell=CELL,
        layer="learned",
        series=SERIES,
        reason=Reason.ABOVE_EXPECTED,
        level=Level.BLUE,
        time_ms=NOW_MS,
        lineage=Position("crowd.metrics", 0, 7),
        kind=Kind.CROWD,
        score=9.0,
    )
    batch = SignalBatch(partition=0, offset=0, previous=-1, signals=(signal,), tick=Tick("0", NOW_MS))
    alerts = [t.alert for t in machine.assess(batch, 0)]
    assert alerts[0] is not None
    return machine, alerts[0]


def say(alert: Alert, disposition: Disposition, number: int = 1) -> Action:
    return Action(
        action_id=f"act-{number}",
        alert_id=alert.alert_id,
        kind=ActionKind.FEEDBACK,
        actor="lin",
        role=Role.DISPATCHER,
        sent_ms=NOW_MS,
        disposition=disposition,
    )


def heard(machine: SituateMachine, asked: Action, offset: int = 1) -> tuple[list[Transition], list[Lesson]]:
    """Return the transitions, and what reaches the log of detect: each lesson in the partition of its source."""
    transitions: list[Transition] = []
    lessons: list[Lesson] = []
    for output in machine.apply(offset, msgspec.json.encode(asked)):
        if output.topic == "observations":
            frame = decode_frame(output.value)
            assert output.partition == partition_of("CAM-1", 3)
            lessons += frame.lessons
        elif output.topic == "alerts":
            transitions.append(msgspec.json.decode(output.value, type=Transition))
    return transitions, lessons


@pytest.mark.parametrize(
    ("disposition", "words", "kinds"),
    [
        (Disposition.ANOMALY, "more alarms would have been raised", [LessonKind.MASK]),
        (Disposition.ANOMALY_EXPECTED, "put it into the calendar: {mode: expected_load", [LessonKind.MASK]),
        (Disposition.NOT_ANOMALY, "of the last 30 days' 1 alarms would not have been raised", []),
        (Disposition.ANOMALY_NEW_TREND, "begins anew", [LessonKind.RESET]),
        (Disposition.NO_FEEDBACK, "nothing is changed", []),
    ],
)
def test_each_disposition_has_its_effect_and_says_so(
    disposition: Disposition, words: str, kinds: list[LessonKind]
) -> None:
    machine, alert = machine_with_alert()
    (answer,), lessons = heard(machine, say(alert, disposition))
    assert answer.event.event == Event.FEEDBACK
    assert words in answer.event.note
    assert [(one.kind, one.series) for one in lessons] == [(kind, SERIES) for kind in kinds]
    assert [one.position for one in lessons] == [Position("signals", 0, 1, n) for n in range(len(kinds))]


def test_a_repeated_feedback_counts_once() -> None:
    machine, alert = machine_with_alert()
    asked = say(alert, Disposition.NOT_ANOMALY)
    (first,), _ = heard(machine, asked)
    factor = machine.assessor._triage.feedback.factor(SERIES, NOW_MS)
    (second,), lessons = heard(machine, asked, 2)
    assert first.event == second.event
    assert lessons == []
    assert machine.assessor._triage.feedback.factor(SERIES, NOW_MS) == factor < 1


def test_an_alert_of_a_limit_alone_teaches_nothing() -> None:
    machine = SituateMachine(Config(topics=Topics(observations_partitions=3)), 0)
    batch = SignalBatch(
        partition=0,
        offset=0,
        previous=-1,
        signals=(finding(1, 0, Level.RED, NOW_MS, 0),),
        tick=Tick("0", NOW_MS),
    )
    alert = machine.assess(batch, 0)[0].alert
    assert alert is not None
    (answer,), lessons = heard(machine, say(alert, Disposition.NOT_ANOMALY))
    assert "feedback never moves a limit" in answer.event.note
    assert lessons == []


def past(rate: float, reason: BudgetReason, days_ago: float = 1.0, series: str = SERIES) -> Past:
    return Past(NOW_MS - round(days_ago * DAY_MS), CELL, series, rate, 20.0, reason)


def alert_of(series: str = SERIES) -> Alert:
    _, alert = machine_with_alert()
    evidence = msgspec.structs.replace(alert.evidence[0], series=series)
    return msgspec.structs.replace(alert, evidence=(evidence,), opened_ms=NOW_MS, cleared_ms=NOW_MS)


def test_the_count_says_what_the_step_would_have_changed_in_30_days() -> None:
    feedback = Feedback()
    for n in range(19):  # of one series; a limit of 20 becomes 8.4 with one step, for the class too
        feedback.remember(past(9.0 if n < 7 else 1.0, BudgetReason.TOLD, n))
    feedback.remember(past(9.0, BudgetReason.TOLD, 31.0))
    feedback.remember(past(9.0, BudgetReason.SAME_SITUATION))
    effect = feedback.apply(alert_of(), Disposition.NOT_ANOMALY, NOW_MS)
    assert "with this step, 7 of the last 30 days' 19 alarms would not have been raised" in effect.words
    assert feedback.factor(SERIES, NOW_MS) == pytest.approx(2 ** -(1 + CLASS_SHARE))
    assert feedback.factor("crowd/CAM-2/people_count", NOW_MS) == pytest.approx(2**-CLASS_SHARE)
    assert feedback.factor("traffic/L/occupancy", NOW_MS) == 1


def test_an_anomaly_says_what_would_have_been_told_more() -> None:
    feedback = Feedback()
    for rate in (21.0, 25.0, 60.0):
        feedback.remember(past(rate, BudgetReason.TOO_COMMON))
    effect = feedback.apply(alert_of(), Disposition.ANOMALY, NOW_MS)
    assert "with this step, 2 more alarms would have been raised" in effect.words


@QUICK
@given(st.lists(st.tuples(st.sampled_from(list(Disposition)), st.integers(0, 60)), max_size=60))
def test_any_amount_of_feedback_keeps_within_its_bounds_and_is_forgotten(said: list[tuple[Disposition, int]]) -> None:
    feedback, now_ms = Feedback(), NOW_MS
    for disposition, days in said:
        now_ms += days * DAY_MS
        feedback.apply(alert_of(), disposition, now_ms)
        bound = 1 + CLASS_SHARE
        assert 2 ** -(MOST_STEP * bound) <= feedback.factor(SERIES, now_ms) <= 2 ** -(LEAST_STEP * bound)
    assert feedback.factor(SERIES, now_ms + 20 * HALF_LIFE_MS) == pytest.approx(1, abs=1e-4)


def test_what_is_remembered_is_bounded_and_goes_on_after_a_restore() -> None:
    feedback, saved = Feedback(), dict[str, bytes]()
    for n in range(2 * MOST_HELD_BACK):
        feedback.remember(past(30.0, BudgetReason.TOO_COMMON, 60 - n / 20))
        if n % 100 == 50:
            feedback.apply(alert_of(), Disposition.NOT_ANOMALY, NOW_MS - (60 - n // 20) * DAY_MS)
            for key, value in feedback.changed():
                if value is None:
                    saved.pop(key, None)
                else:
                    saved[key] = value
    assert sum(len(days) for days in feedback._days.values()) <= MOST_HELD_BACK
    assert sum(len(value) for value in saved.values()) < 100_000
    restored = Feedback()
    for key, value in feedback.changed():
        if value is None:
            saved.pop(key, None)
        else:
            saved[key] = value
    for key, value in saved.items():
        restored.restore(key, value)
    a, b = (one.apply(alert_of(), Disposition.NOT_ANOMALY, NOW_MS) for one in (feedback, restored))
    assert a == b


dispositions = st.lists(st.sampled_from(list(Disposition)), min_size=1, max_size=10)


@QUICK
@given(logs(), st.lists(st.booleans(), max_size=20), dispositions)
def test_no_feedback_moves_a_limit_in_situate(
    both: tuple[list[SignalBatch], list[SignalBatch]], order: list[bool], said: list[Disposition]
) -> None:
    """The limit findings that stand are the same at every moment, with feedback on every alert or without any."""
    plain, told = Assessor(Config(clock="event"), 0), Assessor(Config(clock="event"), 0)
    number = 0
    for offset, batch in enumerate(interleave(*both, order)):
        plain.assess(batch, 2 * offset)
        told.assess(batch, 2 * offset)
        for alert in told.open_alerts:
            number += 1
            told.act(say(alert, said[number % len(said)], number), 2 * offset + 1)
        assert limits(plain) == limits(told)


def limits(assessor: Assessor) -> set[tuple[str, str, Level]]:
    """Return the limit findings that stand."""
    return {
        (name, f.evidence.series, f.evidence.level)
        for name, cell in assessor._cells.items()
        for f in cell.findings.values()
        if f.evidence.layer == "limit"
    }


@QUICK
@given(choices=numbers, reports=numbers, random=randoms)
def test_no_feedback_moves_a_limit_in_detect(choices: list[int], reports: list[int], random: Random) -> None:
    """Levels of all rows, and all findings about limits and data, are the same with any lessons or without."""
    frames = list(cut(merged(two(choices, reports, random), random), random))
    plain, taught = Observer(CONFIG, 0), Observer(CONFIG, 0)
    names = [f"{s.kind}/{s.sensor_id}/people_count" for s in (FAST, SLOW)]
    for offset, frame in enumerate(frames):
        lesson = Lesson(
            random.choice(list(LessonKind)),
            random.choice([*names, "crowd/NOBODY/people_count", "crowd/FAST/density_max_per_m2"]),
            0,
            random.choice([0, 1 << 60]),
            Position("signals", 0, offset),
        )
        a = plain.observe(frame, 2 * offset)
        taught.observe(Frame(frame.ingested_ms, lessons=(lesson,)), 2 * offset)
        b = taught.observe(frame, 2 * offset + 1)
        assert [v.level for v in verdicts(a.judged)] == [v.level for v in verdicts(b.judged)]
        assert _safe(a.signals) == _safe(b.signals)


def _safe(signals: tuple[Signal, ...]) -> list[tuple[Any, ...]]:
    return [(s.layer, s.series, s.reason, s.level, s.time_ms) for s in signals if s.layer != "learned"]


# What detect does with a lesson


def test_a_new_trend_is_normal_after_a_day_instead_of_many() -> None:
    hours = np.arange(24 * 35)
    usual = 200 + 100 * np.sin(hours % 24 / 24 * 2 * np.pi)
    noise = np.random.default_rng(1).normal(0, 8, len(hours))
    x = usual * np.where(hours >= 24 * 28, 0.45, 1.0) + noise

    def unusual_hours(reset: bool) -> int:
        banks = Banks(Detect())
        banks.add(METRIC_NUMBER[Kind.CROWD, "people_count"])
        count = 0
        for n, value in enumerate(x):
            if reset and n == 24 * 28 + 6:
                banks.relearn(0)
            one = np.array([n], np.int64) * 3_600_000
            said = banks.judge(np.zeros(1, np.int64), np.array([value]), one, one, np.ones(1, np.uint8))[0]
            count += bool(n > 24 * 28 + 6 and said["severity"] >= 2.4 and said["confidence"] > 0)
        return count

    with_reset, without = unusual_hours(True), unusual_hours(False)
    assert with_reset < 0.5 * without


def test_a_masked_time_is_judged_and_not_learned_and_forgotten_a_day_after() -> None:
    states = States(Detect(), Quality())
    source = np.array([states.define(FAST)], np.int64)
    series = states.series_of(source, np.array([METRIC_NUMBER[Kind.CROWD, "people_count"]]))
    lessons = Lessons(states)
    lessons.take(Lesson(LessonKind.MASK, f"crowd/{FAST.sensor_id}/people_count", 10, 20))
    results = np.zeros(4, RESULT)
    results["learn"] = JUDGE | LEARN
    lessons.apply(np.repeat(series, 4), np.array([9, 10, 19, 20]), results)
    assert results["learn"].tolist() == [JUDGE | LEARN, JUDGE, JUDGE, JUDGE | LEARN]
    (kept,) = lessons.changed()
    lessons.forget(20 + DAY_MS)
    assert lessons.changed() == [(kept[0], None)]


def test_a_lesson_that_comes_again_is_a_repeat() -> None:
    observer = Observer(CONFIG, 0)
    lesson = Lesson(LessonKind.MASK, SERIES, 0, 1 << 60, Position("signals", 0, 5))
    assert observer.observe(Frame(NOW_MS, lessons=(lesson,)), 0).repeats == 0
    assert observer.observe(Frame(NOW_MS, lessons=(lesson,)), 1).repeats == 1
