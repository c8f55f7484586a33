"""What the review asks of ClickHouse: each figure's SQL with its values in it, as the page shows it to be run again."""

from typing import Any

from gridbeacon.config import Config
from gridbeacon.review import Figures
from sinks.clickhouse import ask

_CHOSEN = "opened_at >= {from} AND opened_at < {to} AND mode = 'live'"
#: The questions of a time, in the order in which the page shows them. {from} and {to} are its ends.
QUESTIONS: dict[str, str] = {
    "alerts": f"""
SELECT alert_id, toUnixTimestamp64Milli(opened_at) AS opened_ms, toUnixTimestamp64Milli(cleared_at) AS cleared_ms,
       rule, cell, if(place = '', cell, place) AS place, toInt8(highest_level) AS level,
       raised_after_minutes, acknowledged_after_minutes, dispatched_after_minutes,
       resolved_after_minutes, notices, escalations, disposition, headline
FROM alert_review
WHERE {_CHOSEN}
ORDER BY opened_at, alert_id
""",
    "evidence": f"""
SELECT alert_id, JSONExtractString(evidence, 1, 'series') AS series, JSONExtractString(evidence, 1, 'layer') AS layer,
       JSONExtractString(evidence, 1, 'reason') AS reason, JSONExtractFloat(evidence, 1, 'value') AS value
FROM alerts FINAL
WHERE {_CHOSEN}
ORDER BY alert_id
""",
    "feedback": f"""
SELECT alert_id, toUnixTimestamp64Milli(at) AS at_ms, actor, disposition, note
FROM alert_events FINAL
WHERE event = 'feedback' AND alert_id IN (SELECT alert_id FROM alerts FINAL WHERE {_CHOSEN})
ORDER BY at, alert_id
""",
    "held": f"""
SELECT held, count() AS times
FROM alert_events FINAL
WHERE held != '' AND version > 0 AND alert_id IN (SELECT alert_id FROM alerts FINAL WHERE {_CHOSEN})
GROUP BY held
ORDER BY times DESC, held
""",
    "deliveries": """
SELECT endpoint, uniqExact(notice_id) AS notices, countIf(outcome != 'delivered') AS failed_attempts,
       uniqExactIf(notice_id, outcome = 'delivered') AS delivered, quantileExact(0.99)(duration_ms) AS p99_ms
FROM deliveries FINAL
WHERE attempted_at >= {from} AND attempted_at < {to}
GROUP BY endpoint
ORDER BY endpoint
""",
    "forecasts": """
SELECT v.lead_minutes AS lead_minutes, v.model AS model, count() AS forecasts, avg(abs(v.error)) AS wrong_by,
       avg(abs(v.value - p.earlier)) AS standing_still_by, avg(v.inside_80) AS inside_80, avg(v.inside_95) AS inside_95
FROM forecast_verification AS v
INNER JOIN
(
    SELECT grid_id, kind, metric, source, bucket, mean AS earlier
    FROM observations_15m
    WHERE bucket >= {from} - INTERVAL 1 DAY AND bucket < {to}
      AND grid_id IN (SELECT DISTINCT grid_id FROM forecasts WHERE target_at >= {from} AND target_at < {to} LIMIT 40)
) AS p ON p.grid_id = v.grid_id AND p.kind = v.kind AND p.metric = v.metric AND p.source = v.source
    AND p.bucket = toStartOfFifteenMinutes(v.target_at - toIntervalMinute(v.lead_minutes))
WHERE v.target_at >= {from} AND v.target_at < {to}
  AND v.grid_id IN (SELECT DISTINCT grid_id FROM forecasts WHERE target_at >= {from} AND target_at < {to} LIMIT 40)
GROUP BY lead_minutes, model
ORDER BY lead_minutes, model
""",
    "foreseen": """
SELECT toInt8(level) AS level, toString(outcome) AS outcome, count() AS crossings,
       countIf(warned_at IS NOT NULL) AS warnings, median(lead_secs) / 60 AS lead_minutes,
       median(warning_lead_secs) / 60 AS warning_lead_minutes
FROM crossings FINAL
WHERE made_at >= {from} AND made_at < {to}
GROUP BY level, outcome
ORDER BY level DESC, outcome
""",
    "outages": """
SELECT source, kind, any(cell) AS cell, sum(gap) AS silent_minutes, max(gap) AS longest_minutes,
       toUnixTimestamp(argMax(since, gap)) * 1000 AS since_ms
FROM
(
    SELECT source, kind, any(grid_id) AS cell, arraySort(groupUniqArray(bucket)) AS seen,
           arrayJoin(arrayMap((later, earlier) -> (earlier, dateDiff('minute', earlier, later) - 15),
                              arrayPopFront(seen), arrayPopBack(seen))) AS pair,
           pair.1 AS since, pair.2 AS gap
    FROM observations_15m_points
    WHERE bucket >= {from} AND bucket < {to}
    GROUP BY source, kind
)
WHERE gap >= 15
GROUP BY source, kind
ORDER BY silent_minutes DESC, source
LIMIT 30
""",
    "refused": """
SELECT reason, topic, count() AS records, any(detail) AS example
FROM dead_letters FINAL
WHERE rejected_at >= {from} AND rejected_at < {to}
GROUP BY reason, topic
ORDER BY records DESC, reason, topic
LIMIT 20
""",
    "observations": """
SELECT kind, sum(length(points)) AS observations, uniqExact(source) AS sources
FROM observations_15m_points
WHERE bucket >= {from} AND bucket < {to}
GROUP BY kind
ORDER BY kind
""",
}
#: The questions of one alert, beside those of its time. {alert} is its id.
INCIDENT: dict[str, str] = {
    "story": """
SELECT toUnixTimestamp64Milli(at) AS at_ms, event, toString(level_to) AS level, reason, actor, handling_to, note, held
FROM alert_events FINAL
WHERE alert_id = {alert} AND version > 0
ORDER BY version, at
""",
    "series": """
WITH
    (SELECT any(JSONExtractString(evidence, 1, 'series')) FROM alerts FINAL WHERE alert_id = {alert}) AS series,
    splitByChar('/', ifNull(series, '')) AS part
SELECT toUnixTimestamp64Milli(observed_at) AS at_ms, value, expected, lower, upper
FROM observations FINAL
WHERE kind = part[1] AND metric = part[-1]
  AND source = arrayStringConcat(arraySlice(part, 2, greatest(length(part), 2) - 2), '/')
  AND observed_at >= {from} AND observed_at < {to}
ORDER BY observed_at
LIMIT 20000
""",
    "told": """
SELECT toUnixTimestamp64Milli(d.attempted_at) AS at_ms, n.type AS type, d.endpoint AS endpoint, d.attempt AS attempt,
       d.status AS status, d.outcome AS outcome
FROM (SELECT * FROM deliveries FINAL WHERE alert_id = {alert}) AS d
INNER JOIN (SELECT notice_id, type FROM notices FINAL WHERE alert_id = {alert}) AS n ON n.notice_id = d.notice_id
ORDER BY at_ms, endpoint, attempt
""",
    "reports": """
SELECT toUnixTimestamp64Milli(occurred_at) AS at_ms, service_code, description, verification, reporter_role
FROM grid_events FINAL
WHERE grid_id IN (SELECT cell FROM alerts FINAL WHERE alert_id = {alert})
  AND occurred_at >= {from} AND occurred_at < {to}
ORDER BY occurred_at, service_request_id
LIMIT 200
""",
}


