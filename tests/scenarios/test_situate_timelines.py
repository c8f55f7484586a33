"""Time lines on a fake clock: what happens to alerts when findings come and go. Minutes and seconds, one line each."""

import pytest

from gridbeacon.assessor import Assessor
from gridbeacon.config import Config, Situate
from gridbeacon.model import Position, Signal, SignalBatch, Tick, Transition
from gridbeacon.reasons import Level, Reason
from gridbeacon.vocabulary import Kind

CELL = "310101001002003"
START_MS = 1_672_484_400_000
LAYERS = {
    Reason.DENSITY: "limit",
    Reason.CAPACITY: "limit",
    Reason.ABOVE_EXPECTED: "learned",
    Reason.GONE_QUIET: "quality",
    Reason.STUCK: "quality",
    Reason.URGENT_REPORT: "event",
}


def at(clock: str) -> int:
    """Return the event time of ``mm:ss`` after the start."""
    minutes, secs = clock.split(":")
    return START_MS + (int(minutes) * 60 + int(secs)) * 1000


def signal(line: str) -> Signal:
    """Return the signal of one line: ``mm:ss source reason level [cell]``."""
    clock, source, reason, level, *cell = line.split()
    metric = {"density": "/density_max_per_m2", "gone_quiet": "", "urgent_report": "/crush"}.get(
        reason, "/people_count"
    )
    return Signal(
        cell=cell[0] if cell else CELL,
        layer=LAYERS[Reason(reason)],
        series=f"crowd/{source}{metric}",
        reason=Reason(reason),
        level=Level[level.upper()],
        time_ms=at(clock),
        lineage=Position("crowd.metrics", 0, at(clock) // 1000),
        kind=Kind.CROWD,
        score=2.0 if LAYERS[Reason(reason)] == "learned" and level != "none" else None,
        text=f"{reason} at {source}",
    )


def play(story: str, *, clock: str = "event", until: str = "60:00", **situate: object) -> list[Transition]:
    """Return the transitions of a story; time passes in ticks of 10 s, findings come as they are written."""
    config = Config(clock=clock, situate=Situate(**situate))  # type: ignore[arg-type]
    assessor = Assessor(config, 0)
    signals = [signal(line) for line in story.strip().splitlines()]
    out: list[Transition] = []
    previous = -1
    for offset, time_ms in enumerate(range(START_MS, at(until) + 1, 10_000)):
        due = tuple(s for s in signals if time_ms - 10_000 < s.time_ms <= time_ms)
        tick = Tick("0", time_ms, of=1 if clock == "event" else 0)
        batch = SignalBatch(partition=0, offset=offset, previous=previous, signals=due, tick=tick)
        out += assessor.assess(batch, offset)
        previous = offset
    return out


def told(transitions: list[Transition]) -> list[str]:
    """Return one line per transition: ``mm:ss event level condition [notice|held:reason]``."""
    lines = []
    for t in transitions:
        secs = (t.event.at_ms - START_MS) // 1000
        end = "notice" if t.notice else f"held:{t.event.held}"
        lines.append(
            f"{secs // 60:02d}:{secs % 60:02d} {t.event.event} {t.alert.level.word} {t.alert.condition_state} {end}"
        )
    return lines


@pytest.mark.parametrize("clock", ["event", "arrival"])
def test_a_crush_builds_up_and_is_over(clock: str) -> None:
    story = """
10:00 CAM-1 density blue
12:00 CAM-1 density yellow
14:00 CAM-1 density red
25:00 CAM-1 density orange
30:00 CAM-1 density none
"""
    assert told(play(story, clock=clock)) == [
        "10:00 opened blue active held:below_min_level",
        "12:00 level_raised yellow active notice",
        "14:00 level_raised red active notice",
        "25:00 level_lowered orange active held:level_lowered",
        "32:00 cleared none cleared notice",
    ]


def test_a_finding_that_comes_back_within_the_clearing_time_goes_on_as_the_same_alert() -> None:
    story = """
10:00 CAM-1 density orange
11:00 CAM-1 density none
12:30 CAM-1 density orange
20:00 CAM-1 density none
"""
    transitions = play(story)
    assert told(transitions) == ["10:00 opened orange active notice", "22:00 cleared none cleared notice"]
    assert len({t.alert.alert_id for t in transitions}) == 1


def test_a_new_situation_after_clearing_is_a_new_alert() -> None:
    story = """
10:00 CAM-1 density orange
11:00 CAM-1 density none
20:00 CAM-1 density orange
21:00 CAM-1 density none
"""
    transitions = play(story)
    assert [t.event.event for t in transitions] == ["opened", "cleared", "opened", "cleared"]
    assert len({t.alert.alert_id for t in transitions}) == 2
    assert len({t.alert.fingerprint for t in transitions}) == 1


def test_a_camera_that_dies_during_a_crush_leaves_the_condition_unknown_never_cleared() -> None:
    story = """
10:00 CAM-1 density red
13:00 CAM-1 gone_quiet blue
40:00 CAM-1 gone_quiet none
40:00 CAM-1 density none
"""
    transitions = [t for t in play(story) if t.alert.rule == "safety"]
    assert told(transitions) == [
        "10:00 opened red active notice",
        "13:00 data_lost red unknown notice",
        "40:00 data_back red active notice",
        "42:00 cleared none cleared notice",
    ]


def test_a_second_camera_keeps_the_condition_known_when_one_dies() -> None:
    story = """
10:00 CAM-1 density orange
10:00 CAM-2 density orange
13:00 CAM-1 gone_quiet blue
"""
    assert [t.event.event for t in play(story) if t.alert.rule == "safety"] == ["opened"]


def test_a_dead_camera_alone_is_for_duty_officers_not_for_dispatch() -> None:
    assert told(play("10:00 CAM-1 gone_quiet blue", until="20:00")) == [
        "10:00 opened blue active held:not_for_dispatch"
    ]


def test_one_unusual_series_is_blue_two_sources_are_yellow_never_more() -> None:
    story = """
10:00 CAM-1 above_expected blue
11:00 CAM-2 above_expected blue
12:00 CAM-3 above_expected blue
"""
    assert told(play(story, until="20:00")) == [
        "10:00 opened blue active held:below_min_level",
        "11:00 level_raised yellow active notice",
    ]


def test_an_urgent_report_lapses_by_itself() -> None:
    assert told(play("10:00 R urgent_report yellow", event_hold_secs=600.0)) == [
        "10:00 opened yellow active notice",
        "22:00 cleared none cleared notice",
    ]


def test_cells_are_apart() -> None:
    story = """
10:00 CAM-1 density orange
10:00 CAM-9 density red 310101001002999
"""
    transitions = play(story, until="20:00")
    assert sorted((t.alert.cell, t.alert.level.word) for t in transitions) == [
        (CELL, "orange"),
        ("310101001002999", "red"),
    ]


def test_a_replay_makes_the_same_alerts() -> None:
    story = """
10:00 CAM-1 density orange
20:00 CAM-1 density none
"""
    assert play(story) == play(story)
