"""What commands share: the options that find the configuration, and output for people and for scripts."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gridbeacon.config import Config
from gridbeacon.errors import UsageError

DEFAULT_FILE = Path("gridbeacon.yaml")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file.  [default: gridbeacon.yaml where there is one]"),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Directory of all data, instead of data_dir of the configuration.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Rows at most.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def config_of(file: Path | None, data: Path | None = None) -> Config:
    """Return the configuration. Raises ``ConfigError`` when it is wrong, ``UsageError`` when the file is missing."""
    from gridbeacon.config_file import load

    if file is not None and not file.is_file():
        raise UsageError(f"{file} is no file; name the configuration with --config")
    found = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    config = load(found, os.environ)
    return config if data is None else msgspec.structs.replace(config, data_dir=str(data))


def folder_of(file: Path | None) -> Path:
    """Return the folder that file names in the configuration are relative to."""
    return (file or DEFAULT_FILE).absolute().parent


def options_of(file: Path | None, data: Path | None) -> list[str]:
    """Return the same options for a child process."""
    found = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    options = [] if found is None else ["--config", str(found.absolute())]
    return options if data is None else [*options, "--data", str(data.absolute())]


def print_json(value: Any) -> None:
    """Print a value as JSON, indented for a person who looks."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows under their headings, or say that there are none."""
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    if not rows:
        sys.stdout.write(empty + "\n")
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*[shown(value) for value in row])
    Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 200, markup=False).print(table)


def shown(value: Any) -> str:
    """Return a value as people read it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return "" if value is None else str(value)


def rows_of(file: Path | None, columns: tuple[str, ...], sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a question to ClickHouse, by column."""
    from sinks.clickhouse import query

    return [dict(zip(columns, row, strict=True)) for row in query(config_of(file), sql, parameters)]


def show_rows(found: list[dict[str, Any]], columns: tuple[str, ...], json: bool, *, empty: str) -> None:
    """Print rows as a table, or as JSON."""
    if json:
        print_json(found)
    else:
        print_table(columns, [list(row.values()) for row in found], empty=empty)
