"""What all panels share: the four colours, each with its symbol and its word, and the ways from panel to panel."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from gridbeacon.levels import COLOURS, said
from gridbeacon.reasons import Level

UIDS = {
    "Early warning": "gridbeacon-early-warning",
    "Dispatch": "gridbeacon-dispatch",
    "Review": "gridbeacon-review",
    "Engine": "gridbeacon-engine",
}
KEPT = "${__url_time_range}&${district:queryparam}&${kind:queryparam}&${level:queryparam}"
"""What every way from panel to panel takes along, beside the cell."""


def level_mappings() -> list[model.ValueMapping]:
    """Return what turns a level, as its word or its number, into symbol, word and colour."""
    options: dict[str, model.ValueMappingResult] = {}
    for level in Level:
        for key in (level.word, str(int(level))):
            options[key] = model.ValueMappingResult(text=said(level), color=COLOURS[level], index=len(options))
    return [model.ValueMap(options=options)]


def steps(*pairs: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Return thresholds: from each value on, this colour."""
    found = [model.Threshold(value=value, color=colour) for value, colour in pairs]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def level_steps() -> build.ThresholdsConfig:
    """Return thresholds over levels as numbers."""
    return steps((None, COLOURS[Level.NONE]), *[(float(level), COLOURS[level]) for level in Level if level])


def property_of(name: str, value: object) -> model.DynamicConfigValue:
    """Return one property for an override of a field."""
    return model.DynamicConfigValue(id_val=name, value=value)


def way(title: str, dashboard: str, cell: str = "${cell:queryparam}", more: str = "") -> build.DashboardLink:
    """Return a link to a dashboard that keeps the time range, the filters and the cell."""
    url = f"/d/{UIDS[dashboard]}?{KEPT}&{cell}{more}"
    return build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url)


def row_way(title: str, dashboard: str, column: str = "cell", more: str = "") -> dict[str, object]:
    """Return a link on a table's value that takes the row's cell along."""
    url = f'/d/{UIDS[dashboard]}?{KEPT}&var-cell=${{__data.fields["{column}"]}}{more}'
    return {"title": title, "url": url, "targetBlank": False}
