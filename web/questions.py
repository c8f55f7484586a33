"""What pages and API ask, each once: of the view where it knows, of the database where it must."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from gridbeacon.errors import GridbeaconError
from gridbeacon.model import Alert, AlertEvent, Delivery
from gridbeacon.reasons import Level
from web.database import Answer, Away, Database
from web.lately import Lately
from web.parts import Parts
from web.problems import Problem
from web.shapes import stamp
from web.view import Case

HOUR_MS = 3_600_000
DEFAULT_MS = 3 * HOUR_MS
LONGEST_MS = 400 * 24 * HOUR_MS
"""Of a range; more than a year at once is for SQL."""
MOST_POINTS = 720
QUIET_INTERVALS = 3.0
HEALTH_SECS = 5.0


class Span(NamedTuple):
    """A range of time, milliseconds UTC: from ``begin_ms`` to before ``end_ms``."""

    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Course:
    """One series over a span."""

    step_secs: float
    points: list[dict[str, Any]]
    forecast: list[dict[str, Any]]
    age_secs: float
    problem: str


def span(house: Parts, begin: datetime | None, end: datetime | None) -> Span:
    """Return a range of time; without an end it ends now, without a begin it is three hours.

    Raises ``ValueError`` with what to do when it begins in the future, is empty, or longer than 400 days.
    """
    now_ms = house.now_ms()
    end_ms = now_ms if end is None else _ms(end)
    begin_ms = end_ms - DEFAULT_MS if begin is None else _ms(begin)
    if begin_ms > max(now_ms, int(time.time() * 1000)):
        raise ValueError("this range begins in the future; choose one that has happened")
    if begin_ms >= end_ms:
        raise ValueError("this range ends before it begins; exchange its two times")
    if end_ms - begin_ms > LONGEST_MS:
        raise ValueError("this range is longer than 400 days; choose a shorter one, or ask with gridbeacon sql")
    return Span(begin_ms, end_ms)


def _ms(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


async def case_of(house: Parts, alert_id: str) -> tuple[Case, list[str]]:
    """Return an alert with its course, and what could not be asked. Raises ``Problem`` (404, 503)."""
    case = house.view.cases.get(alert_id)
    if case is not None and case.steps:
        return case, []
    key = {"id": alert_id}
    try:
        if case is None:
            found = alerts_of(
                (await house.database.ask("SELECT * FROM alerts FINAL WHERE alert_id = %(id)s", key)).rows
            )
            if not found:
                raise Problem(404, "there is no alert with this id; see the list of alerts")
            case = Case(found[0])
        steps = await house.database.ask(
            "SELECT * FROM alert_events FINAL WHERE alert_id = %(id)s ORDER BY version, at", key
        )
        tries = await house.database.ask(
            "SELECT * FROM deliveries FINAL WHERE alert_id = %(id)s ORDER BY sequence, attempted_at", key
        )
    except Away as error:
        if case is None:
            raise Problem(503, f"this alert is older than the log, and {error}") from error
        return case, [f"its course is older than the log, and {error}"]
    whole = Case(case.alert)
    whole.steps.extend(steps_of(steps.rows))
    whole.deliveries.extend(_structs(tries.rows, Delivery))
    return whole, [steps.problem] if steps.problem else []


async def remembered(database: Database) -> list[Alert]:
    """Return the alerts that the database holds as open, for those that the log no longer has."""
    sql = "SELECT * FROM alerts FINAL WHERE condition_state != 'cleared' ORDER BY opened_at DESC LIMIT 20000"
    return alerts_of((await database.ask(sql)).rows)


def alerts_of(rows: Iterable[dict[str, Any]]) -> list[Alert]:
    """Return alerts from rows of the table ``alerts``."""
    return [alert for row in rows for alert in _structs([{**row, "evidence": _evidence(row["evidence"])}], Alert)]


def steps_of(rows: Iterable[dict[str, Any]]) -> list[AlertEvent]:
    """Return transitions from rows of the table ``alert_events``."""
    return _structs(rows, AlertEvent)


def _evidence(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(text or "[]")
    return [{**one, "level": int(Level[one["level"].upper()])} for one in found]


def _structs(rows: Iterable[dict[str, Any]], kind: Any) -> list[Any]:
    """Return rows as values of the core: ``opened_at`` is ``opened_ms``, words of levels are levels, empty is None."""
    found = []
    for row in rows:
        fields: dict[str, Any] = {}
        for name in kind.__struct_fields__:
            column = "at" if name == "at_ms" else f"{name[:-3]}_at" if name.endswith("_ms") else name
            value = row.get(column, row.get(name))
            if isinstance(value, datetime):
                value = _ms(value)
            elif name.startswith(("level", "highest_level")) and isinstance(value, str):
                value = int(Level[value.upper()])
            elif value in ("", None) and name not in _TEXTS:
                value = None
            if value is not None or name in ("cleared_ms", "condition_from", "handling_from"):
                fields[name] = value
        if kind is AlertEvent and fields.get("reason") is None:
            fields["reason"] = "within_band"  # tables made by hand leave it out for what people do
        try:
            found.append(msgspec.convert(fields, kind, strict=False))
        except msgspec.ValidationError:
            continue  # a row of another version: it is in the table, but not to be shown as ours
    return found


_TEXTS = ("note", "headline", "notice_id", "detail", "text", "actor")


async def situations(house: Parts) -> Answer:
    """Return the situations that are not over. Raises ``Problem`` (503)."""
    return await ask(house, "SELECT * FROM situation_now ORDER BY level DESC, opened_at DESC LIMIT 1000")


async def sensors(house: Parts) -> Answer:
    """Return when each sensor last reported, and whether it is late. Raises ``Problem`` (503)."""
    now_ms = house.now_ms()
    answer = await ask(
        house,
        "SELECT kind, source, any(grid_id) AS grid_id, max(observed_at) AS last_observed_at, "
        "argMax(reason, observed_at) AS reason FROM observations "
        "WHERE observed_at BETWEEN fromUnixTimestamp64Milli(%(begin)s) AND fromUnixTimestamp64Milli(%(end)s) "
        "AND kind IN ('crowd', 'traffic') GROUP BY kind, source ORDER BY kind, source LIMIT 100000",
        _window(now_ms, 2 * HOUR_MS),
        fresh_secs=10.0,
    )
    rows = await asyncio.to_thread(_sensor_rows, house, answer.rows, now_ms)  # many: streams must go on meanwhile
    return Answer(rows, answer.asked, answer.problem)


def _sensor_rows(house: Parts, found: list[dict[str, Any]], now_ms: int) -> list[dict[str, Any]]:
    """Return every sensor with its state: those that were heard, and those of the registry that were not."""
    heard = {(row["kind"], row["source"]): row for row in found}
    # A part of a sensor (``CAM-1/north``) speaks for the sensor.
    speaking = {(kind, source[:place]) for kind, source in heard for place, sign in enumerate(source) if sign == "/"}
    for sensor in house.registry.sensors.values():
        key = (str(sensor.kind), sensor.sensor_id)
        if key not in heard and key not in speaking:
            silent = {"kind": key[0], "source": key[1], "grid_id": sensor.grid_id, "last_observed_at": None}
            heard[key] = silent | {"reason": ""}
    rows = []
    for row in heard.values():
        known = house.registry.sensors.get(row["source"])
        patience_ms = QUIET_INTERVALS * 1000 * max(60.0, known.interval_secs if known else 60.0)
        last = row["last_observed_at"]
        late = last is None or now_ms - _ms(last) > patience_ms
        state = "never" if last is None else "late" if late else "reporting"
        rows.append({**row, "last_observed_at": None if last is None else stamp(_ms(last)), "state": state})
    return rows


def _window(now_ms: int, length_ms: int) -> dict[str, int]:
    """Return a range that stays the same for ten seconds, so that viewers share one answer."""
    end_ms = now_ms // 10_000 * 10_000 + 10_000
    return {"begin": end_ms - length_ms, "end": end_ms}


async def course(house: Parts, series: str, within: Span) -> Course:
    """Return what a series said, what was expected, and what is forecast. Raises ``Problem`` (404, 503)."""
    kind, _, rest = series.partition("/")
    source, _, metric = rest.rpartition("/")
    if not (kind and source and metric):
        raise Problem(404, "a series is named kind/source/metric, such as crowd/CAM-1/density_max_per_m2")
    step_ms = max(1000, (within.end_ms - within.begin_ms) // MOST_POINTS // 1000 * 1000)
    key = {"kind": kind, "source": source, "metric": metric, "begin": within.begin_ms, "end": within.end_ms}
    answer = await ask(
        house,
        "SELECT intDiv(toUnixTimestamp64Milli(observed_at), %(step)s) AS slot, max(observed_at) AS at, "
        "max(o.value) AS value, avg(o.expected) AS expected, avg(o.lower) AS lower, avg(o.upper) AS upper, "
        "max(o.level) AS level FROM observations AS o "
        "WHERE kind = %(kind)s AND source = %(source)s AND metric = %(metric)s "
        "AND observed_at >= fromUnixTimestamp64Milli(%(begin)s) AND observed_at < fromUnixTimestamp64Milli(%(end)s) "
        "GROUP BY slot ORDER BY slot",
        {**key, "step": step_ms},
        fresh_secs=2.0,
    )
    ahead = await ask(
        house,
        "SELECT target_at AS at, argMax(f.expected, made_at) AS expected, argMax(f.lower_80, made_at) AS lower_80, "
        "argMax(f.upper_80, made_at) AS upper_80, argMax(f.model, made_at) AS model FROM forecasts AS f "
        "WHERE kind = %(kind)s AND source = %(source)s AND metric = %(metric)s "
        "AND target_at >= fromUnixTimestamp64Milli(%(begin)s) "
        "AND target_at < fromUnixTimestamp64Milli(%(end)s + 14400000) AND made_at < fromUnixTimestamp64Milli(%(end)s) "
        "GROUP BY target_at ORDER BY target_at LIMIT 2000",
        key,
        fresh_secs=20.0,
    )
    points = [{**row, "at": stamp(_ms(row["at"])), "slot": None} for row in answer.rows]
    for point in points:
        del point["slot"]
    forecast = [{**row, "at": stamp(_ms(row["at"]))} for row in ahead.rows]
    return Course(step_ms / 1000, points, forecast, answer.age_secs, answer.problem or ahead.problem)


async def status(house: Parts) -> dict[str, Any]:
    """Return how the engine does; what could not be asked is under ``problems``."""
    counts = {level.word: 0 for level in Level if level}
    for case in house.view.cases.values():
        if case.is_open and case.alert.level:
            counts[case.alert.level.word] += 1
    health = await house_health(house)
    problems = [*health["problems"], *([house.hub.problem] if house.hub.problem else [])]
    return {**health, "open_alerts": counts, "problems": list(dict.fromkeys(problems))}


async def house_health(house: Parts, patience_secs: float = 10.0) -> dict[str, Any]:
    """Return roles with lag and the health of the data, a few seconds old at most; it asks broker and database."""
    kept = house.kept.setdefault("health", Lately(lambda: asyncio.to_thread(house.health), HEALTH_SECS))
    known = await kept.get(patience_secs)
    said: dict[str, Any] = known.value or {"roles": [], "data": {}, "problems": []}
    return {**said, "problems": [*said["problems"], known.problem]} if known.problem else said


async def ask(house: Parts, sql: str, parameters: dict[str, Any] | None = None, *, fresh_secs: float = 5.0) -> Answer:
    """Return rows of the database, the last known when it is away. Raises ``Problem`` (503) when there is nothing."""
    try:
        return await house.database.ask(sql, parameters, fresh_secs=fresh_secs)
    except Away as error:
        raise Problem(503, str(error), headers={"retry-after": "5"}) from error
    except GridbeaconError as error:
        raise Problem(503, f"the database could not answer: {error}") from error
