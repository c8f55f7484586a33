"""The dashboards' variables, and the conditions that they put into SQL."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.names import tables
from dashboards.query import CLICKHOUSE
from gridbeacon.reasons import Level
from gridbeacon.vocabulary import METRICS, Kind

ALL = "all"
T = tables()


def chosen(variable: str) -> str:
    """Return SQL for what was chosen. Percent signs and letters alone get into the text: it can't end a string early.

    >>> chosen("cell")
    "decodeURLComponent('${cell:percentencode}')"
    """
    return f"decodeURLComponent('${{{variable}:percentencode}}')"


AREAS = f"""
SELECT 'all' AS id, 'all districts' AS name
UNION ALL
SELECT area AS id, area AS name FROM
(
    SELECT {T.places.district} AS area FROM {T.places}
    UNION DISTINCT
    SELECT {T.alerts.area} AS area FROM {T.alerts}
)
WHERE area != ''
ORDER BY id = 'all' DESC, id
"""
"""Without a registry the districts are those that alerts have named."""
CELLS = f"""
SELECT 'all' AS id, 'all cells' AS name
UNION ALL
SELECT {T.places.grid_id} AS id, concat({T.places.name}, ' ', {T.places.grid_id}) AS name
FROM {T.places} FINAL
WHERE {chosen("district")} = 'all' OR startsWith({T.places.grid_id}, {chosen("district")})
ORDER BY id = 'all' DESC, name
LIMIT 20000
"""
PRESENT = "least($__toTime, now())"
"""The end of the time range, or now when it reaches into the future."""


def district(column: str) -> str:
    """Return the condition that a cell or area is of the chosen district."""
    return f"({chosen('district')} = '{ALL}' OR startsWith({column}, {chosen('district')}))"


def cell(column: str) -> str:
    """Return the condition that a cell is the chosen one."""
    return f"({chosen('cell')} = '{ALL}' OR {column} = {chosen('cell')})"


def here(column: str) -> str:
    """Return the condition that a cell is in the chosen district and the chosen one."""
    return f"{district(column)} AND {cell(column)}"


def kind(column: str) -> str:
    """Return the condition that a kind of data is the chosen one."""
    return f"({chosen('kind')} = '{ALL}' OR {column} = {chosen('kind')})"


def level(column: str) -> str:
    """Return the condition that a level is the chosen one or higher."""
    return f"{column} >= {chosen('level')}"


def variables(more: tuple[str, ...]) -> list[cogbuilder.Builder[model.VariableModel]]:
    """Return the variables of a dashboard: those that all have, and more by name."""
    known: dict[str, cogbuilder.Builder[model.VariableModel]] = {
        "district": _asked("district", "District", AREAS),
        "cell": _asked("cell", "Cell", CELLS),
        "kind": _listed("kind", "Kind of data", [ALL, *Kind]),
        "level": _listed("level", "From level", [one.word for one in Level if one]),
        "metric": _listed("metric", "Metric", list(dict.fromkeys(one.name for one in METRICS if one.learned))),
        "alert": build.TextBoxVariable("alert").label("Alert").default_value(ALL).current(_option(ALL)),
    }
    return [known[name] for name in ("district", "cell", "kind", "level", *more)]


def _option(value: str) -> model.VariableOption:
    return model.VariableOption(selected=True, text=value, value=value)


def _asked(name: str, label: str, sql: str) -> build.QueryVariable:
    query: dict[str, object] = {"editorType": "sql", "queryType": "table", "rawSql": sql.strip(), "refId": name}
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(CLICKHOUSE)
        .query(query)
        .refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
        .current(_option(ALL))
    )


def _listed(name: str, label: str, values: list[str]) -> build.CustomVariable:
    options = [model.VariableOption(selected=n == 0, text=v, value=v) for n, v in enumerate(values)]
    return build.CustomVariable(name).label(label).values(",".join(values)).options(options).current(_option(values[0]))
