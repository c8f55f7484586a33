"""What must hold between the values of a configuration, beyond each one's type and range."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from zoneinfo import ZoneInfo

from gridbeacon import config_notify, config_routing, targets
from gridbeacon.config import Api, Broker, Calendar, ClickHouse, Config, Limits, Notify
from gridbeacon.config_forecast import Forecast
from gridbeacon.days import check_country, check_subdivision
from gridbeacon.errors import ConfigError
from gridbeacon.vocabulary import METRIC_NUMBER, METRICS

EMBEDDED = "embedded"
ROLES = 7
"""Each role serves metrics on a port of its own, from ``metrics_port`` on, in the order of ``cli.roles.NUMBER``."""
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Mistake:
    """One rule that is broken: the keys that it is about, the likeliest first, and what is wrong with its fix."""

    keys: tuple[str, ...]
    text: str


def mistakes(config: Config) -> Iterator[Mistake]:
    """Yield what is wrong with ``config``, in the order of its sections; nothing when all is well."""
    yield from _general(config)
    yield from _broker(config.broker)
    yield from _clickhouse(config.clickhouse)
    yield from _calendar(config.calendar)
    yield from _api(config.api)
    yield from _ports(config)
    yield from _limits(config.limits)
    yield from _learned(config)
    yield from _forecast(config.forecast)
    yield from _notify(config.notify)
    for key, text in config_routing.mistakes(config.routing, [webhook.name for webhook in config.notify.webhooks]):
        yield Mistake((key,), text)


def _general(config: Config) -> Iterator[Mistake]:
    try:
        ZoneInfo(config.timezone)
    except (LookupError, ValueError, OSError):  # unknown; no relative path; the name of a folder
        yield Mistake(("timezone",), f"{config.timezone!r} is no time zone; give an IANA name such as Asia/Shanghai")
    if not config.data_dir:
        yield Mistake(("data_dir",), "it is empty; name a folder")
    try:
        re.compile(config.grid.pattern)
    except (re.error, OverflowError, RecursionError) as error:
        yield Mistake(("grid.pattern",), f"it is no regular expression ({error}); correct it, such as '\\d{{15}}'")
    for number, name in enumerate(config.ingest.privacy_fields):
        if not name:
            yield Mistake((f"ingest.privacy_fields[{number}]",), "an empty name would match every field; remove it")


def _learned(config: Config) -> Iterator[Mistake]:
    seen = set()
    for number, one in enumerate(config.detect.series):
        key, named = f"detect.series[{number}]", (one.kind, one.metric)
        if named not in METRIC_NUMBER or not METRICS[METRIC_NUMBER[named]].learned:
            known = ", ".join(m.name for m in METRICS if m.kind is one.kind and m.learned)
            yield Mistake((f"{key}.metric",), f"{one.metric!r} is no metric of {one.kind}; choose of {known}")
        if named in seen:
            yield Mistake((f"{key}.metric",), f"{one.kind}/{one.metric} has a detector already; remove one")
        seen.add(named)
    total = sum(one.share for one in config.alarm_budget.shares)
    if total > 1.0 + 1e-9:
        yield Mistake(("alarm_budget.shares",), f"the shares add up to {total:g}; together they may not pass 1")


def _forecast(forecast: Forecast) -> Iterator[Mistake]:
    if 1440 % forecast.step_minutes:
        yield Mistake(("forecast.step_minutes",), f"{forecast.step_minutes} does not divide the day; give 5, 10 or 15")
    leads = forecast.leads_minutes
    if not leads or leads[0] < 1 or any(b <= a for a, b in pairwise(leads)) or leads[-1] > forecast.horizon_hours * 60:
        yield Mistake(
            ("forecast.leads_minutes",), "they must rise, from 1 or more up to the horizon; put them in order"
        )
    seen = set()
    for number, one in enumerate(forecast.series):
        key, named = f"forecast.series[{number}].metric", (one.kind, one.metric)
        if named not in METRIC_NUMBER or not METRICS[METRIC_NUMBER[named]].learned:
            known = ", ".join(m.name for m in METRICS if m.kind is one.kind and m.learned)
            yield Mistake((key,), f"{one.metric!r} is no metric of {one.kind}; choose of {known}")
        if named in seen:
            yield Mistake((key,), f"{one.kind}/{one.metric} has a forecaster already; remove one")
        seen.add(named)


def _broker(broker: Broker) -> Iterator[Mistake]:
    protocol = broker.security_protocol
    if protocol.startswith("SASL") and not broker.username:
        yield Mistake(
            ("broker.username", "broker.security_protocol"),
            f"broker.security_protocol {protocol} needs a user name; set broker.username and broker.password",
        )
    if broker.bootstrap == EMBEDDED:
        if protocol != "PLAINTEXT":
            yield Mistake(
                ("broker.security_protocol",),
                f"the embedded broker speaks PLAINTEXT on this machine only, not {protocol}; remove the key, or name "
                "your brokers in broker.bootstrap",
            )
        return
    hosts = [_host_of(part) for part in broker.bootstrap.split(",")]
    if None in hosts:
        yield Mistake(("broker.bootstrap",), f"{broker.bootstrap!r} must be embedded or host:port[,host:port]")
        return
    far = [host for host in hosts if host and not is_loopback(host)]
    if far and "SSL" not in protocol.removeprefix("SASL_"):
        yield Mistake(
            ("broker.security_protocol", "broker.bootstrap"),
            f"{protocol} is not encrypted and {far[0]} is another machine; set broker.security_protocol to "
            f"{'SASL_SSL' if protocol.startswith('SASL') else 'SSL or SASL_SSL'}",
        )


def _clickhouse(clickhouse: ClickHouse) -> Iterator[Mistake]:
    names = Counter(account.name for account in clickhouse.accounts)
    for number, account in enumerate(clickhouse.accounts):
        key = f"clickhouse.accounts[{number}].name"
        if not account.name:
            yield Mistake((key,), "it is empty; name the user")
        elif names[account.name] > 1:
            yield Mistake((key,), f"{account.name!r} names more than one account; names must differ")
    if clickhouse.cluster and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", clickhouse.cluster):
        yield Mistake(("clickhouse.cluster",), f"{clickhouse.cluster!r} is no name of a cluster; see system.clusters")
    if clickhouse.host != EMBEDDED:
        return
    if clickhouse.cluster:
        yield Mistake(
            ("clickhouse.cluster",), "the embedded ClickHouse is no cluster; remove it, or name your server in host"
        )
    writers = [account.name for account in clickhouse.accounts if account.role == "writer"]
    if clickhouse.accounts and clickhouse.username not in writers:
        yield Mistake(
            ("clickhouse.username", "clickhouse.accounts"),
            f"the roles log in as {clickhouse.username!r}, which is no writer of clickhouse.accounts; set "
            "clickhouse.username and clickhouse.password to one of them, or add it",
        )
    if bool(clickhouse.tls_cert_file) != bool(clickhouse.tls_key_file):
        yield Mistake(
            ("clickhouse.tls_cert_file", "clickhouse.tls_key_file"),
            "a certificate and its key belong together; set clickhouse.tls_cert_file and clickhouse.tls_key_file both",
        )


def _calendar(calendar: Calendar) -> Iterator[Mistake]:
    key = "calendar.country"
    try:
        if calendar.country:
            check_country(calendar.country)
            key = "calendar.subdivision"
            if calendar.subdivision:
                check_subdivision(calendar.country, calendar.subdivision)
        elif calendar.subdivision:
            yield Mistake(("calendar.subdivision",), "a subdivision needs its country; set calendar.country too")
    except ConfigError as error:
        yield Mistake((key,), str(error))
    names = Counter(file.path for file in calendar.files)
    for number, file in enumerate(calendar.files):
        if not file.path or names[file.path] > 1:
            yield Mistake(
                (f"calendar.files[{number}].path",), f"{file.path!r} must be a file that is named once; correct it"
            )


def _host_of(address: str) -> str | None:
    """Return the host of ``host:port``, None when it is none."""
    host, _, port = address.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    fits = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= _LAST_PORT
    if not fits or not host or any(letter.isspace() or letter in "/@" for letter in host):
        return None
    return host[1:-1] if bracketed else None if ":" in host else host


def is_loopback(host: str) -> bool:
    """Return whether ``host``, a name or an address, is this machine for sure.

    >>> is_loopback("localhost"), is_loopback("127.1.2.3"), is_loopback("::1"), is_loopback("kafka.example.org")
    (True, True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _ports(config: Config) -> Iterator[Mistake]:
    """Embedded servers and metrics share this machine; a real server's port is its own affair."""
    taken: dict[int, str] = {}
    broker, clickhouse, metrics = config.broker, config.clickhouse, config.observability.metrics_port
    wanted: list[tuple[str, int, int]] = []
    if broker.bootstrap == EMBEDDED:
        wanted.append(("broker.port", broker.port, 2))
    if clickhouse.host == EMBEDDED:
        wanted.append(("clickhouse.port", clickhouse.port, 1))
        if clickhouse.http_port:
            wanted.append(("clickhouse.http_port", clickhouse.http_port, 1))
    elif clickhouse.port == 0:
        yield Mistake(("clickhouse.port",), "0 is no server's port; give the port of your ClickHouse")
    if config.api.port:
        wanted.append(("api.port", config.api.port, 1))
    if metrics:
        wanted.append(("observability.metrics_port", metrics, ROLES))
    for key, first, count in wanted:
        if first == 0:
            yield Mistake((key,), "0 is no fixed port, but the roles must know where to connect; give one from 1")
            return
        if first + count - 1 > _LAST_PORT:
            yield Mistake((key,), f"{count} ports from {first} on end past {_LAST_PORT}; give a lower one")
        for port in range(first, first + count):
            if (other := taken.setdefault(port, key)) != key:
                yield Mistake(
                    (key, other), f"{key} ({_ports_text(first, count)}) and {other} both take port {port}; change one"
                )
                return


def _ports_text(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first} to {first + count - 1}"


def _api(api: Api) -> Iterator[Mistake]:
    if bool(api.tls_cert_file) != bool(api.tls_key_file):
        yield Mistake(
            ("api.tls_cert_file", "api.tls_key_file"),
            "a certificate and its key belong together; set api.tls_cert_file and api.tls_key_file both",
        )
    if is_loopback(api.listen):
        return
    if not api.tokens_file:
        yield Mistake(
            ("api.tokens_file", "api.listen"),
            f"at {api.listen} others can reach the board; make tokens with gridbeacon api token, and name their file",
        )
    if not api.tls_cert_file and not api.allow_plain:
        yield Mistake(
            ("api.listen",),
            f"at {api.listen} tokens would travel in the clear; set api.tls_cert_file and api.tls_key_file, or "
            "api.allow_plain behind a proxy that speaks TLS",
        )


def _limits(limits: Limits) -> Iterator[Mistake]:
    for surface in ("moving", "stairs", "standing"):
        ladder = getattr(limits, surface)
        steps = (ladder.blue, ladder.yellow, ladder.orange, ladder.red)
        if not _ascending(steps):
            yield Mistake(
                (f"limits.{surface}",),
                f"the levels {_list(steps)} do not rise from blue over yellow and orange to red; put them in order",
            )
    for name in ("capacity_shares", "flow_level_per_m_min", "flow_stairs_per_m_min"):
        values = getattr(limits, name)
        if not _ascending(values):
            yield Mistake((f"limits.{name}",), f"{_list(values)} must be greater than 0 and rise; put them in order")


def _ascending(values: tuple[float, ...]) -> bool:
    return values[0] > 0 and all(low < high for low, high in pairwise(values))


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _notify(notify: Notify) -> Iterator[Mistake]:
    for key, text in (*targets.mistakes(notify), *config_notify.mistakes(notify)):
        yield Mistake((key,), text)
