"""Early warning: for the duty officer before anything happens. What will go wrong, where, how sure are we?"""

from dashboards.filters import PRESENT, T, chosen, here, kind, level
from dashboards.look import row_way, way
from dashboards.panels import (
    LEVEL_COUNTS,
    Panel,
    Rows,
    band,
    counts,
    level_column,
    limit_line,
    lines,
    linked_column,
    listing,
    unit_column,
)
from dashboards.query import asks
from dashboards.standing import OPEN_BY_LEVEL, name_of
from gridbeacon.config import Config
from gridbeacon.reasons import Level, Reason, State
from gridbeacon.vocabulary import Kind

O, F, S, R, X, N = T.observations, T.forecasts, T.sensors, T.grid_events, T.crossings, T.announced  # noqa: E741 - as in the SQL
RECENT = "INTERVAL 30 MINUTE"
_DENSITY = "density_max_per_m2"
_NO_FINDING = f"('{Reason.DUPLICATE}', '{Reason.LATE}')"

NEWEST = f"""
SELECT dateDiff('second', max({O.observed_at}), {PRESENT}) AS newest,
       uniqExact({O.source}) AS sources
FROM {O}
WHERE {O.observed_at} > {PRESENT} - {RECENT} AND {O.observed_at} <= {PRESENT} AND {here(O.grid_id)} AND {kind(O.kind)}
"""

FULLEST = f"""
SELECT {name_of(O.grid_id)} AS place, argMax({O.value}, {O.observed_at}) AS density,
       argMax({O.level}, {O.observed_at}) AS level, max({O.observed_at}) AS at, {O.source} AS sensor, {O.grid_id} AS cell
FROM {O}
WHERE {O.kind} = '{Kind.CROWD}' AND {O.metric} = '{_DENSITY}' AND {here(O.grid_id)}
  AND {O.observed_at} > {PRESENT} - {RECENT} AND {O.observed_at} <= {PRESENT}
GROUP BY {O.grid_id}, {O.source}
ORDER BY density DESC, sensor
LIMIT 12
"""

UNUSUAL = f"""
SELECT {name_of(O.grid_id)} AS place, {O.metric} AS metric, max({O.severity}) AS highest,
       argMax({O.value}, {O.observed_at}) AS observed, argMax({O.expected}, {O.observed_at}) AS expected,
       argMax({O.reason}, {O.observed_at}) AS why, {O.source} AS sensor, {O.grid_id} AS cell
FROM {O}
WHERE {O.observed_at} > {PRESENT} - {RECENT} AND {O.observed_at} <= {PRESENT} AND {O.state} = '{State.ANOMALOUS.word}'
  AND {O.reason} NOT IN {_NO_FINDING} AND {here(O.grid_id)} AND {kind(O.kind)}
GROUP BY {O.grid_id}, {O.metric}, {O.source}
ORDER BY highest DESC, sensor, metric
LIMIT 15
"""

_TIMES = f"$__timeFilter({R.occurred_at}) AND {R.occurred_at} > {PRESENT} - INTERVAL 24 HOUR AND {R.occurred_at} <= {PRESENT}"
REPORTS = f"""
SELECT {R.occurred_at} AS at, {name_of(R.grid_id)} AS place, {R.service_code} AS about, {R.description} AS report,
       {R.verification} AS verified, {R.reporter_role} AS told_by, {R.grid_id} AS cell
FROM {R} FINAL
WHERE ({R.grid_id}, {R.occurred_at}, {R.service_request_id}) IN
(
    SELECT {R.grid_id}, {R.occurred_at}, {R.service_request_id} FROM {R}
    WHERE {_TIMES} AND {here(R.grid_id)} ORDER BY {R.occurred_at} DESC LIMIT 60
)
ORDER BY at DESC
LIMIT 30
"""

