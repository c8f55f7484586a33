"""Notices: what dispatchers are told of a transition, as the exact bytes that are signed and sent.

Whether they are told at all is said by ``stages.hold_back``.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from gridbeacon.lifecycle import Event
from gridbeacon.model import Alert, AlertEvent, Evidence, Foreseen, Notice
from gridbeacon.reasons import CAP_SEVERITY, Certainty, ConditionState, Level, Mode

OPENED = "alert.opened"
LEVEL_RAISED = "alert.level_raised"
UNKNOWN = "alert.unknown"
ACTIVE = "alert.active"
CLEARED = "alert.cleared"
ACKNOWLEDGED = "alert.acknowledged"
RESOLVED = "alert.resolved"
CLOSED = "alert.closed"
ESCALATED = "alert.escalated"
REPEATED = "alert.repeated"

#: Event -> type of its notice, once dispatchers have heard of the alert. What is missing is held.
NOTICE_TYPES: dict[str, str] = {
    Event.OPENED: OPENED,
    Event.LEVEL_RAISED: LEVEL_RAISED,
    Event.DATA_LOST: UNKNOWN,
    Event.DATA_BACK: ACTIVE,
    Event.CLEARED: CLEARED,
    Event.MERGED: CLEARED,
    Event.ACKNOWLEDGED: ACKNOWLEDGED,
    Event.RESOLVED: RESOLVED,
    Event.CLOSED: CLOSED,
    Event.ESCALATED: ESCALATED,
    Event.REPEATED: REPEATED,
    Event.GROUPED: LEVEL_RAISED,
    Event.RELEASED: LEVEL_RAISED,
}
NEWS = (Event.OPENED, Event.LEVEL_RAISED, Event.GROUPED, Event.RELEASED)
"""What asks people to act, and may be held back; of what they have heard they are told the end whatever happens."""

# A dispatcher acts on the worst few findings; a webhook body should stay near 10 KB (Standard Webhooks asks for < 20).
EVIDENCE_MAX = 20
HOUR_MS = 3_600_000

GROUP_MAX = 50
NAMED_MAX = 3
CELLS_MAX = 50
"""A situation may cover a whole district; where it is worst is its centre."""

_CAP_STATUS = {Mode.LIVE: "Actual", Mode.REPLAY: "System", Mode.EXERCISE: "Exercise", Mode.TEST: "Test"}
_CAP_MSG_TYPE = {OPENED: "Alert", CLEARED: "Cancel"}
_CAP_URGENCY = {
    Level.BLUE: "Expected",
    Level.YELLOW: "Expected",
    Level.ORANGE: "Immediate",
    Level.RED: "Immediate",
}
_CAP_RESPONSE = {Level.BLUE: "Monitor", Level.YELLOW: "Assess", Level.ORANGE: "Prepare", Level.RED: "Execute"}
_CAP_CATEGORY = {"crowd": "Safety", "events": "Safety", "traffic": "Transport"}
# The headline of the record names the worst finding; alone it would read like an alarm when it is over.
_HEADLINE_START = {CLEARED: "Cleared: ", UNKNOWN: "No data any more: "}


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """A transition on its way to becoming a notice, with what was told of its alert before.

    ``alert`` is the record after ``event``; ``notices`` (>= 0) of it went out, the last one at ``told_ms``, and the
    highest level said so far is ``told_level``; ``told`` are the webhooks that have heard of it. ``others`` are the
    alerts of its group that the same notice tells of.
    """

    alert: Alert
    event: AlertEvent
    notices: int = 0
    told: tuple[str, ...] = ()
    told_level: Level = Level.NONE
    told_ms: int = 0
    receivers: tuple[str, ...] = ()
    endpoints: tuple[str, ...] | None = None
    escalation: str = ""
    others: tuple[Alert, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether dispatchers have heard of the alert."""
        return bool(self.notices or self.told or self.told_ms)


def notice_of(telling: Telling) -> Notice:
    """Return the notice of a transition that nothing holds back."""
    alert, sequence = telling.alert, telling.notices + 1
    return Notice(
        notice_id=notice_id_of(alert.alert_id, sequence),
        alert_id=alert.alert_id,
        sequence=sequence,
        type=type_of(telling.event, sequence),
        level=alert.level,
        at_ms=telling.event.at_ms,
        body=standard_body(alert, telling.event, sequence, receivers=telling.receivers, others=telling.others),
        endpoints=telling.endpoints,
        receivers=telling.receivers,
    )


def notice_id_of(alert_id: str, sequence: int) -> str:
    """Return the ``webhook-id`` of an alert's notice number ``sequence``: a function of both, equal on every repeat.

    >>> notice_id_of("310101-49a2b0c9bf7f9bd7", 1)
    'msg_f2e7b337e3f57c0ea881014933034c37'
    """
    return "msg_" + sha256(f"{alert_id}|{sequence}".encode()).hexdigest()[:32]


