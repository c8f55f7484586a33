"""What the API takes and gives, for its OpenAPI document. Answers may have more fields than are named here."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LevelWord = Literal["none", "blue", "yellow", "orange", "red"]
Moment = Annotated[datetime, Field(description="RFC 3339, UTC")]
_MORE = ConfigDict(extra="allow")


class ProblemOut(BaseModel):
    """RFC 9457: ``detail`` says what is wrong and what to do."""

    model_config = _MORE
    type: str
    title: str
    status: int
    detail: str


class EvidenceOut(BaseModel):
    """One finding that stands behind an alert now."""

    model_config = _MORE
    series: str
    layer: str
    reason: str
    level: LevelWord
    since_at: Moment
    value: float | None = None
    expected: float | None = None
    threshold: float | None = None
    text: str = ""


class AlertOut(BaseModel):
    """One alert as it stands."""

    model_config = _MORE
    alert_id: str
    rule: str
    cell: str
    place: str
    area: str
    version: int
    level: LevelWord
    highest_level: LevelWord
    condition_state: str
    handling_state: str
    certainty: str
    mode: str
    opened_at: Moment
    changed_at: Moment
    cleared_at: Moment | None
    headline: str
    evidence: list[EvidenceOut]
    taken_by: str | None
    taken_at: Moment | None


class StepOut(BaseModel):
    """One transition of an alert."""

    model_config = _MORE
    version: int
    event: str
    at: Moment
    actor: str
    note: str


class DeliveryOut(BaseModel):
    """One attempt to deliver one notice."""

    model_config = _MORE
    notice_id: str
    endpoint: str
    attempt: int
    attempted_at: Moment
    status: int
    outcome: str


class CaseOut(AlertOut):
    """One alert with its course; ``problems`` says what could not be asked."""

    transitions: list[StepOut]
    deliveries: list[DeliveryOut]
    problems: list[str]


class AlertsOut(BaseModel):
    """Alerts, the most urgent first; ``total`` counts those that match."""

    alerts: list[AlertOut]
    total: int
    log_time: Moment | None


class RowsOut(BaseModel):
    """Rows of the database; ``problem`` says why they are no newer than ``age_secs``."""

    rows: list[dict[str, object]]
    age_secs: float
    problem: str | None


class CellOut(BaseModel):
    """One grid cell; ``polygon`` is a ring of (longitude, latitude), null when the registry has none."""

    grid_id: str
    name: str
    parent: str
    level: LevelWord
    open_alerts: int
    polygon: list[tuple[float, float]] | None


class CellsOut(BaseModel):
    """Grid cells of the registry, and those beyond it that have alerts."""

    cells: list[CellOut]
    total: int


class PointOut(BaseModel):
    """What a series said, and what was expected of it."""

    at: Moment
    value: float
    expected: float | None
    lower: float | None
    upper: float | None
    level: LevelWord


class AheadOut(BaseModel):
    """What is forecast for one time."""

    at: Moment
    expected: float
    lower_80: float
    upper_80: float
    model: str


class SeriesOut(BaseModel):
    """One series over a range, in steps of ``step_secs`` (the highest value of each step)."""

    series: str
    step_secs: float
    points: list[PointOut]
    forecast: list[AheadOut]
    age_secs: float
    problem: str | None


class StatusOut(BaseModel):
    """How the engine and this server do."""

    model_config = _MORE
    log_time: Moment | None
    quiet_secs: float
    open_alerts: dict[str, int]
    problems: list[str]


class MeOut(BaseModel):
    """Who a token stands for, and which actions it permits."""

    name: str
    role: str
    may: list[str]


class HealthOut(BaseModel):
    """Whether this server has read the log up to now."""

    ready: bool
    detail: str
