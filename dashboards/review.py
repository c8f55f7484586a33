"""Review: for the analyst, next morning. What happened, did we warn in time, were we right, what do we change?"""

from dashboards.filters import PRESENT, T, chosen, here, kind, level
from dashboards.look import property_of, row_way, steps, way
from dashboards.panels import Panel, Rows, counts, level_column, lines, linked_column, listing, unit_column, week_grid
from dashboards.query import asks
from dashboards.standing import TAKEN, name_of
from gridbeacon.config import Config
from gridbeacon.levels import COLOURS
from gridbeacon.reasons import Disposition, HandlingState, Level
from gridbeacon.vocabulary import Kind

A, E, F, Q, V, X = T.alerts, T.alert_events, T.forecasts, T.observations_15m, T.forecast_verification, T.crossings
USUAL_DAYS = 182
"""What is usual is what was so for half a year; years ago it was another city, and reading them takes long."""
FALSE = Disposition.NOT_ANOMALY
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ZONE = "if(lower(decodeURLComponent('${__timezone:percentencode}')) = 'utc', 'UTC', decodeURLComponent('${__timezone:percentencode}'))"
_CHOSEN = f"{here(A.cell)} AND {level(A.highest_level)}"
OF_RANGE = f"""
    SELECT {A.alert_id}, {A.rule}, {A.area}, {A.cell}, {A.highest_level}, {A.opened_at}, {A.headline}, {A.evidence}
    FROM {A} FINAL
    WHERE $__timeFilter({A.opened_at}) AND {_CHOSEN}
"""
"""The alerts that opened in the time range."""

TOLD = f"""
    SELECT {E.alert_id}, argMin({E.at}, {E.version}) AS began, argMin({E.at}, (-toInt8({E.level_to}), {E.version})) AS worst_at,
           {TAKEN} AS taken_at,
           minIf(toNullable({E.at}), {E.handling_to} = '{HandlingState.DISPATCHED}') AS sent_at,
           minIf(toNullable({E.at}), {E.handling_to} = '{HandlingState.RESOLVED}') AS done_at,
           argMaxIf({E.disposition}, {E.version}, {E.disposition} != '') AS said,
           uniqExactIf({E.notice_id}, {E.notice_id} != '') AS notices
    FROM {E}
    WHERE {E.alert_id} IN (SELECT {A.alert_id} FROM {A} WHERE $__timeFilter({A.opened_at}) AND {here(A.cell)}) AND {E.version} > 0
    GROUP BY {E.alert_id}
"""

SUMMARY = f"""
SELECT count() AS alerts, countIf(t.said = '{FALSE}') AS called_false,
       medianIf(dateDiff('second', t.began, t.worst_at), a.highest_level >= 'orange') AS lead,
       median(dateDiff('second', t.began, t.taken_at)) AS taken
FROM ({OF_RANGE}) AS a
INNER JOIN ({TOLD}) AS t ON t.alert_id = a.alert_id
"""

LEADS = f"""
SELECT t.worst_at AS time, dateDiff('second', t.began, t.worst_at) AS lead
FROM ({OF_RANGE}) AS a
INNER JOIN ({TOLD}) AS t ON t.alert_id = a.alert_id
WHERE a.highest_level >= 'orange'
ORDER BY time
"""

RESPONSES = f"""
SELECT a.area AS area, count() AS alerts,
       median(dateDiff('second', t.began, t.taken_at)) AS taken, quantile(0.9)(dateDiff('second', t.began, t.taken_at)) AS taken_90,
       median(dateDiff('second', t.began, t.sent_at)) AS sent, quantile(0.9)(dateDiff('second', t.began, t.sent_at)) AS sent_90,
       median(dateDiff('second', t.began, t.done_at)) AS done, quantile(0.9)(dateDiff('second', t.began, t.done_at)) AS done_90
FROM ({OF_RANGE}) AS a
INNER JOIN ({TOLD}) AS t ON t.alert_id = a.alert_id
GROUP BY area
ORDER BY alerts DESC, area
"""

