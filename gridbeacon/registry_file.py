"""Reads the registry from CSV and GeoJSON files; whatever is wrong is one sentence with file, line and fix."""

import csv
import json
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
MAX_ID_CHARS = 200
"""As in records: a longer name could never be met."""


class _Features(msgspec.Struct):
    features: list[msgspec.Raw]


class _Feature(msgspec.Struct):
    properties: dict[str, Any]
    geometry: dict[str, Any] | None = None


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
            _check_cell(where, cell, config.grid.pattern)
            if cells.setdefault(cell.grid_id, cell) is not cell:
                raise ConfigError(f"{where}: grid_id {cell.grid_id!r} occurs twice; remove one")
    near = {
        name: msgspec.structs.replace(sensor, near=cells[sensor.grid_id].neighbours)
        if sensor.grid_id in cells
        else sensor
        for name, sensor in sensors.items()
    }
    return Registry(near, cells)


def _rows(path: Path) -> Iterator[Row]:
    """Yield (``file:line`` where it begins, fields) of each row or feature."""
    try:
        yield from csv_rows(path) if path.suffix.lower() == ".csv" else _features(path)
    except OSError as error:
        raise ConfigError(f"{path} can't be read ({error.strerror}): correct the file name under registry:") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from error


def csv_rows(path: Path) -> Iterator[Row]:
    """Yield (``file:line`` where it begins, cells that say something by column) of each row of a CSV file.

    Raises ``ConfigError`` when it is no CSV, ``OSError`` or ``UnicodeDecodeError`` when it can't be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        begin = 1
        header: list[str] = []
        try:
            for cells in reader:
                where, begin = f"{path}:{begin}", reader.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                if not header:
                    header = _header(where, cells)
                elif len(cells) > len(header):
                    raise ConfigError(
                        f"{where}: {len(cells)} values for {len(header)} columns; quote a value that holds a comma"
                    )
                else:
                    yield where, _csv_values(dict(zip(header, cells, strict=False)))
        except csv.Error as error:
            raise ConfigError(f"{path}:{begin}: no CSV ({error}): correct the quotes of this line") from error
    if not header:
        raise ConfigError(f"{path}:1: the first line must name the columns; the file is empty")


def _header(where: str, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    twice = [name for number, name in enumerate(header) if name and name in header[:number]]
    if twice:
        raise ConfigError(f"{where}: column {twice[0]!r} occurs twice; remove one")
    return header


def _csv_values(row: dict[str, str]) -> dict[str, Any]:
    """Return the cells that say something; lists are separated by ``;``."""
    values: dict[str, Any] = {name: text.strip() for name, text in row.items() if name and text.strip()}
    if "neighbours" in values:
        values["neighbours"] = [part.strip() for part in values["neighbours"].split(";") if part.strip()]
    return values


def _features(path: Path) -> Iterator[Row]:
    body = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        features = msgspec.json.decode(body, type=_Features).features
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}{_json_line(body)} is neither CSV (*.csv) nor a GeoJSON FeatureCollection: {error}"
        ) from error
    at = 0
    for raw in features:
        text = bytes(raw)
        begin = body.find(text, at)
        at = begin + len(text)
        where = f"{path}:{_line_at(body, begin)}"
        try:
            feature = msgspec.json.decode(text, type=_Feature)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where}: no GeoJSON feature with properties: {error}") from error
        yield where, {**_geometry(where, feature.geometry), **feature.properties}


def _line_at(body: bytes, offset: int) -> int:
    return body.count(b"\n", 0, offset) + 1


def _json_line(body: bytes) -> str:
    """Return ``:line`` of what makes bytes no JSON, '' when that is not to be told."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        return f":{error.lineno}"
    except (ValueError, RecursionError):
        return ""
    return ""


def _geometry(where: str, geometry: dict[str, Any] | None) -> dict[str, Any]:
    if geometry is None:
        return {}
    kind = geometry.get("type")
    try:
        if kind == "Point":
            long, lat = msgspec.convert(geometry["coordinates"][:2], tuple[float, float])
            return {"long": long, "lat": lat}
        if kind == "Polygon":
            ring = [point[:2] for point in geometry["coordinates"][0]]
            return {"polygon": msgspec.convert(ring, tuple[tuple[float, float], ...])}
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: the coordinates of the {kind} are not as GeoJSON has them ({error})") from error
    raise ConfigError(f"{where}: geometry {str(kind)[:50]!r} is not supported; use Point, Polygon or null")


def _convert(where: str, fields: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind, strict=False)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}; correct this value") from error


def _check_code(where: str, name: str, code: str, pattern: str) -> None:
    if not is_grid_code(code, pattern):
        raise ConfigError(f"{where}: {name} {code[:100]!r} does not match grid.pattern {pattern}")


def _check_sensor(where: str, sensor: Sensor, pattern: str) -> None:
    name = sensor.sensor_id
    if not name.strip() or name != name.strip() or len(name) > MAX_ID_CHARS or not name.isprintable():
        raise ConfigError(
            f"{where}: sensor_id {name[:100]!r} must be 1 to {MAX_ID_CHARS} printable characters, no space at its ends"
        )
    _check_code(where, "grid_id", sensor.grid_id, pattern)
    for name in ("capacity", "area_m2", "width_m", "interval_secs"):
        value = getattr(sensor, name)
        if value is not None and not 0 < value < 1e9:
            raise ConfigError(f"{where}: {name} is {value}, it must be above 0 and below 1e9")
    _check_point(where, sensor.long or 0.0, sensor.lat or 0.0)
    if (sensor.lat is None) != (sensor.long is None):
        raise ConfigError(f"{where}: lat and long belong together; give both or none")


def _check_cell(where: str, cell: Cell, pattern: str) -> None:
    _check_code(where, "grid_id", cell.grid_id, pattern)
    for neighbour in cell.neighbours:
        _check_code(where, "the neighbour", neighbour, pattern)
    if cell.population is not None and not 0 <= cell.population < 1e10:
        raise ConfigError(f"{where}: population is {cell.population}, it must be 0 or more")
    if 0 < len(cell.polygon) < 3:
        raise ConfigError(f"{where}: the polygon has {len(cell.polygon)} corners, it needs three or more")
    for long, lat in cell.polygon:
        _check_point(where, long, lat)


def _check_point(where: str, long: float, lat: float) -> None:
    if not (-180 <= long <= 180 and -90 <= lat <= 90):
        raise ConfigError(f"{where}: long {long}, lat {lat} is no point in degrees (GeoJSON has long before lat)")
