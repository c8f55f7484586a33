"""A panel: what it is called, what it says in plain words, what it asks, and how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, geomap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model

from dashboards.look import level_mappings, level_steps, property_of, steps
from dashboards.query import CLICKHOUSE, PROMETHEUS, Expression, Question, target
from gridbeacon.levels import COLOURS, SYMBOLS
from gridbeacon.reasons import Level

NOTHING = "nothing in this time range"
Override = tuple[str, Sequence[model.DynamicConfigValue]]


@dataclass(frozen=True)
class Panel:
    """One panel. ``builder`` is the foundation SDK's, with its looks set; questions, title and place are put in here."""

    title: str
    says: str
    questions: tuple[Question | Expression, ...]
    builder: Any
    width: int = 12
    height: int = 8
    links: tuple[build.DashboardLink, ...] = ()

    def built(self, number: int) -> Any:
        """Return the finished builder; ``number`` is the panel's id."""
        prometheus = isinstance(self.questions[0], Expression)
        made = (
            self.builder.id(number)
            .title(self.title)
            .description(self.says)
            .datasource(PROMETHEUS if prometheus else CLICKHOUSE)
            .span(self.width)
            .height(self.height)
            .links(list(self.links))
        )
        for question, ref_id in zip(self.questions, "ABCDEF", strict=False):
            made = made.with_target(target(question, ref_id))
        return made


Rows = list[tuple[str, list[Panel]]]
"""A dashboard's rows: what each is called, and its panels."""


def overridden(builder: Any, overrides: Sequence[Override]) -> Any:
    """Return a builder with properties for fields by name."""
    for name, properties in overrides:
        builder = builder.override_by_name(name, list(properties))
    return builder


def level_column(name: str = "level") -> Override:
    """Return what makes a column of a table show levels."""
    cell = {"type": "color-background", "mode": "basic"}
    looks = [("mappings", level_mappings()), ("custom.cellOptions", cell), ("custom.width", 130)]
    return name, [property_of(key, value) for key, value in looks]


def unit_column(name: str, unit: str, decimals: int = 0) -> Override:
    """Return what gives a column its unit."""
    return name, [property_of("unit", unit), property_of("decimals", decimals)]


def linked_column(name: str, *links: dict[str, object]) -> Override:
    """Return what makes a column's values links."""
    return name, [property_of("links", list(links))]


def listing(*overrides: Override) -> Any:
    """Return a table."""
    return overridden(table.Panel().no_value(NOTHING).cell_height(shapes.TableCellHeight.SM), overrides)


def counts(*overrides: Override, unit: str = "none", limits: Any = None) -> Any:
    """Return big numbers, one a column."""
    made = (
        stat.Panel()
        .unit(unit)
        .no_value("none")
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/").values(False))
        .color_mode(shapes.BigValueColorMode.BACKGROUND)
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .text_mode(shapes.BigValueTextMode.VALUE_AND_NAME)
        .thresholds(limits or steps((None, COLOURS[Level.NONE])))
    )
    return overridden(made, overrides)


def coloured_count(level: Level, name: str) -> Override:
    """Return what colours a count by its level once it is not 0."""
    pair = [{"value": None, "color": COLOURS[Level.NONE]}, {"value": 1, "color": COLOURS[level]}]
    looks = [("displayName", name), ("thresholds", {"mode": "absolute", "steps": pair})]
    return level.word, [property_of(key, value) for key, value in looks]


#: The overrides of ``counts`` for a column per level.
LEVEL_COUNTS = tuple(coloured_count(one, f"{SYMBOLS[one]} {one.word}") for one in Level if one)


def lines(*overrides: Override, unit: str = "none", stacked: bool = False, bars: bool = False) -> Any:
    """Return lines over time, or bars."""
    made = (
        timeseries.Panel()
        .unit(unit)
        .no_value(NOTHING)
        .min(0)
        .line_width(1)
        .fill_opacity(60 if bars else 0)
        .draw_style(shapes.GraphDrawStyle.BARS if bars else shapes.GraphDrawStyle.LINE)
        .show_points(shapes.VisibilityMode.AUTO)
        .span_nulls(False)
        .legend(common.VizLegendOptions().show_legend(True).placement(shapes.LegendPlacement.BOTTOM))
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
    )
    if stacked:
        made = made.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    return overridden(made, overrides)


def band(low: str, high: str, name: str) -> tuple[Override, Override]:
    """Return what draws the space between two lines as a band."""
    thin = [property_of("custom.lineWidth", 0), property_of("color", {"mode": "fixed", "fixedColor": "#7aa6d6"})]
    top = [*thin, property_of("custom.fillBelowTo", low), property_of("displayName", f"{name}, high end")]
    return (high, [*top, property_of("custom.fillOpacity", 18)]), (low, thin)


def limit_line(name: str, level: Level) -> Override:
    """Return what draws a limit: dashed, in its level's colour."""
    looks = [
        ("color", {"mode": "fixed", "fixedColor": COLOURS[level]}),
        ("custom.lineStyle", {"fill": "dash", "dash": [10, 8]}),
        ("custom.showPoints", "never"),
    ]
    return name, [property_of(key, value) for key, value in looks]


def states() -> Any:
    """Return a time line of levels, a row for each series."""
    return (
        statetimeline.Panel()
        .no_value(NOTHING)
        .mappings(level_mappings())
        .thresholds(level_steps())
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .merge_values(True)
        .show_value(shapes.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(80)
    )


def city_map() -> Any:
    """Return a map of points: ``lat``, ``long``, coloured and sized by ``level``, with ``mark`` as text beside each."""
    style = {
        "color": {"field": "level", "fixed": COLOURS[Level.NONE]},
        "opacity": 0.8,
        "size": {"field": "level", "fixed": 5, "min": 4, "max": 14},
        "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
        "text": {"mode": "field", "field": "mark", "fixed": ""},
        "textConfig": {"fontSize": 13, "offsetX": 0, "offsetY": -12, "textAlign": "center", "textBaseline": "middle"},
    }
    location = common.FrameGeometrySource().mode(shapes.FrameGeometrySourceMode.COORDS)
    layer = (
        common.MapLayerOptions()
        .type("markers")
        .name("cells")
        .config({"showLegend": True, "style": style})
        .location(location.latitude("lat").longitude("long"))
        .tooltip(True)
    )
    view = geomap.MapViewConfig().id("fit").all_layers(True).padding(8)
    return (
        geomap.Panel()
        .no_value(NOTHING)
        .mappings(level_mappings())
        .thresholds(level_steps())
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .view(view)
        .basemap(common.MapLayerOptions().type("default").name("base"))
        .layers([layer])
    )


def week_grid(unit: str, high: float, decimals: int = 0) -> Any:
    """Return a table of weekdays by hours whose cells are shaded by their value; the value is written in each."""
    shades = steps((None, "#f2f4f7"), (high / 4, "#c6dbef"), (high / 2, "#6baed6"), (high, "#2171b5"))
    return (
        table.Panel()
        .no_value(NOTHING)
        .unit(unit)
        .decimals(decimals)
        .thresholds(shades)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .cell_options(shapes.TableColoredBackgroundCellOptions(mode=shapes.TableCellBackgroundDisplayMode.BASIC))
        .width(52)
        .override_by_name("day", [property_of("custom.width", 60), property_of("custom.cellOptions", {"type": "auto"})])
        .cell_height(shapes.TableCellHeight.SM)
    )
