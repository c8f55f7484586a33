"""SQL that several dashboards share: the alerts as they stood at the end of the time range, and what goes with them."""

from dashboards.filters import PRESENT, T, chosen, district, here, level
from gridbeacon.levels import SYMBOLS
from gridbeacon.reasons import ActionKind, Level
from gridbeacon.reasons import ConditionState as C
from gridbeacon.reasons import HandlingState as H

E, A = T.alert_events, T.alerts
NOT_TAKING = ("", str(ActionKind.FEEDBACK), str(ActionKind.COMMENT))
"""Actions by which nobody takes an alert upon them; empty is the engine's."""
TAKEN = (
    f"minIf(toNullable({E.at}), {E.handling_from} = '{H.NEW}' AND {E.handling_to} != '{H.NEW}' AND {E.action} != '')"
)
"""When somebody took an alert, as in the view alert_review."""

RECENT = (
    f"SELECT {A.alert_id} FROM {A} WHERE {A.opened_at} <= {PRESENT} AND {A.changed_at} > {PRESENT} - INTERVAL 30 DAY "
    f"AND (ifNull({A.cleared_at} > {PRESENT}, true) OR ifNull({A.closed_at} > {PRESENT}, true))"
)
"""What nothing has happened to for 30 days is no matter for a wall, nor is what was over and closed by then: without these
bounds the whole history would be folded."""

STANDING = f"""
    SELECT {E.alert_id}, argMax({E.level_to}, {E.version}) AS level, max({E.level_to}) AS highest,
           argMax({E.condition_to}, {E.version}) AS condition, argMax({E.handling_to}, {E.version}) AS handling,
           min({E.at}) AS began, countIf({E.notice_id} != '') AS told,
           argMaxIf(if({E.assignee} != '', {E.assignee}, {E.actor}), {E.version},
                    {E.action} NOT IN {NOT_TAKING} AND {E.refusal} = '') AS who
    FROM {E}
    WHERE {E.alert_id} IN ({RECENT}) AND {E.at} <= {PRESENT} AND {E.version} > 0 AND {district(E.alert_id)}
    GROUP BY {E.alert_id}
    HAVING {level("highest")} AND (condition != '{C.CLEARED}' OR handling NOT IN ('{H.NEW}', '{H.CLOSED}', '{H.REVIEWED}')
           OR handling = '{H.NEW}' AND told > 0)
"""
"""Open as in the view alerts_now: what is not over, and what is over but somebody was told of or has taken, and nobody has
closed. An alert's id begins with its area, so that a district is a range of the key."""

OPEN = f"""
SELECT s.level AS level, s.condition AS condition, a.cell AS cell, s.began AS began, s.handling AS handling, s.who AS who,
       a.headline AS headline, s.alert_id AS alert_id
FROM (SELECT {A.alert_id}, {A.cell}, {A.headline} FROM {A} FINAL
      WHERE {A.alert_id} IN ({RECENT}) AND {here(A.cell)}) AS a
INNER JOIN ({STANDING}) AS s ON s.alert_id = a.alert_id
"""

ALERT = f"""if({chosen("alert")} != 'all', {chosen("alert")},
    ifNull((SELECT alert_id FROM ({STANDING}) ORDER BY level DESC, began, alert_id LIMIT 1), ''))"""
"""The alert that was named, else the gravest that stands."""

OPEN_BY_LEVEL = f"""
SELECT {", ".join(f"countIf(level = '{one.word}') AS {one.word}" for one in sorted(Level, reverse=True) if one)}
FROM ({OPEN})
"""


def name_of(column: str) -> str:
    """Return SQL for the name of a cell, its code where the registry has none."""
    place = T.place
    found = f"dictGetOrDefault('{place}', '{place.name}', toString({column}), '')"
    return f"if({found} = '', toString({column}), {found})"


def mark(column: str) -> str:
    """Return SQL for the symbol of a level."""
    pairs = ", ".join(f"{column} = '{one.word}', '{SYMBOLS[one]}'" for one in Level if one)
    return f"multiIf({pairs}, '')"
