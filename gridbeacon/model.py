"""The values that travel the straight line. All frozen; times are integer milliseconds since 1970-01-01 UTC.

``*_ms`` that say ``observed``, ``occurred``, ``reported`` are event time (when it happened in the world);
``ingested_ms`` is arrival (when ingest read the record). The two never mix.
"""

from typing import Any, NamedTuple

import msgspec

from gridbeacon.reasons import (
    ActionKind,
    ActionSource,
    BudgetReason,
    Certainty,
    ConditionState,
    Disposition,
    HandlingState,
    HoldReason,
    LessonKind,
    Level,
    Mode,
    Reason,
    Refusal,
    Rejection,
    Role,
    SituationKind,
    Stage,
    State,
    Tier,
    Trend,
)
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


class Foreseen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a forecast says of one limit: when it is expected to be passed (ms), and from when to when in four of five
    cases (``until_ms`` is None when that lies beyond the forecast); ``probability`` 0..1 that it is passed at all."""

    tier: Tier
    expected_ms: int
    from_ms: int
    until_ms: int | None
    probability: float


class Signal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A finding of ``observe`` that is not normal, when it begins, changes its level or ends.

    ``level`` is the level from now on (``NONE`` = the finding has ended); ``layer`` is ``limit``, ``learned``,
    ``quality``, ``event`` or ``forecast``, then with what is ``foreseen``. ``value``, ``expected`` and ``threshold``
    are in the metric's unit (NaN -> None); ``score`` > 0 is what a learned finding is worth; ``near`` are the cells
    that adjoin its own; ``request`` is the report that it is about, if it is one.
    ``lineage`` is the position of the source record that decided, ``time_ms`` event time.
    """

    cell: str
    layer: str
    series: str
    reason: Reason
    level: Level
    time_ms: int
    lineage: Position
    kind: Kind
    index: int = 0
    value: float | None = None
    expected: float | None = None
    threshold: float | None = None
    score: float | None = None
    near: tuple[str, ...] = ()
    text: str = ""
    request: str = ""
    foreseen: Foreseen | None = None


class Born(msgspec.Struct, frozen=True):
    """Learned series of one class (``kind/metric``) that began in a cell at a time."""

    time_ms: int
    cell: str
    metric_class: str
    count: int


