"""People's side of the life of an alert: ``handle`` makes the transitions of its handling, by the table.

Also what the engine does on that axis: it closes what was left open, and lets a closed alert go on as a new one.
"""

import msgspec

from gridbeacon.lifecycle import (
    ACTIONS,
    HANDLING,
    TRANSITIONS,
    C,
    Event,
    H,
    K,
    alert_id_of,
    event_of,
    legal,
    may,
    told_of,
)
from gridbeacon.model import Action, Alert, AlertEvent, Situation
from gridbeacon.reasons import Level, Reason, Refusal


def handle(alert: Alert, action: Action, at_ms: int) -> tuple[Alert, AlertEvent]:
    """Return the alert after a person's action, and the event: what happened, or ``refused`` with the reason.

    A refused action changes nothing; its event says in words what would be legal.
    """
    event, needed = ACTIONS[action.kind]
    if not may(action.role, needed):
        return alert, refused(alert, action, at_ms, Refusal.NOT_PERMITTED, f"it takes the role {needed}")
    if action.version is not None and action.version != alert.version:
        words = f"version {action.version} was seen, {alert.version} is how it stands; look again"
        return alert, refused(alert, action, at_ms, Refusal.OLD_VERSION, words)
    state = HANDLING.get((alert.handling_state, action.kind))
    if state is None:
        words = f"it is {alert.handling_state}; legal is {', '.join(legal(alert.handling_state))}"
        return alert, refused(alert, action, at_ms, Refusal.ILLEGAL_STEP, words)
    missing = _missing(alert, action)
    if missing is not None:
        return alert, refused(alert, action, at_ms, *missing)
    after = msgspec.structs.replace(
        alert,
        version=alert.version + 1,
        handling_state=state,
        changed_ms=at_ms,
        assignee=action.assignee or alert.assignee,
        disposition=action.disposition or alert.disposition,
        closed_ms=at_ms if state is H.CLOSED and alert.closed_ms is None else alert.closed_ms,
    )
    return after, _acted(alert, after, action, event, at_ms, note=action.note)


def refused(alert: Alert | None, action: Action, at_ms: int, refusal: Refusal, words: str) -> AlertEvent:
    """Return the audit row of an action that was refused; ``alert`` is None when there is none of that id."""
    note = f"{action.kind}: {words}"
    if alert is not None:
        return _acted(alert, alert, action, Event.REFUSED, at_ms, note=note, refusal=refusal)
    return AlertEvent(
        alert_id=action.alert_id,
        version=0,
        event=Event.REFUSED,
        reason=Reason.ACTION,
        at_ms=at_ms,
        actor=action.actor,
        level_from=Level.NONE,
        level_to=Level.NONE,
        condition_from=None,
        condition_to=C.UNKNOWN,
        handling_from=None,
        handling_to=H.NEW,
        note=note,
        action_id=action.action_id,
        action=action.kind,
        role=action.role,
        source=action.source,
        refusal=refusal,
    )


def leave(alert: Alert, at_ms: int) -> tuple[Alert, AlertEvent]:
    """Return the alert closed by the engine: its condition has long been over, and nobody has closed it."""
    state = HANDLING[alert.handling_state, K.CLOSE]
    after = msgspec.structs.replace(
        alert, version=alert.version + 1, handling_state=state, changed_ms=at_ms, closed_ms=at_ms
    )
    return after, event_of(alert, after, Event.CLOSED, Reason.LEFT_OPEN, at_ms)


def reopen(alert: Alert, at_ms: int, situation: Situation | None = None, actor: str = "") -> tuple[Alert, AlertEvent]:
    """Return the new alert as which a closed one goes on, linked to it: with the condition that ``situation`` says,
    None for the same as before. ``actor`` is who wanted it, "" for the engine."""
    # The old alert's id makes this one's: even one that began and was closed at this very instant has another.
    fresh = msgspec.structs.replace(
        alert,
        alert_id=alert_id_of(alert.area, f"{alert.fingerprint}|{alert.alert_id}", at_ms, alert.mode),
        version=1,
        highest_level=alert.level,
        handling_state=H.NEW,
        opened_ms=at_ms,
        changed_ms=at_ms,
        assignee="",
        disposition=None,
        closed_ms=None,
        reopens=alert.alert_id,
    )
    if situation is not None:
        fresh = msgspec.structs.replace(
            fresh,
            level=situation.level,
            highest_level=situation.level,
            condition_state=TRANSITIONS[None, Event.OPENED],
            **told_of(situation),
        )
    event = event_of(None, fresh, Event.OPENED, Reason.REOPENED, at_ms)
    return fresh, msgspec.structs.replace(event, actor=actor or event.actor)


def _missing(alert: Alert, action: Action) -> tuple[Refusal, str] | None:
    match action.kind:
        case K.CLOSE if alert.condition_state is not C.CLEARED and not action.note.strip():
            return Refusal.REASON_MISSING, f"its condition is {alert.condition_state}; say why it is closed"
        case K.COMMENT if not action.note.strip():
            return Refusal.REASON_MISSING, "a comment without words"
        case K.ASSIGN if not action.assignee.strip():
            return Refusal.ASSIGNEE_MISSING, "say to whom"
        case K.FEEDBACK if action.disposition is None:
            return Refusal.DISPOSITION_MISSING, "say which disposition"
    return None


def _acted(
    before: Alert, after: Alert, action: Action, event: Event, at_ms: int, *, note: str, refusal: Refusal | None = None
) -> AlertEvent:
    return msgspec.structs.replace(
        event_of(before, after, event, Reason.ACTION, at_ms),
        actor=action.actor,
        note=note,
        action_id=action.action_id,
        action=action.kind,
        role=action.role,
        source=action.source,
        assignee=action.assignee,
        disposition=action.disposition,
        refusal=refusal,
    )
