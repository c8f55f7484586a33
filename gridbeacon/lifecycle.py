"""The life of an alert: one table of legal transitions, and ``advance``, the only function that makes them."""

from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from gridbeacon.errors import Fatal
from gridbeacon.model import Alert, AlertEvent, Situation
from gridbeacon.places import area_of
from gridbeacon.reasons import ConditionState, HandlingState, Level, Mode, Reason

ENGINE = "gridbeacon"


class Event(StrEnum):
    """What can happen to an alert's condition."""

    OPENED = "opened"
    LEVEL_RAISED = "level_raised"
    LEVEL_LOWERED = "level_lowered"
    DATA_LOST = "data_lost"
    DATA_BACK = "data_back"
    CLEARED = "cleared"
    MERGED = "merged"


#: (state before, event) -> state after. What is not here is illegal: a condition that is unknown never clears, and
#: a cleared one stays cleared (the next situation is a new alert). Handling (people's axis) is untouched by all.
TRANSITIONS: dict[tuple[ConditionState | None, Event], ConditionState] = {
    (None, Event.OPENED): ConditionState.ACTIVE,
    (ConditionState.ACTIVE, Event.LEVEL_RAISED): ConditionState.ACTIVE,
    (ConditionState.ACTIVE, Event.LEVEL_LOWERED): ConditionState.ACTIVE,
    (ConditionState.ACTIVE, Event.DATA_LOST): ConditionState.UNKNOWN,
    (ConditionState.UNKNOWN, Event.DATA_BACK): ConditionState.ACTIVE,
    (ConditionState.ACTIVE, Event.CLEARED): ConditionState.CLEARED,
    # The other alert goes on with all that stood behind this one, also with what nobody knows.
    (ConditionState.ACTIVE, Event.MERGED): ConditionState.CLEARED,
    (ConditionState.UNKNOWN, Event.MERGED): ConditionState.CLEARED,
}


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
    now = msgspec.structs.replace(alert, **_of(situation))
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


def merge(alert: Alert, into: str, at_ms: int) -> tuple[Alert, AlertEvent]:
    """Return the transition that ends ``alert``: its situation has become part of that of the older alert ``into``."""
    return _step(msgspec.structs.replace(alert, merged_into=into), Event.MERGED, Reason.MERGED, at_ms, level=Level.NONE)


def _of(situation: Situation) -> dict[str, Any]:
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
        **_of(situation),
    )
    event = AlertEvent(
        alert_id=alert.alert_id,
        version=1,
        event=Event.OPENED,
        reason=situation.reason,
        at_ms=at_ms,
        actor=ENGINE,
        level_from=Level.NONE,
        level_to=alert.level,
        condition_from=None,
        condition_to=alert.condition_state,
        handling_from=None,
        handling_to=alert.handling_state,
    )
    return alert, event


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
    event = AlertEvent(
        alert_id=alert.alert_id,
        version=after.version,
        event=what,
        reason=reason,
        at_ms=at_ms,
        actor=ENGINE,
        level_from=alert.level,
        level_to=new_level,
        condition_from=alert.condition_state,
        condition_to=state,
        handling_from=alert.handling_state,
        handling_to=alert.handling_state,
    )
    return after, event
