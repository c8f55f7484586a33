"""The life of an alert on its two axes: the table of legal transitions, and ``advance``, which moves the condition.

The handling, people's axis, is moved by ``handling.handle``.
"""

from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from gridbeacon.errors import Fatal
from gridbeacon.model import Alert, AlertEvent, Situation
from gridbeacon.places import area_of
from gridbeacon.reasons import ActionKind, ConditionState, HandlingState, Level, Mode, Reason, Role

ENGINE = "gridbeacon"


class Event(StrEnum):
    """What can happen to an alert."""

    OPENED = "opened"
    LEVEL_RAISED = "level_raised"
    LEVEL_LOWERED = "level_lowered"
    DATA_LOST = "data_lost"
    DATA_BACK = "data_back"
    CLEARED = "cleared"
    MERGED = "merged"
    # people
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    CASE_FILED = "case_filed"
    DISPATCHED = "dispatched"
    STARTED = "started"
    RESOLVED = "resolved"
    VERIFIED = "verified"
    CLOSED = "closed"
    REVIEWED = "reviewed"
    REOPENED = "reopened"
    FEEDBACK = "feedback"
    COMMENTED = "commented"
    REFUSED = "refused"
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"
    # told again, or later, with no transition of its own
    ESCALATED = "escalated"
    REPEATED = "repeated"
    GROUPED = "grouped"
    RELEASED = "released"


C, H, K = ConditionState, HandlingState, ActionKind

#: The condition: (state before, event) -> state after. What is not here is illegal: a condition that is unknown never
#: clears, and a cleared one stays cleared (the next situation is a new alert). It never touches the handling.
TRANSITIONS: dict[tuple[ConditionState | None, Event], ConditionState] = {
    (None, Event.OPENED): C.ACTIVE,
    (C.ACTIVE, Event.LEVEL_RAISED): C.ACTIVE,
    (C.ACTIVE, Event.LEVEL_LOWERED): C.ACTIVE,
    (C.ACTIVE, Event.DATA_LOST): C.UNKNOWN,
    (C.UNKNOWN, Event.DATA_BACK): C.ACTIVE,
    (C.ACTIVE, Event.CLEARED): C.CLEARED,
    # The other alert goes on with all that stood behind this one, also with what nobody knows.
    (C.ACTIVE, Event.MERGED): C.CLEARED,
    (C.UNKNOWN, Event.MERGED): C.CLEARED,
}

#: The handling: (state before, action) -> state after. It never touches the condition. Steps may be skipped where a
#: control room skips them: who dispatches has seen the alert, a false alarm is closed at once, what was resolved badly
#: is dispatched again. To reopen leaves the old alert as it is and makes a new one.
HANDLING: dict[tuple[HandlingState, ActionKind], HandlingState] = {
    (H.NEW, K.ACKNOWLEDGE): H.ACKNOWLEDGED,
    (H.NEW, K.DISPATCH): H.DISPATCHED,
    (H.NEW, K.CLOSE): H.CLOSED,
    (H.ACKNOWLEDGED, K.FILE_CASE): H.CASE_FILED,
    (H.ACKNOWLEDGED, K.DISPATCH): H.DISPATCHED,
    (H.ACKNOWLEDGED, K.RESOLVE): H.RESOLVED,
    (H.ACKNOWLEDGED, K.CLOSE): H.CLOSED,
    (H.CASE_FILED, K.DISPATCH): H.DISPATCHED,
    (H.CASE_FILED, K.RESOLVE): H.RESOLVED,
    (H.CASE_FILED, K.CLOSE): H.CLOSED,
    (H.DISPATCHED, K.DISPATCH): H.DISPATCHED,
    (H.DISPATCHED, K.START): H.IN_PROGRESS,
    (H.DISPATCHED, K.RESOLVE): H.RESOLVED,
    (H.DISPATCHED, K.CLOSE): H.CLOSED,
    (H.IN_PROGRESS, K.DISPATCH): H.DISPATCHED,
    (H.IN_PROGRESS, K.RESOLVE): H.RESOLVED,
    (H.IN_PROGRESS, K.CLOSE): H.CLOSED,
    (H.RESOLVED, K.DISPATCH): H.DISPATCHED,
    (H.RESOLVED, K.VERIFY): H.VERIFIED,
    (H.RESOLVED, K.CLOSE): H.CLOSED,
    (H.VERIFIED, K.DISPATCH): H.DISPATCHED,
    (H.VERIFIED, K.CLOSE): H.CLOSED,
    (H.CLOSED, K.REVIEW): H.REVIEWED,
    (H.CLOSED, K.REOPEN): H.CLOSED,
    (H.REVIEWED, K.REOPEN): H.REVIEWED,
    **{(state, K.ASSIGN): state for state in H if state not in (H.CLOSED, H.REVIEWED)},
    **{(state, kind): state for state in H for kind in (K.COMMENT, K.FEEDBACK)},
}

