"""The four dashboards as Grafana takes them: JSON that is the same on every machine, and its golden files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards import dispatch, early_warning, engine, review
from dashboards.filters import T, here, level, variables
from dashboards.look import UIDS, way
from dashboards.panels import Rows
from dashboards.query import CLICKHOUSE, PLUGIN_VERSION
from gridbeacon.config import Config

GOLDEN = Path(__file__).parent / "golden"
TAG = "gridbeacon"
#: title -> rows, variables beside those that all have, time range, refresh.
DASHBOARDS: dict[str, tuple[Callable[[Config], Rows], tuple[str, ...], tuple[str, str], str]] = {
    "Early warning": (early_warning.rows, ("metric",), ("now-12h", "now+6h"), "1m"),
    "Dispatch": (dispatch.rows, ("metric", "alert"), ("now-6h", "now+2h"), "10s"),
    "Review": (review.rows, ("metric",), ("now-7d", "now"), ""),
    "Engine": (engine.rows, (), ("now-6h", "now"), "30s"),
}
A = T.alerts
MARKS = f"""
SELECT {A.opened_at} AS time, {A.cleared_at} AS timeEnd, {A.headline} AS text, concat(toString({A.highest_level}), ',', {A.rule}) AS tags
FROM {A} FINAL
WHERE {A.opened_at} <= $__toTime AND ({A.cleared_at} IS NULL OR {A.cleared_at} >= $__fromTime) AND {A.highest_level} >= 'yellow'
  AND {here(A.cell)} AND {level(A.highest_level)}
ORDER BY time DESC
LIMIT 200
"""
"""The alerts of the time range, as regions on every graph."""


class Marks(build.AnnotationQuery):
    """An annotation query in SQL, which the SDK's own type has no field for."""

    def build(self) -> Any:
        """Return its plain data."""
        made: dict[str, object] = super().build().to_json()
        asked = {"editorType": "sql", "format": 1, "pluginVersion": PLUGIN_VERSION, "queryType": "table"}
        return made | {"target": asked | {"rawSql": MARKS.strip(), "refId": "alerts"}}


def built(config: Config) -> dict[str, str]:
    """Return the JSON of every dashboard, by its uid. Raises ``AttributeError`` on a name that the schema lacks."""
    return {UIDS[title]: _json(title, config) for title in DASHBOARDS}


def stale(folder: Path, config: Config) -> list[str]:
    """Return the names of files in ``folder`` that are missing or not what ``built`` returns."""
    found = []
    for uid, text in built(config).items():
        file = folder / f"{uid}.json"
        if not file.is_file() or file.read_text("utf-8") != text:
            found.append(file.name)
    return found


def write(folder: Path, config: Config) -> list[Path]:
    """Write every dashboard into ``folder`` and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for uid, text in built(config).items():
        files.append(folder / f"{uid}.json")
        files[-1].write_text(text, "utf-8")
    return files


def markdown(config: Config) -> str:
    """Return the panels of every dashboard as the documentation lists them."""
    parts = []
    for title, (rows, *_) in DASHBOARDS.items():
        parts.append(f"### {title}\n")
        for name, panels in rows(config):
            lines = [f"| {panel.title} | {panel.says} |" for panel in panels]
            parts.append("\n".join([f"{name}:\n", "| panel | what it says |", "| --- | --- |", *lines, ""]))
    return "\n".join(parts)


def _json(title: str, config: Config) -> str:
    rows, more, (begin, end), refresh = DASHBOARDS[title]
    says = (sys.modules[rows.__module__].__doc__ or "").partition("\n")[0]
    made = (
        build.Dashboard(title)
        .uid(UIDS[title])
        .description(says)
        .tags([TAG])
        .timezone("browser")
        .time(begin, end)
        .refresh(refresh)
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .variables(variables(more))
        .annotation(Marks().name("Alerts").datasource(CLICKHOUSE).enable(title != "Engine").icon_color("#d1242f"))
        .links([way(other, other) for other in DASHBOARDS if other != title])
    )
    number = 0
    for name, panels in rows(config):
        number += 1
        made = made.with_row(build.Row(name).id(number))
        for panel in panels:
            number += 1
            made = made.with_panel(panel.built(number))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