class PlaceSum(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the sensors whose cells' codes begin with ``place`` saw together in the slot that ended at ``end_ms``: sums
    over ``rows`` observations of ``sources`` sensors in ``cells`` cells. ``variance`` adds up the squares of their
    spreads; ``masked`` observations were not to be learned from; ``carriers`` are cells that are far from what is
    expected of them, with how far, the lowest first."""

    end_ms: int
    place: str
    metric_class: str
    rows: int
    masked: int
    sources: int
    cells: int
    observed: float
    expected: float
    variance: float
    carriers: tuple[tuple[str, float], ...]


class CellResidual(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How far one kind of a cell's sources was from what was expected in the slot that ended at ``end_ms``: ``z`` adds
    up the residuals of ``series``, each in its own spreads; ``masked`` observations were not to be learned from."""

    end_ms: int
    cell: str
    kind: str
    series: int
    z: float
    masked: int


class ReportCount(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How many reports of a category came from a cell in the window that ended at ``end_ms``; 0 is not said."""

    end_ms: int
    cell: str
    category: str
    reports: int
    near: tuple[str, ...] = ()


class SignalBatch(msgspec.Struct, frozen=True, kw_only=True, tag="signals"):
    """One message of the ``signals`` log: all that one ``observations`` message, or one of ``scores``, meant for one
    partition.

    Its identity is (``partition``, ``offset``) of that message, where the partitions of forecast's log (``scores``) are
    counted on from those of detect's (``observations``); ``previous`` is the offset of the
    batch that this producer sent to the same partition before (-1: none), so that a consumer takes them without a
    gap; ``tick`` passes time on. ``born`` counts the learned series that began with this message in this partition's
    cells, ``pools`` those that began anywhere, as (time, pool of the alarm budget, how many); ``sums`` and
    ``cells`` are of slots that are over, ``counts`` those of reports in windows that are closed.
    """

    partition: int
    offset: int
    previous: int
    signals: tuple[Signal, ...]
    tick: Tick | None = None
    born: tuple[Born, ...] = ()
    pools: tuple[tuple[int, int, int], ...] = ()
    sums: tuple[PlaceSum, ...] = ()
    cells: tuple[CellResidual, ...] = ()
    counts: tuple[ReportCount, ...] = ()


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="action"):
    """What a person wants done about an alert: one message of the ``signals`` log of the alert's area.

    ``action_id`` is its identity, equal on every repeat; ``version``, when given, the version of the alert that the
    person saw; ``sent_ms`` arrival time: when it is decided is said by the log. ``note`` are the person's words.
    """

    action_id: str
    alert_id: str
    kind: ActionKind
    actor: str
    role: Role
    sent_ms: int
    version: int | None = None
    note: str = ""
    assignee: str = ""
    disposition: Disposition | None = None
    source: ActionSource = ActionSource.CLI


class Silence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="silence"):
    """Nobody is told of new alerts in these ``cells`` (the beginning of their code; "": all), up to this level, until
    ``ends_ms``. Sent to every partition of ``signals``; ``rule`` "" means every rule."""

    silence_id: str
    owner: str
    reason: str
    starts_ms: int
    ends_ms: int
    sent_ms: int
    role: Role
    cells: str = ""
    rule: str = ""
    up_to: Level = Level.ORANGE
    source: ActionSource = ActionSource.CLI


class Unsilence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="unsilence"):
    """The end of a silence before its time; sent to every partition of ``signals``."""

    action_id: str
    silence_id: str
    actor: str
    role: Role
    sent_ms: int
    note: str = ""
    source: ActionSource = ActionSource.CLI


Asked = Action | Silence | Unsilence
"""What people can ask for."""


class Lesson(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person's feedback teaches ``detect`` of one series, from ``from_ms`` until ``until_ms`` of event time.

    It is a record of the ``observations`` log; a repeat is known by its ``position``, the action's on ``signals``.
    """

    kind: LessonKind
    series: str
    from_ms: int
    until_ms: int
    position: Position = Position("signals", 0, -1)


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the alarm budget says of a learned finding: ``rate`` and ``limit`` in alarms a week over the city, ``left``
    of the week's alarms, ``partners`` the series that corroborate it."""

    reason: BudgetReason
    rate: float
    limit: float
    left: float
    partners: tuple[str, ...] = ()

    @property
    def told(self) -> bool:
        """Whether it is to be told."""
        return self.reason in (BudgetReason.TOLD, BudgetReason.SAME_SITUATION, BudgetReason.COOL_DOWN)


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One finding that stands behind an alert right now; ``budget`` is why a learned one was told. ``cell`` is where,
    ``request`` the report that it is."""

    series: str
    layer: str
    reason: Reason
    level: Level
    since_ms: int
    lineage: Position
    value: float | None = None
    expected: float | None = None
    threshold: float | None = None
    text: str = ""
    budget: Decision | None = None
    cell: str = ""
    request: str = ""
    foreseen: Foreseen | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is the case in a cell and its neighbours, by one rule: the findings that stand together and what they
    amount to.

    ``cell`` is where it began and stays the same; ``centre`` is where it is worst now; ``cells`` are all that it
    covers. ``findings`` is how many stand behind it, ``evidence`` the worst of them. ``follows`` is the alert that it
    split off from, or that had cleared here not long ago. ``data_lost`` says that every source behind it has gone
    quiet: the condition is unknown, not over.
    """

    cell: str
    rule: str
    level: Level
    reason: Reason
    certainty: Certainty
    data_lost: bool
    headline: str
    evidence: tuple[Evidence, ...]
    situation_id: str = ""
    kind: SituationKind = SituationKind.CROWDING
    trend: Trend = Trend.STEADY
    centre: str = ""
    cells: tuple[str, ...] = ()
    findings: int = 0
    opened_ms: int = 0
    follows: str = ""


class SituationReport(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the ``situations`` topic: a situation as it stands, for tables and maps.

    ``version`` counts its reports from 1; ``state`` is ``active``, ``unknown`` or ``cleared``, and then ``merged_into``
    may name the situation that goes on for it; ``alert_id`` is the alert that it became.
    """

    situation: Situation
    version: int
    area: str
    state: ConditionState
    highest_level: Level
    changed_ms: int
    alert_id: str
    merged_into: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One situation that people are told about, on two axes: ``condition_state`` (the engine's) and
    ``handling_state`` (people's). ``version`` counts its transitions from 1. ``follows`` is the alert that it split off
    from, or that had cleared here not long before; ``merged_into`` the older one that it became part of."""

    alert_id: str
    fingerprint: str
    rule: str
    cell: str
    area: str
    version: int
    level: Level
    highest_level: Level
    condition_state: ConditionState
    handling_state: HandlingState
    certainty: Certainty
    mode: Mode
    opened_ms: int
    changed_ms: int
    cleared_ms: int | None
    headline: str
    evidence: tuple[Evidence, ...]
    situation_id: str = ""
    kind: SituationKind = SituationKind.CROWDING
    trend: Trend = Trend.STEADY
    centre: str = ""
    cells: tuple[str, ...] = ()
    findings: int = 0
    follows: str = ""
    merged_into: str = ""
    assignee: str = ""
    disposition: Disposition | None = None
    closed_ms: int | None = None
    reopens: str = ""
    """The alert that was closed and goes on as this one."""


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of an alert, or one action that was refused, as it was decided: append-only audit.

    ``action_id`` is that of the person's action; the engine's own repeats of a notice have one too, for they change no
    ``version``. An event with a ``refusal`` changed nothing.
    """

    alert_id: str
    version: int
    event: str
    reason: Reason
    at_ms: int
    actor: str
    level_from: Level
    level_to: Level
    condition_from: ConditionState | None
    condition_to: ConditionState
    handling_from: HandlingState | None
    handling_to: HandlingState
    note: str = ""
    notice_id: str = ""
    held: HoldReason | None = None
    action_id: str = ""
    action: str = ""
    role: Role | None = None
    source: ActionSource | None = None
    assignee: str = ""
    disposition: Disposition | None = None
    refusal: Refusal | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What dispatchers are told: ``notice_id`` is the ``webhook-id``, equal on every repeat; ``body`` the exact JSON
    that is signed and sent. ``endpoints`` are the webhooks that it is for, None for every one that wants its level;
    ``receivers`` who is reached by them, by their names in the routing."""

    notice_id: str
    alert_id: str
    sequence: int
    type: str
    level: Level
    at_ms: int
    body: str
    endpoints: tuple[str, ...] | None = None
    receivers: tuple[str, ...] = ()


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the ``alerts`` log (the outbox): the alert after the transition, the event, and its notice.

    ``alert`` is None when a person acted on one that is unknown; ``silence`` is set when a person began or ended one.
    ``partition``, ``offset``, ``index`` are the position on ``signals`` that it was decided at; ``previous`` is
    (offset, index) of the transition that this producer sent to the same partition before, (-1, -1) for none.
    """

    partition: int
    offset: int
    index: int
    previous: tuple[int, int]
    alert: Alert | None
    event: AlertEvent
    notice: Notice | None = None
    silence: Silence | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to deliver one notice to one endpoint; ``status`` is the HTTP status, 0 when there was none.

    ``type`` and ``reason`` are those of the notice, ``profile`` is the form of the body. Without a notice it says that
    an endpoint's state changed (``outcome``).
    """

    notice_id: str
    alert_id: str
    sequence: int
    endpoint: str
    attempt: int
    attempted_ms: int
    duration_ms: float
    status: int
    outcome: str
    detail: str = ""
    type: str = ""
    reason: str = ""
    profile: str = ""


def plain(value: Any) -> Any:
    """Return a value of this module as plain data for people and scripts: levels and states are their words.

    >>> plain((Level.RED, State.WARMING_UP, Position("crowd.metrics", 0, 7)))
    ['red', 'warming_up', ['crowd.metrics', 0, 7, 0]]
    """
    if isinstance(value, Level | State | Tier):
        return value.word
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def to_json(value: Any) -> bytes:
    """Return a value of this module as one line of JSON (no floats that JSON can't hold)."""
    return msgspec.json.encode(value)
