"""The command line: each command is a thin function; whatever it needs is imported when it runs."""

import logging
import os
import sys

import typer

from gridbeacon.cli import (
    alerts,
    api,
    dashboards,
    data,
    database,
    deliveries,
    fixture,
    forecast,
    look,
    review,
    run,
    score,
    setup,
    silences,
    sql,
    train,
    webhook,
)
from gridbeacon.errors import STAY_DOWN_CODE, ConfigError, Fatal, GridbeaconError, StayDown, UsageError

#: What a script may rely on. 2 is also what the command line's own parser says.
EXIT_CODES: tuple[tuple[type[GridbeaconError], int, str], ...] = (
    (UsageError, 2, "the command was called with something that it can't use; nothing was changed"),
    (ConfigError, 3, "the configuration, the registry or an access is wrong; the message names the key and the fix"),
    (StayDown, STAY_DOWN_CODE, "a role ended and must not be started again before a person has looked"),
    (Fatal, 1, "a part ended that should not have; the message names its log"),
    (GridbeaconError, 1, "a part did not answer in time; trying again may help"),
)
INTERRUPTED = 130

app = typer.Typer(
    name="gridbeacon",
    help="Event-streaming alerting and situation awareness for city safety.\n\n"
    "Begin with `gridbeacon demo`, then `gridbeacon check` your own configuration and start it with `gridbeacon up`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for module in (
    run,
    setup,
    data,
    train,
    score,
    forecast,
    alerts,
    silences,
    look,
    deliveries,
    webhook,
    sql,
    database,
    api,
    dashboards,
    review,
    fixture,
):
    module.register(app)


def main() -> None:
    """Run the command that the arguments ask for; an error is one sentence on standard error and an exit code."""
    # While a broker is away its client says so dozens of times a second; the command says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Prophet says at its import what it would need for plots that nobody asks it for.
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    try:
        app()
    except GridbeaconError as error:
        sys.stderr.write(f"gridbeacon: {error}\n")
        sys.exit(next(code for kind, code, _ in EXIT_CODES if isinstance(error, kind)))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
