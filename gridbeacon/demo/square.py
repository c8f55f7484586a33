"""Made: a square on New Year's Eve, where a crush builds up over 20 minutes, is warned about, and clears.

Six cameras and two traffic loops report every minute, people report what they see. Every name begins with MADE.
"""

import random
from collections.abc import Iterator
from typing import Any

import msgspec

from gridbeacon.model import Cell, Sensor
from gridbeacon.timeline import Line, rfc3339
from gridbeacon.vocabulary import Kind

AREA = "999901"
NORTH, SOUTH = f"{AREA}001001001", f"{AREA}001001002"
AREA_M2 = 500.0
MINUTE_MS = 60_000
BUILD_UP, HOLD, DRAIN = 20, 6, 14
"""Minutes that the crush takes to build up, stands, and takes to dissolve once people are led away."""
PEAK_PER_M2 = 5.4
USUAL_PER_M2 = 0.9
PRESSED = (0, 1)
"""The cameras before which it happens; the others see half of it or nothing."""


def sensors() -> tuple[Sensor, ...]:
    """Return the cameras and loops of the square."""
    cameras = [
        Sensor(
            sensor_id=f"MADE-CAM-{n}",
            kind=Kind.CROWD,
            grid_id=NORTH if n <= 3 else SOUTH,
            area_m2=AREA_M2,
            width_m=8.0,
        )
        for n in range(1, 7)
    ]
    loops = [Sensor(sensor_id=f"MADE-LOOP-{n}", kind=Kind.TRAFFIC, grid_id=SOUTH) for n in (1, 2)]
    return (*cameras, *loops)


def cells() -> tuple[Cell, ...]:
    """Return the two cells of the square."""
    return (
        Cell(grid_id=NORTH, name="Made Square, north", neighbours=(SOUTH,)),
        Cell(grid_id=SOUTH, name="Made Square, south", neighbours=(NORTH,)),
    )


def lines(begin_ms: int, end_ms: int, crush_ms: int) -> Iterator[Line]:
    """Yield records of the square from ``begin_ms`` until ``end_ms``; the crush begins to build up at ``crush_ms``."""
    rng = random.Random(31)
    reports = {13: "crowding", 16: "crush", 18: "crowding", 19: "crush"}
    for time_ms in range(begin_ms, end_ms, MINUTE_MS):
        minute = (time_ms - crush_ms) // MINUTE_MS
        for n in range(6):
            yield _camera(n, time_ms, minute, rng)
        for n in (1, 2):
            count = max(0, round(rng.gauss(9, 2)) - (4 if 5 <= minute <= 40 else 0))
            loop = {"id": f"MADE-LOOP-{n}", "type": "TrafficFlowObserved", "intensity": count}
            yield _line("traffic.counts", f"MADE-LOOP-{n}", time_ms, {**loop, "dateObserved": rfc3339(time_ms)})
        if minute in reports:
            code = reports[minute]
            report = {
                "service_request_id": f"MADE-{minute}",
                "service_code": code,
                "service_name": "Made report: people are pressed together"
                if code == "crush"
                else "Made report: crowding",
                "requested_datetime": rfc3339(time_ms),
                "grid_id": NORTH,
                "reporter_role": "grid_worker" if minute == 19 else "citizen_app",
                "verification": "verified" if minute == 19 else "unverified",
            }
            yield _line("grid.events", NORTH, time_ms, report)


def _camera(n: int, time_ms: int, minute: int, rng: random.Random) -> Line:
    share = 1.0 if n in PRESSED else 0.35 if n < 4 else 0.0
    pressed = max(0.0, min(1.0, minute / BUILD_UP, (BUILD_UP + HOLD + DRAIN - minute) / DRAIN)) * share
    density = max(0.0, USUAL_PER_M2 + pressed * (PEAK_PER_M2 - USUAL_PER_M2) + rng.gauss(0, 0.03))
    # People come in while it builds up and go when it drains; the tighter they stand, the less they move.
    per_minute = share * (PEAK_PER_M2 - USUAL_PER_M2) * AREA_M2
    coming = per_minute / BUILD_UP if 0 <= minute < BUILD_UP else 0.0
    going = per_minute / DRAIN if BUILD_UP + HOLD <= minute < BUILD_UP + HOLD + DRAIN else 0.0
    record = {
        "id": f"MADE-CAM-{n + 1}",
        "type": "CrowdFlowObserved",
        "dateObserved": rfc3339(time_ms),
        "peopleCount": round(density * AREA_M2),
        "peopleCountTowards": round(coming + 40 + rng.uniform(0, 4)),
        "peopleCountAway": round(going + 40 + rng.uniform(0, 4)),
        "density_max_per_m2": round(density * (1.05 if pressed else 1.0), 2),
        "flow_per_m_min": round(max(3.0, 42 * (1 - 0.9 * pressed) + rng.gauss(0, 1)), 1),
        "count_confidence": 0.92,
        "coverage": 0.97,
    }
    return _line("crowd.metrics", f"MADE-CAM-{n + 1}", time_ms, record)


def _line(topic: str, key: str, time_ms: int, record: dict[str, Any]) -> Line:
    return Line(time_ms, topic, key, msgspec.json.encode(record))