#: What each action is called once it has happened, and who may ask for it.
ACTIONS: dict[ActionKind, tuple[Event, Role]] = {
    K.ACKNOWLEDGE: (Event.ACKNOWLEDGED, Role.DISPATCHER),
    K.ASSIGN: (Event.ASSIGNED, Role.DISPATCHER),
    K.FILE_CASE: (Event.CASE_FILED, Role.DISPATCHER),
    K.DISPATCH: (Event.DISPATCHED, Role.DISPATCHER),
    K.START: (Event.STARTED, Role.DISPATCHER),
    K.RESOLVE: (Event.RESOLVED, Role.DISPATCHER),
    K.VERIFY: (Event.VERIFIED, Role.OFFICER),
    K.CLOSE: (Event.CLOSED, Role.OFFICER),
    K.REVIEW: (Event.REVIEWED, Role.OFFICER),
    K.REOPEN: (Event.REOPENED, Role.OFFICER),
    K.FEEDBACK: (Event.FEEDBACK, Role.DISPATCHER),
    K.COMMENT: (Event.COMMENTED, Role.DISPATCHER),
}

DONE = (H.CLOSED, H.REVIEWED)
"""People are done with it."""
_ROLES = tuple(Role)


def may(role: Role, needed: Role) -> bool:
    """Return whether a role includes another.

    >>> may(Role.OFFICER, Role.DISPATCHER), may(Role.VIEWER, Role.DISPATCHER)
    (True, False)
    """
    return _ROLES.index(role) >= _ROLES.index(needed)


def legal(state: HandlingState) -> list[ActionKind]:
    """Return what people can do in a state of handling.

    >>> [str(kind) for kind in legal(HandlingState.CLOSED)]
    ['review', 'reopen', 'comment', 'feedback']
    """
    return [kind for before, kind in HANDLING if before is state]


def fingerprint_of(rule: str, cell: str) -> str:
    """Return what stays equal over all alerts of one rule and cell: 16 hex digits."""
    return sha256(f"{rule}|{cell}".encode()).hexdigest()[:16]


def alert_id_of(area: str, fingerprint: str, opened_ms: int, mode: Mode) -> str:
    """Return an alert's id, a function of what it is about and when it began: a replay makes the same one.

    >>> alert_id_of("310101", "00ff00ff00ff00ff", 1_672_484_400_000, Mode.LIVE)
    '310101-3ea3715a9ddb6c53'
    """
    return f"{area}-{sha256(f'{fingerprint}|{opened_ms}|{mode}'.encode()).hexdigest()[:16]}"


