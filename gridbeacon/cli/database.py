"""The embedded ClickHouse as a command of its own: clickhouse serve, clickhouse hash-password."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gridbeacon.cli.common import ConfigOption, config_of
from gridbeacon.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    database = typer.Typer(help="The embedded ClickHouse, with or without the engine around it.", no_args_is_help=True)
    database.command("serve")(serve)
    database.command("hash-password")(hash_password)
    app.add_typer(database, name="clickhouse")


def serve(
    *,
    data: Annotated[Path, typer.Option(help="Directory of the tables; made when there is none.")],
    port: Annotated[int | None, typer.Option(help="Port of the native protocol, instead of clickhouse.port.")] = None,
    http_port: Annotated[
        int | None, typer.Option("--http-port", help="Port for HTTP, instead of clickhouse.http_port; 0 = none.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Serve a directory of ClickHouse tables on this machine, without the engine, until Ctrl-C.

    Any ClickHouse client can use it: clickhouse-client, JDBC tools, Grafana, drivers. Users, limits and TLS are those
    of `clickhouse` in the configuration.
    """
    from sinks.embedded import serve as run

    settings = config_of(config).clickhouse
    given = {"port": port, "http_port": http_port}
    settings = msgspec.structs.replace(settings, **{key: value for key, value in given.items() if value is not None})
    sys.stdout.write(
        f"ClickHouse serves {data} at {settings.listen}:{settings.port} (native)"
        + (f" and {settings.listen}:{settings.http_port} (HTTP)" if settings.http_port else "")
        + "; Ctrl-C ends it\n"
    )
    sys.stdout.flush()
    run(data, settings)


def hash_password(
    *,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from standard input, for scripts.")] = False,
) -> None:
    """Ask for a password, and print what `password_hash` of an account is to be."""
    from sinks.embedded.accounts import hash_password as hashed

    password = sys.stdin.readline().rstrip("\n") if stdin else typer.prompt("Password", hide_input=True)
    if not password:
        raise UsageError("an empty password protects nothing; give one")
    sys.stdout.write(hashed(password) + "\n")
