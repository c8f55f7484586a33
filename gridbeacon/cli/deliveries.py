"""Commands about deliveries: what was sent where, what came back, and sending it again."""

import getpass
import sys
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from gridbeacon.cli.common import ConfigOption, JsonOption, config_of, print_json, print_table, shown
from gridbeacon.config import Config
from gridbeacon.errors import UsageError

LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Rows at most.")]
NOT_TAKEN = ("permanent", "expired", "disabled")
"""Outcomes after which nothing more is tried by itself."""
_COLUMNS = tuple("attempted_at notice_id sequence type reason endpoint profile attempt status outcome detail".split())


def register(app: typer.Typer) -> None:
    """Add the commands."""
    deliveries = typer.Typer(help="Notices on their way to webhooks.", no_args_is_help=True)
    deliveries.command("list")(deliveries_list)
    deliveries.command("show")(deliveries_show)
    deliveries.command("replay")(deliveries_replay)
    app.add_typer(deliveries, name="deliveries")


def deliveries_list(
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only to this webhook.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only attempts that ended so.")] = None,
    alert: Annotated[str | None, typer.Option(help="Only notices of this alert.")] = None,
    limit: LimitOption = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List attempts to deliver notices, the latest first."""
    from gridbeacon.reasons import DeliveryOutcome

    if outcome is not None and outcome not in list(DeliveryOutcome):
        raise UsageError(f"there is no outcome {outcome!r}; it is one of {', '.join(DeliveryOutcome)}")
    found = _rows(
        config_of(config),
        _COLUMNS,
        f"SELECT {', '.join(_COLUMNS)} FROM deliveries FINAL "  # noqa: S608 - our own words alone
        "WHERE (%(endpoint)s = '' OR endpoint = %(endpoint)s) AND (%(outcome)s = '' OR outcome = %(outcome)s) "
        "AND (%(alert)s = '' OR alert_id = %(alert)s) ORDER BY attempted_at DESC, notice_id LIMIT %(limit)s",
        {"endpoint": endpoint or "", "outcome": outcome or "", "alert": alert or "", "limit": limit},
    )
    if json:
        print_json(found)
    else:
        print_table(_COLUMNS, [list(row.values()) for row in found], empty="no delivery")


def deliveries_show(
    notice: Annotated[str, typer.Argument(help="The webhook-id, as `deliveries list` says it.")],
    *,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one notice: what it says, and every attempt to deliver it."""
    import msgspec

    settings = config_of(config)
    told = _notices(settings, "notice_id = %(id)s", {"id": notice})
    if not told:
        raise UsageError(f"there is no notice {notice!r}; see gridbeacon deliveries list")
    columns = ("endpoint", "profile", "attempt", "attempted_at", "duration_ms", "status", "outcome", "detail")
    tries = _rows(
        settings,
        columns,
        f"SELECT {', '.join(columns)} FROM deliveries FINAL WHERE notice_id = %(id)s "  # noqa: S608
        "ORDER BY attempted_at, endpoint",
        {"id": notice},
    )
    one = told[0]
    if json:
        print_json({**one, "body": msgspec.json.decode(one["body"]), "attempts": tries})
        return
    body = one.pop("body")
    for name, value in one.items():
        sys.stdout.write(f"{name:10} {shown(value)}\n")
    sys.stdout.write("\nAttempts\n")
    print_table(columns, [list(row.values()) for row in tries], empty="none")
    sys.stdout.write(f"\nBody\n{msgspec.json.format(body)}\n")


def deliveries_replay(
    notice: Annotated[str | None, typer.Argument(help="The webhook-id; without it all that were not taken.")] = None,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only to this webhook.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send notices again that an endpoint refused or did not get, with the same webhook-id and body.

    Without a notice: all that were refused, expired, or not sent because the endpoint was disabled. With one: that one,
    also where it was taken before. The role notify sends them, in the order of their alerts.
    """
    import asyncio

    from sinks.orders import Redeliver
    from streams.access import check_access
    from streams.orders import give

    settings = config_of(config)
    known = {hook.name for hook in settings.notify.webhooks}
    if endpoint is not None and endpoint not in known:
        raise UsageError(f"no webhook {endpoint!r} is configured; there are {', '.join(sorted(known)) or 'none'}")
    last = _rows(
        settings,
        ("notice_id", "endpoint", "outcome"),
        "SELECT notice_id, endpoint, argMax(outcome, (attempted_at, attempt)) AS last FROM deliveries FINAL "
        "WHERE notice_id != '' AND (%(id)s = '' OR notice_id = %(id)s) "
        "AND (%(endpoint)s = '' OR endpoint = %(endpoint)s) GROUP BY notice_id, endpoint",
        {"id": notice or "", "endpoint": endpoint or ""},
    )
    wanted = {(one["notice_id"], one["endpoint"]) for one in last if notice is not None or one["outcome"] in NOT_TAKEN}
    if notice is not None and endpoint is not None:
        wanted = {(notice, endpoint)}  # also where it was never sent
    pairs = sorted(pair for pair in wanted if pair[1] in known)
    told = {one["notice_id"]: one for one in _of(settings, sorted({one for one, _ in pairs}))}
    orders = [
        Redeliver(
            notice=_notice(told[one]),
            endpoint=name,
            actor=getpass.getuser(),
            at_ms=time.time_ns() // 1_000_000,
            earlier=_earlier(settings, told[one]),
        )
        for one, name in pairs
        if one in told
    ]
    orders.sort(key=lambda order: (order.notice.alert_id, order.notice.sequence, order.endpoint))
    if not orders:
        raise UsageError("no notice matches; see gridbeacon deliveries list")
    if not yes:
        typer.confirm(f"Send {len(orders)} notices again?", abort=True)
    check_access(settings)
    asyncio.run(give(settings, orders))
    sys.stdout.write(f"{len(orders)} notices will be sent again\n")


_NOTICE = ("notice_id", "alert_id", "sequence", "type", "level", "at", "body")


def _of(config: Config, ids: list[str]) -> list[dict[str, Any]]:
    return _notices(config, "notice_id IN %(ids)s", {"ids": ids}) if ids else []


def _notices(config: Config, where: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    sql = f"SELECT {', '.join(_NOTICE)} FROM notices FINAL WHERE {where} ORDER BY alert_id, sequence"  # noqa: S608
    return _rows(config, _NOTICE, sql, parameters)


def _notice(row: dict[str, Any]) -> Any:
    from gridbeacon.model import Notice
    from gridbeacon.reasons import Level

    return Notice(
        notice_id=row["notice_id"],
        alert_id=row["alert_id"],
        sequence=row["sequence"],
        type=row["type"],
        level=Level[row["level"].upper()],
        at_ms=_ms(row["at"]),
        body=row["body"],
    )


def _earlier(config: Config, row: dict[str, Any]) -> Any:
    """Return the earlier notices of the same alert, as the role found them when it took this one."""
    from sinks.bodies.message import Sent
    from sinks.deliveries import earlier_of

    sql = "SELECT notice_id, at FROM notices FINAL WHERE alert_id = %(id)s AND sequence < %(n)s ORDER BY sequence"
    rows = _rows(config, ("notice_id", "at"), sql, {"id": row["alert_id"], "n": row["sequence"]})
    return earlier_of(Sent(one["notice_id"], _ms(one["at"])) for one in rows)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _rows(config: Config, columns: tuple[str, ...], sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    from sinks.clickhouse import query

    return [dict(zip(columns, row, strict=True)) for row in query(config, sql, parameters)]
