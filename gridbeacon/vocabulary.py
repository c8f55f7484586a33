"""The measured quantities: each metric once, with its unit, its valid range and what the layers do with it.

Names follow Smart Data Models (``CrowdFlowObserved``, ``TrafficFlowObserved``) in snake case with the unit in the
name. The number of a metric travels in frames: append, never reorder.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a source watches; the first part of a series' name."""

    CROWD = "crowd"
    TRAFFIC = "traffic"
    EVENTS = "events"


class Surface(StrEnum):
    """What people stand or walk on; the density ladder depends on it."""

    LEVEL = "level"
    STAIRS = "stairs"
    SLOPE = "slope"
    ESCALATOR = "escalator"


class Motion(StrEnum):
    """How the crowd moves; a standing crowd on level ground has a ladder of its own."""

    MIXED = "mixed"
    MOVING = "moving"
    STATIC = "static"


SURFACES: tuple[Surface, ...] = tuple(Surface)
MOTIONS: tuple[Motion, ...] = tuple(Motion)


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity.

    ``name`` with its unit; ``kind`` of the source; ``wire`` the field of the wire format it is read from (several
    metrics may be derived from one field); ``low``..``high`` the valid range, both ends included, outside of which a
    record is rejected as ``out_of_range``; ``learned`` whether the learned layer judges it; ``count`` whether it is a
    count of people, vehicles or reports.
    """

    name: str
    kind: Kind
    wire: str
    low: float
    high: float
    learned: bool = True
    count: bool = False


# High ends are physical ceilings with a wide margin (10 people/m² is beyond any measured crush; 20 allows for a bad
# estimate of the area), so that a unit mistake is refused at the edge instead of judged.
METRICS: tuple[Metric, ...] = (
    Metric("people_count", Kind.CROWD, "peopleCount", 0, 1e6, count=True),
    Metric("people_count_towards", Kind.CROWD, "peopleCountTowards", 0, 1e6, count=True),
    Metric("people_count_away", Kind.CROWD, "peopleCountAway", 0, 1e6, count=True),
    Metric("occupancy", Kind.CROWD, "occupancy", 0, 10),
    Metric("average_crowd_speed_km_h", Kind.CROWD, "averageCrowdSpeed", 0, 60),
    Metric("congested", Kind.CROWD, "congested", 0, 1, learned=False),
    Metric("flow_per_m_min", Kind.CROWD, "flow_per_m_min", 0, 500),
    Metric("density_mean_per_m2", Kind.CROWD, "density_mean_per_m2", 0, 20),
    Metric("density_max_per_m2", Kind.CROWD, "density_max_per_m2", 0, 20),
    Metric("intensity_per_h", Kind.TRAFFIC, "intensity", 0, 1e6, count=True),
    Metric("occupancy", Kind.TRAFFIC, "occupancy", 0, 1),
    Metric("average_vehicle_speed_km_h", Kind.TRAFFIC, "averageVehicleSpeed", 0, 400),
    Metric("congested", Kind.TRAFFIC, "congested", 0, 1, learned=False),
    Metric("report_count", Kind.EVENTS, "", 0, 1e9, count=True),
)
#: (kind, name) -> number of the metric in frames and state rows.
METRIC_NUMBER: dict[tuple[Kind, str], int] = {(m.kind, m.name): number for number, m in enumerate(METRICS)}


def series_name(number: int, source: str) -> str:
    """Return the name of a series, ``kind/source/metric``.

    >>> series_name(8, "CAM-0012")
    'crowd/CAM-0012/density_max_per_m2'
    """
    metric = METRICS[number]
    return f"{metric.kind}/{source}/{metric.name}"
