"""The plug-in's macros and Grafana's variables put into SQL, as their documentation says: panels without Grafana.

Source: the README of the ClickHouse data source, "Macros"; Grafana's "Advanced variable format options".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

_MACRO = re.compile(r"\$__(fromTime|toTime|timeFilter|timeInterval|interval_s)\b(?:\(([^()]*)\))?")
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
POINTS = 1000
"""So many points a panel of usual width asks for."""


@dataclass(frozen=True)
class Shown:
    """What a dashboard shows: from when to when (seconds since 1970), and the values of its variables."""

    from_secs: int
    to_secs: int
    variables: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"

    @property
    def interval_secs(self) -> int:
        """How much time one point stands for."""
        return max(1, (self.to_secs - self.from_secs) // POINTS)


def expanded(sql: str, shown: Shown) -> str:
    """Return the SQL that reaches ClickHouse. Raises ``KeyError`` on a variable that has no value.

    >>> expanded("SELECT decodeURLComponent('${cell:percentencode}') WHERE $__timeFilter(at)", Shown(0, 60, {"cell": "x"}))
    "SELECT 'x' WHERE at >= toDateTime(0) AND at <= toDateTime(60)"
    """
    values = {"__timezone": shown.timezone, **shown.variables}

    def value(found: re.Match[str]) -> str:
        text = values[found[1]]
        return quote(text, safe="-_.~") if found[2] == "percentencode" else text

    def macro(found: re.Match[str]) -> str:
        begin, end = f"toDateTime({shown.from_secs})", f"toDateTime({shown.to_secs})"
        match found[1]:
            case "fromTime":
                return begin
            case "toTime":
                return end
            case "timeFilter":
                return f"{found[2]} >= {begin} AND {found[2]} <= {end}"
            case "timeInterval":
                return f"toStartOfInterval(toDateTime({found[2]}), INTERVAL {shown.interval_secs} second)"
            case _:
                return str(shown.interval_secs)

    return _MACRO.sub(macro, _VARIABLE.sub(value, sql))