FEEDBACK = f"""
SELECT toStartOfDay(toDateTime(t.began, {_ZONE})) AS time, if(t.said = '', 'no feedback', t.said) AS feedback,
       count() AS alerts
FROM ({OF_RANGE}) AS a
INNER JOIN ({TOLD}) AS t ON t.alert_id = a.alert_id
GROUP BY time, feedback
ORDER BY time, feedback
"""

WORST = f"""
SELECT a.highest_level AS level, a.opened_at AS opened, {name_of("a.cell")} AS place, a.headline AS headline,
       dateDiff('second', t.began, t.worst_at) AS lead, dateDiff('second', t.began, t.taken_at) AS taken,
       t.said AS feedback, t.notices AS notices, a.cell AS cell, a.alert_id AS alert_id
FROM ({OF_RANGE}) AS a
INNER JOIN ({TOLD}) AS t ON t.alert_id = a.alert_id
ORDER BY level DESC, opened, alert_id
LIMIT 100
"""

RULES = f"""
SELECT rule, layer, reason, count() AS alerts, countIf(highest >= 'orange') AS grave, countIf(said = '{FALSE}') AS called_false,
       uniqExact(cell) AS cells
FROM
(
    SELECT a.rule AS rule, a.highest_level AS highest, a.cell AS cell, t.said AS said,
           JSONExtractString(a.evidence, 1, 'layer') AS layer, JSONExtractString(a.evidence, 1, 'reason') AS reason
    FROM ({OF_RANGE}) AS a
    INNER JOIN ({TOLD}) AS t ON t.alert_id = a.alert_id
)
GROUP BY rule, layer, reason
ORDER BY alerts DESC, rule, layer, reason
"""

_HOURS = ", ".join(f"countIf(hour = {hour}) AS `{hour:02d}`" for hour in range(24))
ALERT_WEEK = f"""
SELECT arrayElement({list(DAYS)}, weekday) AS day, {_HOURS}
FROM
(
    SELECT toDayOfWeek(toTimeZone({A.opened_at}, {_ZONE})) AS weekday, toHour(toTimeZone({A.opened_at}, {_ZONE})) AS hour
    FROM ({OF_RANGE})
)
GROUP BY weekday
ORDER BY weekday
"""

_BUSIEST = f"""ifNull((
    SELECT argMax({A.cell}, (alerts, {A.cell})) FROM
        (SELECT {A.cell}, count() AS alerts FROM {A} FINAL WHERE $__timeFilter({A.opened_at}) AND {_CHOSEN} GROUP BY {A.cell})
), '')"""
_CELL = f"if({chosen('cell')} != 'all', {chosen('cell')}, {_BUSIEST})"
_MEDIANS = ", ".join(f"round(anyIf(usual, hour = {hour}), 2) AS `{hour:02d}`" for hour in range(24))
USUAL_WEEK = f"""
WITH {_CELL} AS one
SELECT arrayElement({list(DAYS)}, weekday) AS day, {_MEDIANS}
FROM
(
    SELECT toDayOfWeek(toTimeZone({Q.bucket}, {_ZONE})) AS weekday, toHour(toTimeZone({Q.bucket}, {_ZONE})) AS hour,
           quantileExact(0.5)({Q.mean}) AS usual
    FROM {Q}
    WHERE {Q.grid_id} = one AND {Q.metric} = {chosen("metric")} AND {kind(Q.kind)}
      AND {Q.bucket} <= {PRESENT} AND {Q.bucket} > {PRESENT} - INTERVAL {USUAL_DAYS} DAY
    GROUP BY weekday, hour
)
GROUP BY weekday
ORDER BY weekday
"""
_SERIES = f"""
WITH ifNull((
    SELECT argMax(({F.grid_id}, {F.source}), ({F.expected}, {F.source})) FROM {F}
    WHERE {F.metric} = {chosen("metric")} AND $__timeFilter({F.target_at}) AND {here(F.grid_id)} AND {kind(F.kind)}
), ('', '')) AS one
"""
_OF_SERIES = f"""
    {V.grid_id} = one.1 AND {V.source} = one.2 AND {V.metric} = {chosen("metric")}
    AND {V.kind} IN ('{Kind.CROWD}', '{Kind.TRAFFIC}', '{Kind.EVENTS}') AND $__timeFilter({V.target_at})
"""
SKILL = f"""{_SERIES}
SELECT {V.lead_minutes} * 60 AS ahead, {V.model} AS model, count() AS forecasts, avg(abs({V.error})) AS wrong_by,
       avg({V.inside_80}) AS in_80, avg({V.inside_95}) AS in_95
FROM {V}
WHERE {_OF_SERIES}
GROUP BY ahead, model
ORDER BY ahead, model
"""
FORESEEN = f"""
SELECT {X.level} AS level, {X.outcome} AS outcome, count() AS crossings, countIf({X.warned_at} IS NOT NULL) AS warnings,
       median({X.lead_secs}) AS lead, median({X.warning_lead_secs}) AS warned
FROM {X} FINAL
WHERE $__timeFilter({X.made_at}) AND {here(X.grid_id)} AND {kind(X.kind)} AND {level("level")}
GROUP BY level, outcome
ORDER BY level DESC, outcome
"""
ERRORS = f"""{_SERIES}
SELECT $__timeInterval({V.target_at}) AS time, concat(toString({V.lead_minutes}), ' min ahead') AS ahead, avg({V.error}) AS error
FROM {V}
WHERE {_OF_SERIES}
GROUP BY time, ahead
ORDER BY time, ahead
"""


