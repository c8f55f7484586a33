"""Commands about silences: list, add, end."""

import sys
import time
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gridbeacon.cli.act import WHO, ActorOption, AgainOption, answered, name_of
from gridbeacon.cli.common import ConfigOption, JsonOption, LimitOption, config_of, print_json, rows_of, show_rows
from gridbeacon.errors import UsageError
from gridbeacon.model import plain
from gridbeacon.reasons import Level

COLUMNS = ("silence_id", "owner", "reason", "cells", "rule", "up_to", "starts_at", "ends_at")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    silences = typer.Typer(help="Where people do not want to hear of new alerts.", no_args_is_help=True)
    silences.command("list")(silences_list)
    silences.command("add")(add)
    silences.command("end")(end)
    app.add_typer(silences, name="silences")


def silences_list(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    limit: LimitOption = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the silences that are not over, those that end first first."""
    where = "" if everything else "WHERE ends_at > now64(3)"
    found = rows_of(
        config,
        COLUMNS,
        f"SELECT {', '.join(COLUMNS)} FROM silences FINAL {where} "  # noqa: S608 - our own words alone
        "ORDER BY ends_at, silence_id LIMIT %(limit)s",
        {"limit": limit},
    )
    show_rows(found, COLUMNS, json, empty="no silence")


def add(
    *,
    reason: Annotated[str, typer.Option(help="Why; a silence needs one.")] = "",
    until: Annotated[str, typer.Option(help="When it ends, as 2026-11-23T18:00 on the city's clock; it must.")] = "",
    minutes: Annotated[float | None, typer.Option(min=0, help="Or how long it lasts.")] = None,
    cells: Annotated[str, typer.Option(help="The beginning of the code of the cells; all of the city without.")] = "",
    rule: Annotated[str, typer.Option(help="Of: safety, data_health; both without.")] = "",
    up_to: Annotated[str, typer.Option("--up-to", help="The highest level that it hides.")] = "orange",
    owner: Annotated[str | None, typer.Option(help="Who answers for it.  [default: the user of this session]")] = None,
    silence_id: Annotated[str | None, typer.Option("--silence-id", help="The id of one that got no answer.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Begin a silence: nobody is told of new alerts there. It hides no acknowledgement and no end of what was told."""
    from gridbeacon.labels import time_of
    from streams.act import new_silence

    if rule not in ("", "safety", "data_health"):
        raise UsageError(f"{rule!r} is no rule; give safety or data_health, or leave it out")
    levels = {level.word: level for level in Level if level}
    if up_to not in levels:
        raise UsageError(f"{up_to!r} is no level; give one of {', '.join(levels)}")
    if until and minutes is not None:
        raise UsageError("--until and --minutes are two ends; give one of them")
    ends_ms = 0
    if until:
        ends_ms = time_of(until, ZoneInfo(config_of(config).timezone), "--until")
    elif minutes is not None:
        ends_ms = time.time_ns() // 1_000_000 + round(minutes * 60_000)
    asked = new_silence(
        owner=name_of(owner),
        reason=reason,
        ends_ms=ends_ms,
        role=WHO,
        cells=cells,
        rule=rule,
        up_to=levels[up_to],
        silence_id=silence_id,
    )
    answer = answered(asked, config, f"--silence-id {asked.silence_id}")
    if json:
        print_json(plain(answer))
    else:
        sys.stdout.write(f"{answer.alert_id}: silenced by {answer.actor}\n")


def end(
    silence_id: Annotated[str, typer.Argument(help="As `silences list` says it.")],
    *,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    actor: ActorOption = None,
    action_id: AgainOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """End a silence before its time; alerts that it held back and that still stand are told at once."""
    from streams.act import new_unsilence

    asked = new_unsilence(silence_id, actor=name_of(actor), role=WHO, note=note, action_id=action_id)
    answer = answered(asked, config, f"--action-id {asked.action_id}")
    if json:
        print_json(plain(answer))
    else:
        sys.stdout.write(f"{answer.alert_id}: ended by {answer.actor}\n")
