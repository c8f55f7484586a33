"""Reads the registry from CSV and GeoJSON files; whatever is wrong is one sentence with file, place and fix."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gridbeacon.config import Config
from gridbeacon.errors import ConfigError
from gridbeacon.model import Cell, Sensor
from gridbeacon.registry import Registry, is_grid_code

T = TypeVar("T")
Row = tuple[str, dict[str, Any]]


def load_registry(config: Config, base: Path) -> Registry:
    """Return the registry of the files that the configuration names, relative to ``base``.

    Raises ``ConfigError`` on an unreadable file, a wrong or missing value, or an id that occurs twice.
    """
    sensors: dict[str, Sensor] = {}
    for name in config.registry.sensors:
        for where, fields in _rows(base / name):
            sensor = _convert(where, fields, Sensor)
            _check_sensor(where, sensor, config.grid.pattern)
            if sensors.setdefault(sensor.sensor_id, sensor) is not sensor:
                raise ConfigError(f"{where}: sensor_id {sensor.sensor_id!r} occurs twice; remove one")
    cells: dict[str, Cell] = {}
    for name in config.registry.cells:
        for where, fields in _rows(base / name):
            cell = _convert(where, fields, Cell)
            if not is_grid_code(cell.grid_id, config.grid.pattern):
                raise ConfigError(
                    f"{where}: grid_id {cell.grid_id!r} does not match grid.pattern {config.grid.pattern}"
                )
            if cells.setdefault(cell.grid_id, cell) is not cell:
                raise ConfigError(f"{where}: grid_id {cell.grid_id!r} occurs twice; remove one")
    return Registry(sensors, cells)


def _rows(path: Path) -> Iterator[Row]:
    try:
        if path.suffix.lower() == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                for row in csv.DictReader(file):
                    yield f"{path}:{len(row) and _line(row)}", _csv_values(row)
                return
        yield from _features(path)
    except OSError as error:
        raise ConfigError(f"{path} can't be read ({error.strerror}): correct the file name under registry:") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from error


def _line(row: dict[str, Any]) -> str:
    return str(row.get("sensor_id") or row.get("grid_id") or "?")


def _csv_values(row: dict[str, Any]) -> dict[str, Any]:
    """Return the cells that say something; lists are separated by ``;``."""
    values: dict[str, Any] = {
        k: v.strip() for k, v in row.items() if k is not None and isinstance(v, str) and v.strip()
    }
    if "neighbours" in values:
        values["neighbours"] = [part.strip() for part in values["neighbours"].split(";") if part.strip()]
    return values


def _features(path: Path) -> Iterator[Row]:
    try:
        found = msgspec.json.decode(path.read_bytes())
        features = found["features"]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is neither CSV (*.csv) nor a GeoJSON FeatureCollection: {error}") from error
    for number, feature in enumerate(features):
        where = f"{path}: feature {number}"
        if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
            raise ConfigError(f"{where} has no properties: each feature needs an object of them")
        values = dict(feature["properties"])
        geometry = feature.get("geometry") or {}
        if geometry.get("type") == "Point":
            values.setdefault("long", geometry["coordinates"][0])
            values.setdefault("lat", geometry["coordinates"][1])
        elif geometry.get("type") == "Polygon":
            values.setdefault("polygon", [point[:2] for point in geometry["coordinates"][0]])
        yield where, values


def _convert(where: str, fields: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def _check_sensor(where: str, sensor: Sensor, pattern: str) -> None:
    if not is_grid_code(sensor.grid_id, pattern):
        raise ConfigError(f"{where}: grid_id {sensor.grid_id!r} does not match grid.pattern {pattern}")
    for name in ("capacity", "area_m2", "width_m", "interval_secs"):
        value = getattr(sensor, name)
        if value is not None and not 0 < value < 1e9:
            raise ConfigError(f"{where}: {name} is {value}, it must be above 0")
