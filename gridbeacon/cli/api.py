"""The command that lets people in: api token."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from gridbeacon.cli.common import ConfigOption, config_of, folder_of
from gridbeacon.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    api = typer.Typer(help="The board and the HTTP API: who may use them.", no_args_is_help=True)
    api.callback()(_group)
    api.command("token")(token)
    app.add_typer(api, name="api")


def _group() -> None:
    """Keep ``token`` a word of its own."""


def token(
    name: Annotated[str, typer.Argument(help="Whose it is: the name that the audit will show.")],
    role: Annotated[str, typer.Argument(help="viewer, dispatcher, officer or admin.")],
    *,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until it ends.")] = 90,
    file: Annotated[Path | None, typer.Option(help="File of tokens, instead of api.tokens_file.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a token for a person or a system, write its hash to the file of tokens, and print it, this once.

    An earlier token of the same name ends with it.
    """
    from web.tokens import ROLES, add

    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}; choose of: {', '.join(ROLES)}")
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise UsageError("a name has 1 to 100 printable characters")
    if file is None:
        configured = config_of(config).api.tokens_file
        if not configured:
            raise UsageError("api.tokens_file is not configured; set it, or name a file with --file")
        file = folder_of(config) / configured
    sys.stdout.write(add(file, name, role, datetime.now(UTC) + timedelta(days=days)) + "\n")
