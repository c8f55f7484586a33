"""Commands that run the engine: up, demo, worker."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gridbeacon.cli.common import ConfigOption, DataOption, config_of, folder_of, options_of
from gridbeacon.config import Config
from gridbeacon.errors import UsageError

ROLES = ("ingest", "detect", "situate", "notify", "store", "forecast", "api")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(demo)
    app.command()(worker)


def up(config: ConfigOption = None, data: DataOption = None) -> None:
    """Run everything on this machine: Kafka, ClickHouse and all roles, until Ctrl-C.

    Parts that the configuration points elsewhere (`broker.bootstrap`, `clickhouse.host`) are not started. Children that
    end are started again. After a power cut just start it again: it goes on where it was.
    """
    from gridbeacon.cli.house import House
    from streams.supervise import Supervisor

    settings = config_of(config, data)
    checked(config, data)
    house = House(settings, folder_of(config))
    Supervisor(settings, commands(config, data, settings), prepare=house.prepare, on_event=house.tell).run()


def demo(
    *,
    leave: Annotated[bool, typer.Option("--exit", help="End when the demonstration is over.")] = False,
    data: Annotated[Path, typer.Option("--data", help="Directory of its data; an earlier demo's is replaced.")] = Path(
        "gridbeacon-demo"
    ),
) -> None:
    """Show the whole line at work: real counts of Auckland, a made crush, alerts, a webhook, three questions in SQL."""
    from gridbeacon.cli.demo import Demo

    Demo(data).run(leave=leave)


def worker(
    roles: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(ROLES)}.", metavar="ROLE...")],
    *,
    instance: Annotated[
        str | None,
        typer.Option(
            help="Name of this worker, unique in its role: with it a worker that was killed is back in seconds."
        ),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Run one role (or several, each in a process of its own) until SIGTERM. Scale by starting more of the same."""
    for role in roles:
        if role not in ROLES:
            raise UsageError(f"there is no role {role!r}; choose of: {', '.join(ROLES)}")
    if len(set(roles)) > 1:
        from gridbeacon.cli.several import run_several

        run_several({role: command(role, config, data, instance) for role in dict.fromkeys(roles)})
        return
    from gridbeacon.cli.roles import run_role

    settings = config_of(config, data)
    run_role(roles[0], settings, folder_of(config), instance)


def checked(config: Path | None, data: Path | None) -> None:
    """Raise ``ConfigError`` for whatever can be found wrong before anything is started."""
    from gridbeacon.cli.checks import check_all

    check_all(config_of(config, data), folder_of(config))


def command(role: str, config: Path | None, data: Path | None, instance: str | None) -> list[str]:
    """Return the command of a role's process."""
    named = [] if instance is None else ["--instance", instance]
    return [sys.executable, "-m", "gridbeacon", "worker", role, *named, *options_of(config, data)]


def commands(config: Path | None, data: Path | None, settings: Config) -> dict[str, list[str]]:
    """Return the command of every role of a deployment, by role."""
    left_out = {"forecast": not settings.forecast.enabled, "api": settings.api.port == 0}
    roles = [role for role in ROLES if not left_out.get(role, False)]
    return {role: command(role, config, data, f"{role}-0") for role in roles}
