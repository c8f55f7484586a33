"""Warnings before crossings, over recorded counts: Auckland's pedestrians, each street with a capacity.

    python -m bench.forecast_warnings [--days 60] [--from 30] [--quantile 0.995] [--step 60]

The same core as the engine's goes over the hourly counts of the demonstration, fits every series anew each night from
what was counted until then, and foresees which shares of each capacity will be passed. A capacity is a high quantile
of the street's counts, so that its limits are passed now and then. Counted from day ``--from`` on.
"""

import argparse
import time
from collections import defaultdict

import msgspec
import numpy as np

from gridbeacon.config import Config
from gridbeacon.config_forecast import Forecast
from gridbeacon.crossings import Crossing, Told
from gridbeacon.demo import auckland
from gridbeacon.model import Verdict
from gridbeacon.reasons import CrossingOutcome, Level
from gridbeacon.registry import Registry
from gridbeacon.timeline import ticked
from streams.backtest import backtest

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def main() -> None:
    """Run it and print a table by level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--from", dest="begin", type=int, default=30)
    parser.add_argument("--quantile", type=float, default=0.995)
    parser.add_argument("--step", type=int, default=60, help="minutes of a slot; the counts are hourly")
    options = parser.parse_args()
    lines = list(auckland.lines())
    first_ms = lines[0].time_ms
    counts = defaultdict(list)
    for line in lines:
        counts[line.key].append(msgspec.json.decode(line.raw)["peopleCount"])
    room = {name: max(float(np.quantile(found, options.quantile)), 50.0) for name, found in counts.items()}
    sensors = {s.sensor_id: msgspec.structs.replace(s, capacity=room[s.sensor_id]) for s in auckland.sensors()}
    registry = Registry(sensors, {cell.grid_id: cell for cell in auckland.cells()})
    leads = tuple(minutes for minutes in (60, 120, 240, 720, 1440))
    section = Forecast(step_minutes=options.step, leads_minutes=leads)
    config = Config(clock="event", timezone=auckland.TIMEZONE, forecast=section)
    from_ms = first_ms + options.begin * DAY_MS
    held: dict[str, Crossing] = {}
    passed: dict[Level, int] = defaultdict(int)
    before: dict[tuple[str, Level], bool] = {}
    started = time.perf_counter()
    part = [line for line in lines if line.time_ms < first_ms + options.days * DAY_MS]
    for found in backtest(config, registry, ticked(part, HOUR_MS), time.time_ns() // 1_000_000, forecast=True):
        if isinstance(found, Told) and found.crossing.made_ms >= from_ms:
            held[found.crossing.crossing_id] = found.crossing
        elif isinstance(found, Verdict) and found.observed_ms >= from_ms and found.series.endswith("/people_count"):
            limits = room[found.series.split("/", 1)[1].rpartition("/")[0]] * np.array(config.limits.capacity_shares)
            for level, limit in zip((Level.BLUE, Level.YELLOW, Level.ORANGE), limits, strict=True):
                key, over = (found.series, level), found.value >= limit
                passed[level] += over and not before.get(key, False)
                before[key] = over
    secs = time.perf_counter() - started
    weeks = (options.days - options.begin) / 7
    print(f"{len(part):,} counts of {len(sensors)} streets over {options.days} days in {secs:.0f} s")
    print(f"counted over {weeks:.1f} weeks\n")
    print("| limit | passed | foreseen | as a warning | lead, median | 10 % | withdrawn, of them warnings |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for level in (Level.BLUE, Level.YELLOW, Level.ORANGE):
        mine = [one for one in held.values() if one.level is level]
        true = [one for one in mine if one.outcome is CrossingOutcome.CAME_TRUE]
        leads_h = [one.lead_ms / HOUR_MS for one in true if one.lead_ms is not None]
        warned = sum(one.warning_lead_ms is not None for one in true)
        gone = [one for one in mine if one.outcome is CrossingOutcome.WITHDRAWN]
        middle, low = np.quantile(leads_h, (0.5, 0.1)) if leads_h else (float("nan"), float("nan"))
        print(
            f"| {level.word} | {passed[level]} | {len(true)} | {warned} | {middle:.1f} h | {low:.1f} h | "
            f"{len(gone)}, {sum(one.warned_ms is not None for one in gone)} |"
        )


if __name__ == "__main__":
    main()
