"""What travels on the ``signals`` log: findings, sums, what people do, and what the alarm budget says."""

import msgspec

from gridbeacon.model.records import Position, Tick
from gridbeacon.reasons import (
    ActionKind,
    ActionSource,
    BudgetReason,
    Disposition,
    LessonKind,
    Level,
    Reason,
    Role,
    Tier,
)
from gridbeacon.vocabulary import Kind


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


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """A learned finding that the alarm budget has decided on, told or not; ``score`` is what it is worth."""

    decided_ms: int
    cell: str
    series: str
    score: float
    decision: Decision
    lineage: Position
