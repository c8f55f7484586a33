"""Engine: for those who run it. Is every record stored or refused with a reason, and is anybody behind?"""

from dashboards.filters import PRESENT, T, district, here, kind
from dashboards.look import way
from dashboards.panels import Panel, Rows, lines, listing, unit_column
from dashboards.query import Expression, asks
from gridbeacon.config import Config
from gridbeacon.metric_names import METRIC_NAMES
from gridbeacon.reasons import Reason

O, P, L, D = T.observations, T.observations_15m_points, T.dead_letters, T.deliveries  # noqa: E741 - as in the SQL
E, N, S = T.alert_events, T.notices, T.sensors
QUALITY = (
    Reason.GONE_QUIET,
    Reason.STUCK,
    Reason.IMPOSSIBLE_JUMP,
    Reason.LEVEL_SHIFT,
    Reason.LOW_COVERAGE,
    Reason.LOW_CONFIDENCE,
)
_METRICS = {one.name for one in METRIC_NAMES}
_QUALITY = ", ".join(f"'{one}'" for one in QUALITY)

RECORDS = f"""
WITH greatest(900, $__interval_s) AS step
SELECT toStartOfInterval({P.bucket}, toIntervalSecond(step)) AS time, {P.kind} AS kind, sum(length({P.points})) / step AS observations
FROM {P}
WHERE $__timeFilter({P.bucket}) AND {here(P.grid_id)} AND {kind(P.kind)}
GROUP BY time, kind
ORDER BY time, kind
"""

REJECTS = f"""
SELECT $__timeInterval({L.rejected_at}) AS time, {L.reason} AS reason, uniqExact({L.topic}, {L.partition}, {L.offset}, {L.item}) AS refused
FROM {L}
WHERE $__timeFilter({L.rejected_at})
GROUP BY time, reason
ORDER BY time, reason
"""

REJECT_LIST = f"""
SELECT {L.reason} AS reason, {L.topic} AS topic, uniqExact({L.partition}, {L.offset}, {L.item}) AS refused,
       max({L.rejected_at}) AS latest, argMax({L.detail}, {L.rejected_at}) AS example
FROM {L}
WHERE $__timeFilter({L.rejected_at})
GROUP BY reason, topic
ORDER BY refused DESC, reason, topic
"""

HEALTH = f"""
SELECT s.kind AS kind, count() AS sensors, countIf(o.newest >= {PRESENT} - toIntervalSecond(toUInt32(3 * s.every))) AS reporting,
       reporting / sensors AS share, dateDiff('second', max(o.newest), {PRESENT}) AS newest
FROM (SELECT {S.source}, {S.kind}, {S.interval_secs} AS every FROM {S} FINAL WHERE {here(S.grid_id)} AND {kind(S.kind)}) AS s
LEFT JOIN
(
    SELECT {O.source}, max({O.observed_at}) AS newest FROM {O}
    WHERE {O.observed_at} > {PRESENT} - INTERVAL 3 HOUR AND {O.observed_at} <= {PRESENT}
    GROUP BY {O.source}
) AS o ON o.source = s.source
GROUP BY kind
ORDER BY kind
"""

DOUBTED = f"""
SELECT $__timeInterval({E.at}) AS time, {E.reason} AS reason, uniqExact({E.alert_id}, {E.version}) AS findings
FROM {E}
WHERE $__timeFilter({E.at}) AND {E.reason} IN ({_QUALITY}) AND {district(E.alert_id)}
GROUP BY time, reason
ORDER BY time, reason
"""

LATENCY = f"""
SELECT $__timeInterval({D.attempted_at}) AS time, quantile(0.5)({D.duration_ms}) AS median, quantile(0.99)({D.duration_ms}) AS p99
FROM {D}
WHERE $__timeFilter({D.attempted_at}) AND {D.status} > 0
GROUP BY time
ORDER BY time
"""

ENDPOINTS = f"""
SELECT endpoint, count() AS notices, max(attempts) AS most_attempts, quantile(0.5)(waited) AS median, quantile(0.99)(waited) AS p99,
       countIf(NOT delivered) AS undelivered
FROM
(
    SELECT d.endpoint AS endpoint, count() AS attempts, max(d.outcome = 'delivered') AS delivered,
           maxIf(dateDiff('millisecond', n.at, d.attempted_at) + d.duration_ms, d.outcome = 'delivered') AS waited
    FROM (SELECT * FROM {D} FINAL WHERE $__timeFilter({D.attempted_at})) AS d
    INNER JOIN (SELECT {N.notice_id}, {N.at} FROM {N} FINAL WHERE {N.at} >= $__fromTime - INTERVAL 2 DAY) AS n ON n.notice_id = d.notice_id
    GROUP BY endpoint, d.notice_id
)
GROUP BY endpoint
ORDER BY endpoint
"""

