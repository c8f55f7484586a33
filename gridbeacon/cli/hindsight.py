"""The tables and pages of a backtest."""

import csv
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import typer

from gridbeacon.cli.common import print_table
from gridbeacon.cli.data import recorded
from gridbeacon.config import Config
from gridbeacon.errors import UsageError
from gridbeacon.hindsight import Alarm, Hindsight
from gridbeacon.labels import read_labels, time_of
from gridbeacon.plots import page


def look_back(
    settings: Config,
    folder: Path,
    files: list[Path],
    between: tuple[str | None, str | None],
    labels: Path | None,
    out: Path | None,
    tick_secs: float,
    *,
    forecast: bool = False,
) -> None:
    """Run a backtest; print its tables, and write them and a page per label into ``out``."""
    zone = ZoneInfo(settings.timezone)
    begin, end = between
    from_ms = None if begin is None else time_of(begin, zone, "--from")
    to_ms = None if end is None else time_of(end, zone, "--to")
    if from_ms is not None and to_ms is not None and to_ms <= from_ms:
        raise UsageError("--to is not after --from; exchange them")
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{out} can't be made: {error.strerror}; name another directory with --out") from None
    seen = Hindsight(from_ms, to_ms, read_labels(labels, zone) if labels else ())
    for found in recorded(settings, folder, files, tick_secs, forecast=forecast):
        seen.take(found)
    typer.echo(f"{len(seen.alarms)} alarms in {seen.weeks:.2f} weeks\n")
    for title, columns, rows in seen.tables():
        typer.echo(title)
        print_table(columns, rows, empty="none")
        typer.echo("")
    if out is not None:
        _write(seen, out, settings.timezone)


def _write(seen: Hindsight, out: Path, timezone: str) -> None:
    for title, columns, rows in seen.tables():
        _csv(out / f"{_plain(title)}.csv", columns, rows)
    names = Alarm.__struct_fields__
    _csv(
        out / "alarms.csv",
        list(names),
        [[str(v) for v in msgspec.structs.astuple(one)] for one in seen.alarms],
    )
    pages = 0
    for number, outcome in enumerate(seen.outcomes(), 1):
        series = seen.shown(outcome)
        if series is None:
            continue
        text = page(outcome.label, series, seen.points[outcome.label][series], seen.alarms, timezone)
        (out / f"{number:03d}-{_plain(outcome.label.name)}.html").write_text(text, encoding="utf-8")
        pages += 1
    typer.echo(f"{pages} pages and the tables are in {out}")


def _csv(file: Path, columns: list[str], rows: list[list[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _plain(name: str) -> str:
    """Return a name for a file.

    >>> _plain("Alarms by layer")
    'alarms-by-layer'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "label"
