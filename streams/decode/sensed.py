"""Crowd and traffic records: one entity in key-values form -> its sensor and its measured values."""

from typing import Any, NamedTuple

from gridbeacon.config import Config
from gridbeacon.model import Sensor
from gridbeacon.reasons import Rejection
from gridbeacon.registry import Registry, is_grid_code
from gridbeacon.vocabulary import METRIC_NUMBER, METRICS, MOTIONS, SURFACES, Kind, Motion, Surface
from streams.decode.wire import Refused, name_of, number_of, text_of, time_of

#: The FIWARE type that each topic takes.
ENTITY_TYPES = {Kind.CROWD: "CrowdFlowObserved", Kind.TRAFFIC: "TrafficFlowObserved"}
#: (number in METRICS, field, low, high) of what is read as it is, by kind.
MEASURED = {
    kind: tuple((n, m.wire, m.low, m.high) for n, m in enumerate(METRICS) if m.kind is kind) for kind in ENTITY_TYPES
}
DENSITY_MEAN = METRIC_NUMBER[Kind.CROWD, "density_mean_per_m2"]
PEOPLE = METRIC_NUMBER[Kind.CROWD, "people_count"]
INTENSITY = METRIC_NUMBER[Kind.TRAFFIC, "intensity_per_h"]
#: Fields that a record may have without their being counted as unknown.
KNOWN = frozenset(
    "id type @context dateObserved dateObservedFrom dateObservedTo sensor_id camera_id zone_id grid_id area_m2 width_m "
    "capacity surface motion interval_secs coverage count_confidence quality location address laneId laneDirection "
    "vehicleType direction averageHeadwayTime".split()
) | {field for measured in MEASURED.values() for _, field, _, _ in measured}
MAX_SIZE = 1e9


class Sensed(NamedTuple):
    """What one record says: ``values`` are (number of the metric, value), in the order of the vocabulary."""

    sensor: Sensor
    registered: bool
    observed_ms: int
    values: tuple[tuple[int, float], ...]
    surface: Surface
    motion: Motion
    coverage: float
    count_confidence: float


def read_sensed(fields: dict[str, Any], kind: Kind, config: Config, registry: Registry) -> Sensed:
    """Return what a crowd or traffic record says. Raises ``Refused`` with the reason when it can't be taken."""
    if fields.get("type") not in (None, ENTITY_TYPES[kind]):
        raise Refused(Rejection.WRONG_TOPIC, f"type must be {ENTITY_TYPES[kind]} on this topic")
    sensor, registered = _sensor(fields, kind, config, registry)
    begin_ms, observed_ms = _period(fields)
    secs = (observed_ms - begin_ms) / 1000 if begin_ms is not None and begin_ms < observed_ms else None
    if secs is None:
        secs = number_of(fields, "interval_secs", 0.001, MAX_SIZE) or sensor.interval_secs
    return Sensed(
        sensor=sensor,
        registered=registered,
        observed_ms=observed_ms,
        values=_values(fields, kind, secs, sensor.area_m2),
        surface=_word(fields, "surface", SURFACES) or sensor.surface,
        motion=_word(fields, "motion", MOTIONS) or Motion.MIXED,
        coverage=_share(fields, "coverage"),
        count_confidence=_share(fields, "count_confidence"),
    )


def base_source(fields: dict[str, Any], kind: Kind) -> tuple[str, str]:
    """Return (full name, registered base name) of the source that a record is from. Raises ``Refused``."""
    base = name_of(fields, "sensor_id")
    full = base
    if kind is Kind.CROWD and not base:
        base = name_of(fields, "camera_id")
        zone = name_of(fields, "zone_id")
        full = f"{base}/{zone}" if base and zone else base
    if not base:
        base = full = name_of(fields, "id")
    if not base:
        raise Refused(Rejection.MISSING_FIELD, "sensor_id (or id) is missing")
    if kind is Kind.TRAFFIC:
        lane, vehicle = name_of(fields, "laneId"), name_of(fields, "vehicleType")
        full += (f":lane{lane}" if lane else "") + (f":{vehicle}" if vehicle else "")
    return full, base


