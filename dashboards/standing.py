"""SQL that several dashboards share: the alerts as they stood at the end of the time range, and what goes with them."""

from dashboards.filters import PRESENT, T, chosen, district, here, level
from dashboards.look import SYMBOLS
from gridbeacon.reasons import ConditionState, Level

E, A = T.alert_events, T.alerts

STANDING = f"""
    SELECT {E.alert_id}, argMax({E.level_to}, {E.version}) AS level, argMax({E.condition_to}, {E.version}) AS condition,
           argMax({E.handling_to}, {E.version}) AS handling, min({E.at}) AS began,
           argMaxIf({E.actor}, {E.version}, {E.handling_to} != {E.handling_from} AND {E.handling_from} != '') AS who
    FROM {E}
    WHERE {E.at} <= {PRESENT} AND {district(E.alert_id)}
    GROUP BY {E.alert_id}
    HAVING condition != '{ConditionState.CLEARED}' AND {level("level")}
"""
"""An alert's id begins with its area, so that a district is a range of the key."""

OPEN = f"""
SELECT s.level AS level, a.cell AS cell, s.began AS began, s.handling AS handling, s.who AS who, a.headline AS headline,
       s.alert_id AS alert_id
FROM (SELECT {A.alert_id}, {A.cell}, {A.headline} FROM {A} FINAL
      WHERE {A.alert_id} IN (SELECT {E.alert_id} FROM ({STANDING})) AND {here(A.cell)}) AS a
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
