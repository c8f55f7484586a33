"""Commands about webhooks: how they stand, a test notice, a receiver to integrate with, and enabling one again."""

import sys
import time
from typing import Annotated, Any, get_args

import typer

from gridbeacon.cli.common import ConfigOption, JsonOption, config_of, print_json, print_table
from gridbeacon.config import Config, Webhook
from gridbeacon.config_notify import ProfileName
from gridbeacon.errors import UsageError

NameArgument = Annotated[str, typer.Argument(help="Name of the webhook in the configuration.")]
DEFAULT_PORT = 8480


def register(app: typer.Typer) -> None:
    """Add the commands."""
    webhook = typer.Typer(help="Where notices go.", no_args_is_help=True)
    webhook.command("list")(webhook_list)
    webhook.command("test")(webhook_test)
    webhook.command("listen")(webhook_listen)
    webhook.command("enable")(webhook_enable)
    app.add_typer(webhook, name="webhook")


def webhook_list(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the configured webhooks: whether they get notices, and how their last deliveries ended."""
    settings = config_of(config)
    states = webhook_states(settings)
    if json:
        print_json(states)
        return
    columns = ("name", "profile", "host", "modes", "min_level", "fallback", "state", "last taken", "not taken")
    print_table(columns, [list(row.values()) for row in states], empty="no webhook is configured")


def webhook_test(name: NameArgument, *, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Send a test notice to a webhook, signed like a real one, and say what came back. Exit code 1: it was not taken.

    The notice says that it is a test (mode `test`); it is sent whatever `modes` and `min_level` say. At PagerDuty it
    opens an incident.
    """
    import asyncio

    from gridbeacon.cli.webhook_words import verdict
    from gridbeacon.reasons import DeliveryOutcome

    settings = config_of(config)
    hook = _hook(settings, name)
    result = asyncio.run(_send(settings, hook))
    sentences = verdict(hook, result)
    if json:
        print_json(
            {
                "webhook": name,
                "outcome": result.meaning,
                "status": result.status,
                "duration_ms": result.duration_ms,
                "detail": result.detail,
                "text": " ".join(sentences),
            }
        )
    else:
        sys.stdout.write("\n".join(sentences) + "\n")
    raise typer.Exit(0 if result.meaning is DeliveryOutcome.DELIVERED else 1)


def webhook_listen(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = DEFAULT_PORT,
    secret: Annotated[
        str | None,
        typer.Option(envvar="WEBHOOK_SECRET", help="whsec_..., or variable WEBHOOK_SECRET; else one is made."),
    ] = None,
    profile: Annotated[str, typer.Option(help="Verify and answer as receivers of this profile do.")] = "standard",
    sign_secret: Annotated[str, typer.Option(help="Secret of a robot's own signature (dingtalk, feishu).")] = "",
    fail: Annotated[float, typer.Option(min=0, max=1, help="Share of requests that fail on purpose, at random.")] = 0.0,
    status: Annotated[list[int] | None, typer.Option(help="Answer the first request so; may be given again.")] = None,
    delay_secs: Annotated[float, typer.Option(min=0, help="Wait so long before each answer.")] = 0.0,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many notices.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each notice.")] = False,
) -> None:
    """Receive notices on this machine, verify them and print them, as an example of what your system has to do.

    It says what to write into the configuration. Ctrl-C ends it.
    """
    import asyncio
    from base64 import b64encode
    from secrets import token_bytes

    from gridbeacon.secrets import MIN_BYTES, PREFIX, secret_bytes

    if profile not in get_args(ProfileName):
        raise UsageError(f"there is no profile {profile!r}; it is one of {', '.join(get_args(ProfileName))}")
    if secret is None:
        secret = PREFIX + b64encode(token_bytes(MIN_BYTES)).decode()
    secret_bytes(secret)
    asyncio.run(
        _listen(
            port=port,
            secret=secret,
            profile=profile,
            sign_secret=sign_secret,
            fail=fail,
            statuses=status or [],
            delay_secs=delay_secs,
            count=count,
            json=json,
        )
    )


def webhook_enable(name: NameArgument, *, config: ConfigOption = None) -> None:
    """Send notices again to a webhook that is disabled because it answered 410 Gone."""
    import asyncio
    import getpass

    from sinks.orders import Enable
    from streams.access import check_access
    from streams.orders import give

    settings = config_of(config)
    _hook(settings, name)
    check_access(settings)
    order = Enable(endpoint=name, actor=getpass.getuser(), at_ms=time.time_ns() // 1_000_000)
    asyncio.run(give(settings, [order]))
    sys.stdout.write(
        f"{name} gets notices again; those that it has missed: gridbeacon deliveries replay --endpoint {name}\n"
    )


def webhook_states(config: Config) -> list[dict[str, Any]]:
    """Return a row per configured webhook: how it is set up, whether it is disabled, what it took and did not take."""
    from urllib.parse import urlsplit

    from sinks.clickhouse import query

    found = query(
        config,
        "SELECT endpoint, maxIf(attempted_at, outcome IN ('disabled', 'enabled')) AS changed, "
        "argMaxIf(outcome, attempted_at, outcome IN ('disabled', 'enabled')) AS state, "
        "maxIf(attempted_at, outcome = 'delivered') AS taken, countIf(outcome = 'delivered') AS n "
        "FROM deliveries FINAL GROUP BY endpoint",
    )
    missed = dict(
        query(
            config,
            "SELECT endpoint, count() FROM (SELECT endpoint, notice_id, argMax(outcome, (attempted_at, attempt)) "
            "AS last FROM deliveries FINAL WHERE notice_id != '' GROUP BY endpoint, notice_id) "
            "WHERE last NOT IN ('delivered', 'superseded') GROUP BY endpoint",
        )
    )
    by_name = {row[0]: row[1:] for row in found}
    rows = []
    for hook in config.notify.webhooks:
        changed, state, taken, count = by_name.get(hook.name, (None, "", None, 0))
        rows.append(
            {
                "name": hook.name,
                "profile": hook.profile,
                "host": urlsplit(hook.url).hostname or "",
                "modes": " ".join(hook.modes),
                "min_level": hook.min_level,
                "fallback": hook.fallback,
                "state": f"disabled since {changed:%Y-%m-%dT%H:%M:%SZ}" if state == "disabled" else "enabled",
                "last_taken": taken if count else None,
                "not_taken": missed.get(hook.name, 0),
            }
        )
    return rows


def _hook(config: Config, name: str) -> Webhook:
    for hook in config.notify.webhooks:
        if hook.name == name:
            return hook
    names = ", ".join(hook.name for hook in config.notify.webhooks)
    raise UsageError(f"no webhook {name!r} is configured; there are {names or 'none'}")


async def _send(config: Config, hook: Webhook) -> Any:
    from gridbeacon.reasons import Level
    from sinks.bodies import PROFILES
    from sinks.bodies.sample import sample_notice
    from sinks.deliveries import Attempt
    from sinks.webhook import WebhookSender

    now_ms = time.time_ns() // 1_000_000
    notice = sample_notice(now_ms, max(Level.BLUE, PROFILES[hook.profile].min_level))
    async with WebhookSender(config.notify, config.timezone) as sender:
        return await sender.send(Attempt(hook.name, notice, 1), now_ms)


async def _listen(
    *,
    port: int,
    secret: str,
    profile: Any,
    sign_secret: str,
    fail: float,
    statuses: list[int],
    delay_secs: float,
    count: int | None,
    json: bool,
) -> None:
    import asyncio

    from gridbeacon.config_notify import SIGNED
    from sinks.receiver import Received, Receiver, Trouble

    enough = asyncio.Event()
    number = 0

    def told(got: Received) -> None:
        nonlocal number
        number += 1
        sys.stdout.write((_json_line(got) if json else _lines(got)) + "\n")
        sys.stdout.flush()
        if count is not None and number >= count:
            enough.set()

    def refused(why: str) -> None:
        sys.stderr.write(f"refused: {why}\n")

    try:
        async with Receiver(
            [secret] if profile in SIGNED else [],
            port=port,
            statuses=statuses,
            delay_secs=delay_secs,
            on_notice=told,
            on_refused=refused,
            profile=profile,
            sign_secret=sign_secret,
            trouble=Trouble(share=fail) if fail else None,
        ) as receiver:
            if not json:
                sys.stdout.write(_snippet(receiver.url, secret, profile, sign_secret))
                sys.stdout.flush()
            await enough.wait()
            await asyncio.sleep(delay_secs + 0.2)  # the last answer is on its way
    except OSError as error:
        raise UsageError(f"port {port} can't be used ({error.strerror}); choose another one with --port") from error


def _snippet(url: str, secret: str, profile: str, sign_secret: str) -> str:
    from gridbeacon.config_notify import SIGNED

    lines = [f"listening on {url}; write into gridbeacon.yaml:", "", "notify:", "  webhooks:", "    - name: listen"]
    lines += [f"      url: {url}", f"      profile: {profile}"]
    lines += [f"      secrets: [{secret}]"] if profile in SIGNED else []
    lines += [f"      sign_secret: {sign_secret}"] if sign_secret else []
    lines += ["      routing_key: test"] if profile == "pagerduty" else []
    lines += ["      allow_private: true", "      modes: [live, test]", "", ""]
    return "\n".join(lines)


def _json_line(got: Any) -> str:
    import msgspec

    row = {
        "webhook_id": got.notice_id,
        "arrived_ms": got.arrived_ms,
        "answered": got.status,
        "body": got.body.decode("utf-8", "replace"),
    }
    return msgspec.json.encode(row).decode()


def _lines(got: Any) -> str:
    from datetime import UTC, datetime

    import msgspec

    at = datetime.fromtimestamp(got.arrived_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    answered = got.status or "nothing"
    try:
        body = msgspec.json.format(got.body).decode()
    except msgspec.MsgspecError:
        body = got.body.decode("utf-8", "replace")
    # What is shown on a terminal must not steer it.
    body = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in body)
    return f"{at}Z  {got.notice_id or '(no webhook-id)'}  verified, answered {answered}\n{body}\n"
