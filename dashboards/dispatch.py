"""Dispatch: for the dispatcher while it happens. What is wrong now, who goes, has anyone taken it?"""

from dashboards.early_warning import SEEN, forecast
from dashboards.filters import PRESENT, T, district, here
from dashboards.look import row_way, way
from dashboards.panels import (
    LEVEL_COUNTS,
    Panel,
    Rows,
    band,
    city_map,
    counts,
    level_column,
    lines,
    linked_column,
    listing,
    states,
    unit_column,
)
from dashboards.query import asks
from dashboards.standing import ALERT, OPEN, OPEN_BY_LEVEL, mark, name_of
from gridbeacon.config import Config
from gridbeacon.reasons import ConditionState, HandlingState

A, E, D, O, P = T.alerts, T.alert_events, T.deliveries, T.observations, T.places  # noqa: E741 - as in the SQL
DELIVERED = "delivered"

TABLE = f"""
SELECT level, condition, dateDiff('second', began, {PRESENT}) AS age, handling, who, {name_of("cell")} AS place, headline, cell, alert_id
FROM ({OPEN})
ORDER BY level DESC, began, alert_id
LIMIT 200
"""

UNTAKEN = f"""
SELECT countIf(handling = '{HandlingState.NEW}' AND condition != '{ConditionState.CLEARED}') AS untaken,
       maxIf(dateDiff('second', began, {PRESENT}), handling = '{HandlingState.NEW}' AND condition != '{ConditionState.CLEARED}') AS oldest
FROM ({OPEN})
"""

CITY = f"""
SELECT p.name AS place, p.lat AS lat, p.long AS long, toInt8(o.worst) AS level, {mark("o.worst")} AS mark,
       o.alerts AS alerts, p.grid_id AS cell
FROM (SELECT {P.name}, assumeNotNull({P.lat}) AS lat, assumeNotNull({P.long}) AS long, {P.grid_id} FROM {P} FINAL
      WHERE {P.lat} IS NOT NULL AND {here(P.grid_id)}) AS p
LEFT JOIN (SELECT cell, max(level) AS worst, count() AS alerts FROM ({OPEN}) GROUP BY cell) AS o ON o.cell = p.grid_id
ORDER BY level, cell
LIMIT 20000
"""
"""The gravest last: they are drawn on top."""

DISTRICTS = f"""
WITH greatest(60, intDiv(toUnixTimestamp($__toTime) - toUnixTimestamp($__fromTime), 300)) AS step,
     toUnixTimestamp($__fromTime) AS first, toUnixTimestamp({PRESENT}) AS last
SELECT toDateTime(slot * step) AS time, area, max(level) AS worst
FROM
(
    SELECT {A.area} AS area, toUInt8(level) AS level, arrayJoin(range(intDiv(toUInt32(begun), step), intDiv(toUInt32(done), step) + 1)) AS slot
    FROM
    (
        SELECT alert_id, level, greatest(toUnixTimestamp(at), first) AS begun, least(toUnixTimestamp(later), last) AS done
        FROM
        (
            SELECT {E.alert_id}, {E.level_to} AS level, {E.at}, {E.condition_to},
                   leadInFrame({E.at}, 1, toDateTime64(last, 3, 'UTC')) OVER
                       (PARTITION BY {E.alert_id} ORDER BY {E.version} ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS later
            FROM {E} FINAL
            WHERE {E.alert_id} IN (SELECT {A.alert_id} FROM {A}
                                   WHERE {A.opened_at} <= {PRESENT} AND ifNull({A.cleared_at} >= $__fromTime, true))
              AND {E.at} <= {PRESENT} AND {E.version} > 0 AND {district(E.alert_id)}
        )
        WHERE level > 'none' AND later >= $__fromTime
    ) AS e
    INNER JOIN (SELECT {A.alert_id}, {A.area} FROM {A} FINAL) AS a ON a.alert_id = e.alert_id
    WHERE done >= begun
    UNION ALL
    SELECT {A.area} AS area, toUInt8(0) AS level, arrayJoin(range(intDiv(first, step), intDiv(greatest(first, last), step) + 1)) AS slot
    FROM {A} WHERE {district(A.area)} GROUP BY area
)
GROUP BY time, area
ORDER BY time, area
"""
"""Time is cut into slots, 300 at most; in each a district has the highest level of its alerts, 0 where there is none."""

_PIECES = f"""
    SELECT JSONExtractString(piece, 'series') AS series, JSONExtractFloat(piece, 'threshold') AS bound
    FROM {A} FINAL ARRAY JOIN JSONExtractArrayRaw({A.evidence}) AS piece
    WHERE {A.alert_id} = {ALERT}
"""
_SPLIT = "splitByChar('/', series)"
EVIDENCE = f"""
WITH ifNull((SELECT series FROM ({_PIECES}) LIMIT 1), '') AS series, {_SPLIT} AS part
SELECT $__timeInterval({O.observed_at}) AS time, max({O.value}) AS observed, avg({O.expected}) AS expected,
       min({O.lower}) AS low, max({O.upper}) AS high
FROM {O}
WHERE {O.kind} = part[1] AND {O.metric} = part[-1]
  AND {O.source} = arrayStringConcat(arraySlice(part, 2, greatest(length(part), 2) - 2), '/')
  AND $__timeFilter({O.observed_at})
GROUP BY time
ORDER BY time
"""

