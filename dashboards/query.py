"""Questions of panels: SQL for the ClickHouse plug-in, expressions for Prometheus, and what a panel needs of either."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models.dashboard import DataSourceRef

PLUGIN = "grafana-clickhouse-datasource"
PLUGIN_VERSION = "4.10.2"
CLICKHOUSE = DataSourceRef(type_val=PLUGIN, uid="gridbeacon-clickhouse")
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="gridbeacon-prometheus")


@dataclass(frozen=True)
class Question:
    """SQL with the plug-in's macros and the dashboard's variables; ``needs``: the columns of its answer, in order."""

    sql: str
    needs: dict[str, str]
    series: bool = False
    """Rows become lines over time, one for each text that occurs; else they stay a table."""


@dataclass(frozen=True)
class Expression:
    """What is asked of Prometheus; ``legend`` names the lines."""

    expr: str
    legend: str


def asks(sql: str, columns: str, *, series: bool = False) -> Question:
    """Return a question whose answer's columns are said in words: name and time, number or text.

    >>> asks("SELECT 1 AS n", "n number").needs
    {'n': 'number'}
    """
    pairs = (one.split() for one in columns.split(","))
    return Question(sql, {name: family for name, family in pairs}, series)  # noqa: C416 - pairs are lists


class SqlTarget(variants.Dataquery):
    """A target as version 4 of the plug-in stores it."""

    def __init__(self, question: Question, ref_id: str) -> None:
        self._question, self._ref_id = question, ref_id

    def to_json(self) -> dict[str, object]:
        """Return the plain data of it."""
        return {
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "format": 0 if self._question.series else 1,
            "pluginVersion": PLUGIN_VERSION,
            "queryType": "timeseries" if self._question.series else "table",
            "rawSql": self._question.sql.strip(),
            "refId": self._ref_id,
        }


class SqlTargetBuilder(cogbuilder.Builder[variants.Dataquery]):
    """What the panels' builders take."""

    def __init__(self, target: SqlTarget) -> None:
        self._target = target

    def build(self) -> variants.Dataquery:
        """Return the target."""
        return self._target


def target(question: Question | Expression, ref_id: str) -> cogbuilder.Builder[variants.Dataquery]:
    """Return the target of a question, named A, B, … in its panel."""
    if isinstance(question, Expression):
        return prometheus.Dataquery().expr(question.expr).range().legend_format(question.legend).ref_id(ref_id)
    return SqlTargetBuilder(SqlTarget(question, ref_id))
