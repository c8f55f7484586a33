"""Situations, alerts, their transitions, notices and deliveries."""

import msgspec

from gridbeacon.model.records import Position
from gridbeacon.model.signals import Decision, Foreseen, Silence
from gridbeacon.reasons import (
    ActionSource,
    Certainty,
    ConditionState,
    Disposition,
    HandlingState,
    HoldReason,
    Level,
    Mode,
    Reason,
    Refusal,
    Role,
    SituationKind,
    Trend,
)


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
    from, or that had cleared here not long before; ``merged_into`` the one that goes on for it: an older one that it
    became part of, or the one that reopened it."""

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
