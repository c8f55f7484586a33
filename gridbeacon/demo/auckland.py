"""Real: hourly counts of 21 pedestrian sensors in Auckland, October to December 2022 (see ATTRIBUTION.md)."""

import csv
import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from gridbeacon.model import Cell, Sensor
from gridbeacon.timeline import Line, rfc3339
from gridbeacon.vocabulary import Kind

FOLDER = Path(__file__).parent
TIMEZONE = "Pacific/Auckland"
AREA = "640901"


def sensors() -> tuple[Sensor, ...]:
    """Return the sensors; their grid codes are made, one cell each."""
    with (FOLDER / "auckland_locations.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Sensor(
                sensor_id=row["Address"],
                kind=Kind.CROWD,
                grid_id=f"{AREA}001001{number:03d}",
                lat=float(row["Latitude"]),
                long=float(row["Longitude"]),
                interval_secs=3600.0,
            )
            for number, row in enumerate(csv.DictReader(file), 1)
        )


def cells() -> tuple[Cell, ...]:
    """Return the cells of the sensors, named after the street."""
    return tuple(Cell(grid_id=sensor.grid_id, name=sensor.sensor_id) for sensor in sensors())


def lines() -> Iterator[Line]:
    """Yield every count as a record of ``crowd.metrics``, in order of time; the time is the end of its hour."""
    zone = ZoneInfo(TIMEZONE)
    with gzip.open(FOLDER / "auckland_2022q4.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            begin = datetime.fromisoformat(row.pop("ts_local")).replace(tzinfo=zone)
            begin_ms = round(begin.timestamp() * 1000)
            end_ms = round((begin + timedelta(hours=1)).timestamp() * 1000)
            for address, count in row.items():
                if count:
                    record = {
                        "id": address,
                        "type": "CrowdFlowObserved",
                        "dateObserved": f"{rfc3339(begin_ms)}/{rfc3339(end_ms)}",
                        "peopleCount": int(count),
                    }
                    yield Line(end_ms, "crowd.metrics", address, msgspec.json.encode(record))
