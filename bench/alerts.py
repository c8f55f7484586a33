"""Signals a second through situate, an outage, notices of a storm beside a plain rule per sensor, and event to webhook.

    python -m bench.alerts [--quick] [--signals 200000] [--no-way]

Situate: one process, one core, the machine that the role runs, JSON both ways: 10,000 cells in a hundred streets, 2,000
open alerts over three cells each, four sensors a cell. Each signal is a level of one sensor that begins, changes or
ends, 250 a message, 20,000 a second of event time; a checkpoint is taken every two of them.

Outage: a network fails, and 10,000 sensors of one street go quiet one after another; then they are back, and two
minutes later all of it is over. That is one situation, and what one more sensor costs must not grow with it.

Storm: forty cells of one street, eight by five, a camera in each, for two hours: people shelter, and the density goes
up and down about the yellow limit. A plain set-up sends a notice for each crossing of each sensor. Measured through
detect and situate, as they are configured by default.

Way: as ``bench.latency`` at 5,000 observations a second, all roles with Kafka and ClickHouse.
"""

import argparse
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from bench import latency
from bench.line import broker
from detectors.observer import Observer
from gridbeacon.assessor import Assessor
from gridbeacon.config import Config, Topics
from gridbeacon.frame import Frame, Rows
from gridbeacon.model import Position, Sensor, Signal, SignalBatch, Tick
from gridbeacon.reasons import Level, Reason
from gridbeacon.vocabulary import METRIC_NUMBER, Kind
from streams.situate import SituateMachine

BEGIN_MS = 1_767_225_600_000
ONE = Topics(observations_partitions=1, signals_partitions=1)
STREETS, LENGTH, APART = 100, 100, 5
BATCH = 250
RATE = 20_000
DENSITY = METRIC_NUMBER[Kind.CROWD, "density_max_per_m2"]
YELLOW = 3.0


def code(street: int, number: int) -> str:
    """Return the code of a cell."""
    return f"310101{street + 1:03d}{number // 10 + 1:03d}{number + 1:03d}"


def signal(street: int, number: int, sensor: int, level: Level, time_ms: int, offset: int) -> Signal:
    """Return one finding."""
    near = tuple(code(street, n) for n in (number - 1, number + 1) if 0 <= n < LENGTH)
    series = f"crowd/CAM-{street}-{number}-{sensor}/density_max_per_m2"
    return Signal(
        cell=code(street, number),
        layer="limit",
        series=series,
        reason=Reason.DENSITY,
        level=level,
        time_ms=time_ms,
        lineage=Position("crowd.metrics", 0, offset),
        kind=Kind.CROWD,
        value=2.0 + level,
        threshold=1.5 + level,
        near=near,
        text=f"{series}: {2.0 + level:.2f} people/m², limit {1.5 + level:g}",
    )