def advance(
    alert: Alert | None, situation: Situation | None, at_ms: int, *, mode: Mode, area_digits: int
) -> list[tuple[Alert, AlertEvent]]:
    """Return the transitions that take ``alert`` to what ``situation`` says, in order; none when it says nothing new.

    ``alert`` is None when none is open; ``situation`` None when nothing stands behind it any more (the caller has
    waited for ``clear_after_secs``; an unknown condition first becomes known again). Raises ``Fatal`` on a transition
    that the table doesn't know.
    """
    if situation is None:
        if alert is None:
            return []
        if alert.condition_state is ConditionState.UNKNOWN:
            return [_step(alert, Event.DATA_BACK, Reason.DATA_BACK, at_ms)]
        return [_step(alert, Event.CLEARED, Reason.BACK_TO_NORMAL, at_ms, level=Level.NONE)]
    if alert is None:
        return [_open(situation, at_ms, mode, area_digits)]
    steps: list[tuple[Alert, AlertEvent]] = []
    now = msgspec.structs.replace(alert, **told_of(situation))
    if now.condition_state is ConditionState.UNKNOWN and not situation.data_lost:
        steps.append(_step(now, Event.DATA_BACK, Reason.DATA_BACK, at_ms))
        now = steps[-1][0]
    if now.condition_state is ConditionState.ACTIVE and situation.level > now.level:
        steps.append(_step(now, Event.LEVEL_RAISED, situation.reason, at_ms, level=situation.level))
        now = steps[-1][0]
    elif now.condition_state is ConditionState.ACTIVE and situation.level < now.level:
        steps.append(_step(now, Event.LEVEL_LOWERED, Reason.LEVEL_LOWERED, at_ms, level=situation.level))
        now = steps[-1][0]
    if now.condition_state is ConditionState.ACTIVE and situation.data_lost:
        steps.append(_step(now, Event.DATA_LOST, Reason.DATA_LOST, at_ms))
    return steps


def merge(alert: Alert, into: str, at_ms: int, reason: Reason = Reason.MERGED) -> tuple[Alert, AlertEvent]:
    """Return the transition that ends ``alert``: its situation goes on as that of ``into``, an older alert that it has
    become part of or, with the reason ``reopened``, the one that reopens it."""
    return _step(msgspec.structs.replace(alert, merged_into=into), Event.MERGED, reason, at_ms, level=Level.NONE)


def told_of(situation: Situation) -> dict[str, Any]:
    """Return what an alert says of its situation."""
    names = ("evidence", "headline", "certainty", "kind", "trend", "cells", "findings")
    return {name: getattr(situation, name) for name in names} | {"centre": situation.centre or situation.cell}


def _open(situation: Situation, at_ms: int, mode: Mode, area_digits: int) -> tuple[Alert, AlertEvent]:
    area = area_of(situation.cell, area_digits)
    fingerprint = fingerprint_of(situation.rule, situation.cell)
    alert = Alert(
        alert_id=alert_id_of(area, fingerprint, at_ms, mode),
        fingerprint=fingerprint,
        rule=situation.rule,
        cell=situation.cell,
        area=area,
        version=1,
        level=situation.level,
        highest_level=situation.level,
        condition_state=TRANSITIONS[None, Event.OPENED],
        handling_state=HandlingState.NEW,
        mode=mode,
        opened_ms=at_ms,
        changed_ms=at_ms,
        cleared_ms=None,
        situation_id=situation.situation_id,
        follows=situation.follows,
        **told_of(situation),
    )
    return alert, event_of(None, alert, Event.OPENED, situation.reason, at_ms)


def _step(
    alert: Alert, what: Event, reason: Reason, at_ms: int, level: Level | None = None
) -> tuple[Alert, AlertEvent]:
    state = TRANSITIONS.get((alert.condition_state, what))
    if state is None:
        legal = ", ".join(event for before, event in TRANSITIONS if before is alert.condition_state) or "nothing"
        raise Fatal(f"alert {alert.alert_id} is {alert.condition_state}: {what} is illegal, legal is {legal}")
    new_level = alert.level if level is None else level
    after = msgspec.structs.replace(
        alert,
        version=alert.version + 1,
        level=new_level,
        highest_level=max(alert.highest_level, new_level),
        condition_state=state,
        changed_ms=at_ms,
        cleared_ms=at_ms if state is ConditionState.CLEARED else None,
    )
    return after, event_of(alert, after, what, reason, at_ms)


def event_of(before: Alert | None, after: Alert, event: Event, reason: Reason, at_ms: int) -> AlertEvent:
    """Return what is written down of a transition: what was, what is, and why; the actor is the engine."""
    return AlertEvent(
        alert_id=after.alert_id,
        version=after.version,
        event=event,
        reason=reason,
        at_ms=at_ms,
        actor=ENGINE,
        level_from=Level.NONE if before is None else before.level,
        level_to=after.level,
        condition_from=None if before is None else before.condition_state,
        condition_to=after.condition_state,
        handling_from=None if before is None else before.handling_state,
        handling_to=after.handling_state,
    )
