"""Commands that look at the configuration and prepare broker and database: check, init."""

import sys

import typer

from gridbeacon.cli.common import ConfigOption, DataOption, JsonOption, config_of, folder_of, print_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(init)


def check(config: ConfigOption = None, data: DataOption = None, json: JsonOption = False) -> None:
    """Check the configuration, the registry and the webhooks without starting anything; say what is in force."""
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
    from sinks.migrate import migrate
    from streams import admin

    settings = config_of(config)
    changed = [*admin.init(settings), *migrate(settings)]
    sys.stdout.write("".join(f"{sentence}\n" for sentence in changed) or "everything was there already\n")