def figures(config: Config, begin_ms: int, end_ms: int, alert: str | None = None) -> Figures:
    """Return the answers of all questions about a time, and about one alert where it is named.

    Raises ``Transient``, ``ConfigError`` or ``GridbeaconError`` as ``sinks.clickhouse.ask`` does.
    """
    values = {"from": f"fromUnixTimestamp64Milli({begin_ms})", "to": f"fromUnixTimestamp64Milli({end_ms})"}
    if alert is not None:
        values["alert"] = "'" + alert.replace("\\", "\\\\").replace("'", "\\'") + "'"
    asked = QUESTIONS if alert is None else QUESTIONS | INCIDENT
    answers: dict[str, list[dict[str, Any]]] = {}
    said: dict[str, str] = {}
    for name, text in asked.items():
        sql = text.strip()
        for key, value in values.items():
            sql = sql.replace("{" + key + "}", value)
        names, rows = ask(config, sql)
        answers[name], said[name] = [dict(zip(names, row, strict=True)) for row in rows], sql
    return Figures(answers, said)


def span_of(config: Config, alert: str) -> tuple[int, int] | None:
    """Return begin and end (ms; the last change while it stands) of an alert; None when there is no such alert."""
    _, rows = ask(
        config,
        "SELECT toUnixTimestamp64Milli(opened_at), toUnixTimestamp64Milli(ifNull(cleared_at, changed_at)) "
        "FROM alerts FINAL WHERE alert_id = %(alert)s",
        {"alert": alert},
    )
    return (rows[0][0], rows[0][1]) if rows else None
