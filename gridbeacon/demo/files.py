"""Configuration and registry as the files that a user would write."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gridbeacon.config import Config
from gridbeacon.model import Cell, Sensor
from gridbeacon.registry import Registry

SENSORS, CELLS, CONFIG = "sensors.csv", "cells.csv", "gridbeacon.yaml"


def write_files(folder: Path, config: Config, registry: Registry) -> Path:
    """Write ``gridbeacon.yaml``, ``sensors.csv`` and ``cells.csv``; return the path of the first.

    The registry section of the configuration is made to name the two others. Polygons are not written.
    """
    files = msgspec.structs.replace(config.registry, sensors=(SENSORS,), cells=(CELLS,))
    _write_csv(folder / SENSORS, Sensor, registry.sensors.values())
    _write_csv(folder / CELLS, Cell, registry.cells.values())
    file = folder / CONFIG
    settings = msgspec.to_builtins(msgspec.structs.replace(config, registry=files))
    file.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def _write_csv(path: Path, kind: type[msgspec.Struct], rows: Iterable[Any]) -> None:
    names = [name for name in kind.__struct_fields__ if name != "polygon"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([_text(getattr(row, name)) for name in names] for row in rows)


def _text(value: Any) -> Any:
    return ";".join(value) if isinstance(value, tuple) else value
