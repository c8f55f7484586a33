"""Every question of every panel, asked of a database as Grafana would."""

import time
from collections.abc import Iterator

from dashboards.build import DASHBOARDS
from dashboards.expand import Shown, expanded
from dashboards.panels import Panel
from dashboards.query import Question
from gridbeacon.config import Config
from sinks.clickhouse import ask

DEFAULTS = {"district": "all", "cell": "all", "kind": "all", "level": "blue", "metric": "people_count", "alert": "all"}
"""What the variables are before anybody chooses."""
_HOUR = 3600
#: Seconds before and after now that each dashboard shows at first.
SPANS = {
    "Early warning": (12 * _HOUR, 6 * _HOUR),
    "Dispatch": (6 * _HOUR, 2 * _HOUR),
    "Review": (7 * 24 * _HOUR, 0),
    "Engine": (6 * _HOUR, 0),
}


def questions(config: Config) -> Iterator[tuple[str, Panel, Question]]:
    """Yield dashboard, panel and question of all that is asked of ClickHouse."""
    for title, (rows, *_) in DASHBOARDS.items():
        for _, panels in rows(config):
            for panel in panels:
                for question in panel.questions:
                    if isinstance(question, Question):
                        yield title, panel, question


def ask_all(config: Config, now_secs: int) -> Iterator[tuple[str, str, str, str]]:
    """Yield dashboard, panel, rows and milliseconds of each. Raises as ``sinks.clickhouse.ask`` does."""
    for title, panel, question in questions(config):
        before, after = SPANS[title]
        shown = Shown(now_secs - before, now_secs + after, DEFAULTS, config.timezone)
        began = time.perf_counter()
        _, rows = ask(config, expanded(question.sql, shown))
        yield title, panel.title, str(len(rows)), f"{1000 * (time.perf_counter() - began):.0f}"
