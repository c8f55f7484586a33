"""Commands that look at the configuration and prepare broker and database: check, init."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from gridbeacon.cli.common import ConfigOption, DataOption, JsonOption, config_of, folder_of, print_json
from gridbeacon.config import Config


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(init)
    app.command()(migrate)


def check(config: ConfigOption = None, data: DataOption = None, json: JsonOption = False) -> None:
    """Check configuration, registry, calendar and webhooks without starting anything; say what is in force."""
    from gridbeacon.cli.checks import check_all
    from gridbeacon.config_file import redacted

    settings = config_of(config, data)
    registry = check_all(settings, folder_of(config))
    if json:
        print_json({"sensors": len(registry.sensors), "cells": len(registry.cells), "config": redacted(settings)})
        return
    hooks = ", ".join(f"{hook['name']} ({hook['url']})" for hook in redacted(settings)["notify"]["webhooks"])
    sys.stdout.write(
        f"The configuration is right: {len(registry.sensors)} sensors, {len(registry.cells)} cells, clock "
        f"{settings.clock}, time zone {settings.timezone}, webhooks: {hooks or 'none'}.\n"
    )


def init(config: ConfigOption = None) -> None:
    """Make the topics and the database schema what this version needs. Safe to repeat; changes only what differs."""
    from streams import admin

    settings = config_of(config)
    changed = [*admin.init(settings), *prepared(settings, folder_of(config))]
    sys.stdout.write("".join(f"{sentence}\n" for sentence in changed) or "everything was there already\n")


def migrate(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that would be run; change nothing.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make the database schema what this version needs, and store the registry for queries to look things up.

    Forward only, safe to repeat and to interrupt.
    """
    from sinks.migrate import plan

    settings = config_of(config)
    if dry_run:
        steps = plan(settings)
        for step in steps:
            sys.stdout.write(f"-- {step.says}\n" + "".join(f"{sql};\n" for sql in step.statements) + "\n")
        if not steps:
            sys.stdout.write("-- nothing is to be done\n")
        return
    changed = prepared(settings, folder_of(config))
    sys.stdout.write("".join(f"{sentence}\n" for sentence in changed) or "everything was there already\n")


def prepared(settings: Config, folder: Path) -> list[str]:
    """Make the schema what this version needs, store registry and calendar, and return what was changed, in words."""
    from gridbeacon.calendar_file import load_calendar
    from gridbeacon.registry_file import load_registry
    from sinks import announced, places
    from sinks.migrate import migrate as apply

    changed = apply(settings)
    now_ms = time.time_ns() // 1_000_000
    places.store(load_registry(settings, folder), settings, now_ms)
    announced.store(load_calendar(settings, folder), settings, now_ms)
    return changed