def budget(config: Config) -> str:
    """Return SQL for the alarms of the learned layer by week, and the budget for all of the city."""
    return f"""
SELECT toDateTime(toStartOfWeek({A.opened_at}, 1), 'UTC') AS time,
       countIf(JSONExtractString({A.evidence}, 1, 'layer') = 'learned') AS learned, toFloat64({config.alarm_budget.per_week:g}) AS budget
FROM ({OF_RANGE})
GROUP BY time
ORDER BY time
"""


def rows(config: Config) -> Rows:
    """Return the rows of the dashboard."""
    this = row_way("Show this alert in dispatch", "Dispatch", more='&var-alert=${__data.fields["alert_id"]}')
    hours = ", ".join(f"{hour:02d} number" for hour in range(24))
    share = steps((None, COLOURS[Level.RED]), (0.75, COLOURS[Level.YELLOW]), (0.8, "#2da44e"))
    good = [property_of("thresholds", share.build()), property_of("unit", "percentunit"), property_of("decimals", 0)]
    return [
        (
            "Perceive: what happened",
            [
                Panel(
                    "In short",
                    "Alerts that opened in the time range; how many of them people called false; the median warning before "
                    "the worst, of those that reached orange; the median time until somebody took one.",
                    (asks(SUMMARY, "alerts number, called_false number, lead number, taken number"),),
                    counts(unit_column("lead", "s"), unit_column("taken", "s")),
                    width=24,
                    height=4,
                    links=(way("Now", "Dispatch"),),
                ),
                Panel(
                    "Alerts of this time",
                    "The gravest first, with what became of each: the warning before its worst, the time until it was taken, "
                    "what people said of it afterwards.",
                    (
                        asks(
                            WORST,
                            "level text, opened time, place text, headline text, lead number, taken number, feedback text, "
                            "notices number, cell text, alert_id text",
                        ),
                    ),
                    listing(
                        level_column(),
                        unit_column("lead", "s"),
                        unit_column("taken", "s"),
                        linked_column("headline", this),
                    ),
                    width=24,
                    height=10,
                ),
            ],
        ),
        (
            "Comprehend: were we right, and in time",
            [
                Panel(
                    "Warning before the worst",
                    "One point for each alert that reached orange: from its first level to its highest. Near 0 means: no "
                    "warning at all.",
                    (asks(LEADS, "time time, lead number"),),
                    lines(
                        (
                            "lead",
                            [property_of("custom.drawStyle", "points"), property_of("custom.pointSize", 7)],
                        ),
                        unit="s",
                    ),
                    width=8,
                ),
                Panel(
                    "Response times by district",
                    "From an alert's begin until it was taken, sent to somebody, and resolved: the median, and the time "
                    "within which nine in ten were.",
                    (
                        asks(
                            RESPONSES,
                            "area text, alerts number, taken number, taken_90 number, sent number, sent_90 number, "
                            "done number, done_90 number",
                        ),
                    ),
                    listing(
                        *[unit_column(n, "s") for n in ("taken", "taken_90", "sent", "sent_90", "done", "done_90")]
                    ),
                    width=16,
                ),
                Panel(
                    "What people said of alerts",
                    "Alerts by day and by their last feedback. NOT_ANOMALY is a false alarm. Most of the bar without feedback "
                    "means that the share of false alarms is not known.",
                    (asks(FEEDBACK, "time time, feedback text, alerts number", series=True),),
                    lines(unit="none", stacked=True, bars=True),
                    width=8,
                ),
                Panel(
                    "Alarm budget",
                    "Alarms of the learned layer a week, beside the number that the whole city wants. Safety limits never "
                    "wait for the budget and are not counted.",
                    (asks(budget(config), "time time, learned number, budget number"),),
                    lines(
                        ("learned", [property_of("custom.drawStyle", "bars"), property_of("custom.fillOpacity", 60)]),
                        ("budget", [property_of("custom.lineStyle", {"fill": "dash", "dash": [10, 8]})]),
                        unit="none",
                    ),
                    width=6,
                ),
                Panel(
                    "What each rule raised",
                    "Alerts by rule, layer and reason; how many reached orange; how many people called false; in how many "
                    "cells.",
                    (
                        asks(
                            RULES,
                            "rule text, layer text, reason text, alerts number, grave number, called_false number, "
                            "cells number",
                        ),
                    ),
                    listing(),
                    width=10,
                ),
                Panel(
                    "When alerts begin",
                    "Alerts by day of the week and hour, in the dashboard's time zone.",
                    (asks(ALERT_WEEK, f"day text, {hours}"),),
                    week_grid("none", 8),
                    width=24,
                    height=9,
                ),
                Panel(
                    "What is usual for the cell",
                    "The median of the chosen metric over half a year, by day of the week and hour. Without a cell it is "
                    "the one with the most alerts.",
                    (asks(USUAL_WEEK, f"day text, {hours}"),),
                    week_grid("short", 1000, 1),
                    width=24,
                    height=9,
                ),
            ],
        ),
        (
            "Project: how good were the forecasts",
            [
                Panel(
                    "Foreseen",
                    "Limits that forecasts said would be passed, by what became of it: the median time from when it was foreseen, "
                    "and from when it was a warning, until it came true. Withdrawn ones did not come.",
                    (
                        asks(
                            FORESEEN,
                            "level text, outcome text, crossings number, warnings number, lead number, warned number",
                        ),
                    ),
                    listing(level_column(), unit_column("lead", "s"), unit_column("warned", "s")),
                    width=24,
                    height=7,
                ),
                Panel(
                    "Forecast skill",
                    "One series: how wrong its forecasts were by lead and model, and whether the bands hold what they "
                    "promise: 80 % and 95 %. Without a cell it is the series with the highest forecast.",
                    (
                        asks(
                            SKILL,
                            "ahead number, model text, forecasts number, wrong_by number, in_80 number, in_95 number",
                        ),
                    ),
                    listing(
                        unit_column("ahead", "s"),
                        unit_column("wrong_by", "short", 1),
                        ("in_80", good),
                        unit_column("in_95", "percentunit"),
                    ),
                    width=10,
                ),
                Panel(
                    "Forecast errors over time",
                    "What came minus what was expected of that series. Above 0: more people than we thought.",
                    (asks(ERRORS, "time time, ahead text, error number", series=True),),
                    lines(unit="short").min(-1),
                    width=14,
                    links=(way("What is coming now", "Early warning"),),
                ),
            ],
        ),
    ]