def _sensor(fields: dict[str, Any], kind: Kind, config: Config, registry: Registry) -> tuple[Sensor, bool]:
    full, base = base_source(fields, kind)
    known = registry.sensors.get(full) or registry.sensors.get(base)
    if known is not None:
        if known.kind is not kind:
            raise Refused(Rejection.UNKNOWN_SOURCE, f"{base} is registered as a {known.kind} sensor")
        return (known, True) if known.sensor_id == full else (_renamed(known, full), False)
    if config.registry.unknown_sensors == "reject":
        raise Refused(Rejection.UNKNOWN_SOURCE, f"{full} is not in the registry of sensors")
    grid_id = fields.get("grid_id")
    if not is_grid_code(grid_id, config.grid.pattern):
        raise Refused(Rejection.UNKNOWN_GRID, "grid_id is missing or does not match grid.pattern")
    if config.registry.unknown_cells == "reject" and grid_id not in registry.cells:
        raise Refused(Rejection.UNKNOWN_GRID, f"{grid_id} is not in the registry of cells")
    lat, long = point_of(fields)
    found = Sensor(
        sensor_id=full,
        kind=kind,
        grid_id=str(grid_id),
        lat=lat,
        long=long,
        capacity=number_of(fields, "capacity", 0.001, MAX_SIZE),
        area_m2=number_of(fields, "area_m2", 0.001, MAX_SIZE),
        width_m=number_of(fields, "width_m", 0.001, MAX_SIZE),
        surface=_word(fields, "surface", SURFACES) or Surface.LEVEL,
        interval_secs=number_of(fields, "interval_secs", 0.001, MAX_SIZE) or 60.0,
    )
    return found, False


def _renamed(sensor: Sensor, name: str) -> Sensor:
    return Sensor(
        **{field: getattr(sensor, field) for field in sensor.__struct_fields__ if field != "sensor_id"}, sensor_id=name
    )


def point_of(fields: dict[str, Any]) -> tuple[float | None, float | None]:
    """Return (lat, long) of a record that says where it is by ``lat``/``long`` or a GeoJSON Point, else Nones."""
    lat, long = number_of(fields, "lat", -90, 90), number_of(fields, "long", -180, 180)
    location = fields.get("location")
    if lat is None and isinstance(location, dict) and location.get("type") == "Point":
        pair = location.get("coordinates")
        if isinstance(pair, list) and len(pair) >= 2:
            at = {"lat": pair[1], "long": pair[0]}
            lat, long = number_of(at, "lat", -90, 90), number_of(at, "long", -180, 180)
    return (lat, long) if lat is not None and long is not None else (None, None)


def _period(fields: dict[str, Any]) -> tuple[int | None, int]:
    """Return (begin or None, end) of the observation: the end of its period is its time."""
    begin, end, whole = (time_of(fields, name) for name in ("dateObservedFrom", "dateObservedTo", "dateObserved"))
    if end is None and whole is None:
        raise Refused(Rejection.MISSING_FIELD, "dateObserved (or dateObservedTo) is missing")
    begin_ms = begin[1] if begin is not None else whole[0] if whole is not None else None
    last = end if end is not None else whole
    assert last is not None  # noqa: S101 - one of the two is there, see above
    return begin_ms, last[1]


def _values(fields: dict[str, Any], kind: Kind, secs: float, area_m2: float | None) -> tuple[tuple[int, float], ...]:
    values: list[tuple[int, float]] = []
    for number, field, low, high in MEASURED[kind]:
        if field == "congested":
            flag = fields.get(field)
            if flag is not None and not isinstance(flag, bool):
                raise Refused(Rejection.WRONG_TYPE, "congested must be true or false")
            value = None if flag is None else float(flag)
        else:
            value = number_of(fields, field, low, high)
        if number == INTENSITY and value is not None:
            value = value * 3600 / secs
            if value > high:
                raise Refused(Rejection.OUT_OF_RANGE, f"intensity is more than {high:g} vehicles an hour")
        if value is not None:
            values.append((number, value))
    if not values:
        raise Refused(Rejection.MISSING_FIELD, "the record holds no measured value")
    if kind is Kind.CROWD and area_m2 is not None:
        values = with_density(values, area_m2)
    return tuple(values)


def with_density(values: list[tuple[int, float]], area_m2: float) -> list[tuple[int, float]]:
    """Return the values with people/m² derived from count and area where the record gives none.

    A derived density beyond the metric's range is cut to its end, not refused: a wrong area in the registry must not
    hide a crowd.
    """
    found = dict(values)
    if PEOPLE in found and DENSITY_MEAN not in found:
        found[DENSITY_MEAN] = min(found[PEOPLE] / area_m2, METRICS[DENSITY_MEAN].high)
        return sorted(found.items())
    return values


def _share(fields: dict[str, Any], name: str) -> float:
    value = number_of(fields, name, 0, 1)
    return float("nan") if value is None else value


def _word(fields: dict[str, Any], name: str, words: tuple[Any, ...]) -> Any:
    text = text_of(fields, name, 50)
    if not text:
        return None
    if text not in words:
        raise Refused(Rejection.OUT_OF_RANGE, f"{name} must be one of {', '.join(words)}")
    return words[words.index(text)]
