"""The commands that forecast recorded series: no broker, no database, no configuration."""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from typer.core import TyperGroup

from gridbeacon.cli.common import print_table
from gridbeacon.errors import ConfigError, UsageError

COLUMNS = (
    "series", "timestamp", "lead_secs", "forecast", "lower80", "upper80", "lower95", "upper95", "model",
)  # fmt: skip
HISTORY_DAYS = 42
DEFAULT_LEADS_MINUTES = (15, 30, 60, 120, 240, 720, 1440, 2880)


class _FileFirst(TyperGroup):
    """``forecast FILE`` is ``forecast file FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the arguments, with the command put in that may be left out."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["file", *args]
        return super().parse_args(ctx, args)


FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV file with a time, a series and a value a line.")
]
StepOption = Annotated[
    str | None, typer.Option(help="Length of a slot, such as 15m; values in it are averaged. None: as the rows stand.")
]
ZoneOption = Annotated[str, typer.Option(help="The city's time zone: days and weeks follow its clock.")]
CountryOption = Annotated[
    str | None, typer.Option(help="Code of the country whose holidays and make-up workdays count, such as CN.")
]
ColumnsOption = Annotated[str, typer.Option(help="Names of the columns of time, series and value.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    from gridbeacon.cli.forecast_explain import explain
    from gridbeacon.cli.forecast_verify import verify

    group = typer.Typer(
        cls=_FileFirst,
        no_args_is_help=True,
        help="What will be: `forecast FILE`, `forecast verify`, `forecast explain`.",
    )
    group.command("file")(forecast_file)
    group.command()(verify)
    group.command()(explain)
    app.add_typer(group, name="forecast")


def forecast_file(
    file: FileArgument,
    *,
    at: Annotated[str, typer.Option(metavar="TIME", help="The time of the forecast: only rows before it are used.")],
    out: Annotated[Path, typer.Option(help="CSV file for the forecasts.")],
    horizon: Annotated[str, typer.Option(help="How far ahead.")] = "24h",
    step: StepOption = None,
    timezone: ZoneOption = "UTC",
    country: CountryOption = None,
    columns: ColumnsOption = "timestamp,series,value",
) -> None:
    """Forecast every series of a file, with bands, from what lies before a time."""
    from forecasts.forecaster import Live, fit
    from gridbeacon.cli.data import progress
    from gridbeacon.labels import time_of
    from gridbeacon.spans import span_ms

    horizon_ms = span_ms(horizon, "--horizon")
    grid = grid_of(file, columns, timezone, step, at=at)
    _not_over(out, file)
    at_ms = time_of(at, grid.zone, "--at")
    history = history_of(grid, timezone, country, at_ms + 2 * horizon_ms)
    settings = settings_of(grid.step_ms, horizon_ms)
    first_ms = history.end_ms
    leads = range(first_ms - at_ms, horizon_ms + 1, grid.step_ms)
    if not leads:
        raise UsageError(f"--horizon {horizon} ends before the first slot begins; lengthen it")
    with progress("series", len(grid.names)) as advance, written(out, COLUMNS) as rows:
        fitted = fit(history, settings)
        said = Live(fitted).forecast(at_ms, leads)
        stamps = [grid.written(at_ms + lead) for lead in leads]
        for n, name in enumerate(grid.names):
            rows.writerows(forecast_rows(name, stamps, leads, said, n))
            advance(1)
    for name, reason, row in zip(grid.names, fitted.reasons(), said.point, strict=True):
        if not any(value == value for value in row.tolist()):
            sys.stderr.write(f"{name}: no forecast ({reason.value})\n")
    sys.stdout.write(f"{len(grid.names):,} series, {len(leads):,} times each, in {out}\n")


def forecast_rows(
    name: str, stamps: Sequence[str], leads: Sequence[int], said: Any, n: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of one series, but for those at which it is closed."""
    from forecasts.fitted import MODELS

    parts = (said.point, said.lower80, said.upper80, said.lower95, said.upper95)
    for place, values in enumerate(zip(*(part[n].tolist() for part in parts), strict=True)):
        if values[0] == values[0]:
            numbers = (f"{value:.6g}" for value in values)
            yield name, stamps[place], leads[place] // 1000, *numbers, MODELS[said.model[n, place]].value


def grid_of(file: Path, columns: str, timezone: str, step: str | None, *, at: str | None) -> Any:
    """Return the series of a file on their grid: those that a forecast at a time may see, or all of them."""
    from gridbeacon.grid_file import columns_of, read_grid
    from gridbeacon.labels import time_of
    from gridbeacon.series_file import zone_of
    from gridbeacon.spans import span_ms

    zone = zone_of(timezone)
    step_ms = None if step is None else span_ms(step, "--step")
    before_ms = None if at is None else time_of(at, zone, "--at")
    days = None if at is None else HISTORY_DAYS
    return read_grid(file, columns_of(columns), zone, step_ms, before_ms=before_ms, days=days)


def history_of(grid: Any, timezone: str, country: str | None, until_ms: int) -> Any:
    """Return a history with the day types of a country. Raises ``UsageError`` when nobody knows it."""
    from forecasts.history import History, day_types_of
    from gridbeacon.days import Days

    try:
        days = Days(country or "")
    except ConfigError as error:
        raise UsageError(f"--country: {error}") from None
    types = day_types_of(days.type_of, grid.start_ms, until_ms)
    return History(grid.names, grid.start_ms, grid.step_ms, grid.values, timezone, types, country or "")


def settings_of(step_ms: int, horizon_ms: int) -> Any:
    """Return what a fit is asked for: the usual leads, as far as the horizon reaches."""
    from forecasts.forecaster import Settings

    usual = {max(minutes * 60_000, step_ms) for minutes in DEFAULT_LEADS_MINUTES}
    leads_ms = tuple(sorted(lead for lead in usual if lead <= max(horizon_ms + step_ms, step_ms)))
    return Settings(horizon_ms, horizon_ms + 2 * step_ms, leads_ms)


def _not_over(out: Path, file: Path) -> None:
    if out.resolve() == file.resolve():
        raise UsageError(f"--out would overwrite {file}; name another file")


@contextmanager
def whole(out: Path) -> Iterator[IO[str]]:
    """Yield a text file that takes the name ``out`` when all of it is written; else nothing is left behind."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        text = part.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{out} can't be written: {error.strerror}; name another file with --out") from None
    try:
        with text:
            yield text
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def written(out: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Yield a CSV writer, as ``whole``."""
    with whole(out) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        yield writer


def shown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table of figures."""
    print_table(columns, rows, empty="nothing to count")
