"""Commands that look at what the engine refused and how it does: dead-letters, status."""

import sys
from typing import Annotated

import typer

from gridbeacon.cli.common import (
    ConfigOption,
    DataOption,
    JsonOption,
    LimitOption,
    config_of,
    print_json,
    print_table,
    rows_of,
    show_rows,
    shown,
)
from gridbeacon.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    letters = typer.Typer(help="Records that were refused, and why.", no_args_is_help=True)
    letters.command("list")(letters_list)
    letters.command("show")(letters_show)
    letters.command("replay")(letters_replay)
    app.add_typer(letters, name="dead-letters")
    app.command()(status)


def letters_list(
    *,
    reason: Annotated[str | None, typer.Option(help="Only those refused for this reason.")] = None,
    limit: LimitOption = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List refused records, the latest first."""
    columns = ("id", "rejected_at", "reason", "detail", "body_bytes")
    found = rows_of(
        config,
        columns,
        f"SELECT {_LETTER_ID} AS id, rejected_at, reason, detail, body_bytes FROM dead_letters FINAL "  # noqa: S608
        "WHERE %(reason)s = '' OR reason = %(reason)s ORDER BY rejected_at DESC LIMIT %(limit)s",
        {"reason": reason or "", "limit": limit},
    )
    show_rows(found, columns, json, empty="no dead letter")


def letters_show(
    letter: Annotated[str, typer.Argument(help="topic/partition/offset/item, as `dead-letters list` says it.")],
    *,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one refused record with its body, as far as it was kept."""
    from base64 import b64decode

    columns = ("id", "rejected_at", "reason", "stage", "detail", "body_bytes", "body")
    found = rows_of(
        config,
        columns,
        f"SELECT {_LETTER_ID} AS id, rejected_at, reason, stage, detail, body_bytes, base64Encode(body) "  # noqa: S608
        f"FROM dead_letters FINAL WHERE {_LETTER_ID} = %(id)s",
        {"id": letter},
    )
    if not found:
        raise UsageError(f"there is no dead letter {letter!r}; see gridbeacon dead-letters list")
    if json:
        print_json(found[0])
        return
    body = b64decode(found[0].pop("body")).decode("utf-8", "backslashreplace")
    for name, value in found[0].items():
        sys.stdout.write(f"{name:12} {shown(value)}\n")
    sys.stdout.write(f"\n{body or '(the body was not kept)'}\n")


def letters_replay(
    *,
    reason: Annotated[str | None, typer.Option(help="Only those refused for this reason.")] = None,
    letter: Annotated[str | None, typer.Option("--id", help="Only this one.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write refused records to their topics again, after what stood in their way was corrected.

    Those whose body was not kept (identity, too large) can't be. One that is refused again becomes a new dead letter.
    """
    import asyncio
    from base64 import b64decode

    from gridbeacon.timeline import Line
    from streams.access import check_access
    from streams.replay import replay
    from streams.topics import SOURCES

    settings = config_of(config)
    found = rows_of(
        config,
        ("topic", "body"),
        "SELECT topic, base64Encode(body) FROM dead_letters FINAL WHERE stage = 'decode' AND body != '' "  # noqa: S608
        f"AND (%(reason)s = '' OR reason = %(reason)s) AND (%(id)s = '' OR {_LETTER_ID} = %(id)s) "
        "GROUP BY topic, partition, offset, body ORDER BY topic, partition, offset",
        {"reason": reason or "", "id": letter or ""},
    )
    lines = [Line(0, row["topic"], "", b64decode(row["body"])) for row in found if row["topic"] in SOURCES]
    if not lines:
        raise UsageError("no dead letter with a body matches; see gridbeacon dead-letters list")
    if not yes:
        typer.confirm(f"Write {len(lines)} records to their topics again?", abort=True)
    check_access(settings)
    count = asyncio.run(replay(settings, lines))
    sys.stdout.write(f"{count} records written again\n")


def status(json: JsonOption = False, config: ConfigOption = None, data: DataOption = None) -> None:
    """Say how the engine does: processes, lag, last checkpoints, open alerts, health of the data.

    Exit code 1 says that a part could not be asked.
    """
    from gridbeacon.cli.health import health

    found = health(config_of(config, data))
    code = 1 if found["problems"] else 0
    if json:
        print_json(found)
        raise typer.Exit(code)
    print_table(
        ("role", "process", "restarts", "lag", "last checkpoint"),
        [(r["role"], r["pid"], r["restarts"], r["lag"], r["checkpoint"]) for r in found["roles"]],
        empty="no role",
    )
    sys.stdout.write("(lag of detect, situate and notify: what came since their last checkpoint)\n\nOpen alerts\n")
    print_table(("rule", "level", "alerts"), [list(r.values()) for r in found["open_alerts"]], empty="none")
    sys.stdout.write("\nData\n")
    for name, value in found["data"].items():
        sys.stdout.write(f"{name.replace('_', ' '):28} {shown(value)}\n")
    for sentence in found["problems"]:
        sys.stdout.write(f"! {sentence}\n")
    raise typer.Exit(code)


_LETTER_ID = "concat(topic, '/', toString(partition), '/', toString(offset), '/', toString(item))"