DISK = """
SELECT table AS name, sum(rows) AS stored, sum(bytes_on_disk) AS disk, max(modification_time) AS written
FROM system.parts
WHERE active AND database = currentDatabase()
GROUP BY name
ORDER BY disk DESC
"""


def metric(name: str) -> str:
    """Return a metric as Prometheus has it. Raises ``KeyError`` on a name that is not served."""
    if name not in _METRICS:
        raise KeyError(f"there is no metric {name}")
    return f"gridbeacon_{name}"


def rows(_: Config) -> Rows:
    """Return the rows of the dashboard."""
    seconds = metric("checkpoint_seconds")
    return [
        (
            "Perceive: what comes in, and what is refused",
            [
                Panel(
                    "Observations stored",
                    "Observations a second, by quarters of an hour of the time at which they were measured. A gap is a gap in the data.",
                    (asks(RECORDS, "time time, kind text, observations number", series=True),),
                    lines(unit="ops", stacked=True),
                    width=12,
                    links=(way("Cells", "Early warning"),),
                ),
                Panel(
                    "Records refused",
                    "Records that were refused, by reason. They are kept as dead letters; nothing disappears.",
                    (asks(REJECTS, "time time, reason text, refused number", series=True),),
                    lines(unit="none", stacked=True, bars=True),
                    width=12,
                ),
                Panel(
                    "Why records were refused",
                    "What to tell those who send them: the reason, the topic, and the latest example in words.",
                    (asks(REJECT_LIST, "reason text, topic text, refused number, latest time, example text"),),
                    listing(),
                    width=12,
                ),
                Panel(
                    "Data health by kind",
                    "Sensors of the registry, and how many have reported within three of their intervals. A sensor that has "
                    "gone quiet is never all clear.",
                    (asks(HEALTH, "kind text, sensors number, reporting number, share number, newest number"),),
                    listing(unit_column("share", "percentunit"), unit_column("newest", "s")),
                    width=12,
                ),
            ],
        ),
        (
            "Comprehend: is anybody behind",
            [
                Panel(
                    "Lag",
                    "Records that a role has not applied yet. A line that only rises: the role is too slow, or stands still. "
                    "From Prometheus.",
                    (Expression(f"max by (role) ({metric('lag_records')})", "{{role}}"),),
                    lines(unit="short"),
                    width=8,
                ),
                Panel(
                    "Age of the last checkpoint",
                    "Seconds since a role last made what it knows durable. After a crash it goes on from there. From "
                    "Prometheus.",
                    (
                        Expression(
                            f"time() - max by (role) ({metric('last_checkpoint_timestamp_seconds')})", "{{role}}"
                        ),
                    ),
                    lines(unit="s"),
                    width=8,
                ),
                Panel(
                    "Time of a checkpoint",
                    "Nineteen in twenty checkpoints were faster. Longer than the role's checkpoint_secs means: the disk or the "
                    "broker is too slow. From Prometheus.",
                    (
                        Expression(
                            f"histogram_quantile(0.95, sum by (role, le) (rate({seconds}_bucket[$__rate_interval])))",
                            "{{role}}",
                        ),
                    ),
                    lines(unit="s"),
                    width=8,
                ),
                Panel(
                    "Data in doubt",
                    "Alerts about data themselves: sensors gone quiet, stuck on one value, or saying what can't be.",
                    (asks(DOUBTED, "time time, reason text, findings number", series=True),),
                    lines(unit="none", stacked=True, bars=True),
                    width=12,
                ),
                Panel(
                    "Tables",
                    "Rows and disk of each table, and when it was last written.",
                    (asks(DISK, "name text, stored number, disk number, written time"),),
                    listing(unit_column("disk", "bytes", 1), unit_column("stored", "short", 1)),
                    width=12,
                ),
            ],
        ),
        (
            "Project: do dispatchers hear us",
            [
                Panel(
                    "Webhook latency",
                    "Time until an endpoint answered: half of the attempts were faster than the median, all but one in a "
                    "hundred faster than the other line.",
                    (asks(LATENCY, "time time, median number, p99 number"),),
                    lines(unit="ms"),
                    width=12,
                    links=(way("Failed deliveries", "Dispatch"),),
                ),
                Panel(
                    "Endpoints",
                    "From the decision to the answer of the dispatchers' system, retries included, and what is not delivered.",
                    (
                        asks(
                            ENDPOINTS,
                            "endpoint text, notices number, most_attempts number, median number, p99 number, "
                            "undelivered number",
                        ),
                    ),
                    listing(unit_column("median", "ms"), unit_column("p99", "ms")),
                    width=12,
                ),
            ],
        ),
    ]
