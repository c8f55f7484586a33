"""How the engine does, from the broker, the database and the supervisor's own file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridbeacon.cli.webhook import webhook_states
from gridbeacon.config import Config
from gridbeacon.errors import GridbeaconError
from sinks.clickhouse import query
from streams import admin, run_file, topics
from streams.access import check_access
from streams.store import LANES, group_of

_STATES = {"detect": topics.DETECT_STATE, "situate": topics.SITUATE_STATE, "notify": topics.NOTIFY_STATE}
_FORECAST = "forecast"
_LOGS = {"detect": (topics.OBSERVATIONS,), "situate": (topics.SIGNALS,), "notify": (topics.ALERTS,)}


def health(config: Config) -> dict[str, Any]:
    """Return what ``gridbeacon status`` says. A part that can't be asked is named under ``problems``."""
    problems: list[str] = []
    prefix = config.topics.prefix
    run = run_file.read(Path(config.data_dir).absolute())
    children = run.children if run is not None else {}
    groups: dict[str, list[tuple[str, tuple[str, ...]]]] = {
        "ingest": [(f"{prefix}ingest", topics.SOURCES)],
        **{role: [(f"{prefix}{role}", names)] for role, names in _LOGS.items()},
        "store": [(group_of(config, lane), lane.topics) for lane in LANES],
    }
    states = dict(_STATES)
    if config.forecast.enabled:
        log, requests = topics.SCORES, topics.FORECAST_REQUESTS
        groups[_FORECAST] = [(f"{prefix}forecast", (log,)), (f"{prefix}forecast.fit", (requests,))]
        states[_FORECAST] = topics.FORECAST_STATE
    lags: dict[str, int] = {}
    checkpoints: dict[str, str] = {}
    try:
        check_access(config)
        for role, pairs in groups.items():
            lags[role] = sum(
                sum(admin.lag(config, group, [prefix + name for name in names]).values()) for group, names in pairs
            )
        for role, name in states.items():
            written = admin.last_written(config, [prefix + name])
            if written:
                checkpoints[role] = _time(max(written.values()))
    except GridbeaconError as error:
        problems.append(str(error))
    roles = [
        {
            "role": role,
            "pid": children[role].pid if role in children else None,
            "restarts": children[role].restarts if role in children else None,
            "lag": lags.get(role),
            "checkpoint": checkpoints.get(role),
        }
        for role in groups
    ]
    alerts: list[dict[str, Any]] = []
    data: dict[str, Any] = {}
    try:
        rows = query(
            config, "SELECT rule, level, count() FROM alerts_now GROUP BY rule, level ORDER BY rule, level DESC"
        )
        alerts = [dict(zip(("rule", "level", "alerts"), row, strict=True)) for row in rows]
        data = _data(config)
    except GridbeaconError as error:
        problems.append(str(error))
    return {"roles": roles, "open_alerts": alerts, "data": data, "problems": problems}


def _data(config: Config) -> dict[str, Any]:
    """Return what the tables say of the data."""
    stored, newest, series = query(
        config, "SELECT count(), max(observed_at), uniq(kind, source, metric) FROM observations"
    )[0]
    hour = "rejected_at > now() - INTERVAL 1 HOUR"
    refused = query(config, f"SELECT count() FROM dead_letters FINAL WHERE {hour}")[0][0]  # noqa: S608 - our own words
    undelivered = query(
        config,
        "SELECT count() FROM (SELECT notice_id, endpoint, argMax(outcome, (attempted_at, attempt)) AS last "
        "FROM deliveries FINAL WHERE notice_id != '' GROUP BY notice_id, endpoint) "
        "WHERE last NOT IN ('delivered', 'superseded')",
    )[0][0]
    return {
        "observations_stored": stored,
        "series": series,
        "newest_observation": newest if stored else None,
        "dead_letters_last_hour": refused,
        "notices_not_delivered": undelivered,
        "webhooks_disabled": ", ".join(
            f"{hook['name']} ({hook['state']})" for hook in webhook_states(config) if hook["state"] != "enabled"
        )
        or "none",
    }


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
