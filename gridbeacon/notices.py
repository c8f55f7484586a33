"""Hold back: a transition of an alert -> the notice that dispatchers get, or the reason why they get none."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from gridbeacon.config import Situate
from gridbeacon.lifecycle import DONE, Event
from gridbeacon.model import Alert, AlertEvent, Evidence, Foreseen, Notice
from gridbeacon.reasons import CAP_SEVERITY, Certainty, ConditionState, HoldReason, Level, Mode
from gridbeacon.situation import DATA_HEALTH

OPENED = "alert.opened"
LEVEL_RAISED = "alert.level_raised"
UNKNOWN = "alert.unknown"
ACTIVE = "alert.active"
CLEARED = "alert.cleared"
ACKNOWLEDGED = "alert.acknowledged"
RESOLVED = "alert.resolved"
CLOSED = "alert.closed"

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
}

# A dispatcher acts on the worst few findings; a webhook body should stay near 10 KB (Standard Webhooks asks for < 20).
EVIDENCE_MAX = 20
HOUR_MS = 3_600_000

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


def hold_back(alert: Alert, event: AlertEvent, config: Situate, *, notices: int) -> Notice | HoldReason:
    """Return the notice of a transition, or the reason why it is held.

    ``alert`` is the record after ``event``; ``notices`` (>= 0) says how many notices of this alert went out before:
    the caller counts them. A notice goes out when the alert opens or its level rises, at ``min_notice_level`` or
    above, and from then on also when its data stop, come back, or it clears: who was told of an alert is told of its
    end. A lowered level is held (``level_lowered``), as is all that nobody was told of (``below_min_level``).
    Findings about data (rule ``data_health``) are the duty officer's: ``not_for_dispatch``. Of what people do, others
    hear that an alert was acknowledged, was resolved, or was closed before it was over; the rest is ``for_the_record``.
    """
    if event.refusal is not None:
        return HoldReason.REFUSED
    if event.action and event.event not in NOTICE_TYPES:
        return HoldReason.FOR_THE_RECORD
    if event.event == Event.CLOSED and alert.condition_state is ConditionState.CLEARED:
        return HoldReason.FOR_THE_RECORD
    if alert.rule == DATA_HEALTH:
        return HoldReason.NOT_FOR_DISPATCH
    notice_type = NOTICE_TYPES.get(event.event)
    if notice_type is None:
        return HoldReason.LEVEL_LOWERED
    if alert.handling_state in DONE and event.event in (Event.LEVEL_RAISED, Event.DATA_LOST, Event.DATA_BACK):
        return HoldReason.CLOSED
    if notice_type in (OPENED, LEVEL_RAISED):
        if alert.level < Level[config.min_notice_level.upper()]:
            return HoldReason.BELOW_MIN_LEVEL
    elif not notices:
        return HoldReason.BELOW_MIN_LEVEL
    sequence = notices + 1
    return Notice(
        notice_id=notice_id_of(alert.alert_id, sequence),
        alert_id=alert.alert_id,
        sequence=sequence,
        type=_type_of(event, sequence),
        level=alert.level,
        at_ms=event.at_ms,
        body=standard_body(alert, event, sequence),
    )


def notice_id_of(alert_id: str, sequence: int) -> str:
    """Return the ``webhook-id`` of an alert's notice number ``sequence``: a function of both, equal on every repeat.

    >>> notice_id_of("310101-49a2b0c9bf7f9bd7", 1)
    'msg_f2e7b337e3f57c0ea881014933034c37'
    """
    return "msg_" + sha256(f"{alert_id}|{sequence}".encode()).hexdigest()[:32]


def standard_body(alert: Alert, event: AlertEvent, sequence: int) -> str:
    """Return the JSON that is signed and sent (``docs/webhooks.md`` explains each field).

    Built from the record alone, keys in a fixed order, so that a repeat has the same bytes; at most ``EVIDENCE_MAX``
    findings, worst first, while ``evidence_count`` says how many stand behind the alert.
    """
    notice_type = _type_of(event, sequence)
    body = {
        "type": notice_type,
        "timestamp": _utc(event.at_ms),
        "data": {
            "alert_id": alert.alert_id,
            "sequence": sequence,
            "event": event.event,
            "reason": event.reason,
            "level": alert.level.word,
            "previous_level": event.level_from.word,
            "highest_level": alert.highest_level.word,
            "headline": _headline(alert, notice_type),
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
            "opened_at": _utc(alert.opened_ms),
            "cleared_at": None if alert.cleared_ms is None else _utc(alert.cleared_ms),
            "cap": _cap(alert, notice_type, sequence),
            "follows": alert.follows or None,
            "merged_into": alert.merged_into or None,
            "evidence_count": max(alert.findings, len(alert.evidence)),
            "evidence": [_evidence(e) for e in alert.evidence[:EVIDENCE_MAX]],
        },
    }
    return msgspec.json.encode(body).decode()


def _headline(alert: Alert, notice_type: str) -> str:
    if alert.merged_into:
        return f"Now part of alert {alert.merged_into}: {alert.headline}"
    return _HEADLINE_START.get(notice_type, "") + alert.headline


def _type_of(event: AlertEvent, sequence: int) -> str:
    # An alert that opened below the minimum level and then rose is new to its reader: the first notice opens it.
    return OPENED if sequence == 1 else NOTICE_TYPES[event.event]


def _cap(alert: Alert, notice_type: str, sequence: int) -> dict[str, Any]:
    """Return the words of CAP 1.2 (OASIS Common Alerting Protocol) for the notice, keys as in that standard."""
    unknown = alert.condition_state is ConditionState.UNKNOWN
    over = notice_type == CLEARED
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
