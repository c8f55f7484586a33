"""Grafana dashboards: dashboards build, check, push, annotate."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from gridbeacon.cli.common import ConfigOption, config_of, print_table
from gridbeacon.errors import Transient, UsageError

UrlOption = Annotated[str, typer.Option(help="Address of the Grafana, such as https://grafana.example.org.")]
TokenOption = Annotated[Path, typer.Option("--token-file", help="File with the token of a service account.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The four Grafana dashboards, as files and in a Grafana.", no_args_is_help=True)
    for command in (build, check, push, annotate):
        group.command()(command)
    app.add_typer(group, name="dashboards")


def build(
    *,
    out: Annotated[Path, typer.Option(help="Directory for the files.")] = Path("gridbeacon-dashboards"),
    config: ConfigOption = None,
) -> None:
    """Write the dashboards as JSON files, with the limits and the alarm budget of the configuration."""
    from dashboards.build import write

    settings = config_of(config)
    try:
        files = write(out, settings)
    except OSError as error:
        raise UsageError(f"{out} can't be written ({error.strerror}); name another directory with --out") from error
    for file in files:
        sys.stdout.write(f"{file}\n")


def check(
    *,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the files, instead of those that Gridbeacon brings.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Also run every panel's query on the database.")] = False,
    config: ConfigOption = None,
) -> None:
    """Check that dashboard files are what this version builds; with --ask, that the database answers every panel."""
    from dashboards.ask import ask_all
    from dashboards.build import DASHBOARDS, GOLDEN, stale

    settings = config_of(config)
    folder = out or GOLDEN
    if found := stale(folder, settings):
        raise UsageError(
            f"{folder}: {', '.join(found)} {'is' if len(found) == 1 else 'are'} not what this version builds from this "
            "configuration; run gridbeacon dashboards build"
        )
    sys.stdout.write(f"{len(DASHBOARDS)} dashboards in {folder} are current\n")
    if ask:
        print_table(["dashboard", "panel", "rows", "ms"], ask_all(settings, int(time.time())), empty="no panels")


def push(
    *,
    url: UrlOption,
    token_file: TokenOption,
    folder: Annotated[str | None, typer.Option(help="Uid of the folder there, instead of the general one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Put ours over dashboards that were changed by hand.")] = False,
    config: ConfigOption = None,
) -> None:
    """Put the dashboards into a Grafana that runs elsewhere. Run again, it changes nothing.

    A dashboard that somebody changed there is left alone, and the difference is shown.
    """
    from dashboards.build import built
    from gridbeacon.config_values import read_secret
    from sinks.grafana import Changed, Grafana

    there = Grafana(url, read_secret(str(token_file)))
    refused = []
    for uid, text in built(config_of(config)).items():
        try:
            outcome = there.put(text, folder or "", force=force)
        except Changed as error:
            refused.append(str(error))
        else:
            sys.stdout.write(f"{uid}: {outcome}\n")
    if refused:
        raise UsageError("\n".join(refused))


def annotate(
    *,
    url: UrlOption,
    token_file: TokenOption,
    days: Annotated[int, typer.Option(min=1, max=365, help="Alerts that changed within so many days.")] = 7,
    least: Annotated[str, typer.Option("--level", help="From this level on: blue, yellow, orange or red.")] = "yellow",
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C, every 15 seconds.")] = False,
    config: ConfigOption = None,
) -> None:
    """Mark alerts as regions on the graphs of a Grafana: annotations with the tag gridbeacon. Run again, none twice."""
    from gridbeacon.config_values import read_secret
    from gridbeacon.reasons import Level
    from sinks.grafana import Grafana

    level = next((one for one in Level if one and one.word == least), None)
    if level is None:
        raise UsageError(f"--level {least} is none; give blue, yellow, orange or red")
    there, settings = Grafana(url, read_secret(str(token_file))), config_of(config)
    while True:
        try:
            done = there.mark(settings, days, level)
        except Transient as error:
            if not follow:
                raise
            sys.stderr.write(f"gridbeacon: {error}; trying again\n")
        else:
            if not follow or done["made"] or done["updated"] or done["removed"]:
                sys.stdout.write(", ".join(f"{count} {what}" for what, count in done.items()) + "\n")
                sys.stdout.flush()
        if not follow:
            return
        time.sleep(FOLLOW_SECS)


FOLLOW_SECS = 15.0