ANNOUNCED = f"""
SELECT {N.starts_at} AS begins, {N.ends_at} AS ends, {N.name} AS what, {N.mode} AS asks_for,
       if(empty({N.cells}), 'all of the city', arrayStringConcat(arrayMap(one -> {name_of("one")}, {N.cells}), ', ')) AS places
FROM {N} FINAL
WHERE {N.version} = (SELECT max({N.version}) FROM {N}) AND {N.starts_at} < {PRESENT} + INTERVAL 3 DAY AND {N.ends_at} > {PRESENT}
  AND (empty({N.cells}) OR arrayExists(one -> {here("one")} OR startsWith({chosen("cell")}, one) OR startsWith({chosen("district")}, one), {N.cells}))
ORDER BY begins, what
LIMIT 40
"""

_ONE = f"""
WITH ifNull((
    SELECT argMax({F.source}, ({F.expected}, {F.source})) FROM {F}
    WHERE {F.metric} = {chosen("metric")} AND $__timeFilter({F.target_at}) AND {here(F.grid_id)} AND {kind(F.kind)}
    ), '') AS one
"""
SEEN = f"""{_ONE}
SELECT $__timeInterval({O.observed_at}) AS time, avg({O.value}) AS observed
FROM {O}
WHERE {O.kind} IN ('{Kind.CROWD}', '{Kind.TRAFFIC}', '{Kind.EVENTS}') AND {O.metric} = {chosen("metric")}
  AND {O.source} = one AND $__timeFilter({O.observed_at}) AND {O.observed_at} <= {PRESENT}
GROUP BY time
ORDER BY time
"""

AHEAD = f"""
SELECT {X.level} AS level, {name_of(X.grid_id)} AS place, {X.metric} AS metric, dateDiff('second', {PRESENT}, {X.expected_at}) AS ahead,
       {X.probability} AS likely, {X.tier} AS tier, {X.threshold} AS bound, {X.source} AS sensor, {X.grid_id} AS cell
FROM {X} FINAL
WHERE {X.made_at} <= {PRESENT} AND {X.made_at} > {PRESENT} - INTERVAL 2 DAY AND ({X.ended_at} IS NULL OR {X.ended_at} > {PRESENT})
  AND {level("level")} AND {here(X.grid_id)} AND {kind(X.kind)}
ORDER BY level DESC, ahead, sensor
LIMIT 30
"""


def forecast(config: Config) -> str:
    """Return SQL for the forecast of one series with its bands and, where they can be compared, the limits."""
    ladder = config.limits.moving
    known = f"(SELECT assumeNotNull({S.area_m2}) FROM {S} FINAL WHERE {S.source} = one AND {S.area_m2} > 0)"
    per = f"multiIf({chosen('metric')} = '{_DENSITY}', 1., {chosen('metric')} = 'people_count', {known}, NULL)"
    bounds = ", ".join(f"{getattr(ladder, one.word):g} * {per} AS {one.word}" for one in (Level.YELLOW, Level.RED))
    return f"""{_ONE}
SELECT {F.target_at} AS time, argMax({F.expected}, {F.made_at}) AS expected,
       argMax({F.lower_80}, {F.made_at}) AS low_80, argMax({F.upper_80}, {F.made_at}) AS high_80,
       argMax({F.lower_95}, {F.made_at}) AS low_95, argMax({F.upper_95}, {F.made_at}) AS high_95, {bounds}
FROM {F}
WHERE {F.kind} IN ('{Kind.CROWD}', '{Kind.TRAFFIC}', '{Kind.EVENTS}') AND {F.metric} = {chosen("metric")}
  AND {F.source} = one AND $__timeFilter({F.target_at}) AND {F.made_at} <= {PRESENT}
GROUP BY time
ORDER BY time
"""