def messages(signals: int) -> tuple[list[bytes], list[bytes]]:
    """Return the messages that open 2,000 alerts, and those that are measured."""
    dice = np.random.default_rng(7)
    places = [(street, first + n) for street in range(STREETS) for first in range(1, LENGTH, APART) for n in range(3)]
    found = [(street, number, 0, Level.YELLOW) for street, number in places]
    # In each place one camera stands at yellow; one signal in fifty raises it to orange, for a while.
    levels = [Level.NONE] * 20 + [Level.BLUE] * 20 + [Level.YELLOW] * 9 + [Level.ORANGE]
    which = dice.integers(0, len(places), signals).tolist()
    sensors = dice.integers(1, 4, signals).tolist()
    picked = dice.integers(0, len(levels), signals).tolist()
    found += [(*places[w], s, levels[p]) for w, s, p in zip(which, sensors, picked, strict=True)]
    raw = []
    for number, at in enumerate(range(0, len(found), BATCH)):
        time_ms = BEGIN_MS + number * BATCH * 1000 // RATE
        batch = SignalBatch(
            partition=0,
            offset=number,
            previous=number - 1,
            signals=tuple(signal(*one, time_ms, at + n) for n, one in enumerate(found[at : at + BATCH])),
            tick=Tick("observations/0", time_ms),
        )
        raw.append(msgspec.json.encode(batch))
    first = -(-len(places) // BATCH)
    return raw[:first], raw[first:]


def situate(signals: int) -> None:
    """Print how many signals a second pass."""
    machine = SituateMachine(Config(topics=ONE), 0)
    opening, measured = messages(signals)
    for offset, value in enumerate(opening):
        machine.apply(offset, value)
    machine.changed()
    open_before = len(machine.assessor.open_alerts)
    outputs = size = 0
    began = time.process_time()
    for offset, value in enumerate(measured, len(opening)):
        out = machine.apply(offset, value)
        outputs += len(out)
        size += sum(len(one.value) for one in out)
        if offset % (2 * RATE // BATCH) == 0:
            machine.changed()
    secs = time.process_time() - began
    count = len(measured) * BATCH
    print("| open alerts | signals | signals/s | messages out | MB out |\n| --- | --- | --- | --- | --- |")
    print(f"| {open_before:,} | {count:,} | {count / secs:,.0f} | {outputs:,} | {size / 1e6:.0f} |", flush=True)


def outage(sensors: int = 10_000, together: int = 30) -> None:
    """Print how long each third of an outage takes."""
    machine = SituateMachine(Config(clock="arrival", topics=ONE), 0)
    offset, time_ms = -1, BEGIN_MS

    def say(signals: tuple[Signal, ...]) -> float:
        nonlocal offset, time_ms
        offset, time_ms = offset + 1, time_ms + 10
        tick = Tick("observations/0", time_ms)
        batch = SignalBatch(partition=0, offset=offset, previous=offset - 1, signals=signals, tick=tick)
        raw = msgspec.json.encode(batch)
        began = time.process_time()
        machine.apply(offset, raw)
        return time.process_time() - began

    def turn(number: int, level: Level) -> Signal:
        return Signal(
            cell=f"310101001001{number:06d}",
            layer="quality",
            series=f"crowd/CAM-{number}",
            reason=Reason.GONE_QUIET,
            level=level,
            time_ms=time_ms,
            lineage=Position("crowd.metrics", 0, number),
            kind=Kind.CROWD,
            text=f"crowd/CAM-{number}: nothing heard for 30 s (it reports every 10 s)",
        )

    print("| part of the outage | signals | ms a signal, mean | ms a message, worst |\n| --- | --- | --- | --- |")
    for name, level in (("they go quiet", Level.BLUE), ("they are back", Level.NONE)):
        spent = [
            say(tuple(turn(number, level) for number in range(first, min(first + together, sensors))))
            for first in range(0, sensors, together)
        ]
        print(f"| {name} | {sensors:,} | {1000 * sum(spent) / sensors:.3f} | {1000 * max(spent):.1f} |")
    spent = [say(()) for _ in range(15_000)]
    assert not machine.assessor.open_alerts
    print(f"| it is over | {sensors:,} | {1000 * sum(spent) / sensors:.3f} | {1000 * max(spent):.1f} |", flush=True)


def storm(minutes: int) -> None:
    """Print the notices of a storm, ours and those of a rule per sensor."""
    config = Config(clock="arrival", topics=ONE)
    across, down = 8, 5
    cells = [f"310102001{n // 10 + 1:03d}{n + 1:03d}" for n in range(across * down)]

    def near(n: int) -> tuple[str, ...]:
        x, y = n % across, n // across
        around = [(x + a, y + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
        return tuple(cells[b * across + a] for a, b in around if 0 <= a < across and 0 <= b < down)

    sensors = tuple(
        Sensor(sensor_id=f"CAM-{n}", kind=Kind.CROWD, grid_id=cell, interval_secs=10.0, near=near(n))
        for n, cell in enumerate(cells)
    )
    names = tuple(one.sensor_id for one in sensors)
    observer, assessor = Observer(config, 0), Assessor(config, 0)
    dice = np.random.default_rng(11)
    n = len(cells)
    starts = dice.integers(0, 18, n)
    swing = np.zeros(n)
    above = np.zeros(n, bool)
    plain, plain_held = 0, 0
    notices, alerts = [], set()
    previous = -1
    steps = minutes * 6
    for step in range(steps):
        time_ms = BEGIN_MS + step * 10_000
        swing += dice.normal(0.0, 0.12, n) - 0.08 * swing
        rain = np.clip((step - 60 - starts) / 30, 0, 1) * np.clip((steps - 90 - step + starts) / 30, 0, 1)
        density = np.maximum(0.6 + rain * (2.5 + swing), 0.0)
        crossed = (density >= YELLOW) & ~above
        plain += int(crossed.sum())
        above = density >= YELLOW
        rows = Rows(
            sources=names,
            topics=("crowd.metrics",),
            source=np.arange(n, dtype=np.int32),
            metric=np.full(n, DENSITY, np.uint8),
            observed_ms=np.full(n, time_ms, np.int64),
            value=density,
            coverage=np.full(n, np.nan, np.float32),
            confidence=np.full(n, np.nan, np.float32),
            surface=np.zeros(n, np.uint8),
            motion=np.zeros(n, np.uint8),
            topic=np.zeros(n, np.uint8),
            partition=np.zeros(n, np.int32),
            offset=np.full(n, step, np.int64),
            index=np.arange(n, dtype=np.int32),
        )
        frame = Frame(time_ms, rows, sensors if not step else (), ticks=(Tick("ingest", time_ms),))
        observed = observer.observe(frame, step)
        plain_held += sum(s.layer == "limit" and s.level >= Level.YELLOW for s in observed.signals)
        batch = SignalBatch(
            partition=0,
            offset=step,
            previous=previous,
            signals=observed.signals,
            tick=observed.tick,
            born=observed.born,
        )
        previous = step
        for one in assessor.assess(batch, step):
            if one.alert is not None and one.alert.rule == "safety":
                alerts.add(one.alert.alert_id)
                notices += [one.notice] if one.notice is not None else []
    print("| set-up | notices |\n| --- | --- |")
    print(f"| a notice for each crossing of each sensor | {plain:,} |")
    print(f"| the same, held for a minute and with hysteresis | {plain_held:,} |")
    print(
        f"| Gridbeacon, {len(alerts)} alerts | {len(notices)}: {', '.join(one.type for one in notices)} |", flush=True
    )


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=200_000, help="signals that are measured")
    parser.add_argument("--quick", action="store_true", help="a tenth of the signals, and no way to the webhook")
    parser.add_argument("--no-way", action="store_true", help="leave out Kafka and ClickHouse")
    options = parser.parse_args()
    situate(options.signals // 10 if options.quick else options.signals)
    print()
    outage()
    print()
    storm(120)
    if options.quick or options.no_way:
        return
    print("\n| observations/s | way | alerts | p50 ms | p99 ms | worst ms |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="gridbeacon-bench-") as folder, broker(Path(folder)) as node:
        print("\n".join(latency.measure(node, Path(folder), 5000, 60.0)), flush=True)


if __name__ == "__main__":
    main()
