"""The values that travel the straight line. All frozen; times are integer milliseconds since 1970-01-01 UTC.

``*_ms`` that say ``observed``, ``occurred``, ``reported`` are event time (when it happened in the world);
``ingested_ms`` is arrival (when ingest read the record). The two never mix.
"""

from gridbeacon.model.alerts import (
    Alert,
    AlertEvent,
    Delivery,
    Evidence,
    Notice,
    Situation,
    SituationReport,
    Transition,
)
from gridbeacon.model.form import plain, to_json
from gridbeacon.model.records import Cell, DeadLetter, GridEvent, Observation, Position, Rejected, Sensor, Tick, Verdict
from gridbeacon.model.signals import (
    Action,
    Asked,
    Born,
    CellResidual,
    Decision,
    Foreseen,
    Lesson,
    PlaceSum,
    ReportCount,
    Signal,
    SignalBatch,
    Silence,
    Unsilence,
    Weighed,
)

__all__ = [
    "Action",
    "Alert",
    "AlertEvent",
    "Asked",
    "Born",
    "Cell",
    "CellResidual",
    "DeadLetter",
    "Decision",
    "Delivery",
    "Evidence",
    "Foreseen",
    "GridEvent",
    "Lesson",
    "Notice",
    "Observation",
    "PlaceSum",
    "Position",
    "Rejected",
    "ReportCount",
    "Sensor",
    "Signal",
    "SignalBatch",
    "Silence",
    "Situation",
    "SituationReport",
    "Tick",
    "Transition",
    "Unsilence",
    "Verdict",
    "Weighed",
    "plain",
    "to_json",
]
