"""Time lines of areas: what no sensor can tell by itself and all of them together can, from frames to alerts."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from gridbeacon.config import AlarmBudget, Config, Detect, Topics
from gridbeacon.config_forecast import Forecast
from gridbeacon.frame import Frame
from gridbeacon.model import Sensor, Transition
from gridbeacon.vocabulary import Kind
from tests.city import BEGIN_MS, PER_DAY, STEP_MS, Engine, frames, live, play

DAYS = 9
COUNTY, FIRST, SECOND = "310101", "310101001001", "310101002001"
SENSORS = tuple(
    Sensor(sensor_id=f"S{n:02d}", kind=Kind.CROWD, grid_id=f"{(FIRST, SECOND)[n % 2]}{n // 4:03d}", interval_secs=300)
    for n in range(32)
)
RAIN = range(8 * PER_DAY + 14 * 12, 8 * PER_DAY + 14 * 12 + 9)
"""The ninth day, from 14:00, for three quarters of an hour."""


def values(factor: float = 1.0, where: str = COUNTY) -> Any:
    """Return what is counted, [steps, sensors]: noisy days, and the rain's factor on those whose cell begins so."""
    random = np.random.default_rng(11)
    hour = np.arange(DAYS * PER_DAY) % PER_DAY / 12
    usual = 60 + 40 * np.sin((hour - 8) / 24 * 2 * np.pi)
    counted = usual[:, None] * random.lognormal(-0.125, 0.5, (len(hour), len(SENSORS)))
    for n, sensor in enumerate(SENSORS):
        if sensor.grid_id.startswith(where):
            counted[RAIN, n] *= factor
    return np.round(counted)


def config(partitions: int = 1, clock: str = "event", per_week: float = 2.0) -> Config:
    """Return the configuration of so many detect partitions."""
    return Config(
        clock=clock,  # type: ignore[arg-type]
        topics=Topics(observations_partitions=partitions, signals_partitions=1),
        detect=Detect(warm_up_days=4),
        alarm_budget=AlarmBudget(per_week=per_week),
        forecast=Forecast(enabled=False),
    )


def run(
    counted: Any, partitions: int = 1, clock: str = "event", present: Any = None, tear_at: Iterable[int] = ()
) -> tuple[Engine, list[Transition]]:
    """Return the engine after all steps, and the transitions of alerts."""
    return play(config(partitions, clock), SENSORS, counted, present, tear_at)


def opened(found: Iterable[Transition]) -> list[tuple[str, str]]:
    """Return (cell, level) of the safety alerts that were opened while it rained, or within two hours after."""
    return [(t.alert.cell, t.alert.level.word) for t in found if in_the_rain(t) and t.event.event == "opened"]


def in_the_rain(one: Transition) -> bool:
    """Return whether the alert is about safety and was opened while it rained, or within two hours after."""
    step = (one.alert.opened_ms - BEGIN_MS) / STEP_MS
    return one.alert.rule == "safety" and RAIN.start <= step < RAIN.stop + 24


@pytest.fixture(scope="module")
def rainy() -> tuple[Engine, list[Transition]]:
    """Rain takes 35 % of all people for three quarters of an hour."""
    return run(values(0.65))


def test_rain_that_no_sensor_tells_is_one_alert_of_the_area_that_names_its_cells(
    rainy: tuple[Engine, list[Transition]],
) -> None:
    engine, found = rainy
    rain_ms = range(BEGIN_MS + RAIN.start * STEP_MS, BEGIN_MS + RAIN.stop * STEP_MS)
    assert not [s for s in engine.signals if s.reason == "below_expected" and s.time_ms in rain_ms and s.score]
    assert opened(found) == [(COUNTY, "yellow")]
    (alert,) = (t.alert for t in found if in_the_rain(t) and t.event.event == "opened")
    (evidence,) = alert.evidence
    assert evidence.series == f"area/{COUNTY}/crowd.people_count"
    assert evidence.reason == "below_expected"
    assert "of 32 sensors together is 3" in evidence.text
    assert "below what is expected" in evidence.text
    assert evidence.text.count(FIRST) + evidence.text.count(SECOND) == 3
    assert evidence.budget is not None
    assert evidence.budget.told
    assert "cleared" in [t.event.event for t in found if t.alert.alert_id == alert.alert_id]


def test_rain_over_one_street_is_that_street_alone() -> None:
    _, found = run(values(0.5, SECOND))
    assert opened(found) == [(SECOND, "yellow")]


def test_a_dry_day_is_no_finding_even_when_sensors_are_missing() -> None:
    """Half of the sensors of both streets are away for half a day: they are quiet, and their area is as usual."""
    counted = values()
    present = np.ones(counted.shape, bool)
    present[8 * PER_DAY + 100 : 8 * PER_DAY + 244, :16] = False
    engine, found = run(counted, present=present)
    assert opened(found) == []
    assert {s.series for s in engine.signals if s.reason == "gone_quiet"} == {f"crowd/S{n:02d}" for n in range(16)}


def test_two_detect_partitions_say_the_same(rainy: tuple[Engine, list[Transition]]) -> None:
    _, found = run(values(0.65), partitions=2)
    assert [alert_of(t) for t in found] == [alert_of(t) for t in rainy[1]]


def alert_of(one: Transition) -> tuple[Any, ...]:
    """Return what people see of a transition, to the digits that an order of adding leaves."""
    evidence = [(e.series, e.reason, e.since_ms, round(e.value or 0, 6)) for e in one.alert.evidence]
    return one.alert.alert_id, one.event.event, one.event.at_ms, one.alert.level, evidence


def test_interrupted_and_restored_says_the_same(rainy: tuple[Engine, list[Transition]]) -> None:
    _, found = run(values(0.65), tear_at={7, 500, 1000, RAIN.start + 1, RAIN.start + 3, RAIN.start + 5, RAIN.stop + 2})
    assert found == rainy[1]


def test_live_a_partition_that_lags_is_waited_for_and_one_that_is_dead_is_not() -> None:
    engine = Engine(config(2, "arrival"))
    logs = [list(frames(SENSORS, values(), n, 2)) for n in range(2)]
    steps = 5 * PER_DAY  # four days of warming up, then sums
    for offset in range(steps):
        engine.step(offset, [live(log[offset]) for log in logs])
    held: list[tuple[int, Frame]] = []
    judged_ms = engine.situate.together.slots.over_ms
    assert judged_ms == BEGIN_MS + (steps - 2) * STEP_MS  # the last one's grace is not over
    for offset in range(steps, steps + 10):  # the second partition does not come
        for _, batch in engine.detects[0].batches(
            engine.detects[0].observer.observe(live(logs[0][offset]), offset), offset
        ):
            engine.take(batch)
        held.append((offset, live(logs[1][offset])))
    later_ms = engine.situate.together.slots.over_ms
    assert later_ms == judged_ms + 10 * STEP_MS
    for offset, frame in held:  # now it does: what is over stays over
        for _, batch in engine.detects[1].batches(engine.detects[1].observer.observe(frame, offset), offset):
            engine.take(batch)
    assert engine.situate.together.slots.over_ms == later_ms
