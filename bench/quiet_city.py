"""A city of 5,000 quiet series under a budget of 20 alarms a week: how many are told, and are bursts still found?

    python -m bench.quiet_city [--series 5000] [--trees] [--quick]

The engine itself, from frames to alerts: observe, triage and advance over five-minute values of the ten families of
``bench.quiet`` for 60 days, five series to a cell, 25 cells to a community, five communities to a street; cells lie in
a row and have two neighbours each. First all is quiet: alarms per week after the third week. Then the same city with
half as many bursts a week as the budget has (two hours at three times the values), each in two series of one cell: how
many of these are told, and how many other alarms there are.
"""

import argparse
import time

import numpy as np

from bench.quiet import BEGIN_MS, BURST, DAYS, FAMILIES, LATE, PER_DAY
from gridbeacon.config import AlarmBudget, Config, Detect, Topics
from gridbeacon.config_forecast import Forecast
from gridbeacon.frame import F4, Frame, Rows
from gridbeacon.lifecycle import Event
from gridbeacon.model import Sensor, Tick
from gridbeacon.vocabulary import METRIC_NUMBER, Kind
from streams.detect import DetectMachine
from streams.situate import SituateMachine

STEP_MS, WEEK = 300_000, 7 * PER_DAY
PER_CELL, FIRST_WEEK = 5, 3
KINDS = (Kind.CROWD, Kind.TRAFFIC)
METRICS = (METRIC_NUMBER[Kind.CROWD, "people_count"], METRIC_NUMBER[Kind.TRAFFIC, "intensity_per_h"])
Burst = tuple[int, int, int]
Told = tuple[int, tuple[str, ...]]
"""When an alert was opened, and its cells."""
CODE, COUNTY = 15, "310101"
COMMUNITY, STREET = 25, 125
"""Cells of a community and of a street."""


def cell_of(number: int) -> str:
    """Return the cell of a series.

    >>> cell_of(0), cell_of(4_999)
    ('310101001001001', '310101008005025')
    """
    n = number // PER_CELL
    return f"{COUNTY}{n // STREET + 1:03d}{n % STREET // COMMUNITY + 1:03d}{n % COMMUNITY + 1:03d}"


def place_of(code: str) -> int:
    """Return the place of a cell in the row, and of an area a number of its own, below 0.

    >>> place_of(cell_of(4_999)), place_of("310101001")
    (999, -310101001)
    """
    if len(code) != CODE:
        return -int(code)
    street, community, cell = (int(code[at : at + 3]) - 1 for at in (6, 9, 12))
    return street * STREET + community * COMMUNITY + cell


def sensors(count: int) -> tuple[Sensor, ...]:
    """Return one sensor per series, of both kinds in turn."""
    found = []
    for n in range(count):
        near = tuple(cell_of(m) for m in (n - PER_CELL, n + PER_CELL) if 0 <= m < count)
        found.append(Sensor(sensor_id=f"S{n}", kind=KINDS[n % 2], grid_id=cell_of(n), interval_secs=300, near=near))
    return tuple(found)


