"""The registry -> the tables ``places`` and ``sensors``, so that queries can name what codes mean."""

from gridbeacon.config import Config
from gridbeacon.registry import Registry
from sinks.clickhouse import ClickHouseSink
from sinks.rows import Columns


def places(registry: Registry, config: Config, now_ms: int) -> Columns:
    """Return one row per cell."""
    cells = list(registry.cells.values())
    middles = [_middle(cell.polygon) for cell in cells]
    return {
        "grid_id": [cell.grid_id for cell in cells],
        "name": [cell.name for cell in cells],
        "parent": [cell.parent for cell in cells],
        "district": [cell.grid_id[: config.grid.area_digits] for cell in cells],
        "population": [cell.population for cell in cells],
        "neighbours": [list(cell.neighbours) for cell in cells],
        "polygon": [list(cell.polygon) for cell in cells],
        "lat": [None if middle is None else middle[1] for middle in middles],
        "long": [None if middle is None else middle[0] for middle in middles],
        "version": [now_ms] * len(cells),
    }


def sensors(registry: Registry, now_ms: int) -> Columns:
    """Return one row per sensor."""
    found = list(registry.sensors.values())
    names = ("grid_id", "lat", "long", "capacity", "area_m2", "width_m", "interval_secs")
    return {
        "source": [sensor.sensor_id for sensor in found],
        "kind": [str(sensor.kind) for sensor in found],
        "surface": [str(sensor.surface) for sensor in found],
        **{name: [getattr(sensor, name) for sensor in found] for name in names},
        "version": [now_ms] * len(found),
    }


def store(registry: Registry, config: Config, now_ms: int) -> int:
    """Write the registry to its tables and return how many rows; a newer reading replaces an older one.

    Raises ``Transient`` when ClickHouse is away.
    """
    sink = ClickHouseSink(config)
    try:
        token = f"registry/{now_ms}"
        count = sink.write("places", places(registry, config, now_ms), token)
        return count + sink.write("sensors", sensors(registry, now_ms), token)
    finally:
        sink.close()


def _middle(ring: tuple[tuple[float, float], ...]) -> tuple[float, float] | None:
    """Return the mean of an outline's corners as (long, lat), None without an outline."""
    if not ring:
        return None
    return sum(x for x, _ in ring) / len(ring), sum(y for _, y in ring) / len(ring)
