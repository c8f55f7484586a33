"""Bodies for machines: Prometheus Alertmanager's webhook, CloudEvents, PagerDuty."""

from hashlib import sha256
from typing import Any

import msgspec

from gridbeacon.config_notify import Webhook
from gridbeacon.reasons import Level
from sinks.bodies.message import CLEARED, OVER, Message, Setting
from sinks.bodies.words import marked

#: How Alertmanager writes "not over yet": Go's zero time.
NO_END = "0001-01-01T00:00:00Z"
PAGERDUTY_SEVERITY = {Level.BLUE: "info", Level.YELLOW: "warning", Level.ORANGE: "error", Level.RED: "critical"}
SUMMARY_MAX_CHARS = 1024
ACKNOWLEDGED = frozenset({"alert.acknowledged"})


def alertmanager(message: Message, hook: Webhook, setting: Setting) -> bytes:
    """Return webhook version 4 of Prometheus Alertmanager: a group of one alert.

    The group's key and the alert's fingerprint follow from what never changes in an alert, so that a raised level
    updates it instead of making another; ``resolved`` is said when the condition is over, and never while it is
    unknown.
    """
    data = message.data
    status = "resolved" if message.type == CLEARED or data.condition_state == "cleared" else "firing"
    lasting = {"alertname": data.rule, "alert_id": data.alert_id, "cell": data.cell, "area": data.area}
    labels = lasting | {"mode": data.mode, "severity": message.level.word}
    annotations = {
        "summary": data.headline,
        "description": "\n".join(finding.text for finding in data.evidence if finding.text),
        "type": message.type,
        "reason": data.reason,
        "kind": data.kind,
        "trend": data.trend,
        "centre": message.place,
        "condition_state": data.condition_state,
        "handling_state": data.handling_state,
        "sequence": str(data.sequence),
    }
    group = {"alert_id": data.alert_id}
    body: dict[str, Any] = {
        "version": "4",
        "groupKey": f'{{}}:{{alert_id="{data.alert_id}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": hook.name,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": data.opened_at or message.timestamp,
                "endsAt": (data.cleared_at or message.timestamp) if status == "resolved" else NO_END,
                "generatorURL": "",
                "fingerprint": sha256("|".join([setting.sender, *lasting.values()]).encode()).hexdigest()[:16],
            }
        ],
    }
    return msgspec.json.encode(body)


def cloudevents(message: Message, hook: Webhook, setting: Setting) -> bytes:  # noqa: ARG001 - as every profile
    """Return a CloudEvent 1.0 in structured mode; ``id`` is the ``webhook-id``, ``data`` that of the standard body."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": message.notice_id,
            "source": setting.sender,
            "type": f"gridbeacon.{message.type}",
            "subject": message.data.alert_id,
            "time": message.timestamp,
            "datacontenttype": "application/json",
            "data": msgspec.Raw(message.raw_data),
        }
    )


def pagerduty(message: Message, hook: Webhook, setting: Setting) -> bytes:
    """Return an event of PagerDuty's Events API v2: all notices of an alert have its id as ``dedup_key``.

    ``resolve`` ends the incident when the condition or the case is over; while data are missing it stays open.
    """
    data = message.data
    action = "resolve" if message.type in OVER else "acknowledge" if message.type in ACKNOWLEDGED else "trigger"
    body: dict[str, Any] = {
        "routing_key": hook.routing_key,
        "event_action": action,
        "dedup_key": data.alert_id,
        "client": "Gridbeacon",
    }
    if action == "trigger":
        body["payload"] = {
            "summary": marked(data.mode, data.headline, "en")[:SUMMARY_MAX_CHARS],
            "source": setting.sender,
            "severity": PAGERDUTY_SEVERITY.get(message.level, "info"),
            "timestamp": message.timestamp,
            "component": message.place,
            "group": data.area,
            "class": data.kind or data.rule,
            "custom_details": msgspec.Raw(message.raw_data),
        }
    return msgspec.json.encode(body)
