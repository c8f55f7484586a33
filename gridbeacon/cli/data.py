"""Commands that take recorded data: replay, backtest."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gridbeacon.cli.common import ConfigOption, config_of, folder_of
from gridbeacon.config import Config
from gridbeacon.errors import UsageError
from gridbeacon.reasons import Mode

FilesArgument = Annotated[list[Path], typer.Argument(help="JSON lines in wire format (*.jsonl, *.jsonl.gz).")]
TickOption = Annotated[float, typer.Option("--tick-secs", min=0.001, help="Event time between two ticks.")]

KINDS = ("verdict", "grid_event", "dead_letter", "alert", "alert_event", "notice", "crossing", "situation", "weighed")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(replay)
    app.command()(backtest)


def replay(
    files: FilesArgument,
    *,
    speed: Annotated[str, typer.Option(help="`60x` plays an hour in a minute; `max` as fast as it goes.")] = "1x",
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="Move all times so that the first record happens now.")
    ] = False,
    tick_secs: TickOption = 60.0,
    config: ConfigOption = None,
) -> None:
    """Write recorded data to the topics in the order of event time.

    With `clock: event` time comes from the data: ticks are written with it. With `clock: arrival` use --shift-to-now,
    or the records are refused as too late.
    """
    import asyncio

    from gridbeacon.timeline import survey, timeline
    from streams.access import check_access
    from streams.replay import replay as play

    settings = config_of(config)
    factor = speed_of(speed)
    span = survey(files)
    if span.first_ms is None:
        raise UsageError("the files hold no record")
    check_access(settings)
    shift_ms = time.time_ns() // 1_000_000 - span.first_ms if shift_to_now else 0
    with progress("replaying", span.records) as advance:
        line = timeline(files, round(tick_secs * 1000), shift_ms)
        count = asyncio.run(play(settings, line, speed=factor, on_record=lambda _: advance(1)))
    sys.stderr.write(f"{count} records written\n")


def backtest(
    files: Annotated[list[Path] | None, typer.Argument(help="JSON lines in wire format (*.jsonl, *.jsonl.gz).")] = None,
    *,
    from_topics: Annotated[
        bool, typer.Option("--from-topics", help="Fold over the logs that the broker holds, instead of files.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Print only: {', '.join(KINDS)}. May be repeated."),
    ] = None,
    to_clickhouse: Annotated[
        bool, typer.Option("--to-clickhouse", help="Write to the tables instead of printing JSON lines.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print alarms per week by layer, metric and cell instead of findings.")
    ] = False,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Count from here on; what is before only teaches.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Count up to here.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV file of what happened (start, end, name): recall, false alarms, delay.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Directory for tables and a page per label.")] = None,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="With forecasts: every series is fitted anew each night. Slower.")
    ] = False,
    tick_secs: TickOption = 60.0,
    config: ConfigOption = None,
) -> None:
    """Say what the engine finds in recorded data: the same core in this process, without Kafka.

    Prints one JSON object a line; with --summary, --labels or --out, tables. Alerts are marked as of a replay. With
    --from-topics it says what the running engine must have stored.
    """
    from gridbeacon.cli.results import Kinds, printer, storer
    from streams.backtest import from_topics as fold

    settings = config_of(config)
    if forecast and from_topics:
        raise UsageError("--forecast goes with files: the logs hold what the role forecast made")
    if bool(files) == from_topics:
        raise UsageError("name files, or give --from-topics")
    if summary or labels or out or begin or end:
        from gridbeacon.cli.hindsight import look_back

        if from_topics or to_clickhouse or only:
            raise UsageError("--summary, --from, --to, --labels and --out go with files alone")
        look_back(settings, folder_of(config), files or [], (begin, end), labels, out, tick_secs, forecast=forecast)
        return
    kinds = Kinds.of(only)
    with storer(settings) if to_clickhouse else printer() as take:
        if from_topics:
            from streams.access import check_access

            check_access(settings)
            for found in fold(settings):
                if kinds.wanted(found):
                    take(found)
            return
        for found in recorded(settings, folder_of(config), files or [], tick_secs, forecast=forecast):
            if kinds.wanted(found):
                take(found)


def recorded(
    settings: Config, folder: Path, files: list[Path], tick_secs: float, *, forecast: bool = False
) -> Iterator[Any]:
    """Yield what the engine finds in files; shows how far it is."""
    from gridbeacon.calendar_file import load_calendar
    from gridbeacon.registry_file import load_registry
    from gridbeacon.timeline import survey, timeline
    from streams.backtest import backtest as run

    span = survey(files)
    registry, calendar = load_registry(settings, folder), load_calendar(settings, folder)
    now_ms = time.time_ns() // 1_000_000
    with progress("backtesting", span.records) as advance:
        line = counted(timeline(files, round(tick_secs * 1000)), advance)
        yield from run(as_replay(settings), registry, line, now_ms, calendar, forecast=forecast)


def as_replay(config: Config) -> Config:
    """Return the configuration with alerts marked as of a replay, unless it says that they are of something else."""
    if config.situate.mode is not Mode.LIVE:
        return config
    return msgspec.structs.replace(config, situate=msgspec.structs.replace(config.situate, mode=Mode.REPLAY))


def speed_of(text: str) -> float | None:
    """Return event time over real time, None for ``max``. Raises ``UsageError``.

    >>> speed_of("60x"), speed_of("max")
    (60.0, None)
    """
    if text == "max":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", text)
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"speed {text!r} is neither a factor such as 60x nor max")
    return float(match[1])


def counted(items: Iterator[Any], advance: Callable[[int], None]) -> Iterator[Any]:
    """Yield the items of a time line and report its records."""
    from gridbeacon.model import Tick

    for item in items:
        yield item
        if not isinstance(item, Tick):
            advance(1)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield ``advance(n)``: a bar on standard error where that is a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda n: bar.advance(task, n)
