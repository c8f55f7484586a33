"""Time lines of cells: crowd and traffic that are each as usual, and odd together, from frames to alerts."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from gridbeacon.config import AlarmBudget, Config, Detect, Topics
from gridbeacon.config_forecast import Forecast
from gridbeacon.model import Sensor, Transition
from gridbeacon.reasons import State
from gridbeacon.vocabulary import Kind
from tests.city import BEGIN_MS, PER_DAY, STEP_MS, Engine, play

DAYS, CELLS, ODD_CELL = 7, 12, 3
SENSORS = tuple(
    Sensor(sensor_id=f"{kind}{n:02d}", kind=kind, grid_id=f"310101001001{n:03d}", interval_secs=300)
    for n in range(CELLS)
    for kind in (Kind.CROWD, Kind.TRAFFIC)
)
ODD = range(6 * PER_DAY + 15 * 12, 6 * PER_DAY + 15 * 12 + 18)
"""The seventh day, from 15:00, for an hour and a half."""


def values(by: float) -> Any:
    """Return what is counted, [steps, sensors]: in each cell the crowd and the traffic swell and ebb together, but when
    it is odd there are ``by`` deviations more people in one cell, and as many fewer cars."""
    random = np.random.default_rng(5)
    steps, along = DAYS * PER_DAY, 1 - np.exp(-1 / 6)
    usual = 200 + 120 * np.sin((np.arange(steps) % PER_DAY / 12 - 8) / 24 * 2 * np.pi)
    shared = np.zeros((steps, CELLS))
    for step in range(1, steps):
        fresh = random.standard_normal(CELLS) * np.sqrt(1 - (1 - along) ** 2)
        shared[step] = shared[step - 1] * (1 - along) + fresh
    own = 0.35 * random.standard_normal((steps, len(SENSORS)))
    moved = np.repeat(shared, 2, axis=1)
    if by:
        moved[ODD, 2 * ODD_CELL], moved[ODD, 2 * ODD_CELL + 1] = by, -by
    return np.round(np.maximum(usual[:, None] * (1 + 0.2 * (moved + own)), 0))


def run(by: float, partitions: int = 1, tear_at: Iterable[int] = ()) -> tuple[Engine, list[Transition]]:
    """Return the engine after all steps, and the transitions of alerts."""
    config = Config(
        clock="event",
        forecast=Forecast(enabled=False),
        topics=Topics(observations_partitions=partitions, signals_partitions=1),
        detect=Detect(warm_up_days=3),
        alarm_budget=AlarmBudget(per_week=2),
    )
    return play(config, SENSORS, values(by), tear_at=tear_at)


def opened(found: Iterable[Transition]) -> list[tuple[str, str, str]]:
    """Return (cell, level, series) of the alerts that were opened while it was odd."""
    return [
        (t.alert.cell, t.alert.level.word, t.alert.evidence[0].series)
        for t in found
        if t.event.event == "opened" and (t.alert.opened_ms - BEGIN_MS) // STEP_MS in ODD
    ]


@pytest.fixture(scope="module")
def odd() -> tuple[Engine, list[Transition]]:
    """More people and fewer cars, neither of them unusual by itself."""
    return run(2.0)


def test_what_no_series_tells_is_one_finding_of_the_cell(odd: tuple[Engine, list[Transition]]) -> None:
    engine, found = odd
    cell = SENSORS[2 * ODD_CELL].grid_id
    assert opened(found) == [(cell, "yellow", f"cell/{cell}/joint")]
    single = [s for s in engine.signals if (s.time_ms - BEGIN_MS) // STEP_MS in ODD and s.cell == cell and s.score]
    assert [s.score for s in single if (s.score or 0) >= 1.0] == []
    (evidence,) = (t.alert.evidence[0] for t in found if t.alert.cell == cell and t.event.event == "opened")
    assert evidence.reason == "joint_departure"
    assert "crowd +" in evidence.text
    assert "traffic -" in evidence.text
    assert evidence.budget is not None
    assert evidence.budget.told


def test_the_same_deviations_together_in_their_usual_way_are_no_finding() -> None:
    _, found = run(0.0)
    assert opened(found) == []


def test_it_says_that_it_is_warming_up_until_it_knows_the_cell(odd: tuple[Engine, list[Transition]]) -> None:
    cells = odd[0].situate.together.cells
    name = SENSORS[0].grid_id
    assert cells.state_of(name, BEGIN_MS + DAYS * PER_DAY * STEP_MS) is State.NORMAL
    assert cells.state_of("310101001001999", BEGIN_MS) is State.WARMING_UP
    assert Engine(odd[0].config).situate.together.cells.state_of(name, BEGIN_MS) is State.WARMING_UP


def test_two_partitions_and_interruptions_change_nothing(odd: tuple[Engine, list[Transition]]) -> None:
    _, found = run(2.0, partitions=2, tear_at={5, 900, 1300, ODD.start + 2, ODD.start + 5, ODD.stop + 1})
    assert [seen(t) for t in found] == [seen(t) for t in odd[1]]


def seen(one: Transition) -> tuple[Any, ...]:
    """Return what people see of a transition."""
    evidence = [(e.series, e.reason, e.since_ms, e.value, e.text.partition(";")[0]) for e in one.alert.evidence]
    return one.alert.alert_id, one.event.event, one.event.at_ms, one.alert.level, evidence