def standard_body(
    alert: Alert,
    event: AlertEvent,
    sequence: int,
    *,
    receivers: tuple[str, ...] = (),
    others: tuple[Alert, ...] = (),
) -> str:
    """Return the JSON that is signed and sent (``docs/webhooks.md`` explains each field).

    Built from the record alone, keys in a fixed order, so that a repeat has the same bytes; at most ``EVIDENCE_MAX``
    findings, worst first, while ``evidence_count`` says how many stand behind the alert.
    """
    notice_type = type_of(event, sequence)
    body = {
        "type": notice_type,
        "timestamp": _utc(event.at_ms),
        "data": {
            "alert_id": alert.alert_id,
            "sequence": sequence,
            "version": alert.version,
            "event": event.event,
            "reason": event.reason,
            "level": alert.level.word,
            "previous_level": event.level_from.word,
            "highest_level": alert.highest_level.word,
            "headline": _headline(alert, notice_type) + _also(others),
            "kind": alert.kind,
            "trend": alert.trend,
            "cell": alert.cell,
            "centre": alert.centre or alert.cell,
            "cells": alert.cells[:CELLS_MAX],
            "cells_count": len(alert.cells),
            "area": alert.area,
            "rule": alert.rule,
            "mode": alert.mode,
            "condition_state": alert.condition_state,
            "handling_state": alert.handling_state,
            "actor": event.actor,
            "note": event.note,
            "receivers": receivers,
            "opened_at": _utc(alert.opened_ms),
            "cleared_at": None if alert.cleared_ms is None else _utc(alert.cleared_ms),
            "cap": _cap(alert, notice_type, sequence),
            "follows": alert.follows or None,
            "merged_into": alert.merged_into or None,
            "reopens": alert.reopens or None,
            "group_count": len(others),
            "group": [
                {"alert_id": o.alert_id, "level": o.level.word, "cell": o.cell, "headline": o.headline}
                for o in others[:GROUP_MAX]
            ],
            "evidence_count": max(alert.findings, len(alert.evidence)),
            "evidence": [_evidence(e) for e in alert.evidence[:EVIDENCE_MAX]],
        },
    }
    return msgspec.json.encode(body).decode()


def _headline(alert: Alert, notice_type: str) -> str:
    if alert.merged_into:
        return f"Now part of alert {alert.merged_into}: {alert.headline}"
    return _HEADLINE_START.get(notice_type, "") + alert.headline


def _also(others: tuple[Alert, ...]) -> str:
    """Return the end of the headline of a group: what reads nothing but the headline must not miss the others."""
    if not others:
        return ""
    cells = ", ".join(other.centre or other.cell for other in others[:NAMED_MAX])
    more = f" and {len(others) - NAMED_MAX} more" if len(others) > NAMED_MAX else ""
    return f"; at the same time also in {cells}{more}"


def type_of(event: AlertEvent, sequence: int) -> str:
    """Return the type of an alert's notice number ``sequence``."""
    found = NOTICE_TYPES[event.event]
    if event.event == Event.GROUPED:
        found = CLEARED if event.condition_to is ConditionState.CLEARED else LEVEL_RAISED
    # An alert that opened below the minimum level and then rose is new to its reader: the first notice opens it.
    return OPENED if sequence == 1 and found == LEVEL_RAISED else found


def _cap(alert: Alert, notice_type: str, sequence: int) -> dict[str, Any]:
    """Return the words of CAP 1.2 (OASIS Common Alerting Protocol) for the notice, keys as in that standard."""
    unknown = alert.condition_state is ConditionState.UNKNOWN
    over = alert.condition_state is ConditionState.CLEARED  # people act on it all the same
    kinds = {e.series.partition("/")[0] for e in alert.evidence}
    return {
        "status": _CAP_STATUS[alert.mode],
        "msgType": _CAP_MSG_TYPE.get(notice_type, "Update"),
        "scope": "Restricted",
        "references": [notice_id_of(alert.alert_id, earlier) for earlier in range(1, sequence)],
        "category": sorted({_CAP_CATEGORY.get(kind, "Other") for kind in kinds}) or ["Safety"],
        "responseType": ["AllClear" if over else "Assess" if unknown else _CAP_RESPONSE[alert.level]],
        "urgency": "Past" if over else "Unknown" if unknown else _urgency(alert),
        "severity": CAP_SEVERITY[alert.level],
        "certainty": Certainty.UNKNOWN if unknown else alert.certainty,
    }


def _urgency(alert: Alert) -> str:
    """Return how soon to act: what is only foreseen is expected within the hour, or later ("Future")."""
    foreseen = [e.foreseen.expected_ms for e in alert.evidence if e.foreseen is not None]
    if not foreseen or len(foreseen) < len(alert.evidence):
        return _CAP_URGENCY[alert.level]
    return "Expected" if min(foreseen) - alert.changed_ms <= HOUR_MS else "Future"


def _foreseen(seen: Foreseen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {
        "tier": seen.tier.word,
        "expected_at": _utc(seen.expected_ms),
        "from": _utc(seen.from_ms),
        "until": None if seen.until_ms is None else _utc(seen.until_ms),
        "probability": round(seen.probability, 3),
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    topic, partition, offset, index = evidence.lineage
    return {
        "series": evidence.series,
        "layer": evidence.layer,
        "reason": evidence.reason,
        "level": evidence.level.word,
        "value": evidence.value,
        "expected": evidence.expected,
        "threshold": evidence.threshold,
        "since": _utc(evidence.since_ms),
        "foreseen": _foreseen(evidence.foreseen),
        "text": evidence.text,
        "cell": evidence.cell or None,
        "source": {"topic": topic, "partition": partition, "offset": offset, "index": index},
    }


def _utc(time_ms: int) -> str:
    spec = "milliseconds" if time_ms % 1000 else "seconds"
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec=spec).replace("+00:00", "Z")
