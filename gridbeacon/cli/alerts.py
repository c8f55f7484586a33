"""Commands that look at alerts: list, show; with them those by which people act."""

import sys
from typing import Annotated

import msgspec
import typer

from gridbeacon.cli import act
from gridbeacon.cli.common import (
    ConfigOption,
    JsonOption,
    LimitOption,
    print_json,
    print_table,
    rows_of,
    show_rows,
    shown,
)
from gridbeacon.errors import UsageError
from gridbeacon.lifecycle import legal
from gridbeacon.reasons import HandlingState


def register(app: typer.Typer) -> None:
    """Add the commands."""
    alerts = typer.Typer(
        help="What people were, or would be, told about, and what they do about it.", no_args_is_help=True
    )
    alerts.command("list")(alerts_list)
    alerts.command("show")(alerts_show)
    act.register(alerts)
    app.add_typer(alerts, name="alerts")


def alerts_list(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over and closed too.")] = False,
    limit: LimitOption = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the alerts that are not over, or that somebody was told of and nobody has closed, the worst first."""
    names = "alert_id level condition_state handling_state assignee cell rule opened_at changed_at headline"
    columns = tuple(names.split())
    source = "alerts FINAL" if everything else "alerts_now"
    found = rows_of(
        config,
        columns,
        f"SELECT {', '.join(columns)} FROM {source} "  # noqa: S608 - our own words alone
        "ORDER BY level DESC, opened_at DESC LIMIT %(limit)s",
        {"limit": limit},
    )
    show_rows(found, columns, json, empty="no open alert" if not everything else "no alert")


def alerts_show(
    alert_id: Annotated[str, typer.Argument(help="As `alerts list` says it.")],
    *,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one alert: how it stands, the evidence, every transition, notice and delivery."""
    names = (
        "alert_id rule cell level highest_level condition_state handling_state assignee disposition reopens certainty"
    )
    columns = (
        *names.split(),
        "mode",
        "version",
        "opened_at",
        "changed_at",
        "cleared_at",
        "closed_at",
        "headline",
        "evidence",
    )
    key = {"id": alert_id}
    found = rows_of(
        config,
        columns,
        f"SELECT {', '.join(columns)} FROM alerts FINAL WHERE alert_id = %(id)s",  # noqa: S608
        key,
    )
    if not found:
        raise UsageError(f"there is no alert {alert_id!r}; see gridbeacon alerts list --all")
    alert = found[0]
    alert["evidence"] = msgspec.json.decode(alert["evidence"])
    names = "version at event reason actor level_to condition_to handling_to note notice_id held"
    steps = tuple(names.split())
    tries = ("sequence", "endpoint", "attempt", "attempted_at", "status", "outcome", "detail")
    events = rows_of(
        config,
        steps,
        f"SELECT {', '.join(steps)} FROM alert_events FINAL WHERE alert_id = %(id)s ORDER BY version, at",  # noqa: S608
        key,
    )
    deliveries = rows_of(
        config,
        tries,
        f"SELECT {', '.join(tries)} FROM deliveries FINAL WHERE alert_id = %(id)s "  # noqa: S608
        "ORDER BY sequence, attempted_at",
        key,
    )
    alert["legal"] = [str(kind) for kind in legal(HandlingState(alert["handling_state"]))]
    if json:
        print_json({**alert, "events": events, "deliveries": deliveries})
        return
    evidence = alert.pop("evidence")
    alert["legal"] = ", ".join(alert["legal"])
    for name, value in alert.items():
        sys.stdout.write(f"{name:16} {shown(value)}\n")
    sys.stdout.write("\nEvidence\n")
    print_table(
        ("layer", "level", "text", "source record"),
        [(e["layer"], e["level"], e.get("text", e["series"]), "/".join(map(str, e["lineage"]))) for e in evidence],
        empty="none stands any more",
    )
    sys.stdout.write("\nTransitions\n")
    print_table(steps, [list(row.values()) for row in events], empty="none")
    sys.stdout.write("\nDeliveries\n")
    print_table(tries, [list(row.values()) for row in deliveries], empty="none")
