"""What the topics carry -> rows of the tables, as columns. Column names are those of ``schema/``, in any order.

Times are integers (milliseconds), as clickhouse-driver takes them for ``DateTime64(3)``; levels and states are numbers.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gridbeacon.frame import Judged
from gridbeacon.model import (
    Alert,
    AlertEvent,
    DeadLetter,
    Delivery,
    GridEvent,
    Notice,
    Silence,
    SituationReport,
    Verdict,
    Weighed,
    plain,
    to_json,
)
from gridbeacon.reasons import REASONS
from gridbeacon.vocabulary import METRICS

Columns = dict[str, list[Any]]
_KINDS = [str(m.kind) for m in METRICS]
_NAMES = [m.name for m in METRICS]
_WORDS = [str(reason) for reason in REASONS]


def observations(judged: Judged) -> Columns:
    """Return one row per observation with its verdict."""
    rows = judged.rows
    metric = rows.metric.tolist()
    sources, topics = rows.sources, rows.topics
    return {
        "observed_at": rows.observed_ms.tolist(),
        "kind": [_KINDS[m] for m in metric],
        "source": [sources[s] for s in rows.source.tolist()],
        "metric": [_NAMES[m] for m in metric],
        "grid_id": list(judged.grid),
        "value": rows.value.tolist(),
        "state": judged.state.tolist(),
        "reason": [_WORDS[r] for r in judged.reason.tolist()],
        "level": judged.level.tolist(),
        "expected": _nullable(judged.expected),
        "lower": _nullable(judged.lower),
        "upper": _nullable(judged.upper),
        "alarm": _nullable(judged.alarm),
        "severity": _nullable(judged.severity),
        "signal": _nullable(judged.signal),
        "direction": judged.direction.tolist(),
        "confidence": judged.confidence.tolist(),
        "history": judged.history.tolist(),
        "topic": [topics[t] for t in rows.topic.tolist()],
        "partition": rows.partition.tolist(),
        "offset": rows.offset.tolist(),
        "item": rows.index.tolist(),
    }


def verdicts(found: Iterable[Verdict]) -> Columns:
    """Return one row per verdict: the same rows as ``observations``, from values."""
    return _columns(
        {
            "observed_at": v.observed_ms,
            "kind": v.series.partition("/")[0],
            "source": v.series.partition("/")[2].rpartition("/")[0],
            "metric": v.series.rpartition("/")[2],
            "grid_id": v.cell,
            "value": v.value,
            "state": int(v.state),
            "reason": str(v.reason),
            "level": int(v.level),
            "expected": v.expected,
            "lower": v.lower,
            "upper": v.upper,
            "alarm": v.alarm,
            "severity": v.severity,
            "signal": v.signal,
            "direction": v.direction,
            "confidence": v.confidence,
            "history": v.history,
            "topic": v.lineage.topic,
            "partition": v.lineage.partition,
            "offset": v.lineage.offset,
            "item": v.lineage.index,
        }
        for v in found
    )


def _nullable(column: Any) -> list[float | None]:
    """Return a column with None for NaN."""
    missing = np.isnan(column)
    if missing.all():
        return [None] * len(column)
    if not missing.any():
        return column.tolist()  # type: ignore[no-any-return]
    return [None if value != value else value for value in column.tolist()]


def grid_events(events: Iterable[GridEvent]) -> Columns:
    """Return one row per grid event."""
    return _columns(
        {
            "occurred_at": e.occurred_ms,
            "reported_at": e.reported_ms,
            "service_request_id": e.service_request_id,
            "service_code": e.service_code,
            "service_name": e.service_name,
            "description": e.description,
            "grid_id": e.grid_id,
            "category_major": e.category_major,
            "category_minor": e.category_minor,
            "reporter_role": e.reporter_role,
            "verification": e.verification,
            "urgency": e.urgency,
            "status": e.status,
            "agency_responsible": e.agency_responsible,
            "address_string": e.address_string,
            "lat": e.lat,
            "long": e.long,
            "updated_at": e.updated_ms,
            "expected_at": e.expected_ms,
            "topic": e.position.topic,
            "partition": e.position.partition,
            "offset": e.position.offset,
            "item": e.position.index,
        }
        for e in events
    )


def alerts(found: Iterable[Alert]) -> Columns:
    """Return one row per alert as it stands."""
    return _columns(
        {
            "alert_id": a.alert_id,
            "fingerprint": a.fingerprint,
            "rule": a.rule,
            "cell": a.cell,
            "area": a.area,
            "version": a.version,
            "level": int(a.level),
            "highest_level": int(a.highest_level),
            "condition_state": str(a.condition_state),
            "handling_state": str(a.handling_state),
            "certainty": str(a.certainty),
            "mode": str(a.mode),
            "opened_at": a.opened_ms,
            "changed_at": a.changed_ms,
            "cleared_at": a.cleared_ms,
            "headline": a.headline,
            "situation_id": a.situation_id,
            "kind": str(a.kind),
            "trend": str(a.trend),
            "centre": a.centre or a.cell,
            "cells": list(a.cells),
            "findings": a.findings,
            "follows": a.follows,
            "merged_into": a.merged_into,
            "evidence": to_json(plain(a.evidence)).decode(),
            "assignee": a.assignee,
            "disposition": str(a.disposition or ""),
            "closed_at": a.closed_ms,
            "reopens": a.reopens,
        }
        for a in found
    )


def alert_events(events: Iterable[AlertEvent]) -> Columns:
    """Return one row per transition."""
    return _columns(
        {
            "alert_id": e.alert_id,
            "version": e.version,
            "at": e.at_ms,
            "event": str(e.event),
            "reason": str(e.reason),
            "actor": e.actor,
            "level_from": int(e.level_from),
            "level_to": int(e.level_to),
            "condition_from": str(e.condition_from or ""),
            "condition_to": str(e.condition_to),
            "handling_from": str(e.handling_from or ""),
            "handling_to": str(e.handling_to),
            "note": e.note,
            "notice_id": e.notice_id,
            "held": str(e.held or ""),
            "action_id": e.action_id,
            "action": str(e.action),
            "role": str(e.role or ""),
            "source": str(e.source or ""),
            "assignee": e.assignee,
            "disposition": str(e.disposition or ""),
            "refusal": str(e.refusal or ""),
        }
        for e in events
    )


def silences(found: Iterable[tuple[Silence, int]]) -> Columns:
    """Return one row per silence as it stands, each given with its version."""
    return _columns(
        {
            "silence_id": s.silence_id,
            "version": version,
            "owner": s.owner,
            "reason": s.reason,
            "starts_at": s.starts_ms,
            "ends_at": s.ends_ms,
            "cells": s.cells,
            "rule": s.rule,
            "up_to": int(s.up_to),
            "source": str(s.source),
        }
        for s, version in found
    )


def situations(found: Iterable[SituationReport]) -> Columns:
    """Return one row per report of a situation."""
    return _columns(
        {
            "situation_id": r.situation.situation_id,
            "version": r.version,
            "rule": r.situation.rule,
            "area": r.area,
            "cell": r.situation.centre,
            "begun_in": r.situation.cell,
            "cells": list(r.situation.cells),
            "kind": str(r.situation.kind),
            "level": int(r.situation.level),
            "highest_level": int(r.highest_level),
            "reason": str(r.situation.reason),
            "certainty": str(r.situation.certainty),
            "state": str(r.state),
            "trend": str(r.situation.trend),
            "opened_at": r.situation.opened_ms,
            "changed_at": r.changed_ms,
            "alert_id": r.alert_id,
            "follows": r.situation.follows,
            "merged_into": r.merged_into,
            "findings": r.situation.findings,
            "sentence": r.situation.headline,
            "evidence": to_json(plain(r.situation.evidence)).decode(),
        }
        for r in found
    )


def weighed(found: Iterable[Weighed]) -> Columns:
    """Return one row per decision of the alarm budget."""
    return _columns(
        {
            "decided_at": w.decided_ms,
            "cell": w.cell,
            "series": w.series,
            "reason": str(w.decision.reason),
            "score": w.score,
            "rate": w.decision.rate,
            "limit": w.decision.limit,
            "left": w.decision.left,
            "partners": list(w.decision.partners),
            "topic": w.lineage.topic,
            "partition": w.lineage.partition,
            "offset": w.lineage.offset,
        }
        for w in found
    )


def notices(found: Iterable[Notice]) -> Columns:
    """Return one row per notice."""
    return _columns(
        {
            "notice_id": n.notice_id,
            "alert_id": n.alert_id,
            "sequence": n.sequence,
            "type": n.type,
            "level": int(n.level),
            "at": n.at_ms,
            "body": n.body,
            "receivers": list(n.receivers),
            "endpoints": list(n.endpoints or ()),
        }
        for n in found
    )


def deliveries(found: Iterable[Delivery]) -> Columns:
    """Return one row per attempt."""
    return _columns(
        {
            "notice_id": d.notice_id,
            "alert_id": d.alert_id,
            "sequence": d.sequence,
            "type": d.type,
            "reason": d.reason,
            "endpoint": d.endpoint,
            "profile": d.profile,
            "attempt": d.attempt,
            "attempted_at": d.attempted_ms,
            "duration_ms": d.duration_ms,
            "status": d.status,
            "outcome": str(d.outcome),
            "detail": d.detail,
        }
        for d in found
    )


def dead_letters(found: Iterable[DeadLetter]) -> Columns:
    """Return one row per dead letter."""
    return _columns(
        {
            "rejected_at": d.rejected_ms,
            "reason": str(d.reason),
            "stage": str(d.stage),
            "detail": d.detail,
            "topic": d.topic,
            "partition": d.partition,
            "offset": d.offset,
            "item": d.index,
            "body": d.body,
            "body_bytes": d.body_bytes,
        }
        for d in found
    )


def _columns(rows: Iterable[dict[str, Any]]) -> Columns:
    columns: Columns = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def extend(columns: Columns, more: Columns) -> None:
    """Append the rows of ``more`` (of the same table) to ``columns``."""
    for name, values in more.items():
        columns.setdefault(name, []).extend(values)


def length(columns: Columns) -> int:
    """Return the number of rows."""
    return len(next(iter(columns.values()), []))