def rows(config: Config) -> Rows:
    """Return the rows of the dashboard."""
    on, usual = row_way("Look at this cell", "Dispatch"), row_way("What was usual here", "Review")
    return [
        (
            "Perceive: what is the case",
            [
                Panel(
                    "Warnings in force",
                    "How many alerts stand, by level. A number on grey means none. Each level has its own shape: "
                    "■ red, ◆ orange, ▲ yellow, ● blue.",
                    (asks(OPEN_BY_LEVEL, "red number, orange number, yellow number, blue number"),),
                    counts(*LEVEL_COUNTS),
                    width=10,
                    height=9,
                    links=(way("Go to dispatch", "Dispatch"),),
                ),
                Panel(
                    "Are we seeing?",
                    "Age of the newest measurement, and how many sensors have said something in the last half hour. "
                    "When the age grows, everything else on this page is old.",
                    (asks(NEWEST, "newest number, sources number"),),
                    counts(unit_column("newest", "s"), unit_column("sources", "none")),
                    width=4,
                    height=9,
                    links=(way("Go to engine", "Engine"),),
                ),
                Panel(
                    "Fullest places",
                    "People per square metre in the last half hour, the fullest first. The level is that of the safety "
                    "limits, which no forecast and no learning can change.",
                    (asks(FULLEST, "place text, density number, level text, at time, sensor text, cell text"),),
                    listing(level_column(), unit_column("density", "short", 1), linked_column("place", on, usual)),
                    width=10,
                    height=9,
                ),
            ],
        ),
        (
            "Comprehend: what is out of the ordinary, and why",
            [
                Panel(
                    "Most out of the ordinary",
                    "Series that were called anomalous in the last half hour, the furthest from what is usual at this "
                    "hour first. Unusual is not yet dangerous.",
                    (
                        asks(
                            UNUSUAL,
                            "place text, metric text, highest number, observed number, expected number, why text, "
                            "sensor text, cell text",
                        ),
                    ),
                    listing(
                        *[unit_column(name, "short", 1) for name in ("highest", "observed", "expected")],
                        linked_column("place", on, usual),
                    ),
                    width=13,
                    height=9,
                ),
                Panel(
                    "What people report",
                    "Reports of grid workers and citizens, the latest first, of one day at most. Unverified means that "
                    "nobody has gone to see yet.",
                    (
                        asks(
                            REPORTS,
                            "at time, place text, about text, report text, verified text, told_by text, cell text",
                        ),
                    ),
                    listing(linked_column("place", on)),
                    width=11,
                    height=9,
                ),
                Panel(
                    "What is announced",
                    "Matches, markets and works of the calendar, now and in the next three days, and what each asks for: to expect "
                    "more, to be less easily surprised, to say nothing of the unusual, or not to learn. No limit is ever moved.",
                    (asks(ANNOUNCED, "begins time, ends time, what text, asks_for text, places text"),),
                    listing(),
                    width=24,
                    height=6,
                ),
            ],
        ),
        (
            "Project: what is coming",
            [
                Panel(
                    "Limits that will be crossed",
                    "Limits that forecasts say will be passed: when, how likely, and how sure we are. A warning: the "
                    "forecast itself passes it; a watch: the upper end of its band does. Below 0 it is overdue. Empty means: "
                    "no forecast reaches a limit.",
                    (
                        asks(
                            AHEAD,
                            "level text, place text, metric text, ahead number, likely number, tier text, bound number, "
                            "sensor text, cell text",
                        ),
                    ),
                    listing(
                        level_column(),
                        unit_column("ahead", "s"),
                        unit_column("likely", "percentunit"),
                        unit_column("bound", "short", 1),
                        linked_column("place", on, usual),
                    ),
                    width=10,
                    height=10,
                ),
                Panel(
                    "Forecast against the limits",
                    "One series: what came, what is expected, the band that should hold four in five values, and the "
                    "wide one that should hold nineteen in twenty. While no cell is chosen it is the series with the "
                    "highest forecast. Dashed: the limits, where the metric has them.",
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
                        limit_line("yellow", Level.YELLOW),
                        limit_line("red", Level.RED),
                        unit="short",
                    ),
                    width=14,
                    height=10,
                    links=(way("How good were they?", "Review"),),
                ),
            ],
        ),
    ]