STORY = f"""
SELECT {E.at} AS at, {E.event} AS event, {E.level_to} AS level, {E.reason} AS reason, {E.actor} AS actor,
       {E.handling_to} AS handling, {E.note} AS note, {E.held} AS held
FROM {E} FINAL
WHERE {E.alert_id} = {ALERT} AND {E.at} <= {PRESENT}
ORDER BY {E.version}, {E.at}
"""

FAILED = f"""
SELECT max({D.attempted_at}) AS at, {D.endpoint} AS endpoint, countIf({D.outcome} != '{DELIVERED}') AS failed,
       argMaxIf({D.status}, {D.attempted_at}, {D.outcome} != '{DELIVERED}') AS status,
       argMaxIf({D.detail}, {D.attempted_at}, {D.outcome} != '{DELIVERED}') AS why,
       argMax({D.outcome}, {D.attempted_at}) AS now, {D.alert_id} AS alert_id
FROM {D}
WHERE $__timeFilter({D.attempted_at}) AND {district(D.alert_id)}
GROUP BY {D.alert_id}, {D.notice_id}, {D.endpoint}
HAVING failed > 0
ORDER BY now = '{DELIVERED}', at DESC
LIMIT 50
"""


def rows(config: Config) -> Rows:
    """Return the rows of the dashboard."""
    this = row_way("Show this alert here", "Dispatch", more='&var-alert=${__data.fields["alert_id"]}')
    ahead, usual = row_way("What is coming there", "Early warning"), row_way("What happened there before", "Review")
    return [
        (
            "Perceive: what is wrong now",
            [
                Panel(
                    "Open alerts",
                    "Every alert that is not over, and below them those that are over but that nobody has closed, "
                    "with anything new in 30 days: since when, what people have done about it, and who has it. Nobody in the last column of a red line "
                    "means that nobody has taken it.",
                    (
                        asks(
                            TABLE,
                            "level text, condition text, age number, handling text, who text, place text, headline text, cell text, "
                            "alert_id text",
                        ),
                    ),
                    listing(level_column(), unit_column("age", "s"), linked_column("headline", this, ahead, usual)),
                    width=15,
                    height=11,
                ),
                Panel(
                    "By level",
                    "How many stand. ■ red, ◆ orange, ▲ yellow, ● blue.",
                    (asks(OPEN_BY_LEVEL, "red number, orange number, yellow number, blue number"),),
                    counts(*LEVEL_COUNTS),
                    width=6,
                    height=11,
                ),
                Panel(
                    "Not taken yet",
                    "Alerts that nobody has acknowledged, and the age of the oldest of them.",
                    (asks(UNTAKEN, "untaken number, oldest number"),),
                    counts(unit_column("oldest", "s")),
                    width=3,
                    height=11,
                ),
            ],
        ),
        (
            "Comprehend: where, since when, and why",
            [
                Panel(
                    "The city",
                    "Cells by the highest level of their open alerts. Shape, size and colour say the same: a bare point "
                    "is calm. Without cells in the registry the map is empty.",
                    (
                        asks(
                            CITY,
                            "place text, lat number, long number, level number, mark text, alerts number, cell text",
                        ),
                    ),
                    city_map(),
                    width=12,
                    height=13,
                ),
                Panel(
                    "Districts",
                    "The highest level of each district over time.",
                    (asks(DISTRICTS, "time time, area text, worst number", series=True),),
                    states(),
                    width=12,
                    height=13,
                    links=(way("What happened before", "Review"),),
                ),
                Panel(
                    "Evidence of the alert",
                    "The series that decided, with the band in which it usually lies at this hour. It is the alert that "
                    "was chosen, or the gravest.",
                    (asks(EVIDENCE, "time time, observed number, expected number, low number, high number"),),
                    lines(*band("low", "high", "usual"), unit="short"),
                    width=12,
                    height=9,
                ),
                Panel(
                    "Its story",
                    "Every transition of that alert: what, why, who. The last column says why dispatchers were told "
                    "nothing; it is empty when they were told.",
                    (
                        asks(
                            STORY,
                            "at time, event text, level text, reason text, actor text, handling text, note text, held text",
                        ),
                    ),
                    listing(level_column()),
                    width=12,
                    height=9,
                ),
            ],
        ),
        (
            "Project: what comes next, and did they hear us",
            [
                Panel(
                    "Forecast of the cell",
                    "What came and what is expected of the chosen cell, with the band that should hold four in five "
                    "values.",
                    (
                        asks(SEEN, "time time, observed number"),
                        asks(
                            forecast(config),
                            "time time, expected number, low_80 number, high_80 number, low_95 number, high_95 number, "
                            "yellow number, red number",
                        ),
                    ),
                    lines(
                        *band("low_80", "high_80", "four in five"),
                        *band("low_95", "high_95", "nineteen in twenty"),
                        unit="short",
                    ),
                    width=12,
                    height=9,
                    links=(way("All that is coming", "Early warning"),),
                ),
                Panel(
                    "Deliveries that failed",
                    "Notices that an endpoint did not take at once, those still not delivered first. Status 0: no answer "
                    "at all.",
                    (
                        asks(
                            FAILED,
                            "at time, endpoint text, failed number, status number, why text, now text, alert_id text",
                        ),
                    ),
                    listing(),
                    width=12,
                    height=9,
                    links=(way("How is the engine?", "Engine"),),
                ),
            ],
        ),
    ]
