"""What comes in and what is said of it: observations, verdicts, grid events, time, refusals."""

from typing import NamedTuple

import msgspec

from gridbeacon.reasons import Level, Reason, Rejection, Stage, State
from gridbeacon.vocabulary import Kind, Motion, Surface


class Position(NamedTuple):
    """Where a record stands in the logs: the identity of everything that is derived from it.

    ``index`` counts what one record yielded: objects of an array and their metrics at the edge, rows of a frame later.
    """

    topic: str
    partition: int
    offset: int
    index: int = 0  # type: ignore[assignment] # the word for it, though tuple.index is hidden by it


class Sensor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One registered source: a camera zone, a counting loop, a lane.

    ``grid_id`` is the code of its unit grid cell; ``area_m2`` (> 0) the watched area, ``width_m`` (> 0) of the passage,
    ``capacity`` (> 0) people; ``interval_secs`` (> 0) between two observations; ``near`` the codes of the cells that
    adjoin its own.
    """

    sensor_id: str
    kind: Kind
    grid_id: str
    lat: float | None = None
    long: float | None = None
    capacity: float | None = None
    area_m2: float | None = None
    width_m: float | None = None
    surface: Surface = Surface.LEVEL
    interval_secs: float = 60.0
    near: tuple[str, ...] = ()


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One unit of the urban grid. ``polygon`` is a ring of (long, lat); ``neighbours`` are codes of adjoining cells."""

    grid_id: str
    name: str = ""
    parent: str = ""
    population: float | None = None
    neighbours: tuple[str, ...] = ()
    polygon: tuple[tuple[float, float], ...] = ()


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value of one series at one instant of event time.

    ``metric`` is a number of ``vocabulary.METRICS``; ``value`` is finite and in the metric's range; ``coverage`` and
    ``count_confidence`` are shares 0..1, NaN when the record does not say.
    """

    source: str
    metric: int
    observed_ms: int
    value: float
    position: Position
    surface: Surface
    motion: Motion
    coverage: float = float("nan")
    count_confidence: float = float("nan")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one observation, and why.

    ``level`` is the limit level in force after it; ``expected``, ``lower``, ``upper`` are in the metric's unit. The
    scores are >= 0: ``alarm`` (novel), ``severity`` (how far the departure stands off now), ``signal`` (the worth of a
    finding that begins or grows here, else 0). All of these are None when the learned layer had nothing to say.
    ``direction`` is -1, 0 or +1; ``confidence`` 0..1; ``history`` counts the observations behind the judgement.
    """

    series: str
    cell: str
    observed_ms: int
    value: float
    state: State
    reason: Reason
    level: Level
    expected: float | None
    lower: float | None
    upper: float | None
    alarm: float | None
    severity: float | None
    signal: float | None
    direction: int
    confidence: float
    history: int
    lineage: Position


class GridEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a grid worker or a citizen, by cell, without any personal field (Open311 GeoReport v2 names).

    ``near`` are the cells that adjoin its own.
    """

    service_request_id: str
    service_code: str
    grid_id: str
    occurred_ms: int
    reported_ms: int
    position: Position
    service_name: str = ""
    description: str = ""
    category_major: str = ""
    category_minor: str = ""
    reporter_role: str = ""
    verification: str = "unverified"
    urgency: str = ""
    status: str = ""
    agency_responsible: str = ""
    address_string: str = ""
    lat: float | None = None
    long: float | None = None
    updated_ms: int | None = None
    expected_ms: int | None = None
    near: tuple[str, ...] = ()


class Tick(NamedTuple):
    """Time as a record: ``producer`` says that everything up to ``time_ms`` has been written.

    ``of`` is the number of producers whose ticks together make the watermark (``clock: event``); 0 means that any one
    tick is the time (``clock: arrival``, the latest counts).
    """

    producer: str
    time_ms: int
    of: int = 0


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A record, or one object of it (``index``), that goes to the dead letters. ``detail`` never holds a value that
    the reason ``privacy`` is about, only the field's name."""

    reason: Rejection
    detail: str
    stage: Stage = Stage.DECODE
    index: int = 0


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What is written to ``dead.letters``: ``body`` holds the original bytes (base64 in JSON), empty when the reason
    is ``privacy`` or the record is larger than ``limits.max_dead_letter_bytes`` (then ``body_bytes`` still says how
    large it was)."""

    reason: Rejection
    stage: Stage
    detail: str
    topic: str
    partition: int
    offset: int
    index: int
    rejected_ms: int
    body: bytes
    body_bytes: int
