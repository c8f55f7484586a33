"""Questions to the database: sql."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gridbeacon.cli.common import ConfigOption, config_of
from gridbeacon.config import Config
from gridbeacon.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sql)


def sql(
    query: Annotated[
        str | None, typer.Argument(help="SQL. `-` reads it from standard input, none is a prompt.")
    ] = None,
    *,
    form: Annotated[str, typer.Option("--format", help="table, csv, json (a line a row) or parquet.")] = "table",
    out: Annotated[Path | None, typer.Option(help="File for the answer, instead of the terminal.")] = None,
    user: Annotated[str | None, typer.Option(help="User of the database, instead of clickhouse.username.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File with the password.")] = None,
    database: Annotated[str | None, typer.Option(help="Database, instead of clickhouse.database.")] = None,
    notebook: Annotated[Path | None, typer.Option(help="Write a Jupyter notebook, and end.")] = None,
    config: ConfigOption = None,
) -> None:
    """Ask the database a question in SQL, or many at a prompt with history and completion.

    Results stream: a long one takes no memory. `gridbeacon sql --user analyst` can't change anything.
    """
    from gridbeacon.cli import sql_output
    from sinks.clickhouse import answers, connect

    if form not in sql_output.FORMS:
        raise UsageError(f"--format {form} is not known; give one of {', '.join(sql_output.FORMS)}")
    settings = as_user(config_of(config), user, password_file, database)
    if notebook is not None:
        from gridbeacon.cli.notebook import write

        write(notebook, settings)
        sys.stdout.write(f"{notebook} is ready: open it with jupyter lab {notebook}\n")
        return
    if query is None and sys.stdin.isatty():
        from gridbeacon.cli.sql_prompt import Prompt

        Prompt(settings, Path(settings.data_dir)).run()
        return
    text = sys.stdin.read() if query in (None, "-") else query or ""
    if not text.strip():
        raise UsageError('there is no SQL to run; try gridbeacon sql "SELECT 1"')
    if form == "parquet" and out is None:
        raise UsageError("Parquet is nothing for a terminal; name a file with --out")
    client = connect(settings)
    try:
        with answers(settings), sql_output.target(out) as stream:
            count = sql_output.write(client, text, form, stream)
    finally:
        client.disconnect()
    if out is not None:
        sys.stderr.write(f"{count:,} rows in {out}\n")


def as_user(config: Config, user: str | None, password_file: Path | None, database: str | None) -> Config:
    """Return the configuration with another user or database of the same server."""
    from gridbeacon.config_values import read_secret

    changes: dict[str, str] = {}
    if user is not None:
        changes |= {"username": user, "password": ""}
    if password_file is not None:
        changes["password"] = read_secret(str(password_file))
    if database is not None:
        changes["database"] = database
    return msgspec.structs.replace(config, clickhouse=msgspec.structs.replace(config.clickhouse, **changes))
