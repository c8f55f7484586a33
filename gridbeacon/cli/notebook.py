"""A Jupyter notebook that is ready to ask."""

from pathlib import Path

import msgspec

from gridbeacon.config import Config
from gridbeacon.errors import UsageError
from sinks.clickhouse import where

INTRODUCTION = """\
# Gridbeacon

Questions to the database of {database}. What each table means is in docs/tables.md, more questions are in docs/sql.md.
The cells need `pip install clickhouse-driver pandas`."""
CONNECT = """\
from clickhouse_driver import Client

client = Client("{host}", port={port}, database="{database}", user="{user}", secure={secure})


def ask(sql):
    return client.query_dataframe(sql)"""
PICTURE = """answer.pivot(index="hour", columns="metric", values="median").plot(subplots=True)"""
QUESTIONS = (
    ("Which cells alarm most, and how often were they wrong?",
     "SELECT cell, any(place) AS place, count() AS alerts, countIf(disposition = 'NOT_ANOMALY') AS wrong\n"
     "FROM alert_review GROUP BY cell ORDER BY alerts DESC, cell LIMIT 10"),
    ("How long before the worst did we warn?",
     "SELECT highest_level, count() AS alerts, round(median(lead_minutes), 1) AS minutes\n"
     "FROM lead_time GROUP BY highest_level ORDER BY highest_level DESC"),
    ("What was usual for the cell that alarms most, hour by hour on Fridays?",
     "SELECT hour, metric, round(median, 2) AS median, round(p90, 2) AS p90 FROM cell_hour\n"
     "WHERE grid_id = (SELECT cell FROM alerts FINAL GROUP BY cell ORDER BY count() DESC LIMIT 1) AND weekday = 5\n"
     "ORDER BY metric, hour"),
)  # fmt: skip


def write(file: Path, config: Config) -> None:
    """Write the notebook. Raises ``UsageError`` when the file is there already, or can't be written."""
    host, port = where(config)
    clickhouse = config.clickhouse
    names = {"host": host, "port": port, "database": clickhouse.database, "user": clickhouse.username}
    cells = [
        _cell("markdown", INTRODUCTION.format(**names)),
        _cell("code", CONNECT.format(**names, secure=clickhouse.secure)),
    ]
    for title, sql in QUESTIONS:
        cells += [_cell("markdown", f"## {title}"), _cell("code", f'answer = ask("""\n{sql}\n""")\nanswer')]
    cells.append(_cell("code", PICTURE))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    try:
        with file.open("xb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(book), indent=1))
    except FileExistsError as error:
        raise UsageError(f"{file} is there already; name another file, or remove it") from error
    except OSError as error:
        raise UsageError(f"{file} can't be written ({error.strerror}); name another file") from error


def _cell(kind: str, text: str) -> dict[str, object]:
    cell: dict[str, object] = {"cell_type": kind, "metadata": {}, "source": text}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
