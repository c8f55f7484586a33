"""A made city to try queries on: fixture city."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from gridbeacon.cli.common import ConfigOption, config_of
from gridbeacon.cli.data import progress
from gridbeacon.config import Config
from gridbeacon.errors import UsageError

if TYPE_CHECKING:  # numpy would cost every command a tenth of a second
    from gridbeacon.demo.fixture.plan import Size

BATCH_ROWS = 100_000
Columns = dict[str, list[Any]]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    fixture = typer.Typer(help="Made data, the same for everybody, to try things out on.", no_args_is_help=True)
    fixture.callback()(_group)
    fixture.command("city")(city)
    app.add_typer(fixture, name="fixture")


def _group() -> None:
    """Keep ``city`` a word of its own."""


def city(
    *,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days, from the first of January 2024.")] = 7,
    sensors: Annotated[int, typer.Option(min=2, max=100_000, help="Half cameras, half traffic loops.")] = 60,
    interval_secs: Annotated[
        int, typer.Option("--interval-secs", min=60, max=3600, help="Between two observations of a sensor.")
    ] = 300,
    events_per_day: Annotated[int, typer.Option("--events-per-day", min=1, help="Everyday reports of a day.")] = 300,
    incidents_per_day: Annotated[int, typer.Option("--incidents-per-day", min=1, help="Crowds of a day.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Another number is another city.")] = 1,
    out: Annotated[str, typer.Option(help="`clickhouse`, or a directory for Parquet files.")] = "clickhouse",
    database: Annotated[str | None, typer.Option(help="Database, instead of clickhouse.database.")] = None,
    truth: Annotated[Path | None, typer.Option(help="File for the incidents as they really were, JSON lines.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a whole city: sensors, observations, reports, alerts and what people did about them.

    The same arguments make the same rows; loading them again changes nothing.
    """
    from gridbeacon.demo.fixture.plan import Size

    size = Size(days, sensors, interval_secs, events_per_day, incidents_per_day, seed)
    settings = config_of(config)
    if database is not None:
        clickhouse = msgspec.structs.replace(settings.clickhouse, database=database)
        settings = msgspec.structs.replace(settings, clickhouse=clickhouse)
    began = time.monotonic()
    with progress("making the city", days) as advance:
        rows = load(size, settings, advance) if out == "clickhouse" else write(size, Path(out), advance)
    if truth is not None:
        _tell(size, truth)
    secs = time.monotonic() - began
    where = f"database {settings.clickhouse.database}" if out == "clickhouse" else out
    sys.stdout.write(f"{rows:,} rows in {where} after {secs:.1f} s ({rows / secs:,.0f} a second)\n")


def day_of(size: "Size", day: int) -> Iterator[tuple[str, Columns]]:
    """Yield table and rows of everything that happened on one day."""
    from gridbeacon.demo.fixture import alerts, forecasts, observations, reports

    yield "observations", observations.columns(size, day)
    yield "grid_events", reports.columns(size, day)
    yield from alerts.columns(size, day).items()
    yield "dead_letters", alerts.dead_letters(size, day)
    if rows := forecasts.columns(size, day):
        yield "forecasts", rows
    if rows := forecasts.crossings(size, day):
        yield "crossings", rows


def load(size: "Size", config: Config, advance: Any) -> int:
    """Write the city to ClickHouse, its tables made first, and return how many rows."""
    from gridbeacon.demo.fixture.plan import START_MS, TIMEZONE, calendar, registry
    from sinks import announced, places
    from sinks.clickhouse import ClickHouseSink
    from sinks.migrate import migrate

    migrate(msgspec.structs.replace(config, timezone=TIMEZONE))
    rows = places.store(registry(size), config, START_MS) + announced.store(calendar(size), config, START_MS)
    sink = ClickHouseSink(config)
    try:
        for day in range(size.days):
            for table, columns in day_of(size, day):
                count = len(next(iter(columns.values())))
                for begin in range(0, count, BATCH_ROWS):
                    part = {name: column[begin : begin + BATCH_ROWS] for name, column in columns.items()}
                    rows += sink.write(
                        table, part, f"fixture/{msgspec.json.encode(size).decode()}/{table}/{day}/{begin}"
                    )
            advance(1)
    finally:
        sink.close()
    return rows


def write(size: "Size", folder: Path, advance: Any) -> int:
    """Write the city as Parquet, a file per table and day, and return how many rows."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} can't be made ({error.strerror}); name another directory with --out") from error
    rows = 0
    for day in range(size.days):
        for table, columns in day_of(size, day):
            made = pa.table(columns)
            parquet.write_table(made, folder / f"{table}-{day:04d}.parquet")
            rows += made.num_rows
        advance(1)
    return rows


def _tell(size: "Size", file: Path) -> None:
    from gridbeacon.demo.fixture.observations import truth
    from gridbeacon.demo.fixture.plan import FALL, HOLD, RISE, begin_ms, code

    with file.open("wb") as lines:
        for day in range(size.days):
            for one in truth(size, day):
                end_ms = begin_ms(size, one, RISE + HOLD + FALL)
                row = {"start_ms": begin_ms(size, one), "end_ms": end_ms, "cell": code(one.cell), "kind": "crowding"}
                lines.write(msgspec.json.encode(row | {"peak_per_m2": round(one.peak, 2)}) + b"\n")
