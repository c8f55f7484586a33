"""The command train: states from history."""

import sys
import time
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gridbeacon.cli.common import ConfigOption, config_of, folder_of
from gridbeacon.cli.data import TickOption, counted, progress
from gridbeacon.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    *,
    source: Annotated[
        list[str],
        typer.Option("--from", metavar="clickhouse|FILE", help="The stored observations, or recorded data. Repeat."),
    ],
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Stored observations from here on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Stored observations up to here.")] = None,
    tick_secs: TickOption = 60.0,
    config: ConfigOption = None,
) -> None:
    """Learn from history, so that a new deployment, or a new detector, is not deaf for a week.

    The engine must be running, or at least its broker. Detect's worker is replaced by one that knows what was learned.
    """
    from gridbeacon.calendar_file import load_calendar
    from gridbeacon.labels import time_of
    from gridbeacon.registry_file import load_registry
    from gridbeacon.timeline import survey, timeline
    from streams.access import check_access
    from streams.train import Trainee, blocks

    settings, folder = config_of(config), folder_of(config)
    stored = source == ["clickhouse"]
    if not stored and ("clickhouse" in source or since or until):
        raise UsageError("--from takes clickhouse alone, or files; --since and --until go with clickhouse")
    zone = ZoneInfo(settings.timezone)
    from_ms = None if since is None else time_of(since, zone, "--since")
    to_ms = None if until is None else time_of(until, zone, "--until")
    files = [] if stored else [Path(name) for name in source]
    registry, trainee = load_registry(settings, folder), Trainee(settings, load_calendar(settings, folder))
    check_access(settings)
    if stored:
        from sinks.history import observations

        count = trainee.learn(registry, blocks(observations(settings, from_ms, to_ms)))
    else:
        count = survey(files).records
        with progress("learning", count) as advance:
            line = counted(timeline(files, round(tick_secs * 1000)), advance)
            trainee.read(registry, line, time.time_ns() // 1_000_000)
    adopted, learned = trainee.save()
    sys.stdout.write(f"{count:,} records, {learned:,} series learned; {adopted:,} of them are now detect's\n")
