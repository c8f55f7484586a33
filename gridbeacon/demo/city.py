"""A made city: deterministic records in wire format, with incidents whose truth is known. Nothing here is real.

Crowd cameras and traffic loops report every minute; incidents fill a camera's zone in a quarter of an hour, hold, and
empty again; some sensors fall silent for a while; citizens report. Used to test, to measure and to disturb the engine.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gridbeacon.model import Cell, Sensor
from gridbeacon.reasons import Level
from gridbeacon.timeline import rfc3339
from gridbeacon.vocabulary import Kind

DISTRICTS = ("310101", "310104", "310105", "310106")
PEAKS = ((Level.BLUE, 2.5), (Level.YELLOW, 3.5), (Level.ORANGE, 4.5), (Level.RED, 5.6))
RISE_SECS, HOLD_SECS = 900, 600
USUAL_PER_M2 = 0.5
AREA_M2 = 400.0


@dataclass(frozen=True, slots=True)
class Incident:
    """A crowd that builds up before one camera; ``level`` is what the peak density amounts to."""

    sensor_id: str
    cell: str
    level: Level
    start_ms: int
    peak_per_m2: float

    def density_at(self, time_ms: int) -> float:
        """Return people/m² that the incident adds at a time: a ramp up, a plateau, a ramp down, else 0."""
        secs = (time_ms - self.start_ms) / 1000
        end = 2 * RISE_SECS + HOLD_SECS
        share = max(0.0, min(1.0, secs / RISE_SECS, (end - secs) / RISE_SECS))
        return share * (self.peak_per_m2 - USUAL_PER_M2)


@dataclass(frozen=True, slots=True)
class City:
    """The places and the truth of a made city. ``silent`` maps a sensor to the span (from, to) of its outage."""

    start_ms: int
    end_ms: int
    sensors: tuple[Sensor, ...]
    cells: tuple[Cell, ...]
    incidents: tuple[Incident, ...]
    silent: dict[str, tuple[int, int]]


def make_city(*, sensors: int, minutes: int, start_ms: int, incidents: int = 12, seed: int = 7) -> City:
    """Return a city of ``sensors`` (two thirds cameras) over ``minutes``; equal for equal arguments."""
    rng = random.Random(seed)
    end_ms = start_ms + minutes * 60_000
    cells = [
        Cell(grid_id=f"{DISTRICTS[n % len(DISTRICTS)]}001002{n:03d}", name=f"Made cell {n}")
        for n in range(max(4, min(999, sensors // 10)))
    ]
    placed = []
    for n in range(sensors):
        kind = Kind.TRAFFIC if n % 3 == 2 else Kind.CROWD
        placed.append(
            Sensor(
                sensor_id=f"{'LOOP' if kind is Kind.TRAFFIC else 'CAM'}-{n:05d}",
                kind=kind,
                grid_id=cells[n % len(cells)].grid_id,
                area_m2=AREA_M2 if kind is Kind.CROWD else None,
                width_m=6.0 if kind is Kind.CROWD else None,
                interval_secs=60.0,
            )
        )
    cameras = [s for s in placed if s.kind is Kind.CROWD]
    chosen = rng.sample(cameras, min(incidents, len(cameras) // 2))
    latest = max(1, minutes - (2 * RISE_SECS + HOLD_SECS) // 60 - 10)
    happening = []
    for n, camera in enumerate(chosen):
        level, peak = PEAKS[n % len(PEAKS)]
        begin = start_ms + rng.randrange(latest) * 60_000
        happening.append(Incident(camera.sensor_id, camera.grid_id, level, begin, peak))
    silent = {}
    busy = {incident.sensor_id for incident in happening}
    for sensor in rng.sample([s for s in placed if s.sensor_id not in busy], max(1, sensors // 100)):
        begin = start_ms + rng.randrange(5, max(6, minutes // 2)) * 60_000
        silent[sensor.sensor_id] = (begin, begin + 600_000)
    return City(start_ms, end_ms, tuple(placed), tuple(cells), tuple(happening), silent)


def records(city: City, seed: int = 7) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (event time in ms, topic, record) in order of event time."""
    rng = random.Random(seed + 1)
    incidents = {incident.sensor_id: incident for incident in city.incidents}
    by_phase = sorted(
        ((n * 60_000 // len(city.sensors) // 100 * 100, n) for n in range(len(city.sensors))), key=lambda pair: pair
    )
    serial = 0
    for minute_ms in range(city.start_ms, city.end_ms, 60_000):
        for phase_ms, n in by_phase:
            sensor, time_ms = city.sensors[n], minute_ms + phase_ms
            quiet_from, quiet_to = city.silent.get(sensor.sensor_id, (0, 0))
            if quiet_from <= time_ms < quiet_to:
                continue
            if sensor.kind is Kind.TRAFFIC:
                yield time_ms, "traffic.counts", _loop(sensor, time_ms, rng)
            else:
                yield time_ms, "crowd.metrics", _camera(sensor, time_ms, incidents.get(sensor.sensor_id), rng)
            if rng.random() < 1e-3:
                serial += 1
                yield time_ms, "grid.events", _report(sensor, time_ms, serial, rng)


def _camera(sensor: Sensor, time_ms: int, incident: Incident | None, rng: random.Random) -> dict[str, Any]:
    added = incident.density_at(time_ms) if incident is not None else 0.0
    density = max(0.0, USUAL_PER_M2 + added + rng.gauss(0, 0.05))
    return {
        "id": sensor.sensor_id,
        "type": "CrowdFlowObserved",
        "dateObserved": rfc3339(time_ms),
        "peopleCount": round(density * AREA_M2),
        "density_max_per_m2": round(density, 3),
        "flow_per_m_min": round(max(0.0, 30 + rng.gauss(0, 3)), 1),
    }


def _loop(sensor: Sensor, time_ms: int, rng: random.Random) -> dict[str, Any]:
    return {
        "id": sensor.sensor_id,
        "type": "TrafficFlowObserved",
        "dateObserved": rfc3339(time_ms),
        "intensity": max(0, round(rng.gauss(12, 3))),
        "averageVehicleSpeed": round(max(1.0, rng.gauss(45, 5)), 1),
    }


def _report(sensor: Sensor, time_ms: int, serial: int, rng: random.Random) -> dict[str, Any]:
    code = "crush" if rng.random() < 0.02 else rng.choice(("litter", "parking", "noise"))
    return {
        "service_request_id": f"R-{serial:06d}",
        "service_code": code,
        "requested_datetime": rfc3339(time_ms),
        "grid_id": sensor.grid_id,
        "description": f"made report of {code}",
        "reporter_role": "citizen_app",
        "status": "open",
    }