def bursts(count: int, per_week: float, seed: int) -> list[Burst]:
    """Return (first step, series, series) of each burst: two series of one cell."""
    random = np.random.default_rng([seed, 7])
    found = []
    for start in range(FIRST_WEEK * WEEK, (DAYS - 1) * PER_DAY, round(WEEK / per_week)):
        a, b = random.choice(PER_CELL, 2, replace=False) + int(random.integers(count // PER_CELL)) * PER_CELL
        found.append((start + int(random.integers(PER_DAY // 4)), int(a), int(b)))
    return found


def values(count: int, put: list[Burst], seed: int) -> F4:
    """Return the values of all series, [steps, series]; the families take turns in pairs."""
    factors: dict[int, list[int]] = {}
    for start, *both in put:
        for n in both:
            factors.setdefault(n, []).append(start)
    whole = np.empty((DAYS * PER_DAY, count), np.float32)
    made = list(FAMILIES.values())
    for n in range(count):
        times = np.ones(DAYS * PER_DAY)
        for start in factors.get(n, ()):
            times[start : start + BURST] = 3.0
        whole[:, n] = np.maximum(made[n // 2 % len(made)](np.random.default_rng([seed, n]), times), 0)
    return whole


def told(count: int, put: list[Burst], seed: int, per_week: float, *, trees: bool) -> list[Told]:
    """Return what the engine tells: areas and cells as a whole, too."""
    one = Topics(observations_partitions=1, signals_partitions=1, source_partitions=1)
    alone = Forecast(enabled=False)  # nobody writes what situate would wait for
    config = Config(
        clock="event",
        alarm_budget=AlarmBudget(per_week=per_week),
        topics=one,
        forecast=alone,
        detect=Detect(cell_trees=trees),
    )
    machine, situate = DetectMachine(config, 0), SituateMachine(config, 0)
    whole, of = values(count, put, seed), np.arange(count)
    names = tuple(f"S{n}" for n in range(count))
    nothing, none = np.full(count, np.nan, np.float32), np.zeros(count, np.uint8)
    found: list[Told] = []
    batches = 0
    for step in range(len(whole)):
        now_ms = BEGIN_MS + step * STEP_MS
        rows = Rows(
            sources=names,
            topics=("crowd.metrics",),
            source=of.astype(np.int32),
            metric=np.array(METRICS, np.uint8)[of % 2],
            observed_ms=np.full(count, now_ms),
            value=whole[step].astype(float),
            coverage=nothing,
            confidence=nothing,
            surface=none,
            motion=none,
            topic=none,
            partition=np.zeros(count, np.int32),
            offset=np.full(count, step),
            index=of.astype(np.int32),
        )
        defined = sensors(count) if step == 0 else ()
        observed = machine.observer.observe(Frame(now_ms, rows, defined, ticks=(Tick("made/0", now_ms, 1),)), step)
        for _, batch in machine.batches(observed, step):
            found += [
                (step, one.alert.cells or (one.alert.cell,))
                for one in situate.assess(batch, batches)
                if one.event.event == Event.OPENED and one.alert is not None and one.alert.rule == "safety"
            ]
            batches += 1
    return found


def situations(found: list[Told]) -> list[Told]:
    """Return the first alert of each situation: what opens in its cells or next to them within two hours belongs to
    it; of areas, what opens in the same one."""
    first: list[Told] = []
    last: list[tuple[int, set[int]]] = []
    for step, cells in found:
        places = {place_of(cell) for cell in cells}
        around = places | {p + by for p in places if p >= 0 for by in (-1, 1)}
        if not any(step - s <= LATE and around & others for s, others in last):
            first.append((step, cells))
        last = [(s, p) for s, p in last if step - s <= LATE] + [(step, places)]
    return first


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.quiet_city", description=__doc__)
    parser.add_argument("--series", type=int, default=5000)
    parser.add_argument("--budget", type=float, default=20.0, help="alarms a week")
    parser.add_argument("--trees", action="store_true", help="with the trees of cells, which take longer than all else")
    parser.add_argument("--quick", action="store_true", help="250 series, budget 4")
    options = parser.parse_args()
    count, budget = (250, 4.0) if options.quick else (options.series, options.budget)
    weeks = DAYS / 7 - FIRST_WEEK
    begun = time.perf_counter()
    quiet = situations(told(count, [], 0, budget, trees=options.trees))
    print(f"{count} series, {DAYS} days, budget {budget:g} a week; {time.perf_counter() - begun:.0f} s\n")
    by_week = np.bincount([step // WEEK for step, _ in quiet], minlength=DAYS // 7)[: DAYS // 7]
    late = [step for step, _ in quiet if step >= FIRST_WEEK * WEEK]
    print(f"quiet: {len(late) / weeks:.1f} alarms a week after week {FIRST_WEEK}; by week {by_week.tolist()}")
    put = bursts(count, budget / 2, 0)
    found = situations(told(count, put, 0, budget, trees=options.trees))
    hits = [any(0 <= step - start <= LATE and cell_of(a) in cells for step, cells in found) for start, a, _ in put]
    late = [step for step, _ in found if step >= FIRST_WEEK * WEEK]
    print(
        f"with {len(put)} bursts in two series each: {np.mean(hits):.3f} of them told; "
        f"{(len(late) - sum(hits)) / weeks:.1f} other alarms a week, {len(late) / weeks:.1f} in all"
    )


if __name__ == "__main__":
    main()
